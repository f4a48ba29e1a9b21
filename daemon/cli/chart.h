/* SPDX-License-Identifier: Apache-2.0
 *
 * A small picture of bytes over time: what was measured, the limit, and where the forecast's line and its two bounds
 * lead. Braille dots (2 x 4 a cell), or one character a cell where they cannot be shown. The history covers the whole
 * run in a fixed ring-less array: when it is full, neighbours are merged, the greater one staying.
 */
#pragma once

#include "cli/screen.h"
#include "trend/trend.h"

#define CHART_POINTS 1024
#define CHART_WIDTH_MAX 240
#define CHART_HEIGHT_MAX 40

typedef struct ChartPoint {
        uint64_t time_usec, bytes;
} ChartPoint;

typedef struct Chart {
        ChartPoint point[CHART_POINTS];
        unsigned n;
        unsigned merge;   /* samples that make one point; 0 counts as 1 */
        unsigned n_merged; /* already in the newest point */
} Chart;

/* chart_clear() - forget everything: another process. */
void chart_clear(Chart *c);
/* chart_push() - one sample more, later than the one before. */
void chart_push(Chart *c, uint64_t time_usec, uint64_t bytes);

/**
 * chart_draw() - append at most @height lines: the picture, its time axis and the axis' labels
 * @fit:    NULL or TREND_WAIT: no forecast drawn
 * @limit_bytes: 0 = none. A limit far above everything is not drawn, because it would flatten the line; a word says so
 */
void chart_draw(const Chart *c, Screen *s, const TrendFit *fit, uint64_t limit_bytes, unsigned width, unsigned height);
