/* SPDX-License-Identifier: Apache-2.0
 *
 * What the forecaster saw: for forecast-fit, which feeds labelled series on stdin and learns the tables from the rows
 * on stdout. Input is "series ID LEAK CLASS ONSET_S EVAL_FROM_S STRICT LIMIT N REAL" and N lines "TIME_S BYTES"; output
 * is rows of ROW floats, whose meaning for each of the four modes is told at the functions.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trend/answer.h"
#include "trend/shape.h"
#include "util/cleanup.h"

#define ROW         48
#define CHECKPOINTS 28 /* from 30 % of the growth's time in steps of 2.5 % */
#define HEAD        8
#define SECONDS_MAX 20000.0
#define MEAN_LENGTH (_LINE_FEATURES + _DYNAMIC_FEATURES)

_Static_assert(HEAD + MEAN_LENGTH + _LIFE_FEATURES <= ROW, "a row holds all features");

typedef struct Series {
        int id, leak, strict, class, real;
        double onset_s, eval_from_s, end_s;
        unsigned long long limit;
        unsigned n;
        double *time_s;
        unsigned long long *bytes;
} Series;

static Trend trend;
static Candidates candidates;

static void put(const float row[static ROW]) {
        if (fwrite(row, sizeof(float), ROW, stdout) != ROW)
                exit(1);
}

static void head(float row[static ROW], const Series *s, unsigned i) {
        memset(row, 0, ROW * sizeof(*row));
        row[0] = (float)s->id;
        row[1] = (float)s->leak;
        row[2] = (float)s->class;
        row[3] = (float)s->real;
        row[4] = (float)(s->end_s - s->time_s[i]);
        row[5] = (float)((s->time_s[i] - s->onset_s) / (s->end_s - s->onset_s));
}

static void put_features(float *at, const Candidate *c, double weight) {
        for (unsigned k = 0; k < _LINE_FEATURES; k++)
                at[k] += (float)(weight * c->line->feature[k]);
        for (unsigned k = 0; k < _DYNAMIC_FEATURES; k++)
                at[_LINE_FEATURES + k] += (float)(weight * c->dynamic[k]);
}

/* Mode candidates: a row for each at a checkpoint; [6] is its log time to the limit, [7] 1 for a ceiling. */
static void candidates_of(const Series *s, unsigned i) {
        for (unsigned k = 0; k < candidates.n; k++) {
                const Candidate *c = &candidates.at[k];
                float row[ROW];

                head(row, s, i);
                row[6] = (float)(c->log_room - log(c->slope));
                row[7] = c->ceiling;
                put_features(row + HEAD, c, 1);
                put(row);
        }
}

/* Modes widths and odds: a row of weighted means; [6] is the log time to the limit, [7] what counts from onset. */
static void means_of(const Series *s, unsigned i, const Forecast *f) {
        float row[ROW];

        head(row, s, i);
        row[6] = (float)log(f->eta_s);
        row[7] = (float)s->strict;
        for (unsigned k = 0; k < candidates.n; k++)
                put_features(row + HEAD, &candidates.at[k], candidates.at[k].weight);
        for (unsigned k = 0; k < _LIFE_FEATURES; k++)
                row[HEAD + MEAN_LENGTH + k] = (float)f->life[k];
        put(row);
}

/* Mode shape: one row of the whole life's features. */
static void shape_at(const Series *s, unsigned i) {
        const TrendLevel *whole = pyramid_whole(&trend.pyramid);
        double features[_SHAPE_FEATURES];
        float row[ROW];

        if (!whole || !shape_features(whole, &trend.cycles, features))
                return;
        head(row, s, i);
        row[6] = i >= s->n * 3 / 4;
        for (unsigned k = 0; k < _SHAPE_FEATURES; k++)
                row[HEAD + k] = (float)features[k];
        put(row);
}

static bool look(Forecast *f) {
        ForecastInput in = answer_input(&trend);

        pyramid_draw(&trend.pyramid);
        forecast_make(&in, &candidates, f);
        return f->known;
}

static void take(const Series *s, unsigned i, const char *mode, unsigned *checkpoint) {
        Forecast f;

        if (trend.n < TREND_FIT_MIN)
                return;
        if (strcmp(mode, "shape") == 0) {
                if (!s->leak && i >= s->n / 4 && (i + (unsigned)s->id) % (s->n / 40 + 1) == 0)
                        shape_at(s, i);
        } else if (strcmp(mode, "odds") == 0) {
                bool due = (i + (unsigned)s->id) % (s->n / 400 + 1) == 0 && s->time_s[i] >= s->eval_from_s;

                if (due && !(s->leak && i == s->n - 1) && look(&f) && f.eta_s <= SECONDS_MAX)
                        means_of(s, i, &f);
        } else if (s->leak && *checkpoint < CHECKPOINTS && s->time_s[i] < s->end_s) {
                double at = s->onset_s + (0.3 + 0.025 * *checkpoint) * (s->end_s - s->onset_s);

                if (s->time_s[i] < at)
                        return;
                (*checkpoint)++;
                if (look(&f) && strcmp(mode, "widths") == 0)
                        means_of(s, i, &f);
                else if (f.known)
                        candidates_of(s, i);
        }
}

static void run(const Series *s, const char *mode) {
        static const TrendOptions options = TREND_OPTIONS_DEFAULT;
        unsigned checkpoint = 0;

        trend_init(&trend, &options);
        for (unsigned i = 0; i < s->n; i++) {
                trend_push(&trend, &(TrendSample){.time_usec = (uint64_t)llround(s->time_s[i] * USEC_PER_SEC) + 1,
                                                  .bytes = s->bytes[i],
                                                  .limit_bytes = s->limit});
                take(s, i, mode, &checkpoint);
        }
}

int main(int argc, char *argv[]) {
        Series s;

        if (argc != 2) {
                fputs("usage: forecast-features candidates|widths|odds|shape\n", stderr);
                return 64;
        }
        while (scanf(" series %d %d %d %lf %lf %d %llu %u %d", &s.id, &s.leak, &s.class, &s.onset_s, &s.eval_from_s,
                     &s.strict, &s.limit, &s.n, &s.real) == 9) {
                s.time_s = calloc(s.n, sizeof(*s.time_s));
                s.bytes = calloc(s.n, sizeof(*s.bytes));
                if (!s.time_s || !s.bytes || s.n == 0)
                        return 1;
                for (unsigned i = 0; i < s.n; i++)
                        if (scanf("%lf %llu", &s.time_s[i], &s.bytes[i]) != 2)
                                return 65;
                s.end_s = s.time_s[s.n - 1];
                run(&s, argv[1]);
                free(s.time_s);
                free(s.bytes);
        }
        return ferror(stdout) ? 1 : 0;
}
