/* SPDX-License-Identifier: Apache-2.0
 *
 * How much more memory our pod may ask for, where a rotation cannot be in time any more (pods/resize, Kubernetes 1.33,
 * stable in 1.35). Pure. It never asks for less, and never where the kubelet would restart the container for it.
 *
 * Hazard: what the application took for its limit when it began (a JVM's heap, a Go runtime's) stays as it was: more
 * room helps what grows beside that.
 */
#pragma once

#include "kube/options.h"
#include "kube/pod.h"

/**
 * kube_headroom() - the next limit
 * @first_limit_bytes: of the main container when the pod began; 0 = not known, and nothing can be added up
 * @ret_limit:   whole MiB, above the present one
 * @ret_request: the same in a Guaranteed pod, whose class may not change; 0 = leave it
 * @why:         on failure a sentence
 * Return: 0; -ENOENT: switched off; -EOPNOTSUPP: not with this pod; -EBUSY: a resize is under way, or the node has
 * refused one; -ENOSPC: the steps together have reached the maximum. Outputs untouched then.
 * Source: KEP-1287. Test: tests/unit/test-kube-headroom.c
 */
int kube_headroom(const KubePod *pod, const KubeOptions *o, uint64_t first_limit_bytes, uint64_t *ret_limit,
                  uint64_t *ret_request, char *why, size_t why_size) _must_check_;

/* kube_headroom_patch() - the strategic patch for kube_pod_resize(). @request: 0 = leave it. Another pod of our name
 * refuses it (422): it names our uid. Return: NULL: out of memory. Owner: caller. */
json_t *kube_headroom_patch(const KubePod *pod, uint64_t limit, uint64_t request) _must_check_;
