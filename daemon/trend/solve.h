/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws the line of a level. Apart from line.h, which describes the result, because it needs the buckets of the level
 * and of those above it. Internal to trend/.
 */
#pragma once

#include "trend/pyramid.h"

/* solve_level() - least squares over level @k's ring into its line. Shape: at least TREND_FIT_MIN buckets. O(1). */
void solve_level(TrendPyramid *p, unsigned k);

/* solve_slope() - the same without what only a forecast asks for: the level's `drawn` must be false. */
void solve_slope(TrendPyramid *p, unsigned k);

/* solve_tail() - the same over the newest TREND_TAIL samples, once there are twice as many. O(1). */
void solve_tail(TrendPyramid *p);
