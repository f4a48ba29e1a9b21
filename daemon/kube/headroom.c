/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/headroom.h"

#include <errno.h>
#include <string.h>

#include "util/format.h"

#define MIB        ((uint64_t)1 << 20)
#define LIMIT_MAX  ((uint64_t)1 << 60)  /* more is no limit, and products stay exact enough and within 64 bits */
#define PAGE_MAX   ((uint64_t)64 << 10) /* the kernel cuts a limit to whole pages, and the kubelet tells that */
#define GUARANTEED "Guaranteed"
#define INFEASIBLE "Infeasible"

static bool differs(uint64_t a, uint64_t b) {
        return (a > b ? a - b : b - a) > PAGE_MAX;
}

/* What forbids a resize of this pod. Return: 0 = nothing. */
static int obstacle(const KubePod *pod, const char **ret) {
        const struct {
                bool holds;
                int error;
                const char *why;
        } rows[] = {
                {!pod->main[0], EOPNOTSUPP, "the pod's main container is not known"},
                {pod->main_limit_bytes == 0, EOPNOTSUPP, "the main container has no memory limit"},
                {pod->main_limit_bytes > LIMIT_MAX, EOPNOTSUPP, "the main container's memory limit is above 1 EiB"},
                {pod->mirror, EOPNOTSUPP, "a static pod cannot be resized through the API server"},
                {pod->deleting, EOPNOTSUPP, "the pod is being removed"},
                {pod->memory_restart_on_resize, EOPNOTSUPP,
                 "the main container's resizePolicy for memory is RestartContainer: a resize would restart it"},
                {pod->resize_pending && strcmp(pod->resize_reason, INFEASIBLE) == 0, EBUSY,
                 "the node has no room for the last resize (Infeasible)"},
                {pod->resize_pending, EBUSY, "the last resize waits for room on the node"},
                {pod->resize_in_progress, EBUSY, "the last resize is under way"},
                {pod->status_limit_bytes != 0 && differs(pod->status_limit_bytes, pod->main_limit_bytes), EBUSY,
                 "the kubelet has not given the limit that the pod asks for"},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].holds) {
                        *ret = rows[i].why;
                        return rows[i].error;
                }
        return 0;
}

/* @bytes and @ratio more of it; in whole MiB, down, but @bytes itself is not cut. */
static uint64_t more(uint64_t bytes, double ratio) {
        double part = ratio > 0 ? min_of(ratio, 1.0) : 0; /* what is no number is not above 0 either */
        uint64_t v = bytes + (uint64_t)((double)bytes * part + 0.5);

        return max_of(v - v % MIB, bytes);
}

int kube_headroom(const KubePod *pod, const KubeOptions *o, uint64_t first_limit_bytes, uint64_t *ret_limit,
                  uint64_t *ret_request, char *why, size_t why_size) {
        const char *text;
        char now[FORMAT_MAX], first[FORMAT_MAX];
        uint64_t limit;
        int e;

        if (!(o->headroom_ratio > 0)) { /* also not a number */
                snprintf(why, why_size, "kubernetes.headroom.step is 0");
                return -ENOENT;
        }
        e = obstacle(pod, &text);
        if (e == 0 && (first_limit_bytes == 0 || first_limit_bytes > LIMIT_MAX)) {
                text = "the limit that the pod began with is not known";
                e = EOPNOTSUPP;
        }
        if (e > 0) {
                snprintf(why, why_size, "%s", text);
                return -e;
        }
        limit = more(pod->main_limit_bytes, o->headroom_ratio);
        limit = min_of(limit, more(first_limit_bytes, o->headroom_extra_max_ratio));
        if (limit <= pod->main_limit_bytes) {
                snprintf(why, why_size,
                         "the limit is %s and was %s when the pod began: kubernetes.headroom allows no whole MiB more",
                         format_bytes(now, pod->main_limit_bytes), format_bytes(first, first_limit_bytes));
                return -ENOSPC;
        }
        *ret_limit = limit;
        *ret_request = strcmp(pod->qos, GUARANTEED) == 0 ? limit : 0;
        return 0;
}

/* As people write it where that is exact. */
static json_t *quantity(uint64_t bytes) {
        return bytes % MIB == 0 ? json_sprintf("%lluMi", (unsigned long long)(bytes / MIB))
                                : json_sprintf("%llu", (unsigned long long)bytes);
}

json_t *kube_headroom_patch(const KubePod *pod, uint64_t limit, uint64_t request) {
        json_t *resources = json_pack("{s:{s:o}}", "limits", "memory", quantity(limit));

        if (resources && request > 0 &&
            json_object_set_new(resources, "requests", json_pack("{s:o}", "memory", quantity(request))) < 0) {
                json_decref(resources);
                return NULL;
        }
        return resources ? json_pack("{s:{s:s}, s:{s:[{s:s, s:o}]}}", "metadata", "uid", pod->uid, "spec", "containers",
                                     "name", pod->main, "resources", resources)
                         : NULL;
}
