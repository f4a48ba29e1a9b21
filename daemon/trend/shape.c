/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/shape.h"

#include <math.h>
#include <string.h>

#include "trend/coefficients.h"

#define TURN_RATIO (1.0 / 3)

static double quarter(const double *place, unsigned n, unsigned q) {
        unsigned begin = n * q / 4, end = n * (q + 1) / 4;
        double sum = 0;

        for (unsigned i = begin; i < end; i++)
                sum += place[i];
        return sum / (end - begin);
}

static double turns(const double *place, unsigned n) {
        double low = place[0], high = place[0];
        unsigned count = 0;
        int up = 0;

        for (unsigned i = 1; i < n; i++) {
                low = fmin(low, place[i]);
                high = fmax(high, place[i]);
                if (up >= 0 && high - place[i] > TURN_RATIO) {
                        count++;
                        up = -1;
                        low = place[i];
                } else if (up <= 0 && place[i] - low > TURN_RATIO) {
                        count++;
                        up = 1;
                        high = place[i];
                }
        }
        return (double)count / n;
}

static void moments(const double *place, unsigned n, double *ret_memory, double *ret_spread) {
        double mean = 0, sum2 = 0, lagged = 0, newer = 0, newer2 = 0;
        unsigned half = n / 2;

        for (unsigned i = 0; i < n; i++)
                mean += place[i] / n;
        for (unsigned i = 0; i < n; i++) {
                sum2 += (place[i] - mean) * (place[i] - mean);
                if (i > 0)
                        lagged += (place[i] - mean) * (place[i - 1] - mean);
                if (i >= half) {
                        newer += place[i];
                        newer2 += place[i] * place[i];
                }
        }
        newer /= n - half;
        *ret_memory = sum2 > 0 ? lagged / sum2 : 0;
        *ret_spread = sqrt(fmax(0, newer2 / (n - half) - newer * newer));
}

bool shape_features(const TrendLevel *l, const TrendCycles *c, double ret[static _SHAPE_FEATURES]) {
        double lo = INFINITY, hi = -INFINITY, height = 0, place[TREND_BUCKETS], jump = 0, fall = 0;

        for (unsigned i = 0; i < l->n; i++) {
                const TrendBucket *b = pyramid_at(l, i);

                lo = fmin(lo, b->lo);
                hi = fmax(hi, b->hi);
                height += (b->hi - b->lo) / l->n;
        }
        if (!(hi > lo) || !(hi > 0))
                return false;
        for (unsigned i = 0; i < l->n; i++) {
                place[i] = (pyramid_at(l, i)->lo - lo) / (hi - lo);
                if (i > 0) {
                        jump = fmax(jump, place[i] - place[i - 1]);
                        fall = fmax(fall, place[i - 1] - place[i]);
                }
        }
        ret[SHAPE_ONE] = 1;
        ret[SHAPE_RANGE] = log(fmin((hi - lo) / hi, 1) + 0.001);
        ret[SHAPE_NOISE] = height / (hi - lo);
        ret[SHAPE_START] = place[0];
        for (unsigned q = 0; q < 4; q++)
                ret[SHAPE_Q1 + q] = quarter(place, l->n, q);
        ret[SHAPE_TURNS] = turns(place, l->n);
        ret[SHAPE_JUMP] = jump;
        ret[SHAPE_FALL] = fall;
        moments(place, l->n, &ret[SHAPE_MEMORY], &ret[SHAPE_SPREAD]);
        ret[SHAPE_CYCLES] = fmin(c->highest / (hi - lo), 2);
        return true;
}

Shape shape_of(const double features[static _SHAPE_FEATURES]) {
        Shape best = SHAPE_FLAT;
        double top = -INFINITY;

        for (Shape s = 0; s < _SHAPE_MAX; s++) {
                double sum = 0;

                for (unsigned i = 0; i < _SHAPE_FEATURES; i++)
                        sum += shape_coefficients[s][i] * features[i]
                               + shape_squares[s][i] * features[i] * features[i];
                if (sum > top) {
                        top = sum;
                        best = s;
                }
        }
        return best;
}
