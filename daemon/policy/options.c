/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

const PolicyOptions policy_options_default = {
        .startup_grace_usec = 2 * USEC_PER_MINUTE,
        .hysteresis_ratio = 0.05,
        .last_moment_usec = 2 * USEC_PER_SEC,
        .rung =
                {
                        [RUNG_ALERT] =
                                {
                                        .enabled = true,
                                        .used_ratio = 0.80,
                                        .eta_usec = 30 * USEC_PER_MINUTE,
                                        .hold_usec = 10 * USEC_PER_SEC,
                                        .cooldown_usec = USEC_PER_HOUR,
                                },
                        [RUNG_RECLAIM] =
                                {
                                        .enabled = true,
                                        .used_ratio = 0.85,
                                        .eta_usec = 15 * USEC_PER_MINUTE,
                                        .hold_usec = 10 * USEC_PER_SEC,
                                        .cooldown_usec = 10 * USEC_PER_MINUTE,
                                },
                        [RUNG_ROTATE] =
                                {
                                        .enabled = true,
                                        .used_ratio = 0.92,
                                        .eta_usec = POLICY_ETA_NEEDS,
                                        .hold_usec = 5 * USEC_PER_SEC,
                                        .cooldown_usec = 30 * USEC_PER_MINUTE,
                                },
                },
        .reclaim_min_yield_bytes = 16 * 1024 * 1024,
        .reclaim_min_yield_ratio = 0.02,
        .reclaim_strikes = 2,
        .reclaim_settle_usec = 10 * USEC_PER_SEC,
        .rotate_needs_usec =
                {
                        [NEED_DRAIN] = 30 * USEC_PER_SEC,
                        [NEED_STARTUP] = 2 * USEC_PER_MINUTE,
                        [NEED_RETRIES] = 90 * USEC_PER_SEC,
                },
        .rotate_margin_usec = USEC_PER_MINUTE,
        .rotate_max = 3,
        .rotate_window_usec = USEC_PER_DAY,
};
