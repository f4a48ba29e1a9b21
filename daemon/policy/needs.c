/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rotation needs, by settings and by what the last ones took.
 */
#include "policy/internal.h"

void policy_learn(Policy *p, PolicyNeed need, uint64_t usec) {
        PolicyLearned *l = &p->learned[need];

        if ((unsigned)need >= _NEED_MAX || usec > LEARN_USEC_MAX)
                return;
        l->usec[l->head] = usec;
        l->head = (l->head + 1) % POLICY_LEARN_MAX;
        l->n = min_of(l->n + 1, (unsigned)POLICY_LEARN_MAX);
}

/* The 90th percentile by nearest rank: of one to nine the longest, of sixteen the second longest. */
static uint64_t learned_p90(const PolicyLearned *l) {
        uint64_t sorted[POLICY_LEARN_MAX];

        if (l->n == 0)
                return 0;
        for (unsigned i = 0; i < l->n; i++) {
                unsigned k = i;

                for (; k > 0 && sorted[k - 1] > l->usec[i]; k--)
                        sorted[k] = sorted[k - 1];
                sorted[k] = l->usec[i];
        }
        return sorted[(l->n * 9 + 9) / 10 - 1];
}

void policy_needs(const Policy *p, PolicyNeeds *ret) {
        *ret = (PolicyNeeds){.margin_usec = p->options.rotate_margin_usec, .total_usec = p->options.rotate_margin_usec};
        for (PolicyNeed n = 0; n < _NEED_MAX; n++) {
                ret->n_learned[n] = p->learned[n].n;
                ret->learned_usec[n] = learned_p90(&p->learned[n]);
                ret->usec[n] = max_of(p->options.rotate_needs_usec[n], ret->learned_usec[n]);
                ret->total_usec = add_usec(ret->total_usec, ret->usec[n]);
        }
        ret->urgent_usec = add_usec(ret->usec[NEED_DRAIN], ret->usec[NEED_RETRIES]);
}
