/* SPDX-License-Identifier: Apache-2.0 */
#include "report/pod.h"

#include "report/document.h"
#include "util/clock.h"

static const char *or_null(const char *s) {
        return s && s[0] ? s : NULL;
}

static void place_members(Json *j, const ReportPlace *place) {
        json_kv_string(j, "namespace", or_null(place->namespace_));
        json_kv_string(j, "pod", or_null(place->pod));
        json_kv_string(j, "node", or_null(place->node));
        json_kv_string(j, "owner_kind", or_null(place->owner_kind));
        json_kv_string(j, "owner_name", or_null(place->owner_name));
}

void place_document(Json *j, const ReportPlace *place) {
        if (!place->pod[0])
                return;
        json_key(j, "kubernetes");
        json_object_begin(j);
        place_members(j, place);
        json_object_end(j);
}

static void rotation_document(Json *j, const PodView *p, uint64_t now_boot_usec, uint64_t now_real_usec) {
        json_key(j, "rotation");
        json_object_begin(j);
        json_kv_string(j, "state", or_null(p->state));
        document_seconds(j, "state_age_s",
                         p->state_since_usec && p->state_since_usec <= now_boot_usec
                                 ? now_boot_usec - p->state_since_usec
                                 : USEC_INFINITY);
        json_kv_string(j, "strategy", or_null(p->strategy));
        json_kv_string(j, "reason", or_null(p->reason));
        json_kv_string(j, "detail", or_null(p->detail));
        document_time(j, "deadline", p->deadline_usec ? now_real_usec + p->deadline_usec - now_boot_usec : 0);
        json_kv_bool(j, "slot_held", p->slot_held);
        document_seconds(j, "slot_waited_s", p->slot_waited_usec ? p->slot_waited_usec : USEC_INFINITY);
        json_kv_bool(j, "draining", p->draining);
        json_kv_u64_or_null(j, "connections", p->connections_known, p->connections);
        document_seconds(j, "replace_learned_s", p->replace_learned_usec ? p->replace_learned_usec : USEC_INFINITY);
        document_seconds(j, "drain_learned_s", p->drain_learned_usec ? p->drain_learned_usec : USEC_INFINITY);
        json_object_end(j);
}

void pod_document(Json *j, const PodView *p, uint64_t now_boot_usec, uint64_t now_real_usec) {
        json_key(j, "kubernetes");
        if (!p) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        place_members(j, p->place);
        json_kv_bool(j, "in_cluster", p->in_cluster);
        json_kv_bool(j, "api", p->api);
        json_kv_string(j, "why", or_null(p->why));
        json_kv_bool(j, "ready", p->ready);
        json_kv_bool(j, "main_may_live", p->main_may_live);
        rotation_document(j, p, now_boot_usec, now_real_usec);
        json_key(j, "requests");
        json_array_begin(j);
        for (unsigned i = 0; i < p->n_requests; i++) {
                json_object_begin(j);
                json_kv_string(j, "verb", p->requests[i].verb);
                json_kv_string(j, "code", p->requests[i].outcome);
                json_kv_u64(j, "total", p->requests[i].total);
                json_object_end(j);
        }
        json_array_end(j);
        json_object_end(j);
}

static void learned(Exposition *e, const char *need, uint64_t usec) {
        if (usec)
                exposition_usec(e, LABELS({"need", need}), usec);
}

void pod_metric(Exposition *e, const PodView *p, MetricId m) {
        switch (m) {
        case METRIC_KUBE_API_UP:
                exposition_u64(e, NULL, p->api);
                break;
        case METRIC_KUBE_REQUESTS:
                for (unsigned i = 0; i < p->n_requests; i++)
                        exposition_u64(e, LABELS({"verb", p->requests[i].verb}, {"code", p->requests[i].outcome}),
                                       p->requests[i].total);
                break;
        case METRIC_POD_READY:
                exposition_u64(e, NULL, p->ready);
                break;
        case METRIC_ROTATION_STATE:
                if (or_null(p->state))
                        exposition_u64(e, LABELS({"state", p->state}), 1);
                break;
        case METRIC_ROTATION_SLOT_WAIT:
                exposition_usec(e, NULL, p->slot_waited_usec);
                break;
        case METRIC_ROTATION_CONNECTIONS:
                if (p->connections_known)
                        exposition_u64(e, NULL, p->connections);
                break;
        case METRIC_ROTATION_LEARNED:
                learned(e, "replace", p->replace_learned_usec);
                learned(e, "drain", p->drain_learned_usec);
                break;
        default:
                break;
        }
}
