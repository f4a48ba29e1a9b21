/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tick's mathematics cost: nanoseconds per trend_push(), trend_fit() and policy_step(), and the structs' sizes.
 * Prints figures, asserts nothing.
 */
#include <stdio.h>
#include <time.h>

#include "policy/policy.h"
#include "trend/trend.h"
#include "util/cleanup.h"

#define ROUNDS 400000

static Trend trend;
static Policy policy;

typedef struct Case {
        const char *name;
        uint64_t step_usec;
        uint64_t bytes_per_step, tooth, jump; /* steady growth; sawtooth of so many steps; a jump every so many */
} Case;

static const Case cases[] = {
        {"5 s, flat", 5 * USEC_PER_SEC, 0, 0, 0},
        {"5 s, leak", 5 * USEC_PER_SEC, 4096, 0, 0},
        {"1.2 s, leak, full ring", 6 * USEC_PER_SEC / 5, 4096, 0, 0},
        {"100 ms, leak, full ring", 100 * USEC_PER_MSEC, 4096, 0, 0},
        {"1.2 s, sawtooth, full ring", 6 * USEC_PER_SEC / 5, 0, 40, 0},
        {"1.2 s, a spike every 16", 6 * USEC_PER_SEC / 5, 0, 0, 16},
};

/* Of this thread: others on the machine do not count. */
static uint64_t cpu_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t sample(const Case *c, uint64_t i) {
        uint64_t bytes = (1ULL << 30) + i * c->bytes_per_step + (i * 2654435761u >> 7) % 65536;

        if (c->tooth > 0)
                bytes += i % c->tooth * (4ULL << 20);
        if (c->jump > 0 && i % c->jump == 0)
                bytes += 512ULL << 20;
        return bytes;
}

static double ns(uint64_t usec) {
        return (double)usec * 1000 / ROUNDS;
}

static void step(const TrendFit *f, uint64_t at, uint64_t bytes) {
        PolicyInput in = {
                .now_usec = at,
                .target_age_usec = at,
                .usage_bytes = bytes,
                .limit_bytes = f->limit_bytes,
                .trend_known = f->state != TREND_WAIT,
                .growing = f->state == TREND_GROWING,
                .proof = f->state == TREND_GROWING ? _RUNG_MAX : 0,
                .week_minute = -1,
                .eta_usec = f->eta_usec,
                .eta_lo_usec = f->eta_lo_usec,
                .eta_hi_usec = f->eta_hi_usec,
                .can_reclaim = true,
                .can_rotate = true,
        };
        Decision d[_RUNG_MAX];

        policy_step(&policy, &in, d);
        __asm__ volatile("" : : "r"(d) : "memory"); /* not optimised away */
}

/* What everybody else does: one update of the sums of a straight line. */
static double bare_least_squares(const Case *c) {
        double n = 0, mean_x = 0, mean_y = 0, sxx = 0, sxy = 0;
        uint64_t start = cpu_usec();

        for (uint64_t i = 1; i <= ROUNDS; i++) {
                double x = (double)(i * c->step_usec) / USEC_PER_SEC, y = (double)sample(c, i), dx, slope;

                n++;
                dx = x - mean_x;
                mean_x += dx / n;
                mean_y += (y - mean_y) / n;
                sxx += dx * (x - mean_x);
                sxy += dx * (y - mean_y);
                slope = sxx > 0 ? sxy / sxx : 0;
                __asm__ volatile("" : : "r"(&slope) : "memory");
        }
        return (double)(cpu_usec() - start);
}

static void measure(const Case *c) {
        TrendOptions options = TREND_OPTIONS_DEFAULT;
        uint64_t start, push, fit, all;
        TrendFit f = {};

        trend_init(&trend, &options);
        start = cpu_usec();
        for (uint64_t i = 1; i <= ROUNDS; i++)
                trend_push(&trend, &(TrendSample){.time_usec = i * c->step_usec,
                                                  .bytes = sample(c, i),
                                                  .limit_bytes = 8ULL << 30});
        push = cpu_usec() - start;

        start = cpu_usec();
        for (uint64_t i = 1; i <= ROUNDS; i++) {
                trend_fit(&trend, &f);
                __asm__ volatile("" : : "r"(&f) : "memory");
        }
        fit = cpu_usec() - start;

        policy_init(&policy, &policy_options_default);
        start = cpu_usec();
        for (uint64_t i = 1; i <= ROUNDS; i++)
                step(&f, i * c->step_usec, sample(c, i));
        all = cpu_usec() - start;
        printf("%-28s bare line %4.0f ns  push %6.0f ns  fit %6.0f ns  step %4.0f ns  tick %6.0f ns\n", c->name,
               ns((uint64_t)bare_least_squares(c)), ns(push), ns(fit), ns(all), ns(push) + ns(fit) + ns(all));
}

int main(void) {
        printf("sizeof Trend %zu, TrendFit %zu, Policy %zu, PolicyInput %zu, Decision %zu, Outcome %zu\n",
               sizeof(Trend), sizeof(TrendFit), sizeof(Policy), sizeof(PolicyInput), sizeof(Decision), sizeof(Outcome));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                measure(&cases[i]);
        return 0;
}
