/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "unit/unit.h"

#define OUTPUT_MAX (2 * LOG_LINE_MAX)

/* stderr is put on a pipe or socket for the time of one call; cmocka reports by stdout. */
typedef struct Capture {
        int saved_fd, read_fd;
        char text[OUTPUT_MAX + 1];
        size_t len;
} Capture;

static Capture g_capture; /* too large for the stack */

static void capture_begin(const int fds[2]) {
        g_capture.len = 0;
        g_capture.read_fd = fds[0];
        g_capture.saved_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        assert_true(g_capture.saved_fd >= 0);
        assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
        close(fds[1]);
}

static void capture_pipe(int capacity) {
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        if (capacity > 0)
                assert_true(fcntl(fds[1], F_SETPIPE_SZ, capacity) >= capacity);
        capture_begin(fds);
}

/* Take what is in the pipe now, without waiting. */
static void capture_drain(void) {
        int available = 0;

        g_capture.len = 0;
        while (ioctl(g_capture.read_fd, FIONREAD, &available) == 0 && available > 0) {
                size_t room = OUTPUT_MAX - min_of(g_capture.len, (size_t)OUTPUT_MAX);
                ssize_t n = read(g_capture.read_fd, g_capture.text + g_capture.len, min_of(room, (size_t)PIPE_BUF));

                if (n <= 0)
                        break;
                g_capture.len += (size_t)n;
        }
        g_capture.text[g_capture.len] = '\0';
}

static const char *capture_end(void) {
        if (g_capture.read_fd >= 0)
                capture_drain();
        dup2(g_capture.saved_fd, STDERR_FILENO);
        fd_close(g_capture.saved_fd);
        g_capture.read_fd = fd_close(g_capture.read_fd);
        return g_capture.text;
}

static json_t *parse_line(const char *line) {
        json_error_t error;
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, &error);

        if (!j)
                fail_msg("not JSON (%s): %.200s", error.text, line);
        return j;
}

static const char *member(json_t *j, const char *key) {
        const char *s = json_string_value(json_object_get(j, key));

        return s ? s : "(none)";
}

/* Plain lines begin with "HH:MM:SS "; without it. */
static const char *after_time(const char *line) {
        assert_true(strlen(line) > 9 && line[2] == ':' && line[5] == ':' && line[8] == ' ');
        return line + 9;
}

static void test_plain_lines(void **state _unused_) {
        const char *out, *second;

        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_pipe(0);
        log_event(LOG_INFO, "a.b", LOG_FIELDS(LF_U("n", 1)), "target \"%s\" found", "pusher");
        log_line(LOG_WARNING, "a.b", "second");
        log_line(LOG_DEBUG, "a.b", "too quiet");
        out = capture_end();
        second = strchr(out, '\n');
        assert_non_null(second);
        assert_memory_equal(after_time(out), "target \"pusher\" found\n", strlen("target \"pusher\" found\n"));
        assert_string_equal(after_time(second + 1), "warning: second\n");
}

static void test_json_line(void **state _unused_) {
        json_t *j;

        log_setup(LOG_FORMAT_JSON, LOG_DEBUG);
        capture_pipe(0);
        log_event(LOG_DEBUG, "reclaim.done",
                  LOG_FIELDS(LF_S("target", "a\"b"), LF_S("none", NULL), LF_U("released_bytes", INT64_MAX),
                             LF_I("delta", -3), LF_D("ratio", 0.5), LF_D("eta", INFINITY)),
                  "released %d \"bytes\"", 7);
        j = parse_line(capture_end());
        assert_string_equal(member(j, "level"), "debug");
        assert_string_equal(member(j, "event"), "reclaim.done");
        assert_string_equal(member(j, "message"), "released 7 \"bytes\"");
        assert_string_equal(member(j, "target"), "a\"b");
        assert_int_equal(strlen(member(j, "time")), strlen("2024-02-29T12:34:56.123Z"));
        assert_true(json_is_null(json_object_get(j, "none")));
        assert_true(json_integer_value(json_object_get(j, "released_bytes")) == INT64_MAX);
        assert_true(json_integer_value(json_object_get(j, "delta")) == -3);
        assert_true(json_real_value(json_object_get(j, "ratio")) == 0.5);
        assert_true(json_is_null(json_object_get(j, "eta")));
        json_decref(j);
}

static const struct {
        const char *name, *in, *plain;
} hostile[] = {
        {"newline", "a\nlevel=error b", "a\\nlevel=error b"},
        {"carriage return", "safe\rforged", "safe\\rforged"},
        {"escape sequence", "\x1b]0;title\x07", "\\u001b]0;title\\u0007"},
        {"backslash", "a\\nb", "a\\\\nb"},
        {"parenthesis and blank", "a) R 1", "a) R 1"},
        {"8-bit CSI alone", "\x9b" "2J", "\xef\xbf\xbd" "2J"},
        {"CSI as UTF-8", "\xc2\x9b" "2J", "\\u009b2J"},
        {"DEL", "a\x7f", "a\\u007f"},
        {"not UTF-8", "\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"UTF-8", "\xc3\xa9\xc2\xa0", "\xc3\xa9\xc2\xa0"},
};

static void test_hostile_names_plain(void **state _unused_) {
        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
                const char *out;
                size_t n = strlen(hostile[i].plain);

                capture_pipe(0);
                log_line(LOG_INFO, "x", "%s", hostile[i].in);
                out = after_time(capture_end());
                if (strncmp(out, hostile[i].plain, n) != 0 || strcmp(out + n, "\n") != 0)
                        fail_msg("%s: %s", hostile[i].name, out);
        }
}

static void test_hostile_names_json(void **state _unused_) {
        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
                const char *out;
                json_t *j;

                capture_pipe(0);
                log_event(LOG_INFO, "x", LOG_FIELDS(LF_S("comm", hostile[i].in)), "%s", hostile[i].in);
                out = capture_end();
                if (strchr(out, '\n') != out + strlen(out) - 1)
                        fail_msg("%s: not one line", hostile[i].name);
                for (const char *p = out; p[1]; p++)
                        if ((unsigned char)*p < 0x20 || *p == 0x7f || memcmp(p, "\xc2\x9b", 2) == 0)
                                fail_msg("%s: a control byte", hostile[i].name);
                j = parse_line(out);
                assert_string_equal(member(j, "comm"), member(j, "message"));
                json_decref(j);
        }
}

static void test_long_message_is_cut(void **state _unused_) {
        static char text[3 * LOG_MESSAGE_MAX];
        static const struct {
                const char *prefix, *unit; /* once, then repeated: the cut falls into a unit, or between two */
        } cases[] = {
                {"", "x"},
                {"", "\xe2\x82\xac"},
                {"a", "\xe2\x82\xac"},
                {"", "\xf0\x9f\x98\x80"},
                {"a", "\xf0\x9f\x98\x80"},
                {"ab", "\xf0\x9f\x98\x80"},
                {"abc", "\xf0\x9f\x98\x80"},
        };

        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = strlen(cases[i].unit), n_prefix = strlen(cases[i].prefix), len;
                const char *message;
                json_t *j;

                memcpy(text, cases[i].prefix, n_prefix);
                for (size_t at = n_prefix; at + n < sizeof(text); at += n)
                        memcpy(text + at, cases[i].unit, n + 1);
                capture_pipe(0);
                log_line(LOG_INFO, "x", "%s", text);
                j = parse_line(capture_end());
                message = member(j, "message");
                len = strlen(message);
                assert_true(len < LOG_MESSAGE_MAX && len + 2 * n >= LOG_MESSAGE_MAX && (len - n_prefix) % n == 0);
                assert_memory_equal(message, text, len);
                json_decref(j);
        }
}

static void test_worst_escaping_fits(void **state _unused_) {
        static char text[LOG_MESSAGE_MAX];
        const char *out;

        memset(text, 0x01, sizeof(text) - 1);
        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_pipe(1 << 17);
        log_line(LOG_INFO, "x", "%s", text);
        out = after_time(capture_end());
        assert_int_equal(strlen(out), 6 * (LOG_MESSAGE_MAX - 1) + 1);
        assert_string_equal(out + 6 * (LOG_MESSAGE_MAX - 2), "\\u0001\n");
}

static void test_fields_too_long_are_left_out(void **state _unused_) {
        static char text[2 * LOG_LINE_MAX];
        json_t *j;

        memset(text, 'x', sizeof(text) - 1);
        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        capture_pipe(0);
        log_event(LOG_INFO, "x", LOG_FIELDS(LF_S("comm", text)), "kept");
        j = parse_line(capture_end());
        assert_string_equal(member(j, "message"), "kept");
        assert_true(json_integer_value(json_object_get(j, "truncated")) == 1);
        assert_null(json_object_get(j, "comm"));
        json_decref(j);
}

static unsigned count_lines(const char *s) {
        unsigned n = 0;

        for (; (s = strchr(s, '\n')); s++)
                n++;
        return n;
}

/* A reader that does not read. Were a write to wait, the test would run into its time limit. */
static void test_full_pipe_drops_and_counts(void **state _unused_) {
        uint64_t before = log_dropped();
        unsigned written;
        json_t *j;

        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        capture_pipe(4096);
        for (unsigned i = 0; i < 500; i++)
                log_line(LOG_INFO, "x", "line %u", i);
        assert_true(log_dropped() > before);
        capture_drain();
        written = count_lines(g_capture.text);
        assert_true(written > 0);
        assert_int_equal(written + (log_dropped() - before), 500);

        log_line(LOG_INFO, "x", "after"); /* there is room again */
        j = parse_line(capture_end());
        assert_string_equal(member(j, "message"), "after");
        json_decref(j);
}

/* A line longer than the room left: its beginning is out, so the next line must not be glued to it. */
static void test_cut_line_is_ended(void **state _unused_) {
        static char text[LOG_MESSAGE_MAX];
        uint64_t before;
        const char *out;

        memset(text, 0x01, sizeof(text) - 1); /* some 24 kB when escaped */
        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_pipe(8192);
        before = log_dropped();
        log_line(LOG_INFO, "x", "%s", text);
        assert_int_equal(log_dropped(), before + 1);
        capture_drain();
        assert_true(g_capture.len >= 4096);
        assert_null(strchr(g_capture.text, '\n'));
        log_line(LOG_INFO, "x", "after");
        out = capture_end();
        assert_int_equal(out[0], '\n');
        assert_string_equal(after_time(out + 1), "after\n");
        assert_int_equal(log_dropped(), before + 1);
}

static void test_reader_gone(void **state _unused_) {
        uint64_t before = log_dropped();

        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_pipe(0);
        g_capture.read_fd = fd_close(g_capture.read_fd);
        log_line(LOG_INFO, "x", "to nobody"); /* SIGPIPE has its default action here: it would end the test */
        capture_end();
        assert_int_equal(log_dropped(), before + 1);
}

/* systemd gives a stream socket. */
static void test_full_socket_drops(void **state _unused_) {
        uint64_t before = log_dropped();
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_begin(fds);
        for (unsigned i = 0; i < 100000 && log_dropped() == before; i++)
                log_line(LOG_INFO, "x", "line %u", i);
        assert_int_equal(log_dropped(), before + 1);
        g_capture.read_fd = fd_close(g_capture.read_fd);
        log_line(LOG_INFO, "x", "to nobody");
        capture_end();
        assert_int_equal(log_dropped(), before + 2);
}

static void test_stderr_closed(void **state _unused_) {
        uint64_t before = log_dropped();

        log_setup(LOG_FORMAT_PLAIN, LOG_INFO);
        capture_pipe(0);
        close(STDERR_FILENO);
        log_line(LOG_INFO, "x", "to nobody");
        capture_end();
        assert_int_equal(log_dropped(), before + 1);
}

static void test_errno_kept(void **state _unused_) {
        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        capture_pipe(0);
        g_capture.read_fd = fd_close(g_capture.read_fd);
        errno = ENOTTY;
        log_line(LOG_INFO, "x", "%m");
        assert_int_equal(errno, ENOTTY);
        log_line(LOG_DEBUG, "x", "unseen");
        assert_int_equal(errno, ENOTTY);
        capture_end();
}

static void test_errno_printed(void **state _unused_) {
        json_t *j;

        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        capture_pipe(0);
        errno = ENOENT;
        log_line(LOG_INFO, "x", "open: %m");
        j = parse_line(capture_end());
        assert_string_equal(member(j, "message"), "open: No such file or directory");
        json_decref(j);
}

static struct {
        int level;
        char event[32], message[128], key[32];
} g_seen;

static void sink(int level, const char *event, const LogField *fields, const char *message) {
        g_seen.level = level;
        snprintf(g_seen.event, sizeof(g_seen.event), "%s", event);
        snprintf(g_seen.message, sizeof(g_seen.message), "%s", message);
        snprintf(g_seen.key, sizeof(g_seen.key), "%s", fields ? fields[0].key : "(none)");
        errno = EIO;
}

static void test_sink_gets_a_clean_line(void **state _unused_) {
        log_setup(LOG_FORMAT_JSON, LOG_INFO);
        log_set_sink(sink);
        capture_pipe(0);
        errno = 0;
        log_event(LOG_ERR, "push.failed", LOG_FIELDS(LF_S("sink", "s")), "say \"%s\"", "a\nb");
        assert_int_equal(errno, 0);
        log_set_sink(NULL);
        assert_string_equal(capture_end(), "");
        assert_int_equal(g_seen.level, LOG_ERR);
        assert_string_equal(g_seen.event, "push.failed");
        assert_string_equal(g_seen.message, "say \"a\\nb\"");
        assert_string_equal(g_seen.key, "sink");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain_lines),
                cmocka_unit_test(test_json_line),
                cmocka_unit_test(test_hostile_names_plain),
                cmocka_unit_test(test_hostile_names_json),
                cmocka_unit_test(test_long_message_is_cut),
                cmocka_unit_test(test_worst_escaping_fits),
                cmocka_unit_test(test_fields_too_long_are_left_out),
                cmocka_unit_test(test_full_pipe_drops_and_counts),
                cmocka_unit_test(test_cut_line_is_ended),
                cmocka_unit_test(test_reader_gone),
                cmocka_unit_test(test_full_socket_drops),
                cmocka_unit_test(test_stderr_closed),
                cmocka_unit_test(test_errno_kept),
                cmocka_unit_test(test_errno_printed),
                cmocka_unit_test(test_sink_gets_a_clean_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
