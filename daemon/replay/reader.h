/* SPDX-License-Identifier: Apache-2.0
 *
 * What the readers of the forms share: where they are in the text, how they complain, and how a point is added.
 * Internal to replay/: trace.c looks what the text is and calls one of trace-csv.c and trace-json.c.
 */
#pragma once

#include "replay/trace.h"

#define READER_PROBLEMS_MAX 8u /* then no more is read */

typedef struct Reader {
        Trace *trace;
        const char *name, *series;
        const char *text, *end;
        Buf *problems;
        unsigned n_problems;
        bool stop;                      /* too many problems, or too many points, or no memory */
        int error;                      /* why: -EINVAL, -EFBIG or -ENOMEM */
        const char *unordered, *absent; /* the first that was left out; NULL = none */
        uint64_t unordered_usec, before_usec;
} Reader;

/* reader_fail() - complain about the text at @at: "NAME:LINE:COLUMN: ...". Stops after READER_PROBLEMS_MAX. */
void reader_fail(Reader *r, const char *at, const char *fmt, ...) _printf_(3, 4);

/* reader_quote() - @p..@end in quotes, cut short, escaped. Return: @buf. */
#define READER_QUOTE_MAX 200
const char *reader_quote(char buf[static READER_QUOTE_MAX], const char *p, const char *end);

/**
 * reader_time() - seconds or a date
 * @shift: 6 for seconds, 3 for milliseconds
 * Return: 1; 0: there is none, counted; -EINVAL: said.
 */
int reader_time(Reader *r, const char *p, const char *end, int shift, uint64_t *ret_usec) _must_check_;
/* reader_bytes() - a figure called @what. Return: as above. */
int reader_bytes(Reader *r, const char *p, const char *end, const char *what, uint64_t *ret) _must_check_;

/* reader_absent() - a sample at @at is left out: it has no figure. */
void reader_absent(Reader *r, const char *at);
/* reader_add() - a point that was at @at; left out when it is not after the last one. */
void reader_add(Reader *r, const char *at, const TracePoint *p);
/* reader_start() - another process from the next point on. */
void reader_start(Reader *r, uint64_t age_usec);
/* reader_age() - how old the process of the next point is, where that is its first. */
void reader_age(Reader *r, uint64_t age_usec);

/* reader_csv(), reader_json() - the whole text, into the trace. Errors are told through @r. */
void reader_csv(Reader *r);
void reader_json(Reader *r);
