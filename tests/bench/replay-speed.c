/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast a recorded trace is judged: samples a second through trace_parse(), and through replay_run(), which is the
 * daemon's own forecast and ladder on a simulated clock; beside it, in the same run, what a bare least-squares update
 * of the same samples costs. In CPU time, the best of
 * several rounds. Prints figures, asserts nothing.
 */
#include "replay/replay.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "util/cleanup.h"

#define SAMPLES 1000000u
#define ROUNDS  3

typedef struct Case {
        const char *name;
        double (*bytes)(double s); /* at a second */
} Case;

/* Of this thread: the machine may be busy with others. */
static uint64_t cpu_usec(void) {
        struct timespec ts;

        return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) < 0
                       ? 0
                       : (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static double noise(double s) {
        uint64_t x = (uint64_t)(s * 7919) * 2654435761u;

        return (double)(x >> 16 & 0xfffff);
}

static double flat(double s) {
        return 4e8 + noise(s);
}

static double leak(double s) { /* meets 4 GB with the last sample */
        return 4e8 + 3.6e9 * s / (SAMPLES * 5.0) + noise(s);
}

static double sawtooth(double s) {
        return 4e8 + 3e8 * fmod(s, 1800) / 1800 + noise(s);
}

static double restarts(double s) { /* a leak of a day, over and over: killed at 2 GB, or rotated before */
        return 2e8 + 2e9 * fmod(s, 86400) / 86400 + noise(s);
}

static const Case cases[] = {{"flat", flat}, {"leak", leak}, {"sawtooth", sawtooth}, {"a kill a day", restarts}};

static void make_trace(const Case *c, Trace *t) {
        t->n = SAMPLES;
        t->step_usec = 5 * USEC_PER_SEC;
        for (unsigned i = 0; i < SAMPLES; i++)
                t->points[i] = (TracePoint){.time_usec = i * t->step_usec,
                                            .bytes = (uint64_t)c->bytes(i * 5.0),
                                            .limit_bytes = c->bytes == restarts ? 2000000000 : 4000000000};
}

/* Sums of a straight line, updated and solved with each sample: what nobody can do with less. */
static uint64_t least_squares(const Trace *t) {
        double n = 0, mean_x = 0, mean_y = 0, sxx = 0, sxy = 0, slope = 0;
        uint64_t begin = cpu_usec();

        for (size_t i = 0; i < t->n; i++) {
                double x = (double)t->points[i].time_usec / USEC_PER_SEC, y = (double)t->points[i].bytes, dx;

                n += 1;
                dx = x - mean_x;
                mean_x += dx / n;
                mean_y += (y - mean_y) / n;
                sxx += dx * (x - mean_x);
                sxy += dx * (y - mean_y);
                slope = sxx > 0 ? sxy / sxx : 0;
                __asm__ volatile("" : : "x"(slope)); /* the answer of each sample is wanted */
        }
        return cpu_usec() - begin;
}

static uint64_t judged(const Trace *t, ReplaySummary *ret) {
        ReplayOptions o = {.judge = JUDGE_OPTIONS_DEFAULT, .can_reclaim = true, .can_rotate = false};
        uint64_t begin = cpu_usec();

        replay_run(t, &o, NULL, ret);
        return cpu_usec() - begin;
}

static double million_a_second(uint64_t usec) {
        return usec > 0 ? SAMPLES / (double)usec : INFINITY;
}

static void measure(const Case *c, Trace *t) {
        uint64_t bare = UINT64_MAX, all = UINT64_MAX;
        static ReplaySummary s;

        make_trace(c, t);
        for (unsigned i = 0; i < ROUNDS; i++) {
                bare = min_of(bare, least_squares(t));
                all = min_of(all, judged(t, &s));
        }
        printf("%-14s judged %6.2f million samples/s (%5.0f ns each, %3.0f %% of them)   least squares %6.2f (%3.0f ns)"
               "   alerts %llu, reclaims %llu\n",
               c->name, (double)s.n_judged / (double)all, 1000.0 * (double)all / (double)s.n_judged,
               100.0 * (double)s.n_judged / SAMPLES, million_a_second(bare), 1000.0 * (double)bare / SAMPLES,
               (unsigned long long)s.n_acted[RUNG_ALERT], (unsigned long long)s.n_acted[RUNG_RECLAIM]);
}

static void measure_reader(const Trace *t) {
        _cleanup_buf_ Buf text = {.max = (size_t)256 << 20}, problems = BUF_NULL;
        uint64_t begin, best = UINT64_MAX;

        buf_adds(&text, "time_s,rss_bytes,limit_bytes\n");
        for (size_t i = 0; i < t->n; i++)
                buf_addf(&text, "%llu,%llu,4000000000\n", (unsigned long long)(t->points[i].time_usec / USEC_PER_SEC),
                         (unsigned long long)t->points[i].bytes);
        for (unsigned i = 0; i < ROUNDS; i++) {
                Trace read = TRACE_NULL;

                begin = cpu_usec();
                if (trace_parse("bench", buf_str(&text), text.len, NULL, &read, &problems) < 0)
                        printf("%s", buf_str(&problems));
                best = min_of(best, cpu_usec() - begin);
                trace_done(&read);
        }
        printf("%-14s read   %6.2f million samples/s from CSV, %.1f MB\n", "", million_a_second(best),
               (double)text.len / 1e6);
}

int main(void) {
        _cleanup_trace_ Trace t = {.form = TRACE_FORM_CSV};

        t.points = calloc(SAMPLES, sizeof(*t.points));
        if (!t.points)
                return 1;
        printf("sizeof Judge %zu, of it Trend %zu, Policy %zu\n", sizeof(Judge), sizeof(Trend), sizeof(Policy));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                measure(&cases[i], &t);
        measure_reader(&t);
        return 0;
}
