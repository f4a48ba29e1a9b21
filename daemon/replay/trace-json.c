/* SPDX-License-Identifier: Apache-2.0
 *
 * Two kinds of JSON: what Prometheus answers to query_range, one object, and what `plateau watch --json` writes, an
 * object a line. An answer with several series is read twice: first to know which there are, then the values of the one
 * that was asked for, and of the one that is its limit.
 */
#include "replay/reader.h"

#include <stdio.h>
#include <string.h>

#include "replay/json-scan.h"
#include "util/cleanup.h"

#define SERIES_MAX 256u
#define LABEL_MAX  160

typedef struct Series {
        const char *at;     /* where its object begins */
        const char *values; /* where its array of values begins; NULL = it has none */
        char label[LABEL_MAX];
        bool is_limit;
} Series;

typedef struct Answer {
        Series series[SERIES_MAX];
        unsigned n;
        bool failed;
        JsonText reason;
} Answer;

/* What `watch --json` says of one sample or event, and what is needed of it. */
typedef enum Field {
        FIELD_TIME,
        FIELD_EVENT,
        FIELD_RSS,
        FIELD_USED,
        FIELD_LIMIT,
        FIELD_AGE,
        _FIELD_MAX,
} Field;

static const char *const field_names[_FIELD_MAX] = {
        [FIELD_TIME] = "time",       [FIELD_EVENT] = "event",       [FIELD_RSS] = "rss_bytes",
        [FIELD_USED] = "used_bytes", [FIELD_LIMIT] = "limit_bytes", [FIELD_AGE] = "age_s",
};

/* Is the text cut off at its end? A recording that was killed leaves half a line. */
static void tell_scan(Reader *r, const JsonScan *s) {
        if (s->error && r->trace->form == TRACE_FORM_WATCH && r->trace->n > 0 && s->p == s->end)
                reader_absent(r, s->end);
        else if (s->error)
                reader_fail(r, s->p, "%s", s->error);
        if (s->error)
                r->stop = true;
}

/* ---- Prometheus: which series there are ---- */

static void add_label(Series *s, JsonText key, JsonText value) {
        size_t n = strlen(s->label);

        if (json_scan_is(key, "__name__")) {
                char name[LABEL_MAX];

                snprintf(name, sizeof(name), "%.*s", (int)min_of(value.end - value.p, (ptrdiff_t)80), value.p);
                s->is_limit = strstr(name, "limit") != NULL;
        }
        snprintf(s->label + n, sizeof(s->label) - n, "%s%.*s=%.*s", n ? "," : "",
                 (int)min_of(key.end - key.p, (ptrdiff_t)40), key.p, (int)min_of(value.end - value.p, (ptrdiff_t)80),
                 value.p);
}

static void read_labels(JsonScan *scan, Series *s) {
        JsonText key, value;
        bool first = true;

        if (json_scan_enter(scan, '{'))
                while (json_scan_member(scan, '}', &first, &key) && json_scan_scalar(scan, &value))
                        add_label(s, key, value);
}

static void read_series(JsonScan *scan, Answer *a) {
        Series spare, *s = a->n < SERIES_MAX ? &a->series[a->n++] : &spare;
        JsonText key;
        bool first = true;

        json_scan_peek(scan);
        *s = (Series){.at = scan->p};
        if (!json_scan_enter(scan, '{'))
                return;
        while (json_scan_member(scan, '}', &first, &key)) {
                if (json_scan_is(key, "metric"))
                        read_labels(scan, s);
                else {
                        if (json_scan_is(key, "values") && json_scan_peek(scan) == '[')
                                s->values = scan->p;
                        json_scan_skip(scan);
                }
        }
}

static void read_data(JsonScan *scan, Answer *a) {
        bool first = true, first_series = true;
        JsonText key;

        if (json_scan_peek(scan) != '{') {
                json_scan_skip(scan);
                return;
        }
        if (!json_scan_enter(scan, '{'))
                return;
        while (json_scan_member(scan, '}', &first, &key)) {
                if (!json_scan_is(key, "result") || json_scan_peek(scan) != '[')
                        json_scan_skip(scan);
                else if (json_scan_enter(scan, '['))
                        while (json_scan_member(scan, ']', &first_series, NULL))
                                read_series(scan, a);
        }
}

/* ---- Prometheus: the one that was asked for ---- */

static bool is_asked_for(const Reader *r, const Series *s) {
        return !r->series || strstr(s->label, r->series);
}

static const Series *choose_series(Reader *r, const Answer *a) {
        const Series *found = NULL;

        for (unsigned i = 0; i < a->n; i++) {
                const Series *s = &a->series[i];
                char one[READER_QUOTE_MAX], other[READER_QUOTE_MAX];

                if (s->is_limit || !is_asked_for(r, s))
                        continue;
                if (found) {
                        reader_fail(r, s->at, "%s beside %s: expected one series; --series takes one by its labels",
                                    reader_quote(other, s->label, s->label + strlen(s->label)),
                                    reader_quote(one, found->label, found->label + strlen(found->label)));
                        return NULL;
                }
                found = s;
        }
        if (!found)
                reader_fail(r, r->text,
                            r->series ? "no series whose labels hold what --series says, of %u"
                                      : "no series of memory, of %u",
                            a->n);
        else if (!found->values)
                reader_fail(r, found->at, "no \"values\": expected the answer to query_range (resultType matrix)");
        return found && found->values ? found : NULL;
}

static const Series *choose_limit(const Answer *a) {
        const Series *found = NULL;

        for (unsigned i = 0; i < a->n; i++) {
                if (!a->series[i].is_limit || !a->series[i].values)
                        continue;
                if (found)
                        return NULL; /* which is not known; --limit tells */
                found = &a->series[i];
        }
        return found;
}

/* One [time, "value"]. Return: 1; 0: it has no figure; -EINVAL: said; 2: the array ended. */
static int next_value(Reader *r, JsonScan *scan, bool *first, const char **ret_at, uint64_t *ret_usec,
                      uint64_t *ret_bytes) {
        JsonText time, value;
        bool inner = true;
        int q;

        if (!json_scan_member(scan, ']', first, NULL))
                return 2;
        json_scan_peek(scan);
        *ret_at = scan->p;
        if (!json_scan_enter(scan, '[') || !json_scan_member(scan, ']', &inner, NULL) ||
            !json_scan_scalar(scan, &time) || !json_scan_member(scan, ']', &inner, NULL) ||
            !json_scan_scalar(scan, &value) || json_scan_member(scan, ']', &inner, NULL)) {
                if (!scan->error)
                        scan->error = "expected [time, \"value\"]";
                return 2;
        }
        q = reader_time(r, time.p, time.end, 6, ret_usec);
        if (q <= 0)
                return q;
        q = reader_bytes(r, value.p, value.end, "value", ret_bytes);
        if (q == 0)
                reader_absent(r, *ret_at);
        return q;
}

static void read_values(Reader *r, const Series *s, const Series *limit) {
        JsonScan scan = {.p = s->values, .end = r->end}, limits = {.end = r->end};
        bool first = true, first_limit = true, limit_left = limit && limit->values;
        uint64_t limit_usec = 0, next_limit = 0;
        TracePoint p = {0};
        const char *at;
        int q = 0;

        limits.p = limit_left ? limit->values : r->end;
        limit_left = limit_left && json_scan_enter(&limits, '[');
        json_scan_enter(&scan, '[');
        while (!r->stop && (q = next_value(r, &scan, &first, &at, &p.time_usec, &p.bytes)) != 2) {
                while (limit_left && limit_usec <= p.time_usec) { /* the newest that is not later than the sample */
                        const char *unused;
                        int l;

                        p.limit_bytes = next_limit ? next_limit : p.limit_bytes;
                        l = next_value(r, &limits, &first_limit, &unused, &limit_usec, &next_limit);
                        limit_left = l != 2 && !r->stop;
                        if (l == 2 || l <= 0)
                                next_limit = 0;
                }
                if (q > 0)
                        reader_add(r, at, &p);
        }
        tell_scan(r, &scan);
}

static void read_answer(Reader *r, const Answer *a) {
        const Series *s;
        char quoted[READER_QUOTE_MAX];

        if (a->failed) {
                reader_fail(r, r->text, "an answer of Prometheus that failed: %s",
                            reader_quote(quoted, a->reason.p, a->reason.end));
                return;
        }
        if (a->n == 0) {
                reader_fail(r, r->text, "no series in the answer of Prometheus: expected one");
                return;
        }
        s = choose_series(r, a);
        if (s)
                read_values(r, s, choose_limit(a));
}

/* ---- plateau watch --json ---- */

static bool starts_another(JsonText event) {
        return json_scan_is(event, "started") || json_scan_is(event, "restarted") || json_scan_is(event, "execed");
}

static bool field_bytes(Reader *r, const JsonText *f, Field which, uint64_t *ret) {
        *ret = 0;
        return f[which].p && reader_bytes(r, f[which].p, f[which].end, field_names[which], ret) > 0;
}

static void take_record(Reader *r, const char *at, const JsonText f[static _FIELD_MAX]) {
        TracePoint p = {0};
        uint64_t rss, used, age = 0;
        bool known = f[FIELD_AGE].p && reader_time(r, f[FIELD_AGE].p, f[FIELD_AGE].end, 6, &age) > 0;
        bool has_rss, has_used;

        if (f[FIELD_EVENT].p && starts_another(f[FIELD_EVENT]))
                reader_start(r, age);
        if (f[FIELD_EVENT].p && !json_scan_is(f[FIELD_EVENT], "sample"))
                return;
        if (!f[FIELD_TIME].p) {
                reader_fail(r, at, "no \"time\": expected lines of plateau watch --json, or an answer to query_range");
                r->stop = true;
                return;
        }
        if (known)
                reader_age(r, age);
        if (reader_time(r, f[FIELD_TIME].p, f[FIELD_TIME].end, 6, &p.time_usec) <= 0)
                return;
        has_rss = field_bytes(r, f, FIELD_RSS, &rss);
        has_used = field_bytes(r, f, FIELD_USED, &used);
        field_bytes(r, f, FIELD_LIMIT, &p.limit_bytes);
        p.bytes = has_used && (p.limit_bytes > 0 || !has_rss) ? used : rss;
        if (has_rss || has_used)
                reader_add(r, at, &p);
        else
                reader_absent(r, at);
}

/* ---- one object after the other ---- */

static bool take_field(JsonScan *scan, JsonText key, JsonText f[static _FIELD_MAX]) {
        for (Field i = 0; i < _FIELD_MAX; i++)
                if (json_scan_is(key, field_names[i]) && json_scan_peek(scan) != '{' && json_scan_peek(scan) != '[')
                        return json_scan_scalar(scan, &f[i]);
        return json_scan_skip(scan);
}

/* Return: true when it was an answer of Prometheus, after which nothing else is looked for. */
static bool read_object(Reader *r, JsonScan *scan, Answer *a) {
        JsonText f[_FIELD_MAX] = {0}, key;
        const char *at = scan->p;
        bool first = true, answer = false;

        if (!json_scan_enter(scan, '{'))
                return false;
        while (json_scan_member(scan, '}', &first, &key)) {
                JsonText status;

                if (json_scan_is(key, "data")) {
                        answer = true;
                        read_data(scan, a);
                } else if (json_scan_is(key, "status") && json_scan_peek(scan) == '"') {
                        if (json_scan_scalar(scan, &status) && json_scan_is(status, "error"))
                                answer = a->failed = true;
                } else if (json_scan_is(key, "error") && json_scan_peek(scan) == '"')
                        json_scan_scalar(scan, &a->reason);
                else
                        take_field(scan, key, f);
        }
        if (scan->error)
                return false;
        r->trace->form = answer ? TRACE_FORM_PROMETHEUS : TRACE_FORM_WATCH;
        if (!answer)
                take_record(r, at, f);
        return answer;
}

void reader_json(Reader *r) {
        _cleanup_free_ Answer *a = calloc(1, sizeof(*a));
        JsonScan scan = {.p = r->text, .end = r->end};

        if (!a) {
                r->error = -ENOMEM;
                return;
        }
        if (r->end - scan.p >= 3 && memcmp(scan.p, "\xef\xbb\xbf", 3) == 0)
                scan.p += 3;
        while (!r->stop && json_scan_peek(&scan) != 0) {
                if (read_object(r, &scan, a)) {
                        read_answer(r, a);
                        return;
                }
                if (scan.error)
                        break;
        }
        if (!scan.error && !r->stop && scan.p < scan.end)
                scan.error = "expected an object";
        tell_scan(r, &scan);
}
