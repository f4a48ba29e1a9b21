/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chart.h"
#include "replay/trace.h"
#include "trend/plateau-test.h"
#include "util/format.h"
#include "util/json.h"
#include "util/parse.h"

typedef struct VerifyArgs {
        const char *before, *after, *series, *confidence, *daily;
        uint64_t limit_bytes, horizon_usec;
        double confidence_ratio, daily_ratio;
        bool json;
} VerifyArgs;

typedef struct Judged {
        const char *role, *path; /* path is hostile */
        Chart chart;
        uint64_t limit_bytes; /* 0 = none */
        size_t n;
        PlateauResult result;
} Judged;

static int read_all(const char *path, Buf *ret) {
        _cleanup_fd_ int own = -1;
        char block[65536];
        ssize_t n;
        int fd = 0;

        if (strcmp(path, "-") != 0) {
                fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (fd < 0)
                        return -errno;
        }
        ret->max = TRACE_TEXT_MAX + 2;
        while ((n = read(fd, block, sizeof(block))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                buf_add(ret, block, (size_t)n);
                if (ret->failed)
                        return ret->len > TRACE_TEXT_MAX / 2 ? -EFBIG : -ENOMEM;
        }
        return 0;
}

static int load(const VerifyArgs *a, const char *path, Trace *ret) {
        _cleanup_buf_ Buf text = BUF_NULL, problems = BUF_NULL, safe = BUF_NULL;
        int q = read_all(path, &text);

        if (q < 0) {
                term_safe(&safe, term_has_utf8(), path);
                fprintf(stderr, "plateau verify: %s: %s\n", buf_str(&safe),
                        q == -EFBIG ? "longer than 1 GiB" : strerror(-q));
                return CLI_ERROR;
        }
        q = trace_parse(path, buf_str(&text), text.len, a->series, ret, &problems);
        term_print_problems(&problems);
        if (q == -ENOMEM)
                fprintf(stderr, "plateau verify: %s\n", strerror(ENOMEM));
        return q == 0 ? CLI_OK : q == -ENOMEM ? CLI_ERROR : CLI_BAD_ANSWER;
}

/* The last process of the trace: what another one used says nothing about this one. */
static int judge(const VerifyArgs *a, const char *role, const char *path, Judged *ret) {
        _cleanup_trace_ Trace t = TRACE_NULL;
        _cleanup_free_ PlateauPoint *p = NULL;
        PlateauPoint low[PLATEAU_WINDOWS];
        size_t from;
        unsigned n;
        int q = load(a, path, &t);

        if (q != CLI_OK)
                return q;
        from = t.n_starts ? t.starts[t.n_starts - 1].at : 0;
        from = min_of(from, t.n - 1);
        *ret = (Judged){.role = role, .path = path, .n = t.n - from};
        p = calloc(ret->n, sizeof(*p));
        if (!p) {
                fprintf(stderr, "plateau verify: %s\n", strerror(ENOMEM));
                return CLI_ERROR;
        }
        for (size_t i = 0; i < ret->n; i++) {
                const TracePoint *x = &t.points[from + i];

                p[i] = (PlateauPoint){(double)(x->time_usec - t.points[from].time_usec) / USEC_PER_SEC,
                                      (double)x->bytes};
                chart_push(&ret->chart, x->time_usec, x->bytes);
        }
        ret->limit_bytes = a->limit_bytes ? a->limit_bytes : t.points[t.n - 1].limit_bytes;
        n = plateau_windows(p, ret->n, low);
        plateau_test(low, n, a->confidence_ratio, (double)ret->limit_bytes, (double)a->horizon_usec / USEC_PER_SEC,
                     a->daily_ratio, &ret->result);
        return CLI_OK;
}

/* ---- for people ---- */

static const char *span(char buf[static FORMAT_MAX], double s) {
        return format_usec(buf, (uint64_t)(fmin(fmax(s, 0), 1e12) * USEC_PER_SEC));
}

static void put_line(Screen *s, const char *label, const char *text) {
        screen_put(s, STYLE_DIM, label);
        screen_pad(s, 10);
        screen_words(s, 10, STYLE_PLAIN, text);
        screen_end(s);
}

static void view_figures(Screen *s, const Judged *j, const VerifyArgs *a) {
        const PlateauResult *r = &j->result;
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];
        _cleanup_buf_ Buf b = BUF_NULL;

        buf_addf(&b, "%s a day [%s .. %s, %.4g %%]", format_signed_bytes(x, (int64_t)fmin(r->slope * 86400, 9e18)),
                 format_signed_bytes(y, (int64_t)fmax(fmin(r->slope_lo * 86400, 9e18), -9e18)),
                 format_signed_bytes(z, (int64_t)fmin(r->slope_hi * 86400, 9e18)), a->confidence_ratio * 100);
        put_line(s, "growth", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s a day and more: ", format_bytes(x, (uint64_t)fmin(r->matters * 86400, 9e18)));
        if (j->limit_bytes)
                buf_addf(&b, "the limit, %s, within %s", format_bytes(y, j->limit_bytes),
                         format_usec(z, a->horizon_usec));
        else
                buf_addf(&b, "%.3g %% of the level; no limit is known", a->daily_ratio * 100);
        put_line(s, "matters", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s at the end", format_bytes(x, (uint64_t)fmax(r->level_bytes, 0)));
        put_line(s, "level", buf_str(&b));
        buf_reset(&b);
        buf_addf(&b, "%s", span(x, r->judged_s));
        if (r->warm_s > 0)
                buf_addf(&b, ", behind %s of warm-up", span(y, r->warm_s));
        put_line(s, "judged", buf_str(&b));
}

static void view(Screen *s, const Judged *j, const VerifyArgs *a) {
        static const struct {
                Style style;
                const char *text;
        } words[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_UNDECIDED] = {STYLE_WARN, "UNDECIDED"},
                [PLATEAU_FLAT] = {STYLE_GOOD, "PLATEAU"},
                [PLATEAU_LINE] = {STYLE_BAD, "LINE"},
        };
        const PlateauResult *r = &j->result;
        char x[FORMAT_MAX];

        screen_put(s, STYLE_DIM, j->role);
        screen_pad(s, 10);
        screen_put(s, words[r->verdict].style, words[r->verdict].text);
        screen_put(s, STYLE_PLAIN, "  ");
        screen_safe(s, STYLE_BOLD, j->path, 60);
        screen_end(s);
        chart_draw(&j->chart, s, NULL, j->limit_bytes, min_of(s->term->width, 100u), 8);
        if (r->n_windows < PLATEAU_WINDOWS_MIN) {
                put_line(s, "missing",
                         "too few samples, or too long gaps between them: expected samples in 12 of 32 "
                         "equal parts of the time");
                return;
        }
        view_figures(s, j, a);
        if (r->verdict == PLATEAU_UNDECIDED && r->more_s > 0) {
                _cleanup_buf_ Buf b = BUF_NULL;

                buf_addf(&b, "some %s more of it", span(x, r->more_s));
                put_line(s, "missing", buf_str(&b));
        }
}

/* ---- for programs ---- */

static void json_judged(Json *out, const Judged *j) {
        const PlateauResult *r = &j->result;
        bool known = r->n_windows >= PLATEAU_WINDOWS_MIN;
        const struct {
                const char *key;
                double value;
        } figures[] = {
                {"slope_bytes_per_s", r->slope},
                {"slope_lo_bytes_per_s", r->slope_lo},
                {"slope_hi_bytes_per_s", r->slope_hi},
                {"matters_bytes_per_s", r->matters},
                {"level_bytes", r->level_bytes},
                {"warm_up_s", r->warm_s},
                {"judged_s", r->judged_s},
                {"autocorrelation", r->rho},
        };

        json_object_begin(out);
        json_kv_string(out, "role", j->role);
        json_kv_string(out, "trace", j->path);
        json_kv_string(out, "verdict", plateau_verdict_name(r->verdict));
        json_kv_u64(out, "samples", j->n);
        json_kv_u64(out, "windows", r->n_windows);
        json_kv_u64_or_null(out, "limit_bytes", j->limit_bytes > 0, j->limit_bytes);
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                json_kv_double(out, figures[i].key, known ? figures[i].value : NAN);
        json_kv_double(out, "more_s", r->more_s > 0 ? r->more_s : NAN);
        json_object_end(out);
}

static void print_json(const Judged *j, unsigned n) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json out = JSON_INIT(&b);

        json_object_begin(&out);
        json_kv_string(&out, "verdict", plateau_verdict_name(j[n - 1].result.verdict));
        json_key(&out, "traces");
        json_array_begin(&out);
        for (unsigned i = 0; i < n; i++)
                json_judged(&out, &j[i]);
        json_array_end(&out);
        json_object_end(&out);
        puts(buf_str(&b));
}

static void print_text(const Judged *j, unsigned n, const VerifyArgs *a) {
        Term t;

        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        for (unsigned i = 0; i < n; i++)
                view(&s, &j[i], a);
        fputs(buf_str(&s.buf), stdout);
}

static int verify_main(const Command *self, int argc, char **argv) {
        static const int exits[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_FLAT] = CLI_OK, [PLATEAU_LINE] = CLI_LINE, [PLATEAU_UNDECIDED] = CLI_UNDECIDED};
        VerifyArgs a = {.horizon_usec = 30 * USEC_PER_DAY, .confidence_ratio = 0.95, .daily_ratio = 0.01};
        _cleanup_free_ Judged *j = NULL;
        ArgWords words;
        unsigned n = 0;
        int q, r = args_parse(self, argc, argv, &a, 0, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (!a.before != !a.after || (words.n == 1) == (a.after != NULL))
                r = args_error(self, "expected TRACE, or --before TRACE and --after TRACE");
        if (a.confidence && (parse_ratio(a.confidence, &a.confidence_ratio) < 0 || a.confidence_ratio < 0.5 ||
                             a.confidence_ratio > 0.999))
                r = args_error(self, "--confidence '%s': expected 0.5 to 0.999", a.confidence);
        if (a.daily && parse_ratio(a.daily, &a.daily_ratio) < 0)
                r = args_error(self, "--daily '%s': expected a share such as 1%% or 0.01", a.daily);
        if (r < 0)
                return CLI_USAGE;
        j = calloc(2, sizeof(*j));
        if (!j)
                return CLI_ERROR;
        q = a.before ? judge(&a, "before", a.before, &j[n++]) : CLI_OK;
        if (q == CLI_OK)
                q = judge(&a, a.after ? "after" : "verdict", a.after ? a.after : words.word[0], &j[n++]);
        if (q != CLI_OK)
                return q;
        if (a.json)
                print_json(j, n);
        else
                print_text(j, n, &a);
        if (fflush(stdout) != 0) {
                fprintf(stderr, "plateau verify: standard output: %s\n", strerror(errno));
                return CLI_ERROR;
        }
        return exits[j[n - 1].result.verdict];
}

static const ArgOption options[] = {
        {"before", 'b', ARG_TEXT, "TRACE", offsetof(VerifyArgs, before), 0, 0, "The trace before the cure."},
        {"after", 'a', ARG_TEXT, "TRACE", offsetof(VerifyArgs, after), 0, 0,
         "The trace after it: its verdict is the exit status."},
        {"limit", 'l', ARG_BYTES, "SIZE", offsetof(VerifyArgs, limit_bytes), 1, 0,
         "The limit, instead of the trace's."},
        {"horizon", 0, ARG_DURATION, "TIME", offsetof(VerifyArgs, horizon_usec), USEC_PER_MINUTE, 3650 * USEC_PER_DAY,
         "Growth matters when it reaches the limit within this. Default: 30d."},
        {"daily", 0, ARG_TEXT, "SHARE", offsetof(VerifyArgs, daily), 0, 0,
         "Without a limit: growth matters from this share of the level a day on. Default: 1%."},
        {"confidence", 'c', ARG_TEXT, "SHARE", offsetof(VerifyArgs, confidence), 0, 0,
         "Of the slope's interval, 0.5 to 0.999. Default: 0.95."},
        {"series", 's', ARG_TEXT, "TEXT", offsetof(VerifyArgs, series), 0, 0,
         "Prometheus: the series whose labels (name=value,...) contain this."},
        {"json", 'j', ARG_FLAG, NULL, offsetof(VerifyArgs, json), 0, 0, "One JSON document."},
        ARG_END,
};

const Command command_verify = {
        .name = "verify",
        .args = "TRACE | --before TRACE --after TRACE",
        .summary = "whether memory in a recorded trace is a plateau, or still a line",
        .description =
                "Takes traces as plateau replay does; of several processes in one, the last is judged. A warm-up is "
                "found and left out. Then the slope of the lows of 32 equal windows is told with its interval, "
                "widened by how far neighbouring windows depend on each other.\n"
                "PLATEAU: even the interval's upper end is too little to matter, and it does not fall as fast. LINE: "
                "the lower end is above zero, "
                "and the slope matters. UNDECIDED: neither is shown; it tells how much longer to watch.",
        .exits = "0\tplateau\n"
                 "1\tit did not work\n"
                 "2\twrong command line\n"
                 "8\tline\n"
                 "9\tundecided\n"
                 "65\tthe trace is wrong: file:line:column on standard error\n",
        .examples = "plateau verify rss.csv\tis it flat\n"
                    "plateau verify --before glibc.csv --after jemalloc.csv\tdid the cure help\n",
        .options = options,
        .run = verify_main,
};
