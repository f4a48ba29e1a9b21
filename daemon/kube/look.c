/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube-internal.h"

#include <stdio.h>
#include <string.h>

#define RESIZE_USEC      (10 * USEC_PER_SEC)
#define RESIZE_ETA_USEC  (10 * USEC_PER_MINUTE)
#define FRESH_USEC       (20 * USEC_PER_SEC)
#define RETRY_START_USEC (15 * USEC_PER_SEC) /* while nothing is known of our own pod */
#define ACCESS_USEC      (10 * USEC_PER_MINUTE) /* rights are given and taken while a pod lives */
#define NET_FAILURES     2u                  /* in a row: the API is away */

/* How often each is read in a state; 0 = not at all. In NORMAL only while a rotation is wanted, and the pod until it is
 * known: at rest nothing is asked. A fleet that waits for its turn asks rarely; whose turn it is looks anew before it
 * begins (look_refresh). Together within the client's one request a second. */
static const uint8_t every_s[_KUBE_STATE_MAX][_LOOK_MAX] = {
        [KUBE_STATE_NORMAL] = {[LOOK_POD] = 120, [LOOK_OWNER] = 120, [LOOK_DEPLOYMENT] = 120},
        [KUBE_STATE_LEASE_WAIT] = {[LOOK_POD] = 60, [LOOK_OWNER] = 60, [LOOK_DEPLOYMENT] = 60},
        [KUBE_STATE_SURGING] = {[LOOK_POD] = 3},
        [KUBE_STATE_WAIT_READY] = {[LOOK_POD] = 6, [LOOK_OWNER] = 8, [LOOK_DEPLOYMENT] = 10},
        [KUBE_STATE_UNREADY] = {[LOOK_POD] = 5},
        [KUBE_STATE_DRAINING] = {[LOOK_POD] = 5},
        [KUBE_STATE_TERMINATING] = {[LOOK_POD] = 2},
        [KUBE_STATE_IN_PLACE] = {[LOOK_POD] = 15},
        [KUBE_STATE_SIGNALLED] = {[LOOK_POD] = 15},
        [KUBE_STATE_ABORTING] = {[LOOK_POD] = 2},
        [KUBE_STATE_DONE] = {[LOOK_POD] = 0},
};

bool look_api(const Kube *k) {
        return k->client && k->net_failures < NET_FAILURES && k->looks[LOOK_POD].answered_usec > 0;
}

void look_note(Kube *k, const KubeAnswer *a) {
        bool was = look_api(k), away = a->error == KUBE_E_NET || a->error == KUBE_E_UNAUTHORIZED ||
                                       a->error == KUBE_E_SERVER || a->error == KUBE_E_ANSWER;

        k->net_failures = away ? k->net_failures + 1 : 0;
        snprintf(k->last_error, sizeof(k->last_error), "%.199s", a->error == KUBE_OK ? "" : a->why);
        if (was != look_api(k))
                kube_changed(k);
}

/* ---- our pod ---- */

void look_take_pod(Kube *k, const KubePod *pod, uint64_t now) {
        bool first = !k->pod_known;

        if (k->config.uid[0] && strcmp(pod->uid, k->config.uid) != 0) { /* our name, another pod */
                k->pod_gone = true;
                return;
        }
        if (!k->config.uid[0])
                snprintf(k->config.uid, sizeof(k->config.uid), "%s", pod->uid);
        k->pod = *pod;
        k->pod_known = true;
        k->pod_in_doubt = false;
        if (!k->limit_first_bytes)
                k->limit_first_bytes = pod->main_limit_bytes;
        if (first && !k->resumed)
                rotate_resume(k, pod->state_json, now);
        if (first)
                kube_changed(k);
}

static void on_pod(void *userdata, const KubeAnswer *a, const KubePod *pod) {
        Kube *k = userdata;
        Look1 *l = &k->looks[LOOK_POD];
        uint64_t now = now_boot_usec();

        l->call = NULL;
        l->failed = a->error != KUBE_OK;
        look_note(k, a);
        if (pod)
                look_take_pod(k, pod, now);
        else if (a->error == KUBE_E_NOT_FOUND)
                k->pod_gone = true;
        if (!l->failed || a->error == KUBE_E_FORBIDDEN || a->error == KUBE_E_NOT_FOUND) {
                if (!l->answered_usec)
                        kube_changed(k);
                l->answered_usec = now;
        }
        if (k->reply_next != KUBE_REPLY_NONE) { /* a command's answer that was waiting to be seen in the pod */
                k->reply = k->reply_next;
                k->reply_next = KUBE_REPLY_NONE;
        }
        rotate_step(k, NULL, now);
}

static int ask_pod(Kube *k, KubeCall **ret) {
        return kube_pod_get(k->client, k->config.pod, on_pod, k, ret);
}

void look_pod_now(Kube *k, uint64_t now) {
        Look1 *l = &k->looks[LOOK_POD];

        if (l->call)
                l->call = kube_call_cancel(l->call); /* it may have been answered before the command was */
        l->asked_usec = now;
        if (ask_pod(k, &l->call) < 0)
                l->call = NULL;
}

/* ---- its owners ---- */

static void took(Kube *k, LookKind kind, const KubeAnswer *a) {
        Look1 *l = &k->looks[kind];

        l->call = NULL;
        l->failed = a->error != KUBE_OK;
        l->answered_usec = now_boot_usec(); /* also a refusal is an answer */
        look_note(k, a);
}

static void on_set(void *userdata, const KubeAnswer *a, const KubeReplicaSet *set) {
        Kube *k = userdata;

        took(k, LOOK_OWNER, a);
        if (set && !k->set_known)
                kube_changed(k);
        if (set) {
                k->set = *set;
                k->set_known = true;
        }
        rotate_step(k, NULL, now_boot_usec());
}

static void on_deployment(void *userdata, const KubeAnswer *a, const KubeDeployment *deployment) {
        Kube *k = userdata;

        took(k, LOOK_DEPLOYMENT, a);
        if (deployment && !k->deployment_known)
                kube_changed(k);
        if (deployment) {
                k->deployment = *deployment;
                k->deployment_known = true;
        }
        rotate_step(k, NULL, now_boot_usec());
}

static bool is_set(const KubePod *p) {
        return p->has_owner && strcmp(p->owner.kind, "ReplicaSet") == 0;
}

static bool has_set(const Kube *k) {
        return k->pod_known && (is_set(&k->pod) || k->set_known || k->owner[0]);
}

/* Once detached, the pod names it no more. */
static int ask_owner(Kube *k, KubeCall **ret) {
        const char *name = is_set(&k->pod) ? k->pod.owner.name : k->set_known ? k->set.name : k->owner;

        return has_set(k) && name[0] ? kube_replicaset_get(k->client, name, on_set, k, ret) : -ENOENT;
}

static bool is_deployment(const KubeReplicaSet *s) {
        return s->has_deployment && strcmp(s->deployment.kind, "Deployment") == 0;
}

static int ask_deployment(Kube *k, KubeCall **ret) {
        return k->set_known && is_deployment(&k->set)
                       ? kube_deployment_get(k->client, k->set.deployment.name, on_deployment, k, ret)
                       : -ENOENT;
}

const char *look_workload(const Kube *k) {
        if (k->set_known && k->set.has_deployment)
                return k->set.deployment.name;
        if (k->set_known)
                return k->set.name;
        return k->pod_known && k->pod.has_owner && strcmp(k->pod.owner.kind, "ReplicaSet") != 0 ? k->pod.owner.name
                                                                                                : "";
}

const char *look_template_hash(const Kube *k) {
        return k->pod.template_hash[0] ? k->pod.template_hash : k->hash;
}

/* ---- what we may ---- */

static void ask_access(Kube *k);

static void on_access(void *userdata, const KubeAnswer *a, KubeAccess access) {
        Kube *k = userdata;

        k->access_call = NULL;
        look_note(k, a);
        k->access[k->access_next++] = access;
        if (k->access_next == _ACCESS_MAX)
                kube_changed(k);
        else
                ask_access(k);
}

static void ask_access(Kube *k) {
        static const struct {
                const char *verb, *group, *resource, *sub;
                bool own;
        } rows[_ACCESS_MAX] = {
                [ACCESS_PATCH] = {"patch", "", "pods", NULL, true},
                [ACCESS_EVICT] = {"create", "", "pods", "eviction", true},
                [ACCESS_LIST] = {"list", "", "pods", NULL, false},
                [ACCESS_ENDPOINTS] = {"list", "discovery.k8s.io", "endpointslices", NULL, false},
                [ACCESS_DELETE] = {"delete", "", "pods", NULL, true},
                [ACCESS_RESIZE] = {"patch", "", "pods", "resize", true},
                [ACCESS_GATE] = {"patch", "", "pods", "status", true},
        };

        while (k->access_next < _ACCESS_MAX) {
                unsigned i = k->access_next;
                bool asked = (i != ACCESS_DELETE || k->options.evict_past_budget) &&
                             (i != ACCESS_RESIZE || k->options.headroom_ratio > 0) &&
                             (i != ACCESS_GATE || k->options.readiness_gate[0]);

                if (asked && kube_access(k->client, rows[i].verb, rows[i].group, rows[i].resource, rows[i].sub,
                                         rows[i].own ? k->config.pod : NULL, on_access, k, &k->access_call) == 0)
                        return;
                k->access_next++;
        }
}

/* ---- when ---- */

typedef int (*AskFn)(Kube *k, KubeCall **ret);

static const AskFn ask[_LOOK_MAX] = {
        [LOOK_POD] = ask_pod,
        [LOOK_OWNER] = ask_owner,
        [LOOK_DEPLOYMENT] = ask_deployment,
};

/* @every: at least so long after the last one was asked. */
static void mind_one(Kube *k, LookKind kind, uint64_t every_usec, uint64_t now) {
        Look1 *l = &k->looks[kind];

        if (l->call || (l->asked_usec && now < l->asked_usec + every_usec))
                return;
        if (ask[kind](k, &l->call) < 0)
                l->call = NULL; /* what it is asked by is not known yet: as soon as it is */
        else
                l->asked_usec = now;
}

/* At the start: who we are, whose, and what we may. */
static void mind_start(Kube *k, uint64_t now) {
        if (!k->looks[LOOK_POD].answered_usec) {
                mind_one(k, LOOK_POD, RETRY_START_USEC, now);
                return;
        }
        if (has_set(k) && !k->set_known)
                mind_one(k, LOOK_OWNER, RETRY_START_USEC, now);
        if (k->set_known && is_deployment(&k->set) && !k->deployment_known)
                mind_one(k, LOOK_DEPLOYMENT, 10 * USEC_PER_MINUTE, now);
        if (!k->access_call && k->access_next == 0) {
                k->access_usec = now;
                ask_access(k);
        }
}

/* What the node has not given yet is waited for while it matters: then more may be asked for. */
static bool is_resizing(const Kube *k) {
        return k->machine.resized && k->pod_known && k->need.eta_lo_usec < RESIZE_ETA_USEC &&
               k->pod.main_limit_bytes != k->pod.status_limit_bytes;
}

void look_mind(Kube *k, uint64_t now) {
        KubeState s = k->machine.state;

        if (!k->client || k->pod_gone)
                return;
        mind_start(k, now);
        if (!k->looks[LOOK_POD].answered_usec || (s == KUBE_STATE_NORMAL && !k->need.rotate))
                return;
        if (is_resizing(k))
                mind_one(k, LOOK_POD, RESIZE_USEC, now);
        for (LookKind i = 0; i < _LOOK_MAX; i++)
                if (every_s[s][i])
                        mind_one(k, i, every_s[s][i] * USEC_PER_SEC, now);
}

void look_refresh(Kube *k, uint64_t now) {
        if (!k->client || k->pod_gone || !k->looks[LOOK_POD].answered_usec)
                return;
        if (!k->access_call && k->access_next == _ACCESS_MAX && now >= k->access_usec + ACCESS_USEC) {
                k->access_next = 0; /* what was true remains until it is answered */
                k->access_usec = now;
                ask_access(k);
        }
        for (LookKind i = 0; i < _LOOK_MAX; i++)
                mind_one(k, i, FRESH_USEC / 2, now);
        foresee_again(k, now);
}

/* A look that is refused or fails has been answered too: the plan then does without. */
static bool is_answered(const Kube *k, uint64_t since) {
        for (LookKind i = 0; i < _LOOK_MAX; i++) {
                const Look1 *l = &k->looks[i];
                bool applies = i == LOOK_POD ||
                               (has_set(k) && (i != LOOK_DEPLOYMENT || (k->set_known && is_deployment(&k->set))));

                if (applies && !l->failed && (!l->answered_usec || l->answered_usec < since))
                        return false;
        }
        return k->access_next == _ACCESS_MAX;
}

bool look_is_known(const Kube *k) {
        if (k->client && !k->looks[LOOK_POD].answered_usec && k->net_failures < NET_FAILURES)
                return false; /* just started: neither answered nor away */
        return !look_api(k) || is_answered(k, 1);
}

bool look_is_fresh(const Kube *k, uint64_t now) {
        return !look_api(k) || (is_answered(k, now - min_of(now, FRESH_USEC)) && !k->foresight.call);
}

void look_done(Kube *k) {
        foresee_done(k);
        for (LookKind i = 0; i < _LOOK_MAX; i++)
                if (k->looks[i].call)
                        k->looks[i].call = kube_call_cancel(k->looks[i].call);
        if (k->access_call)
                k->access_call = kube_call_cancel(k->access_call);
}
