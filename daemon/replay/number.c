/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/number.h"

#include <string.h>
#include <strings.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define EXPONENT_MAX 400 /* beyond it every 64-bit value is 0 or too large */

typedef struct Decimal {
        uint64_t mantissa;
        int exponent;
        bool negative, full;
} Decimal;

static bool is_digit(const char *p, const char *end) {
        return p < end && *p >= '0' && *p <= '9';
}

/* Digits that 64 bits do not hold are dropped: a microsecond of any date and a byte of any memory lie well within. */
static const char *scan_digits(const char *p, const char *end, bool fraction, Decimal *d) {
        for (; is_digit(p, end); p++) {
                uint64_t m;

                if (!d->full && !__builtin_mul_overflow(d->mantissa, 10, &m) &&
                    !__builtin_add_overflow(m, (uint64_t)(*p - '0'), &m)) {
                        d->mantissa = m;
                        d->exponent -= fraction;
                        continue;
                }
                d->full = true;
                if (!fraction && d->exponent < EXPONENT_MAX)
                        d->exponent++;
        }
        return p;
}

static bool scan_exponent(const char *p, const char *end, Decimal *d) {
        bool negative = false;
        int e = 0;

        if (p < end && (*p == '-' || *p == '+'))
                negative = *p++ == '-';
        if (!is_digit(p, end))
                return false;
        for (; is_digit(p, end); p++)
                e = min_of(e * 10 + (*p - '0'), EXPONENT_MAX);
        d->exponent += negative ? -e : e;
        return p == end;
}

static bool scan_decimal(const char *p, const char *end, Decimal *ret) {
        const char *start;

        *ret = (Decimal){0};
        if (p < end && (*p == '-' || *p == '+'))
                ret->negative = *p++ == '-';
        start = p;
        p = scan_digits(p, end, false, ret);
        if (p == start)
                return false;
        if (p < end && *p == '.') {
                start = ++p;
                p = scan_digits(p, end, true, ret);
                if (p == start)
                        return false;
        }
        if (p < end && (*p == 'e' || *p == 'E'))
                return scan_exponent(p + 1, end, ret);
        return p == end;
}

static bool is_word(const char *p, const char *end, const char *word) {
        return (size_t)(end - p) == strlen(word) && strncasecmp(p, word, (size_t)(end - p)) == 0;
}

static NumberKind word_kind(const char *p, const char *end) {
        static const struct {
                const char *word;
                NumberKind kind;
        } words[] = {
                {"", NUMBER_ABSENT},  {"-", NUMBER_ABSENT},  {"nan", NUMBER_ABSENT},    {"null", NUMBER_ABSENT},
                {"inf", NUMBER_HUGE}, {"+inf", NUMBER_HUGE}, {"infinity", NUMBER_HUGE}, {"-inf", NUMBER_NEGATIVE},
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (is_word(p, end, words[i].word))
                        return words[i].kind;
        return NUMBER_BAD;
}

NumberKind number_read(const char *p, const char *end, int shift, uint64_t *ret) {
        Decimal d;
        int e;

        if (!scan_decimal(p, end, &d))
                return word_kind(p, end);
        if (d.negative && d.mantissa > 0)
                return NUMBER_NEGATIVE;
        for (e = d.exponent + shift; e < 0 && d.mantissa > 0; e++)
                d.mantissa /= 10;
        for (; e > 0 && d.mantissa > 0; e--)
                if (__builtin_mul_overflow(d.mantissa, 10, &d.mantissa))
                        return NUMBER_HUGE;
        *ret = d.mantissa;
        return NUMBER_OK;
}

/* ---- dates ---- */

static bool take_fixed(const char **p, const char *end, unsigned digits, char after, unsigned lo, unsigned hi,
                       unsigned *ret) {
        unsigned v = 0;

        for (unsigned i = 0; i < digits; i++) {
                if (!is_digit(*p, end))
                        return false;
                v = v * 10 + (unsigned)(*(*p)++ - '0');
        }
        if (v < lo || v > hi)
                return false;
        if (after && (*p == end || *(*p)++ != after))
                return false;
        *ret = v;
        return true;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar; years are counted from March, so that the leap day is
 * their last. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day) {
        unsigned y = month > 2 ? year : year - 1, shifted = (month + 9) % 12;
        uint64_t days = (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + (shifted * 153 + 2) / 5 + day - 1;

        return days - 719468; /* the same of 1970-01-01 */
}

/* What is behind the seconds: a fraction, and a zone. */
static bool take_rest(const char *p, const char *end, uint64_t *ret_fraction_usec, int *ret_zone_minutes) {
        uint64_t unit = USEC_PER_SEC / 10, fraction = 0;
        unsigned hours, minutes;
        bool west;

        *ret_zone_minutes = 0;
        if (p < end && *p == '.') {
                if (!is_digit(++p, end))
                        return false;
                for (; is_digit(p, end); p++, unit /= 10)
                        fraction += (uint64_t)(*p - '0') * unit;
        }
        *ret_fraction_usec = fraction;
        if (p == end || is_word(p, end, "Z"))
                return true;
        west = *p == '-';
        if (*p != '+' && *p != '-')
                return false;
        p++;
        if (!take_fixed(&p, end, 2, ':', 0, 23, &hours) || !take_fixed(&p, end, 2, 0, 0, 59, &minutes) || p != end)
                return false;
        *ret_zone_minutes = (west ? -1 : 1) * (int)(hours * 60 + minutes);
        return true;
}

bool number_read_time(const char *p, const char *end, uint64_t *ret_usec) {
        unsigned year, month, day, hour, minute, second;
        uint64_t fraction, seconds;
        int zone;

        if (!take_fixed(&p, end, 4, '-', 1971, 4999, &year) || !take_fixed(&p, end, 2, '-', 1, 12, &month) ||
            !take_fixed(&p, end, 2, 0, 1, 31, &day))
                return false;
        if (p == end || (*p != 'T' && *p != 't' && *p != ' '))
                return false;
        p++;
        if (!take_fixed(&p, end, 2, ':', 0, 23, &hour) || !take_fixed(&p, end, 2, ':', 0, 59, &minute) ||
            !take_fixed(&p, end, 2, 0, 0, 60, &second) || !take_rest(p, end, &fraction, &zone))
                return false;
        seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
        *ret_usec = (seconds - (uint64_t)(int64_t)(zone * 60)) * USEC_PER_SEC + fraction;
        return true;
}
