/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/drain-judge.h"

#include "util/cleanup.h"
#include "util/clock.h"

#define ZEROS_WANTED 2
#define COST_SHARE   50 /* counting takes a fiftieth of the time at most */

/* Few are about to be none: a second that nobody is served is a second lost. Many take their time. */
static const struct {
        unsigned established;
        uint64_t wait_usec;
} paces[] = {
        {10, 250 * USEC_PER_MSEC}, {100, 500 * USEC_PER_MSEC},     {1000, USEC_PER_SEC},
        {10000, 2 * USEC_PER_SEC}, {UINT32_MAX, 5 * USEC_PER_SEC},
};

static uint64_t pace(const DrainLook *look) {
        size_t i = 0;

        while (look->known && look->established > paces[i].established)
                i++;
        return max_of(look->known ? paces[i].wait_usec : USEC_PER_SEC, look->cost_usec * COST_SHARE);
}

DrainEnd drain_judge(DrainJudge *j, const DrainLook *look, uint64_t *ret_wait_usec) {
        bool is_zero = look->known && look->established == 0 && !look->telling;

        *ret_wait_usec = 0;
        j->zeros = is_zero ? j->zeros + 1 : 0;
        if (!look->alive)
                return DRAIN_ENDED;
        if (j->zeros >= ZEROS_WANTED)
                return DRAIN_EMPTY;
        if (look->now_usec >= j->deadline_usec)
                return DRAIN_DEADLINE;
        *ret_wait_usec = min_of(pace(look), j->deadline_usec - look->now_usec);
        return DRAIN_GOES_ON;
}

const char *drain_end_name(DrainEnd e) {
        static const char *const names[_DRAIN_END_MAX] = {[DRAIN_GOES_ON] = "going_on",
                                                          [DRAIN_EMPTY] = "empty",
                                                          [DRAIN_DEADLINE] = "deadline",
                                                          [DRAIN_ENDED] = "ended"};

        return (unsigned)e < _DRAIN_END_MAX ? names[e] : "unknown";
}
