/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/trend.h"

#include <math.h>
#include <string.h>

#include "trend/student.h"
#include "trend/window.h"
#include "util/cleanup.h"

/* A point has left the line when it is this many mean absolute residuals away (7.5 of them are 6 standard deviations
 * of a normal distribution) and by so much of the line's own height that it matters. A sawtooth of amplitude A has a
 * mean absolute residual of A/4 and never is more than A away from its own line: it never leaves it. */
#define LEAVE_RESIDUALS 7.5
#define LEAVE_LEVEL_RATIO 0.01
#define LEAVE_MIN_BYTES (64 * 1024.0)

#define WINDOW_MIN_USEC USEC_PER_SEC
#define WINDOW_MAX_USEC (400 * USEC_PER_DAY)

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high) {
        return v < low ? low : min_of(v, high);
}

void trend_init(Trend *t, const TrendOptions *options) {
        TrendOptions *o = &t->options;

        memset(t, 0, sizeof(*t));
        *o = *options;
        o->window_usec = clamp(o->window_usec, WINDOW_MIN_USEC, WINDOW_MAX_USEC);
        o->min_span_usec = min_of(o->min_span_usec, o->window_usec);
        o->min_samples = (unsigned)clamp(o->min_samples, TREND_CONFIRM + 1, TREND_RING / 2);
        o->confidence = o->confidence > 0.5 ? fmin(o->confidence, 0.99) : 0.5; /* NaN too becomes 0.5 */
        /* The ring holds the window with two points to spare: the one being filled, and one about to slide out. */
        t->bucket_width_usec = o->window_usec / (TREND_RING - 2) + 1;
        t->normal_quantile = normal_quantile(o->confidence);
}

void trend_reset(Trend *t, uint64_t time_usec, TrendReset why) {
        window_clear(t);
        t->seen_until_usec = 0;
        t->last_reset = why;
        t->last_reset_usec = time_usec;
}

/* How far the window's points are from their line on average: a scale that a few outliers cannot blow up. */
static double mean_absolute_residual(const Trend *t) {
        double slope = t->sums.sxx > 0 ? t->sums.sxy / t->sums.sxx : 0, sum = 0;

        for (unsigned i = 0; i < t->n; i++) {
                const TrendPoint *p = window_at(t, i);

                sum += fabs(p->bytes - t->sums.mean_y - slope * (window_seconds(t, p->time_usec) - t->sums.mean_x));
        }
        return sum / t->n;
}

double window_departure(const Trend *t, uint64_t time_usec, double bytes) {
        double line, e;

        if (t->n < t->options.min_samples)
                return 0;
        line = window_line(t, time_usec);
        e = bytes - line;
        if (fabs(e) < fmax(LEAVE_LEVEL_RATIO * fabs(line), LEAVE_MIN_BYTES))
                return 0; /* nearly always: no walk through the window */
        return fabs(e) >= LEAVE_RESIDUALS * mean_absolute_residual(t) ? e : 0;
}

/* The levels seen of late: those in the window, and those that a step or bend less than a window ago took out of it.
 * Without the latter a batch job that comes and goes would be a step each time, and its line would start anew. */
static void levels_seen(const Trend *t, uint64_t time_usec, double *ret_lo, double *ret_hi) {
        bool remembered = time_usec < t->seen_until_usec;
        double lo = remembered ? t->seen_lo_bytes : INFINITY, hi = remembered ? t->seen_hi_bytes : -INFINITY;

        for (unsigned i = 0; i < t->n; i++) {
                lo = fmin(lo, window_at(t, i)->bytes);
                hi = fmax(hi, window_at(t, i)->bytes);
        }
        *ret_lo = lo;
        *ret_hi = hi;
}

/* Does @bytes lie beyond all that was seen of late, in the direction of @jump and by a good part of it? */
static bool is_new_ground(const Trend *t, uint64_t time_usec, double bytes, double jump) {
        double lo, hi;

        levels_seen(t, time_usec, &lo, &hi);
        return jump > 0 ? bytes > hi + jump / 4 : bytes < lo + jump / 4;
}

/* TREND_CONFIRM points and the newest sample all left the line on one side. Return: what that is, or NONE: a return to
 * a level that the window knows, as at the end of a garbage collector's cycle or of a batch job, is neither. */
static TrendReset judge_departure(const Trend *t, uint64_t time_usec, double bytes) {
        const TrendPoint *first = &t->pending[0], *last = window_at(t, t->n - 1);
        double slope = t->sums.sxx > 0 ? t->sums.sxy / t->sums.sxx : 0;
        double e = window_departure(t, time_usec, bytes);
        double jump = first->bytes - window_line(t, first->time_usec);
        double went_on = bytes - first->bytes - slope * (double)(time_usec - first->time_usec) / USEC_PER_SEC;

        if (e * jump <= 0)
                return TREND_RESET_NONE;
        if (!is_new_ground(t, time_usec, bytes, jump)) {
                /* Growth that ends falls short of its line without any fall. */
                bool slowed = jump < 0 && slope > 0 && first->bytes > last->bytes - fabs(jump) / 2;

                return slowed ? TREND_RESET_BEND : TREND_RESET_NONE;
        }
        return fabs(went_on) <= fabs(jump) / 2 ? TREND_RESET_STEP : TREND_RESET_BEND;
}

static void flush_pending(Trend *t) {
        for (unsigned i = 0; i < t->n_pending; i++)
                window_add(t, &t->pending[i]);
        t->n_pending = 0;
}

/* Start anew from the points that left the line. */
static void restart_from_pending(Trend *t, uint64_t time_usec, TrendReset why) {
        TrendPoint keep[TREND_CONFIRM];
        unsigned n = t->n_pending;
        double lo, hi;

        levels_seen(t, time_usec, &lo, &hi);
        memcpy(keep, t->pending, sizeof(keep));
        trend_reset(t, time_usec, why);
        t->seen_lo_bytes = lo;
        t->seen_hi_bytes = hi;
        t->seen_until_usec = time_usec < USEC_INFINITY - t->options.window_usec ? time_usec + t->options.window_usec
                                                                                : USEC_INFINITY;
        for (unsigned i = 0; i < n; i++)
                window_add(t, &keep[i]);
}

/* Did the pending points leave the line upwards? */
static bool pending_side(const Trend *t) {
        return t->pending[0].bytes > window_line(t, t->pending[0].time_usec);
}

/* A full bucket becomes a point: of the window, or pending while it looks as if the line had been left. */
static TrendReset place_point(Trend *t, const TrendPoint *p, uint64_t time_usec, double bytes) {
        double e = window_departure(t, p->time_usec, p->bytes);
        TrendReset why;

        if (e == 0 || (t->n_pending > 0 && pending_side(t) != (e > 0))) {
                flush_pending(t);
                window_add(t, p);
                return TREND_RESET_NONE;
        }
        t->pending[t->n_pending++] = *p;
        if (t->n_pending < TREND_CONFIRM)
                return TREND_RESET_NONE;
        why = judge_departure(t, time_usec, bytes);
        if (why == TREND_RESET_NONE)
                flush_pending(t);
        else
                restart_from_pending(t, time_usec, why);
        return why;
}

/* Seconds that the bucket stands for: from its first sample to the next bucket's. After a gap no more than twice what
 * its neighbour stands for, because nobody looked meanwhile. */
static double bucket_weight(const Trend *t, uint64_t next_usec) {
        double width = (double)t->bucket_width_usec / USEC_PER_SEC;
        double seconds = (double)(next_usec - t->bucket_usec) / USEC_PER_SEC;
        double cap = (double)t->options.window_usec / 8 / USEC_PER_SEC;

        if (t->n > 0)
                cap = 2 * fmax(window_at(t, t->n - 1)->weight, width);
        return fmin(seconds, cap);
}

static TrendPoint bucket_point(const Trend *t, double weight) {
        return (TrendPoint){.time_usec = t->bucket_usec + (uint64_t)llround(t->bucket_mean_usec),
                            .bytes = t->bucket_bytes,
                            .weight = weight};
}

static TrendReset add_sample(Trend *t, uint64_t time_usec, double bytes) {
        TrendReset why = TREND_RESET_NONE;

        if (t->bucket_n > 0 && time_usec - t->bucket_usec >= t->bucket_width_usec) {
                TrendPoint p = bucket_point(t, bucket_weight(t, time_usec));

                t->bucket_n = 0;
                why = place_point(t, &p, time_usec, bytes);
        }
        if (t->bucket_n == 0) {
                t->bucket_usec = time_usec;
                t->bucket_mean_usec = t->bucket_bytes = 0;
        }
        t->bucket_n++;
        t->bucket_mean_usec += ((double)(time_usec - t->bucket_usec) - t->bucket_mean_usec) / t->bucket_n;
        t->bucket_bytes += (bytes - t->bucket_bytes) / t->bucket_n;
        window_slide(t, time_usec);
        return why;
}

bool window_open_point(const Trend *t, TrendPoint *ret) {
        double width = (double)t->bucket_width_usec / USEC_PER_SEC;

        if (t->bucket_n == 0)
                return false;
        *ret = bucket_point(t, t->n > 0 ? window_at(t, t->n - 1)->weight : width);
        return window_departure(t, ret->time_usec, ret->bytes) == 0;
}

/* Return: the reset that the time or the limit of a sample demands; -EALREADY for a sample that says nothing new. */
static int judge_sample(const Trend *t, uint64_t time_usec, uint64_t limit_bytes) {
        if (t->last_reset == TREND_RESET_NONE)
                return TREND_RESET_START;
        if (time_usec <= t->last_usec)
                return t->last_usec - time_usec > t->options.window_usec ? (int)TREND_RESET_CLOCK : -EALREADY;
        if (limit_bytes != t->limit_bytes)
                return TREND_RESET_LIMIT;
        return time_usec - t->last_usec > t->options.window_usec ? TREND_RESET_CLOCK : TREND_RESET_NONE;
}

TrendReset trend_push(Trend *t, uint64_t time_usec, uint64_t bytes, uint64_t limit_bytes) {
        int why = judge_sample(t, time_usec, limit_bytes);
        TrendReset found;

        if (why < 0)
                return TREND_RESET_NONE;
        if (why != TREND_RESET_NONE)
                trend_reset(t, time_usec, why);
        t->last_usec = time_usec;
        t->last_bytes = bytes;
        t->limit_bytes = limit_bytes;
        found = add_sample(t, time_usec, (double)bytes);
        return why != TREND_RESET_NONE ? (TrendReset)why : found;
}
