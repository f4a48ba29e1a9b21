/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to the API server, one after another: reads, access reviews, and an eviction as a dry run. Nothing that is
 * asked changes anything.
 */
#pragma once

#include "kube/client.h"

typedef struct DoctorApi DoctorApi;

/* doctor_api_new() - Return: 0; -ENOENT and others with the sentence in @why: not in a cluster, no libcurl. */
int doctor_api_new(DoctorApi **ret, char *why, size_t why_size) _must_check_;
DoctorApi *doctor_api_free(DoctorApi *a);
const KubeConfig *doctor_api_config(const DoctorApi *a);

/**
 * doctor_api_ask() - one request, and wait for its answer
 * @body: taken; NULL = none
 * @ret:  ret->body: Owner: the caller, json_decref(); NULL = none. A request that cannot be made is KUBE_E_NET
 */
void doctor_api_ask(DoctorApi *a, const char *method, const char *path, json_t *body, KubeAnswer *ret);

/**
 * doctor_api_may() - SelfSubjectAccessReview in our own namespace
 * @subresource, @name: "" = none
 * Return: 1 yes, 0 no, -EIO: not told, and @ret_why says why.
 */
int doctor_api_may(DoctorApi *a, const char *verb, const char *group, const char *resource, const char *subresource,
                   const char *name, char *ret_why, size_t why_size);
