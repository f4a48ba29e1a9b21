/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers' pods that were detached for a rotation and never removed, because their node or their sidecar died: no
 * controller owns them and no garbage collection finds them. Every sidecar of the namespace looks every hour or two,
 * at its own time, and removes those whose deadline is over. An idle one makes one request an hour at the most.
 *
 * DELETE, not an eviction: deploy/kustomize/policy/reap.yaml lets through just this one, and judges it once more by the
 * API server's clock. Whoever may not look or remove asks again hours later only: rights may come.
 */
#pragma once

#include "kube/calls.h"

#define KUBE_REAP_MAX 5 /* pods a look: a mistake stays a small one, and others look too */

typedef struct KubeReap KubeReap;

/* Owner: the reap, until the next return to the loop. */
typedef struct KubeReapView {
        bool busy;               /* a look is under way */
        bool refused;            /* the last look was: it is not allowed, the next one is hours away */
        const char *why;         /* what the last look failed with; "" = nothing */
        uint64_t looks, removed; /* looks that were begun; pods that went by our request */
        uint64_t failed;         /* removals that did not pass; of a pod that was gone by then is none */
} KubeReapView;

/* kube_reap_new() - @client: borrowed, outlives it. @config: namespace, pod and uid: copied. The first look is after a
 * random part of an hour. Return: 0; -ENOMEM; another of sd-event. Owner: caller. */
int kube_reap_new(sd_event *event, KubeClient *client, const KubeConfig *config, KubeReap **ret) _must_check_;
/* kube_reap_free() - a removal that is under way may still be done. Return: NULL. */
KubeReap *kube_reap_free(KubeReap *r);
/* kube_reap_look() - now rather than at its time; nothing while one is under way. */
void kube_reap_look(KubeReap *r);
void kube_reap_view(const KubeReap *r, KubeReapView *ret);

/**
 * kube_reap_is_due() - may this pod be removed? Pure
 * @own_uid, @own_name: ours, which it must not be; the uid may be ""
 * @ret_deadline_real_usec: of a due one; untouched otherwise
 * Detached, with a deadline that is over by more than a minute (clocks differ), without a controller, not going
 * already. Test: tests/unit/test-kube-reap.c
 */
bool kube_reap_is_due(const KubePod *pod, const char *own_uid, const char *own_name, uint64_t now_real_usec,
                      uint64_t *ret_deadline_real_usec);
/* kube_reap_wait_usec() - until the next look: the first one, one after a refusal. Pure. @draw: random, all 64 bits. */
uint64_t kube_reap_wait_usec(bool first, bool refused, uint64_t draw);
