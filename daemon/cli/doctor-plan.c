/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor-plan.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kube/machine.h"
#include "kube/objects.h"
#include "kube/pod.h"
#include "util/clock.h"

#define PORT_DEFAULT 9464

/* Of the ReplicaSet, and of the Deployment that owns it. */
static void look_at_owner(DoctorApi *a, const json_t *o, KubePlanInput *in) {
        KubeReplicaSet set;
        KubeDeployment deployment;
        KubeAnswer answer;
        char path[640];

        if (!o || kube_replicaset_decode(o, &set) < 0)
                return;
        in->owner_known = true;
        in->going = set.replicas == 0 || set.deleting;
        if (!set.has_deployment)
                return;
        snprintf(path, sizeof(path), "/apis/apps/v1/namespaces/%s/deployments/%s", doctor_api_config(a)->namespace_,
                 set.deployment.name);
        doctor_api_ask(a, "GET", path, NULL, &answer);
        if (answer.error == KUBE_OK && kube_deployment_decode(answer.body, &deployment) == 0) {
                in->deployment = true;
                in->paused = deployment.paused;
                in->rolling = deployment.rolling;
                in->current = strcmp(set.revision, deployment.revision) == 0;
                in->going = deployment.replicas == 0 || deployment.deleting;
        }
        json_decref(answer.body);
}

static const char *words(KubeStrategy s) {
        static const char *const texts[_KUBE_STRATEGY_MAX] = {
                [KUBE_STRATEGY_DETACH] = "detach: a replacement first, so no capacity is lost",
                [KUBE_STRATEGY_EVICT] = "evict: one replica less until it has been made anew",
                [KUBE_STRATEGY_HINT] = "hint: the CloneSet replaces it, within its maxUnavailable",
                [KUBE_STRATEGY_IN_PLACE] = "in place: the main container is restarted, no other pod comes",
                [KUBE_STRATEGY_SIGNAL] = "signal: SIGTERM to the main process, nothing else",
        };

        return texts[s];
}

/* Why not the one that its owner is made for. */
static void find_better(Doctor *d, const KubePlan *plan, const char *owner) {
        static const struct {
                KubeStrategy strategy;
                const char *owner, *name; /* NULL: any */
        } all[] = {
                {KUBE_STRATEGY_DETACH, "ReplicaSet", "not-detach"},
                {KUBE_STRATEGY_HINT, "CloneSet", "not-hint"},
                {KUBE_STRATEGY_EVICT, NULL, "not-evict"},
                {KUBE_STRATEGY_IN_PLACE, NULL, "not-in-place"},
        };

        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                KubeStrategy s = all[i].strategy;

                if (s == plan->strategy)
                        return;
                if (plan->why[s][0] && (!all[i].owner || strcmp(owner, all[i].owner) == 0))
                        doctor_find(d, "rotate", all[i].name, DOCTOR_NONE, "not %s: %s", kube_strategy_name(s),
                                    plan->why[s]);
        }
}

void doctor_plan(Doctor *d, DoctorApi *a, const DoctorPlan *p) {
        const KubeOptions *o = d->settings ? &d->settings->kube : NULL;
        KubePodLens lens = {.main = doctor_api_config(a)->container,
                            .alive_port = o && o->port ? o->port : PORT_DEFAULT};
        KubePlanInput in = {.api = true,
                            .patch = p->patch,
                            .evict = p->evict,
                            .list = p->list,
                            .evict_refused = p->evict_refused,
                            .eta_usec = USEC_INFINITY};
        KubePlan plan;
        KubePod pod;
        bool best;

        if (kube_pod_decode(p->pod, &lens, &pod) < 0)
                return;
        in.pod_known = true;
        in.owner = pod.has_owner ? pod.owner.kind : "";
        in.owner_api = pod.has_owner ? pod.owner.api_version : "";
        in.mirror = pod.mirror;
        in.one_shot = pod.one_shot;
        in.template_hash = pod.template_hash[0] != '\0';
        in.rwo_claim = pod.has_rwo_claim_possible;
        in.host_port = pod.has_host_port;
        in.hard_anti_affinity = pod.has_hard_anti_affinity;
        in.argo = pod.rollouts_hash;
        in.current = true;
        in.alive_probe = pod.main_has_liveness_alive;
        in.may_signal = d->target.pid > 0 && kill(d->target.pid, 0) == 0;
        look_at_owner(a, p->set, &in);
        kube_plan(&in, o ? o->strategy : KUBE_STRATEGY_AUTO, &plan);
        best = plan.strategy == KUBE_STRATEGY_DETACH || plan.strategy == KUBE_STRATEGY_HINT ||
               (plan.strategy == KUBE_STRATEGY_EVICT && strcmp(in.owner, "ReplicaSet") != 0);
        if (plan.works)
                doctor_find(d, "rotate", "kubernetes", best ? DOCTOR_GOOD : DOCTOR_HALF, "%s", words(plan.strategy));
        else
                doctor_find(d, "rotate", "kubernetes", o && o->enabled ? DOCTOR_BAD : DOCTOR_HALF,
                            "nothing works here, not even a signal: %s", plan.why[KUBE_STRATEGY_SIGNAL]);
        find_better(d, &plan, in.owner);
}
