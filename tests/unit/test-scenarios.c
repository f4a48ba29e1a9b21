/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ladder does, as a table: a trace, a configuration, and the exact time line of decisions with their reasons,
 * on a simulated clock. The forecaster is not under test here: each phase says what it claims (nothing, or growth with
 * proof enough for alert, reclaim or rotate), and it is right about the slope within 20 %. How well the real one tells
 * a leak from a warm-up is in test-trend; what is shown here is what the policy makes of either.
 *
 * Time line: "1:05 alert eta" is an act after 1 min 5 s, by that trigger. "(rotate hold)" is a skip with its reason,
 * told when it changes. "alert ends cleared" is a resolve. "KILLED" is the kernel's OOM kill. "|" is a new process.
 */
#include <stdio.h>

#include "settings/load.h"
#include "unit/unit.h"

#define MIB     (1024.0 * 1024)
#define LIMIT   (1000 * MIB)
#define START_S (30.0 * 86400)
#define PHASES  8

typedef struct Phase {
        double minutes, percent; /* use goes there in a straight line from where it is; 0 = stays */
        unsigned proof;          /* what the forecaster claims; 0: nothing grows */
        bool blind;              /* it has no figure at all */
        bool jump;               /* goes there at once */
        unsigned verdict;        /* the diagnosis from here on; 0 = unknown */
        double predicted_mib;    /* a fresh look foretells this of a reclaim; 0 = none was taken */
        double limit_mib;        /* from here on; 0 = as before */
} Phase;

typedef struct Scenario {
        const char *name;
        const char *policy;             /* YAML */
        double percent;                 /* where use begins */
        double gives_mib, back_minutes; /* what a reclaim gives, and when that is back; 0 = it stays away */
        double age_s;                   /* of the process; 0 = a day */
        int week_minute;                /* at the start; 0 = not told */
        double startup_s;               /* until a new process is there; 0 = 20 s */
        unsigned failures;              /* rotations that fail before one does it */
        double tick_s, reclaim_s;       /* 0 = 5 s, 2 s */
        bool again;                     /* the new process does the same; else it stays where it began */
        bool cannot_rotate, no_limit;
        Phase phase[PHASES];
        const char *want;
} Scenario;

typedef struct World {
        const Scenario *s;
        Policy policy;
        double now_s, born_s, begun_percent, phase_s; /* of the phase */
        unsigned phase;
        double percent, taken_mib, limit;
        double back_s; /* when what a reclaim gave is back; 0 = not waited for */
        Rung running;  /* _RUNG_MAX = none */
        double ends_s, started_s, appears_s;
        Pace pace;
        unsigned failures;
        bool absent;
        Decision last[_RUNG_MAX];
        Buf line;
} World;

static const PaceOptions pace_options = PACE_OPTIONS_DEFAULT;

static uint64_t usec(double seconds) {
        return (uint64_t)((seconds + START_S) * USEC_PER_SEC);
}

static void tell(World *w, const char *before, const char *rung, const char *middle, const char *reason) {
        buf_addf(&w->line, "%s%d:%02d %s%s%s%s%s", w->line.len ? ", " : "", (int)w->now_s / 60, (int)w->now_s % 60,
                 before, rung, middle, reason, *before == '(' ? ")" : "");
}

static double used(const World *w) {
        return fmax(w->percent / 100 * LIMIT - w->taken_mib * MIB, 0);
}

/* Where use is, and what the forecaster says of it. */
static void move(World *w) {
        const Phase *p = &w->s->phase[w->phase];
        double at;

        while (w->phase + 1 < PHASES && w->now_s - w->phase_s >= p->minutes * 60) {
                w->begun_percent = w->percent = p->percent > 0 ? p->percent : w->percent;
                w->phase_s += p->minutes * 60;
                p = &w->s->phase[++w->phase];
        }
        if (p->limit_mib > 0)
                w->limit = p->limit_mib * MIB;
        if (p->minutes <= 0)
                return;
        at = fmin((w->now_s - w->phase_s) / (p->minutes * 60), 1);
        if (p->percent > 0)
                w->percent = p->jump ? p->percent : w->begun_percent + (p->percent - w->begun_percent) * at;
        if (w->back_s > 0 && w->now_s >= w->back_s)
                w->taken_mib = w->back_s = 0;
}

static void forecast(const World *w, PolicyInput *in) {
        const Phase *p = &w->s->phase[w->phase];
        double slope =
                p->percent > 0 && !p->jump ? (p->percent - w->begun_percent) / 100 * LIMIT / (p->minutes * 60) : 0;
        double room = (double)in->limit_bytes - (double)in->usage_bytes;

        in->trend_known = !p->blind;
        in->eta_usec = in->eta_lo_usec = in->eta_hi_usec = USEC_INFINITY;
        if (p->proof == 0 || slope <= 0)
                return;
        in->growing = true;
        in->proof = p->proof;
        in->slope_bytes_per_s = slope;
        in->slope_lo_bytes_per_s = 0.8 * slope;
        in->eta_usec = (uint64_t)(fmax(room, 0) / slope * USEC_PER_SEC);
        in->eta_lo_usec = (uint64_t)((double)in->eta_usec * 0.8);
        in->eta_hi_usec = (uint64_t)((double)in->eta_usec * 1.3);
}

static void judge(World *w) {
        const Phase *p = &w->s->phase[w->phase];
        double age = w->s->age_s > 0 && w->born_s == 0 ? w->s->age_s : w->born_s == 0 ? 86400 : 0;
        PolicyInput in = {.now_usec = usec(w->now_s),
                          .target_age_usec = (uint64_t)((age + w->now_s - w->born_s) * USEC_PER_SEC),
                          .week_minute = w->s->week_minute > 0 ? w->s->week_minute + (int)(w->now_s / 60) : -1,
                          .usage_bytes = (uint64_t)used(w),
                          .limit_bytes = w->s->no_limit ? 0 : (uint64_t)w->limit,
                          .rss_bytes = (uint64_t)used(w),
                          .verdict = p->verdict,
                          .predicted = p->predicted_mib > 0,
                          .predicted_bytes = (uint64_t)(p->predicted_mib * MIB),
                          .worth_bytes = (uint64_t)(8 * MIB),
                          .action_in_flight = w->running != _RUNG_MAX,
                          .can_reclaim = true,
                          .can_rotate = !w->s->cannot_rotate};
        Decision d[_RUNG_MAX];

        pace_next(&w->pace, &pace_options,
                  &(PaceInput){.now_usec = in.now_usec, .usage_bytes = in.usage_bytes, .limit_bytes = in.limit_bytes});
        in.burst_bytes_per_s = pace_burst(&w->pace);
        forecast(w, &in);
        policy_step(&w->policy, &in, d);
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                bool same = d[r].verb == w->last[r].verb && d[r].reason == w->last[r].reason;

                if (d[r].verb == VERB_ACT)
                        tell(w, "", rung_name(r), " ", reason_name(d[r].reason));
                else if (d[r].verb == VERB_RESOLVE)
                        tell(w, "", rung_name(r), " ends ", reason_name(d[r].reason));
                else if (d[r].verb == VERB_SKIP && !same)
                        tell(w, "(", rung_name(r), " ", reason_name(d[r].reason));
                w->last[r] = d[r];
                if (d[r].verb != VERB_ACT || r == RUNG_ALERT)
                        continue;
                policy_started(&w->policy, &d[r]);
                w->running = r;
                w->started_s = w->now_s;
                w->ends_s = w->now_s + (r == RUNG_ROTATE ? 10 : w->s->reclaim_s > 0 ? w->s->reclaim_s : 2);
        }
}

static void end_process(World *w) {
        Decision d;

        if (policy_target_changed(&w->policy, usec(w->now_s), false, &d))
                tell(w, "", "alert", " ends ", reason_name(d.reason));
        w->absent = true;
        w->running = _RUNG_MAX;
        w->appears_s = w->now_s + (w->s->startup_s > 0 ? w->s->startup_s : 20);
        memset(w->last, 0, sizeof(w->last));
}

static void appear(World *w) {
        Decision d;

        policy_target_changed(&w->policy, usec(w->now_s), true, &d);
        tell(w, "", "|", "", "");
        w->absent = false;
        w->born_s = w->phase_s = w->now_s;
        w->percent = w->begun_percent = w->s->percent;
        w->phase = w->s->again ? 0 : PHASES - 1;
        w->taken_mib = w->back_s = 0;
}

static void finish(World *w) {
        Outcome o = {.rung = w->running,
                     .result = OUTCOME_OK,
                     .time_usec = usec(w->ends_s),
                     .duration_usec = (uint64_t)((w->ends_s - w->started_s) * USEC_PER_SEC)};
        bool rotated = w->running == RUNG_ROTATE;

        if (!rotated) {
                o.before_bytes = (uint64_t)used(w);
                w->taken_mib += w->s->gives_mib;
                w->back_s = w->s->back_minutes > 0 ? w->now_s + w->s->back_minutes * 60 : 0;
                o.after_bytes = (uint64_t)used(w);
                o.released_bytes = o.before_bytes - o.after_bytes;
        } else if (w->failures < w->s->failures) {
                w->failures++;
                o.result = OUTCOME_TIMEOUT;
                rotated = false;
        }
        policy_outcome(&w->policy, &o);
        w->running = _RUNG_MAX;
        if (rotated)
                end_process(w);
}

static void run(const Scenario *s, World *w, Settings *settings) {
        double minutes = 0, tick = s->tick_s > 0 ? s->tick_s : 5;

        *w = (World){.s = s, .percent = s->percent, .begun_percent = s->percent, .limit = LIMIT, .running = _RUNG_MAX};
        policy_init(&w->policy, &settings->policy);
        for (unsigned i = 0; i < PHASES; i++)
                minutes += s->phase[i].minutes;
        for (; w->now_s < minutes * 60; w->now_s += tick) {
                if (w->running != _RUNG_MAX && w->now_s >= w->ends_s)
                        finish(w);
                if (w->absent && w->now_s < w->appears_s)
                        continue;
                if (w->absent)
                        appear(w);
                move(w);
                if (!s->no_limit && used(w) >= w->limit) {
                        tell(w, "", "KILLED", "", "");
                        end_process(w);
                        continue;
                }
                judge(w);
        }
}

#include "scenarios.h"

static void test_scenarios(void **state _unused_) {
        unsigned failed = 0;

        for (size_t i = 0; i < ELEMENTSOF(scenarios); i++) {
                const Scenario *s = &scenarios[i];
                _cleanup_buf_ Buf yaml = BUF_NULL, problems = BUF_NULL;
                static Settings settings;
                World w;

                buf_addf(&yaml, "targets: [{match: {main: true}}]\npolicy: %s\n", s->policy);
                if (settings_load_string("scenario", buf_str(&yaml), yaml.len, &settings, NULL, &problems) < 0)
                        fail_msg("%s: %s", s->name, buf_str(&problems));
                run(s, &w, &settings);
                if (strcmp(buf_str(&w.line), s->want) != 0) {
                        printf("# %s\n#   came:   %s\n#   wanted: %s\n", s->name, buf_str(&w.line), s->want);
                        failed++;
                }
                buf_done(&w.line);
                settings_done(&settings);
        }
        assert_int_equal(failed, 0);
        assert_true(ELEMENTSOF(scenarios) >= 25);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scenarios),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
