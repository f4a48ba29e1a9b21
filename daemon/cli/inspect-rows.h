/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of one census, or of two and what happened between them, in the order they are shown. Types of the same
 * name are one row (a class made anew has its old name). Pure: figures in, figures out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/python/reader.h"

typedef struct InspectRow {
        const char *name; /* hostile. Owner: the report */
        PythonCount before, now;
        bool has_before; /* false: the first census had more types than it tells, and this may be one of them */
        bool has_now;
} InspectRow;

typedef struct InspectRows {
        InspectRow *row; /* Owner: this */
        size_t n;
        size_t n_grown, n_shrunk; /* of a difference: the first n_grown rows, the last n_shrunk ones */
} InspectRows;

#define INSPECT_ROWS_NULL ((InspectRows){.row = NULL})

/**
 * inspect_rows() - build them
 * @before: NULL: one census, most bytes first. Else: most growth in bytes first, then in objects; what shrank most last
 * Return: 0 or -ENOMEM. The rows point into the reports.
 */
int inspect_rows(const PythonReport *before, const PythonReport *now, InspectRows *ret) _must_check_;
void inspect_rows_done(InspectRows *r);

/* inspect_growth() - by how much, 0 unless both sides are known. */
int64_t inspect_growth_bytes(const InspectRow *r);
int64_t inspect_growth_objects(const InspectRow *r);

/* inspect_per_hour() - @delta in @usec, as a rate. Units: per hour; 0 when no time has passed. */
int64_t inspect_per_hour(int64_t delta, uint64_t usec);

#define _cleanup_inspect_rows_ _cleanup_(inspect_rows_done)
