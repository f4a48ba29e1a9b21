/* SPDX-License-Identifier: Apache-2.0
 *
 * Time arithmetic of the ladder, and the lengths that are no setting. Internal to policy/. Nothing here over- or
 * underflows, whatever the clock does: differences stop at zero, products at USEC_INFINITY.
 * Nobody outside includes this; the daemon only sees policy.h.
 */
#pragma once

#include "policy/policy.h"
#include "util/cleanup.h"

#define RECLAIM_REST_COOLDOWNS 6                     /* what follows the last strike */
#define ROTATE_RETRY_USEC (30 * USEC_PER_SEC)        /* after a rotation that did not happen; then four times as long */

/* elapsed_usec() - from @since to @now; a clock that ran backwards makes it 0. */
static inline uint64_t elapsed_usec(uint64_t now, uint64_t since) {
        return now > since ? now - since : 0;
}

/* left_usec() - what is left at @now of @length since @since. */
static inline uint64_t left_usec(uint64_t now, uint64_t since, uint64_t length) {
        uint64_t gone = elapsed_usec(now, since);

        return length > gone ? length - gone : 0;
}

static inline uint64_t multiply_usec(uint64_t usec, uint64_t by) {
        return by > 0 && usec > USEC_INFINITY / by ? USEC_INFINITY : usec * by;
}
