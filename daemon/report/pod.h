/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told of the pod that we are in and of its rotation: a part of the View, copied by the daemon from kube/, and
 * the encoders of it. And where we are, for whoever gets an alert: names by the Downward API, known without any API.
 */
#pragma once

#include "report/exposition.h"
#include "util/json.h"

typedef struct PodRequest {
        const char *verb, *outcome;
        uint64_t total;
} PodRequest;

/* Texts that are not known are ""; figures that are not known are 0 where nothing else is said. */
typedef struct PodView {
        const ReportPlace *place;
        bool in_cluster, api;
        const char *why; /* no API */
        const char *state, *strategy, *reason, *detail;
        uint64_t state_since_usec, deadline_usec; /* CLOCK_BOOTTIME */
        bool ready, main_may_live;                /* what /ready and /alive say */
        bool slot_held, draining, connections_known;
        unsigned connections;
        uint64_t slot_waited_usec, replace_learned_usec, drain_learned_usec;
        const PodRequest *requests;
        unsigned n_requests;
} PodView;

/* pod_document() - "kubernetes": {...}, or null without @p. @now_boot_usec, @now_real_usec: now. */
void pod_document(Json *j, const PodView *p, uint64_t now_boot_usec, uint64_t now_real_usec);
/* pod_metric() - the samples of @m, if it is one of the pod's. */
void pod_metric(Exposition *e, const PodView *p, MetricId m);
/* place_document() - "kubernetes": {namespace, pod, node, owner_kind, owner_name}; nothing at all outside of a pod. */
void place_document(Json *j, const ReportPlace *place);
