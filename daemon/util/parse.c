/* SPDX-License-Identifier: Apache-2.0 */
#include "util/parse.h"

#include <string.h>

#include "util/clock.h"

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* What digits[.digits] says: whole + frac / scale. `over`: it does not fit, which is only worth saying when the rest of
 * the text turns out to be of the form. */
typedef struct Decimal {
        uint64_t whole, frac, scale;
        bool over;
} Decimal;

#define FRACTION_SCALE_MAX 1000000000000000000ULL /* 18 digits: frac * 2^50 still fits into 128 bits */

static void add_digit(uint64_t *v, char c, bool *over) {
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, (uint64_t)(c - '0'), v))
                *over = true;
}

static int read_decimal(const char **p, Decimal *ret) {
        Decimal d = {.scale = 1};
        const char *s = *p;

        if (!is_digit(*s))
                return -EINVAL;
        for (; is_digit(*s); s++)
                add_digit(&d.whole, *s, &d.over);
        if (*s == '.') {
                if (!is_digit(*++s))
                        return -EINVAL;
                for (; is_digit(*s); s++) {
                        if (d.scale == FRACTION_SCALE_MAX) {
                                d.over = true;
                                continue;
                        }
                        add_digit(&d.frac, *s, &d.over);
                        d.scale *= 10;
                }
        }
        *p = s;
        *ret = d;
        return 0;
}

/* d * factor in integers, truncated; exact for every input that has an exact answer. What is not 0 never becomes 0. */
static int decimal_times(Decimal d, uint64_t factor, uint64_t *ret) {
        unsigned __int128 v = (unsigned __int128)d.whole * factor + (unsigned __int128)d.frac * factor / d.scale;

        if (d.over || v > UINT64_MAX || (v == 0 && (d.whole || d.frac)))
                return -ERANGE;
        *ret = (uint64_t)v;
        return 0;
}

static double decimal_double(Decimal d) {
        return (double)d.whole + (double)d.frac / (double)d.scale;
}

int parse_u64(const char *s, uint64_t *ret) {
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        if (*s != '\0' || d.scale != 1)
                return -EINVAL;
        return decimal_times(d, 1, ret);
}

int parse_double(const char *s, double *ret) {
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        if (*s != '\0')
                return -EINVAL;
        if (d.over)
                return -ERANGE;
        *ret = decimal_double(d);
        return 0;
}

int parse_bool(const char *s, bool *ret) {
        static const struct {
                const char *word;
                bool value;
        } words[] = {{"true", true}, {"yes", true}, {"on", true}, {"false", false}, {"no", false}, {"off", false}};

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(s, words[i].word) == 0) {
                        *ret = words[i].value;
                        return 0;
                }
        return -EINVAL;
}

int parse_bytes(const char *s, uint64_t *ret) {
        static const struct {
                const char *unit;
                uint64_t factor;
        } units[] = {
                {"", 1}, {"B", 1},
                {"k", 1000}, {"K", 1000}, {"kB", 1000}, {"KB", 1000}, {"Ki", 1ULL << 10}, {"KiB", 1ULL << 10},
                {"M", 1000000}, {"MB", 1000000}, {"Mi", 1ULL << 20}, {"MiB", 1ULL << 20},
                {"G", 1000000000}, {"GB", 1000000000}, {"Gi", 1ULL << 30}, {"GiB", 1ULL << 30},
                {"T", 1000000000000}, {"TB", 1000000000000}, {"Ti", 1ULL << 40}, {"TiB", 1ULL << 40},
                {"P", 1000000000000000}, {"PB", 1000000000000000}, {"Pi", 1ULL << 50}, {"PiB", 1ULL << 50},
        };
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (strcmp(s, units[i].unit) != 0)
                        continue;
                if (units[i].factor == 1 && d.scale != 1)
                        return -EINVAL; /* a fraction of a byte */
                return decimal_times(d, units[i].factor, ret);
        }
        return -EINVAL;
}

int parse_duration(const char *s, uint64_t *ret_usec) {
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = {/* longest first: "ms" before "m" */
                     {"us", 1}, {"ms", USEC_PER_MSEC}, {"min", USEC_PER_MINUTE}, {"s", USEC_PER_SEC},
                     {"m", USEC_PER_MINUTE}, {"h", USEC_PER_HOUR}, {"d", USEC_PER_DAY}};
        uint64_t total = 0, part = 0, last = UINT64_MAX;
        bool over = false;

        if (strcmp(s, "0") == 0) {
                *ret_usec = 0;
                return 0;
        }
        do {
                Decimal d;
                size_t i;
                int r = read_decimal(&s, &d);

                if (r < 0)
                        return r;
                for (i = 0; i < ELEMENTSOF(units); i++)
                        if (strncmp(s, units[i].unit, strlen(units[i].unit)) == 0)
                                break;
                if (i == ELEMENTSOF(units) || units[i].usec >= last)
                        return -EINVAL; /* no unit, or units that do not fall: "30m1h", "1s1s" */
                last = units[i].usec;
                s += strlen(units[i].unit);
                if (decimal_times(d, units[i].usec, &part) < 0 || __builtin_add_overflow(total, part, &total))
                        over = true;
        } while (*s);
        if (over || total == USEC_INFINITY)
                return -ERANGE;
        *ret_usec = total;
        return 0;
}

int parse_ratio(const char *s, double *ret) {
        double v, unit = 1;
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        if (strcmp(s, "%") == 0)
                unit = 100;
        else if (*s != '\0')
                return -EINVAL;
        v = decimal_double(d) / unit;
        if (d.over || v > 1)
                return -ERANGE;
        *ret = v;
        return 0;
}
