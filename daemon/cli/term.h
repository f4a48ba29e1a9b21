/* SPDX-License-Identifier: Apache-2.0
 *
 * What the output can show. Colour, cursor movement and the alternate screen only on a terminal; NO_COLOR and TERM=dumb
 * are honoured; glyphs beyond ASCII only in a UTF-8 locale. Process names, paths and messages are other people's bytes:
 * they reach a terminal through term_safe() alone, which lets nothing through that moves a cursor or turns text around.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "util/buf.h"

#define TERM_WIDTH_MIN 20u
#define TERM_WIDTH_DEFAULT 100 /* lines for a file or a pipe are laid out for this, and never cut */

typedef enum Style {
        STYLE_PLAIN,
        STYLE_DIM,
        STYLE_BOLD,
        STYLE_GOOD,   /* green */
        STYLE_WARN,   /* yellow */
        STYLE_BAD,    /* red, bold */
        STYLE_ACCENT, /* cyan */
        _STYLE_MAX,
} Style;

/* Every glyph that the layout uses, so that text is never written in two versions. */
typedef struct Glyphs {
        const char *dot;      /* between items of a list */
        const char *arrow;    /* before -> after */
        const char *on, *half, *off; /* state marks */
        const char *bar_full, *bar_empty, *bar_mark;
        const char *fill[4], *fill_free, *fill_rest; /* sections of one bar */
        const char *axis_y, *axis_tick, *axis_corner, *axis_x, *axis_now;
        const char *limit;    /* one cell of the limit line */
        const char *ellipsis;
} Glyphs;

typedef struct Term {
        bool tty;     /* the output is a terminal that can move its cursor */
        bool color, utf8, braille;
        unsigned width, height; /* of the terminal, or what to lay out for */
        const Glyphs *glyph;
} Term;

/* term_init() - look at @out and the environment. Sets LC_CTYPE from the environment, once. */
void term_init(Term *t, FILE *out);
/* term_resize() - ask for the size again (after SIGWINCH). */
void term_resize(Term *t, FILE *out);
/* term_has_utf8() - the locale's character set is UTF-8. */
bool term_has_utf8(void);

/* term_style() - the escape sequence that begins @s, "" where colour is off. */
const char *term_style(const Term *t, Style s);
/* term_plain() - the one that ends it. */
const char *term_plain(const Term *t, Style s);

/**
 * term_safe() - append hostile text so that a terminal shows it and does nothing else
 * Control bytes, invalid UTF-8 and characters without a width of their own (C1 controls, direction marks, combining
 * marks) appear as \n, \t, \e, \xNN or \u{NNNN}; without UTF-8 so does everything beyond ASCII.
 * Return: columns that the text takes.
 */
unsigned term_safe(Buf *b, bool utf8, const char *s);

/* term_print_problems() - lines that quote other people's bytes (a file, a name) to standard error: made safe, in
 * colour by whether they say " warning: ". */
void term_print_problems(const Buf *problems);
