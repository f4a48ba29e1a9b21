/* SPDX-License-Identifier: Apache-2.0
 *
 * What every sink has: counters, the last error as a sentence, and somebody to tell when that changes, so that a
 * receiver that is down for a day makes two log lines and not thousands.
 */
#pragma once

#include "http/client.h"
#include "report/report.h"

typedef struct Sink {
        SinkCounters counters;
        ReportSinkFn changed; /* may be NULL */
        void *userdata;
        int64_t trouble; /* HTTP status, or negative errno; 0 = the last request succeeded, or none was made */
} Sink;

/* sink_succeeded() - counts a delivery; tells when the sink was in trouble before. */
void sink_succeeded(Sink *s, uint64_t now_real_usec);
/* sink_failed() - counts a failure and keeps its sentence; tells when it is another kind of trouble than the last one.
 */
void sink_failed(Sink *s, const HttpResponse *r);
/* sink_describe() - "HTTP 413: body is too large" (an excerpt of the server's words, escaped), or the client's
 * sentence. */
void sink_describe(char *buf, size_t size, const HttpResponse *r);
