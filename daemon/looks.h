/* SPDX-License-Identifier: Apache-2.0
 *
 * The last surveys of one target, and what they say together. Bounded: LOOKS_MAX looks, and of the sizes in use only
 * those of the first, of one in the middle, which is the first some day, and of the last: 12 KiB a target.
 */
#pragma once

#include "report/diagnosis.h"
#include "sample/sample.h"

#define LOOKS_MAX 8

typedef struct LooksSizes LooksSizes;

typedef struct Looks {
        Diagnosis diagnosis; /* n_looks 0: none yet */
        bool pending;        /* one was asked for */
        uint64_t asked_usec; /* when last; 0 = never */

        /* internal state */
        DiagnoseLook look[LOOKS_MAX];
        unsigned n;
        uint64_t rest_usec; /* what the last one cost, by the budget */
        bool middle_known;
        LooksSizes *sizes; /* Owner: the Looks; NULL before the first */
} Looks;

/* looks_reset() - another process: nothing is known of it. The memory is kept. */
void looks_reset(Looks *l);
void looks_done(Looks *l); /* release the memory */

/* looks_due() - is it time for the next, when they may be @interval_usec apart? */
bool looks_due(const Looks *l, uint64_t now_usec, uint64_t interval_usec);

/**
 * looks_take() - one more, out of the table @fd that came with a reply
 * @sample:       the last one: the cgroup's figures and the limit
 * @own_group:    those figures are all this target's (company_is_own())
 * @budget_ratio: share of one core: what it cost is how long to rest
 * Return: 0; negative errno: nothing is taken, @ret_why says why (static).
 */
int looks_take(Looks *l, int fd, const Sample *sample, bool own_group, double budget_ratio,
               const char **ret_why) _must_check_;
