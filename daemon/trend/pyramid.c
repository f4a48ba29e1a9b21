/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/pyramid.h"

#include <math.h>
#include <string.h>

#include "trend/solve.h"

#define PACE_GAIN   0.2  /* of a new step in the smoothed one: gaps and jitter pass, another interval is learned */
#define SLOPE_STEP        8
#define SLOPE_BUCKETS_MIN 16
#define HIGHEST_LEVELS    4 /* above a window are looked through for what was before it: 16 times its length */
#define PACE_CHANGE 0.85 /* octaves off the present level before another one is entered at */

static void level_clear(TrendLevel *l) {
        l->head = l->n = 0;
        l->has_pending = l->solved = l->drawn = false;
        l->turns = 0;
        l->slopes.at = l->slopes.n = 0;
}

void pyramid_clear(TrendPyramid *p) {
        for (unsigned k = 0; k < TREND_LEVELS; k++)
                level_clear(&p->level[k]);
        p->has_first = p->tail_solved = false;
}

static void add(TrendLevel *l, const TrendBucket *b) {
        l->ring[(l->head + l->n) % TREND_BUCKETS] = *b;
        if (l->n == TREND_BUCKETS)
                l->head = (l->head + 1) % TREND_BUCKETS;
        else
                l->n++;
        l->turns++;
        l->drawn = false;
}

/* Eight buckets further is a quarter of a full window: a slope that is not the last one again. */
static void remember_slope(TrendPyramid *p, unsigned k) {
        TrendLevel *l = &p->level[k];

        if (l->n < SLOPE_BUCKETS_MIN || l->turns % SLOPE_STEP)
                return;
        solve_slope(p, k);
        l->slopes.past[l->slopes.at] = (float)l->line.slope;
        l->slopes.at = (l->slopes.at + 1) % TREND_PAST;
        if (l->slopes.n < TREND_PAST)
                l->slopes.n++;
}

static void enter(TrendPyramid *p, TrendBucket b) {
        for (unsigned k = p->entry; k < TREND_LEVELS; k++) {
                TrendLevel *l = &p->level[k];

                add(l, &b);
                remember_slope(p, k);
                if (!l->has_pending) {
                        l->pending = b;
                        l->has_pending = true;
                        return;
                }
                l->has_pending = false;
                b.begin_s = l->pending.begin_s;
                b.lo = fmin(l->pending.lo, b.lo);
                b.hi = fmax(l->pending.hi, b.hi);
        }
}

static unsigned level_of(double step_log2) {
        double k = floor(step_log2 + 0.5);

        return k <= 0 ? 0 : k >= TREND_LEVELS - 6 ? TREND_LEVELS - 6 : (unsigned)k;
}

/* Which level do samples belong to? The finer ones hold an older pace and are of no use any more. */
static void keep_pace(TrendPyramid *p, double step_s) {
        double now = log2(fmax(step_s / TREND_FINEST_S, 1e-3));
        unsigned to;

        if (!p->paced) {
                p->step_log2 = now;
                p->paced = true;
                p->entry = level_of(now);
                return;
        }
        p->step_log2 += PACE_GAIN * fmax(-2, fmin(2, now - p->step_log2));
        to = level_of(p->step_log2);
        if (to == p->entry || fabs(p->step_log2 - p->entry) < PACE_CHANGE)
                return;
        for (unsigned k = to < p->entry ? to : p->entry; k < (to < p->entry ? p->entry : to); k++)
                level_clear(&p->level[k]);
        p->entry = to;
        p->tail_solved = false;
}

void pyramid_draw(TrendPyramid *p) {
        for (unsigned k = p->entry; k < TREND_LEVELS; k++) {
                TrendLevel *l = &p->level[k];

                if (l->n < TREND_FIT_MIN)
                        break; /* those above have fewer */
                if (!l->drawn)
                        solve_level(p, k);
                l->drawn = true;
        }
        solve_tail(p);
}

void pyramid_push(TrendPyramid *p, double time_s, double bytes, double step_s) {
        TrendBucket b = {time_s, time_s, bytes, bytes};

        if (step_s > 0)
                keep_pace(p, step_s);
        if (!p->paced) {
                p->first = b;
                p->has_first = true;
                return;
        }
        if (p->has_first)
                enter(p, p->first);
        p->has_first = false;
        enter(p, b);
}

static void line_lower(TrendLine *l, double bytes) {
        l->floor_mean -= bytes;
        l->ceiling_mean -= bytes;
}

void pyramid_lower(TrendPyramid *p, double bytes) {
        p->first.lo -= bytes;
        p->first.hi -= bytes;
        line_lower(&p->tail, bytes);
        for (unsigned k = 0; k < TREND_LEVELS; k++) {
                TrendLevel *l = &p->level[k];

                for (unsigned i = 0; i < TREND_BUCKETS; i++) {
                        l->ring[i].lo -= bytes;
                        l->ring[i].hi -= bytes;
                }
                l->pending.lo -= bytes;
                l->pending.hi -= bytes;
                line_lower(&l->line, bytes);
        }
}

double pyramid_highest(const TrendPyramid *p, unsigned k, double begin_s) {
        double hi = -INFINITY;

        for (unsigned j = k; j < TREND_LEVELS && j <= k + HIGHEST_LEVELS; j++) {
                const TrendLevel *l = &p->level[j];

                for (unsigned i = 0; i < l->n && pyramid_at(l, i)->end_s <= begin_s; i++)
                        hi = pyramid_at(l, i)->hi > hi ? pyramid_at(l, i)->hi : hi;
        }
        return hi;
}

const TrendLevel *pyramid_whole(const TrendPyramid *p) {
        const TrendLevel *found = NULL;

        for (unsigned k = p->entry; k < TREND_LEVELS; k++) {
                const TrendLevel *l = &p->level[k];

                if (l->n < TREND_FIT_MIN)
                        break;
                found = l;
                if (l->turns <= TREND_BUCKETS)
                        break;
        }
        return found;
}
