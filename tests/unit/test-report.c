/* SPDX-License-Identifier: Apache-2.0
 *
 * What the encoders write, byte by byte against tests/fixtures/report/. PLATEAU_UPDATE_FIXTURES=1 writes the files
 * anew; the difference is then what a reader of the change has to judge.
 */
#include "report/report.h"

#include <stdbool.h>

#include "report/alert.h"
#include "report/document.h"
#include "unit/unit.h"
#include "util/version.h"
#include "view-fixture.h"

/* The version changes with each release; a golden file says @VERSION@. */
static void neutralise(Buf *out, const char *text) {
        const char *version = plateau_version(), *at;

        while ((at = strstr(text, version))) {
                buf_add(out, text, (size_t)(at - text));
                buf_adds(out, "@VERSION@");
                text = at + strlen(version);
        }
        buf_adds(out, text);
}

static void check_golden(const char *name, const char *text) {
        _cleanup_buf_ Buf want = BUF_NULL, got = BUF_NULL;
        _cleanup_file_ FILE *f = NULL;
        char path[512], chunk[4096];
        size_t n;

        neutralise(&got, text);
        snprintf(path, sizeof(path), FIXTURES "/report/%s", name);
        if (getenv("PLATEAU_UPDATE_FIXTURES")) {
                f = fopen(path, "w");
                assert_non_null(f);
                assert_int_equal(fwrite(buf_str(&got), 1, got.len, f), got.len);
                return;
        }
        f = fopen(path, "r");
        assert_non_null(f);
        while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
                buf_add(&want, chunk, n);
        assert_string_equal(buf_str(&got), buf_str(&want));
}

static void break_line(Buf *b, unsigned depth) {
        buf_addc(b, '\n');
        while (depth-- > 0)
                buf_adds(b, "  ");
}

/* JSON as a person reads it: a line a member. That it is JSON is for tests/integration/test-report-encoders.py. */
static void check_golden_json(const char *name, const char *text) {
        _cleanup_buf_ Buf b = BUF_NULL;
        bool quoted = false;
        unsigned depth = 0;

        for (const char *p = text; *p; p++) {
                if (quoted) {
                        quoted = *p != '"';
                        buf_addc(&b, *p);
                        if (*p == '\\')
                                buf_addc(&b, *++p);
                        continue;
                }
                quoted = *p == '"';
                if ((*p == '}' || *p == ']') && p[-1] != '{' && p[-1] != '[')
                        break_line(&b, --depth);
                else if (*p == '}' || *p == ']')
                        depth--;
                buf_addc(&b, *p);
                if (*p == ':')
                        buf_addc(&b, ' ');
                if (*p == '{' || *p == '[')
                        depth++;
                if (*p == ',' || ((*p == '{' || *p == '[') && p[1] != '}' && p[1] != ']'))
                        break_line(&b, depth);
        }
        buf_addc(&b, '\n');
        check_golden(name, buf_str(&b));
}

static void test_metrics(void **state _unused_) {
        static const struct {
                const char *file;
                bool openmetrics;
        } cases[] = {{"metrics.txt", false}, {"metrics.openmetrics", true}};
        ViewFixture f;

        fixture_init(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_buf_ Buf b = BUF_NULL;

                metrics_encode(&b, &f.view, &f.options, cases[i].openmetrics);
                assert_false(b.failed);
                check_golden(cases[i].file, buf_str(&b));
        }
}

/* Never, unknown and not yet are three different things. */
static void test_figures_that_are_not_known(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        ViewFixture f;

        fixture_init(&f);
        f.views[0].fit.eta_usec = f.views[0].fit.eta_hi_usec = USEC_INFINITY;
        metrics_encode(&b, &f.view, NULL, false);
        assert_non_null(strstr(buf_str(&b), "time_to_limit_seconds{target=\"pusher\",bound=\"median\"} +Inf\n"));
        assert_non_null(strstr(buf_str(&b), "time_to_limit_seconds{target=\"pusher\",bound=\"lower\"} 2280\n"));

        buf_reset(&b);
        f.views[0].fit.state = TREND_WAIT;
        metrics_encode(&b, &f.view, NULL, false);
        assert_null(strstr(buf_str(&b), "time_to_limit_seconds"));

        buf_reset(&b);
        f.views[0].present = false; /* gone: yesterday's figures are no figures */
        metrics_encode(&b, &f.view, NULL, false);
        assert_null(strstr(buf_str(&b), "resident_bytes"));
        assert_null(strstr(buf_str(&b), "proportional_bytes"));
        assert_null(strstr(buf_str(&b), "limit_bytes"));
        assert_non_null(strstr(buf_str(&b), "plateau_target_up{target=\"pusher\"} 0\n"));
        assert_non_null(strstr(buf_str(&b), "plateau_samples_total{target=\"pusher\"} 1440\n"));
}

static void test_doubled_target_name_is_shown_once(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        const char *first;
        ViewFixture f;

        fixture_init(&f);
        strcpy(f.targets[1].spec.name, "pusher");
        metrics_encode(&b, &f.view, NULL, false);
        first = strstr(buf_str(&b), "plateau_target_up{target=\"pusher\"}");
        assert_non_null(first);
        assert_null(strstr(first + 1, "plateau_target_up{target=\"pusher\"}"));
}

static void test_no_memory_is_no_half_page(void **state _unused_) {
        Buf b = {.max = 512};
        ViewFixture f;

        fixture_init(&f);
        metrics_encode(&b, &f.view, &f.options, true);
        assert_true(b.failed);
        buf_done(&b);
}

static void test_status_and_decision(void **state _unused_) {
        _cleanup_buf_ Buf status = BUF_NULL, decision = BUF_NULL, empty = BUF_NULL;
        View none = {0};
        ViewFixture f;

        fixture_init(&f);
        status_encode(&status, &f.view, &f.options);
        check_golden_json("status.json", buf_str(&status));
        decision_encode(&decision, &f.views[0], &f.views[0].decisions[RUNG_RECLAIM], &f.options);
        check_golden_json("decision.json", buf_str(&decision));
        status_encode(&empty, &none, NULL);
        check_golden_json("status-empty.json", buf_str(&empty));
}

static void write_note(AlertBook *book, const ViewFixture *f, const Decision *d, uint64_t now, Buf *b, NoteHead *h) {
        buf_reset(b);
        assert_true(alert_write_decision(book, &f->views[0], d, &f->options, now, b, h));
}

static void test_alert_bodies(void **state _unused_) {
        Decision firing = fixture_decision(RUNG_ALERT, VERB_ACT, REASON_ETA);
        Decision resolved = fixture_decision(RUNG_ALERT, VERB_RESOLVE, REASON_CLEARED);
        AlertBook book = {.instance = 0x0123456789abcdef};
        Outcome outcome = fixture_reclaim();
        _cleanup_buf_ Buf b = BUF_NULL;
        ViewFixture f;
        NoteHead h;

        fixture_init(&f);
        write_note(&book, &f, &firing, FIXTURE_REAL_USEC, &b, &h);
        assert_string_equal(h.id, "msg_0123456789abcdef_1");
        assert_int_equal(h.kind, NOTE_FIRING);
        check_golden_json("alert-firing.json", buf_str(&b));

        resolved.usage_bytes = 2100 * FIXTURE_MB;
        resolved.used_ratio = 0.467;
        resolved.eta_usec = resolved.eta_lo_usec = resolved.eta_hi_usec = USEC_INFINITY;
        f.views[0].alert_firing = false;
        f.views[0].alert_since_real_usec = 0;
        write_note(&book, &f, &resolved, FIXTURE_REAL_USEC + USEC_PER_MINUTE, &b, &h);
        assert_int_equal(h.kind, NOTE_RESOLVED);
        check_golden_json("alert-resolved.json", buf_str(&b));

        buf_reset(&b);
        alert_write_outcome(&book, &f.views[0], &outcome, &firing, &f.options, FIXTURE_REAL_USEC, &b, &h);
        assert_int_equal(h.kind, NOTE_EVENT);
        check_golden_json("action.json", buf_str(&b));
}

static void get_id(const Buf *b, char *id, size_t size) {
        const char *at = strstr(buf_str(b), "\"id\":\"");

        assert_non_null(at);
        at += strlen("\"id\":\"");
        snprintf(id, size, "%.*s", (int)strcspn(at, "\""), at);
}

static void test_one_id_an_episode(void **state _unused_) {
        Decision firing = fixture_decision(RUNG_ALERT, VERB_ACT, REASON_USED);
        Decision resolved = fixture_decision(RUNG_ALERT, VERB_RESOLVE, REASON_CLEARED);
        Decision skip = fixture_decision(RUNG_ALERT, VERB_SKIP, REASON_HOLD);
        Decision other = fixture_decision(RUNG_RECLAIM, VERB_ACT, REASON_USED);
        AlertBook book = {0};
        _cleanup_buf_ Buf b = BUF_NULL;
        char first[64], again[64], over[64], next[64];
        uint64_t now = FIXTURE_REAL_USEC;
        NoteHead h[4];
        ViewFixture f;

        fixture_init(&f);
        f.views[0].alert_since_real_usec = 0;
        assert_false(alert_write_decision(&book, &f.views[0], &skip, &f.options, now, &b, &h[0]));
        assert_false(alert_write_decision(&book, &f.views[0], &other, &f.options, now, &b, &h[0]));
        assert_int_equal(b.len, 0);
        write_note(&book, &f, &firing, now, &b, &h[0]);
        get_id(&b, first, sizeof(first));
        write_note(&book, &f, &firing, now + USEC_PER_HOUR, &b, &h[1]);
        get_id(&b, again, sizeof(again));
        write_note(&book, &f, &resolved, now + 2 * USEC_PER_HOUR, &b, &h[2]);
        get_id(&b, over, sizeof(over));
        write_note(&book, &f, &firing, now + 3 * USEC_PER_HOUR, &b, &h[3]);
        get_id(&b, next, sizeof(next));
        assert_string_equal(first, again);
        assert_string_equal(first, over);
        assert_string_not_equal(first, next);
        for (unsigned i = 1; i < 4; i++) {
                assert_string_equal(h[i].key, h[0].key);
                assert_string_not_equal(h[i].id, h[i - 1].id);
        }
}

static void test_more_episodes_than_rows(void **state _unused_) {
        Decision firing = fixture_decision(RUNG_ALERT, VERB_ACT, REASON_USED);
        AlertBook book = {0};
        _cleanup_buf_ Buf b = BUF_NULL;
        ViewFixture f;
        NoteHead h;

        fixture_init(&f);
        for (unsigned i = 0; i < 3 * ALERT_EPISODES_MAX; i++) {
                snprintf(f.targets[0].spec.name, sizeof(f.targets[0].spec.name), "t%u", i);
                f.views[0].alert_since_real_usec = FIXTURE_REAL_USEC + i;
                write_note(&book, &f, &firing, FIXTURE_REAL_USEC + i, &b, &h);
        }
        for (unsigned i = 0; i < ALERT_EPISODES_MAX; i++) /* the newest ones are kept */
                assert_true(book.episodes[i].starts_real_usec >= FIXTURE_REAL_USEC + 2 * ALERT_EPISODES_MAX);
}

static void test_summaries(void **state _unused_) {
        char buf[SUMMARY_MAX];
        Decision d = fixture_decision(RUNG_ALERT, VERB_ACT, REASON_ETA);
        ViewFixture f;

        fixture_init(&f);
        assert_string_equal(
                summary_decision(buf, &f.views[0], &d),
                "pusher: 3.92 GB of 4.50 GB (87 %), growing 12.0 MB/min, limit in 51 min 00 s (38 min 00 s to "
                "1 h 20 min)");
        d.eta_hi_usec = USEC_INFINITY;
        assert_string_equal(
                summary_decision(buf, &f.views[0], &d),
                "pusher: 3.92 GB of 4.50 GB (87 %), growing 12.0 MB/min, limit in 51 min 00 s (38 min 00 s or "
                "later)");
        d.limit_bytes = 0;
        assert_string_equal(summary_decision(buf, &f.views[0], &d), "pusher: 3.92 GB, growing 12.0 MB/min");
        d.reason = REASON_TARGET_GONE;
        assert_string_equal(summary_decision(buf, &f.views[0], &d), "pusher: the process ended");
        memset(f.targets[0].spec.name, 'x', TARGET_NAME_MAX - 1);
        assert_true(strlen(summary_decision(buf, &f.views[0], &d)) < SUMMARY_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_metrics),
                cmocka_unit_test(test_figures_that_are_not_known),
                cmocka_unit_test(test_doubled_target_name_is_shown_once),
                cmocka_unit_test(test_no_memory_is_no_half_page),
                cmocka_unit_test(test_status_and_decision),
                cmocka_unit_test(test_alert_bodies),
                cmocka_unit_test(test_one_id_an_episode),
                cmocka_unit_test(test_more_episodes_than_rows),
                cmocka_unit_test(test_summaries),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
