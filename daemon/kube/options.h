/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of rotation and evidence in Kubernetes; settings/ fills them (section `kubernetes`), kube_new() copies them.
 * Fixed arrays, so that a copy needs no ownership.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define KUBE_PORTS_MAX 16

typedef enum KubeStrategy {
        KUBE_STRATEGY_AUTO,     /* chosen by owner, access and time left */
        KUBE_STRATEGY_DETACH,   /* detach-surge */
        KUBE_STRATEGY_EVICT,    /* unready, drain, evict */
        KUBE_STRATEGY_HINT,     /* CloneSet's specified-delete label */
        KUBE_STRATEGY_IN_PLACE, /* main restarted in place: /alive fails, or SIGTERM where main has no such probe */
        KUBE_STRATEGY_SIGNAL,   /* last moment: SIGTERM to main, at once */
        _KUBE_STRATEGY_MAX,
} KubeStrategy;

/* One field, so that it is one setting. */
typedef struct KubePorts {
        uint32_t n;
        uint16_t port[KUBE_PORTS_MAX];
} KubePorts;

typedef struct KubeOptions {
        unsigned port;                 /* ours, of report.listen: whose /alive a livenessProbe asks; 0 = none */
        bool enabled;                  /* method is kubernetes, or kubernetes.enabled: true (Events, annotation only) */
        KubeStrategy strategy;         /* kubernetes.strategy; default auto */
        uint64_t replace_timeout_usec; /* the replacement must be Ready within; default 5 min */
        uint64_t soak_usec;            /* it stays Ready for so long before we go; default 10 s */
        uint64_t margin_usec;          /* of the time to the limit, kept; default 10 s */
        uint64_t min_pod_age_usec;     /* a pod younger is rotated only when the limit is near; default 10 min. Doubles
                                        * while replacements leak at once */
        bool evict_past_budget;        /* kubernetes.last_resort: delete (bypasses budgets) when the eviction is refused
                                        * until the limit is near; default false */
        bool reap;                     /* remove peers' detached pods whose deadline is over; default true */
        char readiness_gate[128];      /* condition type; "" = none: the sidecar's own probe is enough */

        unsigned slots;         /* so many of a workload at once; 0 = no coordination; default 1 */
        char slot_prefix[64];   /* "" = plateau-<workload> */
        uint64_t slot_ttl_usec; /* leaseDurationSeconds; default 60 s, renewed every third */

        uint64_t propagate_usec;     /* after unready, for load balancers; default 5 s */
        uint64_t drain_usec;         /* wait for connections to end at most; default 5 min; never past the limit's ETA
                                      * less margin */
        char drain_notify_url[256];  /* POSTed to the app; http, loopback or an address */
        int drain_notify_signal;     /* 0 = none */
        char drain_notify_file[256]; /* created, in an emptyDir shared with the app; "" = none */
        KubePorts drain_ports;       /* n = 0: those that the target listens on */

        double headroom_ratio;           /* kubernetes.headroom.step; 0 = never resize (default). 0.25 = 25 % more */
        double headroom_extra_max_ratio; /* kubernetes.headroom.max: of all steps together, on top of the limit that the
                                          * pod began with: 0.5 = half as much again; default 0.5 */

        bool events;                     /* write Events; default true */
        uint64_t forecast_interval_usec; /* annotation with the forecast, when it says something new; default 1 h;
                                          * 0 = never */
} KubeOptions;
