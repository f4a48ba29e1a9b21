/* SPDX-License-Identifier: Apache-2.0
 *
 * What grew between two looks, by size of chunk, arena, mapping and thread: figures in, rows out, the largest growth
 * first. What only one of the looks can tell makes no row: a difference is known or it is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/survey/growth-reader.h"
#include "probe/survey/survey.h"

typedef struct GrowthSizeRow {
        unsigned class;
        SizeClass now;
        int64_t n_used, used_bytes, n_free, free_bytes; /* by how much */
} GrowthSizeRow;

typedef struct GrowthArenaRow {
        const SurveyArena *now; /* Owner: the survey */
        bool is_new, is_main;
        int64_t system_bytes, used_bytes, free_bytes;
} GrowthArenaRow;

typedef struct GrowthMapRow {
        uint64_t start, end; /* a file's: 0, 0 */
        uint64_t rss_bytes;
        int64_t grown_bytes;
        uint32_t kind, n_maps;
        bool is_new;      /* none of it was there before */
        bool is_gone;     /* none of it is there now */
        const char *name; /* hostile; "" = no file. Owner: the reports */
} GrowthMapRow;

typedef struct GrowthThreadRow {
        const GrowthThread *now; /* Owner: the report */
        bool is_new;
        int64_t grown_bytes;
} GrowthThreadRow;

typedef struct GrowthRows {
        double size_seconds, place_seconds;        /* between the looks: by which a rate is got */
        bool have_sizes, have_arenas, have_places; /* the rows are known; there may be none */
        bool maps_cut, threads_cut;                /* there are more than were told */
        GrowthSizeRow sizes[SIZE_CLASSES];
        size_t n_sizes;
        GrowthArenaRow arenas[SURVEY_ARENAS_MAX];
        size_t n_arenas;
        GrowthMapRow *maps; /* Owner: the GrowthRows */
        size_t n_maps;
        GrowthThreadRow *threads; /* Owner: the GrowthRows */
        size_t n_threads;
} GrowthRows;

/**
 * growth_rows() - between two surveys, and between two tables of places
 * @before, @now: NULL: there are none
 * Return: 0; -ENOMEM. The rows point into what they were made of.
 */
int growth_rows(const Survey *first, const Survey *last, const GrowthReport *before, const GrowthReport *now,
                GrowthRows *ret) _must_check_;
void growth_rows_done(GrowthRows *r);

/* growth_classes() - the size classes that grow most in use, and by a tenth of the first one at the least.
 * Return: how many are in @ret. */
unsigned growth_classes(const Survey *first, const Survey *last, uint8_t ret[static GROWTH_CLASSES_MAX]);
