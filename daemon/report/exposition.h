/* SPDX-License-Identifier: Apache-2.0
 *
 * A writer of the Prometheus text format 0.0.4 and of OpenMetrics 1.0.0. The caller names a metric, then writes its
 * samples one after another; the writer puts HELP, TYPE and UNIT before the first one, so a metric without a known
 * figure leaves no trace. Label values may hold any bytes: they are escaped, and invalid UTF-8 is replaced by U+FFFD.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "report/options.h"
#include "report/table.h"
#include "util/buf.h"

typedef struct Exposition {
        Buf *buf;
        const ReportOptions *options; /* its labels go to every sample; NULL = none */
        bool openmetrics;
        MetricId metric;
        bool head_written;
} Exposition;

#define EXPOSITION_INIT(b, o, om) ((Exposition){.buf = (b), .options = (o), .openmetrics = (om), .metric = _METRIC_MAX})

typedef struct Label {
        const char *name;
        const char *value; /* NULL ends the list early */
} Label;

/* LABELS() - a list for the calls below: LABELS({"target", name}, {"kind", "anon"}) */
#define LABELS(...) ((const Label[]){__VA_ARGS__ __VA_OPT__(, ){NULL, NULL}})

/* exposition_metric() - what the following samples belong to. Each metric once a page. */
void exposition_metric(Exposition *e, MetricId m);
void exposition_u64(Exposition *e, const Label *labels, uint64_t v);
/* exposition_double() - NaN is no figure and writes nothing. */
void exposition_double(Exposition *e, const Label *labels, double v);
/* exposition_usec() - microseconds as seconds, exactly; USEC_INFINITY is +Inf. */
void exposition_usec(Exposition *e, const Label *labels, uint64_t usec);
/* exposition_end() - "# EOF" where the format wants it. */
void exposition_end(Exposition *e);
