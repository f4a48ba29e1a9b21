/* SPDX-License-Identifier: Apache-2.0 */
#include "util/format.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

static void format_scaled(char *buf, double v, const char *suffix) {
        static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
        size_t i = 0;

        /* 999.5 would print as "1000 kB" */
        while (v >= 999.5 && i + 1 < ELEMENTSOF(units)) {
                v /= 1000;
                i++;
        }
        snprintf(buf, FORMAT_MAX, "%.*f %s%s", i == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, units[i], suffix);
}

const char *format_bytes(char buf[static FORMAT_MAX], uint64_t bytes) {
        format_scaled(buf, (double)bytes, "");
        return buf;
}

const char *format_signed_bytes(char buf[static FORMAT_MAX], int64_t bytes) {
        char tmp[FORMAT_MAX];

        format_scaled(tmp, bytes < 0 ? -(double)bytes : (double)bytes, "");
        snprintf(buf, FORMAT_MAX, "%c%.*s", bytes < 0 ? '-' : '+', FORMAT_MAX - 2, tmp);
        return buf;
}

const char *format_usec(char buf[static FORMAT_MAX], uint64_t usec) {
        unsigned long long s = usec / USEC_PER_SEC;

        if (usec == USEC_INFINITY)
                snprintf(buf, FORMAT_MAX, "never");
        else if (usec < USEC_PER_MSEC)
                snprintf(buf, FORMAT_MAX, "%llu us", (unsigned long long)usec);
        else if (usec < USEC_PER_SEC)
                snprintf(buf, FORMAT_MAX, "%llu ms", (unsigned long long)(usec / USEC_PER_MSEC));
        else if (s < 120)
                snprintf(buf, FORMAT_MAX, "%llu s", s);
        else if (s < 3600)
                snprintf(buf, FORMAT_MAX, "%llu min %02llu s", s / 60, s % 60);
        else if (s < 86400)
                snprintf(buf, FORMAT_MAX, "%llu h %02llu min", s / 3600, s % 3600 / 60);
        else
                snprintf(buf, FORMAT_MAX, "%llu d %llu h", s / 86400, s % 86400 / 3600);
        return buf;
}

const char *format_rate(char buf[static FORMAT_MAX], double v) {
        static const struct {
                double factor;
                const char *suffix;
        } per[] = {{1, "/s"}, {60, "/min"}, {3600, "/h"}, {86400, "/d"}};
        double a = fabs(v);
        char tmp[FORMAT_MAX];
        size_t i = 0;

        if (!isfinite(v) || a > 0x1p64) {
                snprintf(buf, FORMAT_MAX, "unknown");
                return buf;
        }
        while (i + 1 < ELEMENTSOF(per) && a * per[i].factor < 1e6)
                i++;
        format_scaled(tmp, a * per[i].factor, per[i].suffix);
        snprintf(buf, FORMAT_MAX, "%s%.*s", v < 0 && tmp[0] != '0' ? "-" : "", FORMAT_MAX - 2, tmp);
        return buf;
}

const char *format_timestamp(char buf[static FORMAT_MAX], uint64_t real_usec) {
        time_t s = (time_t)(real_usec / USEC_PER_SEC);
        struct tm tm;
        size_t n;

        if (!gmtime_r(&s, &tm) || (n = strftime(buf, FORMAT_MAX, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
                snprintf(buf, FORMAT_MAX, "1970-01-01T00:00:00.000Z");
        else
                snprintf(buf + n, FORMAT_MAX - n, ".%03uZ", (unsigned)(real_usec % USEC_PER_SEC / USEC_PER_MSEC));
        return buf;
}
