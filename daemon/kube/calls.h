/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of the Kubernetes API that are made, one function each: names in, decoded objects out. All are about the
 * namespace that the client's configuration names.
 *
 * Reading is tried again twice by the client; writing is tried once, because only who asked knows whether doing it
 * twice is safe: KUBE_E_NET and KUBE_E_SERVER then mean that it may or may not have been done. Every call is over
 * within 25 s, an eviction within 17 s, others that write within 7 s.
 *
 * All: Return 0; -EINVAL: a name, uid or number that cannot be one; -ENOMEM. Then nothing is called back. Callbacks
 * come from the loop, once, and may do anything, also free the client. @ret may be NULL; it is invalid from then on.
 */
#pragma once

#include "kube/client.h"
#include "kube/objects.h"

typedef struct KubeCall KubeCall;

/* @a->error is KUBE_OK exactly if there is an object; an answer that cannot be decoded is KUBE_E_ANSWER. Objects and
 * answer end with the call; json_incref(a->body) keeps the JSON. */
typedef void (*KubePodFn)(void *userdata, const KubeAnswer *a, const KubePod *pod);
typedef void (*KubeReplicaSetFn)(void *userdata, const KubeAnswer *a, const KubeReplicaSet *set);
typedef void (*KubeDeploymentFn)(void *userdata, const KubeAnswer *a, const KubeDeployment *deployment);
typedef void (*KubeAccessFn)(void *userdata, const KubeAnswer *a, KubeAccess access);
typedef void (*KubePodEachFn)(void *userdata, const KubePod *pod); /* must not free the client or cancel the call */

typedef enum KubePatch {
        KUBE_PATCH_JSON,      /* an array of operations (RFC 6902) */
        KUBE_PATCH_MERGE,     /* RFC 7396 */
        KUBE_PATCH_STRATEGIC, /* lists by their merge keys; Kubernetes' own */
        _KUBE_PATCH_MAX,
} KubePatch;

/* kube_call_cancel() - forget it; the server may still do it. Return: NULL. */
KubeCall *kube_call_cancel(KubeCall *call);

/* kube_pod_lens() - with which this client's pods are decoded. Owner: the client. */
KubePodLens kube_pod_lens(const KubeClient *c);

/* kube_pod_get() - one pod of any name: our own, or the holder of a slot. */
int kube_pod_get(KubeClient *c, const char *name, KubePodFn done, void *userdata, KubeCall **ret) _must_check_;

/**
 * kube_pods_list() - all pods with @selector, page by page
 * @selector: a label selector, "plateau.dev/rotation,app=web"; NULL = all
 * @each:     each pod, in the server's order; one without name and uid is left out
 * @done:     after the last page, or at the first failure; pods may have been told by then
 */
int kube_pods_list(KubeClient *c, const char *selector, KubePodEachFn each, KubeDoneFn done, void *userdata,
                   KubeCall **ret) _must_check_;

/* kube_pod_patch() - metadata and spec. @done gets the pod as it is then. A JSON patch whose test failed is
 * KUBE_E_INVALID (422), and so is a wrong one. */
int kube_pod_patch(KubeClient *c, const char *name, KubePatch type, const json_t *patch, KubePodFn done, void *userdata,
                   KubeCall **ret) _must_check_;
/* kube_pod_status_patch() - conditions: KUBE_PATCH_STRATEGIC merges them by their type. */
int kube_pod_status_patch(KubeClient *c, const char *name, KubePatch type, const json_t *patch, KubePodFn done,
                          void *userdata, KubeCall **ret) _must_check_;
/* kube_pod_resize() - a strategic patch of spec.containers[].resources by the subresource resize (Kubernetes 1.33). */
int kube_pod_resize(KubeClient *c, const char *name, const json_t *patch, KubePodFn done, void *userdata,
                    KubeCall **ret) _must_check_;

/**
 * kube_pod_evict() - ask for its removal, within its disruption budget
 * @uid:     of the pod that is meant: another one of that name is KUBE_E_CONFLICT
 * @grace_s: overrides the pod's own; -1 = leave it. 0 would be a kill without notice and is -EINVAL
 * @dry_run: all checks, no effect
 * Hazard: the answer may be lost although the pod goes: ask again, the uid makes it safe.
 */
int kube_pod_evict(KubeClient *c, const char *name, const char *uid, int64_t grace_s, bool dry_run, KubeDoneFn done,
                   void *userdata, KubeCall **ret) _must_check_;
/* kube_pod_delete() - the same past every budget. */
int kube_pod_delete(KubeClient *c, const char *name, const char *uid, int64_t grace_s, KubeDoneFn done, void *userdata,
                    KubeCall **ret) _must_check_;

/* Owners. */
int kube_replicaset_get(KubeClient *c, const char *name, KubeReplicaSetFn done, void *userdata,
                        KubeCall **ret) _must_check_;
int kube_deployment_get(KubeClient *c, const char *name, KubeDeploymentFn done, void *userdata,
                        KubeCall **ret) _must_check_;

/* kube_event_create() - @event: events.k8s.io/v1 Event, in our namespace. */
int kube_event_create(KubeClient *c, const json_t *event, KubeDoneFn done, void *userdata, KubeCall **ret) _must_check_;
/* kube_event_patch() - a merge patch, for its series. */
int kube_event_patch(KubeClient *c, const char *name, const json_t *patch, KubeDoneFn done, void *userdata,
                     KubeCall **ret) _must_check_;

/* kube_access() - may we? @group: "" = core; @subresource, @name: NULL = none. Nothing is done by asking. */
int kube_access(KubeClient *c, const char *verb, const char *group, const char *resource, const char *subresource,
                const char *name, KubeAccessFn done, void *userdata, KubeCall **ret) _must_check_;
