/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/pace.h"

#include <string.h>

#include "util/cleanup.h"

#define LOOKS_BEFORE_LIMIT  20 /* at the rate of the last looks */
#define LOOKS_BEFORE_ETA    50 /* of the forecast */
#define LOOKS_IN_BURST      4  /* of one that nobody told of */
#define YOUNG_USEC          (5 * USEC_PER_MINUTE)
#define YOUNG_INTERVAL_USEC (5 * USEC_PER_SEC)
#define ALARM_USEC          (10 * USEC_PER_SEC) /* looked as often as allowed for so long */
#define COST_WEIGHT         0.1                 /* of the newest in the moving average */
#define GROWS_BY            1.5                 /* from one interval to the next, at the most */
#define CAME_BACK_RATIO     0.9                 /* of what it was: then that was a peak */
#define LIKE_PEAK_RATIO     1.05                /* of a peak: no further than it has been */

static uint64_t to_usec(double seconds) {
        return seconds > 0 ? seconds < 1e9 ? (uint64_t)(seconds * USEC_PER_SEC) : USEC_INFINITY : 0;
}

/* A limit that nobody set is twice of what is used: growth shows all the same. */
static uint64_t room_of(const PaceInput *in) {
        if (in->limit_bytes == 0)
                return in->usage_bytes;
        return in->limit_bytes > in->usage_bytes ? in->limit_bytes - in->usage_bytes : 0;
}

static void note_peak(Pace *p, uint64_t bytes) {
        if ((double)bytes < CAME_BACK_RATIO * (double)p->high_bytes) {
                p->peak_bytes = max_of(p->peak_bytes, p->high_bytes);
                p->high_bytes = bytes;
        }
        p->high_bytes = max_of(p->high_bytes, bytes);
}

static void take(Pace *p, const PaceInput *in) {
        if (p->last_usec > 0 && in->now_usec > p->last_usec) {
                double grown = (double)in->usage_bytes - (double)p->last_bytes;

                memmove(&p->rate_bytes_per_s[1], &p->rate_bytes_per_s[0],
                        (PACE_BURST_LOOKS - 1) * sizeof(p->rate_bytes_per_s[0]));
                p->rate_bytes_per_s[0] = grown > 0 ? grown * USEC_PER_SEC / (double)(in->now_usec - p->last_usec) : 0;
        }
        note_peak(p, in->usage_bytes);
        if (in->cost_usec > 0)
                p->cost_usec += (p->cost_usec > 0 ? COST_WEIGHT : 1) * ((double)in->cost_usec - p->cost_usec);
        p->last_usec = in->now_usec;
        p->last_bytes = in->usage_bytes;
        if (in->alarmed)
                p->alarm_usec = max_of(in->now_usec, (uint64_t)1);
        if (p->alarm_usec > in->now_usec || in->now_usec - p->alarm_usec >= ALARM_USEC)
                p->alarm_usec = 0;
}

uint64_t pace_next(Pace *p, const PaceOptions *o, const PaceInput *in) {
        uint64_t room = room_of(in), next = o->max_usec, affordable, longest;
        double rate;

        take(p, in);
        rate = max_of(p->rate_bytes_per_s[0], p->rate_bytes_per_s[1]);
        if (o->fixed_usec > 0)
                return p->interval_usec = o->fixed_usec;
        if (rate > 0)
                next = min_of(next, to_usec((double)room / rate / LOOKS_BEFORE_LIMIT));
        if (in->eta_lo_usec != USEC_INFINITY)
                next = min_of(next, in->eta_lo_usec / LOOKS_BEFORE_ETA);
        if (in->age_usec < YOUNG_USEC)
                next = min_of(next, (uint64_t)YOUNG_INTERVAL_USEC);
        if (o->burst_bytes_per_s > 0 && in->limit_bytes > 0 && !in->warned)
                next = min_of(next, to_usec((double)room / (double)o->burst_bytes_per_s / LOOKS_IN_BURST));
        if (p->alarm_usec > 0)
                next = o->min_usec;
        if (p->interval_usec > 0)
                next = min_of(next, (uint64_t)((double)p->interval_usec * GROWS_BY));
        next = max_of(next, o->min_usec);
        /* above all: a host so slow that looking is dear is looked at less often */
        affordable = o->budget_ratio > 0 ? to_usec(p->cost_usec / USEC_PER_SEC / o->budget_ratio) : 0;
        next = max_of(next, affordable);
        longest = max_of(o->max_usec, o->min_usec);
        return p->interval_usec = min_of(next, longest);
}

double pace_burst(const Pace *p) {
        double least = p->rate_bytes_per_s[0];

        if ((double)p->last_bytes <= LIKE_PEAK_RATIO * (double)p->peak_bytes)
                return 0;
        for (unsigned i = 1; i < PACE_BURST_LOOKS; i++)
                least = min_of(least, p->rate_bytes_per_s[i]);
        return least;
}
