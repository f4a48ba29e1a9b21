/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries as journald would get them: its end is a datagram socket of the test. Where journald itself can be run (root,
 * in a mount namespace of its own), the last test lets it read them and asks journalctl.
 */
#include "systemd/journal.h"

#include <jansson.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "unit/folder.h"
#include "unit/unit.h"
#include "util/clock.h"

#define JOURNALD "/lib/systemd/systemd-journald"

static char dir[] = "/tmp/plateau-journal-XXXXXX";
static char path[64];
static int journald_fd = -1;

static int listen_on_path(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        strcpy(a.sun_path, path);
        journald_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return journald_fd < 0 || bind(journald_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : 0;
}

static int listen_as_journald(void **state _unused_) {
        if (folder_make(dir) < 0)
                return -1;
        snprintf(path, sizeof(path), "%s/socket", dir);
        return listen_on_path();
}

static int stop_listening(void **state _unused_) {
        journal_close();
        log_set_sink(NULL);
        journald_fd = fd_close(journald_fd);
        return folder_remove(dir);
}

static size_t next_entry(char *buf, size_t size) {
        ssize_t n = recv(journald_fd, buf, size - 1, MSG_DONTWAIT);

        buf[n > 0 ? n : 0] = '\0';
        return n > 0 ? (size_t)n : 0;
}

static void test_entry(void **state _unused_) {
        char got[8192];

        assert_int_equal(journal_open(path, "plateaud"), 0);
        errno = EXDEV;
        journal_sink(LOG_WARNING, "reclaim.done",
                     LOG_FIELDS(LF_S("target", "pusher"), LF_U("released_bytes", UINT64_MAX), LF_I("delta", -3),
                                LF_D("ratio", 0.5), LF_D("rate", INFINITY), LF_S("absent", NULL), LF_S("a-b.c", "")),
                     "gave back");
        assert_int_equal(errno, EXDEV);
        assert_true(next_entry(got, sizeof(got)) > 0);
        assert_string_equal(got, "MESSAGE=gave back\n"
                                 "PRIORITY=4\n"
                                 "SYSLOG_IDENTIFIER=plateaud\n"
                                 "MESSAGE_ID=93062b6e062e8b8b4230c82c8c9b59e6\n"
                                 "PLATEAU_EVENT=reclaim.done\n"
                                 "PLATEAU_TARGET=pusher\n"
                                 "PLATEAU_RELEASED_BYTES=18446744073709551615\n"
                                 "PLATEAU_DELTA=-3\n"
                                 "PLATEAU_RATIO=0.5\n"
                                 "PLATEAU_A_B_C=\n");
}

/* A value with a line feed goes with its length, so that nothing in it can be taken for a field. */
static void test_hostile_value(void **state _unused_) {
        static const char expected[] = "PLATEAU_CMDLINE\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n";
        char got[8192];
        size_t n;

        assert_int_equal(journal_open(path, "plateaud"), 0);
        journal_sink(LOG_INFO, "e", LOG_FIELDS(LF_S("cmdline", "x\nPRIORITY=0")), "m");
        n = next_entry(got, sizeof(got));
        assert_true(n > sizeof(expected) - 1);
        assert_memory_equal(got + n - (sizeof(expected) - 1), expected, sizeof(expected) - 1);
}

static void test_long_names_and_values(void **state _unused_) {
        static char got[300000], large[200000];
        char key[100];

        memset(key, 'k', sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        memset(large, 'v', sizeof(large) - 1);
        assert_int_equal(journal_open(path, "plateaud"), 0);
        journal_sink(LOG_INFO, "e", LOG_FIELDS(LF_S("large", large), LF_U(key, 1), LF_U("last", 2)), "m");
        assert_true(next_entry(got, sizeof(got)) > 0);
        assert_null(strstr(got, "LARGE")); /* left out whole */
        assert_non_null(strstr(got, "\nPLATEAU_LAST=2\n"));
        assert_int_equal(strspn(strstr(got, "PLATEAU_K") + 8, "K"), 64 - 8);
}

static void test_never_waits(void **state _unused_) {
        uint64_t before = journal_dropped();
        char got[8192];
        unsigned n = 0;

        assert_int_equal(journal_open(path, "plateaud"), 0);
        while (journal_dropped() == before && n < 100000) {
                journal_sink(LOG_INFO, "flood", NULL, "m");
                n++;
        }
        assert_true(n < 100000); /* the queue was full, and we are still here */
        while (next_entry(got, sizeof(got)) > 0)
                ;
        before = journal_dropped();
        journal_sink(LOG_INFO, "after", NULL, "m");
        assert_int_equal(journal_dropped(), before);
        assert_true(next_entry(got, sizeof(got)) > 0);
}

static void test_nobody_listens(void **state _unused_) {
        uint64_t before;
        char longest[200];

        memset(longest, 'p', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(journal_open("/nonexistent/journal", "plateaud"), -ENOENT);
        assert_int_equal(journal_open(longest, "plateaud"), -ENAMETOOLONG);
        journal_close();
        before = journal_dropped();
        journal_sink(LOG_INFO, "e", NULL, "m");
        assert_int_equal(journal_dropped(), before + 1);
}

/* journald starts again: the same path, another socket behind it. */
static void test_journald_restarts(void **state _unused_) {
        uint64_t before;
        char got[8192];

        assert_int_equal(journal_open(path, "plateaud"), 0);
        journald_fd = fd_close(journald_fd);
        unlink(path);
        before = journal_dropped();
        journal_sink(LOG_INFO, "e", NULL, "lost");
        assert_int_equal(journal_dropped(), before + 1);
        assert_int_equal(listen_on_path(), 0);
        journal_sink(LOG_INFO, "e", NULL, "second");
        assert_int_equal(journal_dropped(), before + 1);
        assert_true(next_entry(got, sizeof(got)) > 0);
        assert_memory_equal(got, "MESSAGE=second\n", 15);
}

static void test_as_log_sink(void **state _unused_) {
        char got[8192];

        assert_int_equal(journal_open(path, "plateaud"), 0);
        log_set_sink(journal_sink);
        log_event(LOG_NOTICE, "target.started", LOG_FIELDS(LF_U("pid", 7)), "%s starts", "a\nb");
        log_set_sink(NULL);
        assert_true(next_entry(got, sizeof(got)) > 0);
        assert_memory_equal(got, "MESSAGE=a\\nb starts\nPRIORITY=5\n", 31);
        assert_non_null(strstr(got, "\nPLATEAU_PID=7\n"));
}

static void test_message_id(void **state _unused_) {
        /* FNV-1a, 128 bits: draft-eastlake-fnv, the vectors for "" and "a" */
        static const struct {
                const char *event, *id;
        } cases[] = {
                {"", "6c62272e07bb014262b821756295c58d"},
                {"a", "d228cb696f1a8caf78912b704e4a8964"},
        };
        char id[JOURNAL_ID_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(journal_message_id(id, cases[i].event), cases[i].id);
}

static void test_stderr_is_the_journal(void **state _unused_) {
        static const char *const wrong[] = {"", ":", "1:", ":1", "1", "x:y", "1:2:3", "99999999999999999999999999:1"};
        char value[64];
        struct stat st;

        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        unsetenv("JOURNAL_STREAM");
        assert_false(journal_is_stderr());
        snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
        setenv("JOURNAL_STREAM", value, 1);
        assert_true(journal_is_stderr());
        snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino + 1);
        setenv("JOURNAL_STREAM", value, 1);
        assert_false(journal_is_stderr());
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                setenv("JOURNAL_STREAM", wrong[i], 1);
                assert_false(journal_is_stderr());
        }
        unsetenv("JOURNAL_STREAM");
}

static bool is_there(const char *file) {
        for (uint64_t end = now_mono_usec() + 20 * USEC_PER_SEC; access(file, W_OK) < 0; poll(NULL, 0, 10))
                if (now_mono_usec() >= end)
                        return false;
        return true;
}

/* Ask for what was sent. Return: 0 when it is there, else the number of the step. */
static int read_back(void) {
        char id[JOURNAL_ID_MAX], command[256];
        int r = 0;
        json_t *o;
        FILE *f;

        snprintf(command, sizeof(command), "journalctl --sync; exec journalctl -q --no-pager -o json MESSAGE_ID=%s",
                 journal_message_id(id, "reclaim.done"));
        f = popen(command, "r");
        if (!f)
                return 10;
        o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
        if (!o)
                r = 11;
        else if (strcmp(json_string_value(json_object_get(o, "MESSAGE")), "gave back") != 0)
                r = 12;
        else if (strcmp(json_string_value(json_object_get(o, "PLATEAU_RELEASED_BYTES")), "135000000") != 0)
                r = 13;
        else if (strcmp(json_string_value(json_object_get(o, "PLATEAU_CMDLINE")), "x\ny") != 0)
                r = 14;
        else if (strcmp(json_string_value(json_object_get(o, "SYSLOG_IDENTIFIER")), "plateaud") != 0)
                r = 15;
        else if (strcmp(json_string_value(json_object_get(o, "PRIORITY")), "6") != 0)
                r = 16;
        json_decref(o);
        pclose(f);
        return r;
}

/* In a process and a mount namespace of its own, with an empty /run: nothing of the machine's journal is touched.
 * Return: 0; 77: cannot be done here; else the number of the step. */
static int try_journald(void) {
        pid_t pid;
        FILE *f;
        int r;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 || mount("tmpfs", "/var/log", "tmpfs", 0, NULL) < 0 ||
            mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0 ||
            mkdir("/run/systemd/journald.conf.d", 0755) < 0)
                return 77;
        f = fopen("/run/systemd/journald.conf.d/test.conf", "w"); /* hands off the kernel's audit and log */
        if (!f || fputs("[Journal]\nAudit=no\nReadKMsg=no\nStorage=volatile\n", f) < 0 || fclose(f) < 0)
                return 77;
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                execl(JOURNALD, JOURNALD, NULL);
                _exit(127);
        }
        if (pid < 0 || !is_there(JOURNAL_SOCKET) || !is_there("/run/systemd/journal/io.systemd.journal"))
                return 77;
        if (journal_open(NULL, "plateaud") < 0)
                r = 1;
        else {
                journal_sink(LOG_INFO, "reclaim.done",
                             LOG_FIELDS(LF_U("released_bytes", 135000000), LF_S("cmdline", "x\ny")), "gave back");
                r = read_back();
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return r;
}

static void test_with_journald(void **state _unused_) {
        int status;
        pid_t pid;

        if (geteuid() != 0 || access(JOURNALD, X_OK) < 0 || system("command -v journalctl >/dev/null") != 0) {
                print_message("# skipped: needs root, %s and journalctl\n", JOURNALD);
                skip();
        }
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(try_journald());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
                print_message("# skipped: no mount namespace, or journald does not start here\n");
                skip();
        }
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_entry),
                cmocka_unit_test(test_hostile_value),
                cmocka_unit_test(test_long_names_and_values),
                cmocka_unit_test(test_never_waits),
                cmocka_unit_test(test_nobody_listens),
                cmocka_unit_test(test_journald_restarts),
                cmocka_unit_test(test_as_log_sink),
                cmocka_unit_test(test_message_id),
                cmocka_unit_test(test_stderr_is_the_journal),
                cmocka_unit_test(test_with_journald),
        };
        return cmocka_run_group_tests(tests, listen_as_journald, stop_listening);
}
