/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"

static struct {
        LogFormat format;
        int level;
        LogSinkFn sink;
        uint64_t dropped;
        bool torn;   /* the last line was cut in the middle: the next one begins with a newline */
        Buf line;    /* reused */
        Buf message; /* reused */
        char raw[LOG_MESSAGE_MAX]; /* the text before escaping */
} g_log = { /* the process has one log */
        .level = LOG_INFO,
        .line.max = LOG_LINE_MAX,
        .message.max = 6 * LOG_MESSAGE_MAX + 1, /* every byte as \u00XX */
};

static const char *level_name(int level) {
        static const char *const names[] = {"emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"};
        return names[level & 7];
}

void log_setup(LogFormat format, int level) {
        g_log.format = format;
        g_log.level = level;
}

void log_set_sink(LogSinkFn sink) {
        g_log.sink = sink;
}

int log_level(void) {
        return g_log.level;
}

uint64_t log_dropped(void) {
        return g_log.dropped;
}

static void add_json_fields(Json *j, const LogField *f) {
        for (; f && f->type != LOG_FIELD_END; f++)
                switch (f->type) {
                case LOG_FIELD_STRING:
                        json_kv_string(j, f->key, f->s);
                        break;
                case LOG_FIELD_U64:
                        json_kv_u64(j, f->key, f->u);
                        break;
                case LOG_FIELD_I64:
                        json_kv_i64(j, f->key, f->i);
                        break;
                case LOG_FIELD_DOUBLE:
                        json_kv_double(j, f->key, f->d);
                        break;
                case LOG_FIELD_END:
                        break;
                }
}

static void render_json(int level, const char *event, const LogField *fields) {
        Json j = JSON_INIT(&g_log.line);
        char ts[FORMAT_MAX];

        json_object_begin(&j);
        json_kv_string(&j, "time", format_timestamp(ts, now_real_usec()));
        json_kv_string(&j, "level", level_name(level));
        json_kv_string(&j, "event", event);
        json_kv_string(&j, "message", buf_str(&g_log.message));
        add_json_fields(&j, fields);
        json_object_end(&j);
}

static void render_plain(int level) {
        char ts[FORMAT_MAX];

        format_timestamp(ts, now_real_usec());
        buf_addf(&g_log.line, "%.8s ", ts + 11);
        if (level <= LOG_WARNING)
                buf_addf(&g_log.line, "%s: ", level_name(level));
        /* escaped when it was made: control bytes of a hostile process name cannot reach a terminal */
        buf_adds(&g_log.line, buf_str(&g_log.message));
}

static void render(int level, const char *event, const LogField *fields) {
        buf_reset(&g_log.line);
        if (g_log.format == LOG_FORMAT_JSON)
                render_json(level, event, fields);
        else
                render_plain(level);
        buf_addc(&g_log.line, '\n');
}

/*
 * Up to PIPE_BUF bytes without waiting. stderr's open file description is shared with others, so O_NONBLOCK must not be
 * set on it. A socket (systemd's journal stream) has MSG_DONTWAIT; a pipe that polls writable takes a whole page
 * (fs/pipe.c: one free slot), so that PIPE_BUF bytes cannot wait, unless another writer of the same pipe comes between.
 */
static ssize_t write_some(const char *p, size_t n) {
        struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};
        ssize_t r;

        n = min_of(n, (size_t)PIPE_BUF);
        r = send(STDERR_FILENO, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (r >= 0 || errno != ENOTSOCK)
                return r;
        /* POLLERR: the reader is gone, and write() would raise SIGPIPE */
        if (poll(&pfd, 1, 0) != 1 || pfd.revents != POLLOUT)
                return -1;
        return write(STDERR_FILENO, p, n);
}

static void write_line(const char *p, size_t n) {
        if (g_log.torn && write_some("\n", 1) == 1)
                g_log.torn = false;
        for (size_t done = 0; done < n && !g_log.torn;) {
                ssize_t r = write_some(p + done, n - done);

                if (r > 0)
                        done += (size_t)r;
                else if (r == 0 || errno != EINTR) {
                        g_log.torn = done > 0;
                        g_log.dropped++;
                        return;
                }
        }
        g_log.dropped += g_log.torn;
}

/* vsnprintf() into `raw`, cut before the sequence that does not fit: half a character would read as U+FFFD. */
static size_t _printf_(1, 0) format_message(const char *fmt, va_list ap) {
        int r = vsnprintf(g_log.raw, sizeof(g_log.raw), fmt, ap);
        size_t n = r < 0 ? 0 : min_of((size_t)r, sizeof(g_log.raw) - 1);

        if (r >= 0 && (size_t)r > n)
                for (unsigned i = 0; i < 4 && n > 0 && (g_log.raw[n - 1] & 0x80); i++)
                        if ((g_log.raw[--n] & 0xc0) == 0xc0)
                                break;
        g_log.raw[n] = '\0';
        return n;
}

void log_event(int level, const char *event, const LogField *fields, const char *fmt, ...) {
        int saved = errno;
        va_list ap;
        size_t n;

        if (level > g_log.level)
                return;
        va_start(ap, fmt);
        n = format_message(fmt, ap);
        va_end(ap);

        buf_reset(&g_log.message);
        if (!g_log.sink && g_log.format == LOG_FORMAT_JSON)
                buf_add(&g_log.message, g_log.raw, n); /* the JSON writer escapes for itself */
        else
                json_escape_text(&g_log.message, g_log.raw, n);
        if (g_log.sink)
                g_log.sink(level, event, fields, buf_str(&g_log.message));
        else {
                render(level, event, fields);
                if (g_log.line.failed)
                        render(level, event, LOG_FIELDS(LF_U("truncated", 1)));
                if (g_log.line.failed)
                        g_log.dropped++;
                else
                        write_line(buf_str(&g_log.line), g_log.line.len);
        }
        errno = saved;
}
