/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"

static struct {
        LogFormat format;
        int level;
        LogSinkFn sink;
        uint64_t dropped;
        Buf line;    /* reused */
        Buf message; /* reused */
        Buf raw;     /* reused: the text before escaping */
} g_log = {.level = LOG_INFO, .line.max = 64 * 1024, .message.max = 16 * 1024, .raw.max = 4 * 1024}; /* the process has one log */

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

static void render_plain(int level, const LogField *fields) {
        char ts[FORMAT_MAX];

        format_timestamp(ts, now_real_usec());
        buf_addf(&g_log.line, "%.8s ", ts + 11);
        if (level <= LOG_WARNING)
                buf_addf(&g_log.line, "%s: ", level_name(level));
        /* the message was escaped when it was made: control bytes of a hostile process name cannot reach a terminal */
        buf_add(&g_log.line, g_log.message.data, g_log.message.len);
        (void)fields;
}

/* write() without waiting. stderr's open file description is shared with others, so O_NONBLOCK must not be set on it. */
static void write_line(const char *p, size_t n) {
        struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};

        if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) && write(STDERR_FILENO, p, n) == (ssize_t)n)
                return;
        g_log.dropped++;
}

void log_event(int level, const char *event, const LogField *fields, const char *fmt, ...) {
        int saved = errno;
        va_list ap;

        if (level > g_log.level)
                return;
        buf_reset(&g_log.raw);
        va_start(ap, fmt);
        errno = saved; /* for %m */
        buf_vaddf(&g_log.raw, fmt, ap);
        va_end(ap);

        buf_reset(&g_log.message);
        json_escape(&g_log.message, buf_str(&g_log.raw), g_log.raw.len);
        if (g_log.sink)
                g_log.sink(level, event, fields, buf_str(&g_log.message));
        else {
                buf_reset(&g_log.line);
                if (g_log.format == LOG_FORMAT_JSON) {
                        buf_reset(&g_log.message);
                        buf_adds(&g_log.message, buf_str(&g_log.raw)); /* the JSON writer escapes for itself */
                        render_json(level, event, fields);
                } else
                        render_plain(level, fields);
                buf_addc(&g_log.line, '\n');
                write_line(buf_str(&g_log.line), g_log.line.len);
        }
        errno = saved;
}
