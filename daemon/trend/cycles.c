/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/cycles.h"

#include <math.h>

#define FINEST_LOG2  4   /* the first duration is 2^-4 s */
#define NEARLY_RATIO 0.7 /* a rise explains others that lasted up to 1 / 0.7 times as long */
#define LOST_RATIO   0.5 /* of a rise: it came back */

static int duration_index(double log2_s) {
        return (int)fmax(0, fmin(TREND_CYCLES - 1, floor(log2_s + FINEST_LOG2)));
}

static void note(TrendCycles *c, double time_s) {
        double rise = c->peak - c->trough;
        int k = duration_index(log2(fmax(time_s - c->trough_s, 1.0 / 16)));

        c->highest = fmax(c->highest, rise);
        for (; k >= 0 && c->returned[k] < rise; k--)
                c->returned[k] = rise; /* longer ones are at least as high: the rest below is too */
}

static void begin(TrendCycles *c, double time_s, double bytes) {
        c->trough = c->peak = bytes;
        c->trough_s = time_s;
}

void cycles_push(TrendCycles *c, double time_s, double bytes) {
        if (!c->started) {
                c->started = true;
                begin(c, time_s, bytes);
        } else if (bytes < c->trough) {
                if (c->peak > c->trough)
                        note(c, time_s);
                begin(c, time_s, bytes);
        } else if (bytes > c->peak) {
                c->peak = bytes;
        } else if (c->peak - bytes > LOST_RATIO * (c->peak - c->trough)) {
                note(c, time_s);
                begin(c, time_s, bytes);
        }
}

double cycles_explained(const TrendCycles *c, double span_s) {
        double k;

        if (!(span_s > 0))
                return c->highest;
        k = ceil(log2(NEARLY_RATIO * span_s)) - 1 + FINEST_LOG2; /* a duration d is in row floor(log2 d) */
        return k >= TREND_CYCLES ? 0 : c->returned[k > 0 ? (int)k : 0];
}

void cycles_lower(TrendCycles *c, double bytes) {
        c->trough -= bytes;
        c->peak -= bytes;
}
