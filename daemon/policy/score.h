/* SPDX-License-Identifier: Apache-2.0
 *
 * How good were the forecasts? Now and then one is kept until a quarter of its way to the limit has passed, then it is
 * compared with what came. Pure, fixed memory: no clock, no I/O, no allocation.
 *
 * A forecast says that the room to the limit is used up in `eta`, and in nine cases of ten between `eta_lo` and
 * `eta_hi`. By the time it is looked at, a share of that room should be used up, within the share for each bound. What
 * says nothing about the forecaster (the process ended, memory was given back, the limit moved) is not counted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define SCORE_PENDING_MAX 16
#define SCORE_CHECKED_MAX 64 /* the figures are of the last so many */

typedef struct ScoreInput {
        uint64_t now_usec;
        uint64_t usage_bytes, limit_bytes;       /* limit 0 = none: nothing is kept */
        bool known;                              /* there is a forecast of reaching it: */
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec; /* eta_hi USEC_INFINITY: perhaps never */
} ScoreInput;

typedef struct ScoreForecast {
        uint64_t made_usec, due_usec;
        uint64_t usage_bytes, limit_bytes;
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec;
} ScoreForecast;

typedef struct Score {
        uint64_t checked_total, covered_total, dropped_total;
        /* internal state */
        ScoreForecast pending[SCORE_PENDING_MAX];
        unsigned n_pending;
        uint64_t last_usec; /* when the last one was kept */
        float error_ratio[SCORE_CHECKED_MAX];
        bool covered[SCORE_CHECKED_MAX];
        unsigned head, n;
} Score;

typedef struct ScoreFigures {
        unsigned n;              /* of how many; 0: the rest is not known */
        double error_ratio;      /* median of |came - foretold| / foretold, of growth; 1 = all wrong */
        double error_p90_ratio;
        double covered_ratio;    /* share that lay within the interval: meant to be 0.9 */
        uint64_t checked_total, covered_total, dropped_total;
} ScoreFigures;

/* score_push() - one sample with the forecast made on it; all times on one clock. */
void score_push(Score *s, const ScoreInput *in);
/* score_drop() - what is pending says nothing any more: another process, a reclaim. */
void score_drop(Score *s);
void score_read(const Score *s, ScoreFigures *ret);
