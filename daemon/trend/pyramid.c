/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/pyramid.h"

#include <math.h>
#include <string.h>

#include "trend/solve.h"

#define PACE_GAIN   0.2  /* of a new step in the smoothed one: gaps and jitter pass, another interval is learned */
#define PACE_CHANGE 0.85 /* octaves off the present level before another one is entered at */

static void level_clear(TrendLevel *l) {
        l->head = l->n = 0;
        l->has_pending = l->solved = false;
        l->turns = 0;
        l->slopes.at = l->slopes.n = 0;
        l->line.older_hi = -INFINITY;
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
}

/* The two finest levels get a bucket with every sample or two, which moves a full window's line by little: it is drawn
 * anew each fourth and each second time only. */
static bool is_due(const TrendLevel *l, unsigned above_entry) {
        if (l->n < TREND_FIT_MIN)
                return false;
        if (l->n < TREND_BUCKETS || above_entry >= 2)
                return true;
        return l->turns % (above_entry == 0 ? 4 : 2) == 0;
}

static void enter(TrendPyramid *p, TrendBucket b) {
        for (unsigned k = p->entry; k < TREND_LEVELS; k++) {
                TrendLevel *l = &p->level[k];

                add(l, &b);
                if (is_due(l, k - p->entry))
                        solve_level(p, k);
                if (k == p->entry)
                        solve_tail(p);
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
        l->older_hi -= bytes;
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
