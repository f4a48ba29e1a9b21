/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/plan.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/format.h"

/* One reason against a strategy. The first that holds is told. */
typedef bool (*Against)(const KubePlanInput *in);

static bool is(const char *a, const char *b) {
        return a && strcmp(a, b) == 0;
}

static bool no_api(const KubePlanInput *in) {
        return !in->api;
}

static bool not_read(const KubePlanInput *in) {
        return !in->pod_known;
}

static bool is_mirror(const KubePlanInput *in) {
        return in->mirror || is(in->owner, "Node");
}

static bool has_no_owner(const KubePlanInput *in) {
        return !in->owner || in->owner[0] == '\0';
}

static bool is_job(const KubePlanInput *in) {
        return is(in->owner, "Job");
}

static bool is_clone_set(const KubePlanInput *in) {
        return is(in->owner, "CloneSet") && in->owner_api && strncmp(in->owner_api, "apps.kruise.io/", 15) == 0;
}

static bool not_clone_set(const KubePlanInput *in) {
        return !is_clone_set(in);
}

static bool not_replica_set(const KubePlanInput *in) {
        return !is(in->owner, "ReplicaSet");
}

/* Owners of which it is known that they make a new pod. What another operator does with a lost one is its affair. */
static bool recreates_nothing_known(const KubePlanInput *in) {
        static const char *const known[] = {"ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController",
                                            "CloneSet"};

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (is(in->owner, known[i]))
                        return false;
        return true;
}

static bool no_hash(const KubePlanInput *in) {
        return !in->template_hash;
}

static bool is_argo(const KubePlanInput *in) {
        return in->argo;
}

static bool owner_not_read(const KubePlanInput *in) {
        return !in->owner_known;
}

static bool is_going(const KubePlanInput *in) {
        return in->going;
}

static bool is_paused(const KubePlanInput *in) {
        return in->deployment && in->paused;
}

static bool is_rolling(const KubePlanInput *in) {
        return in->deployment && in->rolling;
}

static bool is_old(const KubePlanInput *in) {
        return in->deployment && !in->current;
}

static bool has_claim(const KubePlanInput *in) {
        return in->rwo_claim;
}

static bool has_host_port(const KubePlanInput *in) {
        return in->host_port;
}

static bool has_anti_affinity(const KubePlanInput *in) {
        return in->hard_anti_affinity;
}

static bool no_patch(const KubePlanInput *in) {
        return in->patch == KUBE_RIGHT_NO;
}

static bool no_evict(const KubePlanInput *in) {
        return in->evict == KUBE_RIGHT_NO;
}

static bool evict_refused(const KubePlanInput *in) {
        return in->evict_refused;
}

static bool no_list(const KubePlanInput *in) {
        return in->list == KUBE_RIGHT_NO;
}

static bool is_broken(const KubePlanInput *in) {
        return in->breaker;
}

static bool is_one_shot(const KubePlanInput *in) {
        return in->one_shot;
}

static bool no_way_to_main(const KubePlanInput *in) {
        return !in->alive_probe && !in->may_signal;
}

static bool no_signal(const KubePlanInput *in) {
        return !in->may_signal;
}

#define D (1u << KUBE_STRATEGY_DETACH)
#define E (1u << KUBE_STRATEGY_EVICT)
#define H (1u << KUBE_STRATEGY_HINT)
#define P (1u << KUBE_STRATEGY_IN_PLACE)
#define K (1u << KUBE_STRATEGY_SIGNAL)

static const struct {
        unsigned of;
        Against holds;
        const char *why;
} against[] = {
        {D | E | H, no_api, "the API server cannot be used"},
        {D | E | H, not_read, "our pod could not be read"},
        {D | E | H, is_mirror, "it is a static pod: the API does not recreate it"},
        {D | E | H, has_no_owner, "the pod has no controller: nothing would recreate it"},
        {D | E | H, is_job, "a Job counts a removed pod as failed"},
        {H, not_clone_set, "only OpenKruise's CloneSets have it"},
        {D, not_replica_set, "only a ReplicaSet replaces a pod that it has lost by a label"},
        {E, recreates_nothing_known, "this kind of owner is not known to recreate a pod"},
        {E, is_clone_set, "a CloneSet is told by its own label, and keeps to its maxUnavailable"},
        {D | E | H, is_broken, "replacements leak at once, again and again: no more of them"},
        {D, is_argo, "Argo's Services select by rollouts-pod-template-hash: the pod would lose its traffic at once"},
        {D, no_hash, "the pod has no label pod-template-hash"},
        {D, owner_not_read, "the ReplicaSet could not be read (get replicasets, deployments)"},
        {D, is_going, "its owner is being deleted"},
        {D, is_paused, "the Deployment is paused"},
        {D, is_rolling, "the Deployment is being rolled out: that replaces the pod anyway"},
        {D, is_old, "its ReplicaSet is not the Deployment's current one"},
        {D, has_claim, "it has a volume claim that a second pod may not get (ReadWriteOnce)"},
        {D, has_host_port, "it has a hostPort: a second pod may find no node"},
        {D, has_anti_affinity, "required anti-affinity: a second pod may find no node"},
        {D | H, no_patch, "not allowed to patch the pod (RBAC: patch pods)"},
        {D, no_list, "not allowed to see its replacement (RBAC: list and watch pods)"},
        {D | E, no_evict, "not allowed to evict the pod (RBAC: create pods/eviction)"},
        {D | E, evict_refused, "an eviction would be refused"},
        {P | K, is_one_shot, "its restartPolicy is not Always: main would count as done and not be started again"},
        {P, no_way_to_main, "main has no livenessProbe at our /alive, and we may not signal it (another user)"},
        {K, no_signal, "not allowed to signal main: another user, or no shared PID namespace"},
};

static void refuse(const KubePlanInput *in, KubeStrategy s, KubePlan *ret) {
        char need[FORMAT_MAX], left[FORMAT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(against); i++)
                if (against[i].of & 1u << s && against[i].holds(in)) {
                        const char *more = against[i].holds == no_api          ? in->api_why
                                           : against[i].holds == evict_refused ? in->evict_refused
                                                                               : NULL;

                        snprintf(ret->why[s], KUBE_PLAN_WHY_MAX, "%s%s%s", against[i].why, more && *more ? ": " : "",
                                 more ? more : "");
                        return;
                }
        if (s != KUBE_STRATEGY_SIGNAL && in->eta_usec <= in->need_usec[s])
                snprintf(ret->why[s], KUBE_PLAN_WHY_MAX, "it takes %s, and the limit may be reached in %s",
                         format_usec(need, in->need_usec[s]), format_usec(left, in->eta_usec));
}

void kube_plan(const KubePlanInput *in, KubeStrategy forced, KubePlan *ret) {
        static const KubeStrategy best[] = {KUBE_STRATEGY_DETACH, KUBE_STRATEGY_HINT, KUBE_STRATEGY_EVICT,
                                            KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_SIGNAL};
        KubeStrategy found = KUBE_STRATEGY_AUTO;

        *ret = (KubePlan){.strategy = KUBE_STRATEGY_SIGNAL};
        for (size_t i = 0; i < ELEMENTSOF(best); i++) {
                refuse(in, best[i], ret);
                if (best[i] == KUBE_STRATEGY_EVICT)
                        ret->evict_instead = ret->why[best[i]][0] == '\0';
                if (found == KUBE_STRATEGY_AUTO && ret->why[best[i]][0] == '\0')
                        found = best[i];
        }
        /* what was asked for, or the best that is left: worse than asked is taken, better is not */
        if (forced != KUBE_STRATEGY_AUTO && forced < _KUBE_STRATEGY_MAX) {
                bool reached = false;

                found = KUBE_STRATEGY_AUTO;
                for (size_t i = 0; i < ELEMENTSOF(best); i++) {
                        reached |= best[i] == forced;
                        if (reached && found == KUBE_STRATEGY_AUTO && ret->why[best[i]][0] == '\0')
                                found = best[i];
                }
        }
        ret->works = found != KUBE_STRATEGY_AUTO;
        if (ret->works)
                ret->strategy = found;
}
