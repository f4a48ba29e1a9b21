/* SPDX-License-Identifier: Apache-2.0
 *
 * A Pod as its rotation needs to know it, taken out of the API server's JSON. Pure; plain, bounded data. What is
 * absent, of another type or too long for its field is "", 0 or false, unless a figure says how it tells.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

#define KUBE_NAME_MAX      254
#define KUBE_UID_MAX       40
#define KUBE_POD_STATE_MAX 2049 /* annotation plateau.dev/state */

typedef struct KubeOwner {
        char kind[64], name[KUBE_NAME_MAX], uid[KUBE_UID_MAX], api_version[128];
        bool controller;
} KubeOwner;

typedef struct KubePod {
        char name[KUBE_NAME_MAX], uid[KUBE_UID_MAX], resource_version[32], node[KUBE_NAME_MAX], phase[16], ip[46];
        char qos[16], main[64]; /* main: the container's name */
        bool ready;
        uint64_t ready_since_real_usec, created_real_usec; /* 0 = unknown */
        bool deleting;
        uint64_t deletion_real_usec; /* when its grace is over */
        uint32_t termination_grace_s;
        bool one_shot;  /* restartPolicy is not Always: main that ends well is not started again */
        bool has_owner; /* a controller */
        KubeOwner owner;
        char template_hash[64]; /* label pod-template-hash; "" = none */
        bool rollouts_hash;     /* label rollouts-pod-template-hash: Argo's, which its Services select on */
        char rotation[32];      /* label plateau.dev/rotation */
        char state_json[KUBE_POD_STATE_MAX]; /* annotations of ours; "" = none */
        char deadline[40], eta[40];
        bool has_rwo_claim_possible; /* a volume of a claim, its own (ephemeral) aside: it may be one that only one node
                                        can have */
        bool has_host_port;          /* or hostNetwork */
        bool has_hard_anti_affinity;
        bool has_pod_gate, gate_true; /* the readiness gate that was asked for: in the spec; its condition is True */
        bool mirror;                  /* static pod: the kubelet's, the API has only its picture */
        uint64_t main_limit_bytes, main_request_bytes; /* of the spec; 0 = none */
        uint64_t status_limit_bytes;                   /* what the kubelet has given; 0 = not told */
        bool memory_restart_on_resize;
        unsigned main_restarts;
        bool main_running;
        uint64_t main_started_real_usec;
        bool main_has_liveness_alive; /* its livenessProbe asks our port for /alive */
        bool pending_unschedulable;
        char waiting_reason[64]; /* of the first container that waits: ImagePullBackOff, CrashLoopBackOff ... */
        bool resize_pending, resize_in_progress;
        char resize_reason[32]; /* Deferred, Infeasible, Error */
} KubePod;

/* What the reader of a pod looks for. */
typedef struct KubePodLens {
        const char *main;    /* the container's name; NULL or "" = the first that is not "plateau" */
        unsigned alive_port; /* ours; 0 = not known, and no probe leads to it */
        const char *gate;    /* condition type; NULL or "" = none */
} KubePodLens;

/**
 * kube_pod_decode() - @o is a Pod
 * Return: 0; -EINVAL: without a name or uid that fits. @ret is undefined then.
 * Test: tests/unit/test-kube-objects.c, on what a real server said
 */
int kube_pod_decode(const json_t *o, const KubePodLens *lens, KubePod *ret) _must_check_;

/* kube_owner_decode() - of @o's metadata.ownerReferences the controller. Return: false when there is none. */
bool kube_owner_decode(const json_t *o, KubeOwner *ret);
