/* SPDX-License-Identifier: Apache-2.0
 *
 * The other objects of the API that a rotation looks at. Pure; plain, bounded data; what is absent, of another type or
 * too long is "", 0 or false.
 */
#pragma once

#include "kube/pod.h"

typedef struct KubeReplicaSet {
        char name[KUBE_NAME_MAX], uid[KUBE_UID_MAX], template_hash[64];
        char revision[32]; /* annotation deployment.kubernetes.io/revision */
        bool has_deployment;
        KubeOwner deployment;    /* or another controller: see its kind and api_version */
        int32_t replicas, ready; /* wanted by the spec; ready as last seen */
        bool deleting;
        char replicafailure[128]; /* message of condition ReplicaFailure, cut: quota, admission */
} KubeReplicaSet;

typedef struct KubeDeployment {
        char name[KUBE_NAME_MAX], uid[KUBE_UID_MAX], revision[32];
        bool paused, deleting;
        int32_t replicas, min_ready_s;
        int32_t available; /* pods of any template, for min_ready_s */
        bool rolling; /* pods of an older template are left, or the controller has not seen the last change */
} KubeDeployment;

typedef struct KubeEndpoint {
        bool present;
        bool ready; /* in any of them */
        bool serving, terminating;
        unsigned n_slices; /* that name us */
} KubeEndpoint;

typedef struct KubeAccess {
        bool known, allowed;
} KubeAccess;

/* All: Return: 0; -EINVAL: without a name or uid that fits. @ret is undefined then. */
int kube_replicaset_decode(const json_t *o, KubeReplicaSet *ret) _must_check_;
int kube_deployment_decode(const json_t *o, KubeDeployment *ret) _must_check_;

/* kube_endpoint_add() - add to @e what EndpointSlice @slice says of the pod @uid. */
void kube_endpoint_add(KubeEndpoint *e, const json_t *slice, const char *uid);

/* kube_access_decode() - a SelfSubjectAccessReview. Without a boolean in status.allowed nothing is known. */
KubeAccess kube_access_decode(const json_t *o);

/* kube_object_is() - whether @o is of @kind; objects inside lists do not say theirs, and pass. */
bool kube_object_is(const json_t *o, const char *kind);
