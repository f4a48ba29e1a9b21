/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/facts.h"

#include <fcntl.h>
#include <string.h>

#include "probe/inject/access.h"

#include "unit/unit.h"
#include "util/rootfs.h"

#define BASE                                                                                                           \
        "Name:\tx\nState:\tS (sleeping)\nTracerPid:\t0\nUid:\t10\t11\t0\t0\nVmRSS:\t    1024 kB\nThreads:\t3\n"        \
        "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000002\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" \
        "SigCgt:\t0000000180000000\n"

static void test_reads_what_matters(void **state _unused_) {
        Facts f;

        assert_int_equal(facts_parse(BASE "NSpid:\t4711\t7\nSeccomp:\t2\nSeccomp_filters:\t1\n"
                                          "x86_Thread_features:\tshstk \n"
                                          "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n", &f), 0);
        assert_int_equal(f.state, 'S');
        assert_int_equal(f.uid, 10);
        assert_int_equal(f.euid, 11);
        assert_int_equal(f.n_threads, 3);
        assert_int_equal(f.seccomp, 2);
        assert_true(f.shadow_stack);
        assert_true(f.rss_known);
        assert_int_equal(f.rss_bytes, 1024 * 1024);
        assert_int_equal(f.ctxt_switches, 11);
        assert_int_equal(f.ns_tid, 7);
        assert_true(facts_deliverable(&f));
}

static void test_refuses_what_is_cut_or_wild(void **state _unused_) {
        static const char *const bad[] = {
                "",
                "Name:\tx\n",
                "State:\tS\nUid:\t1\t2\t3\t4\n",
                "State:\n" "Uid:\t1\t2\t3\t4\nSigPnd:\t0\nSigBlk:\t0\nSigCgt:\t0\n",
                "State:\tS\nUid:\t-1\t2\t3\t4\nSigPnd:\t0\nSigBlk:\t0\nSigCgt:\t0\n",
                "State:\tS\nUid:\t99999999999\t2\t3\t4\nSigPnd:\t0\nSigBlk:\t0\nSigCgt:\t0\n",
                "State:\tS\nUid:\t1\t2\t3\t4\nSigPnd:\tzz\nSigBlk:\t0\nSigCgt:\t0\n",
                BASE "Threads:\t99999999999999999999999\n",
                BASE "VmRSS:\t18446744073709551615 kB\n",
                BASE "TracerPid:\t-4\n",
                BASE "NSpid:\t1\t\n",
                BASE "NSpid:\t99999999999\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                Facts f;

                print_message("# %zu\n", i);
                assert_int_equal(facts_parse(bad[i], &f), -EINVAL);
        }
}

#define ANY ACCESS_ANY_FILTERS

/* What a processor, a kernel or a test cannot bring about everywhere is here; test-probe.py and test-threads.py have
 * the live ones. */
static void test_judges_who_must_be_left_alone(void **state _unused_) {
        static const struct {
                const char *name;
                Facts f;
                unsigned filters_ok;
                ProbeResult want;
                const char *says;
        } cases[] = {
                {"asleep", {.state = 'S', .n_threads = 1}, 0, PROBE_OK, ""},
                {"running", {.state = 'R', .n_threads = 9}, 0, PROBE_OK, ""},
                {"a zombie", {.state = 'Z'}, ANY, PROBE_E_ZOMBIE, ""},
                {"dead", {.state = 'X'}, ANY, PROBE_E_ZOMBIE, ""},
                {"a zombie, traced", {.state = 'Z', .tracer = 7}, ANY, PROBE_E_ZOMBIE, ""},
                {"traced", {.state = 'S', .tracer = 4711}, ANY, PROBE_E_TRACED, "process 4711 traces it"},
                {"stopped by its tracer", {.state = 't', .tracer = 4711}, ANY, PROBE_E_TRACED, "4711"},
                {"stopped by job control", {.state = 'T'}, ANY, PROBE_E_STOPPED, ""},
                {"with a shadow stack", {.state = 'S', .shadow_stack = true}, ANY, PROBE_E_SHADOW_STACK, ""},
                {"strict seccomp", {.state = 'S', .seccomp = 1}, ANY, PROBE_E_SECCOMP, "strict mode"},
                {"a filter",
                 {.state = 'S', .seccomp = 2, .seccomp_filters = 1},
                 0,
                 PROBE_E_SECCOMP,
                 "under 1 filter,"},
                {"three",
                 {.state = 'S', .seccomp = 2, .seccomp_filters = 3},
                 0,
                 PROBE_E_SECCOMP,
                 "under 3 filters,"},
                {"how many is not told", {.state = 'S', .seccomp = 2}, 0, PROBE_E_SECCOMP, "under a filter,"},
                {"how many is not told, one here", {.state = 'S', .seccomp = 2}, 1, PROBE_E_SECCOMP, "under a filter,"},
                {"as many as here", {.state = 'S', .seccomp = 2, .seccomp_filters = 1}, 1, PROBE_OK, ""},
                {"two", {.state = 'S', .seccomp = 2, .seccomp_filters = 2}, 1, PROBE_E_SECCOMP, "under 2 filters,"},
                {"one", {.state = 'S', .seccomp = 2, .seccomp_filters = 1}, 2, PROBE_E_SECCOMP, "under 1 filter,"},
                {"strict, one here", {.state = 'S', .seccomp = 1}, 1, PROBE_E_SECCOMP, "strict mode"},
                {"filters that are allowed", {.state = 'S', .seccomp = 2, .seccomp_filters = 3}, ANY, PROBE_OK, ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char text[PROBE_DETAIL_MAX] = "";

                print_message("# %s\n", cases[i].name);
                assert_int_equal(access_judge(&cases[i].f, cases[i].filters_ok, text, sizeof(text)), cases[i].want);
                assert_non_null(strstr(text, cases[i].says));
                assert_int_equal(*text != '\0', *cases[i].says != '\0');
        }
}

static void test_a_blocked_or_ignored_signal_does_not_count(void **state _unused_) {
        Facts f = {.sig_pending = 2, .sig_blocked = 2};

        assert_false(facts_deliverable(&f));
        f = (Facts){.sig_pending_shared = 4, .sig_ignored = 4};
        assert_false(facts_deliverable(&f));
        f = (Facts){.sig_pending_shared = 4};
        assert_true(facts_deliverable(&f));
}

static void test_start_time_of_ours(void **state _unused_) {
        _cleanup_fd_ int fd = rootfs_open_dir(AT_FDCWD, "/proc/self"), none = rootfs_open_dir(AT_FDCWD, "/");
        uint64_t ticks = 0;

        assert_int_equal(facts_start_ticks(fd, &ticks), 0);
        assert_true(ticks > 0);
        assert_int_equal(facts_start_ticks(none, &ticks), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads_what_matters),
                cmocka_unit_test(test_refuses_what_is_cut_or_wild),
                cmocka_unit_test(test_judges_who_must_be_left_alone),
                cmocka_unit_test(test_a_blocked_or_ignored_signal_does_not_count),
                cmocka_unit_test(test_start_time_of_ours),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
