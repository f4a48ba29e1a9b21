/* SPDX-License-Identifier: Apache-2.0
 *
 * What plateau-probe tells of a process' memory (PROBE_OP_SURVEY): where RSS is, and what its malloc holds. One Survey
 * in a sealed memfd, passed with the reply; fixed size, no pointers; the reader checks it as it checks a reply. All of
 * it is read from outside while the process runs: nothing is stopped, nothing is called, nothing is brought into
 * memory.
 *
 * Units: _bytes are bytes, _usec microseconds, n_ are counts. What is not known has its flag missing, and is then 0.
 */
#pragma once

#include <stdint.h>

#include "probe/survey/breakdown.h"
#include "probe/survey/distro.h"
#include "probe/survey/heap.h"
#include "probe/survey/java.h"
#include "probe/survey/python.h"

#define SURVEY_MAGIC       0x31767253u /* "Srv1" */
#define SURVEY_BUDGET_MSEC 5000u       /* when a request names none */
#define SURVEY_PARTS_MAX   96
#define SURVEY_ARENAS_MAX  64 /* told one by one, by size; all are counted */
#define SURVEY_UNCOUNTED   UINT32_MAX

enum {
        SURVEY_HAVE_PARTS = 1 << 0,      /* parts[], rss_bytes ... */
        SURVEY_HAVE_HEAP = 1 << 1,       /* a heap of glibc was found and walked */
        SURVEY_HEAP_COMPLETE = 1 << 2,   /* all arenas, all chunks, and they add up */
        SURVEY_HAVE_TRIM = 1 << 3,       /* heap.trim_resident_bytes: what malloc_trim would give back */
        SURVEY_HAVE_THRESHOLDS = 1 << 4, /* mmap_threshold ... fixed, n_mmapped, mmapped_bytes */
        SURVEY_OUT_OF_TIME = 1 << 5,     /* the budget ended it */
        SURVEY_SWAPPED = 1 << 6,         /* parts of the heap are swapped out, and were left there */
        SURVEY_HAVE_PYTHON = 1 << 7,     /* python */
        SURVEY_HAVE_JAVA = 1 << 8,       /* java */
};

typedef struct SurveyArena {
        uint64_t addr;
        uint64_t system_bytes, in_use_bytes, free_bytes, top_bytes; /* free: in bins, fastbins and top */
        uint64_t trim_resident_bytes, pinned_bytes;
        uint64_t n_used, n_free;
        uint32_t n_attached; /* threads; SURVEY_UNCOUNTED where the version does not count them */
        uint32_t torn;       /* 1: its figures do not add up */
} SurveyArena;

typedef struct Survey {
        uint32_t magic, size;
        uint32_t flags, n_parts;
        uint32_t n_arenas_told, n_threads;
        uint64_t begin_usec; /* CLOCK_BOOTTIME */
        uint64_t duration_usec, cpu_usec, read_bytes;
        char allocator[32]; /* that `malloc` resolves to: "glibc 2.36", "jemalloc"; "" = not known */
        char layout[16];    /* of glibc's arenas: "2.27-2.42" */
        Distro distro;      /* whose files it runs on */
        /* the process */
        uint64_t rss_bytes, pss_bytes, uss_bytes, swap_bytes;
        uint64_t huge_bytes, hugetlb_bytes; /* as of a Part */
        /* glibc's heap: n_arenas .. free_bytes as mallinfo2() counts them (arena, uordblks, fordblks) */
        uint64_t n_arenas, system_bytes, in_use_bytes, free_bytes;
        uint64_t n_mmapped, mmapped_bytes, mmap_threshold, trim_threshold;
        uint32_t thresholds_fixed, pad;
        HeapStats heap;
        SurveyPython python;
        SurveyJava java;
        SurveyArena arenas[SURVEY_ARENAS_MAX];
        Part parts[SURVEY_PARTS_MAX];
} Survey;

/**
 * survey_run() - of the process at @proc_pid_fd
 * @budget_usec: wall time for reading the heap
 * Return: 0: @ret is filled as far as it could be; -EACCES, -EPERM, -ESRCH, -ENOMEM.
 */
int survey_run(int proc_pid_fd, int32_t pid, uint64_t budget_usec, Survey *ret) _must_check_;

/* survey_find_glibc() - glibc_find() in the places of @maps where main_arena may lie, again where it changes meanwhile.
 * @maps: outlives @ret. Return: as glibc_find(). */
int survey_find_glibc(Window *w, const Maps *maps, Glibc *ret) _must_check_;
