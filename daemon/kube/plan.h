/* SPDX-License-Identifier: Apache-2.0
 *
 * Which way of rotating fits our pod, pure: what is known of owner, pod, rights and time in; the best strategy out, and
 * one sentence for each better one why not. Asked at the start (by doctor too), so that it is known before it is
 * needed, and again when something changed. From the best down: detach, hint or evict (whichever the owner is for), in
 * place, signal.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/options.h"

#define KUBE_PLAN_WHY_MAX 160

/* A right, by SelfSubjectAccessReview. Not asked yet is not denied: then it is tried. */
typedef enum KubeRight { KUBE_RIGHT_UNKNOWN, KUBE_RIGHT_YES, KUBE_RIGHT_NO } KubeRight;

typedef struct KubePlanInput {
        bool api;                                      /* the server answers, and lets us in */
        const char *api_why;                           /* why not; may be NULL */
        bool pod_known;                                /* it was read: what follows about it holds */
        const char *owner;                             /* kind of the controller; "" = none */
        const char *owner_api;                         /* its apiVersion: "apps/v1" */
        bool mirror;                                   /* a static pod */
        bool one_shot;                                 /* its restartPolicy is not Always */
        bool template_hash;                            /* it has the label pod-template-hash */
        bool rwo_claim, host_port, hard_anti_affinity; /* a second pod may not fit beside it */
        bool argo;                                     /* label rollouts-pod-template-hash: Services select by it */
        bool owner_known;                              /* ReplicaSet and Deployment were read */
        bool deployment;                               /* the ReplicaSet has one */
        bool paused, rolling, current;                 /* current: the ReplicaSet is the Deployment's newest */
        bool going;                                    /* owner or namespace is being deleted */
        KubeRight patch, evict, list;
        const char *evict_refused; /* by what: an eviction was tried (dryRun), and would be for good; NULL = no */
        bool alive_probe, may_signal;
        bool breaker;                           /* replacements leak at once, again and again */
        uint64_t eta_usec;                      /* lower bound; USEC_INFINITY */
        uint64_t need_usec[_KUBE_STRATEGY_MAX]; /* what each takes at least: kube_machine_least_usec() */
} KubePlanInput;

typedef struct KubePlan {
        KubeStrategy strategy; /* never AUTO */
        bool works;            /* false: not even a signal would; the strategy is SIGNAL then */
        bool evict_instead;    /* if detaching is refused after all, evicting would do */
        /* why a strategy is not for us; "" = it is, or is worse than the chosen one */
        char why[_KUBE_STRATEGY_MAX][KUBE_PLAN_WHY_MAX];
} KubePlan;

/**
 * kube_plan() - choose
 * @forced: options->strategy; AUTO chooses. A forced one that cannot work is not taken: the next that does is
 * Return: nothing; @ret is filled whole.
 */
void kube_plan(const KubePlanInput *in, KubeStrategy forced, KubePlan *ret);
