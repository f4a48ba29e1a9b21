/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buf.h"

#include <stdio.h>
#include <string.h>

void buf_done(Buf *b) {
        free(b->data);
        *b = (Buf){.max = b->max};
}

void buf_reset(Buf *b) {
        b->len = 0;
        b->failed = false;
        if (b->data)
                b->data[0] = '\0';
}

static bool buf_reserve(Buf *b, size_t extra) {
        size_t max = b->max ? b->max : BUF_MAX_DEFAULT, want, cap;
        char *p;

        if (b->failed)
                return false;
        if (__builtin_add_overflow(b->len, extra, &want) || want >= max)
                goto fail;
        want++; /* NUL */
        if (want <= b->cap)
                return true;
        for (cap = b->cap ? b->cap : 256; cap < want;)
                cap = cap > max / 2 ? max : cap * 2;
        cap = min_of(cap, max);
        p = realloc(b->data, cap);
        if (!p)
                goto fail;
        b->data = p;
        b->cap = cap;
        return true;
fail:
        b->failed = true;
        return false;
}

void buf_add(Buf *b, const void *p, size_t n) {
        if (n == 0 || !buf_reserve(b, n))
                return;
        memcpy(b->data + b->len, p, n);
        b->len += n;
        b->data[b->len] = '\0';
}

void buf_adds(Buf *b, const char *s) {
        if (s)
                buf_add(b, s, strlen(s));
}

void buf_addc(Buf *b, char c) {
        buf_add(b, &c, 1);
}

void buf_vaddf(Buf *b, const char *fmt, va_list ap) {
        va_list again;
        int n;

        va_copy(again, ap);
        n = vsnprintf(NULL, 0, fmt, ap);
        if (n < 0)
                b->failed = true;
        else if (n > 0 && buf_reserve(b, (size_t)n)) {
                vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
                b->len += (size_t)n;
        }
        va_end(again);
}

void buf_addf(Buf *b, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        buf_vaddf(b, fmt, ap);
        va_end(ap);
}

void buf_addu(Buf *b, uint64_t v) {
        char tmp[20];
        size_t i = sizeof(tmp);

        do {
                tmp[--i] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        buf_add(b, tmp + i, sizeof(tmp) - i);
}

const char *buf_str(const Buf *b) {
        return b->data ? b->data : "";
}
