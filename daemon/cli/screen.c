/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

void screen_done(Screen *s) {
        buf_done(&s->buf);
}

void screen_reset(Screen *s) {
        buf_reset(&s->buf);
        s->column = s->n_lines = 0;
}

/* A file has no edge: nothing that is written to it may be lost. */
static unsigned edge(const Screen *s) {
        return s->term->tty ? s->term->width : 4096;
}

unsigned screen_left(const Screen *s) {
        return s->column < edge(s) ? edge(s) - s->column : 0;
}

/* Bytes of one UTF-8 character of our own text, or of what term_safe() let through. */
static size_t char_len(const char *p) {
        size_t n = 1;

        while (((unsigned char)p[n] & 0xc0) == 0x80)
                n++;
        return n;
}

static unsigned columns_of(const char *text) {
        unsigned n = 0;

        for (; *text; text += char_len(text))
                n++;
        return n;
}

void screen_put(Screen *s, Style style, const char *text) {
        unsigned left = screen_left(s);

        if (!*text || !left)
                return;
        buf_adds(&s->buf, term_style(s->term, style));
        for (; *text && left; left--, s->column++) {
                size_t n = char_len(text);

                buf_add(&s->buf, text, n);
                text += n;
        }
        buf_adds(&s->buf, term_plain(s->term, style));
}

void screen_putf(Screen *s, Style style, const char *fmt, ...) {
        _cleanup_buf_ Buf b = BUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        buf_vaddf(&b, fmt, ap);
        va_end(ap);
        screen_put(s, style, buf_str(&b));
}

/* Cuts by characters. A wide one counts as two columns, so that a line of them is short rather than too long. */
static void add_cut(Screen *s, Style style, const char *safe, unsigned max) {
        const char *more = s->term->glyph->ellipsis;
        unsigned room = max > columns_of(more) ? max - columns_of(more) : 0;
        _cleanup_buf_ Buf b = BUF_NULL;

        while (*safe && room) {
                size_t n = char_len(safe);
                unsigned w = n > 2 ? 2 : 1;

                if (w > room)
                        break;
                buf_add(&b, safe, n);
                safe += n;
                room -= w;
        }
        buf_adds(&b, more);
        screen_put(s, style, buf_str(&b));
}

void screen_safe(Screen *s, Style style, const char *text, unsigned max) {
        _cleanup_buf_ Buf b = BUF_NULL;
        unsigned columns = term_safe(&b, s->term->utf8, text);
        unsigned room = max && s->term->tty ? min_of(max, screen_left(s)) : screen_left(s);

        if (columns > room) {
                add_cut(s, style, buf_str(&b), room);
                return;
        }
        screen_put(s, style, buf_str(&b));
        s->column += columns - columns_of(buf_str(&b));
}

void screen_pad(Screen *s, unsigned column) {
        if (s->column >= column && s->column)
                screen_put(s, STYLE_PLAIN, " ");
        while (s->column < column && screen_left(s))
                screen_put(s, STYLE_PLAIN, " ");
}

void screen_end(Screen *s) {
        buf_addc(&s->buf, '\n');
        s->column = 0;
        s->n_lines++;
}

static void put_words(Screen *s, unsigned indent, Style style, const char *p) {
        while (*(p += strspn(p, " "))) {
                size_t n = strcspn(p, " ");
                _cleanup_buf_ Buf word = BUF_NULL;

                buf_add(&word, p, n);
                p += n;
                if (s->column > indent && s->column + 1 + columns_of(buf_str(&word)) > s->term->width)
                        screen_end(s);
                if (s->column > indent)
                        screen_put(s, STYLE_PLAIN, " ");
                while (s->column < indent)
                        screen_put(s, STYLE_PLAIN, " ");
                screen_put(s, style, buf_str(&word));
        }
}

void screen_item(Screen *s, unsigned indent, Style style, const char *fmt, ...) {
        _cleanup_buf_ Buf raw = BUF_NULL, b = BUF_NULL;
        unsigned width, separator = columns_of(s->term->glyph->dot) + 2;
        bool first = s->column <= indent;
        va_list ap;

        va_start(ap, fmt);
        buf_vaddf(&raw, fmt, ap);
        va_end(ap);
        term_safe(&b, s->term->utf8, buf_str(&raw));
        width = columns_of(buf_str(&b));
        if (!first && s->column + separator + width > s->term->width) {
                screen_end(s);
                first = true;
        }
        if (!first) {
                screen_putf(s, STYLE_DIM, " %s ", s->term->glyph->dot);
        } else if (indent + width > s->term->width) {
                put_words(s, indent, style, buf_str(&b));
                return;
        }
        while (s->column < indent)
                screen_put(s, STYLE_PLAIN, " ");
        screen_put(s, style, buf_str(&b));
}

void screen_words(Screen *s, unsigned indent, Style style, const char *text) {
        _cleanup_buf_ Buf safe = BUF_NULL;

        term_safe(&safe, s->term->utf8, text);
        put_words(s, indent, style, buf_str(&safe));
}

void screen_bar(Screen *s, Style style, unsigned width, double ratio) {
        const Glyphs *g = s->term->glyph;
        unsigned full;

        if (!(ratio > 0))
                ratio = 0;
        full = ratio >= 1 ? width : (unsigned)floor(ratio * width); /* never full before the limit is reached */
        for (unsigned i = 0; i < width; i++)
                screen_put(s, i < full ? style : STYLE_DIM, i < full ? g->bar_full : g->bar_empty);
}

void screen_repeat(Screen *s, Style style, const char *glyph, unsigned n) {
        _cleanup_buf_ Buf b = BUF_NULL;

        for (unsigned i = 0; i < n; i++)
                buf_adds(&b, glyph);
        screen_put(s, style, buf_str(&b));
}

void screen_whole(Screen *s, Style style, const char *text) {
        buf_adds(&s->buf, term_style(s->term, style));
        buf_adds(&s->buf, text);
        buf_adds(&s->buf, term_plain(s->term, style));
        s->column += columns_of(text);
}
