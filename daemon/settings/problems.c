/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/problems.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void problems_done(Problems *p) {
        free(p->items);
        buf_done(&p->text);
        *p = PROBLEMS_NULL;
}

static bool problems_reserve(Problems *p) {
        size_t cap;
        Problem *items;

        if (p->n < p->cap)
                return true;
        cap = p->cap ? p->cap * 2 : 16;
        items = reallocarray(p->items, cap, sizeof(*items));
        if (!items) {
                p->failed = true;
                return false;
        }
        p->items = items;
        p->cap = cap;
        return true;
}

_printf_(4, 0) static void problem_add(Problems *p, Mark m, bool is_warning, const char *fmt, va_list ap) {
        size_t offset = p->text.len;

        if (!is_warning)
                p->n_errors++;
        if (p->n >= PROBLEMS_TOLD_MAX) {
                p->n_untold++;
                return;
        }
        if (!problems_reserve(p))
                return;
        buf_vaddf(&p->text, fmt, ap);
        if (p->text.failed)
                p->failed = true;
        p->items[p->n++] =
                (Problem){.mark = m, .is_warning = is_warning, .offset = offset, .len = p->text.len - offset};
}

void problem_error(Problems *p, Mark m, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        problem_add(p, m, false, fmt, ap);
        va_end(ap);
}

void problem_warning(Problems *p, Mark m, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        problem_add(p, m, true, fmt, ap);
        va_end(ap);
}

/* By place, and what was found first comes first at the same place: offsets rise with time. */
static int problem_compare(const void *a, const void *b) {
        const Problem *x = a, *y = b;

        if (x->mark.line != y->mark.line)
                return x->mark.line < y->mark.line ? -1 : 1;
        if (x->mark.col != y->mark.col)
                return x->mark.col < y->mark.col ? -1 : 1;
        return x->offset < y->offset ? -1 : x->offset > y->offset;
}

void problems_write(const Problems *p, Buf *out) {
        if (p->n > 1)
                qsort(p->items, p->n, sizeof(*p->items), problem_compare);
        for (size_t i = 0; i < p->n; i++) {
                const Problem *q = &p->items[i];

                buf_adds(out, p->file);
                if (q->mark.line > 0)
                        buf_addf(out, ":%u:%u", q->mark.line, q->mark.col);
                buf_adds(out, q->is_warning ? ": warning: " : ": ");
                buf_add(out, buf_str(&p->text) + q->offset, q->len);
                buf_addc(out, '\n');
        }
        if (p->n_untold > 0)
                buf_addf(out, "%s: and %zu more problems\n", p->file, p->n_untold);
}

unsigned utf8_length(const char *s, size_t n, unsigned *ret_point) {
        static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
        unsigned char c = (unsigned char)*s;
        unsigned len = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 0;
        unsigned point = len == 1 ? c : len > 0 ? c & (0x7fu >> len) : 0;

        if (len == 0 || len > n)
                return 0;
        for (unsigned i = 1; i < len; i++) {
                if (((unsigned char)s[i] & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | ((unsigned char)s[i] & 0x3f);
        }
        if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
                return 0;
        *ret_point = point;
        return len;
}

bool utf8_is_invisible(unsigned point) {
        /* Unicode categories Cc, Cf (as far as they are in use), Zl, Zp, and the non-characters at the end of plane 0.
         */
        static const struct {
                unsigned first, last;
        } ranges[] = {
                {0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},     {0x200b, 0x200f}, {0x2028, 0x202e},
                {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f},
        };

        for (size_t i = 0; i < ELEMENTSOF(ranges); i++)
                if (point >= ranges[i].first && point <= ranges[i].last)
                        return true;
        return false;
}

void quote_text(Buf *b, const char *s, size_t len) {
        size_t i = 0;

        buf_addc(b, '"');
        while (i < len && i < QUOTE_MAX) {
                unsigned point = 0, n = utf8_length(s + i, len - i, &point);

                if (n == 0)
                        buf_addf(b, "\\x%02x", (unsigned char)s[i++]);
                else {
                        if (point == '"' || point == '\\')
                                buf_addf(b, "\\%c", (char)point);
                        else if (point == '\n')
                                buf_adds(b, "\\n");
                        else if (point == '\t')
                                buf_adds(b, "\\t");
                        else if (utf8_is_invisible(point))
                                buf_addf(b, point < 0x80 ? "\\x%02x" : "\\u{%x}", point);
                        else
                                buf_add(b, s + i, n);
                        i += n;
                }
        }
        buf_adds(b, i < len ? "...\"" : "\"");
}
