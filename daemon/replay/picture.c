/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/picture.h"

#include <math.h>
#include <string.h>

#include "util/cleanup.h"

#define EXTRA_RATIO       0.25  /* so much more time than the trace has, at the most, for cones that end behind it */
#define REST_RATIO        0.12  /* of what was judged, of the trace alone behind it */
#define CONES_APART_RATIO 0.015 /* of the time shown: nearer ones lie on each other */
#define GAP_STEPS         5u
#define GAP_RATIO         0.01 /* of the time shown: a shorter one is not seen */

static double seconds(uint64_t usec) {
        return usec == USEC_INFINITY ? INFINITY : (double)usec / USEC_PER_SEC;
}

void picture_begin(Picture *p, const Trace *t, bool moments_only) {
        *p = (Picture){
                .moments_only = moments_only,
                .rest_word = "as recorded, had nothing been done",
                .span_s = seconds(t->points[t->n - 1].time_usec - t->points[0].time_usec),
                .gap_usec = t->step_usec * GAP_STEPS,
        };
        p->shown_s = p->span_s;
}

/* ---- marks ---- */

static bool kind_of(const ReplayEvent *e, MarkKind *ret) {
        static const MarkKind acts[_RUNG_MAX] = {
                [RUNG_ALERT] = MARK_ALERT, [RUNG_RECLAIM] = MARK_RECLAIM, [RUNG_ROTATE] = MARK_ROTATE};

        switch (e->kind) {
        case REPLAY_CROSSED:
                *ret = MARK_CROSSED;
                return true;
        case REPLAY_STARTED:
                *ret = MARK_STARTED;
                return true;
        case REPLAY_MOMENT:
                *ret = MARK_MOMENT;
                return true;
        case REPLAY_DECISION:
                *ret = e->decision->verb == VERB_RESOLVE ? MARK_CLEARED : acts[e->decision->rung];
                if (e->decision->verb == VERB_RESOLVE)
                        return true;
                return replay_acts(e->decision) && e->decision->reason != REASON_PERSISTS;
        default:
                return false;
        }
}

static bool is_first(const Picture *p, MarkKind kind) {
        for (unsigned i = p->n_marks; i > 0 && p->mark[i - 1].kind != MARK_STARTED; i--)
                if (p->mark[i - 1].kind == kind)
                        return false;
        return true;
}

void picture_event(Picture *p, const ReplayEvent *e) {
        const TrendFit *f = e->fit;
        MarkKind kind;
        bool first;

        if (!kind_of(e, &kind))
                return;
        first = is_first(p, kind);
        if (p->n_marks == PICTURE_MARKS_MAX) {
                p->n_marks_beyond++;
                return;
        }
        p->mark[p->n_marks++] = (PictureMark){
                .kind = kind,
                .elapsed_usec = e->elapsed_usec,
                .bytes = (double)e->bytes,
                .limit_bytes = (double)e->limit_bytes,
                .is_first = first,
                .has_cone = !e->is_over && e->limit_bytes > e->bytes && f->state == TREND_GROWING &&
                            f->eta_usec != USEC_INFINITY,
                .eta_s = seconds(f->eta_usec),
                .eta_lo_s = seconds(f->eta_lo_usec),
                .eta_hi_s = seconds(f->eta_hi_usec),
        };
}

static bool cone_fits(const Picture *p, unsigned i, double shown) {
        const PictureMark *m = &p->mark[i];

        if (!m->has_cone || p->n_cones == PICTURE_CONES_MAX || (p->moments_only && m->kind != MARK_MOMENT) ||
            m->kind == MARK_CLEARED || m->kind == MARK_STARTED || m->kind == MARK_CROSSED)
                return false;
        for (unsigned k = 0; k < p->n_cones; k++)
                if (fabs(seconds(p->mark[p->cone[k]].elapsed_usec) - seconds(m->elapsed_usec)) <
                    CONES_APART_RATIO * shown)
                        return false;
        return true;
}

/* The first of each rung, and then what room there is, in the order of time. */
static void choose_cones(Picture *p, double shown) {
        for (MarkKind k = MARK_ALERT; k <= MARK_ROTATE; k++)
                for (unsigned i = 0; i < p->n_marks; i++)
                        if (p->mark[i].kind == k) {
                                if (cone_fits(p, i, shown))
                                        p->cone[p->n_cones++] = i;
                                break;
                        }
        for (unsigned i = 0; i < p->n_marks; i++)
                if (cone_fits(p, i, shown))
                        p->cone[p->n_cones++] = i;
}

/* What a trace goes on with for long behind its last kill or rotation says nothing more. */
static double worth_showing(const Picture *p, uint64_t judged_usec) {
        double last = seconds(judged_usec);

        for (unsigned i = 0; i < p->n_marks; i++)
                last = fmax(last, seconds(p->mark[i].elapsed_usec));
        return fmin(p->span_s, last * (1 + REST_RATIO));
}

void picture_scale(Picture *p, uint64_t judged_usec) {
        double shown = worth_showing(p, judged_usec), end = shown;

        choose_cones(p, shown);
        for (unsigned k = 0; k < p->n_cones; k++) {
                const PictureMark *m = &p->mark[p->cone[k]];
                double hi = isfinite(m->eta_hi_s) ? m->eta_hi_s : m->eta_s * 1.5;

                end = fmax(end, seconds(m->elapsed_usec) + hi * 1.03);
        }
        p->shown_s = fmin(end, shown * (1 + EXTRA_RATIO));
        if (!(p->shown_s > 0))
                p->shown_s = 1; /* one sample */
}

/* ---- columns ---- */

static void add_to_column(Picture *p, unsigned row, uint64_t elapsed_usec, double bytes) {
        double at = seconds(elapsed_usec);
        unsigned i = (unsigned)fmin(at / p->shown_s * PICTURE_COLUMNS, PICTURE_COLUMNS - 1);
        PictureColumn *c = &p->column[row][i];
        uint64_t step = elapsed_usec - p->before_usec[row];
        bool breaks = p->gap_usec > 0 && step > p->gap_usec && seconds(step) > p->shown_s * GAP_RATIO;

        p->before_usec[row] = elapsed_usec;
        if (c->n == 0)
                *c = (PictureColumn){.breaks = breaks, .at_s = at, .min = bytes, .max = bytes};
        c->n++;
        c->sum += bytes;
        c->min = fmin(c->min, bytes);
        c->max = fmax(c->max, bytes);
}

void picture_sample(Picture *p, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes, uint64_t limit_bytes,
                    bool is_over) {
        double limit = (double)limit_bytes;

        if (seconds(elapsed_usec) > p->shown_s)
                return;
        p->peak_bytes = fmax(p->peak_bytes, (double)recorded->bytes);
        if (!is_over) {
                p->scenario_peak_bytes = fmax(p->scenario_peak_bytes, (double)bytes);
                add_to_column(p, 0, elapsed_usec, (double)bytes);
        }
        if (is_over || bytes != recorded->bytes) {
                add_to_column(p, 1, elapsed_usec, (double)recorded->bytes);
                p->has_rest = true;
        }
        if (limit > 0 && (p->n_limits == 0 || p->limit[p->n_limits - 1].bytes != limit) &&
            p->n_limits < ELEMENTSOF(p->limit)) {
                p->limit[p->n_limits].at_s = seconds(elapsed_usec);
                p->limit[p->n_limits++].bytes = limit;
        }
}
