/* SPDX-License-Identifier: Apache-2.0 */
#include "util/random.h"

#include <sys/random.h>

#include "util/clock.h"

/* splitmix64's finaliser (Steele, Lea, Flood 2014): spreads a clock reading over all 64 bits. */
static uint64_t spread(uint64_t v) {
        v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ULL;
        v = (v ^ (v >> 27)) * 0x94d049bb133111ebULL;
        return v ^ (v >> 31);
}

uint64_t random_u64(void) {
        uint64_t v;

        if (getrandom(&v, sizeof(v), GRND_NONBLOCK) == (ssize_t)sizeof(v))
                return v;
        return spread(now_real_usec() ^ spread(now_mono_usec()));
}

uint64_t random_below(uint64_t n) {
        /* multiply and shift instead of a remainder: the bias of a 64-bit draw is below 2^-20 for every n used here */
        return (uint64_t)(((unsigned __int128)random_u64() * n) >> 64);
}
