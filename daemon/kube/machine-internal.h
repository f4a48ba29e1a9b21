/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of the state machine share: machine.c holds the rules (when does which row match),
 * machine-apply.c what a row does to the machine. Nobody else includes this.
 */
#pragma once

#include "kube/machine.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* The first patch is two round trips; a server that has not let it in by then is not there. */
#define SURGING_MAX_USEC (60 * USEC_PER_SEC)
/* Without a look at the EndpointSlices: a probe of one second, failing three times, and the watch's way. */
#define UNREADY_BLIND_USEC   (5 * USEC_PER_SEC)
#define UNREADY_MAX_USEC     (20 * USEC_PER_SEC)
#define SIGNALLED_EXTRA_USEC (30 * USEC_PER_SEC)

typedef struct Look {
        const KubeMachine *m;
        const KubeFacts *f;
        const KubeOptions *o;
        uint64_t now;
} Look;

typedef bool (*When)(const Look *l);

typedef struct Row {
        unsigned from; /* a bit each */
        When when;
        KubeState to; /* the same state: only the command */
        KubeCommand command;
        KubeReason reason;
        bool evict_instead; /* the strategy becomes this one */
} Row;

/* add_usec() - with USEC_INFINITY as the most. */
static inline uint64_t add_usec(uint64_t a, uint64_t b) {
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* machine_enter() - go to @row->to, which is another state than now. */
void machine_enter(KubeMachine *m, const Row *row, const Look *l);
/* machine_issue() - @c is given: count it, and when it may be given again. */
void machine_issue(KubeMachine *m, KubeCommand c, const Look *l);
