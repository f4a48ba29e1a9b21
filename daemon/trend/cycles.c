/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/cycles.h"

#include <math.h>

#define FINEST_LOG2  4   /* the first duration is 2^-4 s */
#define NEARLY_RATIO 0.7 /* a rise explains others that lasted up to 1 / 0.7 times as long */
#define LOST_RATIO   0.5 /* of a rise: it came back */
#define NEWS_RATIO   0.1 /* of the way down from the high: higher by more is another high */
#define OLD_RATIO    2.0 /* of the life until a high: longer after it, it explains nothing */

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

static bool is_news(const TrendCycles *c, double bytes) {
        return bytes > c->high + NEWS_RATIO * (c->high - c->dip);
}

static void follow_high(TrendCycles *c, double time_s, double bytes) {
        if (!c->started)
                c->start_s = time_s;
        if (!c->started || is_news(c, bytes))
                c->high = c->dip = bytes;
        if (bytes < c->dip)
                c->dip = bytes;
        if (bytes >= c->high - NEWS_RATIO * (c->high - c->dip))
                c->high_s = time_s;
}

static void begin(TrendCycles *c, double time_s, double bytes) {
        c->trough = c->peak = bytes;
        c->trough_s = time_s;
}

void cycles_push(TrendCycles *c, double time_s, double bytes) {
        follow_high(c, time_s, bytes);
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

bool cycles_been_there(const TrendCycles *c, double now_s, double bytes, double rise, double limit) {
        double fell = c->high - c->dip;

        return c->started && rise < fell && limit - c->high >= fell && !is_news(c, bytes) &&
               now_s - c->high_s <= OLD_RATIO * (c->high_s - c->start_s);
}

void cycles_lower(TrendCycles *c, double bytes) {
        c->trough -= bytes;
        c->peak -= bytes;
        c->high -= bytes;
        c->dip -= bytes;
}
