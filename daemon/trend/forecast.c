/* SPDX-License-Identifier: Apache-2.0
 *
 * Every line whose window rises gives two times: when its floor with its peaks on top meets the limit, and when its
 * ceiling does. No window is chosen. The weights are a soft choice (soft maximum of a linear form), so a forecast
 * moves from one window to the next without a jump. All figures that enter are ratios or logs of ratios: the answer
 * is the same in bytes and gigabytes, and nothing here knows a size. See tests/bench/forecast-fit for the tables.
 */
#include "trend/forecast.h"

#include <math.h>
#include <string.h>

#include "trend/coefficients.h"
#include "util/cleanup.h"

#define PEAK_RATIO   0.7  /* of the peak over the floor is taken off the room: the median crossing is met by it */
#define ROOM_MIN     0.05 /* of the distance: peaks do not make the limit be here already */
#define RATIO_MIN    1e-9 /* of the limit: no room is smaller, so that logs stay finite */
#define WIDTH_LOG_LO (-3.5)
#define WIDTH_LOG_HI 1.5
#define SHIFT_MAX    1.5
#define REACH_ERRORS 0.5 /* by so many errors slowing down may be an accident */
#define FIFTEEN_MIN  900.0
#define STEADY_DRIFT 1.8 /* log (1 + t): t = 5 */

static double within(double x, double lo, double hi) {
        return x > lo ? fmin(x, hi) : lo;
}

static double linear(const double *a, const double *b, unsigned n) {
        double sum = 0;

        for (unsigned i = 0; i < n; i++)
                sum += a[i] * b[i];
        return sum;
}

static void add_candidate(Candidates *all, const TrendLine *l, unsigned k, bool ceiling, double log_room,
                          double slope, double log_slope, const double dynamic[static _DYNAMIC_FEATURES]) {
        Candidate *c = &all->at[all->n++];
        unsigned weight = ceiling ? FORM_WEIGHT_CEILING : FORM_WEIGHT_FLOOR;
        unsigned shift = ceiling ? FORM_SHIFT_CEILING : FORM_SHIFT_FLOOR;
        double log_eta = log_room - log_slope;

        c->line = l;
        c->level = (unsigned char)k;
        c->ceiling = ceiling;
        c->log_room = log_room;
        c->slope = slope;
        memcpy(c->dynamic, dynamic, sizeof(c->dynamic));
        c->dynamic[DYNAMIC_AHEAD] = within(log_eta - l->log_span, -2.3, 4.6);
        c->weight = l->form[weight] + linear(dynamic_coefficients[weight], c->dynamic, _DYNAMIC_FEATURES);
        c->log_eta = log_eta
                     + within(l->form[shift] + linear(dynamic_coefficients[shift], c->dynamic, _DYNAMIC_FEATURES),
                              -SHIFT_MAX, SHIFT_MAX);
}

/* The candidates of one line: from its floor, and from its ceiling if that rises too. */
static void add_line(const ForecastInput *in, Candidates *all, const TrendLine *l, unsigned k, double log_age) {
        double floor_now = line_value(l, in->now_s), least = RATIO_MIN * in->limit_bytes;
        double distance = in->limit_bytes - floor_now, left = in->limit_bytes - in->bytes;
        double room = fmax(fmax(distance - PEAK_RATIO * l->peak, ROOM_MIN * fmax(distance, left)), least);
        double log_room = log(room), ceiling_room;
        double dynamic[_DYNAMIC_FEATURES] = {[DYNAMIC_NOISE] = within(l->log_noise - log_room, -4.6, 4.6),
                                             [DYNAMIC_PEAK] = within(l->log_peak - log_room, -4.6, 4.6),
                                             [DYNAMIC_AGE] = within(log_age - l->log_span, -0.7, 6.9)};

        add_candidate(all, l, k, false, log_room, l->slope, l->log_slope, dynamic);
        if (l->ceiling <= 0.3 * l->slope)
                return;
        distance = in->limit_bytes - l->ceiling_mean - l->ceiling * (in->now_s - l->origin_s - l->mean_s);
        ceiling_room = fmax(fmax(distance, 0.02 * left), least);
        add_candidate(all, l, k, true, log(ceiling_room), l->ceiling, l->log_ceiling, dynamic);
}

/* Turns the weights into shares of one. Return: the candidate with the largest. */
static const Candidate *normalise(Candidates *all) {
        const Candidate *best = &all->at[0];
        double top = -INFINITY, sum = 0;

        for (unsigned i = 0; i < all->n; i++)
                top = fmax(top, all->at[i].weight);
        for (unsigned i = 0; i < all->n; i++)
                sum += all->at[i].weight = exp(all->at[i].weight - top);
        for (unsigned i = 0; i < all->n; i++) {
                Candidate *c = &all->at[i];

                c->weight /= sum;
                if (c->weight > best->weight)
                        best = c;
        }
        return best;
}

typedef struct Average {
        double log_eta, log_span, log_room, spread2, slope, slope_error2, level, noise_top;
        double slope1, error1, slope2, error2;
        double form[_LINE_FORMS]; /* WIDTH_LO and above are filled */
} Average;

static void average(const ForecastInput *in, const Candidates *all, Average *a) {
        double slope2 = 0, log2 = 0;

        for (unsigned i = 0; i < all->n; i++) {
                const Candidate *c = &all->at[i];
                const TrendLine *l = c->line;
                double w = c->weight;

                a->log_eta += w * c->log_eta;
                log2 += w * c->log_eta * c->log_eta;
                a->log_span += w * l->log_span;
                a->log_room += w * c->log_room;
                a->slope += w * c->slope;
                slope2 += w * (c->slope * c->slope + l->error * l->error);
                a->level += w * line_value(l, in->now_s);
                a->slope1 += w * l->slope1;
                a->slope2 += w * l->slope2;
                a->error1 += w * l->error1;
                a->error2 += w * l->error2;
                a->noise_top = fmax(a->noise_top, l->peak);
                for (unsigned j = FORM_WIDTH_LO; j < _LINE_FORMS; j++)
                        a->form[j] += w * (l->form[j] + linear(dynamic_coefficients[j], c->dynamic, _DYNAMIC_FEATURES));
        }
        a->spread2 = fmax(0, log2 - a->log_eta * a->log_eta);
        a->slope_error2 = fmax(0, slope2 - a->slope * a->slope);
}

/* Where growth that loses as much with each half window as it did between the two would end, as a share of the room. */
static double reach(const Average *a, double span_s, double room) {
        double ratio = 1;

        if (a->slope1 > 0)
                ratio = a->slope2 / a->slope1
                        + REACH_ERRORS * hypot(a->error2, a->error1 * a->slope2 / a->slope1) / a->slope1;
        if (ratio >= 1)
                return INFINITY;
        return fmax(0, a->slope2 * span_s / 2 * ratio / (1 - ratio) / room);
}

static double slope_beside(const ForecastInput *in, unsigned level, int by, double slope) {
        for (int step = by; step != 0; step -= by > 0 ? 1 : -1) {
                int k = (int)level + step;

                if (k >= 0 && k < TREND_LEVELS && in->pyramid->level[k].solved)
                        return in->pyramid->level[k].line.slope / slope;
        }
        return 1;
}

static void fill_life(const ForecastInput *in, const Average *a, const Candidate *best, Forecast *f) {
        const TrendLine *l = best->line;
        double room = exp(a->log_room), rise = f->slope * f->span_s, age = in->now_s - in->start_s;
        double run = fmax(f->level_bytes - in->cycles->trough, RATIO_MIN * in->limit_bytes);
        double run_s = in->now_s - in->cycles->trough_s;
        double way = fmax(in->limit_bytes - in->start_bytes, RATIO_MIN * in->limit_bytes);
        double *v = f->life;

        v[LIFE_SPREAD] = log(sqrt(a->spread2) + 0.02);
        v[LIFE_USED] = in->bytes / in->limit_bytes;
        v[LIFE_EXPLAINED] = log(within(cycles_explained(in->cycles, run_s) / run, 0, 10) + 0.05);
        v[LIFE_EXPLAINED_WINDOW] = log(within(cycles_explained(in->cycles, f->span_s) / rise, 0, 10) + 0.05);
        v[LIFE_ROOM] = log(within(room / run, 0.01, 100));
        v[LIFE_BELOW_HIGH] = within((in->high_bytes - in->bytes) / rise, -1, 3);
        v[LIFE_REACH] = log(within(f->reach_ratio, 0.001, 50) + 0.05);
        v[LIFE_CYCLES] = log(within(in->cycles->highest / run, 0, 100) + 0.01);
        v[LIFE_PROGRESS] = within((in->bytes - in->start_bytes) / way, -1, 1);
        v[LIFE_SOON] = log(f->eta_s / FIFTEEN_MIN + 0.1);
        v[LIFE_LONGER] = within(slope_beside(in, best->level, 2, f->slope), -1, 2);
        v[LIFE_SHORTER] = within(slope_beside(in, best->level, -2, f->slope), -2, 4);
        v[LIFE_OLDER_HIGH] = within(
                (pyramid_highest(in->pyramid, best->level, l->origin_s) - f->level_bytes) / rise, -1.5, 2);
        v[LIFE_SPAN] = a->log_span - log(FIFTEEN_MIN);
        v[LIFE_RISE] = log(rise / in->limit_bytes + 0.003);
        v[LIFE_HIGHEST_PEAK] = log(within(a->noise_top / room, 0, 10) + 0.02);
        v[LIFE_WHOLE] = age > 0 ? within((f->level_bytes - in->start_bytes) / age / f->slope, -1, 2) : 0;
}

static double width(const Average *a, const Forecast *f, unsigned form) {
        return exp(within(a->form[form] + spread_coefficients[form - FORM_WIDTH_LO] * f->life[LIFE_SPREAD],
                          WIDTH_LOG_LO, WIDTH_LOG_HI));
}

static bool is_steady(const TrendLine *l, double eta_s) {
        return eta_s <= l->span_s && l->slope >= 10 * l->error && l->feature[LINE_DRIFT8] >= STEADY_DRIFT;
}

void forecast_make(const ForecastInput *in, Candidates *c, Forecast *ret) {
        double log_age = log(fmax(in->now_s - in->start_s, TREND_FINEST_S));
        Average a = {};
        const Candidate *best;

        ret->known = false;
        c->n = 0;
        if (in->pyramid->tail_solved && in->pyramid->tail.usable)
                add_line(in, c, &in->pyramid->tail, in->pyramid->entry, log_age);
        for (unsigned k = in->pyramid->entry; k < TREND_LEVELS; k++)
                if (in->pyramid->level[k].solved && in->pyramid->level[k].line.usable)
                        add_line(in, c, &in->pyramid->level[k].line, k, log_age);
        if (c->n == 0)
                return;
        best = normalise(c);
        average(in, c, &a);
        ret->known = true;
        ret->eta_s = exp(a.log_eta);
        ret->span_s = exp(a.log_span);
        ret->slope = a.slope;
        ret->slope_error = sqrt(a.slope_error2);
        ret->level_bytes = a.level;
        ret->r2_ratio = best->line->r2_ratio;
        ret->scatter_bytes = best->line->scatter;
        ret->steady = is_steady(best->line, ret->eta_s);
        ret->reach_ratio = reach(&a, ret->span_s, exp(a.log_room));
        fill_life(in, &a, best, ret);
        ret->lo_s = ret->eta_s * exp(-width(&a, ret, FORM_WIDTH_LO));
        ret->hi_s = ret->eta_s * exp(width(&a, ret, FORM_WIDTH_HI));
        ret->score = a.form[FORM_SCORE] + linear(life_coefficients, ret->life, _LIFE_FEATURES);
}
