/* SPDX-License-Identifier: Apache-2.0
 *
 * The window's ring and its sums: add a point, let old ones go, start anew. Internal to trend/.
 *
 * The sums are those of weighted least squares about the weighted means, updated point by point (Welford 1962; with
 * weights: West 1979). Taking a point away is the same step backwards. Each leaves a rounding error behind, so the sums
 * are built afresh from the ring after TREND_RING removals: one addition more a point, and the error stays bounded.
 */
#pragma once

#include "trend/trend.h"

/* Seconds between the origin of @t and @time_usec, which may lie before it. */
static inline double window_seconds(const Trend *t, uint64_t time_usec) {
        return time_usec >= t->origin_usec ? (double)(time_usec - t->origin_usec) / USEC_PER_SEC
                                           : -((double)(t->origin_usec - time_usec) / USEC_PER_SEC);
}

/* window_at() - the @i-th oldest point. Shape: @i < t->n. */
static inline const TrendPoint *window_at(const Trend *t, unsigned i) {
        return &t->ring[(t->head + i) % TREND_RING];
}

/* window_sums_add() - one more point. Shape: @weight > 0. */
void window_sums_add(TrendSums *s, double x, double y, double weight);

/* window_add() - append a point that is newer than all others; the oldest goes when the ring is full. */
void window_add(Trend *t, const TrendPoint *p);

/* window_slide() - drop the points that are older than the window at @now_usec. O(1) amortised. */
void window_slide(Trend *t, uint64_t now_usec);

/* window_clear() - drop all points, those of the bucket and of the pending ones too. */
void window_clear(Trend *t);

/* window_line() - the line through the ring at @time_usec. Shape: at least two points. */
double window_line(const Trend *t, uint64_t time_usec);

/* window_departure() - how far a point is off the line of the ring, if too far to belong to it; 0 if it belongs, or
 * nothing can be said yet. */
double window_departure(const Trend *t, uint64_t time_usec, double bytes);

/* window_open_point() - the bucket being filled, as a point. Return: false when there is none or it is off the line. */
bool window_open_point(const Trend *t, TrendPoint *ret);
