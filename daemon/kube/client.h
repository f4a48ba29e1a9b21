/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the API server on the sd-event loop: token and authority of the service account, retries with full
 * jitter within a deadline, a token bucket (4 a second, 20 at once), answers bounded. After 30 s without a request the
 * connection and all TLS state are given up. Nothing blocks and nothing is called back from inside a call here.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "kube/answer.h"
#include "kube/config.h"

typedef struct KubeClient KubeClient;
typedef struct KubeRequest KubeRequest;

/* @a and its body end with the call. It may start and cancel requests, and free the client. */
typedef void (*KubeDoneFn)(void *userdata, const KubeAnswer *a);

typedef struct KubeSpec {
        const char *method;
        const char *path;         /* "/api/v1/...", with query */
        const char *content_type; /* of the body; NULL = application/json */
        const json_t *body;       /* borrowed; NULL = none */
        uint64_t timeout_usec;  /* of one attempt; 0 = 10 s. An eviction needs more: the server itself tries for 10 s */
        unsigned retries_max;   /* after KUBE_E_NET, KUBE_E_SERVER and KUBE_E_BUSY only */
        uint64_t deadline_usec; /* CLOCK_BOOTTIME; nothing is tried after it; 0 = none */
        void (*dropped)(
                void *userdata); /* instead of the callback, when cancelled or the client is freed; NULL = none */
        /* A 200's body as it comes, and @done without one at its end (then KUBE_OK). May only keep the bytes, and touch
         * neither client nor request; false ends it with KUBE_E_NET. NULL = not streamed */
        bool (*stream)(void *userdata, const char *data, size_t len);
        size_t body_max; /* bytes of the answer; 0 = 256 KiB, at most 4 MiB; longer is KUBE_E_ANSWER */
} KubeSpec;

/* As they go over the wire, but for the streamed GET: a list is a get. */
typedef enum KubeVerb {
        KUBE_VERB_GET,
        KUBE_VERB_WATCH,
        KUBE_VERB_POST,
        KUBE_VERB_PUT,
        KUBE_VERB_PATCH,
        KUBE_VERB_DELETE,
        _KUBE_VERB_MAX,
} KubeVerb;

#define KUBE_OUTCOME_MAX       (_KUBE_E_MAX + 1) /* how an attempt ends: by KubeError, or nobody waits any more */
#define KUBE_OUTCOME_CANCELLED _KUBE_E_MAX

typedef struct KubeCounters {
        uint64_t requests;                                /* attempts that were sent */
        uint64_t ended[_KUBE_VERB_MAX][KUBE_OUTCOME_MAX]; /* those that are over: each attempt, as the server counts */
} KubeCounters;

/* kube_client_new() - opens no connection. Return: 0; -ENOENT: no libcurl (@why); -ENOMEM. Owner: caller. */
int kube_client_new(sd_event *event, const KubeConfig *config, KubeClient **ret, char *why,
                    size_t why_size) _must_check_;
/* kube_client_free() - cancels what is under way without calling back. Return: NULL. */
KubeClient *kube_client_free(KubeClient *c);

/**
 * kube_request() - start one
 * @spec: copied
 * @ret:  may be NULL; invalid from the moment @done is called
 * Return: 0; -EINVAL: a path without leading '/', or with blanks or controls in it; -ENOMEM. Then @done is not called.
 */
int kube_request(KubeClient *c, const KubeSpec *spec, KubeDoneFn done, void *userdata, KubeRequest **ret) _must_check_;
/* kube_request_cancel() - forget it; the server may still do it. Return: NULL. */
KubeRequest *kube_request_cancel(KubeRequest *r);
/* kube_client_config() - as given to kube_client_new(). Owner: the client. */
const KubeConfig *kube_client_config(const KubeClient *c);
/* kube_client_look_for() - what of the configuration may change: our port, our readiness gate. */
void kube_client_look_for(KubeClient *c, unsigned port, const char *gate);
/* kube_client_counters() - Owner: the client. */
const KubeCounters *kube_client_counters(const KubeClient *c);
/* kube_verb_name() - "get"; kube_outcome_name() - kube_error_name() or "cancelled". Owner: static. */
const char *kube_verb_name(KubeVerb v);
const char *kube_outcome_name(unsigned outcome);
