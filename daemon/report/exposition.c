/* SPDX-License-Identifier: Apache-2.0 */
#include "report/exposition.h"

#include <math.h>
#include <string.h>

#include "util/clock.h"
#include "util/json.h"

/* The family's name: OpenMetrics leaves the suffix of a counter and of an info to the sample. */
static size_t family_len(const Exposition *e, const Metric *m) {
        size_t len = strlen(m->name);

        if (!e->openmetrics)
                return len;
        return len - (m->type == METRIC_COUNTER ? strlen("_total") : m->type == METRIC_INFO ? strlen("_info") : 0);
}

static void write_head(Exposition *e) {
        static const char *const types[][2] = {
                [METRIC_GAUGE] = {"gauge", "gauge"},
                [METRIC_COUNTER] = {"counter", "counter"},
                [METRIC_INFO] = {"gauge", "info"},
        };
        const Metric *m = &metrics[e->metric];
        size_t len = family_len(e, m);

        buf_adds(e->buf, "# HELP ");
        buf_add(e->buf, m->name, len);
        buf_addc(e->buf, ' ');
        buf_adds(e->buf, m->help);
        buf_adds(e->buf, "\n# TYPE ");
        buf_add(e->buf, m->name, len);
        buf_addc(e->buf, ' ');
        buf_adds(e->buf, types[m->type][e->openmetrics]);
        if (e->openmetrics && m->unit[0]) {
                buf_adds(e->buf, "\n# UNIT ");
                buf_add(e->buf, m->name, len);
                buf_addc(e->buf, ' ');
                buf_adds(e->buf, m->unit);
        }
        buf_addc(e->buf, '\n');
}

/* JSON's escapes are a superset of what both formats know (\\, \" and \n): control bytes are replaced first, so that no
 * other escape can arise. */
static void write_value(Buf *b, const char *value) {
        char clean[512];
        size_t n = 0;

        for (const unsigned char *p = (const unsigned char *)value; *p && n < sizeof(clean); p++) {
                bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0; /* U+0080..U+009F */

                clean[n++] = *p == '\n' || (*p >= 0x20 && *p != 0x7f && !c1) ? (char)*p : '?';
                p += c1;
        }
        json_escape(b, clean, n);
}

static void write_label(Buf *b, bool *first, const char *name, const char *value) {
        buf_addc(b, *first ? '{' : ',');
        *first = false;
        buf_adds(b, name);
        buf_adds(b, "=\"");
        write_value(b, value);
        buf_addc(b, '"');
}

/* Everything up to and including the blank before the figure. */
static void write_series(Exposition *e, const Label *labels) {
        bool first = true;

        if (!e->head_written)
                write_head(e);
        e->head_written = true;
        buf_adds(e->buf, metrics[e->metric].name);
        for (; labels && labels->name; labels++)
                if (labels->value && labels->value[0]) /* an empty label is the same as none */
                        write_label(e->buf, &first, labels->name, labels->value);
        for (unsigned i = 0; e->options && i < e->options->n_labels && i < REPORT_LABELS_MAX; i++)
                if (report_label_usable(e->options, i))
                        write_label(e->buf, &first, e->options->labels[i].name, e->options->labels[i].value);
        buf_adds(e->buf, first ? " " : "} ");
}

void exposition_metric(Exposition *e, MetricId m) {
        e->metric = m;
        e->head_written = false;
}

void exposition_u64(Exposition *e, const Label *labels, uint64_t v) {
        write_series(e, labels);
        buf_addu(e->buf, v);
        buf_addc(e->buf, '\n');
}

void exposition_double(Exposition *e, const Label *labels, double v) {
        if (isnan(v))
                return;
        write_series(e, labels);
        if (isinf(v))
                buf_adds(e->buf, v > 0 ? "+Inf" : "-Inf");
        else
                buf_addf(e->buf, "%.9g", v);
        buf_addc(e->buf, '\n');
}

void exposition_usec(Exposition *e, const Label *labels, uint64_t usec) {
        uint64_t fraction = usec % USEC_PER_SEC;
        char digits[] = ".000000";

        write_series(e, labels);
        if (usec == USEC_INFINITY)
                buf_adds(e->buf, "+Inf");
        else
                buf_addu(e->buf, usec / USEC_PER_SEC);
        if (usec != USEC_INFINITY && fraction) {
                size_t n = sizeof(digits) - 1;

                for (size_t i = n; i > 1; i--, fraction /= 10)
                        digits[i - 1] = (char)('0' + fraction % 10);
                while (digits[n - 1] == '0')
                        n--;
                buf_add(e->buf, digits, n);
        }
        buf_addc(e->buf, '\n');
}

void exposition_end(Exposition *e) {
        if (e->openmetrics)
                buf_adds(e->buf, "# EOF\n");
}
