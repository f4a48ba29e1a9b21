/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/pod.h"

#include <string.h>

#include "kube/fields.h"
#include "util/parse.h"

#define TEXT(o, path, field) kube_field_text(o, path, field, sizeof(field))

bool kube_owner_decode(const json_t *o, KubeOwner *ret) {
        const json_t *owners = kube_field(o, "metadata ownerReferences");
        size_t n = json_array_size(owners);

        for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++) {
                const json_t *owner = json_array_get(owners, i);

                if (!kube_field_true(owner, "controller"))
                        continue; /* there is one controller at most: the API server sees to it */
                *ret = (KubeOwner){.controller = true};
                TEXT(owner, "apiVersion", ret->api_version);
                return TEXT(owner, "kind", ret->kind) && TEXT(owner, "name", ret->name) && TEXT(owner, "uid", ret->uid);
        }
        *ret = (KubeOwner){0};
        return false;
}

static void decode_metadata(const json_t *o, KubePod *ret) {
        TEXT(o, "metadata resourceVersion", ret->resource_version);
        ret->created_real_usec = kube_field_time(o, "metadata creationTimestamp");
        ret->deleting = kube_field(o, "metadata deletionTimestamp");
        ret->deletion_real_usec = kube_field_time(o, "metadata deletionTimestamp");
        ret->has_owner = kube_owner_decode(o, &ret->owner);
        TEXT(o, "metadata labels pod-template-hash", ret->template_hash);
        ret->rollouts_hash = kube_field(o, "metadata labels rollouts-pod-template-hash");
        TEXT(o, "metadata labels plateau.dev/rotation", ret->rotation);
        TEXT(o, "metadata annotations plateau.dev/state", ret->state_json);
        TEXT(o, "metadata annotations plateau.dev/deadline", ret->deadline);
        TEXT(o, "metadata annotations plateau.dev/eta", ret->eta);
        ret->mirror = kube_field(o, "metadata annotations kubernetes.io/config.mirror");
}

static bool any_item_has(const json_t *o, const char *list_path, const char *path) {
        const json_t *list = kube_field(o, list_path);
        size_t n = json_array_size(list);

        for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++)
                if (kube_field(json_array_get(list, i), path))
                        return true;
        return false;
}

static bool has_host_port(const json_t *o) {
        static const char *const lists[] = {"spec containers", "spec initContainers"};

        if (kube_field_true(o, "spec hostNetwork"))
                return true;
        for (size_t l = 0; l < ELEMENTSOF(lists); l++) {
                const json_t *list = kube_field(o, lists[l]);
                size_t n = json_array_size(list);

                for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++)
                        if (any_item_has(json_array_get(list, i), "ports", "hostPort"))
                                return true;
        }
        return false;
}

static void decode_spec(const json_t *o, const KubePodLens *lens, KubePod *ret) {
        const char *gate = lens->gate ? lens->gate : "";
        const json_t *terms =
                kube_field(o, "spec affinity podAntiAffinity requiredDuringSchedulingIgnoredDuringExecution");
        uint64_t grace = 30; /* the API's default, which the server fills in anyway */
        char policy[16];

        (void)kube_field_u64(o, "spec terminationGracePeriodSeconds", &grace);
        ret->termination_grace_s = (uint32_t)min_of(grace, (uint64_t)UINT32_MAX);
        ret->one_shot = TEXT(o, "spec restartPolicy", policy) && strcmp(policy, "Always") != 0;
        TEXT(o, "spec nodeName", ret->node);
        ret->has_rwo_claim_possible = any_item_has(o, "spec volumes", "persistentVolumeClaim");
        ret->has_host_port = has_host_port(o);
        ret->has_hard_anti_affinity = json_array_size(terms) > 0;
        ret->has_pod_gate = kube_field_item(o, "spec readinessGates", "conditionType", gate);
}

/* A port is a number, the number as a string, or the name of one of the container's own. */
static bool port_is(const json_t *container, const json_t *probe, unsigned port) {
        const char *text = kube_field_str(probe, "httpGet port");
        uint64_t v = 0;

        if (port == 0)
                return false;
        if (!kube_field_u64(probe, "httpGet port", &v) && parse_u64(text, &v) < 0)
                (void)kube_field_u64(kube_field_item(container, "ports", "name", text), "containerPort", &v);
        return v == port;
}

static json_t *find_main(const json_t *o, const KubePodLens *lens) {
        const json_t *list = kube_field(o, "spec containers");
        size_t n = json_array_size(list);

        if (lens->main && lens->main[0])
                return kube_field_item(o, "spec containers", "name", lens->main);
        for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++)
                if (strcmp(kube_field_str(json_array_get(list, i), "name"), "plateau") != 0)
                        return json_array_get(list, i);
        return NULL;
}

static void decode_main(const json_t *o, const KubePodLens *lens, KubePod *ret) {
        const json_t *c = find_main(o, lens), *probe = kube_field(c, "livenessProbe"), *status, *policy;
        uint64_t restarts = 0;

        if (!TEXT(c, "name", ret->main))
                return;
        ret->main_limit_bytes = kube_field_bytes(c, "resources limits memory");
        ret->main_request_bytes = kube_field_bytes(c, "resources requests memory");
        policy = kube_field_item(c, "resizePolicy", "resourceName", "memory");
        ret->memory_restart_on_resize = strcmp(kube_field_str(policy, "restartPolicy"), "RestartContainer") == 0;
        ret->main_has_liveness_alive =
                strcmp(kube_field_str(probe, "httpGet path"), "/alive") == 0 && port_is(c, probe, lens->alive_port);
        status = kube_field_item(o, "status containerStatuses", "name", ret->main);
        (void)kube_field_u64(status, "restartCount", &restarts);
        ret->main_restarts = (unsigned)min_of(restarts, (uint64_t)UINT32_MAX);
        ret->main_running = json_is_object(kube_field(status, "state running"));
        ret->main_started_real_usec = kube_field_time(status, "state running startedAt");
        ret->status_limit_bytes = kube_field_bytes(status, "resources limits memory");
}

static void decode_waiting(const json_t *o, KubePod *ret) {
        static const char *const lists[] = {"status initContainerStatuses", "status containerStatuses"};

        for (size_t l = 0; l < ELEMENTSOF(lists); l++) {
                const json_t *list = kube_field(o, lists[l]);
                size_t n = json_array_size(list);

                for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++)
                        if (TEXT(json_array_get(list, i), "state waiting reason", ret->waiting_reason))
                                return;
        }
}

static bool condition_is_true(const json_t *condition) {
        return strcmp(kube_field_str(condition, "status"), "True") == 0;
}

static void decode_status(const json_t *o, const KubePodLens *lens, KubePod *ret) {
        const json_t *ready = kube_field_condition(o, "Ready"), *scheduled = kube_field_condition(o, "PodScheduled"),
                     *pending = kube_field_condition(o, "PodResizePending"),
                     *resizing = kube_field_condition(o, "PodResizeInProgress");

        TEXT(o, "status phase", ret->phase);
        TEXT(o, "status podIP", ret->ip);
        TEXT(o, "status qosClass", ret->qos);
        ret->ready = condition_is_true(ready);
        if (ret->ready)
                ret->ready_since_real_usec = kube_field_time(ready, "lastTransitionTime");
        ret->gate_true = ret->has_pod_gate && condition_is_true(kube_field_condition(o, lens->gate));
        ret->pending_unschedulable = strcmp(kube_field_str(scheduled, "status"), "False") == 0 &&
                                     strcmp(kube_field_str(scheduled, "reason"), "Unschedulable") == 0;
        ret->resize_pending = condition_is_true(pending);
        ret->resize_in_progress = condition_is_true(resizing);
        if (ret->resize_pending || ret->resize_in_progress)
                TEXT(ret->resize_pending ? pending : resizing, "reason", ret->resize_reason);
        decode_waiting(o, ret);
}

int kube_pod_decode(const json_t *o, const KubePodLens *lens, KubePod *ret) {
        *ret = (KubePod){0};
        if (!TEXT(o, "metadata name", ret->name) || !TEXT(o, "metadata uid", ret->uid))
                return -EINVAL;
        decode_metadata(o, ret);
        decode_spec(o, lens, ret);
        decode_main(o, lens, ret);
        decode_status(o, lens, ret);
        return 0;
}
