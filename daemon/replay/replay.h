/* SPDX-License-Identifier: Apache-2.0
 *
 * What would have happened: a recorded trace goes through the daemon's own Judge on a simulated clock. Nothing decides
 * here; what a trace cannot know is an assumption that is told. Pure: no clock, no I/O, no allocation.
 *
 * A trace is a row of lives. A life is over when use reaches the limit (the kernel kills) or when the ladder rotates:
 * what the replaced process would have done is what the trace goes on with, so it still tells whether a crossing was
 * prevented, but nothing is decided on it. The next life begins where the trace says so, or where use has fallen
 * below half of what it was at the end.
 */
#pragma once

#include "judge/judge.h"
#include "replay/trace.h"

#define REPLAY_LIVES_MAX   256u
#define REPLAY_ALARMS_MAX  64u /* alerts that wait for what comes of them */
#define REPLAY_MOMENTS_MAX 4u

typedef struct ReplayOptions {
        JudgeOptions judge;
        bool can_reclaim, can_rotate;
        uint64_t limit_bytes; /* 0 = the trace's */
        bool gives_known;     /* a reclaim gives back so much of what is in use; else nothing is assumed to change */
        double gives_ratio;
        uint64_t age_usec;                         /* of the process at the first sample */
        bool week_known;                           /* of maintenance windows: */
        unsigned week_minute;                      /* since Monday 00:00, at the first sample */
        uint64_t moments_usec[REPLAY_MOMENTS_MAX]; /* rising: tell the forecast then */
        unsigned n_moments;
} ReplayOptions;

typedef enum ReplayKind {
        REPLAY_DECISION, /* a rung acts, or says something else than before */
        REPLAY_OUTCOME,  /* what came of an action, as far as is assumed */
        REPLAY_CROSSED,  /* use reaches the limit, in the scenario or behind a rotation in the trace alone */
        REPLAY_STARTED,  /* another process */
        REPLAY_MOMENT,   /* one of moments_usec */
} ReplayKind;

typedef struct ReplayEvent {
        ReplayKind kind;
        uint64_t elapsed_usec; /* since the first sample */
        uint64_t bytes, limit_bytes;
        bool is_over; /* of the trace alone: the life was over, or memory was given back */
        const TrendFit *fit;
        const Decision *decision; /* REPLAY_DECISION */
        const Outcome *outcome;   /* REPLAY_OUTCOME */
} ReplayEvent;

/* Who listens. Both may be NULL. */
typedef struct ReplayListener {
        void (*event)(void *userdata, const ReplayEvent *e);
        /* sample() - each of them: @bytes in the scenario, which ends with the life (@is_over) */
        void (*sample)(void *userdata, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes,
                       uint64_t limit_bytes, bool is_over);
        void *userdata;
} ReplayListener;

typedef struct ReplayLife {
        uint64_t start_usec;            /* all since the first sample; USEC_INFINITY = it did not come */
        uint64_t first_usec[_RUNG_MAX]; /* when the rung acted first */
        uint64_t crossed_usec;          /* the trace as recorded reaches the limit */
        uint64_t scenario_crossed_usec; /* it does so although the ladder acted: rotation ends what can be known */
        uint64_t rotated_usec;
        uint64_t limit_bytes; /* at the crossing, else the last one known */
} ReplayLife;

typedef struct ReplaySummary {
        uint64_t n_samples, n_judged;
        uint64_t span_usec;
        uint64_t judged_usec; /* since the first sample: the last one that was judged */
        ReplayLife life[REPLAY_LIVES_MAX];
        unsigned n_lives; /* kept in life[] */
        uint64_t n_lives_beyond;
        uint64_t n_acted[_RUNG_MAX]; /* alerts raised; actions started; in a dry run: would have been */
        uint64_t n_repeated;         /* alerts told again */
        uint64_t n_false_alarms, n_undecided_alarms;
        uint64_t released_bytes; /* by assumption */
        TrendFit last_fit;       /* at the last sample that was judged */
        uint64_t peak_bytes, peak_usec, last_limit_bytes;
        bool dry_run;
} ReplaySummary;

/**
 * replay_run() - all of it
 * @t:   Shape: at least one point
 * @ret: filled whole
 * A raised alert is false when the limit is not reached within twice the time that it forecast, or the end of its
 * interval if that is later (without a forecast: at all); undecided when the trace or the life ends first.
 */
void replay_run(const Trace *t, const ReplayOptions *o, const ReplayListener *l, ReplaySummary *ret);

/* replay_acts() - does this decision act, or would it but for the dry run? */
bool replay_acts(const Decision *d);
