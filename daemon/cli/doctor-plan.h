/* SPDX-License-Identifier: Apache-2.0
 *
 * Which way of rotating this pod would be taken now, by the daemon's own judgement (kube/plan.h), and what is against
 * the better ones.
 */
#pragma once

#include "cli/doctor-api.h"
#include "cli/doctor.h"
#include "kube/plan.h"

/* What was asked of the API server before. */
typedef struct DoctorPlan {
        const json_t *pod, *set; /* set: the ReplicaSet that owns it; NULL = none, or it cannot be read */
        KubeRight patch, evict, list;
        const char *evict_refused; /* why an eviction always would be; NULL = not so */
} DoctorPlan;

/* doctor_plan() - one or more findings in section "rotate". Asks for the Deployment. */
void doctor_plan(Doctor *d, DoctorApi *a, const DoctorPlan *p);
