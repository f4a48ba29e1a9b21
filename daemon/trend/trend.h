/* SPDX-License-Identifier: Apache-2.0
 *
 * When will it hit the limit: a straight line through a window of samples, with its error. Pure: no clock, no I/O, no
 * allocation per sample; time comes in with the sample. The window is a fixed ring inside the struct. Sums are
 * centred and updated (Welford 1962), never raw sums over epoch seconds, which lose the answer to cancellation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* Points kept. A window that holds more samples than this averages those that fall close together into one point, so
 * that the ring always spans the window: 512 x 24 B = 12 KiB a target. */
#define TREND_RING 512
#define TREND_CONFIRM 3 /* points that must have left the line before it is given up, besides the newest sample */

typedef struct TrendOptions {
        uint64_t window_usec;   /* how far back the line looks; default 10 min */
        uint64_t min_span_usec; /* no answer before this much time is covered; default 30 s */
        unsigned min_samples;   /* nor before this many points; default 8 */
        double confidence;      /* of the interval, 0.5..0.99; default 0.90 */
} TrendOptions;

#define TREND_OPTIONS_DEFAULT \
        ((TrendOptions){.window_usec = 10 * USEC_PER_MINUTE,   \
                        .min_span_usec = 30 * USEC_PER_SEC,    \
                        .min_samples = 8,                      \
                        .confidence = 0.90})

/* Why the window was emptied last. */
typedef enum TrendReset {
        TREND_RESET_NONE,
        TREND_RESET_START,   /* first sample of a process */
        TREND_RESET_RESTART, /* another process or program */
        TREND_RESET_LIMIT,   /* the limit changed */
        TREND_RESET_RECLAIM, /* we gave memory back */
        TREND_RESET_STEP,    /* a jump that no slope explains, to a level the window has not seen */
        TREND_RESET_BEND,    /* the growth took another rate; the new line needs TREND_CONFIRM + 1 points, not more */
        TREND_RESET_CLOCK,   /* time ran backwards or stood still for longer than the window */
        _TREND_RESET_MAX,
} TrendReset;

/* One or several samples averaged. */
typedef struct TrendPoint {
        uint64_t time_usec; /* their mean */
        double bytes;       /* their mean */
        double weight;      /* seconds that it stands for: dense sampling does not outvote sparse, a gap says little */
} TrendPoint;

/* Weighted sums, centred: x in seconds since Trend.origin_usec, y in bytes. */
typedef struct TrendSums {
        double weight, mean_x, mean_y, sxx, sxy, syy;
} TrendSums;

typedef struct Trend {
        TrendOptions options;
        TrendPoint ring[TREND_RING];
        unsigned head, n; /* oldest is ring[head] */
        TrendReset last_reset;
        uint64_t last_reset_usec;
        /* internal state: the newest sample; sums over the ring; the bucket being filled; points that left the line */
        uint64_t last_usec, last_bytes, limit_bytes;
        uint64_t origin_usec;
        TrendSums sums;
        unsigned since_refit;
        uint64_t bucket_width_usec, bucket_usec; /* since when it is being filled */
        double bucket_mean_usec, bucket_bytes;   /* mean time since bucket_usec */
        unsigned bucket_n;
        TrendPoint pending[TREND_CONFIRM];
        unsigned n_pending;
        double seen_lo_bytes, seen_hi_bytes; /* what the windows before the last step or bend held */
        uint64_t seen_until_usec;            /* as long as it counts; 0 = nothing */
        double normal_quantile; /* of options.confidence, two-sided */
} Trend;

typedef enum TrendState {
        TREND_WAIT,     /* too few samples or too short a span: no figure below is valid but n and span_usec */
        TREND_FLAT,     /* the slope may be zero, growth is negligible against the limit, or it just broke off */
        TREND_GROWING,  /* slope > 0 beyond doubt */
        TREND_SHRINKING,
        _TREND_STATE_MAX,
} TrendState;

typedef struct TrendFit {
        TrendState state;
        unsigned n;
        uint64_t span_usec;
        double level_bytes;            /* the line's value at the newest sample */
        double slope_bytes_per_s;      /* with its interval: */
        double slope_lo_bytes_per_s, slope_hi_bytes_per_s;
        double r2_ratio;               /* goodness of fit 0..1 */
        double residual_bytes;         /* standard deviation about the line */
        uint64_t limit_bytes;          /* 0 = none: the three below are USEC_INFINITY */
        uint64_t eta_usec;             /* from the newest sample to the limit; USEC_INFINITY = never on this line */
        uint64_t eta_lo_usec, eta_hi_usec; /* eta_lo <= eta <= eta_hi at `confidence` */
        double confidence;
} TrendFit;

/* trend_init() - an empty window. @options: copied. */
void trend_init(Trend *t, const TrendOptions *options);

/**
 * trend_push() - add one sample
 * @time_usec: CLOCK_BOOTTIME; a time not after the last one is dropped, a jump beyond the window resets
 * @bytes:     what is judged (Sample.usage_bytes, or RSS without a limit)
 * @limit_bytes: 0 = none; a change resets (TREND_RESET_LIMIT)
 * Return: the reset that this sample caused, TREND_RESET_NONE mostly. No I/O, no allocation, O(1) amortised.
 */
TrendReset trend_push(Trend *t, uint64_t time_usec, uint64_t bytes, uint64_t limit_bytes);

/* trend_reset() - forget everything so far, for @why. @time_usec: when; for the record. */
void trend_reset(Trend *t, uint64_t time_usec, TrendReset why);

/* trend_fit() - the line now. Always fills @ret. */
void trend_fit(const Trend *t, TrendFit *ret);

/* trend_*_name() - stable words, for metric labels and JSON. Owner: static. */
const char *trend_reset_name(TrendReset r);
const char *trend_state_name(TrendState s); /* "wait", "flat", "growing", "shrinking" */
