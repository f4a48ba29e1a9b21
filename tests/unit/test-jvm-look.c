/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-look.h"

#include <fcntl.h>
#include <signal.h>

#include "unit/unit.h"

static void add(JvmLook *look, const char *line) {
        size_t n = strlen(line);
        char *exact = malloc(n);

        memcpy(exact, line, n);
        jvm_look_line(look, exact, n);
        free(exact);
}

static void test_libjvm(void **state _unused_) {
        static const struct {
                const char *line, *libjvm; /* NULL: none seen */
                bool replaced;
        } cases[] = {
                {"7f00-7f80 r-xp 00251000 fe:01 123    /usr/lib/jvm/lib/server/libjvm.so",
                 "/usr/lib/jvm/lib/server/libjvm.so", false},
                {"7f00-7f80 r-xp 00000000 fe:01 123    /opt/a b/libjvm.so", "/opt/a b/libjvm.so", false},
                {"7f00-7f80 r-xp 00000000 fe:01 123    /libjvm.so (deleted)", "/libjvm.so", true},
                {"7f00-7f80 r--p 00000000 fe:01 123    /usr/lib/jvm/lib/server/libjvm.so", NULL, false},
                {"7f00-7f80 r-xp 00000000 fe:01 123    /opt/libjvm.so/other", NULL, false},
                {"7f00-7f80 r-xp 00000000 fe:01 123    /opt/xlibjvm.so", NULL, false},
                {"7f00-7f80 r-xp 00000000 fe:01 123    /opt/libjvm.so.1", NULL, false},
                {"7f00-7f80 r-xp 00000000 00:00 0    libjvm.so", NULL, false},
                {"7f00-7f80 r-xp 00000000 00:00 0    [vdso]", NULL, false},
                {"7f00-7f80 r-xp 00000000 00:00 0", NULL, false},
                {"7f00-7f80 r-xp", NULL, false},
                {"", NULL, false},
                {"/libjvm.so", NULL, false},
                {"a r-xp b c d / (deleted)", NULL, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmLook look = {0};

                add(&look, cases[i].line);
                assert_int_equal(look.has_libjvm, cases[i].libjvm != NULL);
                assert_int_equal(look.replaced, cases[i].replaced);
                assert_string_equal(look.libjvm, cases[i].libjvm ? cases[i].libjvm : "");
        }
}

static void test_other_libraries(void **state _unused_) {
        JvmLook look = {0};

        add(&look, "7f00-7f80 r-xp 00000000 fe:01 9 /lib/ld-musl-x86_64.so.1");
        add(&look, "7f00-7f80 r--p 00000000 fe:01 9 /lib/libc.so.6");
        assert_false(look.has_glibc || look.has_j9 || look.other_malloc[0]);
        add(&look, "7f00-7f80 r-xp 00000000 fe:01 9 /lib/libc-2.31.so");
        assert_true(look.has_glibc);
        add(&look, "7f00-7f80 r-xp 00000000 fe:01 9 /opt/lib/default/libj9vm29.so");
        assert_true(look.has_j9);
        add(&look, "7f00-7f80 r-xp 00000000 fe:01 9 /usr/lib/libjemalloc.so.2");
        assert_string_equal(look.other_malloc, "libjemalloc.so.2");
}

/* A path longer than any can be: kept out, and nothing is written beyond. */
static void test_long_path(void **state _unused_) {
        static char line[PATH_MAX + 200];
        JvmLook look = {0};
        int n = snprintf(line, sizeof(line), "7f00-7f80 r-xp 00000000 fe:01 9 /");

        memset(line + n, 'x', PATH_MAX);
        strcpy(line + n + PATH_MAX, "/libjvm.so");
        add(&look, line);
        assert_true(look.has_libjvm);
        assert_string_equal(look.libjvm, "");
        memset(line + n, 'x', PATH_MAX);
        strcpy(line + n + PATH_MAX, "jemalloc");
        add(&look, line);
        assert_int_equal(strlen(look.other_malloc), JVM_LOOK_NAME_MAX - 1);
}

static void on_quit(int sig _unused_) {
}

/* This very process: it has glibc, no JVM, and a handler for SIGQUIT only once it installs one. */
static void test_ourselves(void **state _unused_) {
        _cleanup_fd_ int self = open("/proc/self", O_RDONLY | O_DIRECTORY), root = open("/", O_RDONLY | O_DIRECTORY);
        _cleanup_fd_ int maps = open("/proc/self/maps", O_RDONLY);
        const char *why = NULL;
        JvmFacts facts;
        JvmLook look;

        assert_int_equal(jvm_look_maps(maps, &look), 0);
        assert_true(look.has_glibc && !look.has_libjvm && !look.has_j9);
        assert_int_equal(jvm_look_facts(self, &facts), 0);
        assert_int_equal(facts.euid, geteuid());
        assert_int_equal(facts.egid, getegid());
        assert_true(facts.ns_pid > 0 && facts.rss_known && facts.rss_bytes > 0);
        assert_false(facts.sig_caught >> (SIGQUIT - 1) & 1);
        assert_false(jvm_look_may_signal(self, root, -1, &look, &why));
        assert_non_null(strstr(why, "does not handle SIGQUIT"));
        signal(SIGQUIT, on_quit);
        assert_int_equal(jvm_look_facts(self, &facts), 0);
        assert_true(facts.sig_caught >> (SIGQUIT - 1) & 1);
        assert_false(jvm_look_may_signal(self, root, -1, &look, &why));
        assert_non_null(strstr(why, "no thread that waits for SIGQUIT"));
        assert_int_equal(jvm_look_maps(root, &look), -EISDIR);
        assert_int_equal(jvm_look_facts(root, &facts), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_libjvm),
                cmocka_unit_test(test_other_libraries),
                cmocka_unit_test(test_long_path),
                cmocka_unit_test(test_ourselves),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
