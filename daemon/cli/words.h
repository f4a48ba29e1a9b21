/* SPDX-License-Identifier: Apache-2.0
 *
 * The sentences that `status` and `watch` share: what the forecast says, how fast it grows, how long ago. Times are
 * rounded as a person would say them; the exact figures are in --json.
 */
#pragma once

#include "cli/term.h"
#include "trend/trend.h"
#include "util/buf.h"

#define WORDS_MAX 160

/* words_time() - "45 s", "2 min 10 s", "12 min", "1 h 20 min", "3 d 4 h": two units at most, rounded; "never" for
 * USEC_INFINITY. */
const char *words_time(char buf[static WORDS_MAX], uint64_t usec);

/**
 * words_forecast() - "limit in 51 min (38 min to 1 h 20 min, 90 %)", "flat", "no forecast yet: ..."
 * @fit:         as trend_fit() gives it
 * @min_span_usec: what TREND_WAIT waits for; 0 = not known
 * @usage_bytes: of the newest sample, to say that the limit is reached
 * @ret_style:   how bad it is: under 15 minutes is bad, under 2 hours a warning
 */
const char *words_forecast(char buf[static WORDS_MAX], const TrendFit *fit, uint64_t min_span_usec,
                           uint64_t usage_bytes, Style *ret_style);

/* words_growth() - "+18.2 MB/min", "-1.20 MB/h"; "0 B/s" when the slope's interval contains zero; "" in TREND_WAIT. */
const char *words_growth(char buf[static WORDS_MAX], const TrendFit *fit);

/* words_usage_style() - colour of a share of the limit: below 0.8 good, below 0.95 a warning, above bad. */
Style words_usage_style(double ratio);

/* words_clock() - "14:02:05" in local time, with the date in front when it is not the day of @now. */
const char *words_clock(char buf[static WORDS_MAX], uint64_t real_usec, uint64_t now_real_usec);
