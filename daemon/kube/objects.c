/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/objects.h"

#include <string.h>

#include "kube/fields.h"

#define TEXT(o, path, field) kube_field_text(o, path, field, sizeof(field))

/* EndpointSlices hold 1000 endpoints at most (discovery/v1). */
#define ENDPOINTS_MAX 1000u

static int32_t field_i32(const json_t *o, const char *path, int32_t absent) {
        uint64_t v;

        return kube_field_u64(o, path, &v) ? (int32_t)min_of(v, (uint64_t)INT32_MAX) : absent;
}

static bool has_identity(const json_t *o, char name[static KUBE_NAME_MAX], char uid[static KUBE_UID_MAX]) {
        return kube_field_text(o, "metadata name", name, KUBE_NAME_MAX) &&
               kube_field_text(o, "metadata uid", uid, KUBE_UID_MAX);
}

int kube_replicaset_decode(const json_t *o, KubeReplicaSet *ret) {
        const json_t *failure = kube_field_condition(o, "ReplicaFailure");

        *ret = (KubeReplicaSet){0};
        if (!has_identity(o, ret->name, ret->uid))
                return -EINVAL;
        ret->has_deployment = kube_owner_decode(o, &ret->deployment);
        TEXT(o, "metadata labels pod-template-hash", ret->template_hash);
        TEXT(o, "metadata annotations deployment.kubernetes.io/revision", ret->revision);
        ret->replicas = field_i32(o, "spec replicas", 1); /* the API's default */
        ret->ready = field_i32(o, "status readyReplicas", 0);
        ret->deleting = kube_field(o, "metadata deletionTimestamp");
        if (strcmp(kube_field_str(failure, "status"), "True") == 0) {
                const char *message = kube_field_str(failure, "message");

                snprintf(ret->replicafailure, sizeof(ret->replicafailure), "%s", *message ? message : "unknown");
        }
        return 0;
}

/* As `kubectl rollout status` judges it. Without a status nothing is settled. */
static bool is_rolling(const json_t *o, int32_t replicas) {
        int32_t updated = field_i32(o, "status updatedReplicas", 0), all = field_i32(o, "status replicas", 0);
        uint64_t generation = 0, observed = 0;

        (void)kube_field_u64(o, "metadata generation", &generation);
        (void)kube_field_u64(o, "status observedGeneration", &observed);
        return observed < generation || updated < replicas || all > updated;
}

int kube_deployment_decode(const json_t *o, KubeDeployment *ret) {
        *ret = (KubeDeployment){0};
        if (!has_identity(o, ret->name, ret->uid))
                return -EINVAL;
        TEXT(o, "metadata annotations deployment.kubernetes.io/revision", ret->revision);
        ret->paused = kube_field_true(o, "spec paused");
        ret->deleting = kube_field(o, "metadata deletionTimestamp");
        ret->replicas = field_i32(o, "spec replicas", 1);
        ret->min_ready_s = field_i32(o, "spec minReadySeconds", 0);
        ret->available = field_i32(o, "status availableReplicas", 0);
        ret->rolling = is_rolling(o, ret->replicas);
        return 0;
}

void kube_endpoint_add(KubeEndpoint *e, const json_t *slice, const char *uid) {
        const json_t *endpoints = kube_field(slice, "endpoints");
        size_t n = json_array_size(endpoints);
        bool here = false;

        for (size_t i = 0; i < n && i < ENDPOINTS_MAX; i++) {
                const json_t *p = json_array_get(endpoints, i);

                if (strcmp(kube_field_str(p, "targetRef uid"), uid) != 0 || !*uid)
                        continue;
                here = true;
                /* absent is unknown, which consumers take as ready (discovery/v1 EndpointConditions) */
                e->ready |= !json_is_false(kube_field(p, "conditions ready"));
                e->serving |= !json_is_false(kube_field(p, "conditions serving"));
                e->terminating |= kube_field_true(p, "conditions terminating");
        }
        e->present |= here;
        e->n_slices += here;
}

KubeAccess kube_access_decode(const json_t *o) {
        const json_t *allowed = kube_field(o, "status allowed");

        return (KubeAccess){.known = json_is_boolean(allowed), .allowed = json_is_true(allowed)};
}

bool kube_object_is(const json_t *o, const char *kind) {
        const char *k = kube_field_str(o, "kind");

        return json_is_object(o) && (!*k || strcmp(k, kind) == 0);
}
