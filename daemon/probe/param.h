/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of an allocator that can be changed while a process runs: name, unit, range, and what to expect of it.
 * One table for both ends: the command line parses and explains by it, the probe checks by it what it was sent.
 */
#pragma once

#include <stdbool.h>

#include "probe/proto.h"

typedef enum ParamUnit { PARAM_COUNT, PARAM_BYTES, PARAM_MSEC, PARAM_SWITCH } ParamUnit;

typedef struct Param {
        const char *name;
        const char *allocator; /* whose it is: "glibc", "jemalloc" */
        ParamUnit unit;
        int64_t min, max;     /* both included */
        const char *expected; /* completes "expected ..." */
        const char *effect;   /* the truth about it, one or two sentences */
} Param;

/* param_get() - Return: NULL when @id names none. Owner: static. */
const Param *param_get(uint32_t id);
/* param_find() - by name. Return: its id, PROBE_PARAM_NONE when there is none. */
ProbeParam param_find(const char *name);
/* param_parse() - "64MiB", "10s", "5000", "never", "on" as the unit wants it. Return: 0; -EINVAL; -ERANGE. */
int param_parse(const Param *p, const char *text, int64_t *ret) _must_check_;
/* param_unit_name() - for JSON: "count", "bytes", "milliseconds", "switch". */
const char *param_unit_name(ParamUnit u);
