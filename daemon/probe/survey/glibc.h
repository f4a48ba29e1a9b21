/* SPDX-License-Identifier: Apache-2.0
 *
 * glibc's heap as it lies in memory: main_arena found by the shape of its bins (it is no exported symbol), the other
 * arenas by the ring they hang on, and of each arena the stretches that its chunks fill without a gap. Layouts differ
 * by version; which one it is follows from what is found, never from a version string: distributions backport.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/inject/maps.h"
#include "probe/survey/window.h"

#define GLIBC_ARENAS_MAX 4096  /* 8 a core is the default limit */
#define GLIBC_HEAPS_MAX  65536 /* 64 MiB each */

typedef struct GlibcLayout {
        const char *versions;
        uint16_t bins;       /* offset of bins[] in struct malloc_state */
        uint16_t size;       /* sizeof(struct malloc_state) */
        uint16_t system_mem; /* offset of it from bins[] */
        bool has_fastbins;   /* their ten heads end 16 bytes before bins[] (top and last_remainder lie between) */
        bool has_attached;   /* a count of threads between next_free and system_mem */
} GlibcLayout;

typedef struct GlibcArena {
        uint64_t addr, bins;
        uint64_t top, top_size;
        uint64_t system_bytes;
        uint64_t n_attached; /* threads that use it; if layout->has_attached */
        uint32_t flags;
        bool is_main;
} GlibcArena;

/* One stretch of chunks: the brk heap, or one of a thread arena's heaps. */
typedef struct GlibcSegment {
        uint64_t start;              /* the first chunk's header */
        uint64_t end;                /* where top begins, else the end of the heap (two fence posts before it) */
        uint64_t map_start, map_end; /* with the headers before and the top behind */
        bool has_top;
        bool at_brk; /* and the kernel's heap ends with it, so that malloc_trim can give its end back */
} GlibcSegment;

typedef struct GlibcParams {
        bool known;
        bool fixed_thresholds; /* mallopt() was called, or M_*_THRESHOLD_ is set: they do not adapt any more */
        uint64_t mmap_threshold, trim_threshold;
        uint64_t n_mmaps, mmapped_bytes;
} GlibcParams;

typedef struct Glibc {
        const GlibcLayout *layout;
        GlibcArena *arenas; /* Owner: the Glibc; [0] is the main one */
        size_t n_arenas;
        bool ring_closed; /* false: some arenas may be missing */
        GlibcParams params;
        const Maps *maps; /* of the process, set by whoever has them; NULL: a main arena in several stretches is torn */
} Glibc;

/* A stretch of the target's memory in which main_arena may lie: a writable map of a file, or the .bss behind it. */
typedef struct GlibcPlace {
        uint64_t start, end;
} GlibcPlace;

/**
 * glibc_find() - look for main_arena in @places, then for the rest
 * Return: 0; -ENOENT: none there (another libc, or none was found); -ENOMEM; -EAGAIN: what was found contradicts
 * itself, most likely because it changed meanwhile.
 */
int glibc_find(Window *w, const GlibcPlace *places, size_t n, Glibc *ret) _must_check_;
void glibc_done(Glibc *g);

/* glibc_refresh() - read an arena's head again into @a. Return: true: nothing that a walk depends on has changed. */
bool glibc_refresh(Window *w, const Glibc *g, GlibcArena *a);

/**
 * glibc_segments() - the stretches of @a, top's first
 * Return: how many; negative errno: -EAGAIN: torn.
 */
int glibc_segments(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) _must_check_;

/* glibc_fastbin() - head @i (0..9) of @a's fastbins; false: there is none, or it is not readable. */
bool glibc_fastbin(Window *w, const Glibc *g, const GlibcArena *a, unsigned i, uint64_t *ret) _must_check_;
