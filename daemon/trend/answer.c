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
#define IMMINENT_DRIFT 1.8 /* log (1 + t): t = 5 */
#define NEGLIGIBLE_S   (30.0 * 24 * 3600)
#define NO_LIMIT_RATIO 2.0   /* without a limit growth is measured against doubling */
#define HEAP_IN_USE_SCORE 0.5 /* set by hand, like the two below: no recorded series has a heap beside it */
#define HEAP_KEPT_SCORE  (-1.0) /* fragmentation slows down by itself as free chunks come to fit */
#define FILE_SCORE       (-2.0) /* file pages can be dropped: the limit does not kill for them */
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
                               .high_bytes = t->high_bytes,
                               .prior_slope = t->prior_slope};
}

/* Growth that will be over before its evidence could be weighed: half is used, the rest is gone within a
 * minute at the latest, and the line that says so has risen by as much as is left, steadily and beyond ten errors. */
static bool is_imminent(const Forecast *f) {
        const TrendLine *l = f->best;

        return f->life[LIFE_USED] >= IMMINENT_USED && f->hi_s <= IMMINENT_S && f->eta_s <= l->span_s
               && l->slope >= 10 * l->error && l->feature[LINE_DRIFT8] >= IMMINENT_DRIFT;
}

static TrendProof prove(Trend *t, bool known, double score, double span_s, double step_s) {
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

static void fill_growth(Trend *t, const Forecast *f) {
        TrendFit *fit = &t->fit;
        double room = fmax((double)t->limit_bytes - f->level_bytes, 0);

        fit->span_usec = usec_of(f->span_s);
        fit->level_bytes = f->level_bytes;
        fit->slope_bytes_per_s = f->slope;
        fit->slope_lo_bytes_per_s = f->slope - FORECAST_Z * f->slope_error;
        fit->slope_hi_bytes_per_s = f->slope + FORECAST_Z * f->slope_error;
        if (t->limit_bytes > 0) {
                fit->eta_usec = usec_of(f->eta_s);
                fit->eta_lo_usec = min_of(usec_of(f->lo_s), fit->eta_usec);
                fit->eta_hi_usec = max_of(usec_of(f->hi_s), fit->eta_usec);
        } else {
                room = fabs(f->level_bytes);
        }
        fit->r2_ratio = f->best->r2_ratio;
        fit->residual_bytes = f->best->scatter;
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

static TrendKind kind_of(const Trend *t, const Forecast *f, bool kept) {
        if (f->known && kept)
                return TREND_KIND_FRAG;
        if (t->fit.proof >= TREND_PROOF_ALERT)
                return TREND_KIND_LEAK;
        if (t->shape == TREND_KIND_PLATEAU && f->known && f->reach_ratio >= 1)
                return TREND_KIND_WARMUP;
        return t->shape;
}

static bool is_enough(const Trend *t) {
        return t->n >= t->options.min_samples && usec_of(t->now_s - t->start_s) >= t->options.min_span_usec;
}

void answer(Trend *t, double step_s) {
        ForecastInput in = answer_input(t);
        TrendFit *fit = &t->fit;
        bool kept = false;
        double score = 0;
        Forecast f;

        forecast_make(&in, &f);
        if (f.known)
                score = f.score + other_channels(t, &f, &kept);
        *fit = (TrendFit){.n = t->n,
                          .limit_bytes = t->limit_bytes,
                          .span_usec = usec_of(t->now_s - t->start_s),
                          .eta_usec = USEC_INFINITY,
                          .eta_lo_usec = USEC_INFINITY,
                          .eta_hi_usec = USEC_INFINITY,
                          .confidence = ANSWER_CONFIDENCE};
        update_shape(t);
        fit->proof = prove(t, f.known, score, f.known ? f.span_s : 0, step_s);
        if (f.known && is_imminent(&f))
                fit->proof = TREND_PROOF_ROTATE;
        if (!is_enough(t)) {
                fit->proof = TREND_PROOF_NONE;
        } else if (f.known) {
                fill_growth(t, &f);
                fit->odds_ratio = 1 / (1 + exp(-score));
        } else {
                fill_rest(t);
        }
        if (t->limit_bytes == 0)
                fit->proof = TREND_PROOF_NONE; /* there is nothing that it could reach */
        if (fit->state != TREND_WAIT)
                fit->kind = kind_of(t, &f, kept);
        if (fit->proof >= TREND_PROOF_ALERT)
                t->grown_slope = f.slope;
        if (t->limit_bytes > 0 && t->bytes >= (double)t->limit_bytes)
                fit->eta_usec = fit->eta_lo_usec = fit->eta_hi_usec = 0; /* it is there, whatever the lines say */
}
