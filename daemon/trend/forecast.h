/* SPDX-License-Identifier: Apache-2.0
 *
 * When the limit is met, from all lines at once: each window's floor and ceiling foretell a time, and their logs are
 * averaged by weights that tell which of them tend to be right. The same weights average what the lines say about
 * themselves; that and the life's own figures give the interval and the odds. Internal to trend/.
 */
#pragma once

#include "trend/cycles.h"
#include "trend/pyramid.h"

/* What a forecast says about a line beyond the line itself: changes with each sample. */
typedef enum DynamicFeature {
        DYNAMIC_AHEAD, /* log of time to the limit / window */
        DYNAMIC_NOISE, /* log of noise / room */
        DYNAMIC_PEAK,  /* log of peak / room */
        DYNAMIC_AGE,   /* log of age of this life / window */
        _DYNAMIC_FEATURES,
} DynamicFeature;

/* What the odds depend on beyond the lines: the life as a whole. */
typedef enum LifeFeature {
        LIFE_SPREAD,       /* log of the standard deviation between the forecasts */
        LIFE_USED,         /* used / limit */
        LIFE_EXPLAINED,    /* log of what came back / the present rise since its trough */
        LIFE_EXPLAINED_WINDOW, /* ... / the rise of the window */
        LIFE_ROOM,         /* log of room / the present rise */
        LIFE_BELOW_HIGH,   /* how far below its highest, in rises of the window */
        LIFE_REACH,        /* log of where slowing down as so far would end / room */
        LIFE_CYCLES,       /* log of the highest rise that came back / the present one */
        LIFE_PROGRESS,     /* share of the way from the start of this life to the limit */
        LIFE_SOON,         /* log of the time to the limit / 15 min */
        LIFE_LONGER,       /* slope of a window four times as long / slope */
        LIFE_SHORTER,      /* ... a quarter as long */
        LIFE_OLDER_HIGH,   /* highest before the window over the present line, in rises of the window */
        LIFE_SPAN,         /* log of the window / 15 min */
        LIFE_RISE,         /* log of the window's rise / limit */
        LIFE_HIGHEST_PEAK, /* log of the highest peak of all windows / room */
        LIFE_WHOLE,        /* mean slope of the whole life / slope */
        _LIFE_FEATURES,
} LifeFeature;

typedef struct ForecastInput {
        const TrendPyramid *pyramid;
        const TrendCycles *cycles;
        double now_s, start_s;     /* of this life */
        double bytes, limit_bytes; /* limit > 0 */
        double start_bytes, high_bytes;
} ForecastInput;

typedef struct Candidate {
        const TrendLine *line;
        unsigned char level; /* the tail counts as the level of the samples */
        bool ceiling;
        double log_eta, log_room, weight, slope;
        double dynamic[_DYNAMIC_FEATURES];
} Candidate;

/* All candidates of one forecast: for the one who makes it. */
typedef struct Candidates {
        unsigned n;
        Candidate at[2 * (TREND_LEVELS + 1)];
} Candidates;

typedef struct Forecast {
        bool known;
        double eta_s, lo_s, hi_s; /* from the newest sample; 90 % between lo and hi */
        double level_bytes;       /* of the lines, now */
        double slope, slope_error, span_s;
        double score; /* log odds that the limit will be reached, as far as the shape of the growth tells */
        double r2_ratio, scatter_bytes; /* of the line that weighs most */
        bool steady; /* that line rises beyond ten errors and no random walk would, by as much as is left */
        double reach_ratio; /* how much of the room growth that slows down as so far would fill; INFINITY = all */
        double life[_LIFE_FEATURES];
} Forecast;

/**
 * forecast_make() - from the lines as they are
 * @c: room for the candidates, which are left there
 * Always fills @ret; `known` is false when no line rises.
 */
void forecast_make(const ForecastInput *in, Candidates *c, Forecast *ret);
