/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/company.h"

#include "unit/tree.h"

/* 1 is tini, 7 its service, 8 and 9 the service's workers; 20 came from elsewhere (docker exec), 21 is its child. */
static const struct { pid_t pid, ppid; } processes[] = {{1, 0}, {7, 1}, {8, 7}, {9, 8}, {20, 0}, {21, 20}};

static Tree make_proc(void) {
        Tree t = tree_new();

        for (size_t i = 0; i < ELEMENTSOF(processes); i++) {
                char path[32], text[256];

                snprintf(path, sizeof(path), "%d", (int)processes[i].pid);
                assert_int_equal(mkdirat(t.fd, path, 0755), 0);
                snprintf(path, sizeof(path), "%d/stat", (int)processes[i].pid);
                snprintf(text, sizeof(text),
                         "%d (x) S %d 1 1 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 100 1000 10 18446744073709551615 1 1 0 "
                         "0 0 0 "
                         "0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
                         (int)processes[i].pid, (int)processes[i].ppid);
                tree_write(&t, path, text);
        }
        return t;
}

static void test_whose(void **state _unused_) {
        static const struct {
                const char *procs;
                int r;
                unsigned n_processes, n_strangers;
                bool own;
        } cases[] = {
                {"7\n", 0, 1, 0, true},
                {"1\n7\n8\n9\n", 0, 4, 0, true}, /* all above and below */
                {"7\n20\n", 0, 2, 1, false},
                {"1\n7\n20\n21\n", 0, 4, 2, false},
                {"7\n0\n", 0, 2, 1, false},   /* of another PID namespace */
                {"7\n4000\n", 0, 2, 0, true}, /* ended meanwhile */
                {"7\nx\n", -EBADMSG, 0, 0, false},
                {"7\n99999999999\n", -EBADMSG, 0, 0, false},
        };
        Tree proc = make_proc(), group = tree_new();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Target t = TARGET_NULL;
                Company c = {0};
                int r;

                tree_write(&group, "cgroup.procs", cases[i].procs);
                t.pid = 7;
                t.source.proc_fd = proc.fd;
                t.cgroup = (Cgroup){.version = 2, .dir_fd = group.fd};
                r = company_look(&t, &c);
                if (r != cases[i].r || c.n_processes != cases[i].n_processes || c.n_strangers != cases[i].n_strangers ||
                    company_is_own(&t) != cases[i].own)
                        fail_msg("'%s': %d, %u processes, %u strangers", cases[i].procs, r, c.n_processes,
                                 c.n_strangers);
                t.cgroup.ruling = 1; /* the figures are those of a group above */
                assert_int_equal(company_look(&t, &c), -ENOENT);
                assert_false(company_is_own(&t));
        }
        tree_free(&proc);
        tree_free(&group);
}

/* More than are looked at is shared, whoever they are. */
static void test_crowd(void **state _unused_) {
        Tree proc = make_proc(), group = tree_new();
        char text[4096];
        size_t n = 0;
        Target t = TARGET_NULL;
        Company c;

        for (unsigned i = 0; i < COMPANY_MAX + 10; i++)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "7\n");
        tree_write(&group, "cgroup.procs", text);
        t.pid = 7;
        t.source.proc_fd = proc.fd;
        t.cgroup = (Cgroup){.version = 1, .dir_fd = group.fd};
        assert_int_equal(company_look(&t, &c), 0);
        assert_int_equal(c.n_processes, COMPANY_MAX + 1);
        assert_false(company_is_own(&t));
        tree_free(&proc);
        tree_free(&group);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_whose),
                cmocka_unit_test(test_crowd),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
