/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/replay.h"

#include <stdio.h>

#include "replay/expect.h"
#include "replay/picture.h"
#include "unit/unit.h"
#include "util/cleanup.h"

#define MIB   (1024.0 * 1024)
#define STEP  5.0
#define LIMIT (1000 * MIB)

/* Memory in MiB at a time in seconds, in a process that lives from second 0. */
typedef double (*Law)(double s);

static double flat(double s) {
        return 400 + 2 * sin(s / 70);
}

static double leak(double s) { /* 10 MiB a minute: reaches 1000 MiB after 90 min */
        return 100 + s / 6 + sin(s / 13);
}

static double two_lives(double s) { /* killed after 90 min, and once more */
        return s < 5400 ? leak(s) : leak(s - 5400);
}

static double warm_up(double s) {
        return 650 * (1 - exp(-s / 1200)) + sin(s / 30);
}

static Trace make_trace(Law law, double hours) {
        Trace t = {
                .form = TRACE_FORM_COLUMNS, .n = (size_t)(hours * 3600 / STEP) + 1, .step_usec = STEP * USEC_PER_SEC};

        t.points = calloc(t.n, sizeof(*t.points));
        assert_non_null(t.points);
        for (size_t i = 0; i < t.n; i++)
                t.points[i] = (TracePoint){.time_usec = (uint64_t)((double)i * STEP * USEC_PER_SEC),
                                           .bytes = (uint64_t)(law((double)i * STEP) * MIB),
                                           .limit_bytes = (uint64_t)LIMIT};
        return t;
}

static ReplayOptions make_options(void) {
        return (ReplayOptions){.judge = JUDGE_OPTIONS_DEFAULT, .can_reclaim = true, .can_rotate = true};
}

typedef struct Log {
        unsigned n[5], n_released;
        uint64_t last_usec;
        bool backwards;
} Log;

static void on_event(void *userdata, const ReplayEvent *e) {
        Log *log = userdata;

        log->n[e->kind]++;
        log->backwards = log->backwards || e->elapsed_usec < log->last_usec;
        log->last_usec = e->elapsed_usec;
        if (e->kind == REPLAY_OUTCOME)
                log->n_released += e->outcome->released_bytes > 0;
}

static ReplaySummary run(Law law, double hours, const ReplayOptions *o, Log *log) {
        _cleanup_trace_ Trace t = make_trace(law, hours);
        ReplaySummary s;

        *log = (Log){0};
        replay_run(&t, o, &(ReplayListener){.event = on_event, .userdata = log}, &s);
        assert_false(log->backwards);
        return s;
}

static void test_flat(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s = run(flat, 3, &o, &log);

        for (Rung r = 0; r < _RUNG_MAX; r++)
                assert_int_equal(s.n_acted[r], 0);
        assert_int_equal(s.n_judged, s.n_samples);
        assert_int_equal(s.n_lives, 1);
        assert_true(s.life[0].crossed_usec == USEC_INFINITY);
}

/* Everything comes before the crossing, in the order of the ladder; the trace still tells when that would have been. */
static void test_leak(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s = run(leak, 2, &o, &log);
        const ReplayLife *l = &s.life[0];

        assert_int_equal(l->crossed_usec / USEC_PER_MINUTE, 90);
        assert_true(l->first_usec[RUNG_ALERT] < l->first_usec[RUNG_ROTATE]);
        assert_true(l->first_usec[RUNG_RECLAIM] < l->first_usec[RUNG_ROTATE]);
        assert_true(l->first_usec[RUNG_ROTATE] < l->crossed_usec - 60 * USEC_PER_SEC);
        assert_true(l->rotated_usec == l->first_usec[RUNG_ROTATE]);
        assert_true(l->scenario_crossed_usec == USEC_INFINITY);
        assert_int_equal(s.n_acted[RUNG_ROTATE], 1); /* nothing is decided on what is left of the trace */
        assert_true(s.n_judged < s.n_samples);
        assert_int_equal(log.n[REPLAY_CROSSED], 1);
        assert_int_equal(s.n_false_alarms, 0);
}

static void test_no_rotation(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s;

        o.can_rotate = false;
        s = run(leak, 2, &o, &log);
        assert_int_equal(s.n_acted[RUNG_ROTATE], 0);
        assert_true(s.life[0].scenario_crossed_usec == s.life[0].crossed_usec);
        assert_int_equal(log.n_released, 0);
}

/* What a reclaim is assumed to give moves the crossing of the scenario, not that of the trace. */
static void test_gives(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s;

        o.can_rotate = false;
        o.gives_known = true;
        o.gives_ratio = 0.5;
        s = run(leak, 2, &o, &log);
        assert_int_equal(s.life[0].crossed_usec / USEC_PER_MINUTE, 90);
        assert_true(s.life[0].scenario_crossed_usec == USEC_INFINITY);
        assert_true(log.n_released >= 1);
        assert_true(s.released_bytes > 300 * MIB && s.released_bytes < 1000 * MIB);
}

static void test_dry_run(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s;

        o.judge.policy.dry_run = true;
        s = run(leak, 2, &o, &log);
        assert_true(s.n_acted[RUNG_RECLAIM] >= 1);
        assert_true(s.n_acted[RUNG_ROTATE] >= 1); /* would have been */
        assert_true(s.life[0].scenario_crossed_usec != USEC_INFINITY);
        assert_int_equal(log.n[REPLAY_OUTCOME], 0);
}

/* The second process is told from the first by the fall, and is judged as one of its own. */
static void test_lives(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s = run(two_lives, 3, &o, &log);

        assert_int_equal(s.n_lives, 2);
        assert_int_equal(log.n[REPLAY_STARTED], 1);
        assert_int_equal(s.life[1].start_usec / USEC_PER_MINUTE, 90);
        for (unsigned i = 0; i < 2; i++)
                assert_true(s.life[i].rotated_usec < s.life[i].crossed_usec);
        assert_int_equal(s.n_acted[RUNG_ROTATE], 2);
}

static void test_limit(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s;

        o.limit_bytes = (uint64_t)(300 * MIB); /* the command line's goes before the trace's */
        s = run(flat, 1, &o, &log);
        assert_int_equal(s.life[0].crossed_usec, 0);
        assert_int_equal(s.n_judged, 0);
        assert_int_equal(s.life[0].limit_bytes, o.limit_bytes);
}

static void test_one_sample(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s = run(flat, 0, &o, &log);

        assert_int_equal(s.n_samples, 1);
        assert_int_equal(s.span_usec, 0);
}

/* ---- expectations ---- */

static void test_expect_parse(void **state _unused_) {
        static const struct {
                const char *text, *why; /* NULL = it is one */
        } cases[] = {
                {"no-action", NULL},
                {"alert-before:10m", NULL},
                {"false-alarms<=2", NULL},
                {"prevented", NULL},
                {"alert-before:", "expected a duration such as 10m behind 'alert-before:'"},
                {"alert-before:10", "expected a duration"},
                {"false-alarms<=x", "expected a whole number"},
                {"verdict:nonsense", "expected one of wait"},
                {"no-actions", "expected one of no-action"},
                {"", "expected 1 to 63 bytes"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char why[EXPECT_SAID_MAX] = "";
                Expectation e;
                int r = expect_parse(cases[i].text, cases[i].text + strlen(cases[i].text), &e, why);

                if ((r == 0) != !cases[i].why || (cases[i].why && !strstr(why, cases[i].why)))
                        fail_msg("%s: %d: %s", cases[i].text, r, why);
        }
}

static void check(const ReplaySummary *s, const char *text, bool met, const char *said) {
        char why[EXPECT_SAID_MAX], came[EXPECT_SAID_MAX];
        Expectation e;

        assert_int_equal(expect_parse(text, text + strlen(text), &e, why), 0);
        if (expect_judge(&e, s, came) != met || !strstr(came, said))
                fail_msg("%s: %s", text, came);
}

static ReplaySummary made_summary(void) {
        ReplaySummary s = {.span_usec = 100 * USEC_PER_MINUTE, .n_lives = 2, .n_false_alarms = 2};

        for (unsigned i = 0; i < 2; i++)
                s.life[i] = (ReplayLife){
                        .first_usec = {(i * 50 + 10) * USEC_PER_MINUTE, USEC_INFINITY, (i * 50 + 35) * USEC_PER_MINUTE},
                        .crossed_usec = (i * 55 + 40) * USEC_PER_MINUTE,
                        .scenario_crossed_usec = USEC_INFINITY};
        s.n_acted[RUNG_ALERT] = 4;
        s.n_acted[RUNG_ROTATE] = 2;
        return s;
}

/* Of several crossings the worst counts. */
static void test_expect_judge(void **state _unused_) {
        ReplaySummary s = made_summary();

        check(&s, "no-action", false, "rotate 2 times, first after 35 min");
        check(&s, "no-reclaim", true, "none");
        check(&s, "no-alert", false, "alert 4 times");
        check(&s, "alert", true, "alert 4 times");
        check(&s, "reclaim", false, "no reclaim");
        check(&s, "alert-before:30m", true, "30 min 00 s before the limit is reached after 40 min");
        check(&s, "alert-before:31m", false, "30 min 00 s");
        check(&s, "rotate-before:6m", false, "5 min 00 s before the limit is reached after 40 min");
        check(&s, "reclaim-before:1s", false, "none before the limit is reached after 40 min");
        check(&s, "false-alarms<=1", false, "2 of 4 alerts");
        check(&s, "false-alarms<=2", true, "2 of 4 alerts");
        check(&s, "prevented", true, "2 of 2 prevented");
        s.life[1].scenario_crossed_usec = s.life[1].crossed_usec;
        check(&s, "prevented", false, "1 of 2 not prevented, first after 1 h 35 min");
        s.life[0].crossed_usec = s.life[1].crossed_usec = USEC_INFINITY;
        check(&s, "alert-before:80m", true, "before the end of the trace");
        check(&s, "reclaim-before:1s", false, "none, and the limit is not reached");
}

/* ---- the picture ---- */

static void on_picture_event(void *userdata, const ReplayEvent *e) {
        picture_event(userdata, e);
}

static void on_picture_sample(void *userdata, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes,
                              uint64_t limit_bytes, bool is_over) {
        picture_sample(userdata, elapsed_usec, recorded, bytes, limit_bytes, is_over);
}

static void draw(const Trace *t, const char *title, Buf *svg) {
        static Picture p;
        ReplayOptions o = make_options();
        ReplaySummary s;

        picture_begin(&p, t, false);
        replay_run(t, &o, &(ReplayListener){.event = on_picture_event, .userdata = &p}, &s);
        picture_scale(&p, s.judged_usec);
        replay_run(t, &o, &(ReplayListener){.sample = on_picture_sample, .userdata = &p}, &s);
        picture_draw(&p, title, "x", svg);
        assert_false(svg->failed);
}

static void test_picture(void **state _unused_) {
        _cleanup_trace_ Trace t = make_trace(leak, 2);
        _cleanup_buf_ Buf svg = BUF_NULL;

        draw(&t, "a<b>&\"\x1b\xff", &svg);
        assert_non_null(strstr(buf_str(&svg), ">a&lt;b&gt;&amp;"));
        assert_null(strchr(buf_str(&svg), '\x1b'));
        assert_null(strstr(buf_str(&svg), "nan"));
        assert_null(strstr(buf_str(&svg), "inf"));
        assert_non_null(strstr(buf_str(&svg), "rotate "));
        assert_non_null(strstr(buf_str(&svg), "limit hit 1:30:"));
        assert_non_null(strstr(buf_str(&svg), "class=\"c\"")); /* a cone */
        assert_non_null(strstr(buf_str(&svg), "</svg>\n"));
}

/* Many points of pure noise, which fill every column from top to bottom. */
static void test_picture_size(void **state _unused_) {
        _cleanup_trace_ Trace t = {.form = TRACE_FORM_COLUMNS, .n = 100000, .step_usec = USEC_PER_SEC};
        _cleanup_buf_ Buf svg = BUF_NULL;
        uint64_t x = 88172645463325252ULL;

        t.points = calloc(t.n, sizeof(*t.points));
        assert_non_null(t.points);
        for (size_t i = 0; i < t.n; i++) {
                x ^= x << 13, x ^= x >> 7, x ^= x << 17;
                t.points[i] =
                        (TracePoint){.time_usec = i * USEC_PER_SEC, .bytes = x % (1u << 30), .limit_bytes = 1u << 30};
        }
        draw(&t, "noise", &svg);
        assert_in_range(svg.len, 1000, 200000);
}

/* A column is drawn at the mean of what fell into it: here two levels by turns, many of each in every column. */
static void test_picture_course(void **state _unused_) {
        _cleanup_trace_ Trace t = {.form = TRACE_FORM_COLUMNS, .n = 31040, .step_usec = USEC_PER_SEC};
        _cleanup_buf_ Buf svg = BUF_NULL;
        const char *p;
        double x, y, first = 0;
        int n, points = 0;

        t.points = calloc(t.n, sizeof(*t.points));
        assert_non_null(t.points);
        for (size_t i = 0; i < t.n; i++)
                t.points[i] =
                        (TracePoint){.time_usec = i * USEC_PER_SEC, .bytes = 100 + i % 2 * 200, .limit_bytes = 400};
        draw(&t, "two levels", &svg);
        p = strstr(buf_str(&svg), "<path class=\"u\" d=\"");
        assert_non_null(p);
        for (p = strstr(p, "d=\"") + 3; sscanf(p, "%*1[ML]%lf %lf%n", &x, &y, &n) == 2; p += n, points++) {
                first = points == 0 ? y : first;
                assert_true(fabs(y - first) < 3);
        }
        assert_in_range(points, 600, PICTURE_COLUMNS);
        assert_true(first > 200 && first < 350); /* half way up the plot */
}

static void test_picture_one_sample(void **state _unused_) {
        _cleanup_trace_ Trace t = make_trace(flat, 0);
        _cleanup_buf_ Buf svg = BUF_NULL;

        draw(&t, "one", &svg);
        assert_null(strstr(buf_str(&svg), "nan"));
}

static void test_warm_up(void **state _unused_) {
        ReplayOptions o = make_options();
        Log log;
        ReplaySummary s = run(warm_up, 4, &o, &log);

        assert_int_equal(s.n_acted[RUNG_ROTATE], 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flat),           cmocka_unit_test(test_leak),
                cmocka_unit_test(test_no_rotation),    cmocka_unit_test(test_gives),
                cmocka_unit_test(test_dry_run),        cmocka_unit_test(test_lives),
                cmocka_unit_test(test_limit),          cmocka_unit_test(test_one_sample),
                cmocka_unit_test(test_expect_parse),   cmocka_unit_test(test_expect_judge),
                cmocka_unit_test(test_picture),        cmocka_unit_test(test_picture_size),
                cmocka_unit_test(test_picture_course), cmocka_unit_test(test_picture_one_sample),
                cmocka_unit_test(test_warm_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
