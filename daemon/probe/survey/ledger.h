/* SPDX-License-Identifier: Apache-2.0
 *
 * What an allocator that is not glibc's says of itself when it is asked (PROBE_OP_LEDGER): its own statistics, by an
 * injected call that reads them. Only for who asks for it: a survey calls nothing. One Ledger in a sealed memfd, passed
 * with the reply; fixed size, no pointers; the reader checks it as it checks a reply.
 *
 * Units: _bytes are bytes, n_ are counts. What the allocator has no figure for has its bit in `have` missing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

#define LEDGER_MAGIC    0x3172644cu /* "Ldr1" */
#define LEDGER_BINS_MAX 64

/* jemalloc: "stats." and "stats.arenas.<all>." (doc/jemalloc.xml); tcmalloc: MallocExtension's numeric properties. */
typedef enum LedgerFigure {
        LEDGER_ALLOCATED, /* given out to the program; jemalloc's with what lies in its thread caches */
        LEDGER_ACTIVE,    /* pages with anything given out */
        LEDGER_METADATA,
        LEDGER_RESIDENT, /* in memory, by its own books: an upper bound where the kernel swaps */
        LEDGER_MAPPED,   /* in use or free, not given back */
        LEDGER_RETAINED, /* given back, its addresses kept */
        LEDGER_DIRTY,    /* pages with nothing given out that are in memory: a purge gives them back */
        LEDGER_MUZZY,    /* jemalloc: likewise, and the kernel may take them (MADV_FREE, Linux 4.5) */
        LEDGER_CACHED,   /* free, in the caches of threads and processors */
        LEDGER_CENTRAL,  /* tcmalloc: free, in its central and transfer caches */
        LEDGER_TRANSFER,
        _LEDGER_FIGURE_MAX,
} LedgerFigure;

/* What is of one size class, in slabs of so many regions. */
typedef struct LedgerBin {
        uint64_t size_bytes, n_slab_regions;
        uint64_t n_slabs, n_regions; /* there are; given out */
} LedgerBin;

typedef struct Ledger {
        uint32_t magic, size;
        uint32_t have;   /* 1 << LedgerFigure */
        uint32_t n_bins; /* that have slabs; 0 also where the allocator does not tell */
        char allocator[48];
        uint64_t bytes[_LEDGER_FIGURE_MAX];
        uint64_t n_arenas;               /* 0 = not told */
        int64_t dirty_decay_msec;        /* of new arenas: how long dirty pages are kept; -1: for good */
        uint64_t decay_known;            /* 1: it is */
        LedgerBin bins[LEDGER_BINS_MAX]; /* by size */
} Ledger;

/* ProbeRequest.value */
enum { LEDGER_WITH_BINS = 1 << 0 };

/* ledger_bin_waste() - bytes of its slabs that are not given out. */
uint64_t ledger_bin_waste(const LedgerBin *b);

/* ledger_figure() - Return: false: it has none; then @ret is 0. */
bool ledger_figure(const Ledger *l, LedgerFigure f, uint64_t *ret);

/* ledger_check() - Return: NULL, or why it is refused (static). Pure; fuzzed. */
const char *ledger_check(const Ledger *l);
/* ledger_read() - from a descriptor that came with a reply. Return: 0; -EBADMSG with @ret_why; other negative errno. */
int ledger_read(int fd, Ledger *ret, const char **ret_why) _must_check_;
