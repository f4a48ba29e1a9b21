/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the API server is and who we are in the cluster: environment and projected service account. Only names and
 * paths are kept; the token itself is read for each request, because the kubelet replaces it.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

typedef struct KubeConfig {
        char base_url[300];   /* https://HOST:PORT, IPv6 in brackets */
        char token_file[256]; /* below /var/run/secrets/kubernetes.io/serviceaccount */
        char ca_file[256];
        char namespace_[64], pod[254], uid[40], node[254], container[64]; /* "" = not told, but pod and namespace are */
        unsigned port;  /* ours (report.listen); 0 = none. Set by the caller, as is */
        char gate[128]; /* condition type of our readiness gate; "" = none */
} KubeConfig;

/**
 * kube_config_load() - read KUBERNETES_SERVICE_HOST/PORT, the PLATEAU_* of the downward API and the mounted files
 * @ret: untouched on failure
 * Return: 0; -ENOENT: not in a cluster, or without a token; -EINVAL: a value is malformed. @why names which one.
 * Source: Kubernetes documentation, "Accessing the Kubernetes API from a Pod". PLATEAU_SERVICEACCOUNT_DIR says another
 * directory, for tests. Test: tests/unit/test-kube-config.c
 */
int kube_config_load(KubeConfig *ret, char *why, size_t why_size) _must_check_;
