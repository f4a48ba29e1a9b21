/* SPDX-License-Identifier: Apache-2.0
 *
 * The past of a series in fixed memory: a pyramid of buckets, each with the lowest and the highest value of its time.
 * A level keeps its newest TREND_BUCKETS; two of them make one of the level above. So there is a window of every length
 * from seconds to months, each twice as long as the one below it, and a sample costs two buckets on average.
 * Samples enter at the level that belongs to their usual distance, so a level means a length of time, not a number of
 * samples. Times are seconds since the trend's origin. Internal to trend/.
 */
#pragma once

#include <stdbool.h>

#include "trend/line.h"

#define TREND_LEVELS  24 /* of 1/16 s, 1/8 s ... 6 days a bucket: the longest window is 194 days */
#define TREND_BUCKETS 32

#define TREND_FINEST_S (1.0 / 16) /* what a bucket of level 0 stands for */
#define TREND_FIT_MIN  10         /* buckets below which no line is drawn */
#define TREND_TAIL     12         /* of a full window of samples, drawn apart from it */

typedef struct TrendBucket {
        double begin_s, end_s; /* of its first and last sample */
        double lo, hi;         /* bytes */
} TrendBucket;

typedef struct TrendLevel {
        TrendBucket ring[TREND_BUCKETS]; /* oldest is ring[head] */
        TrendBucket pending;             /* waits for its other half */
        unsigned char head, n;
        bool has_pending;
        bool solved; /* line is valid, as of */
        bool drawn;  /* the newest bucket */
        unsigned turns; /* buckets since the start of this life */
        TrendLine line;
        TrendSlopes slopes;
} TrendLevel;

typedef struct TrendPyramid {
        TrendLevel level[TREND_LEVELS];
        unsigned entry;       /* the level at which samples come in */
        bool has_first, paced; /* first waits; step is known */
        TrendBucket first;    /* the first sample, until the second tells the step */
        TrendLine tail;       /* of the newest TREND_TAIL samples alone: growth that has just begun */
        bool tail_solved;
        double step_log2;     /* smoothed, of seconds / TREND_FINEST_S */
} TrendPyramid;

/* pyramid_at() - the @i-th oldest bucket. Shape: @i < l->n. */
static inline const TrendBucket *pyramid_at(const TrendLevel *l, unsigned i) {
        return &l->ring[(l->head + i) % TREND_BUCKETS];
}

/* pyramid_clear() - forget all buckets; the pace of the samples is kept. */
void pyramid_clear(TrendPyramid *p);

/* pyramid_draw() - the lines of all levels that got a bucket since. This is what costs, so it waits to be asked for. */
void pyramid_draw(TrendPyramid *p);

/**
 * pyramid_push() - add a sample
 * @step_s: since the last sample, > 0; 0 for the first one of a series
 * O(1) amortised.
 */
void pyramid_push(TrendPyramid *p, double time_s, double bytes, double step_s);

/* pyramid_lower() - the whole past as if @bytes less had been in use: after memory was given back from outside. */
void pyramid_lower(TrendPyramid *p, double bytes);

/* pyramid_highest() - the highest value before @begin_s from level @k on, bytes; -INFINITY when unknown. */
double pyramid_highest(const TrendPyramid *p, unsigned k, double begin_s);

/* pyramid_whole() - the finest level whose ring still holds the start of this life, NULL before there is one with
 * enough buckets. Past months, the coarsest. */
const TrendLevel *pyramid_whole(const TrendPyramid *p);
