/* SPDX-License-Identifier: Apache-2.0
 *
 * Forecast and ladder together, at their defaults, over a simulated day: a process whose memory follows a law, which
 * gives some of it back when it is reclaimed and starts anew when it is rotated or killed. Simulated time only.
 */
#include "judge/judge.h"
#include "unit/random.h"
#include "unit/unit.h"

#define MIB    (1024.0 * 1024)
#define GIB    (1024 * MIB)
#define MINUTE 60.0
#define HOUR   3600.0
#define NEVER  INFINITY
#define NOT                                                                                                            \
        { NEVER, NEVER }

typedef struct World World;

typedef struct Law {
        const char *name;
        double limit, interval_s, hours;
        double (*live)(double age_s, Random *r); /* what the program holds, by its age */
        double (*freed)(double age_s);           /* what it freed and the allocator kept: a reclaim takes this */
        /* what must come of it */
        unsigned kills, n[_RUNG_MAX][2];              /* how often each rung acted, between these */
        double first_alert_s[2], first_rotation_s[2]; /* between these, if at all */
} Law;

struct World {
        const Law *law;
        Random random;
        double now_s, born_s, taken, last_bytes; /* taken: of what was freed, already given back */
        Rung in_flight;                          /* _RUNG_MAX: none */
        double ends_s;
        uint64_t started_usec;
        unsigned kills, acted[_RUNG_MAX], resolved, breaker_skips;
        double first[_RUNG_MAX], rotations_s[64];
};

static Judge judge;

static uint64_t usec(double seconds) {
        return (uint64_t)(seconds * USEC_PER_SEC) + USEC_PER_DAY;
}

static double kept(const World *w) {
        return w->law->freed ? fmax(w->law->freed(w->now_s - w->born_s) - w->taken, 0) : 0;
}

static double memory(World *w) {
        return w->law->live(w->now_s - w->born_s, &w->random) + kept(w);
}

static void born(World *w) {
        Decision d;

        w->born_s = w->now_s;
        w->taken = 0;
        w->resolved += judge_target_changed(&judge, usec(w->now_s), true, &d);
        judge_forget(&judge, usec(w->now_s), TREND_RESET_RESTART);
}

static void act(World *w, const Decision *d) {
        assert_int_equal(w->in_flight, _RUNG_MAX); /* never two at once */
        judge_started(&judge, d);
        w->in_flight = d->rung;
        w->ends_s = w->now_s + (d->rung == RUNG_ROTATE ? 10 : 0.2);
        w->started_usec = d->time_usec;
        if (d->rung == RUNG_ROTATE) {
                assert_true(w->acted[RUNG_ROTATE] < ELEMENTSOF(w->rotations_s));
                w->rotations_s[w->acted[RUNG_ROTATE]] = w->now_s;
        }
}

static void finish(World *w) {
        Outcome o = {.rung = w->in_flight, .result = OUTCOME_OK, .time_usec = usec(w->ends_s)};

        if (w->in_flight == RUNG_RECLAIM) {
                o.before_bytes = (uint64_t)w->last_bytes;
                o.released_bytes = (uint64_t)kept(w);
                w->taken += kept(w);
                o.result = o.released_bytes > 0 ? OUTCOME_OK : OUTCOME_PARTIAL;
        }
        judge_outcome(&judge, &o, true);
        if (w->in_flight == RUNG_ROTATE)
                born(w);
        w->in_flight = _RUNG_MAX;
}

static void decide(World *w, uint64_t bytes) {
        JudgeFigures f = {.time_usec = usec(w->now_s),
                          .target_age_usec = usec(w->now_s) - usec(w->born_s),
                          .rss_bytes = bytes,
                          .usage_bytes = bytes,
                          .limit_bytes = (uint64_t)w->law->limit,
                          .week_minute = -1,
                          .action_in_flight = w->in_flight != _RUNG_MAX,
                          .can_reclaim = true,
                          .can_rotate = true};
        const Decision *d = judge.decisions;

        judge_sample(&judge, &f, NULL);
        w->breaker_skips += d[RUNG_ROTATE].reason == REASON_BREAKER;
        w->resolved += d[RUNG_ALERT].verb == VERB_RESOLVE;
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                if (d[r].verb != VERB_ACT)
                        continue;
                if (r != RUNG_ALERT)
                        act(w, &d[r]);
                if (w->acted[r]++ == 0)
                        w->first[r] = w->now_s;
        }
}

static void tick(World *w) {
        if (w->in_flight != _RUNG_MAX && w->now_s >= w->ends_s)
                finish(w);
        w->last_bytes = memory(w);
        if (w->last_bytes >= w->law->limit) { /* the kernel's OOM killer; the process is started again */
                w->kills++;
                w->in_flight = _RUNG_MAX;
                born(w);
                w->last_bytes = memory(w);
        }
        decide(w, (uint64_t)w->last_bytes);
}

static double jitter(Random *r) {
        return MIB * random_normal(r);
}

static double law_flat(double age _unused_, Random *r) {
        return 500 * MIB + jitter(r);
}

static double law_leak(double age, Random *r) { /* 4.5 GB in 5 h */
        return 300 * MIB + age * 0.22 * MIB + jitter(r);
}

static double law_warm_up(double age, Random *r) { /* to 75 % of 4 GiB */
        return 3072 * MIB - 2600 * MIB * exp(-age / (20 * MINUTE)) + jitter(r);
}

static double law_sawtooth(double age, Random *r) { /* a collector's cycles of 4 min */
        return 600 * MIB + fmod(age, 4 * MINUTE) * 5 * MIB + jitter(r);
}

static double law_step(double age, Random *r) { /* a cache is loaded after 6 h, another after 12 h */
        return 500 * MIB + (age > 6 * HOUR ? 900 * MIB : 0) + (age > 12 * HOUR ? 700 * MIB : 0) + jitter(r);
}

static double law_burst(double age, Random *r) { /* flat for 2 h, then 500 MB/s */
        return 500 * MIB + (age > 2 * HOUR ? (age - 2 * HOUR) * 500e6 : 0) + jitter(r);
}

static double law_fast(double age, Random *r) { /* flat for 2 h, then 5 MiB/s: 13 min to 4 GiB */
        return 500 * MIB + (age > 2 * HOUR ? (age - 2 * HOUR) * 5 * MIB : 0) + jitter(r);
}

static double law_ramp(double age, Random *r) { /* 1 GiB in 20 s each hour, given back after 10 min: no leak */
        double phase = fmod(age, HOUR) - 30 * MINUTE;

        return 500 * MIB + (phase > 0 && phase < 10 * MINUTE ? fmin(phase * 51.2, 1024) * MIB : 0) + jitter(r);
}

static double law_live(double age _unused_, Random *r) { /* fragmentation: live memory is flat ... */
        return 800 * MIB + jitter(r);
}

static double freed_leak(double age) { /* ... and what was freed piles up */
        return age * 0.3 * MIB;
}

static double freed_little(double age _unused_) {
        return 4 * MIB;
}

/* clang-format off */
static const Law laws[] = {
        /* law, limit, seconds a tick, hours, functions, kills, {alerts, reclaims, rotations}, first alert, rotation */
        {"flat", 4 * GIB, 5, 24, law_flat, NULL, 0, {{0, 0}, {0, 0}, {0, 0}},
         NOT, NOT},
        {"warm-up to 75 %", 4 * GIB, 5, 24, law_warm_up, NULL, 0, {{0, 0}, {0, 0}, {0, 0}},
         NOT, NOT},
        {"sawtooth", 4 * GIB, 5, 24, law_sawtooth, NULL, 0, {{0, 0}, {0, 0}, {0, 0}},
         NOT, NOT},
        {"steps", 4 * GIB, 5, 24, law_step, NULL, 0, {{0, 0}, {0, 0}, {0, 0}},
         NOT, NOT},
        {"hourly ramp of 1 GiB", 4 * GIB, 5, 24, law_ramp, NULL, 0, {{0, 0}, {0, 0}, {0, 0}},
         NOT, NOT},
        /* Three lives of 4.6 h, then the breaker holds for the rest of the day: the kernel ends two more. */
        {"steady leak", 4.5e9, 5, 24, law_leak, freed_little, 2, {{5, 8}, {5, 12}, {3, 3}},
         {3.9 * HOUR, 4 * HOUR}, {4.5 * HOUR, 4.7 * HOUR}},
        {"fragmentation", 4 * GIB, 5, 24, law_live, freed_leak, 0, {{8, 10}, {8, 10}, {0, 0}},
         {2.2 * HOUR, 2.4 * HOUR}, NOT},
        {"13 min to the limit", 4 * GIB, 5, 3, law_fast, freed_little, 0, {{1, 1}, {1, 1}, {1, 1}},
         {2 * HOUR, 2 * HOUR + 8 * MINUTE}, {2 * HOUR + 6 * MINUTE, 2 * HOUR + 10 * MINUTE}},
        /* 32 s and 63 s from flat to the limit */
        {"500 MB/s, a tick a second", 16 * GIB, 1, 3, law_burst, NULL, 0, {{1, 1}, {0, 0}, {1, 1}},
         {2 * HOUR + 4, 2 * HOUR + 22}, {2 * HOUR + 4, 2 * HOUR + 22}},
        {"500 MB/s, a tick in 5 s", 32 * GIB, 5, 3, law_burst, NULL, 0, {{1, 1}, {0, 0}, {1, 1}},
         {2 * HOUR + 20, 2 * HOUR + 66}, {2 * HOUR + 20, 2 * HOUR + 61}},
};
/* clang-format on */

static void assert_within(double first_s, const double between[2]) {
        assert_true(first_s == NEVER || (first_s >= between[0] && first_s <= between[1]));
}

static void check(const World *w) {
        const Law *l = w->law;

        print_message(
                "# %-26s kills %u  alerts %u (first %.0f s, %u resolved)  reclaims %u (%.0f s)  rotations %u (%.0f s)"
                "  breaker %u\n",
                l->name, w->kills, w->acted[RUNG_ALERT], w->first[RUNG_ALERT], w->resolved, w->acted[RUNG_RECLAIM],
                w->first[RUNG_RECLAIM], w->acted[RUNG_ROTATE], w->first[RUNG_ROTATE], w->breaker_skips);
        assert_int_equal(w->kills, l->kills);
        for (Rung r = 0; r < _RUNG_MAX; r++)
                assert_in_range(w->acted[r], l->n[r][0], l->n[r][1]);
        assert_within(w->first[RUNG_ALERT], l->first_alert_s);
        assert_within(w->first[RUNG_ROTATE], l->first_rotation_s);
        /* no more than three rotations in any 24 h, and half an hour between two */
        for (unsigned i = 0; i + 1 < w->acted[RUNG_ROTATE]; i++)
                assert_true(w->rotations_s[i + 1] - w->rotations_s[i] >= 30 * MINUTE);
        assert_true((w->breaker_skips > 0) == (w->acted[RUNG_ROTATE] == 3));
        for (unsigned i = 0; i + 3 < w->acted[RUNG_ROTATE]; i++)
                assert_true(w->rotations_s[i + 3] - w->rotations_s[i] >= 24 * HOUR);
}

static void run(const Law *l, World *w) {
        judge_init(&judge, &JUDGE_OPTIONS_DEFAULT);
        *w = (World){.law = l, .random = {42}, .in_flight = _RUNG_MAX, .first = {NEVER, NEVER, NEVER}};
        for (uint64_t i = 0; i <= (uint64_t)(l->hours * HOUR / l->interval_s); i++) {
                w->now_s = (double)i * l->interval_s;
                tick(w);
        }
}

static void test_a_day_of_each(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(laws); i++) {
                World w;

                run(&laws[i], &w);
                check(&w);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_day_of_each),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
