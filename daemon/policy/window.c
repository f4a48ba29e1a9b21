/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/window.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define EVERY_DAY 0x7fu

static const char day_names[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* Return: 0..6, or -1. @s is moved behind it. */
static int take_day(const char **s) {
        for (int i = 0; i < 7; i++)
                if (strncmp(*s, day_names[i], 3) == 0) {
                        *s += 3;
                        return i;
                }
        return -1;
}

/* "daily", "mon", "fri-mon", "mon,wed-fri" up to a blank. Return: the set, 0 when it is none. */
static unsigned take_days(const char **s) {
        unsigned days = 0;

        if (strncmp(*s, "daily", 5) == 0) {
                *s += 5;
                return EVERY_DAY;
        }
        for (;;) {
                int first = take_day(s), last = first;

                if (first >= 0 && **s == '-') {
                        (*s)++;
                        last = take_day(s);
                }
                if (first < 0 || last < 0)
                        return 0;
                for (int d = first;; d = (d + 1) % 7) {
                        days |= 1u << d;
                        if (d == last)
                                break;
                }
                if (**s != ',')
                        return days;
                (*s)++;
        }
}

/* "HH:MM" to 24:00. Return: minutes, or -1. */
static int take_time(const char **s) {
        const char *t = *s;
        int hour, minute;

        for (int i = 0; i < 5; i++)
                if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9')
                        return -1;
        hour = (t[0] - '0') * 10 + (t[1] - '0');
        minute = (t[3] - '0') * 10 + (t[4] - '0');
        if (minute > 59 || hour > 24 || (hour == 24 && minute > 0))
                return -1;
        *s += 5;
        return hour * 60 + minute;
}

int policy_window_parse(const char *text, PolicyWindow *ret, const char **ret_why) {
        unsigned days = take_days(&text);
        int from, to = -1;

        if (days == 0 || *text != ' ') {
                *ret_why = "does not begin with days (mon-fri, sat,sun or daily) and a blank";
                return -EINVAL;
        }
        while (*text == ' ')
                text++;
        from = take_time(&text);
        if (from >= 0 && *text == '-') {
                text++;
                to = take_time(&text);
        }
        if (from < 0 || to < 0 || *text) {
                *ret_why = "does not end with two times (01:00-05:00)";
                return -EINVAL;
        }
        if (from == to || from == (int)MINUTES_PER_DAY || to == 0) {
                *ret_why = "has no length, or a day's end where its begin should stand; a whole day is 00:00-24:00";
                return -EINVAL;
        }
        *ret = (PolicyWindow){.days = (uint8_t)days, .from_minute = (uint16_t)from, .to_minute = (uint16_t)to};
        return 0;
}

char *policy_window_format(const PolicyWindow *w, char *buf, size_t size) {
        char days[32] = "";
        size_t n = 0;

        if (w->days == EVERY_DAY)
                n = (size_t)snprintf(days, sizeof(days), "daily");
        for (unsigned d = 0; d < 7 && w->days != EVERY_DAY; d++) {
                unsigned last = d;

                if (!(w->days & 1u << d))
                        continue;
                while (last < 6 && (w->days & 1u << (last + 1)))
                        last++;
                n += (size_t)snprintf(days + n, sizeof(days) - n, "%s%s", n ? "," : "", day_names[d]);
                if (last > d)
                        n += (size_t)snprintf(days + n, sizeof(days) - n, "-%s", day_names[last]);
                d = last;
        }
        snprintf(buf, size, "%s %02u:%02u-%02u:%02u", days, w->from_minute / 60u, w->from_minute % 60u,
                 w->to_minute / 60u, w->to_minute % 60u);
        return buf;
}

static bool window_holds(const PolicyWindow *w, unsigned week_minute) {
        unsigned day = week_minute / MINUTES_PER_DAY, minute = week_minute % MINUTES_PER_DAY, eve = (day + 6) % 7;

        if (w->from_minute < w->to_minute)
                return (w->days & 1u << day) && minute >= w->from_minute && minute < w->to_minute;
        return ((w->days & 1u << day) && minute >= w->from_minute) || ((w->days & 1u << eve) && minute < w->to_minute);
}

bool policy_windows_hold(const PolicyWindows *w, unsigned week_minute) {
        for (unsigned i = 0; i < min_of(w->n, (unsigned)POLICY_WINDOWS_MAX); i++)
                if (window_holds(&w->window[i], week_minute % MINUTES_PER_WEEK))
                        return true;
        return false;
}

static bool is_open(const PolicyWindows *allow, const PolicyWindows *forbid, unsigned week_minute) {
        return (allow->n == 0 || policy_windows_hold(allow, week_minute)) && !policy_windows_hold(forbid, week_minute);
}

/* It opens where one of @allow begins, one of @forbid ends, or never. */
unsigned policy_windows_wait(const PolicyWindows *allow, const PolicyWindows *forbid, unsigned week_minute) {
        unsigned best = MINUTES_PER_WEEK;

        if (is_open(allow, forbid, week_minute))
                return 0;
        for (unsigned i = 0; i < allow->n + forbid->n; i++) {
                const PolicyWindow *w = i < allow->n ? &allow->window[i] : &forbid->window[i - allow->n];
                unsigned edge = i < allow->n ? w->from_minute : w->to_minute;

                for (unsigned day = 0; day < 7; day++) {
                        unsigned at = day * MINUTES_PER_DAY + edge; /* a day too many is harmless: is_open() judges */
                        unsigned wait = (at + MINUTES_PER_WEEK - week_minute % MINUTES_PER_WEEK) % MINUTES_PER_WEEK;

                        if (wait > 0 && wait < best && is_open(allow, forbid, (week_minute + wait) % MINUTES_PER_WEEK))
                                best = wait;
                }
        }
        return best;
}
