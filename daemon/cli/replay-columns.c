/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau replay --columns`: a recorded series through the daemon's forecaster, as a filter. Output is written before
 * the next read(2) that could wait, so each line is answered at once whether it comes from a file or from somebody
 * typing.
 */
#include "cli/replay-run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trend/trend.h"
#include "util/parse.h"

#define LINE_LENGTH_MAX 256
#define SECONDS_MAX     1e12 /* 30,000 years */

typedef struct Replay {
        Trend trend;
        TrendProof rung;
        uint64_t line;
        char buffer[65536];
        size_t n; /* bytes in it */
} Replay;

static double seconds(uint64_t usec) {
        return usec == USEC_INFINITY ? INFINITY : (double)usec / USEC_PER_SEC;
}

/* "leak" is said only when the evidence suffices for the rung that was asked for. */
static const char *verdict_of(const TrendFit *f, TrendProof rung) {
        if (f->kind != TREND_KIND_LEAK && f->kind != TREND_KIND_FRAG)
                return trend_kind_name(f->kind);
        return trend_kind_name(f->proof >= rung ? f->kind : TREND_KIND_WARMUP);
}

static void print_fit(const TrendFit *f, TrendProof rung) {
        bool known = f->eta_usec != USEC_INFINITY;

        printf("%s %.6g %.6g %.6g %.6g\n", verdict_of(f, rung), f->slope_bytes_per_s, seconds(f->eta_usec),
               known ? seconds(f->eta_lo_usec) : NAN, known ? seconds(f->eta_hi_usec) : NAN);
}

static bool parse_seconds(const char *text, uint64_t *ret_usec) {
        double s;

        if (parse_double(text, &s) < 0 || !(s <= SECONDS_MAX))
                return false;
        *ret_usec = (uint64_t)llround(s * USEC_PER_SEC);
        return true;
}

static int bad_line(const Replay *r, const char *what) {
        fflush(stdout);
        fprintf(stderr, "plateau replay: line %llu: %s\n", (unsigned long long)r->line, what);
        return CLI_BAD_ANSWER;
}

static int take_line(Replay *r, char *line) {
        char *save = NULL, *time = strtok_r(line, " \t\r", &save), *bytes = strtok_r(NULL, " \t\r", &save);
        char *limit = strtok_r(NULL, " \t\r", &save);
        TrendSample s = {};
        TrendFit f;

        r->line++;
        if (!limit || strtok_r(NULL, " \t\r", &save))
                return bad_line(r, "must be three columns: time_s rss_bytes limit_bytes (0 = no limit)");
        if (!parse_seconds(time, &s.time_usec))
                return bad_line(r, "column 1 must be a time in seconds, such as 0 or 1700000000.25");
        if (parse_u64(bytes, &s.bytes) < 0 || parse_u64(limit, &s.limit_bytes) < 0)
                return bad_line(r, "columns 2 and 3 must be bytes, whole numbers");
        s.time_usec++; /* 0 is a time like any other */
        trend_push(&r->trend, &s);
        trend_fit(&r->trend, &f);
        print_fit(&f, r->rung);
        return CLI_OK;
}

/* All whole lines of the buffer; what is left of the last one stays. */
static int take_lines(Replay *r) {
        char *at = r->buffer, *end = r->buffer + r->n, *newline;
        int status = CLI_OK;

        while (status == CLI_OK && (newline = memchr(at, '\n', (size_t)(end - at)))) {
                *newline = 0;
                status = take_line(r, at);
                at = newline + 1;
        }
        r->n = (size_t)(end - at);
        memmove(r->buffer, at, r->n);
        if (status == CLI_OK && r->n > LINE_LENGTH_MAX) {
                r->line++;
                return bad_line(r, "is longer than 256 bytes");
        }
        return status;
}

static int run(Replay *r) {
        for (;;) {
                ssize_t got = read(STDIN_FILENO, r->buffer + r->n, sizeof(r->buffer) - 1 - r->n);
                int status;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0) {
                        fprintf(stderr, "plateau replay: standard input: %s\n", strerror(errno));
                        return CLI_ERROR;
                }
                if (got == 0 && r->n > 0)
                        r->buffer[r->n++] = '\n'; /* the last line has none */
                r->n += (size_t)got;
                status = take_lines(r);
                if (fflush(stdout) < 0 || ferror(stdout)) {
                        fprintf(stderr, "plateau replay: standard output: %s\n", strerror(errno));
                        return CLI_ERROR;
                }
                if (status != CLI_OK || got == 0)
                        return status;
        }
}

static bool rung_from(const char *name, TrendProof *ret) {
        for (TrendProof p = TREND_PROOF_ALERT; p < _TREND_PROOF_MAX; p++)
                if (strcmp(name, trend_proof_name(p)) == 0) {
                        *ret = p;
                        return true;
                }
        return false;
}

int replay_columns(const Command *self, const ReplayArgs *a) {
        static const TrendOptions options = TREND_OPTIONS_DEFAULT;
        static Replay replay = {.rung = TREND_PROOF_RECLAIM};

        if (a->rung && !rung_from(a->rung, &replay.rung)) {
                args_error(self, "--rung must be alert, reclaim or rotate");
                return CLI_USAGE;
        }
        trend_init(&replay.trend, &options);
        return run(&replay);
}
