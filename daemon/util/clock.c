/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <time.h>

static uint64_t read_usec(clockid_t id) {
        struct timespec ts;

        if (clock_gettime(id, &ts) < 0)
                return 0; /* only an unknown clock id fails, and all four exist since 2.6.39 */
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t now_boot_usec(void) {
        return read_usec(CLOCK_BOOTTIME);
}

uint64_t now_real_usec(void) {
        return read_usec(CLOCK_REALTIME);
}

uint64_t now_mono_usec(void) {
        return read_usec(CLOCK_MONOTONIC);
}

uint64_t now_cpu_usec(void) {
        return read_usec(CLOCK_PROCESS_CPUTIME_ID);
}

int clock_week_minute(uint64_t real_usec, bool local) {
        time_t t = (time_t)(real_usec / USEC_PER_SEC);
        struct tm tm;

        if (!(local ? localtime_r(&t, &tm) : gmtime_r(&t, &tm)))
                return -1;
        return ((tm.tm_wday + 6) % 7 * 24 + tm.tm_hour) * 60 + tm.tm_min; /* tm_wday 0 is Sunday */
}
