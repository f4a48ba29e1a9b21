/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/replay.h"

#include <math.h>
#include <string.h>

#include "util/cleanup.h"

#define BOOT_USEC          USEC_PER_DAY /* the simulated clock at the first sample: as of a machine that is up */
#define RECLAIM_TAKES_USEC USEC_PER_SEC /* a look beforehand, the call, and measuring */

typedef struct Alarm {
        uint64_t until_usec; /* USEC_INFINITY = it told no time */
} Alarm;

typedef struct Replay {
        const Trace *trace;
        const ReplayOptions *options;
        const ReplayListener *listener;
        ReplaySummary *sum;
        Judge judge;
        Decision last[_RUNG_MAX];
        ReplayLife life;
        bool is_over;
        uint64_t over_bytes;     /* recorded, when the life was over */
        uint64_t given_bytes;    /* by reclaims of this life, by assumption */
        uint64_t start_usec;     /* of the process, on the simulated clock, may lie before it: see age_at() */
        uint64_t start_age_usec; /* its age then */
        bool in_flight;
        uint64_t done_usec;
        uint64_t limit_bytes;
        unsigned next_moment;
        size_t next_start;
        Alarm alarm[REPLAY_ALARMS_MAX];
        unsigned n_alarms;
} Replay;

bool replay_acts(const Decision *d) {
        return d->verb == VERB_ACT || (d->verb == VERB_SKIP && d->reason == REASON_DRY_RUN);
}

static void tell(Replay *r, const ReplayEvent *e) {
        if (r->listener && r->listener->event)
                r->listener->event(r->listener->userdata, e);
}

static ReplayEvent event_of(const Replay *r, ReplayKind kind, uint64_t elapsed_usec, uint64_t bytes) {
        return (ReplayEvent){
                .kind = kind,
                .elapsed_usec = elapsed_usec,
                .bytes = bytes,
                .limit_bytes = r->limit_bytes,
                .is_over = r->is_over,
                .fit = &r->judge.fit,
        };
}

/* ---- alarms, and what comes of them ---- */

static uint64_t twice(uint64_t usec) {
        return usec > USEC_INFINITY / 2 ? USEC_INFINITY : usec * 2;
}

static void add_alarm(Replay *r, const Decision *d, uint64_t elapsed_usec) {
        uint64_t within = USEC_INFINITY;

        if (d->trigger == REASON_ETA || d->trigger == REASON_DEADLINE)
                within = max_of(d->eta_hi_usec == USEC_INFINITY ? 0 : d->eta_hi_usec, twice(d->eta_usec));
        if (r->n_alarms == REPLAY_ALARMS_MAX) {
                r->sum->n_undecided_alarms++;
                memmove(r->alarm, r->alarm + 1, (REPLAY_ALARMS_MAX - 1) * sizeof(r->alarm[0]));
                r->n_alarms--;
        }
        r->alarm[r->n_alarms++].until_usec =
                within >= USEC_INFINITY - elapsed_usec ? USEC_INFINITY : elapsed_usec + within;
}

/* Those whose time has passed without a crossing. */
static void expire_alarms(Replay *r, uint64_t elapsed_usec) {
        unsigned kept = 0;

        for (unsigned i = 0; i < r->n_alarms; i++) {
                if (r->alarm[i].until_usec < elapsed_usec)
                        r->sum->n_false_alarms++;
                else
                        r->alarm[kept++] = r->alarm[i];
        }
        r->n_alarms = kept;
}

/* The life or the trace ended without a crossing: who told a time may still have been right, who told none was not. */
static void close_alarms(Replay *r) {
        for (unsigned i = 0; i < r->n_alarms; i++) {
                if (r->alarm[i].until_usec == USEC_INFINITY)
                        r->sum->n_false_alarms++;
                else
                        r->sum->n_undecided_alarms++;
        }
        r->n_alarms = 0;
}

/* ---- lives ---- */

static void begin_life(Replay *r, uint64_t elapsed_usec) {
        r->life = (ReplayLife){
                .start_usec = elapsed_usec,
                .crossed_usec = USEC_INFINITY,
                .scenario_crossed_usec = USEC_INFINITY,
                .rotated_usec = USEC_INFINITY,
        };
        for (Rung i = 0; i < _RUNG_MAX; i++)
                r->life.first_usec[i] = USEC_INFINITY;
        r->is_over = false;
        r->given_bytes = 0;
}

static void end_life(Replay *r) {
        close_alarms(r);
        r->life.limit_bytes = r->life.limit_bytes ? r->life.limit_bytes : r->limit_bytes;
        if (r->sum->n_lives < REPLAY_LIVES_MAX)
                r->sum->life[r->sum->n_lives++] = r->life;
        else
                r->sum->n_lives_beyond++;
}

static void set_over(Replay *r, uint64_t recorded_bytes) {
        r->is_over = true;
        r->in_flight = false;
        r->over_bytes = recorded_bytes;
}

/* Does another process begin with point @i? */
static bool starts_here(Replay *r, size_t i, uint64_t *ret_age_usec) {
        const Trace *t = r->trace;

        *ret_age_usec = 0;
        if (r->next_start < t->n_starts && t->starts[r->next_start].at == i) {
                *ret_age_usec = t->starts[r->next_start++].age_usec;
                return true;
        }
        return r->is_over && t->points[i].bytes < r->over_bytes / 2;
}

static void start_another(Replay *r, uint64_t elapsed_usec, const TracePoint *p, uint64_t age_usec) {
        ReplayEvent e;
        Decision resolve;

        end_life(r);
        begin_life(r, elapsed_usec);
        r->start_usec = BOOT_USEC + elapsed_usec;
        r->start_age_usec = age_usec;
        r->in_flight = false;
        judge_target_changed(&r->judge, BOOT_USEC + elapsed_usec, true, &resolve);
        judge_forget(&r->judge, BOOT_USEC + elapsed_usec, TREND_RESET_RESTART);
        for (Rung i = 0; i < _RUNG_MAX; i++)
                r->last[i] = r->judge.decisions[i];
        e = event_of(r, REPLAY_STARTED, elapsed_usec, p->bytes);
        tell(r, &e);
}

/* ---- actions, as far as can be assumed ---- */

static void end_reclaim(Replay *r, uint64_t elapsed_usec, uint64_t bytes) {
        Outcome o = {
                .rung = RUNG_RECLAIM,
                .result = OUTCOME_OK,
                .time_usec = BOOT_USEC + elapsed_usec,
                .duration_usec = RECLAIM_TAKES_USEC,
                .before_bytes = bytes,
                .after_bytes = bytes,
                .method = "assumed",
        };
        ReplayEvent e;

        if (r->options->gives_known)
                o.released_bytes = min_of(bytes, (uint64_t)fmin((double)bytes * r->options->gives_ratio, 18e18));
        o.after_bytes -= o.released_bytes;
        r->given_bytes += o.released_bytes;
        r->sum->released_bytes += o.released_bytes;
        r->in_flight = false;
        judge_outcome(&r->judge, &o, true);
        e = event_of(r, REPLAY_OUTCOME, elapsed_usec, o.after_bytes);
        e.outcome = &o;
        tell(r, &e);
}

static void end_rotate(Replay *r, uint64_t elapsed_usec, uint64_t recorded_bytes) {
        Outcome o = {
                .rung = RUNG_ROTATE,
                .result = OUTCOME_OK,
                .time_usec = BOOT_USEC + elapsed_usec,
                .method = "assumed",
        };

        judge_outcome(&r->judge, &o, true);
        r->life.rotated_usec = elapsed_usec;
        set_over(r, recorded_bytes);
}

static void act(Replay *r, const Decision *d, uint64_t elapsed_usec, uint64_t recorded_bytes) {
        judge_started(&r->judge, d);
        if (d->rung == RUNG_ROTATE)
                end_rotate(r, elapsed_usec, recorded_bytes);
        else if (d->rung == RUNG_RECLAIM) {
                r->in_flight = true;
                r->done_usec = elapsed_usec + RECLAIM_TAKES_USEC;
        }
}

/* ---- decisions ---- */

static void count_act(Replay *r, const Decision *d, uint64_t elapsed_usec) {
        if (d->rung == RUNG_ALERT && d->reason == REASON_PERSISTS) {
                r->sum->n_repeated++;
                return;
        }
        r->sum->n_acted[d->rung]++;
        if (r->life.first_usec[d->rung] == USEC_INFINITY)
                r->life.first_usec[d->rung] = elapsed_usec;
        if (d->rung == RUNG_ALERT)
                add_alarm(r, d, elapsed_usec);
}

static void take_decision(Replay *r, const Decision *d, uint64_t elapsed_usec, const TracePoint *p, uint64_t bytes) {
        Decision *last = &r->last[d->rung];
        bool news = d->verb != last->verb || d->reason != last->reason || d->trigger != last->trigger;
        ReplayEvent e;

        if (replay_acts(d) || d->verb == VERB_RESOLVE || news) {
                e = event_of(r, REPLAY_DECISION, elapsed_usec, bytes);
                e.decision = d;
                tell(r, &e);
        }
        if (replay_acts(d))
                count_act(r, d, elapsed_usec);
        *last = *d;
        if (d->verb == VERB_ACT)
                act(r, d, elapsed_usec, p->bytes);
        else if (d->verb == VERB_RESOLVE)
                judge_started(&r->judge, d);
}

static int week_minute_at(const Replay *r, uint64_t elapsed_usec) {
        if (!r->options->week_known)
                return -1;
        return (int)((r->options->week_minute + elapsed_usec / USEC_PER_MINUTE) % MINUTES_PER_WEEK);
}

static void judge_point(Replay *r, uint64_t elapsed_usec, const TracePoint *p, uint64_t bytes) {
        uint64_t now = BOOT_USEC + elapsed_usec;
        JudgeFigures f = {
                .time_usec = now,
                .target_age_usec = r->start_age_usec + (now - r->start_usec),
                .usage_bytes = bytes,
                .rss_bytes = bytes,
                .limit_bytes = r->limit_bytes,
                .week_minute = week_minute_at(r, elapsed_usec),
                .action_in_flight = r->in_flight,
                .can_reclaim = r->options->can_reclaim,
                .can_rotate = r->options->can_rotate,
        };

        judge_sample(&r->judge, &f, NULL);
        r->sum->n_judged++;
        r->sum->judged_usec = elapsed_usec;
        for (Rung i = 0; i < _RUNG_MAX && !r->is_over; i++)
                take_decision(r, &r->judge.decisions[i], elapsed_usec, p, bytes);
}

/* ---- the trace ---- */

static void tell_crossing(Replay *r, uint64_t elapsed_usec, uint64_t bytes, bool recorded_only) {
        ReplayEvent e = event_of(r, REPLAY_CROSSED, elapsed_usec, bytes);

        e.is_over = recorded_only;
        tell(r, &e);
}

static void look_for_crossing(Replay *r, uint64_t elapsed_usec, const TracePoint *p, uint64_t bytes) {
        bool recorded = r->limit_bytes > 0 && p->bytes >= r->limit_bytes;
        bool scenario = !r->is_over && r->limit_bytes > 0 && bytes >= r->limit_bytes;

        if (recorded && r->life.crossed_usec == USEC_INFINITY) {
                r->life.crossed_usec = elapsed_usec;
                r->life.limit_bytes = r->limit_bytes;
                r->n_alarms = 0; /* all that were still open came true */
                tell_crossing(r, elapsed_usec, p->bytes, !scenario);
        } else if (scenario)
                tell_crossing(r, elapsed_usec, bytes, false);
        if (scenario) {
                r->life.scenario_crossed_usec = elapsed_usec;
                set_over(r, p->bytes);
        }
}

static void tell_moments(Replay *r, uint64_t elapsed_usec, uint64_t bytes) {
        const ReplayOptions *o = r->options;

        while (r->next_moment < o->n_moments && o->moments_usec[r->next_moment] <= elapsed_usec) {
                ReplayEvent e = event_of(r, REPLAY_MOMENT, elapsed_usec, bytes);

                tell(r, &e);
                r->next_moment++;
        }
}

static void step(Replay *r, size_t i) {
        const TracePoint *p = &r->trace->points[i];
        uint64_t elapsed = p->time_usec - r->trace->points[0].time_usec, age, bytes;

        if (r->options->limit_bytes > 0)
                r->limit_bytes = r->options->limit_bytes;
        else if (p->limit_bytes > 0)
                r->limit_bytes = p->limit_bytes;
        if (starts_here(r, i, &age))
                start_another(r, elapsed, p, age);
        expire_alarms(r, elapsed);
        bytes = p->bytes > r->given_bytes ? p->bytes - r->given_bytes : 0;
        if (r->in_flight && elapsed >= r->done_usec) {
                end_reclaim(r, elapsed, bytes);
                bytes = p->bytes > r->given_bytes ? p->bytes - r->given_bytes : 0;
        }
        if (p->bytes > r->sum->peak_bytes) {
                r->sum->peak_bytes = p->bytes;
                r->sum->peak_usec = elapsed;
        }
        look_for_crossing(r, elapsed, p, bytes);
        if (!r->is_over)
                judge_point(r, elapsed, p, bytes);
        tell_moments(r, elapsed, bytes);
        if (r->listener && r->listener->sample)
                r->listener->sample(r->listener->userdata, elapsed, p, bytes, r->limit_bytes, r->is_over);
}

void replay_run(const Trace *t, const ReplayOptions *o, const ReplayListener *l, ReplaySummary *ret) {
        static Replay r; /* with a Trend of tens of kilobytes */

        *ret = (ReplaySummary){
                .n_samples = t->n,
                .span_usec = t->points[t->n - 1].time_usec - t->points[0].time_usec,
                .dry_run = o->judge.policy.dry_run,
        };
        r = (Replay){
                .trace = t,
                .options = o,
                .listener = l,
                .sum = ret,
                .start_usec = BOOT_USEC,
                .start_age_usec = o->age_usec,
        };
        judge_init(&r.judge, &o->judge);
        memcpy(r.last, r.judge.decisions, sizeof(r.last));
        begin_life(&r, 0);
        for (size_t i = 0; i < t->n; i++)
                step(&r, i);
        end_life(&r);
        ret->last_fit = r.judge.fit;
        ret->last_limit_bytes = r.limit_bytes;
}
