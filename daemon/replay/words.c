/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/words.h"

#include <stdio.h>

#include "util/clock.h"

const char *replay_short_time(char buf[static REPLAY_WORDS_MAX], uint64_t usec) {
        unsigned long long s = usec / USEC_PER_SEC + (usec % USEC_PER_SEC >= USEC_PER_SEC / 2), m = (s + 30) / 60;

        if (usec == USEC_INFINITY || s > 9999ULL * 86400)
                snprintf(buf, REPLAY_WORDS_MAX, "never");
        else if (s < 120)
                snprintf(buf, REPLAY_WORDS_MAX, "%llus", s);
        else if (m < 120)
                snprintf(buf, REPLAY_WORDS_MAX, "%llum", m);
        else if (m < 48 * 60)
                snprintf(buf, REPLAY_WORDS_MAX, "%lluh%02llu", m / 60, m % 60);
        else
                snprintf(buf, REPLAY_WORDS_MAX, "%llud%lluh", m / 1440, m % 1440 / 60);
        return buf;
}

const char *replay_clock(char buf[static REPLAY_WORDS_MAX], uint64_t usec) {
        unsigned long long s = usec / USEC_PER_SEC, d = s / 86400;

        if (d > 0)
                snprintf(buf, REPLAY_WORDS_MAX, "%llud %02llu:%02llu:%02llu", d, s % 86400 / 3600, s % 3600 / 60,
                         s % 60);
        else
                snprintf(buf, REPLAY_WORDS_MAX, "%llu:%02llu:%02llu", s / 3600, s % 3600 / 60, s % 60);
        return buf;
}
