/* SPDX-License-Identifier: Apache-2.0
 *
 * The odds of a forecast hover about a threshold for as long as the growth is in doubt. So they must hold for a share
 * of the time that the growth has been seen before they prove anything, and time without them counts double against
 * it. A proof stays while the odds are not clearly worse, for a while.
 */
#include "trend/answer.h"

#include <math.h>
#include <string.h>

#include "trend/coefficients.h"
#include "trend/shape.h"
#include "util/cleanup.h"

#define HOLD_MAX_S     900.0 /* nobody waits longer than this for a proof */
#define LATCH_RATIO    0.25  /* of the span: how long a proof outlives its evidence, up to */
#define LATCH_MAX_S    1800.0
#define LATCH_SCORE    1.0   /* ... while the log odds are not worse than this below the threshold */
#define IMMINENT_S     60.0
#define IMMINENT_USED  0.5
#define REACH_LIMIT    0.5 /* of the room: growth that slows down so much ends well below the limit */
#define STILL_ETAS        8.0 /* growth by steps stands still, too: for about as long as a step is to the rest */
#define STALE_RATIO    (1.0 / 256)
#define STALE_SPAN_RATIO (1.0 / 16) /* two buckets of a window */
#define IDLE_SAMPLES   4  /* without a forecast, or a limit: look each so many */
#define STALE_SAMPLES  48 /* a young life is looked at each time */
#define NEGLIGIBLE_S   (30.0 * 24 * 3600)
#define NO_LIMIT_RATIO 2.0   /* without a limit growth is measured against doubling */
#define HEAP_IN_USE_SCORE 0.5 /* set by hand, like the two below: no recorded series has a heap beside it */
#define HEAP_KEPT_SCORE  (-1.0) /* fragmentation slows down by itself as free chunks come to fit */
#define FILE_SCORE       (-2.0) /* file pages can be dropped: the limit does not kill for them */
#define STILL_RATIO      0.1  /* of the life's range within the window: what has risen still does */
#define NOISE_RANGE      0.05 /* of the highest: what varies less is flat, whatever it does */

static uint64_t usec_of(double seconds) {
        if (!(seconds > 0))
                return 0;
        return seconds < 1e12 ? (uint64_t)(seconds * USEC_PER_SEC) : USEC_INFINITY; /* 30,000 years: never */
}

ForecastInput answer_input(const Trend *t) {
        double limit = t->limit_bytes > 0 ? (double)t->limit_bytes : NO_LIMIT_RATIO * fmax(t->bytes, 1);

        return (ForecastInput){.pyramid = &t->pyramid,
                               .cycles = &t->cycles,
                               .now_s = t->now_s,
                               .start_s = t->start_s,
                               .bytes = t->bytes,
                               .limit_bytes = limit,
                               .start_bytes = t->start_bytes,
                               .high_bytes = t->high_bytes};
}

/* Growth that will be over before its evidence could be weighed: half is used, and the rest is gone within a minute at
 * the latest by a line that is beyond doubt, and it did not stand still for longer than the rest is to take. */
static bool is_imminent(const Trend *t) {
        const Forecast *f = &t->forecast;

        return f->known && f->steady && f->life[LIFE_USED] >= IMMINENT_USED && f->hi_s <= IMMINENT_S &&
               t->now_s - t->rise_s <= f->eta_s;
}

/* After a jump of some samples lines point at the limit for as long as the jump is in their windows; by now it would
 * have been reached many times over. */
static bool is_still(const Trend *t) {
        return t->now_s - t->rise_s > STILL_ETAS * t->forecast.eta_s;
}

/* Is this growth likely to end or to come back, which a line does not show? Then nothing is proven as yet; half of the
 * room or more would still be left if it came otherwise. */
static bool is_doubtful(const Trend *t) {
        const Forecast *f = &t->forecast;

        return f->known &&
               (f->reach_ratio < REACH_LIMIT || is_still(t) ||
                cycles_been_there(&t->cycles, t->now_s, t->bytes, f->slope * f->span_s, (double)t->limit_bytes));
}

static TrendProof prove(Trend *t, double step_s) {
        bool known = t->forecast.known && !is_doubtful(t);
        double score = t->forecast_score, span_s = known ? t->forecast.span_s : 0;
        TrendProof proof = TREND_PROOF_NONE;

        for (TrendProof p = TREND_PROOF_ALERT; p < _TREND_PROOF_MAX; p++) {
                TrendHold *h = &t->hold[p];
                const ProofRule *r = &proof_rules[p];

                if (known && score >= r->score)
                        h->held_s += step_s;
                else
                        h->held_s = fmax(0, h->held_s - 2 * step_s);
                if (known && h->held_s > 0 && h->held_s >= fmin(HOLD_MAX_S, r->hold_ratio * span_s)) {
                        h->until_s = t->now_s + fmin(LATCH_MAX_S, LATCH_RATIO * span_s);
                        proof = p;
                } else if (known && h->until_s > 0 && t->now_s < h->until_s && score >= r->score - LATCH_SCORE) {
                        proof = p;
                }
        }
        return proof;
}

/* The shape of the whole life is told anew when its window has got another bucket: a few dozen times in all. */
static void update_shape(Trend *t) {
        static const TrendKind kinds[_SHAPE_MAX] = {[SHAPE_FLAT] = TREND_KIND_FLAT,
                                                    [SHAPE_PLATEAU] = TREND_KIND_PLATEAU,
                                                    [SHAPE_SAWTOOTH] = TREND_KIND_SAWTOOTH,
                                                    [SHAPE_STEP] = TREND_KIND_STEP};
        const TrendLevel *whole = pyramid_whole(&t->pyramid);
        double features[_SHAPE_FEATURES];

        if (!whole || whole->turns == t->shape_turns)
                return;
        t->shape_turns = whole->turns;
        t->shape = TREND_KIND_FLAT;
        if (!shape_features(whole, &t->cycles, features))
                return;
        t->shape = kinds[shape_of(features)];
        if (t->shape == TREND_KIND_FLAT && t->high_bytes - t->low_bytes > NOISE_RANGE * t->high_bytes)
                t->shape = TREND_KIND_NOISE;
}

/* What surveys and page types add to the odds, and whether they name the growth. */
static double other_channels(const Trend *t, const Forecast *f, bool *ret_kept) {
        double since_s = t->now_s - f->span_s, score = 0;
        HeapSays heap = heap_says(&t->heap, since_s, t->now_s);

        *ret_kept = heap == HEAP_KEPT;
        if (heap != HEAP_SILENT)
                score += heap == HEAP_KEPT ? HEAP_KEPT_SCORE : HEAP_IN_USE_SCORE;
        if (heap_says(&t->anon, since_s, t->now_s) == HEAP_KEPT)
                score += FILE_SCORE;
        return score;
}

static void fill_growth(Trend *t) {
        const Forecast *f = &t->forecast;
        TrendFit *fit = &t->fit;
        double since_s = t->now_s - t->forecast_s, left_s = fmax(f->eta_s - since_s, 0);
        double room = fmax((double)t->limit_bytes - f->level_bytes, 0);

        fit->span_usec = usec_of(f->span_s);
        fit->level_bytes = f->level_bytes + f->slope * since_s;
        fit->slope_bytes_per_s = f->slope;
        fit->slope_lo_bytes_per_s = f->slope - FORECAST_Z * f->slope_error;
        fit->slope_hi_bytes_per_s = f->slope + FORECAST_Z * f->slope_error;
        if (t->limit_bytes > 0) {
                fit->eta_usec = usec_of(left_s);
                fit->eta_lo_usec = min_of(usec_of(f->lo_s - since_s), fit->eta_usec);
                fit->eta_hi_usec = max_of(usec_of(f->hi_s - since_s), fit->eta_usec);
        } else {
                room = fabs(f->level_bytes);
        }
        fit->r2_ratio = f->r2_ratio;
        fit->residual_bytes = f->scatter_bytes;
        fit->state = f->slope > room / NEGLIGIBLE_S ? TREND_GROWING : TREND_FLAT;
}

/* No line rises. The whole life's line may fall. */
static void fill_rest(Trend *t) {
        const TrendLevel *whole = pyramid_whole(&t->pyramid);
        TrendFit *fit = &t->fit;

        fit->state = TREND_FLAT;
        fit->level_bytes = t->bytes;
        fit->span_usec = usec_of(t->now_s - t->start_s);
        if (!whole || !whole->solved)
                return;
        fit->level_bytes = line_value(&whole->line, t->now_s);
        fit->slope_bytes_per_s = whole->line.slope;
        fit->r2_ratio = whole->line.r2_ratio;
        fit->residual_bytes = whole->line.scatter;
        fit->slope_lo_bytes_per_s = whole->line.slope - FORECAST_Z * whole->line.error;
        fit->slope_hi_bytes_per_s = whole->line.slope + FORECAST_Z * whole->line.error;
        if (fit->slope_hi_bytes_per_s < 0 && -whole->line.slope > fabs(fit->level_bytes) / NEGLIGIBLE_S)
                fit->state = TREND_SHRINKING;
}

static TrendKind kind_of(const Trend *t) {
        const Forecast *f = &t->forecast;

        if (f->known && t->forecast_kept)
                return TREND_KIND_FRAG;
        if (t->fit.proof >= TREND_PROOF_ALERT)
                return TREND_KIND_LEAK;
        if (t->shape == TREND_KIND_PLATEAU && f->known && f->reach_ratio >= 1 &&
            f->slope * f->span_s > STILL_RATIO * (t->high_bytes - t->low_bytes))
                return TREND_KIND_WARMUP;
        return t->shape;
}

static bool is_enough(const Trend *t) {
        return t->n >= t->options.min_samples && usec_of(t->now_s - t->start_s) >= t->options.min_span_usec;
}

/* A forecast is made anew when it could be another one: after a small share of the time it looks ahead or back, or when
 * use has gone up by a small share of the room. In between, its moment stays and comes nearer. */
static bool is_stale(const Trend *t) {
        const Forecast *f = &t->forecast;
        double since_s = t->now_s - t->forecast_s, room = (double)t->limit_bytes - t->forecast_high_bytes;

        if (since_s < 0 || t->n < STALE_SAMPLES)
                return true;
        if (!f->known || t->limit_bytes == 0)
                return t->n % IDLE_SAMPLES == 0;
        return since_s >= fmin(STALE_RATIO * f->eta_s, STALE_SPAN_RATIO * f->span_s) ||
               t->bytes - t->forecast_high_bytes > STALE_RATIO * room;
}

static void make_forecast(Trend *t) {
        ForecastInput in = answer_input(t);
        Candidates candidates;

        pyramid_draw(&t->pyramid);
        forecast_make(&in, &candidates, &t->forecast);
        t->forecast_s = t->now_s;
        t->forecast_high_bytes = t->bytes;
        t->forecast_kept = false;
        t->forecast_score = t->forecast_odds_ratio = 0;
        if (!t->forecast.known)
                return;
        t->forecast_score = t->forecast.score + other_channels(t, &t->forecast, &t->forecast_kept);
        t->forecast_odds_ratio = 1 / (1 + exp(-t->forecast_score));
}

void answer(Trend *t, double step_s, bool anew) {
        TrendFit *fit = &t->fit;

        if (anew || is_stale(t))
                make_forecast(t);
        *fit = (TrendFit){.n = t->n,
                          .limit_bytes = t->limit_bytes,
                          .span_usec = usec_of(t->now_s - t->start_s),
                          .eta_usec = USEC_INFINITY,
                          .eta_lo_usec = USEC_INFINITY,
                          .eta_hi_usec = USEC_INFINITY,
                          .confidence = ANSWER_CONFIDENCE};
        update_shape(t);
        fit->proof = prove(t, step_s);
        if (is_imminent(t) && !is_doubtful(t))
                fit->proof = TREND_PROOF_ROTATE;
        if (!is_enough(t)) {
                fit->proof = TREND_PROOF_NONE;
        } else if (t->forecast.known) {
                fill_growth(t);
                fit->odds_ratio = t->forecast_odds_ratio;
        } else {
                fill_rest(t);
        }
        if (t->limit_bytes == 0)
                fit->proof = TREND_PROOF_NONE; /* there is nothing that it could reach */
        if (fit->state != TREND_WAIT)
                fit->kind = kind_of(t);
        if (t->limit_bytes > 0 && t->bytes >= (double)t->limit_bytes)
                fit->eta_usec = fit->eta_lo_usec = fit->eta_hi_usec = 0; /* it is there, whatever the lines say */
}
