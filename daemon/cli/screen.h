/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of styled text with a column count, built in memory and written at once (a live view must not flicker). On a
 * terminal a line is cut at its right edge; elsewhere never. Lists wrap between their items, sentences between words.
 */
#pragma once

#include "cli/term.h"
#include "util/buf.h"
#include "util/cleanup.h"

typedef struct Screen {
        const Term *term;
        Buf buf;
        unsigned column;
        unsigned n_lines;
} Screen;

#define SCREEN_INIT(t) ((Screen){.term = (t)})
/* screen_done() - release the memory. */
void screen_done(Screen *s);
/* screen_reset() - empty, keeping the memory: the next frame. */
void screen_reset(Screen *s);

/* screen_put() - our own text, one column a character. */
void screen_put(Screen *s, Style style, const char *text);
void screen_putf(Screen *s, Style style, const char *fmt, ...) _printf_(3, 4);
/* screen_safe() - hostile text, cut to @max columns with an ellipsis; 0 = up to the edge. */
void screen_safe(Screen *s, Style style, const char *text, unsigned max);
/* screen_pad() - blanks up to @column; at least one unless the line is empty. */
void screen_pad(Screen *s, unsigned column);
void screen_end(Screen *s);

/* screen_item() - one of a list: a separator before it unless it is the first on its line, a new line if it would not
 * fit. May hold hostile text. */
void screen_item(Screen *s, unsigned indent, Style style, const char *fmt, ...) _printf_(4, 5);
/* screen_words() - a sentence from a document (hostile), wrapped between words at @indent. */
void screen_words(Screen *s, unsigned indent, Style style, const char *text);

/* screen_bar() - @width cells, @ratio of them full. */
void screen_bar(Screen *s, Style style, unsigned width, double ratio);

/* screen_repeat() - one glyph @n times. */
void screen_repeat(Screen *s, Style style, const char *glyph, unsigned n);
/* screen_whole() - our own text that is to be copied: never cut; beyond the edge the terminal wraps it. */
void screen_whole(Screen *s, Style style, const char *text);

/* screen_left() - columns left on the line. */
unsigned screen_left(const Screen *s);

#define _cleanup_screen_ _cleanup_(screen_done)
