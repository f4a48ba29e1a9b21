/* SPDX-License-Identifier: Apache-2.0
 *
 * What a life looks like when it is no leak: flat, a plateau after warm-up, a sawtooth, steps. Told from the coarsest
 * window, which holds all of it, by a table (softmax of a linear form). Internal to trend/.
 */
#pragma once

#include "trend/cycles.h"
#include "trend/pyramid.h"

typedef enum ShapeFeature {
        SHAPE_ONE,
        SHAPE_RANGE,  /* log of the range / highest */
        SHAPE_NOISE,  /* mean height of a bucket / range */
        SHAPE_START,  /* first bucket's place in the range, 0..1 */
        SHAPE_Q1,     /* mean place of the floor in each quarter of the life */
        SHAPE_Q2,
        SHAPE_Q3,
        SHAPE_Q4,
        SHAPE_TURNS,  /* reversals by a third of the range, each bucket */
        SHAPE_JUMP,   /* largest rise between two buckets */
        SHAPE_FALL,   /* largest fall */
        SHAPE_MEMORY, /* lag-1 correlation of the places */
        SHAPE_SPREAD, /* standard deviation of the places in the newer half */
        SHAPE_CYCLES, /* highest rise that came back / range */
        _SHAPE_FEATURES,
} ShapeFeature;

typedef enum Shape {
        SHAPE_FLAT,
        SHAPE_PLATEAU,
        SHAPE_SAWTOOTH,
        SHAPE_STEP,
        _SHAPE_MAX,
} Shape;

/* shape_features() - of the buckets of @l. Shape: at least TREND_FIT_MIN of them. Return: false when nothing varies. */
bool shape_features(const TrendLevel *l, const TrendCycles *c, double ret[static _SHAPE_FEATURES]);

/* shape_of() - the likeliest one. */
Shape shape_of(const double features[static _SHAPE_FEATURES]);
