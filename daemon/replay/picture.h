/* SPDX-License-Identifier: Apache-2.0
 *
 * A replay as a picture: the trace, its limit, what the ladder did and when, and the forecast's cone at chosen moments.
 * A self-contained SVG, readable on light and dark, of a bounded size: a column of pixels keeps its lowest and highest
 * sample, however many there were. Collected in two runs: the first tells how much time there is to show, the second
 * fills the columns.
 */
#pragma once

#include "replay/replay.h"
#include "util/buf.h"

#define PICTURE_COLUMNS   776u
#define PICTURE_MARKS_MAX 512u
#define PICTURE_CONES_MAX REPLAY_MOMENTS_MAX

typedef enum MarkKind {
        MARK_ALERT,
        MARK_RECLAIM,
        MARK_ROTATE,
        MARK_CLEARED,
        MARK_CROSSED,
        MARK_STARTED,
        MARK_MOMENT,
        _MARK_MAX,
} MarkKind;

/* Something that happened, and what was forecast then. */
typedef struct PictureMark {
        MarkKind kind;
        uint64_t elapsed_usec;
        double bytes;
        double limit_bytes;               /* 0 = none */
        bool is_first;                    /* of its kind in this life: it gets a label */
        bool has_cone;                    /* growing toward the limit: */
        double eta_s, eta_lo_s, eta_hi_s; /* hi INFINITY = open */
} PictureMark;

/* What fell into one column of pixels. */
typedef struct PictureColumn {
        bool breaks; /* breaks: a gap in the trace lies before it */
        double at_s; /* of the first */
        double min, max, sum;
        unsigned n;
} PictureColumn;

typedef struct Picture {
        PictureMark mark[PICTURE_MARKS_MAX];
        unsigned n_marks;
        uint64_t n_marks_beyond;
        bool moments_only;                /* cones where they were asked for, not at decisions */
        unsigned cone[PICTURE_CONES_MAX]; /* indices of mark[] */
        unsigned n_cones;
        double span_s, shown_s; /* of the trace; with what the cones need behind it */
        double peak_bytes, scenario_peak_bytes;
        uint64_t gap_usec;                        /* so long without a sample is a gap */
        uint64_t before_usec[2];                  /* the sample before, in each row */
        PictureColumn column[2][PICTURE_COLUMNS]; /* use in the scenario; the trace where that differs */
        struct {
                double at_s, bytes;
        } limit[64]; /* where it changes */
        unsigned n_limits;
        bool has_rest; /* anything in column[1] */
        const char *rest_word; /* of the legend. Owner: static */
} Picture;

/* picture_begin() - empty, for this trace. @moments_only: cones are asked for by ReplayOptions.moments_usec. */
void picture_begin(Picture *p, const Trace *t, bool moments_only);
/* picture_event() - a listener's event, in the first run. */
void picture_event(Picture *p, const ReplayEvent *e);
/* picture_scale() - between the runs: choose the cones, and how much time to show. @judged_usec: ReplaySummary has it.
 */
void picture_scale(Picture *p, uint64_t judged_usec);
/* picture_sample() - a listener's sample, in the second run. */
void picture_sample(Picture *p, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes, uint64_t limit_bytes,
                    bool is_over);

/**
 * picture_draw() - the SVG
 * @title, @subtitle: hostile text, escaped and cut
 */
void picture_draw(const Picture *p, const char *title, const char *subtitle, Buf *b);
