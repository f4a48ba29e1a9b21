/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/scalars.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

typedef unsigned __int128 Wide;
#define WIDE_MAX (~(Wide)0)

static bool wide_times(Wide *v, unsigned factor) {
        if (*v > WIDE_MAX / factor)
                return false;
        *v *= factor;
        return true;
}

typedef struct Suffix {
        unsigned shift; /* times 2^shift */
        int exponent;   /* times 10^exponent */
} Suffix;

/* "e9", "E-3": digits after the letter; two are more than 64 bits can hold. */
static int suffix_scientific(const char *s, Suffix *ret) {
        const char *p = s + 1;
        bool minus = *p == '-';
        int e = 0;

        if (*p == '-' || *p == '+')
                p++;
        if (!isdigit((unsigned char)*p))
                return -EINVAL;
        for (; isdigit((unsigned char)*p); p++) {
                e = e * 10 + (*p - '0');
                if (e > 99)
                        return -ERANGE;
        }
        if (*p)
                return -EINVAL;
        *ret = (Suffix){.exponent = minus ? -e : e};
        return 0;
}

static int suffix_parse(const char *s, Suffix *ret) {
        static const struct {
                const char *text;
                Suffix suffix;
        } rows[] = {
                {"", {0, 0}},    {"n", {0, -9}},  {"u", {0, -6}},  {"m", {0, -3}},  {"k", {0, 3}},   {"M", {0, 6}},
                {"G", {0, 9}},   {"T", {0, 12}},  {"P", {0, 15}},  {"E", {0, 18}},  {"Ki", {10, 0}}, {"Mi", {20, 0}},
                {"Gi", {30, 0}}, {"Ti", {40, 0}}, {"Pi", {50, 0}}, {"Ei", {60, 0}},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (strcmp(s, rows[i].text) == 0) {
                        *ret = rows[i].suffix;
                        return 0;
                }
        return *s == 'e' || *s == 'E' ? suffix_scientific(s, ret) : -EINVAL;
}

/* Divides by 10^n, up: a remainder of any step is a fraction of the result. */
static Wide divide_up(Wide v, int n) {
        bool rest = false;

        for (; n > 0 && v > 0; n--) {
                rest |= v % 10 != 0;
                v /= 10;
        }
        return v + (rest ? 1 : 0);
}

int kube_quantity_parse(const char *s, uint64_t *ret) {
        const char *p = s + (*s == '+');
        Wide v = 0;
        bool any = false, point = false, fits = true;
        Suffix suffix;
        int e, n_fraction = 0;

        for (; isdigit((unsigned char)*p) || (*p == '.' && !point); p++) {
                if (*p == '.') {
                        point = true;
                        continue;
                }
                any = true;
                n_fraction += point;
                fits = fits && v <= (WIDE_MAX - 9) / 10;
                if (fits)
                        v = v * 10 + (unsigned)(*p - '0');
        }
        if (!any)
                return -EINVAL;
        e = suffix_parse(p, &suffix);
        if (e < 0)
                return e;
        suffix.exponent -= n_fraction;
        for (; suffix.exponent < 0 && v % 10 == 0 && v > 0; suffix.exponent++) /* "1.50000Ei" must not overflow */
                v /= 10;
        for (unsigned i = 0; fits && i < suffix.shift; i++)
                fits = wide_times(&v, 2);
        for (int i = 0; fits && v > 0 && i < suffix.exponent; i++)
                fits = wide_times(&v, 10);
        v = divide_up(v, -suffix.exponent);
        if (!fits || v > UINT64_MAX)
                return -ERANGE;
        *ret = (uint64_t)v;
        return 0;
}

/* @n digits at @*p. Return: -1 when they are not there. */
static int digits(const char **p, unsigned n) {
        int v = 0;

        for (; n > 0; n--, (*p)++) {
                if (!isdigit((unsigned char)**p))
                        return -1;
                v = v * 10 + (**p - '0');
        }
        return v;
}

static bool skip(const char **p, char c) {
        if (**p != c)
                return false;
        (*p)++;
        return true;
}

static uint64_t fraction_usec(const char **p) {
        uint64_t v = 0, unit = USEC_PER_SEC / 10;

        for (; isdigit((unsigned char)**p); (*p)++, unit /= 10)
                v += (uint64_t)(**p - '0') * unit;
        return v;
}

/* "Z" or "+02:00", to the end. Units: seconds east. */
static bool zone(const char *p, int *ret_s) {
        int sign = *p == '-' ? -1 : 1, h, m;

        *ret_s = 0;
        if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
                return true;
        if (*p != '+' && *p != '-')
                return false;
        p++;
        h = digits(&p, 2);
        if (h < 0 || h > 23 || !skip(&p, ':'))
                return false;
        m = digits(&p, 2);
        *ret_s = sign * (h * 3600 + m * 60);
        return m >= 0 && m <= 59 && *p == '\0';
}

static int month_days(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return days[month] + (month == 1 && leap);
}

static bool day_and_clock(const char **p, struct tm *ret) {
        struct tm t = {0};

        t.tm_year = digits(p, 4) - 1900;
        if (!skip(p, '-'))
                return false;
        t.tm_mon = digits(p, 2) - 1;
        if (!skip(p, '-'))
                return false;
        t.tm_mday = digits(p, 2);
        if (!skip(p, 'T') && !skip(p, 't'))
                return false;
        t.tm_hour = digits(p, 2);
        if (!skip(p, ':'))
                return false;
        t.tm_min = digits(p, 2);
        if (!skip(p, ':'))
                return false;
        t.tm_sec = digits(p, 2);
        *ret = t;
        /* a leap second, 60, is the next minute to timegm(): as good as any */
        return t.tm_year >= 70 && t.tm_mon >= 0 && t.tm_mon <= 11 && t.tm_mday >= 1 &&
               t.tm_mday <= month_days(t.tm_year + 1900, t.tm_mon) && t.tm_hour >= 0 && t.tm_hour <= 23 &&
               t.tm_min >= 0 && t.tm_min <= 59 && t.tm_sec >= 0 && t.tm_sec <= 60;
}

int kube_time_parse(const char *s, uint64_t *ret_real_usec) {
        struct tm t;
        uint64_t usec = 0;
        int east_s;
        time_t at;

        if (!day_and_clock(&s, &t))
                return -EINVAL;
        if (skip(&s, '.')) {
                if (!isdigit((unsigned char)*s))
                        return -EINVAL;
                usec = fraction_usec(&s);
        }
        if (!zone(s, &east_s))
                return -EINVAL;
        at = timegm(&t) - east_s;
        if (at < 0)
                return -EINVAL;
        *ret_real_usec = (uint64_t)at * USEC_PER_SEC + usec;
        return 0;
}

const char *kube_time_format(char buf[static KUBE_TIME_MAX], uint64_t real_usec, bool micro) {
        time_t at = (time_t)(real_usec / USEC_PER_SEC);
        struct tm t;
        size_t n;

        buf[0] = '\0';
        if (!gmtime_r(&at, &t) || t.tm_year > 9999 - 1900)
                return buf;
        n = strftime(buf, KUBE_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &t);
        if (micro)
                n += (size_t)snprintf(buf + n, KUBE_TIME_MAX - n, ".%06u", (unsigned)(real_usec % USEC_PER_SEC));
        snprintf(buf + n, KUBE_TIME_MAX - n, "Z");
        return buf;
}
