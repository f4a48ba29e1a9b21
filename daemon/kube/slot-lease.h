/* SPDX-License-Identifier: Apache-2.0
 *
 * A Lease of coordination.k8s.io/v1 as a slot: pure. Reading is of another's making, each value bounded and of its
 * type or absent. Writing is a JSON merge patch that names the resourceVersion it is based on, so that labels, other
 * annotations and owners stay, and a conflict is told. Annotations: plateau.dev/waiting is the bid of one waiter,
 * plateau.dev/learned what rotations took.
 */
#pragma once

#include <jansson.h>

#include "kube/slot-judge.h"
#include "kube/slots.h"

#define SLOT_NOTE_MAX 1024 /* bytes of an annotation; longer ones are none */

typedef struct SlotNote { /* plateau.dev/learned */
        uint64_t count;   /* of rotations told of; the highest is the newest. 0 = none */
        KubeLearned learned;
} SlotNote;

typedef struct SlotWrite {
        SlotDo what; /* TAKE and all after */
        const SlotLease *base;
        const char *me;
        uint64_t ttl_usec, left_usec, now_real_usec, beat;
        const SlotNote *note; /* NULL = leave it */
        bool no_notes;        /* annotations may not be written */
} SlotWrite;

/**
 * slot_lease_decode() - the answer to a get or a patch
 * @ret_note: count 0 when there is none
 * Return: 0; -EBADMSG: no Lease, or without a resourceVersion, or with a holder longer than we have room for.
 */
int slot_lease_decode(const json_t *o, SlotLease *ret, SlotNote *ret_note) _must_check_;
/* slot_lease_patch() - @ret_notes: whether annotations are in it. Return: NULL: out of memory. Owner: caller. */
json_t *slot_lease_patch(const SlotWrite *w, bool *ret_notes) _must_check_;
/* slot_name_is_fit() - may leases be named so, before "-63"? */
bool slot_name_is_fit(const char *prefix);
/* slot_holder_split() - "POD/UID" with a pod's name and an uid as Kubernetes has them. Return: false if it is not. */
bool slot_holder_split(const char *holder, char pod[static 254], char uid[static 64]);
