/* SPDX-License-Identifier: Apache-2.0
 *
 * A recorded trace in memory: time, bytes, limit, and where another process began. Read from CSV with or without a
 * header, from Prometheus' answer to query_range, or from the lines of `plateau watch --json`; which, the text itself
 * tells. Everything in it is somebody else's: bounded, checked, and each error names file, line, column, value and what
 * was expected. Samples that are out of order or without a figure are left out and counted, never guessed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/clock.h"

#define TRACE_TEXT_MAX      ((size_t)1 << 30)
#define TRACE_POINTS_MAX    10000000u /* 32 B each */
#define TRACE_STARTS_MAX    10000u
#define TRACE_TIME_MAX_USEC (100000000000ULL * USEC_PER_SEC) /* the year 5138: larger is not in seconds */

typedef enum TraceForm {
        TRACE_FORM_NONE,
        TRACE_FORM_COLUMNS, /* figures without a header: time, bytes, perhaps the limit */
        TRACE_FORM_CSV,
        TRACE_FORM_PROMETHEUS, /* query_range */
        TRACE_FORM_WATCH,      /* plateau watch --json */
        _TRACE_FORM_MAX,
} TraceForm;

typedef struct TracePoint {
        uint64_t time_usec;   /* as recorded: since the epoch, or since whenever */
        uint64_t bytes;       /* what is judged against the limit */
        uint64_t limit_bytes; /* 0 = not told */
        uint64_t in_use_bytes; /* of the heap, by the program; 0 = not told */
} TracePoint;

/* Another process, or another program in it, from points[at] on. */
typedef struct TraceStart {
        size_t at;
        uint64_t age_usec; /* how old it was then */
} TraceStart;

typedef struct Trace {
        TraceForm form;
        TracePoint *points; /* Owner: the Trace. Times strictly rising */
        size_t n, room;
        TraceStart *starts; /* Owner: the Trace. In order */
        size_t n_starts, starts_room;
        bool age_known;
        uint64_t age_usec; /* of the process at the first point */

        bool is_wall_clock;   /* times are since the epoch */
        uint64_t n_unordered; /* left out: not after the one before */
        uint64_t n_absent;    /* left out: no time or no figure */
        uint64_t step_usec;   /* between two points, typically */
        uint64_t n_gaps;      /* more than five such steps without a point */
        uint64_t gap_max_usec;
        uint64_t gap_max_at_usec; /* when it began, since the first point */
} Trace;

#define TRACE_NULL ((Trace){0})

/**
 * trace_parse() - read a whole text
 * @name:     what stands for the file in messages, escaped there
 * @series:   Prometheus: take the series whose labels contain this; NULL = the only one
 * @ret:      untouched on failure. Owner: caller, released by trace_done()
 * @problems: lines "NAME:LINE:COLUMN: ..." for each error, "NAME:LINE:COLUMN: warning: ..." for what was left out
 * Return: 0; -EINVAL: @problems says why; -ENOMEM; -EFBIG: more points than TRACE_POINTS_MAX, told in @problems.
 */
int trace_parse(const char *name, const char *text, size_t len, const char *series, Trace *ret,
                Buf *problems) _must_check_;

/* trace_done() - release the memory. */
void trace_done(Trace *t);

/* trace_form_text() - "CSV", "Prometheus query_range" ... for people. Owner: static. */
const char *trace_form_text(TraceForm f);
/* trace_form_name() - "csv", "prometheus" ... for JSON. Owner: static. */
const char *trace_form_name(TraceForm f);

#define _cleanup_trace_ _cleanup_(trace_done)
