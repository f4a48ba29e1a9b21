/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files: tests/fixtures/yaml/bad/<oddity>.yaml with the exact output in <oddity>.expected, and good/ the same
 * (an .expected there holds warnings only). A file is loaded by its bare name, so that messages do not depend on paths.
 */
#include "settings/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "unit/settings-equal.h"
#include "unit/unit.h"
#include "util/clock.h"

static Settings loaded, again; /* 80 KB each: not for the stack */

static void forget_environment(void) {
        static const char *const names[] = {"PLATEAU_DRY_RUN",   "PLATEAU_LISTEN",      "PLATEAU_PUSHGATEWAY_URL",
                                            "PLATEAU_INSTANCE",  "PLATEAU_WEBHOOK_URL", "PLATEAU_LOG_FORMAT",
                                            "PLATEAU_LOG_LEVEL", "PLATEAU_SOCKET"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                unsetenv(names[i]);
}

static int load(const char *text, Settings *ret, SettingsOrigins **ret_origins, Buf *problems) {
        return settings_load_string("t.yaml", text, strlen(text), ret, ret_origins, problems);
}

static void read_file(const char *path, Buf *b) {
        char part[4096];
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0) /* no .expected: nothing is to be said */
                return;
        while ((n = read(fd, part, sizeof(part))) > 0)
                buf_add(b, part, (size_t)n);
        assert_int_equal(n, 0);
}

static void read_expected(const char *yaml, Buf *b) {
        char path[NAME_MAX + 16];

        snprintf(path, sizeof(path), "%.*s.expected", (int)(strlen(yaml) - strlen(".yaml")), yaml);
        read_file(path, b);
}

/* What is written by --dump-config loads again, to the same settings, and without a word more than before. */
static void check_round_trip(const char *name, const Settings *s, const SettingsOrigins *o) {
        _cleanup_buf_ Buf dump = BUF_NULL, problems = BUF_NULL;
        int r;

        settings_dump(&dump, s, o);
        assert_false(dump.failed);
        r = settings_load_string("dump.yaml", buf_str(&dump), dump.len, &again, NULL, &problems);
        if (r < 0 || !settings_equal(s, &again))
                fail_msg("%s: does not come back: %s\n%s", name, buf_str(&problems), buf_str(&dump));
        settings_done(&again);
}

static void check_file(const char *name, bool is_bad) {
        _cleanup_buf_ Buf problems = BUF_NULL, expected = BUF_NULL;
        SettingsOrigins *origins = NULL;
        int r = settings_load_file(name, &loaded, &origins, &problems);

        read_expected(name, &expected);
        if (strcmp(buf_str(&problems), buf_str(&expected)) != 0)
                fail_msg("%s says:\n%sexpected:\n%s", name, buf_str(&problems), buf_str(&expected));
        assert_int_equal(r, is_bad ? -EINVAL : 0);
        if (is_bad)
                return;
        check_round_trip(name, &loaded, origins);
        settings_origins_free(origins);
        settings_done(&loaded);
}

static unsigned walk(const char *folder, bool is_bad) {
        struct dirent *e;
        unsigned n = 0;
        DIR *d;

        assert_int_equal(chdir(folder), 0);
        assert_non_null(d = opendir("."));
        while ((e = readdir(d)))
                if (strlen(e->d_name) > 5 && strcmp(e->d_name + strlen(e->d_name) - 5, ".yaml") == 0) {
                        check_file(e->d_name, is_bad);
                        n++;
                }
        closedir(d);
        return n;
}

static void test_bad_files_say_what_and_where(void **state _unused_) {
        assert_true(walk(FIXTURES "/yaml/bad", true) >= 50);
}

static void test_good_files_load_and_come_back(void **state _unused_) {
        assert_true(walk(FIXTURES "/yaml/good", false) >= 20);
}

static void test_examples_load(void **state _unused_) {
        assert_true(walk(FIXTURES "/../../config", false) >= 4);
}

static void test_nothing_is_half_applied(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        SettingsOrigins *origins = (SettingsOrigins *)0x1;
        const unsigned char *p = (const unsigned char *)&loaded;

        memset(&loaded, 0xa5, sizeof(loaded));
        assert_int_equal(
                load("targets: [{match: {pid: 3}}]\nlog: {level: debug}\nsocket: x\n", &loaded, &origins, &problems),
                -EINVAL);
        for (size_t i = 0; i < sizeof(loaded); i++)
                assert_int_equal(p[i], 0xa5);
        assert_ptr_equal(origins, (SettingsOrigins *)0x1);
}

/* The defaults of the table are those that the modules document and use by themselves. */
static void test_defaults_are_the_modules_own(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        const TrendOptions trend = TREND_OPTIONS_DEFAULT;
        const PaceOptions pace = PACE_OPTIONS_DEFAULT;
        PolicyOptions policy = policy_options_default;

        assert_int_equal(load("targets: [{match: {main: true}}]", &loaded, NULL, &problems), 0);
        assert_int_equal(problems.len, 0);
        assert_int_equal(loaded.trend.min_span_usec, trend.min_span_usec);
        assert_int_equal(loaded.trend.min_samples, trend.min_samples);
        assert_int_equal(loaded.sample.pace.fixed_usec, pace.fixed_usec);
        assert_int_equal(loaded.sample.pace.min_usec, pace.min_usec);
        assert_int_equal(loaded.sample.pace.max_usec, pace.max_usec);
        assert_int_equal(loaded.sample.pace.burst_bytes_per_s, pace.burst_bytes_per_s);
        assert_true(loaded.sample.pace.budget_ratio == pace.budget_ratio);
        assert_false(loaded.policy.rung[RUNG_ROTATE].enabled); /* no method, no rotation */
        policy.rung[RUNG_ROTATE].enabled = false;
        assert_int_equal(loaded.policy.dry_run, policy.dry_run);
        assert_int_equal(loaded.policy.startup_grace_usec, policy.startup_grace_usec);
        assert_true(loaded.policy.hysteresis_ratio == policy.hysteresis_ratio);
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                assert_int_equal(loaded.policy.rung[r].enabled, policy.rung[r].enabled);
                assert_true(loaded.policy.rung[r].used_ratio == policy.rung[r].used_ratio);
                assert_int_equal(loaded.policy.rung[r].used_bytes, policy.rung[r].used_bytes);
                assert_int_equal(loaded.policy.rung[r].eta_usec, policy.rung[r].eta_usec);
                assert_int_equal(loaded.policy.rung[r].hold_usec, policy.rung[r].hold_usec);
                assert_int_equal(loaded.policy.rung[r].cooldown_usec, policy.rung[r].cooldown_usec);
        }
        assert_int_equal(loaded.policy.last_moment_usec, policy.last_moment_usec);
        assert_int_equal(loaded.policy.rotate_margin_usec, policy.rotate_margin_usec);
        for (PolicyNeed n = 0; n < _NEED_MAX; n++)
                assert_int_equal(loaded.policy.rotate_needs_usec[n], policy.rotate_needs_usec[n]);
        assert_int_equal(loaded.policy.reclaim_min_yield_bytes, policy.reclaim_min_yield_bytes);
        assert_true(loaded.policy.reclaim_min_yield_ratio == policy.reclaim_min_yield_ratio);
        assert_int_equal(loaded.policy.reclaim_strikes, policy.reclaim_strikes);
        assert_int_equal(loaded.policy.reclaim_settle_usec, policy.reclaim_settle_usec);
        assert_int_equal(loaded.policy.rotate_max, policy.rotate_max);
        assert_int_equal(loaded.policy.rotate_window_usec, policy.rotate_window_usec);
        settings_done(&loaded);
}

static void test_values_reach_their_fields(void **state _unused_) {
        static const char text[] = "targets:\n"
                                   "  - {match: {cmdline: 'a b'}, pick: largest, limit: 4500Mi}\n"
                                   "  - {name: p, match: {pid: 12}}\n"
                                   "  - {match: {exe: /usr/bin/python3}}\n"
                                   "  - {match: {unit: x.service}}\n"
                                   "  - {match: {pidfile: /run/y.pid}}\n"
                                   "  - {match: {main: true}}\n"
                                   "policy: {rotate: {method: hook, hook: [/bin/d, '-x'], max: unlimited}}\n"
                                   "report: {labels: {a: b}, listen: ':1'}\n"
                                   "log: {format: json, level: error}\nsocket: none\n";
        static const char *const names[] = {"a b", "p", "python3", "x.service", "y.pid", "main"};
        _cleanup_buf_ Buf problems = BUF_NULL;

        assert_int_equal(load(text, &loaded, NULL, &problems), 0);
        assert_string_equal(buf_str(&problems), "");
        assert_int_equal(loaded.n_targets, 6);
        for (unsigned i = 0; i < 6; i++)
                assert_string_equal(loaded.targets[i].name, names[i]);
        assert_int_equal(loaded.targets[0].match, TARGET_MATCH_CMDLINE);
        assert_int_equal(loaded.targets[0].pick, TARGET_PICK_LARGEST);
        assert_int_equal(loaded.targets[0].limit_bytes, 4500ULL << 20);
        assert_int_equal(loaded.targets[1].match, TARGET_MATCH_PID);
        assert_int_equal(loaded.targets[1].pid, 12);
        assert_int_equal(loaded.targets[5].match, TARGET_MATCH_MAIN);
        assert_int_equal(loaded.action.rotate_method, ROTATE_HOOK);
        assert_true(loaded.policy.rung[RUNG_ROTATE].enabled);
        assert_string_equal(loaded.action.hook_argv[0], "/bin/d");
        assert_string_equal(loaded.action.hook_argv[1], "-x");
        assert_null(loaded.action.hook_argv[2]);
        assert_int_equal(loaded.policy.rotate_max, 0);
        assert_int_equal(loaded.report.n_labels, 1);
        assert_string_equal(loaded.report.labels[0].value, "b");
        assert_string_equal(loaded.report.http_listen, ":1");
        assert_int_equal(loaded.log_format, LOG_CHOICE_JSON);
        assert_int_equal(loaded.log_level, LOG_ERR);
        assert_string_equal(loaded.socket_path, "");
        settings_done(&loaded);
}

static void test_environment_overrides(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL, dump = BUF_NULL;
        SettingsOrigins *origins = NULL;

        setenv("PLATEAU_DRY_RUN", "true", 1);
        setenv("PLATEAU_INSTANCE", "pod-7", 1);
        setenv("PLATEAU_LOG_LEVEL", "", 1); /* set but empty: not set */
        assert_int_equal(load("targets: [{match: {main: true}}]\npolicy: {dry_run: false}\n"
                              "report: {pushgateway: {url: 'http://127.0.0.1'}}",
                              &loaded, &origins, &problems),
                         0);
        assert_string_equal(buf_str(&problems), "");
        assert_true(loaded.policy.dry_run);
        assert_string_equal(loaded.report.pushgateway_instance, "pod-7");
        assert_int_equal(loaded.log_level, LOG_INFO);
        settings_dump(&dump, &loaded, origins);
        assert_non_null(strstr(buf_str(&dump), "# environment PLATEAU_DRY_RUN\n"));
        settings_origins_free(origins);
        settings_done(&loaded);

        setenv("PLATEAU_DRY_RUN", "perhaps", 1);
        assert_int_equal(load("targets: [{match: {main: true}}]", &loaded, NULL, &problems), -EINVAL);
        assert_string_equal(buf_str(&problems),
                            "t.yaml: environment variable PLATEAU_DRY_RUN, for policy.dry_run: \"perhaps\" "
                            "is not allowed: must be true or false\n");
        forget_environment();
}

static void test_dump_tells_origins(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL, dump = BUF_NULL;
        SettingsOrigins *origins = NULL;
        const char *text = "targets: [{match: {main: true}}]\ntrend:\n  min_samples: 20\n";

        assert_int_equal(settings_load_string("a\nb.yaml", text, strlen(text), &loaded, &origins, &problems), 0);
        settings_dump(&dump, &loaded, origins);
        assert_non_null(strstr(buf_str(&dump), "  min_samples: 20                                # a?b.yaml:3:16\n"));
        assert_non_null(strstr(buf_str(&dump), "  min_span: 30s                                  # default\n"));
        assert_non_null(strstr(buf_str(&dump), "    # rotation is off: method is none\n"));
        assert_null(strstr(buf_str(&dump), "\nb.yaml"));
        settings_origins_free(origins);
        settings_done(&loaded);
}

/* Each target has entries of its own, and none is another setting's. */
static void test_origins_of_several_targets(void **state _unused_) {
        static const char text[] = "targets:\n"
                                   "  - {match: {exe: x}}\n"
                                   "  - {name: second, match: {exe: y}}\n"
                                   "  - {match: {exe: z}, pick: newest}\n";
        static const char *const lines[] = {
                "    name: \"x\"                                    # default\n",
                "      exe: \"y\"                                   # t.yaml:3:33\n",
                "    name: \"second\"                               # t.yaml:3:12\n",
                "    pick: newest                                 # t.yaml:4:29\n",
                "  interval: auto                                 # default\n",
                "  min_span: 30s                                  # default\n",
        };
        _cleanup_buf_ Buf problems = BUF_NULL, dump = BUF_NULL;
        SettingsOrigins *origins = NULL;
        const char *rest;

        assert_int_equal(load(text, &loaded, &origins, &problems), 0);
        settings_dump(&dump, &loaded, origins);
        rest = buf_str(&dump);
        for (size_t i = 0; i < ELEMENTSOF(lines); i++)
                if (!(rest = strstr(rest, lines[i])))
                        fail_msg("no, or not in this order: %s in %s", lines[i], buf_str(&dump));
        /* not one of the settings that nobody gave */
        assert_null(strstr(strstr(buf_str(&dump), "\nsample:"), "# t.yaml"));
        settings_origins_free(origins);
        settings_done(&loaded);
}

/* A shorter text over a longer default leaves nothing of it behind: equal settings are equal bytes. */
static void test_text_replaces_the_default(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL;

        assert_int_equal(load("targets: [{match: {main: true}}]\nsocket: /s\n", &loaded, NULL, &problems), 0);
        assert_string_equal(loaded.socket_path, "/s");
        for (size_t i = 2; i < sizeof(loaded.socket_path); i++)
                assert_int_equal(loaded.socket_path[i], 0);
        settings_done(&loaded);
}

static void test_files_that_cannot_be_read(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL;

        assert_int_equal(settings_load_file("/nonexistent/x.yaml", &loaded, NULL, &problems), -ENOENT);
        assert_string_equal(buf_str(&problems), "/nonexistent/x.yaml: No such file or directory\n");
        buf_reset(&problems);
        assert_int_equal(settings_load_file("/", &loaded, NULL, &problems), -EISDIR);
        assert_string_equal(buf_str(&problems), "/: Is a directory\n");
        buf_reset(&problems);
        assert_int_equal(settings_load_file("/dev/zero", &loaded, NULL, &problems), -EINVAL);
        assert_string_equal(buf_str(&problems),
                            "/dev/zero: larger than 1048576 bytes: not a configuration of plateau\n");
}

static void test_standard_input(void **state _unused_) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        _cleanup_fd_ int saved = dup(STDIN_FILENO);
        int pipes[2];

        assert_int_equal(pipe(pipes), 0);
        assert_int_equal(write(pipes[1], "targets: 5\n", 11), 11);
        close(pipes[1]);
        assert_int_equal(dup2(pipes[0], STDIN_FILENO), STDIN_FILENO);
        close(pipes[0]);
        assert_int_equal(settings_load_file("-", &loaded, NULL, &problems), -EINVAL);
        assert_string_equal(buf_str(&problems),
                            "<stdin>:1:10: targets: \"5\" is text; allowed: a list, one item a target\n");
        if (saved >= 0)
                dup2(saved, STDIN_FILENO);
}

/* Bounds on what a file may cost us: as many values as there are, the answer stays short. */
static void test_floods_are_bounded(void **state _unused_) {
        static const struct {
                const char *name, *unit, *end;
                size_t n;
        } cases[] = {
                {"unknown keys", "a%zu: 1\n", "t.yaml: and 801 more problems\n", 1000},
                {"values", "- %zu\n", "more than 16384 values: not a configuration of plateau\n", 20000},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_buf_ Buf text = BUF_NULL, problems = BUF_NULL;

                for (size_t k = 0; k < cases[i].n; k++) {
                        if (cases[i].unit[0] == 'a')
                                buf_addf(&text, "a%zu: 1\n", k);
                        else
                                buf_addf(&text, "- %zu\n", k);
                }
                assert_int_equal(load(buf_str(&text), &loaded, NULL, &problems), -EINVAL);
                if (!strstr(buf_str(&problems), cases[i].end))
                        fail_msg("%s: %s", cases[i].name, buf_str(&problems));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad_files_say_what_and_where),
                cmocka_unit_test(test_good_files_load_and_come_back),
                cmocka_unit_test(test_examples_load),
                cmocka_unit_test(test_nothing_is_half_applied),
                cmocka_unit_test(test_defaults_are_the_modules_own),
                cmocka_unit_test(test_values_reach_their_fields),
                cmocka_unit_test(test_environment_overrides),
                cmocka_unit_test(test_dump_tells_origins),
                cmocka_unit_test(test_origins_of_several_targets),
                cmocka_unit_test(test_text_replaces_the_default),
                cmocka_unit_test(test_files_that_cannot_be_read),
                cmocka_unit_test(test_standard_input),
                cmocka_unit_test(test_floods_are_bounded),
        };

        forget_environment();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
