/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

#include <math.h>
#include <string.h>

#include "trend/answer.h"
#include "util/cleanup.h"

#define BACKWARDS_USEC  (10 * USEC_PER_MINUTE) /* a clock this much behind is another clock, not a late sample */
#define FELL_RATIO      0.5 /* of the lowest of this life: whatever this is, it is not the same growth */
#define FELL_SAMPLES    5   /* a life must have so many before that counts */
#define LOADED_RATIO    1.5 /* the first few samples of a life may see the program being loaded: */
#define LOADED_SAMPLES  6   /* its life starts when it has its size */
#define SETTLED_SAMPLES 2   /* the lowest counts from here on */
#define RISE_RATIO      (1.0 / 4096) /* of the limit: what rises less stands still */

static void begin_life(Trend *t) {
        pyramid_clear(&t->pyramid);
        memset(&t->cycles, 0, sizeof(t->cycles));
        memset(t->hold, 0, sizeof(t->hold));
        heap_clear(&t->heap);
        heap_clear(&t->anon);
        t->n = 0;
        t->low_bytes = INFINITY;
        t->high_bytes = -INFINITY;
        t->forecast.known = false;
        t->shape_turns = 0;
        t->shape = TREND_KIND_FLAT;
}

static void clear_fit(Trend *t) {
        t->fit = (TrendFit){.limit_bytes = t->limit_bytes,
                            .eta_usec = USEC_INFINITY,
                            .eta_lo_usec = USEC_INFINITY,
                            .eta_hi_usec = USEC_INFINITY,
                            .confidence = ANSWER_CONFIDENCE};
}

void trend_init(Trend *t, const TrendOptions *options) {
        memset(t, 0, sizeof(*t));
        t->options = *options;
        t->options.min_samples = max_of(t->options.min_samples, (unsigned)TREND_FIT_MIN);
        begin_life(t);
        clear_fit(t);
}

void trend_reset(Trend *t, uint64_t time_usec, TrendReset why) {
        begin_life(t);
        clear_fit(t);
        t->last_reset = why;
        t->last_reset_usec = time_usec;
}

void trend_reclaimed(Trend *t, uint64_t time_usec, uint64_t bytes) {
        t->last_reset = TREND_RESET_RECLAIM;
        t->last_reset_usec = time_usec;
        if (t->n == 0)
                return;
        pyramid_lower(&t->pyramid, (double)bytes);
        cycles_lower(&t->cycles, (double)bytes);
        heap_clear(&t->heap);
        heap_clear(&t->anon);
        memset(t->hold, 0, sizeof(t->hold)); /* proven again against the room that it made */
        t->start_bytes -= (double)bytes;
        t->low_bytes -= (double)bytes;
        t->high_bytes -= (double)bytes;
        t->bytes -= (double)bytes;
        answer(t, 0, true);
}

void trend_slept(Trend *t, uint64_t time_usec, uint64_t usec) {
        t->slept_usec += usec;
        t->last_reset = TREND_RESET_SLEEP;
        t->last_reset_usec = time_usec;
}

/* Seconds since the origin, sleep left out. */
static double seconds_of(const Trend *t, uint64_t time_usec) {
        uint64_t awake = time_usec - t->origin_usec;

        awake = awake > t->slept_usec ? awake - t->slept_usec : 0;
        return (double)awake / USEC_PER_SEC;
}

static void start_clock(Trend *t, uint64_t time_usec) {
        t->origin_usec = t->last_usec = time_usec;
        t->slept_usec = 0;
        t->now_s = 0;
        t->started = true;
}

/* What does this sample say besides its figures? Return: -1 for one that says nothing. */
static int check_sample(Trend *t, const TrendSample *s) {
        if (!t->started)
                return t->last_reset == TREND_RESET_NONE ? TREND_RESET_START : TREND_RESET_NONE;
        if (s->time_usec <= t->last_usec)
                return t->last_usec - s->time_usec > BACKWARDS_USEC ? (int)TREND_RESET_CLOCK : -1;
        return s->limit_bytes != t->limit_bytes ? TREND_RESET_LIMIT : TREND_RESET_NONE;
}

/* A new life that nobody told of. */
static bool is_new_life(const Trend *t, double bytes) {
        if (t->n > FELL_SAMPLES && bytes < FELL_RATIO * t->low_bytes)
                return true;
        return t->n > 0 && t->n <= LOADED_SAMPLES && bytes > LOADED_RATIO * t->high_bytes;
}

/* In sum since it was lowest, so that slow growth counts however often it is looked at. */
static void follow_rise(Trend *t, double bytes) {
        if (t->n == 0 || bytes > t->rise_bytes + RISE_RATIO * (double)t->limit_bytes)
                t->rise_s = t->now_s;
        else if (bytes >= t->rise_bytes)
                return;
        t->rise_bytes = bytes;
}

static void add(Trend *t, const TrendSample *s, double step_s) {
        double bytes = (double)s->bytes;

        if (t->n == 0) {
                t->start_s = t->now_s;
                t->start_bytes = bytes;
        }
        if (t->n >= SETTLED_SAMPLES)
                t->low_bytes = fmin(t->low_bytes, bytes);
        t->high_bytes = fmax(t->high_bytes, bytes);
        follow_rise(t, bytes);
        t->bytes = bytes;
        t->n++;
        cycles_push(&t->cycles, t->now_s, bytes);
        pyramid_push(&t->pyramid, t->now_s, bytes, step_s);
        if (s->heap_known)
                heap_push(&t->heap, t->now_s, (double)s->heap_bytes, bytes);
        if (s->anon_known)
                heap_push(&t->anon, t->now_s, (double)s->anon_bytes, bytes);
}

TrendReset trend_push(Trend *t, const TrendSample *s) {
        int why = check_sample(t, s);
        double now_s, step_s = 0;

        if (why < 0)
                return TREND_RESET_NONE;
        if (why == TREND_RESET_START || why == TREND_RESET_CLOCK)
                trend_reset(t, s->time_usec, (TrendReset)why);
        if (!t->started || why == TREND_RESET_CLOCK) {
                start_clock(t, s->time_usec);
        } else if (why == TREND_RESET_LIMIT) {
                memset(t->hold, 0, sizeof(t->hold));
                t->last_reset = TREND_RESET_LIMIT;
                t->last_reset_usec = s->time_usec;
        }
        now_s = seconds_of(t, s->time_usec);
        if (s->time_usec > t->last_usec)
                step_s = fmax(now_s - t->now_s, 0);
        if (s->time_usec > t->last_usec && step_s <= 0)
                return TREND_RESET_NONE; /* within the sleep that was told */
        t->last_usec = s->time_usec;
        t->now_s = now_s;
        t->limit_bytes = s->limit_bytes;
        if (why == TREND_RESET_NONE && is_new_life(t, (double)s->bytes)) {
                trend_reset(t, s->time_usec, TREND_RESET_STEP);
                why = TREND_RESET_STEP;
        }
        add(t, s, step_s);
        answer(t, step_s, why != TREND_RESET_NONE || s->heap_known);
        return (TrendReset)why;
}

void trend_fit(const Trend *t, TrendFit *ret) {
        *ret = t->fit;
}
