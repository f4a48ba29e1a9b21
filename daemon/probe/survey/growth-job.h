/* SPDX-License-Identifier: Apache-2.0
 *
 * What one look of growth.c has in hand, for the files that fill in its parts: growth-threads.c the threads,
 * growth-samples.c the chunks, growth-names.c what those lead to. All of it lies in the probe; what is told is copied
 * out of it into the tables, and nothing else leaves.
 */
#pragma once

#include "probe/survey/growth.h"
#include "probe/survey/heap.h"
#include "probe/survey/owners.h"
#include "probe/survey/source.h"

typedef struct GrowthJob {
        int proc_fd;
        pid_t pid, ns_pid;
        Growth out;
        Maps maps;
        Pages pages;
        Source source;
        Window window;
        Glibc glibc;
        bool have_glibc;
        Ranges owners;
        bool out_of_time;
        GrowthMap *told_maps;       /* Owner: the GrowthJob, as of the two below; GROWTH_MAPS_MAX at most */
        GrowthThread *told_threads; /* GROWTH_THREADS_MAX at most */
        GrowthSample *told_samples; /* GROWTH_SAMPLES_ALL at most; NULL: none asked for */
} GrowthJob;

/* growth_threads() - all threads with their stacks and arenas; adds the stacks to @j->owners. Return: 0; -ENOMEM ... */
int growth_threads(GrowthJob *j) _must_check_;

/* growth_slot() - how far below the thread pointer the TLS variable lies that holds an arena's address in each of the
 * @n threads. Return: 0: none, or more than one, so it is not known. */
uint64_t growth_slot(Window *w, const Glibc *g, const uint64_t *tcbs, size_t n);

/* A sample on its way: what its words lead to, for whoever names that. */
typedef struct GrowthDraft {
        GrowthSample *told;           /* not owned */
        uint64_t words[GROWTH_WORDS]; /* as they were read; 0 behind the chunk's end */
} GrowthDraft;

/* growth_remember(), growth_compare() - the heap walked; what the first saw in use is kept in @kept_fd, the second
 * fills in @j->told_samples. Return: 0; negative errno. */
int growth_remember(GrowthJob *j, uint64_t start_ticks, int kept_fd) _must_check_;
int growth_compare(GrowthJob *j, uint64_t start_ticks, const GrowthAsk *ask, int kept_fd) _must_check_;

/* growth_name_symbols() - pointers into files by the files' symbol tables. */
void growth_name_symbols(GrowthJob *j, GrowthDraft *d, size_t n);
/* growth_name_pythons() - objects of a CPython, if there is one, by their type. */
void growth_name_pythons(GrowthJob *j, GrowthDraft *d, size_t n);
