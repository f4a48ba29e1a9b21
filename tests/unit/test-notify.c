/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service manager would get: its end is a datagram socket of the test, named by NOTIFY_SOCKET.
 */
#include "systemd/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "unit/folder.h"
#include "unit/unit.h"
#include "util/clock.h"

static char dir[] = "/tmp/plateau-notify-XXXXXX";
static int manager_fd = -1;

static int listen_as_manager(void **state _unused_) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        if (folder_make(dir) < 0)
                return -1;
        snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
        manager_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (manager_fd < 0 || bind(manager_fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                return -1;
        return setenv("NOTIFY_SOCKET", a.sun_path, 1);
}

static int stop_listening(void **state _unused_) {
        manager_fd = fd_close(manager_fd);
        return folder_remove(dir);
}

/* The next datagram, "" when there is none. */
static const char *next_message(void) {
        static char buf[2048];
        ssize_t n = recv(manager_fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

        buf[n > 0 ? n : 0] = '\0';
        return buf;
}

static void test_life(void **state _unused_) {
        unsigned long long at;
        uint64_t before;
        Notify n;

        notify_init(&n);
        assert_true(n.enabled);
        assert_int_equal(notify_ready(&n, 0, NULL), 0);
        assert_string_equal(next_message(), "READY=1");
        assert_int_equal(notify_ready(&n, 0, "watching pusher"), 0);
        assert_string_equal(next_message(), "READY=1\nSTATUS=watching pusher");
        before = now_mono_usec();
        assert_int_equal(notify_reloading(&n), 0);
        assert_int_equal(sscanf(next_message(), "RELOADING=1\nMONOTONIC_USEC=%llu", &at), 1);
        assert_true(at >= before && at <= now_mono_usec());
        assert_int_equal(notify_stopping(&n, "stopping"), 0);
        assert_string_equal(next_message(), "STOPPING=1\nSTATUS=stopping");
        assert_string_equal(next_message(), "");
}

static void test_status_is_limited(void **state _unused_) {
        const uint64_t s = USEC_PER_SEC;
        static const struct {
                uint64_t at_s;
                const char *status, *message;
        } steps[] = {
                {100, "a", "STATUS=a"}, /* the first at once */
                {101, "b", ""},         /* too soon */
                {104, "c", ""},
                {105, "c", "STATUS=c"}, /* 5 s after the last that was sent */
                {200, "c", ""},         /* nothing new */
                {201, "d", "STATUS=d"},
        };
        Notify n;

        notify_init(&n);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                assert_int_equal(notify_status(&n, steps[i].at_s * s, steps[i].status), 0);
                assert_string_equal(next_message(), steps[i].message);
        }
}

/* A process may be called anything, but it may not speak to the manager through us. */
static void test_hostile_status(void **state _unused_) {
        char longest[2000];
        const char *got;
        Notify n;

        notify_init(&n);
        assert_int_equal(notify_status(&n, 1, "x\nMAINPID=1\r\xff"), 0);
        assert_string_equal(next_message(), "STATUS=x\\nMAINPID=1\\r\xef\xbf\xbd");
        assert_int_equal(notify_ready(&n, 1, "y\nFDSTORE=1"), 0);
        assert_string_equal(next_message(), "READY=1\nSTATUS=y\\nFDSTORE=1");
        memset(longest, 'z', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(notify_status(&n, USEC_PER_MINUTE, longest), 0);
        got = next_message();
        assert_int_equal(strlen(got), strlen("STATUS=") + NOTIFY_STATUS_MAX - 1);
        assert_int_equal(notify_status(&n, USEC_PER_HOUR, longest), 0); /* known to be the same although cut */
        assert_string_equal(next_message(), "");
}

static void test_watchdog(void **state _unused_) {
        char pid[32];
        Notify n;

        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("WATCHDOG_USEC", "30000000", 1);
        setenv("WATCHDOG_PID", pid, 1);
        notify_init(&n);
        assert_int_equal(notify_watchdog_interval_usec(&n), 15 * USEC_PER_SEC);
        assert_true(notify_watchdog_due(&n, 0)); /* the first at once */
        assert_int_equal(notify_watchdog(&n, 100 * USEC_PER_SEC), 0);
        assert_string_equal(next_message(), "WATCHDOG=1");
        assert_false(notify_watchdog_due(&n, 114 * USEC_PER_SEC));
        assert_true(notify_watchdog_due(&n, 115 * USEC_PER_SEC));

        setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
        notify_init(&n);
        assert_int_equal(notify_watchdog_interval_usec(&n), 0);
        assert_false(notify_watchdog_due(&n, USEC_PER_DAY));
        unsetenv("WATCHDOG_PID");
        setenv("WATCHDOG_USEC", "-7x", 1);
        notify_init(&n);
        assert_int_equal(n.watchdog_usec, 0);
        unsetenv("WATCHDOG_USEC");
}

static void test_nobody_to_tell(void **state _unused_) {
        char path[108];
        Notify n;

        snprintf(path, sizeof(path), "%s", getenv("NOTIFY_SOCKET"));
        setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
        notify_init(&n);
        assert_true(notify_ready(&n, 0, NULL) < 0);
        unsetenv("NOTIFY_SOCKET");
        notify_init(&n);
        assert_false(n.enabled);
        assert_int_equal(notify_ready(&n, 0, "s"), 0);
        assert_int_equal(notify_reloading(&n), 0);
        assert_int_equal(notify_status(&n, 0, "s"), 0);
        assert_int_equal(notify_watchdog(&n, 0), 0);
        assert_int_equal(notify_stopping(&n, NULL), 0);
        setenv("NOTIFY_SOCKET", path, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_status_is_limited),
                cmocka_unit_test(test_hostile_status),
                cmocka_unit_test(test_watchdog),
                cmocka_unit_test(test_nobody_to_tell),
        };
        return cmocka_run_group_tests(tests, listen_as_manager, stop_listening);
}
