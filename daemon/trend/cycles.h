/* SPDX-License-Identifier: Apache-2.0
 *
 * What rose and came back: a zigzag along the samples that notes each rise of which more than half was lost again, the
 * highest for each power of two of its duration. A rise that past ones explain is no news. Internal to trend/.
 */
#pragma once

#include <stdbool.h>

#define TREND_CYCLES 32 /* durations: 2^k sixteenths of a second, up to 8 years */

typedef struct TrendCycles {
        bool started;
        double trough, peak, trough_s;  /* of the present rise */
        double returned[TREND_CYCLES];  /* highest rise that lasted at least so long and came back, bytes */
        double highest;                 /* of all of them */
        double high, dip;               /* the last high that was news, and the lowest since */
        double start_s, high_s;         /* of this life; when that high was last met */
} TrendCycles;

/* cycles_push() - one sample. */
void cycles_push(TrendCycles *c, double time_s, double bytes);

/* cycles_explained() - the highest rise that came back after nearly @span_s or longer, bytes; 0 = none. */
double cycles_explained(const TrendCycles *c, double span_s);

/**
 * cycles_been_there() - is a rise of @rise up to @bytes no news: it came down by more, from a level that is as high?
 * False once that is long ago against the life before it (a peak of the start does not hide a slow leak for ever), and
 * when the way on to @limit is shorter than the way down was: nobody could wait for it.
 */
bool cycles_been_there(const TrendCycles *c, double now_s, double bytes, double rise, double limit);

/* cycles_lower() - as pyramid_lower(). */
void cycles_lower(TrendCycles *c, double bytes);
