/* SPDX-License-Identifier: Apache-2.0 */
#include "util/parse.h"

#include <math.h>
#include <string.h>

#include "util/clock.h"

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* Reads digits[.digits] exactly: `whole`, and `frac` / 10^`n_frac`. At most 9 fraction digits. */
typedef struct Decimal {
        uint64_t whole, frac, scale;
} Decimal;

static int read_decimal(const char **p, Decimal *ret) {
        Decimal d = {.scale = 1};
        const char *s = *p;

        if (!is_digit(*s))
                return -EINVAL;
        for (; is_digit(*s); s++)
                if (__builtin_mul_overflow(d.whole, 10, &d.whole) || __builtin_add_overflow(d.whole, (uint64_t)(*s - '0'), &d.whole))
                        return -ERANGE;
        if (*s == '.') {
                if (!is_digit(*++s))
                        return -EINVAL;
                for (; is_digit(*s); s++) {
                        if (d.scale >= 1000000000)
                                return -ERANGE;
                        d.frac = d.frac * 10 + (uint64_t)(*s - '0');
                        d.scale *= 10;
                }
        }
        *p = s;
        *ret = d;
        return 0;
}

/* d * factor in integers, truncated; exact for every input that has an exact answer. */
static int decimal_times(Decimal d, uint64_t factor, uint64_t *ret) {
        unsigned __int128 v = (unsigned __int128)d.whole * factor + (unsigned __int128)d.frac * factor / d.scale;

        if (v > UINT64_MAX)
                return -ERANGE;
        *ret = (uint64_t)v;
        return 0;
}

int parse_u64(const char *s, uint64_t *ret) {
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        if (*s != '\0' || d.scale != 1)
                return -EINVAL;
        *ret = d.whole;
        return 0;
}

int parse_double(const char *s, double *ret) {
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        if (*s != '\0')
                return -EINVAL;
        *ret = (double)d.whole + (double)d.frac / (double)d.scale;
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
        uint64_t v;
        Decimal d;
        int r = read_decimal(&s, &d);

        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (strcmp(s, units[i].unit) != 0)
                        continue;
                if (units[i].factor == 1 && d.scale != 1)
                        return -EINVAL; /* a fraction of a byte */
                r = decimal_times(d, units[i].factor, &v);
                if (r < 0)
                        return r;
                if (v == 0 && (d.whole || d.frac))
                        return -ERANGE;
                *ret = v;
                return 0;
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
        uint64_t total = 0, part, last = UINT64_MAX;

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
                r = decimal_times(d, units[i].usec, &part);
                if (r < 0 || __builtin_add_overflow(total, part, &total) || total == USEC_INFINITY)
                        return -ERANGE;
        } while (*s);
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
        v = ((double)d.whole + (double)d.frac / (double)d.scale) / unit;
        if (!(v >= 0 && v <= 1))
                return -ERANGE;
        *ret = v;
        return 0;
}
