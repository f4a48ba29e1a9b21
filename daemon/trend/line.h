/* SPDX-License-Identifier: Apache-2.0
 *
 * Least squares through the buckets of one window: on their lows (the floor, which a sawtooth does not move), on the
 * floor's two halves, and on their highs (the ceiling). With them what tells whether the line deserves to be believed.
 * Drawn anew when a forecast is made, so all that costs is done then and not once a sample. Internal to trend/.
 */
#pragma once

#include <stdbool.h>

#define TREND_PAST 20 /* slopes of past windows kept a level */

/* What a line says about itself, each free of units. The tables in coefficients.h have a number for each. */
typedef enum LineFeature {
        LINE_ONE,       /* 1: the constant of a linear form */
        LINE_ERROR,     /* log of standard error / slope */
        LINE_BEND,      /* |newer half - older half| / slope, and */
        LINE_BEND2,     /* its square */
        LINE_UNREST,    /* log of the spread of past slopes / slope */
        LINE_DROP,      /* deepest fall of the floor / rise */
        LINE_NEWS,      /* |slope of the newest quarter / slope - 1| */
        LINE_POINTS,    /* log of the number of buckets */
        LINE_JUMP,      /* the two largest jumps of the floor / rise */
        LINE_MEMORY,    /* lag-1 correlation of the residuals */
        LINE_DRIFT8,    /* log (1 + t) of the increments over an eighth of the window: above a random walk? */
        LINE_TURN,      /* (newer half - older half) / slope, with its sign */
        LINE_CEILING,   /* slope of the ceiling / slope - 1 */
        LINE_RECENT,    /* slope of the newest quarter / slope - 1 */
        LINE_DRIFT4,    /* as DRIFT8, over a quarter */
        _LINE_FEATURES,
} LineFeature;

/* The linear forms of a line's features that forecast.c adds up; their constant parts are computed with the line. */
typedef enum LineForm {
        FORM_WEIGHT_FLOOR,   /* how much the forecast from this floor counts among all */
        FORM_WEIGHT_CEILING, /* ... and from this ceiling */
        FORM_SHIFT_FLOOR,    /* what is added to its log time to the limit */
        FORM_SHIFT_CEILING,
        FORM_WIDTH_LO, /* log of the width of the interval's lower side, in log time */
        FORM_WIDTH_HI,
        FORM_SCORE, /* log odds that the limit will be reached */
        _LINE_FORMS,
} LineForm;

typedef struct TrendLine {
        double slope, error; /* bytes a second, of the floor */
        double slope1, error1, slope2, error2; /* of its older and its newer half */
        double ceiling;                        /* slope of the highs */
        double origin_s, mean_s;               /* first bucket; centre, after origin_s */
        double floor_mean, ceiling_mean;       /* bytes at the centre */
        double span_s;
        double peak;     /* second largest distance of a high from the floor's line */
        double scatter;  /* standard deviation of the lows about the line */
        double r2_ratio; /* goodness of fit of the floor, 0..1 */
        double noise;    /* standard deviation of the lows plus that of the highs */
        double log_slope, log_ceiling, log_span, log_peak, log_noise;
        double feature[_LINE_FEATURES];
        double form[_LINE_FORMS];
        unsigned n;
        bool usable; /* rises, beyond doubt enough to be weighed */
} TrendLine;

/* Slopes of past windows of one length: a ring. */
typedef struct TrendSlopes {
        float past[TREND_PAST];
        unsigned char at, n;
} TrendSlopes;

/* line_value() - bytes of the floor's line at @time_s. */
static inline double line_value(const TrendLine *l, double time_s) {
        return l->floor_mean + l->slope * (time_s - l->origin_s - l->mean_s);
}
