/* SPDX-License-Identifier: Apache-2.0
 *
 * What an answer of the API server means. Pure: status and body in, one of a few documented errors out. The body is
 * hostile: any type may stand anywhere in it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

typedef enum KubeError {
        KUBE_OK,
        KUBE_E_NET, /* refused, reset, TLS, timeout */
        KUBE_E_UNAUTHORIZED,
        KUBE_E_FORBIDDEN,
        KUBE_E_NOT_FOUND,
        KUBE_E_CONFLICT, /* 409 */
        KUBE_E_GONE,     /* 410 */
        KUBE_E_INVALID,  /* 400, 422: also a JSON patch whose test failed */
        KUBE_E_BUDGET,   /* 429 by a PodDisruptionBudget */
        KUBE_E_BUSY,     /* any other 429: throttled, or still being processed */
        KUBE_E_BUDGETS,  /* 500: more than one PodDisruptionBudget; stays until somebody changes one */
        KUBE_E_SERVER,   /* other 5xx */
        KUBE_E_ANSWER,   /* not understood, or too long */
        _KUBE_E_MAX,
} KubeError;

typedef struct KubeAnswer {
        KubeError error;
        long status;               /* HTTP status; 0 = none came */
        uint64_t retry_after_usec; /* 0 = not told */
        json_t *body;              /* NULL = none. Owner: the client; valid during the callback */
        char why[256];             /* a sentence when error is not KUBE_OK; printable */
} KubeAnswer;

/**
 * kube_answer_judge() - sort an answer
 * @body: what the server sent, not NUL-terminated or trusted; @len bytes. Duplicate keys and NULs are refused
 * @ret:  filled whole. Owner: caller has to json_decref() the body
 * Source: Kubernetes pkg/registry/core/pod/storage/eviction.go. Test: tests/unit/test-kube-answer.c
 */
void kube_answer_judge(long status, const char *body, size_t len, uint64_t retry_after_usec, KubeAnswer *ret);
/* kube_error_is_for_good() - refused as it was asked for: until somebody changes a right, a policy or a budget. */
bool kube_error_is_for_good(KubeError e);
/* kube_error_name() - "not-found", for metrics and logs. Owner: static. */
const char *kube_error_name(KubeError e);
