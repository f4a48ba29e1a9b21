/* SPDX-License-Identifier: Apache-2.0
 *
 * Scanning kernel text (/proc, cgroup files) in a buffer with an end: nothing is copied, nothing is written, and a
 * number that does not fit is no number. parse.h is for what people write; this is for the sampling path, hence inline.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/**
 * scan_u64() - decimal digits at *@p; no sign, no blanks
 * @p:   moved behind the last digit, also when the number overflows
 * @ret: untouched on failure
 * Return: false when there is no digit or the value does not fit.
 */
static inline bool scan_u64(const char **p, const char *end, uint64_t *ret) {
        const char *start = *p;
        uint64_t v = 0;
        bool fits = true;

        for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
                unsigned digit = (unsigned)(**p - '0');

                /* 19 digits always fit in 64 bits, so the checked arithmetic starts behind them. */
                if (*p - start < 19)
                        v = v * 10 + digit;
                else if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
                        fits = false;
        }
        if (*p == start || !fits)
                return false;
        *ret = v;
        return true;
}

/* scan_blanks() - skip blanks and tabs. Return: @p moved. */
static inline const char *scan_blanks(const char *p, const char *end) {
        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        return p;
}

/* scan_line_end() - the newline that ends the line at @p, or NULL when the text is cut before it. */
static inline const char *scan_line_end(const char *p, const char *end) {
        return memchr(p, '\n', (size_t)(end - p));
}

/**
 * scan_kib() - the value of a "Key:   123 kB" line
 * @p:   behind the colon
 * @end: the newline. The unit must stand right before it: a line cut short has none
 * @ret: Units: bytes. Untouched on failure
 * Return: false for anything else, also for a value whose bytes do not fit.
 */
static inline bool scan_kib(const char *p, const char *end, uint64_t *ret) {
        uint64_t kib;

        p = scan_blanks(p, end);
        if (!scan_u64(&p, end, &kib) || kib > UINT64_MAX / 1024)
                return false;
        if (end - p != 3 || memcmp(p, " kB", 3) != 0)
                return false;
        *ret = kib * 1024;
        return true;
}
