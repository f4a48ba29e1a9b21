/* SPDX-License-Identifier: Apache-2.0
 *
 * How soon to look again: rarely while nothing moves, often near the limit and in a burst, never for more CPU time than
 * is allowed. Pure: no clock, no I/O, no allocation.
 *
 * The next look comes after the shortest of: a twentieth of the time to the limit at the rate of the last looks; a
 * fiftieth of the forecast's lower bound; 5 s while the process is young; 1.5 times the last interval; and, where the
 * kernel does not tell in time that memory is used up, a quarter of the time in which a burst of the rate set would use
 * up the room that is left: so that it is met four times on its way, however quiet it was before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

typedef struct PaceOptions {
        uint64_t fixed_usec;        /* always so long; 0 = by what follows */
        uint64_t min_usec, max_usec;
        double budget_ratio;        /* share of one core that looking may take */
        uint64_t burst_bytes_per_s; /* the fastest growth to be met unprepared; 0 = none */
} PaceOptions;

#define PACE_OPTIONS_DEFAULT                              \
        ((PaceOptions){.min_usec = 200 * USEC_PER_MSEC,   \
                       .max_usec = 30 * USEC_PER_SEC,     \
                       .budget_ratio = 0.002,             \
                       .burst_bytes_per_s = 500000000})

typedef struct PaceInput {
        uint64_t now_usec;
        uint64_t age_usec;                 /* of the process */
        uint64_t usage_bytes, limit_bytes; /* limit 0 = none */
        uint64_t eta_lo_usec;              /* the forecast's; USEC_INFINITY = none */
        uint64_t cost_usec;                /* CPU time of this look; 0 = not known */
        bool warned;                       /* the kernel will tell before the limit is reached */
        bool alarmed;                      /* it just did */
} PaceInput;

#define PACE_BURST_LOOKS 3

/* What is kept of one target. All zero: nothing was seen yet. */
typedef struct Pace {
        uint64_t last_usec, last_bytes, interval_usec;
        double rate_bytes_per_s[PACE_BURST_LOOKS]; /* over the last intervals, newest first; 0 = it did not grow */
        uint64_t high_bytes,
                peak_bytes;         /* the highest since it was there last, and the highest that it came back from */
        double cost_usec;           /* a moving average */
        uint64_t alarm_usec;        /* looked often since; 0 = not */
} Pace;

/* pace_next() - one look was taken. Return: how long until the next; within min and max but for the budget. */
uint64_t pace_next(Pace *p, const PaceOptions *o, const PaceInput *in);

/* pace_burst() - bytes a second that it grew by over each of the last PACE_BURST_LOOKS intervals at the least. 0: it
 * did not grow in all of them: a jump that is over is a step, even when a look fell into it; or it is about where it
 * has been before and came back from: a job that needs much is no news the second time. */
double pace_burst(const Pace *p);
