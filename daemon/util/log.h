/* SPDX-License-Identifier: Apache-2.0
 *
 * One log call, three shapes: plain lines on a terminal, JSON lines in a container, and whatever log_set_sink()
 * installs (the daemon installs journald's native protocol). An event has a stable id ("reclaim.done") and typed
 * fields; the text is for people, the fields are for machines. Logging never changes errno, never allocates for a
 * short line, and a full pipe drops the line (counted) instead of blocking: a memory watchdog must not wait for its
 * log reader. Library layers do not log above debug; the daemon layer does, once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "util/cleanup.h"

#define LOG_MESSAGE_MAX 4096
#define LOG_LINE_MAX (64 * 1024)

typedef enum LogFormat { LOG_FORMAT_PLAIN, LOG_FORMAT_JSON } LogFormat;

typedef enum LogFieldType {
        LOG_FIELD_END,
        LOG_FIELD_STRING,
        LOG_FIELD_U64,
        LOG_FIELD_I64,
        LOG_FIELD_DOUBLE,
} LogFieldType;

typedef struct LogField {
        const char *key; /* lower case with unit: released_bytes */
        LogFieldType type;
        union {
                const char *s; /* may be NULL and may hold any bytes */
                uint64_t u;
                int64_t i;
                double d;
        };
} LogField;

#define LF_S(k, v) ((LogField){.key = (k), .type = LOG_FIELD_STRING, .s = (v)})
#define LF_U(k, v) ((LogField){.key = (k), .type = LOG_FIELD_U64, .u = (uint64_t)(v)})
#define LF_I(k, v) ((LogField){.key = (k), .type = LOG_FIELD_I64, .i = (int64_t)(v)})
#define LF_D(k, v) ((LogField){.key = (k), .type = LOG_FIELD_DOUBLE, .d = (v)})
#define LF_END ((LogField){.type = LOG_FIELD_END})
/* LOG_FIELDS() - a list for log_event(): LOG_FIELDS(LF_S("target", name), LF_U("pid", pid)) */
#define LOG_FIELDS(...) ((const LogField[]){__VA_ARGS__ __VA_OPT__(, ) LF_END})

/* Receives one event; @message is UTF-8-clean, without newline. Must keep errno and must not block. */
typedef void (*LogSinkFn)(int level, const char *event, const LogField *fields, const char *message);

/* log_setup() - where and how much. @level: LOG_ERR..LOG_DEBUG (syslog.h). */
void log_setup(LogFormat format, int level);
/* log_set_sink() - replace stderr by @sink; NULL restores stderr. */
void log_set_sink(LogSinkFn sink);
/* log_level() - what log_setup() was told. */
int log_level(void);
/* log_dropped() - lines lost, whole or in part, because stderr would have blocked or is gone. */
uint64_t log_dropped(void);

/**
 * log_event() - say it once
 * @event:  stable id, "reclaim.done"
 * @fields: LOG_FIELDS(...) or NULL
 * @fmt:    text for people; any bytes may come in by %s, %m is the errno of the caller. Cut at LOG_MESSAGE_MAX bytes
 * Never fails, keeps errno. Fields that do not fit into LOG_LINE_MAX are left out, and the line says so (truncated: 1).
 */
void log_event(int level, const char *event, const LogField *fields, const char *fmt, ...) _printf_(4, 5);

/* log_line() - an event without fields. */
#define log_line(level, event, ...) log_event(level, event, NULL, __VA_ARGS__)
