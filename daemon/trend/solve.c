/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums are taken about the middle bucket: its time and its low. What is left to cancel is the window's own rise, and
 * double precision has eleven digits to spare for that.
 */
#include "trend/solve.h"

#include <math.h>
#include <string.h>

#include "trend/coefficients.h"
#include "util/cleanup.h"

#define SLOPES_NEW 4 /* of the kept slopes, so many overlap with the present window and are left out */

typedef struct Points {
        double x[TREND_BUCKETS], lo[TREND_BUCKETS], hi[TREND_BUCKETS];
        unsigned n;
} Points;

typedef struct Sums {
        double n, x, y, xx, xy, yy;
} Sums;

typedef struct Fit {
        double slope, mean_x, mean_y, error, scatter, r2;
} Fit;

/* fmax() and fmin() without their care for NaN, which makes each a call into libm: a third of what a line cost. Of NaN
 * and a number, both return @b. */
static inline double more(double a, double b) {
        return a > b ? a : b;
}

static inline double less(double a, double b) {
        return a < b ? a : b;
}

static inline double within(double x, double lo, double hi) {
        return x > lo ? less(x, hi) : lo; /* NaN becomes lo */
}

static void sums_add(Sums *s, double x, double y) {
        s->n++;
        s->x += x;
        s->y += y;
        s->xx += x * x;
        s->xy += x * y;
        s->yy += y * y;
}

static Fit fit(const Sums *s) {
        double sxx = s->xx - s->x * s->x / s->n, sxy = s->xy - s->x * s->y / s->n;
        double syy = s->yy - s->y * s->y / s->n, variance;
        Fit f = {.mean_x = s->x / s->n, .mean_y = s->y / s->n, .error = INFINITY};

        if (!(sxx > 0))
                return f; /* all at one time */
        f.slope = sxy / sxx;
        variance = more(syy - f.slope * sxy, 0) / more(s->n - 2, 1);
        f.error = sqrt(variance / sxx);
        f.scatter = sqrt(variance);
        f.r2 = syy > 0 ? within(f.slope * sxy / syy, 0, 1) : 0;
        return f;
}

/* The newest @n buckets. */
static void take_points(const TrendLevel *l, unsigned n, Points *p, double *ret_x0, double *ret_y0) {
        unsigned skip = l->n - n;
        const TrendBucket *middle = pyramid_at(l, skip + n / 2);
        double x0 = (middle->begin_s + middle->end_s) / 2, y0 = middle->lo;

        p->n = n;
        for (unsigned i = 0; i < TREND_BUCKETS && i < n; i++) {
                const TrendBucket *b = pyramid_at(l, skip + i);

                p->x[i] = (b->begin_s + b->end_s) / 2 - x0;
                p->lo[i] = b->lo - y0;
                p->hi[i] = b->hi - y0;
        }
        *ret_x0 = x0;
        *ret_y0 = y0;
}

/* Fills the slopes; the line is left relative to (x0, y0). */
static Fit fit_halves(const Points *p, TrendLine *l) {
        unsigned h = p->n / 2;
        Sums half[2] = {}, high = {}, all;
        Fit f, older, newer, ceiling;

        for (unsigned i = 0; i < h; i++) /* two loops, so that the sums stay in registers */
                sums_add(&half[0], p->x[i], p->lo[i]);
        for (unsigned i = h; i < p->n; i++)
                sums_add(&half[1], p->x[i], p->lo[i]);
        for (unsigned i = 0; i < p->n; i++)
                sums_add(&high, p->x[i], p->hi[i]);
        all = (Sums){half[0].n + half[1].n,   half[0].x + half[1].x,   half[0].y + half[1].y,
                     half[0].xx + half[1].xx, half[0].xy + half[1].xy, half[0].yy + half[1].yy};
        f = fit(&all);
        older = fit(&half[0]);
        newer = fit(&half[1]);
        ceiling = fit(&high);
        l->slope = f.slope;
        l->error = f.error;
        l->slope1 = older.slope;
        l->error1 = older.error;
        l->slope2 = newer.slope;
        l->error2 = newer.error;
        l->ceiling = ceiling.slope;
        l->ceiling_mean = ceiling.mean_y;
        l->scatter = f.scatter;
        l->r2_ratio = f.r2;
        l->noise = f.scatter + ceiling.scatter;
        return f;
}

/* t of the mean of increments over @stride buckets: a random walk has one of about 1, steady growth a large one. */
static double drift(const Points *p, unsigned stride) {
        double sum = 0, sum2 = 0, mean;
        unsigned m = 0;

        for (unsigned i = (p->n - 1) % stride; i + stride < p->n; i += stride) {
                double dx = p->x[i + stride] - p->x[i];
                double d = dx > 0 ? (p->lo[i + stride] - p->lo[i]) / dx : 0;

                sum += d;
                sum2 += d * d;
                m++;
        }
        if (m < 2)
                return 0;
        mean = sum / m;
        if (mean <= 0)
                return 0;
        return less(mean / sqrt(more((sum2 - m * mean * mean) / (m - 1) / m, 1e-12 * mean * mean)), 50);
}

static double recent_slope(const Points *p) {
        unsigned q = p->n - (p->n >= 16 ? p->n / 4 : p->n / 2);
        Sums s = {};
        double sxx;

        for (unsigned i = q; i < p->n; i++)
                sums_add(&s, p->x[i] - p->x[q], p->lo[i]);
        sxx = s.xx - s.x * s.x / s.n;
        return sxx > 0 ? (s.xy - s.x * s.y / s.n) / sxx : 0;
}

typedef struct Walk {
        double jump1, jump2, over1, over2, drop, correlation;
} Walk;

/* One pass along the window: its largest jumps, its highest peaks over the line, its deepest fall. */
static Walk walk(const Points *p, const Fit *f) {
        Walk w = {-INFINITY, -INFINITY, -INFINITY, -INFINITY, 0, 0};
        double top = -INFINITY, previous = 0, lagged = 0, sum2 = 0;

        for (unsigned i = 0; i < p->n; i++) {
                double line = f->mean_y + f->slope * (p->x[i] - f->mean_x);
                double e = p->lo[i] - line, over = p->hi[i] - line;

                if (i > 0) {
                        double jump = p->lo[i] - p->lo[i - 1];

                        w.jump2 = more(w.jump2, less(jump, w.jump1));
                        w.jump1 = more(w.jump1, jump);
                        lagged += e * previous;
                }
                w.over2 = more(w.over2, less(over, w.over1));
                w.over1 = more(w.over1, over);
                sum2 += e * e;
                previous = e;
                top = more(top, p->lo[i]);
                w.drop = more(w.drop, top - p->lo[i]);
        }
        w.correlation = sum2 > 0 ? lagged / sum2 : 0;
        return w;
}

/* Standard deviation of the slopes of past windows of this length, those that overlap with the present one left out. */
static double unrest(const TrendSlopes *s) {
        double sum = 0, sum2 = 0;
        unsigned n = s->n > SLOPES_NEW ? s->n - SLOPES_NEW : 0, oldest = s->at + TREND_PAST - s->n;

        if (n < 3)
                return 0;
        for (unsigned i = 0; i < n; i++)
                sum += s->past[(oldest + i) % TREND_PAST];
        for (unsigned i = 0; i < n; i++) {
                double d = s->past[(oldest + i) % TREND_PAST] - sum / n;

                sum2 += d * d;
        }
        return sqrt(sum2 / n);
}

static void fill_features(TrendLine *l, const Points *p, const Walk *w, double past_unrest) {
        double rise = l->slope * l->span_s, turn = within((l->slope2 - l->slope1) / l->slope, -3, 3);
        double recent = recent_slope(p) / l->slope;
        unsigned eighth = max_of(p->n / 8, 1U);
        double *f = l->feature;

        f[LINE_ONE] = 1;
        f[LINE_ERROR] = log(within(l->error / l->slope, 0, 10) + 0.01);
        f[LINE_BEND] = fabs(turn);
        f[LINE_BEND2] = turn * turn;
        f[LINE_UNREST] = log(within(past_unrest / l->slope, 0, 100) + 0.05);
        f[LINE_DROP] = within(w->drop / rise, 0, 3);
        f[LINE_NEWS] = within(fabs(recent - 1), 0, 3);
        f[LINE_POINTS] = log(p->n);
        f[LINE_JUMP] = within((fmax(0, w->jump1) + fmax(0, w->jump2)) / rise, 0, 2);
        f[LINE_MEMORY] = w->correlation;
        f[LINE_DRIFT8] = log(1 + drift(p, eighth));
        f[LINE_TURN] = turn;
        f[LINE_CEILING] = within(l->ceiling / l->slope - 1, -2, 3);
        f[LINE_RECENT] = within(recent - 1, -2, 3);
        f[LINE_DRIFT4] = log(1 + drift(p, max_of(p->n / 4, 1U)));
        for (unsigned i = 0; i < _LINE_FORMS; i++) {
                double sum = 0;

#pragma GCC unroll 15
                for (unsigned j = 0; j < _LINE_FEATURES; j++)
                        sum += line_coefficients[i][j] * f[j];
                l->form[i] = sum;
        }
}

/* Weighed is what rises by twice its error and did not just stop or begin: a gate wide open, the weights do the rest.
 */
static bool is_usable(const TrendLine *l) {
        return l->slope > 0 && l->slope >= 2 * l->error && l->slope2 >= 0.1 * l->slope && l->slope2 <= 3 * l->slope
               && l->span_s > 0 && l->slope * l->span_s > 0;
}

/* The line of the newest @n buckets, without its features. */
static Fit draw(const TrendLevel *level, unsigned n, Points *points, TrendLine *l) {
        double x0, y0, begin;
        Fit f;

        take_points(level, n, points, &x0, &y0);
        f = fit_halves(points, l);
        begin = pyramid_at(level, level->n - n)->begin_s;
        l->n = n;
        l->origin_s = begin;
        l->mean_s = f.mean_x + x0 - begin;
        l->floor_mean = f.mean_y + y0;
        l->ceiling_mean += y0;
        l->span_s = pyramid_at(level, level->n - 1)->end_s - begin;
        l->usable = is_usable(l);
        return f;
}

/* A line that does not rise is left without features. */
static void solve(const TrendLevel *level, unsigned n, TrendLine *l) {
        Points points;
        Fit f = draw(level, n, &points, l);
        Walk w;

        if (!l->usable)
                return;
        w = walk(&points, &f);
        l->peak = fmax(w.over2, 0);
        l->log_slope = log(l->slope);
        l->log_ceiling = l->ceiling > 0 ? log(l->ceiling) : -INFINITY;
        l->log_span = log(l->span_s);
        l->log_peak = log(l->peak);
        l->log_noise = log(l->noise);
        fill_features(l, &points, &w, unrest(&level->slopes));
}

void solve_level(TrendPyramid *p, unsigned k) {
        TrendLevel *level = &p->level[k];

        solve(level, level->n, &level->line);
        level->solved = true;
}

void solve_slope(TrendPyramid *p, unsigned k) {
        TrendLevel *level = &p->level[k];
        Points points;

        draw(level, level->n, &points, &level->line);
        level->solved = true;
}

void solve_tail(TrendPyramid *p) {
        p->tail_solved = p->level[p->entry].n >= 2 * TREND_TAIL;
        if (p->tail_solved)
                solve(&p->level[p->entry], TREND_TAIL, &p->tail);
}
