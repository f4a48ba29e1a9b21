/* SPDX-License-Identifier: Apache-2.0
 *
 * The unprivileged end of PROBE_OP_PYTHON: takes the memfd that came with the reply and believes nothing of it. It must
 * be sealed (nobody changes it while it is read), of the size that its own counts say, every name terminated, every
 * count below what an address space can hold. Anything else is refused whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/python/census.h"
#include "util/cleanup.h"

typedef struct PythonReport {
        PythonCensus census;
        PythonType *types; /* census.n_types of them, as they came. Owner: the report */
} PythonReport;

#define PYTHON_REPORT_NULL ((PythonReport){.types = NULL})

/* python_report_done() - release the memory. */
void python_report_done(PythonReport *r);

/* python_report_check() - may @buf be read as a census with its types? Return: NULL; else why not, as the end of a
 * sentence. Pure: the fuzz target's entry. */
const char *python_report_check(const void *buf, size_t size);

/**
 * python_report_read() - read descriptor @fd whole
 * @ret: untouched on failure
 * Return: 0; -EBADMSG: refused, @ret_why says why (static); other negative errno.
 */
int python_report_read(int fd, PythonReport *ret, const char **ret_why) _must_check_;

#define _cleanup_python_report_ _cleanup_(python_report_done)
