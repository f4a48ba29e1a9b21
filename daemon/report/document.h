/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts that the JSON documents share (status, decisions, notifications), so that a key means the same everywhere. Keys
 * are stable; a figure that is not known is null; seconds are numbers, times are RFC 3339 strings in UTC.
 */
#pragma once

#include <stddef.h>

#include "report/options.h"
#include "report/view.h"
#include "util/json.h"

#define DOCUMENT_SCHEMA_VERSION 1
#define SUMMARY_MAX             320

/* document_seconds() - @usec as seconds; null for USEC_INFINITY (never, or not known). */
void document_seconds(Json *j, const char *key, uint64_t usec);
/* document_time() - RFC 3339; null for 0. */
void document_time(Json *j, const char *key, uint64_t real_usec);
/* document_target() - "target": {name, pid, comm, cmdline}; pid, comm and cmdline are null when there is no process. */
void document_target(Json *j, const TargetView *t);
/* document_labels() - "labels": {...} of the configuration. */
void document_labels(Json *j, const ReportOptions *o);
/* document_usage() - used_bytes, limit_bytes, limit_source, used_ratio, as they were when @d was made. */
void document_usage(Json *j, const TargetView *t, const Decision *d);
/* document_forecast() - "forecast": {growth_bytes_per_s, time_to_limit_s, lower_s, upper_s ...} as @d was made on; null
 * without one. */
void document_forecast(Json *j, const TargetView *t, const Decision *d);
/* document_outcome() - the members of one action's result; @real_usec 0 = not known. */
void document_outcome(Json *j, const Outcome *o, uint64_t real_usec);

/**
 * summary_decision() - one sentence with figures
 * e.g. "pusher: 3.90 GB of 4.50 GB (87 %), growing 12.0 MB/min, limit in 51 min 00 s (38 min 00 s to 1 h 20 min)"
 * Return: @buf.
 */
const char *summary_decision(char buf[static SUMMARY_MAX], const TargetView *t, const Decision *d);
/* summary_outcome() - e.g. "pusher: reclaim ok: malloc_trim gave back 270 MB (4.10 GB to 3.83 GB), a thread was held
 * for 70 us". */
const char *summary_outcome(char buf[static SUMMARY_MAX], const TargetView *t, const Outcome *o);
