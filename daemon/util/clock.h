/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, in one unit: microseconds in a uint64_t. Stages never read a clock themselves (trend and policy are pure);
 * the daemon reads it once a tick and hands it down.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define USEC_PER_MSEC 1000ULL
#define USEC_PER_SEC 1000000ULL
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)
#define USEC_INFINITY UINT64_MAX /* "never": saturates, is never added to */

/* now_boot_usec() - CLOCK_BOOTTIME (since Linux 2.6.39), which counts through suspend: samples are stamped with it. */
uint64_t now_boot_usec(void);

/* now_real_usec() - CLOCK_REALTIME since the epoch; for people and for wire formats only, never for differences. */
uint64_t now_real_usec(void);

/* clock_week_minute() - minutes since Monday 00:00 of a time since the epoch, in UTC or local time; -1 = not known. */
int clock_week_minute(uint64_t real_usec, bool local);

/* now_mono_usec() - CLOCK_MONOTONIC; for deadlines of operations in this process. */
uint64_t now_mono_usec(void);

/* now_cpu_usec() - CLOCK_PROCESS_CPUTIME_ID: what this process has used; for differences. */
uint64_t now_cpu_usec(void);
