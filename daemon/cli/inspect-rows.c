/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect-rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

void inspect_rows_done(InspectRows *r) {
        free(r->row);
        *r = INSPECT_ROWS_NULL;
}

int64_t inspect_growth_bytes(const InspectRow *r) {
        return r->has_before && r->has_now ? (int64_t)(r->now.bytes - r->before.bytes) : 0;
}

int64_t inspect_growth_objects(const InspectRow *r) {
        return r->has_before && r->has_now ? (int64_t)(r->now.n_objects - r->before.n_objects) : 0;
}

int64_t inspect_per_hour(int64_t delta, uint64_t usec) {
        double rate = usec ? (double)delta * (double)USEC_PER_HOUR / (double)usec : 0;

        return fabs(rate) < 9e18 ? llround(rate) : 0;
}

static int compare(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const InspectRow *)a)->name, ((const InspectRow *)b)->name);
}

static int by_size(const void *a, const void *b) {
        const InspectRow *x = a, *y = b;
        int r = compare(y->now.bytes, x->now.bytes);

        if (r == 0)
                r = compare(y->now.n_objects, x->now.n_objects);
        return r ? r : by_name(a, b);
}

static int by_growth(const void *a, const void *b) {
        int64_t x = inspect_growth_bytes(a), y = inspect_growth_bytes(b);

        if (x == y) {
                x = inspect_growth_objects(a);
                y = inspect_growth_objects(b);
        }
        return x != y ? (x < y) - (x > y) : by_size(a, b);
}

static void add(PythonCount *to, const PythonCount *c) {
        to->n_objects += c->n_objects; /* python_report_check() bounds each: no sum of them overflows */
        to->bytes += c->bytes;
}

/* Rows of both, one behind the other, sorted by name, become one row a name. */
static size_t merge(InspectRow *row, size_t n) {
        size_t out = 0;

        for (size_t i = 0; i < n; i++) {
                if (out == 0 || strcmp(row[out - 1].name, row[i].name) != 0) {
                        row[out++] = row[i];
                        continue;
                }
                add(&row[out - 1].before, &row[i].before);
                add(&row[out - 1].now, &row[i].now);
                row[out - 1].has_before |= row[i].has_before;
                row[out - 1].has_now |= row[i].has_now;
        }
        return out;
}

static void count_growth(InspectRows *rows) {
        for (size_t i = 0; i < rows->n; i++) {
                int64_t bytes = inspect_growth_bytes(&rows->row[i]), n = inspect_growth_objects(&rows->row[i]);

                rows->n_grown += bytes > 0 || (bytes == 0 && n > 0);
                rows->n_shrunk += bytes < 0 || (bytes == 0 && n < 0);
        }
}

int inspect_rows(const PythonReport *before, const PythonReport *now, InspectRows *ret) {
        size_t n = now->census.n_types + (before ? before->census.n_types : 0);
        InspectRows rows = {.row = calloc(n ? n : 1, sizeof(InspectRow))};
        /* a type that is not told is at 0, unless it may be among those that were summed up */
        bool all_before = before && before->census.others.n_objects == 0, all_now = now->census.others.n_objects == 0;

        if (!rows.row)
                return -ENOMEM;
        for (uint32_t i = 0; i < now->census.n_types; i++)
                rows.row[rows.n++] = (InspectRow){.name = now->types[i].name,
                                                  .now = now->types[i].count,
                                                  .has_now = true,
                                                  .has_before = all_before};
        for (uint32_t i = 0; before && i < before->census.n_types; i++)
                rows.row[rows.n++] = (InspectRow){.name = before->types[i].name,
                                                  .before = before->types[i].count,
                                                  .has_now = all_now,
                                                  .has_before = true};
        qsort(rows.row, rows.n, sizeof(InspectRow), by_name);
        rows.n = merge(rows.row, rows.n);
        qsort(rows.row, rows.n, sizeof(InspectRow), before ? by_growth : by_size);
        if (before)
                count_growth(&rows);
        *ret = rows;
        return 0;
}
