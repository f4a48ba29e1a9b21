/* SPDX-License-Identifier: Apache-2.0
 *
 * Maintenance windows: when the week has room for what is not urgent. Pure: a week is 10080 minutes from Monday 00:00,
 * and the daemon says which of them it is, in UTC or local time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_WINDOWS_MAX 16
#define MINUTES_PER_DAY    1440u
#define MINUTES_PER_WEEK   (7 * MINUTES_PER_DAY)

/* From @from until before @to on each of @days; with to <= from until @to on the day after. */
typedef struct PolicyWindow {
        uint8_t days;                    /* bit 0 is Monday */
        uint16_t from_minute, to_minute; /* 0..1439; 1..1440 */
} PolicyWindow;

typedef struct PolicyWindows {
        PolicyWindow window[POLICY_WINDOWS_MAX];
        unsigned n;
} PolicyWindows;

/**
 * policy_window_parse() - "mon-fri 01:00-05:00", "sat,sun 22:00-06:00", "daily 00:00-24:00"
 * @ret_why: what is wrong, static; set with -EINVAL
 * Return: 0; -EINVAL. @ret untouched on failure.
 */
int policy_window_parse(const char *text, PolicyWindow *ret, const char **ret_why);
/* policy_window_format() - as it is read again. @size: 48 are enough. Return: @buf. */
char *policy_window_format(const PolicyWindow *w, char *buf, size_t size);

/* policy_windows_hold() - does minute @week_minute of the week lie in one of them? */
bool policy_windows_hold(const PolicyWindows *w, unsigned week_minute);

/**
 * policy_windows_wait() - minutes until something not urgent may be done
 * It may where @allow is empty or holds, and @forbid does not.
 * Return: 0: now; MINUTES_PER_WEEK: never in a week.
 */
unsigned policy_windows_wait(const PolicyWindows *allow, const PolicyWindows *forbid, unsigned week_minute);
