/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the API server knows: the pod as it stands there, who owns it, what our ServiceAccount may do, whether the
 * slots are there. Which way to rotate is judged by doctor-plan.
 */
#include "cli/doctor.h"

#include <stdio.h>
#include <string.h>

#include "cli/doctor-api.h"
#include "cli/doctor-plan.h"

#define NAME_MAX_ 254
#define PATH_MAX_ 640

typedef struct PodFacts {
        char owner_kind[64], owner_name[NAME_MAX_]; /* the controller */
        char workload[NAME_MAX_];                   /* its own controller, if it is a ReplicaSet: the Deployment */
        bool shares_processes, has_ready, has_alive, has_limit;
        char main[64];
        unsigned n_mains;
} PodFacts;

static const char *text_of(const json_t *object, const char *key) {
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "";
}

static void copy(char *dest, size_t size, const char *text) {
        snprintf(dest, size, "%s", strlen(text) < size ? text : ""); /* what is cut is another's name */
}

static const json_t *controller_of(const json_t *object) {
        const json_t *o;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(object, "metadata"), "ownerReferences"), i,
                           o) if (json_is_true(json_object_get(o, "controller"))) return o;
        return NULL;
}

static bool leads_to(const json_t *container, const char *probe, const char *path) {
        const json_t *get = json_object_get(json_object_get(container, probe), "httpGet");

        return strcmp(text_of(get, "path"), path) == 0;
}

static bool is_sidecar(const json_t *container) {
        return strcmp(text_of(container, "name"), "plateau") == 0;
}

static void read_containers(const json_t *list, const char *main, PodFacts *f) {
        const json_t *c, *limits;
        size_t i;

        json_array_foreach(list, i, c) {
                if (is_sidecar(c)) {
                        f->has_ready = f->has_ready || leads_to(c, "readinessProbe", "/ready");
                        continue;
                }
                f->n_mains++;
                if (main[0] ? strcmp(text_of(c, "name"), main) != 0 : f->main[0] != '\0')
                        continue;
                copy(f->main, sizeof(f->main), text_of(c, "name"));
                limits = json_object_get(json_object_get(c, "resources"), "limits");
                f->has_limit = json_object_get(limits, "memory") != NULL;
                f->has_alive = leads_to(c, "livenessProbe", "/alive");
        }
}

static void read_pod(const json_t *pod, const char *main, PodFacts *f) {
        const json_t *spec = json_object_get(pod, "spec"), *owner = controller_of(pod), *c;
        size_t i;

        *f = (PodFacts){.shares_processes = json_is_true(json_object_get(spec, "shareProcessNamespace"))};
        if (owner) {
                copy(f->owner_kind, sizeof(f->owner_kind), text_of(owner, "kind"));
                copy(f->owner_name, sizeof(f->owner_name), text_of(owner, "name"));
                copy(f->workload, sizeof(f->workload), f->owner_name);
        }
        read_containers(json_object_get(spec, "containers"), main, f);
        json_array_foreach(json_object_get(spec, "initContainers"), i, c) /* a native sidecar is one of these */
                if (is_sidecar(c)) f->has_ready = f->has_ready || leads_to(c, "readinessProbe", "/ready");
}

/* ---- the pod ---- */

static void find_wiring(Doctor *d, const PodFacts *f, bool told) {
        if (f->n_mains > 1 && !told) {
                doctor_find(d, "pod", "main", DOCTOR_HALF,
                            "%u containers beside this one: %s is taken for the main one", f->n_mains, f->main);
                doctor_change(d, "in the sidecar's env: {name: PLATEAU_CONTAINER, value: NAME}");
        }
        if (!f->shares_processes) {
                doctor_find(d, "pod", "shared-processes", DOCTOR_BAD, "containers do not see each other's processes");
                doctor_change(d, "in the pod's spec: shareProcessNamespace: true");
        }
        if (!f->has_limit) {
                doctor_find(d, "pod", "limit", DOCTOR_BAD, "container %s has no memory limit", f->main);
                doctor_change(d, "in container %s: resources: {limits: {memory: SIZE}}", f->main);
        }
        if (!f->has_ready) {
                doctor_find(d, "pod", "readiness", DOCTOR_HALF, "the pod cannot leave its Services before it goes");
                doctor_change(d, "in the sidecar: readinessProbe: {httpGet: {path: /ready, port: 9464}, "
                                 "periodSeconds: 1, failureThreshold: 3}");
        } else
                doctor_find(d, "pod", "readiness", DOCTOR_GOOD, "readiness is wired: the pod can leave its Services");
        if (!f->has_alive) {
                doctor_find(d, "pod", "liveness", DOCTOR_HALF,
                            "container %s does not ask /alive: the kubelet cannot restart it in place", f->main);
                doctor_change(d,
                              "in container %s: livenessProbe: {httpGet: {path: /alive, port: 9464}, "
                              "periodSeconds: 10, failureThreshold: 3}",
                              f->main);
        } else
                doctor_find(d, "pod", "liveness", DOCTOR_GOOD, "liveness is wired: main can be restarted in place");
}

/* What is configured cannot be done without the API. */
static bool needs_rights(const Doctor *d) {
        const KubeOptions *o = d->settings ? &d->settings->kube : NULL;

        return o && o->enabled && o->strategy != KUBE_STRATEGY_AUTO && o->strategy != KUBE_STRATEGY_IN_PLACE &&
               o->strategy != KUBE_STRATEGY_SIGNAL;
}

/* Return: the pod; NULL = it cannot be read, and that was told. Owner: caller. */
static json_t *find_pod(Doctor *d, DoctorApi *a, PodFacts *f) {
        const KubeConfig *c = doctor_api_config(a);
        char path[PATH_MAX_];
        KubeAnswer answer;

        snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", c->namespace_, c->pod);
        doctor_api_ask(a, "GET", path, NULL, &answer);
        if (answer.error == KUBE_OK) {
                read_pod(answer.body, c->container, f);
                doctor_find(d, "pod", "api", DOCTOR_GOOD, "the API server answers; owner: %s%s%s",
                            f->owner_kind[0] ? f->owner_kind : "none", f->owner_kind[0] ? " " : "", f->owner_name);
        } else if (answer.error == KUBE_E_FORBIDDEN) {
                doctor_find(d, "pod", "api", needs_rights(d) ? DOCTOR_BAD : DOCTOR_HALF,
                            "the API server answers, but its ServiceAccount may not read this pod: in place or by "
                            "signal only");
                doctor_change(
                        d, "RBAC: {apiGroups: [\"\"], resources: [pods], verbs: [get]}: rbac/t1-evict, or t2-detach");
        } else {
                doctor_find(d, "pod", "api", d->settings && d->settings->kube.enabled ? DOCTOR_BAD : DOCTOR_HALF,
                            "no answer about this pod: %.200s", answer.why);
                if (answer.error == KUBE_E_NET)
                        doctor_change(d, "a network policy that lets this pod reach %s", c->base_url);
        }
        if (answer.error == KUBE_OK)
                return answer.body;
        json_decref(answer.body);
        return NULL;
}

/* A ReplicaSet's Deployment names the slots; where it cannot be read, its name without the hash would be a guess, so
 * then it is not known. Return: the ReplicaSet; NULL = it has none, or it cannot be read. Owner: caller. */
static json_t *find_workload(DoctorApi *a, PodFacts *f) {
        char path[PATH_MAX_];
        const json_t *owner;
        KubeAnswer answer;

        if (strcmp(f->owner_kind, "ReplicaSet") != 0)
                return NULL;
        snprintf(path, sizeof(path), "/apis/apps/v1/namespaces/%s/replicasets/%s", doctor_api_config(a)->namespace_,
                 f->owner_name);
        doctor_api_ask(a, "GET", path, NULL, &answer);
        if (answer.error != KUBE_OK) {
                f->workload[0] = '\0';
                json_decref(answer.body);
                return NULL;
        }
        owner = controller_of(answer.body);
        if (owner)
                copy(f->workload, sizeof(f->workload), text_of(owner, "name"));
        return answer.body;
}

/* ---- what we may ---- */

typedef struct Right {
        const char *name, *verb, *group, *resource, *subresource;
        const char *act, *gives; /* "may detach: a replacement first ..." */
        const char *folder;      /* of deploy/kustomize */
} Right;

enum { RIGHT_DETACH, RIGHT_EVICT, RIGHT_LIST }; /* of rights[] */

static const Right rights[] = {
        {"detach", "patch", "", "pods", "", "detach", "a replacement first, then this pod goes", "rbac/t2-detach"},
        {"evict", "create", "", "pods", "eviction", "evict", "this pod goes, within its disruption budget",
         "rbac/t1-evict"},
        {"list", "list", "", "pods", "", "list pods", "sees that its replacement is Ready", "rbac/t2-detach"},
        {"resize", "patch", "", "pods", "resize", "resize", "more memory where a rotation would be too late",
         "rbac/t3-resize"},
        {"events", "create", "events.k8s.io", "events", "", "write Events", "kubectl describe pod tells what happened",
         "rbac/t1-evict"},
};

static bool is_asked_for(const Doctor *d, const char *name) {
        const KubeOptions *o = d->settings ? &d->settings->kube : NULL;

        if (!o || !o->enabled)
                return false;
        if (strcmp(name, "events") == 0)
                return o->events;
        if (strcmp(name, "resize") == 0)
                return o->headroom_ratio > 0;
        return (strcmp(name, "detach") == 0 && o->strategy == KUBE_STRATEGY_DETACH) ||
               (strcmp(name, "evict") == 0 && o->strategy == KUBE_STRATEGY_EVICT);
}

static KubeRight find_right(Doctor *d, DoctorApi *a, const Right *r) {
        DoctorMark mark = is_asked_for(d, r->name) ? DOCTOR_BAD : DOCTOR_NONE;
        char why[256];
        int may = doctor_api_may(a, r->verb, r->group, r->resource, r->subresource, "", why, sizeof(why));

        if (may > 0) {
                doctor_find(d, "rights", r->name, DOCTOR_GOOD, "may %s: %s", r->act, r->gives);
                return KUBE_RIGHT_YES;
        }
        if (may < 0) {
                doctor_find(d, "rights", r->name, mark, "may it %s? not known: %.200s", r->act, why);
                return KUBE_RIGHT_UNKNOWN;
        }
        doctor_find(d, "rights", r->name, mark, "may not %s (%s)", r->act, r->gives);
        doctor_change(d, "RBAC: {apiGroups: [\"%s\"], resources: [%s%s%s], verbs: [%s]}: %s", r->group, r->resource,
                      r->subresource[0] ? "/" : "", r->subresource, r->verb, r->folder);
        return KUBE_RIGHT_NO;
}

/* As a dry run, said twice: admission and the budget's check are done, and nothing else. @refused: why it always would
 * be; "" = it would not. */
static void try_eviction(Doctor *d, DoctorApi *a, char *refused, size_t size) {
        const KubeConfig *c = doctor_api_config(a);
        char path[PATH_MAX_];
        KubeAnswer answer;
        json_t *body =
                json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:[s]}}", "apiVersion", "policy/v1", "kind", "Eviction",
                          "metadata", "name", c->pod, "namespace", c->namespace_, "deleteOptions", "dryRun", "All");

        if (!body)
                return;
        snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s/eviction?dryRun=All", c->namespace_, c->pod);
        doctor_api_ask(a, "POST", path, body, &answer);
        if (answer.error == KUBE_OK)
                doctor_find(d, "rights", "eviction", DOCTOR_GOOD, "an eviction would be let through now (dry run)");
        else {
                doctor_find(d, "rights", "eviction", DOCTOR_HALF, "an eviction would be refused now: %.250s",
                            answer.why);
                if (kube_error_is_for_good(answer.error))
                        snprintf(refused, size, "%s", answer.why);
                if (answer.error == KUBE_E_BUDGETS)
                        doctor_change(d, "leave one PodDisruptionBudget that selects this pod");
                else if (answer.error == KUBE_E_BUDGET)
                        doctor_change(d, "nothing, where it detaches: a replacement is Ready by then; else "
                                         "minAvailable one less than the replicas");
        }
        json_decref(answer.body);
}

static void find_slots(Doctor *d, DoctorApi *a, const PodFacts *f) {
        const KubeOptions *o = d->settings ? &d->settings->kube : NULL;
        char path[PATH_MAX_], name[NAME_MAX_ + 80], missing[NAME_MAX_ + 80] = "", why[256];
        unsigned there = 0, slots = o ? o->slots : 1;
        KubeAnswer answer;

        if (slots == 0)
                return;
        if (!f->workload[0] && !(o && o->slot_prefix[0])) {
                if (strcmp(f->owner_kind, "ReplicaSet") != 0)
                        return;
                doctor_find(
                        d, "slots", "leases", DOCTOR_HALF,
                        "no slots: ReplicaSet %s cannot be read, so which workload's is not known: each pod rotates "
                        "by itself",
                        f->owner_name);
                doctor_change(
                        d, "RBAC: {apiGroups: [apps], resources: [replicasets], verbs: [get]}; or kubernetes: {slots: "
                           "{prefix: plateau-WORKLOAD}}");
                return;
        }
        for (unsigned i = 0; i < slots; i++) {
                if (o && o->slot_prefix[0])
                        snprintf(name, sizeof(name), "%s-%u", o->slot_prefix, i);
                else
                        snprintf(name, sizeof(name), "plateau-%s-%u", f->workload, i);
                snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s",
                         doctor_api_config(a)->namespace_, name);
                doctor_api_ask(a, "GET", path, NULL, &answer);
                json_decref(answer.body);
                if (answer.error == KUBE_OK)
                        there++;
                else if (!missing[0]) {
                        snprintf(missing, sizeof(missing), "%s", name);
                        snprintf(why, sizeof(why), "%s", answer.why);
                }
        }
        if (there > 0 && there < slots) { /* those that are there do (kube/slots.h) */
                doctor_find(d, "slots", "leases", DOCTOR_HALF, "%u of %u slots: lease %s: %.200s", there, slots,
                            missing, why);
                doctor_change(d, "kubernetes: {slots: {max: %u}}; or make the Lease, and let us use it by name", there);
                return;
        }
        if (there == slots &&
            doctor_api_may(a, "patch", "coordination.k8s.io", "leases", "", name, why, sizeof(why)) == 1) {
                doctor_find(d, "slots", "leases", DOCTOR_GOOD, "%u slot%s: %s%s", slots, slots == 1 ? "" : "s", name,
                            slots == 1 ? "" : " the last");
                return;
        }
        if (there == slots) {
                doctor_find(d, "slots", "leases", o && o->enabled ? DOCTOR_BAD : DOCTOR_HALF, "may not patch lease %s",
                            name);
                doctor_change(d,
                              "RBAC: {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [%s], "
                              "verbs: [get, update, patch, watch]}",
                              name);
                return;
        }
        doctor_find(d, "slots", "leases", o && o->enabled ? DOCTOR_BAD : DOCTOR_HALF, "lease %s: %.200s", missing, why);
        doctor_change(d,
                      "make it beforehand: kind: Lease, metadata: {name: %s}, and let us get, update, patch, watch it",
                      missing);
}

void doctor_kube(Doctor *d) {
        KubeRight may[ELEMENTSOF(rights)];
        DoctorApi *a = NULL;
        json_t *pod, *set;
        char why[256] = "", refused[256] = "";
        PodFacts f;

        if (doctor_api_new(&a, why, sizeof(why)) < 0) {
                doctor_find(d, "pod", "api", d->settings && d->settings->kube.enabled ? DOCTOR_BAD : DOCTOR_NONE,
                            "no API: %.200s", why);
                return;
        }
        pod = find_pod(d, a, &f);
        if (pod) {
                find_wiring(d, &f, doctor_api_config(a)->container[0] != '\0');
                set = find_workload(a, &f);
                for (size_t i = 0; i < ELEMENTSOF(rights); i++)
                        may[i] = find_right(d, a, &rights[i]);
                if (may[RIGHT_EVICT] == KUBE_RIGHT_YES)
                        try_eviction(d, a, refused, sizeof(refused));
                doctor_plan(d, a,
                            &(DoctorPlan){pod, set, may[RIGHT_DETACH], may[RIGHT_EVICT], may[RIGHT_LIST],
                                          refused[0] ? refused : NULL});
                find_slots(d, a, &f);
                json_decref(set);
        }
        json_decref(pod);
        doctor_api_free(a);
}
