/* SPDX-License-Identifier: Apache-2.0
 *
 * What a survey and the cgroup's figures are in diagnose's terms. Here, because the probe and diagnose do not know each
 * other; pure.
 */
#pragma once

#include "diagnose/diagnose.h"
#include "probe/survey/ledger.h"
#include "probe/survey/survey.h"
#include "sample/sample.h"

/**
 * look_make() - one look out of a survey
 * @sample:  of about the same time, for the cgroup's part of it; NULL: not known, or not this process' alone
 * @classes: DIAGNOSE_CLASSES, filled and pointed at by @ret; NULL: without sizes
 */
void look_make(const Survey *s, const Sample *sample, DiagnoseClass *classes, DiagnoseLook *ret);

/* look_add_ledger() - what the allocator told at that time: its memory is then in use or free as glibc's is, and what a
 * purge gives back is known. */
void look_add_ledger(const Ledger *ledger, DiagnoseLook *l);

/* look_prediction() - what a reclaim would give back, from a survey taken right before it. Return: false: not known:
 * malloc is not glibc's alone, or the heap did not hold still, or could not be read whole. */
bool look_prediction(const Survey *s, uint64_t *ret_bytes);
