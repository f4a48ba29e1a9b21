/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/trace.h"

#include <stdio.h>
#include <string.h>

#include "replay/number.h"
#include "replay/reader.h"
#include "util/cleanup.h"
#include "util/json.h"

#define GAP_STEPS           5u                            /* a gap is longer than so many typical steps */
#define STEPS_LOOKED_AT     1024u                         /* to know the typical one */
#define WALL_CLOCK_MIN_USEC (631152000ULL * USEC_PER_SEC) /* 1990: no uptime is that long */
#define QUOTE_BYTES         40

/* ---- complaints ---- */

static void put_place(Reader *r, const char *at) {
        unsigned long long line = 1;
        const char *begin = r->text;

        for (const char *p = r->text; (p = memchr(p, '\n', (size_t)(at - p))); begin = ++p)
                line++;
        json_escape_text(r->problems, r->name, strlen(r->name));
        buf_addf(r->problems, ":%llu:%llu: ", line, (unsigned long long)(at - begin) + 1);
}

void reader_fail(Reader *r, const char *at, const char *fmt, ...) {
        va_list ap;

        if (r->stop)
                return;
        put_place(r, at);
        va_start(ap, fmt);
        buf_vaddf(r->problems, fmt, ap);
        va_end(ap);
        buf_addc(r->problems, '\n');
        r->error = -EINVAL;
        if (++r->n_problems < READER_PROBLEMS_MAX)
                return;
        put_place(r, at);
        buf_adds(r->problems, "too many problems: not read further\n");
        r->stop = true;
}

const char *reader_quote(char buf[static READER_QUOTE_MAX], const char *p, const char *end) {
        _cleanup_buf_ Buf safe = {.max = 512};
        size_t n = (size_t)(end - p);

        json_escape_text(&safe, p, min_of(n, (size_t)QUOTE_BYTES));
        snprintf(buf, READER_QUOTE_MAX, "'%.180s%s'", buf_str(&safe), n > QUOTE_BYTES ? "..." : "");
        return buf;
}

/* ---- figures ---- */

int reader_time(Reader *r, const char *p, const char *end, int shift, uint64_t *ret_usec) {
        char quoted[READER_QUOTE_MAX];
        NumberKind kind;
        uint64_t usec;

        if (number_read_time(p, end, &usec)) {
                *ret_usec = usec;
                return 1;
        }
        kind = number_read(p, end, shift, &usec);
        if (kind == NUMBER_OK && usec > TRACE_TIME_MAX_USEC)
                kind = NUMBER_HUGE;
        switch (kind) {
        case NUMBER_OK:
                *ret_usec = usec;
                return 1;
        case NUMBER_HUGE:
                reader_fail(r, p, "time %s: expected seconds up to 1e11; a column of milliseconds is called time_ms",
                            reader_quote(quoted, p, end));
                return -EINVAL;
        case NUMBER_ABSENT:
                reader_absent(r, p);
                return 0;
        case NUMBER_NEGATIVE:
                reader_fail(r, p, "time %s: expected no negative time", reader_quote(quoted, p, end));
                return -EINVAL;
        default:
                reader_fail(r, p, "time %s: expected seconds, or a date such as 2024-02-29T12:34:56Z",
                            reader_quote(quoted, p, end));
                return -EINVAL;
        }
}

int reader_bytes(Reader *r, const char *p, const char *end, const char *what, uint64_t *ret) {
        char quoted[READER_QUOTE_MAX];

        switch (number_read(p, end, 0, ret)) {
        case NUMBER_OK:
                return 1;
        case NUMBER_ABSENT:
                return 0;
        case NUMBER_HUGE:
                reader_fail(r, p, "%s %s: expected less than 2^64 bytes", what, reader_quote(quoted, p, end));
                return -EINVAL;
        case NUMBER_NEGATIVE:
                reader_fail(r, p, "%s %s: expected no negative bytes", what, reader_quote(quoted, p, end));
                return -EINVAL;
        default:
                reader_fail(r, p, "%s %s: expected a number of bytes", what, reader_quote(quoted, p, end));
                return -EINVAL;
        }
}

/* ---- points ---- */

static bool grow(Reader *r, void **p, size_t *room, size_t n, size_t size, size_t first) {
        size_t want = *room ? *room * 2 : first;
        void *q;

        if (n < *room)
                return true;
        q = reallocarray(*p, want, size);
        if (!q) {
                r->error = -ENOMEM;
                r->stop = true;
                return false;
        }
        *p = q;
        *room = want;
        return true;
}

void reader_absent(Reader *r, const char *at) {
        r->trace->n_absent++;
        if (!r->absent)
                r->absent = at;
}

void reader_add(Reader *r, const char *at, const TracePoint *p) {
        Trace *t = r->trace;

        if (t->n > 0 && p->time_usec <= t->points[t->n - 1].time_usec) {
                t->n_unordered++;
                if (!r->unordered) {
                        r->unordered = at;
                        r->unordered_usec = p->time_usec;
                        r->before_usec = t->points[t->n - 1].time_usec;
                }
                return;
        }
        if (t->n == TRACE_POINTS_MAX) {
                reader_fail(r, at, "too many samples: expected at most %u", TRACE_POINTS_MAX);
                r->error = -EFBIG;
                r->stop = true;
                return;
        }
        if (grow(r, (void **)&t->points, &t->room, t->n, sizeof(*t->points), 1024))
                t->points[t->n++] = *p;
}

void reader_start(Reader *r, uint64_t age_usec) {
        Trace *t = r->trace;

        if (t->n == 0) {
                t->age_known = true;
                t->age_usec = age_usec;
                return;
        }
        if (t->n_starts > 0 && t->starts[t->n_starts - 1].at == t->n)
                t->n_starts--; /* nothing was seen of the one before */
        if (t->n_starts < TRACE_STARTS_MAX &&
            grow(r, (void **)&t->starts, &t->starts_room, t->n_starts, sizeof(*t->starts), 16))
                t->starts[t->n_starts++] = (TraceStart){.at = t->n, .age_usec = age_usec};
}

void reader_age(Reader *r, uint64_t age_usec) {
        Trace *t = r->trace;

        if (t->n == 0) {
                t->age_known = true;
                t->age_usec = age_usec;
        } else if (t->n_starts > 0 && t->starts[t->n_starts - 1].at == t->n)
                t->starts[t->n_starts - 1].age_usec = age_usec;
}

/* ---- what is to be said of the whole ---- */

static int by_size(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static uint64_t typical_step(const Trace *t) {
        uint64_t steps[STEPS_LOOKED_AT];
        size_t n = min_of(t->n - 1, (size_t)STEPS_LOOKED_AT);

        for (size_t i = 0; i < n; i++) {
                size_t at = i * (t->n - 1) / n;

                steps[i] = t->points[at + 1].time_usec - t->points[at].time_usec;
        }
        qsort(steps, n, sizeof(steps[0]), by_size);
        return steps[n / 2];
}

static void look_at_steps(Trace *t) {
        t->is_wall_clock = t->points[0].time_usec >= WALL_CLOCK_MIN_USEC;
        if (t->n < 2)
                return;
        t->step_usec = typical_step(t);
        for (size_t i = 1; i < t->n; i++) {
                uint64_t step = t->points[i].time_usec - t->points[i - 1].time_usec;

                if (step / GAP_STEPS <= t->step_usec)
                        continue;
                t->n_gaps++;
                if (step > t->gap_max_usec) {
                        t->gap_max_usec = step;
                        t->gap_max_at_usec = t->points[i - 1].time_usec - t->points[0].time_usec;
                }
        }
}

static void put_warnings(Reader *r) {
        const Trace *t = r->trace;

        if (r->unordered) {
                put_place(r, r->unordered);
                buf_addf(r->problems, "warning: time %.6f is not after %.6f: left out, %llu such sample%s\n",
                         (double)r->unordered_usec / USEC_PER_SEC, (double)r->before_usec / USEC_PER_SEC,
                         (unsigned long long)t->n_unordered, t->n_unordered == 1 ? "" : "s");
        }
        if (r->absent) {
                put_place(r, r->absent);
                buf_addf(r->problems, "warning: no figure: left out, %llu such sample%s\n",
                         (unsigned long long)t->n_absent, t->n_absent == 1 ? "" : "s");
        }
}

static const char *skip_blank(const char *p, const char *end) {
        static const char bom[] = "\xef\xbb\xbf";

        if (end - p >= 3 && memcmp(p, bom, 3) == 0)
                p += 3;
        while (p < end && strchr(" \t\r\n", *p) && *p)
                p++;
        return p;
}

int trace_parse(const char *name, const char *text, size_t len, const char *series, Trace *ret, Buf *problems) {
        Trace t = TRACE_NULL;
        Reader r = {.trace = &t, .name = name, .series = series, .text = text, .end = text + len, .problems = problems};
        const char *p = skip_blank(text, r.end);

        if (len > TRACE_TEXT_MAX)
                reader_fail(&r, text, "too long: expected at most 1 GiB");
        else if (p < r.end && (*p == '{' || *p == '['))
                reader_json(&r);
        else
                reader_csv(&r);
        if (r.error == 0 && t.n == 0)
                reader_fail(&r, r.end, "no sample: expected at least one line with a time and bytes");
        put_warnings(&r);
        if (r.error < 0) {
                trace_done(&t);
                return r.error;
        }
        look_at_steps(&t);
        *ret = t;
        return 0;
}

void trace_done(Trace *t) {
        free(t->points);
        free(t->starts);
        *t = TRACE_NULL;
}

static const struct {
        const char *name, *text;
} forms[_TRACE_FORM_MAX] = {
        [TRACE_FORM_NONE] = {"none", "nothing"},
        [TRACE_FORM_COLUMNS] = {"columns", "columns"},
        [TRACE_FORM_CSV] = {"csv", "CSV"},
        [TRACE_FORM_PROMETHEUS] = {"prometheus", "Prometheus query_range"},
        [TRACE_FORM_WATCH] = {"watch", "plateau watch --json"},
};

const char *trace_form_text(TraceForm f) {
        return forms[(unsigned)f < _TRACE_FORM_MAX ? f : TRACE_FORM_NONE].text;
}

const char *trace_form_name(TraceForm f) {
        return forms[(unsigned)f < _TRACE_FORM_MAX ? f : TRACE_FORM_NONE].name;
}
