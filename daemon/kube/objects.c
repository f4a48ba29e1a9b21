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

int kube_lease_decode(const json_t *o, KubeLease *ret) {
        uint64_t transitions = 0;

        *ret = (KubeLease){0};
        if (!has_identity(o, ret->name, ret->uid))
                return -EINVAL;
        TEXT(o, "metadata resourceVersion", ret->resource_version);
        if (!TEXT(o, "spec holderIdentity", ret->holder) && *kube_field_str(o, "spec holderIdentity"))
                return -EINVAL; /* one that is too long is somebody, not nobody */
        (void)kube_field_u64(o, "spec leaseDurationSeconds", &ret->ttl_s);
        (void)kube_field_u64(o, "spec leaseTransitions", &transitions);
        ret->transitions = (uint32_t)min_of(transitions, (uint64_t)INT32_MAX);
        TEXT(o, "spec renewTime", ret->renew_time);
        TEXT(o, "spec acquireTime", ret->acquire_time);
        TEXT(o, "metadata annotations plateau.dev/learned", ret->note);
        return 0;
}

/* Of @o the object @key, made when it is not there. */
static json_t *child(json_t *o, const char *key) {
        json_t *v = json_object_get(o, key);

        if (!json_is_object(v) && json_object_set_new(o, key, json_object()) == 0)
                v = json_object_get(o, key);
        return v;
}

/* "" is "none": the API server refuses an empty time, and kubectl shows no empty holder. */
static bool put_text(json_t *o, const char *key, const char *text) {
        if (*text)
                return json_object_set_new(o, key, json_string(text)) == 0;
        (void)json_object_del(o, key);
        return true;
}

json_t *kube_lease_encode(const json_t *base, const KubeLease *l) {
        json_t *o = base ? json_deep_copy(base) : json_object(), *metadata = child(o, "metadata"),
               *spec = child(o, "spec"), *notes;
        bool good = true;

        (void)json_object_del(metadata, "managedFields");
        if (l->note[0] || json_object_get(metadata, "annotations")) {
                notes = child(metadata, "annotations");
                good = put_text(notes, "plateau.dev/learned", l->note);
        }
        good = good && put_text(o, "apiVersion", "coordination.k8s.io/v1") && put_text(o, "kind", "Lease") &&
               put_text(metadata, "name", l->name) && put_text(metadata, "uid", l->uid) &&
               put_text(metadata, "resourceVersion", l->resource_version) &&
               put_text(spec, "holderIdentity", l->holder) && put_text(spec, "renewTime", l->renew_time) &&
               put_text(spec, "acquireTime", l->acquire_time) &&
               json_object_set_new(spec, "leaseTransitions", json_integer(l->transitions)) == 0;
        if (l->ttl_s > 0)
                good = good &&
                       json_object_set_new(spec, "leaseDurationSeconds", json_integer((json_int_t)l->ttl_s)) == 0;
        else
                (void)json_object_del(spec, "leaseDurationSeconds");
        if (!good) {
                json_decref(o);
                return NULL;
        }
        return o;
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
