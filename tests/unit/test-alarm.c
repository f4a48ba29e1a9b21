/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells by itself, where there is nothing, and where the tree is not the kernel's. Real thresholds are
 * in tests/integration/test-burst.py, which needs a cgroup of its own.
 */
#include "sample/alarm.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit/folder.h"
#include "unit/unit.h"

static char folder[64];

static int make(const char *name, const char *text) {
        char path[128];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
        return fd;
}

static int set_up(void **state _unused_) {
        strcpy(folder, "/tmp/plateau-alarm-XXXXXX");
        return folder_make(folder);
}

static int tear_down(void **state _unused_) {
        return folder_remove(folder);
}

static void test_nothing_there(void **state _unused_) {
        Cgroup c = CGROUP_NULL;
        Alarm a;

        for (uint8_t version = 0; version <= 2; version++) {
                c.version = version;
                alarm_open(&c, 1 << 30, &a);
                assert_true(a.kind == ALARM_NONE && a.fd == -1);
                assert_false(alarm_warns(&a, 0));
                alarm_take(&a);
                alarm_close(&a);
        }
}

/* A target may mount what it likes where cgroups belong; nothing is written into it. */
static void test_a_tree_that_is_not_the_kernels(void **state _unused_) {
        _cleanup_fd_ int control = make("cgroup.event_control", ""), usage = make("memory.usage_in_bytes", "1\n");
        Cgroup c = CGROUP_NULL;
        struct stat st;
        Alarm a;

        c.version = 1;
        c.dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        c.current_fd = usage;
        alarm_open(&c, 1 << 30, &a);
        assert_int_equal(a.kind, ALARM_NONE);
        assert_int_equal(fstat(control, &st), 0);
        assert_int_equal(st.st_size, 0);
        c.current_fd = -1;
        cgroup_close(&c);
}

static void test_events_are_one_open_file(void **state _unused_) {
        Cgroup c = CGROUP_NULL;
        Alarm a;

        c.version = 2;
        c.events_fd = make("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n");
        alarm_open(&c, 1 << 30, &a);
        assert_int_equal(a.kind, ALARM_EVENTS);
        assert_true(a.fd >= 0 && a.fd != c.events_fd);
        assert_false(alarm_warns(&a, 0)); /* it comes at the limit: no reason to look less often */
        alarm_take(&a);
        alarm_close(&a);
        assert_int_equal(a.fd, -1);
        cgroup_close(&c);
}

static void test_warns_below_the_first_threshold(void **state _unused_) {
        Alarm a = {.kind = ALARM_THRESHOLD, .fd = -1, .first_bytes = 100};

        assert_true(alarm_warns(&a, 99));
        assert_false(alarm_warns(&a, 100)); /* page cache has filled it: it will not be crossed again */
}

static void test_names(void **state _unused_) {
        for (AlarmKind k = 0; k < _ALARM_MAX; k++)
                assert_string_not_equal(alarm_name(k), "invalid");
        assert_string_equal(alarm_name(_ALARM_MAX), "invalid");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_there),
                cmocka_unit_test(test_a_tree_that_is_not_the_kernels),
                cmocka_unit_test(test_events_are_one_open_file),
                cmocka_unit_test(test_warns_below_the_first_threshold),
                cmocka_unit_test(test_names),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
