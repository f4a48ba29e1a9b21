/* SPDX-License-Identifier: Apache-2.0
 *
 * The facade: all that the daemon, its reports and the policy see of Kubernetes. One a process, because a pod is
 * rotated and not a target. Without an API server, or without rights, there is a Kube too: it then knows the ways that
 * need none (in place, signal), and says why there are no others.
 */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "action/action.h"
#include "kube/options.h"
#include "sample/target.h"

#define KUBE_REQUESTS_MAX 84
#define KUBE_NOTE_MAX     1024

typedef struct Kube Kube;

/* Of the neediest target, told at each tick; copied. */
typedef struct KubeNeed {
        bool rotate;          /* the ladder still wants it; false: abort while that is possible */
        uint64_t eta_lo_usec; /* until the limit, lower bound; USEC_INFINITY: never, or not known */
        uint64_t usage_bytes, limit_bytes;
        pid_t pid;            /* 0 = none: main is gone */
        uint64_t start_ticks;
        Target *target; /* for signals and connections; borrowed for this call only */
} KubeNeed;

typedef struct KubeHost {
        void (*changed)(void *userdata); /* the state did: log, wake. Never called from inside a call into kube.h */
        void *userdata;
} KubeHost;

typedef enum KubeNews {
        KUBE_NEWS_ALERT,
        KUBE_NEWS_RESOLVED,
        KUBE_NEWS_RECLAIM,
        KUBE_NEWS_ROTATION,
        _KUBE_NEWS_MAX,
} KubeNews;

typedef struct KubeRequestCount {
        const char *verb, *outcome; /* static: "get", "ok" */
        uint64_t total;
} KubeRequestCount;

/* Texts are "" and figures 0 where nothing is known. Pointers are static. */
typedef struct KubeView {
        bool in_cluster, api; /* api: the server answers, and lets us in */
        char why[200];        /* why not */
        char namespace_[64], pod[254], node[254];
        char owner_kind[64], owner_name[254]; /* the workload: Deployment rather than its ReplicaSet */
        const char *state;    /* "normal", "lease_wait", ... */
        const char *strategy; /* of the rotation, or the one that would be taken now */
        const char *reason;   /* of the last change of state */
        char detail[200];     /* one sentence: what is waited for, or why no better strategy */
        uint64_t state_since_usec, deadline_usec; /* CLOCK_BOOTTIME; 0 = none */
        bool ready, main_may_live;
        bool slot_held;
        uint64_t slot_waited_usec; /* for the slot of this rotation */
        bool draining;
        bool connections_known;
        unsigned connections;
        uint64_t replace_learned_usec, drain_learned_usec; /* what they took lately; 0 = not known */
        KubeRequestCount requests[KUBE_REQUESTS_MAX];
        unsigned n_requests;
} KubeView;

/* kube_new() - @options copied. Return: 0, also outside of a cluster (the view says why); -ENOMEM; another negative
 * errno with the sentence in @why. */
int kube_new(sd_event *event, const KubeOptions *options, const KubeHost *host, Kube **ret, char *why,
             size_t why_size) _must_check_;
/* kube_stop_begin() - stand down, at a clean stop: the slot is given back, so that nobody waits for its expiry. @done
 * is called from the loop, once, when that is done or after @deadline_usec from now; also when there is nothing to do.
 */
void kube_stop_begin(Kube *k, uint64_t deadline_usec, void (*done)(void *userdata), void *userdata);
Kube *kube_free(Kube *k);
/* kube_set_options() - after a reload. A rotation under way goes on with the new ones. Return: 0; -ENOMEM. */
int kube_set_options(Kube *k, const KubeOptions *options) _must_check_;

/* kube_mind() - once a tick. */
void kube_mind(Kube *k, const KubeNeed *need, uint64_t now_usec);
/* kube_is_ready() - what /ready says for the pod: false from when it leaves its Services. */
bool kube_is_ready(const Kube *k);
/* kube_main_may_live() - what /alive says: false while the main container is to be restarted in place. */
bool kube_main_may_live(const Kube *k);
/* kube_alive_asked() - somebody asks for it: where the pod may not be read, that is how we know of its livenessProbe.
 */
void kube_alive_asked(Kube *k, uint64_t now_usec);

/* kube_tell() - an Event of the pod, if they are on; aggregated and limited. @note: cut at KUBE_NOTE_MAX. */
void kube_tell(Kube *k, KubeNews news, bool warning, const char *note);
/* kube_tell_forecast() - the annotation with the forecast; limited to one an interval. */
void kube_tell_forecast(Kube *k, const char *json);

/* kube_view() - all that can be told, as of now. No request is made for it. */
void kube_view(const Kube *k, KubeView *ret);

/* Method "kubernetes". It watches the Kube's rotation, which may outlive the run or have been resumed without one. */
extern const Action action_rotate_kubernetes;
