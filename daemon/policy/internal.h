/* SPDX-License-Identifier: Apache-2.0
 *
 * Time arithmetic of the ladder, the lengths that are no setting, and which trigger is crossed. Internal to policy/.
 * Nothing here over- or underflows, whatever the clock does: differences stop at zero, products and sums at
 * USEC_INFINITY. Nobody outside includes this; the daemon only sees policy.h.
 */
#pragma once

#include "policy/policy.h"
#include "util/cleanup.h"

#define RECLAIM_REST_COOLDOWNS 6                     /* what follows the last strike */
#define REGROWN_DOUBLINGS_MAX  3                     /* of the cool-down, by reclaims that did not last */
#define REGROWN_RATIO          0.9                   /* so much of what it gave is "back" */
#define ROTATE_RETRY_USEC (30 * USEC_PER_SEC)        /* after a rotation that did not happen; then four times as long */
#define LEARN_USEC_MAX         (30 * USEC_PER_MINUTE)

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

static inline uint64_t add_usec(uint64_t a, uint64_t b) {
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

static inline double input_used_ratio(const PolicyInput *in) {
        return in->limit_bytes > 0 ? (double)in->usage_bytes / (double)in->limit_bytes : 0;
}

/* input_forecasts() - are the forecast's times of reaching the limit valid? */
static inline bool input_forecasts(const PolicyInput *in) {
        return in->trend_known && in->limit_bytes > 0;
}

/**
 * trigger_crossed() - the trigger of @rung that is crossed
 * @slack: each is loosened by it: 0 for crossing, the hysteresis for staying
 * Return: REASON_BELOW when none is; REASON_UNPROVEN when only a forecast would be that is not proved enough.
 */
Reason trigger_crossed(const Policy *p, const PolicyInput *in, Rung rung, double slack);

/* trigger_urgent() - was the point passed behind which rotation is not polite any more? See the banner of policy.h. */
bool trigger_urgent(const Policy *p, const PolicyInput *in);

/* trigger_threshold() - what @trigger is set to, in its unit; 0 = n/a. */
double trigger_threshold(const Policy *p, Rung rung, Reason trigger);
/* trigger_wants_forecast() - may the forecast move @rung, as it is set? */
bool trigger_wants_forecast(const RungOptions *o);
