/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/window.h"

#include <math.h>

void window_sums_add(TrendSums *s, double x, double y, double weight) {
        double dx = x - s->mean_x, dy = y - s->mean_y;

        s->weight += weight;
        s->mean_x += dx * weight / s->weight;
        s->mean_y += dy * weight / s->weight;
        s->sxx += weight * dx * (x - s->mean_x);
        s->sxy += weight * dx * (y - s->mean_y);
        s->syy += weight * dy * (y - s->mean_y);
}

/* The step of window_sums_add() backwards: the means first, then the products between old and new means. */
static void sums_remove(TrendSums *s, double x, double y, double weight) {
        double dx = x - s->mean_x, dy = y - s->mean_y;
        double left = s->weight - weight;

        s->mean_x -= dx * weight / left;
        s->mean_y -= dy * weight / left;
        s->sxx = fmax(s->sxx - weight * dx * (x - s->mean_x), 0.0);
        s->sxy -= weight * dx * (y - s->mean_y);
        s->syy = fmax(s->syy - weight * dy * (y - s->mean_y), 0.0);
        s->weight = left;
}

static void refit(Trend *t) {
        t->sums = (TrendSums){};
        t->since_refit = 0;
        if (t->n == 0)
                return;
        t->origin_usec = window_at(t, 0)->time_usec;
        for (unsigned i = 0; i < t->n; i++) {
                const TrendPoint *p = window_at(t, i);

                window_sums_add(&t->sums, window_seconds(t, p->time_usec), p->bytes, p->weight);
        }
}

static void drop_oldest(Trend *t) {
        const TrendPoint *p = window_at(t, 0);
        double weight = p->weight, x = window_seconds(t, p->time_usec), y = p->bytes;
        double before = t->sums.syy;

        t->head = (t->head + 1) % TREND_RING;
        t->n--;
        sums_remove(&t->sums, x, y, weight);
        /* Where one point made up most of a sum, its removal leaves mainly rounding error. */
        if (++t->since_refit >= TREND_RING || t->n < 2 || t->sums.weight < weight || t->sums.syy < before / 2)
                refit(t);
}

void window_add(Trend *t, const TrendPoint *p) {
        if (t->n == TREND_RING)
                drop_oldest(t);
        if (t->n == 0) {
                t->origin_usec = p->time_usec;
                t->sums = (TrendSums){};
        }
        t->ring[(t->head + t->n) % TREND_RING] = *p;
        t->n++;
        window_sums_add(&t->sums, window_seconds(t, p->time_usec), p->bytes, p->weight);
}

void window_slide(Trend *t, uint64_t now_usec) {
        while (t->n > 0 && now_usec > window_at(t, 0)->time_usec
               && now_usec - window_at(t, 0)->time_usec > t->options.window_usec)
                drop_oldest(t);
}

void window_clear(Trend *t) {
        t->head = t->n = 0;
        t->n_pending = 0;
        t->bucket_n = 0;
        t->since_refit = 0;
        t->sums = (TrendSums){};
}

double window_line(const Trend *t, uint64_t time_usec) {
        double slope = t->sums.sxx > 0 ? t->sums.sxy / t->sums.sxx : 0;

        return t->sums.mean_y + slope * (window_seconds(t, time_usec) - t->sums.mean_x);
}
