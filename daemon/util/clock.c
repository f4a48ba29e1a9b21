/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <time.h>

static uint64_t read_usec(clockid_t id) {
        struct timespec ts;

        if (clock_gettime(id, &ts) < 0)
                return 0; /* only an unknown clock id fails, and all three exist since 2.6.39 */
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
