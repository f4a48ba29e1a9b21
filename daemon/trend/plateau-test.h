/* SPDX-License-Identifier: Apache-2.0
 *
 * Is memory a plateau or a line? The slope of the lows of equal windows, with an interval that stays honest where
 * neighbouring windows depend on each other, after a warm-up that is found and cut. Pure: no clock, I/O, allocation.
 *
 * Lows, because garbage collection and load put use on top of what stays. A window has a low whatever its noise, and
 * equal windows shift it equally, so the slope keeps no bias.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLATEAU_WINDOWS     32u
#define PLATEAU_WINDOWS_MIN 12u /* with values, behind the warm-up */

typedef enum PlateauVerdict { PLATEAU_UNDECIDED, PLATEAU_FLAT, PLATEAU_LINE, _PLATEAU_VERDICT_MAX } PlateauVerdict;

typedef struct PlateauPoint {
        double at_s, bytes;
} PlateauPoint;

typedef struct PlateauResult {
        PlateauVerdict verdict;
        unsigned n_windows;               /* that were used; fewer than PLATEAU_WINDOWS_MIN: nothing below is known */
        double warm_s, judged_s;          /* cut off at the beginning; what is left */
        double level_bytes, level_lo, level_hi; /* the line's, at the end */
        double slope, slope_lo, slope_hi; /* bytes/s */
        double matters;                   /* bytes/s: the slope from which on it matters */
        double more_s;                    /* UNDECIDED: watch so much longer; 0 = cannot be told */
        double rho;                       /* how neighbours depend on each other */
        bool slows, brief;                /* UNDECIDED though it grows: it slows down; too short to be no wave */
} PlateauResult;

/**
 * plateau_windows() - the lows of equal windows
 * @p:   Shape: times rising
 * @ret: PLATEAU_WINDOWS of room. Return: how many; windows without a point are left out.
 */
unsigned plateau_windows(const PlateauPoint *p, size_t n, PlateauPoint ret[static PLATEAU_WINDOWS]);

/**
 * plateau_test() - judge the lows
 * @confidence: two-sided, 0.5 .. 0.999
 * @limit_bytes, @horizon_s: it matters when the limit is reached within that; 0 = no limit:
 * @daily_ratio: it matters when so much of the level is added a day
 * FLAT: the interval's upper end does not matter, and it does not fall as fast either: what falls may be half of a
 * wave. LINE: its lower end is above zero and the slope matters.
 * Source: effective sample size of AR(1) residuals (Bayley and Hammersley 1946); warm-up by the least marginal
 * standard error (White 1997), here around a line. Test: tests/unit/test-plateau-test.c
 */
void plateau_test(const PlateauPoint *low, unsigned n, double confidence, double limit_bytes, double horizon_s,
                  double daily_ratio, PlateauResult *ret);

/* What a change of allocator, say, has changed. */
typedef struct PlateauChange {
        bool known;                             /* both were judged */
        bool ratio_known;                       /* before grew beyond doubt */
        double ratio, ratio_lo, ratio_hi;       /* slope after to slope before */
        double saved_bytes, saved_lo, saved_hi; /* level at the end of before, less that of after */
} PlateauChange;

/* plateau_compare() - both of one confidence, and independent of each other. */
void plateau_compare(const PlateauResult *before, const PlateauResult *after, PlateauChange *ret);

/* plateau_verdict_name() - "plateau", "line", "undecided". Owner: static. */
const char *plateau_verdict_name(PlateauVerdict v);
