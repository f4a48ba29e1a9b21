/* SPDX-License-Identifier: Apache-2.0
 *
 * At most N pods of a workload rotate at once: N Leases, made beforehand, and who rotates holds one. This does the I/O;
 * what to do is decided by kube/slot-judge. One request at a time, none while no slot is wanted, held or lost: idle it
 * costs nothing. Waiters put what they have left into an annotation of the lease, so that the most urgent is next.
 *
 * Hazard: leases fence nothing. Whoever holds one looks at kube_slots_fact() right before each step. Who is stopped
 * between that look and the step acts without a slot by the length of the stop; a slot goes to another one at the
 * earliest 7/12 of the lease's duration (35 s of 60) after its holder stopped to believe in it; at once, if the API has
 * no such pod any more, which is so too when somebody removed it by force and its processes run on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"
#include "kube/machine.h"

/* What the pods of a workload tell their successors. 0 = not known. */
typedef struct KubeLearned {
        uint64_t replace_usec; /* from the detach until a replacement was ready */
        uint64_t drain_usec;
        unsigned young; /* rotations in a row that pods younger than min_pod_age needed */
} KubeLearned;

typedef struct KubeSlotsHost {
        void (*changed)(void *userdata); /* fact or learned did. Never called from inside a call into slots.h */
        void *userdata;
} KubeSlotsHost;

/* For status and doctor. */
typedef struct KubeSlotsView {
        KubeSlotFact fact;
        char lease[254];      /* the one held; "" = none */
        char detail[320];     /* one sentence: what is waited for, or why nothing is coordinated; "" = nothing to say */
        unsigned n, n_usable; /* leases wanted by the options; those that are there, as last read */
        bool passed;          /* an urgent one: went before a waiter with less time left */
        uint64_t waited_usec; /* for this slot */
} KubeSlotsView;

typedef struct KubeSlots KubeSlots;

/**
 * kube_slots_new() - ask for nothing yet
 * @client:   borrowed, outlives the slots
 * @config:   namespace, pod, uid: what is written into a lease as its holder; copied
 * @options:  slots, slot_prefix, slot_ttl_usec; copied
 * @workload: name of the Deployment, StatefulSet ...; with slot_prefix it may be ""
 * Return: 0; -EINVAL: neither workload nor prefix, or one that is no name of an object; -ENOMEM. Owner: caller.
 */
int kube_slots_new(sd_event *event, KubeClient *client, const KubeConfig *config, const KubeOptions *options,
                   const char *workload, const KubeSlotsHost *host, KubeSlots **ret) _must_check_;
/* kube_slots_free() - gives a held slot back by a request that the client does within 2 s, if it and the loop live on;
 * if not, others take the slot when our pod is gone or the lease is over. Calls nobody back. Return: NULL. */
KubeSlots *kube_slots_free(KubeSlots *s);

/**
 * kube_slots_want() - call at each step; repeats cost nothing
 * @want:     false gives back what is held, and forgets that one was lost
 * @eta_usec: until the limit; USEC_INFINITY
 * @urgent:   no time to wait for turns: takes a free slot before those with less left. Never one that is held
 */
void kube_slots_want(KubeSlots *s, bool want, uint64_t eta_usec, bool urgent);

/* kube_slots_fact() - reads the clock: a process that was stopped too long learns here that its slot may be another's.
 * NOT_NEEDED: slots is 0, or none of the leases is there or may be used. LOST stays until nothing is wanted. */
KubeSlotFact kube_slots_fact(const KubeSlots *s);

/* kube_slots_look() - read the leases once without wanting one: what was learned, are they there. N requests. */
void kube_slots_look(KubeSlots *s);
/* kube_slots_learned() - Return: whether any lease that was read tells. @ret: untouched if not. */
bool kube_slots_learned(const KubeSlots *s, KubeLearned *ret);
/* kube_slots_learn() - goes into the held lease with the next renewal or release; without one it is forgotten. */
void kube_slots_learn(KubeSlots *s, const KubeLearned *learned);

/* kube_slots_is_quiet() - nothing held, nothing under way: time to free it without a trace. */
bool kube_slots_is_quiet(const KubeSlots *s);
void kube_slots_view(const KubeSlots *s, KubeSlotsView *ret);
