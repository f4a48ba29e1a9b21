/* SPDX-License-Identifier: Apache-2.0
 *
 * What plateau-probe tells of a CPython interpreter (PROBE_OP_PYTHON): a PythonCensus and its types, in a sealed memfd
 * that is passed with the reply. Fixed size, no pointers; the reader checks it as it checks a reply. Counted from
 * outside while the program runs, so a figure is a count at no single instant; what could not be read is told as not
 * known, never as 0.
 *
 * Units: _bytes are bytes, _usec microseconds; n_ are counts.
 */
#pragma once

#include <stdint.h>

#define PYTHON_CENSUS_MAGIC 0x31737950u /* "Pys1" */
#define PYTHON_TYPES_MAX 4096           /* types told; the rest is summed up in `others` */
#define PYTHON_NAME_MAX 96
#define PYTHON_GENERATIONS 4 /* young, middle, old, permanent (gc.freeze()) */

/* ProbeRequest.param */
typedef enum PythonMode {
        PYTHON_PASSIVE,  /* read the gc lists from outside: no stop, no GIL, nothing runs in the target */
        PYTHON_INJECTED, /* ask the interpreter itself at its next safe point: exact, costs it the GIL for a while */
        _PYTHON_MODE_MAX,
} PythonMode;

/* ProbeRequest.value */
enum { PYTHON_LISTS_ONLY = 1 << 0 }; /* PASSIVE: do not look for bytes and str, which takes most of the time */

enum {
        PYTHON_COMPLETE = 1 << 0,       /* every gc list was walked to its end */
        PYTHON_TORN = 1 << 1,           /* lists changed under the reader more often than it would try again */
        PYTHON_SAMPLED = 1 << 2,        /* bytes, bytearrays and strings: estimates, each sampleevery-th */
        PYTHON_HAVE_BLOCKS = 1 << 3,    /* n_blocks, as sys.getallocatedblocks() */
        PYTHON_HAVE_ARENAS = 1 << 4,    /* pymalloc's arenas and pools */
        PYTHON_HAVE_UNTRACKED = 1 << 5, /* bytes_, bytearray_, str_: found as referents of tracked objects */
        PYTHON_HAVE_TASKS = 1 << 6,     /* asyncio */
        PYTHON_HAVE_THREADS = 1 << 7,
};

typedef struct PythonCount {
        uint64_t n_objects;
        uint64_t bytes; /* with the gc header, as gc's own allocation; less than sys.getsizeof() where a type owns
                           buffers */
} PythonCount;

typedef struct PythonType {
        char name[PYTHON_NAME_MAX]; /* tp_name, for heap types "module.qualname"; NUL-terminated, any bytes */
        PythonCount count;
} PythonType;

typedef struct PythonCensus {
        uint32_t magic, size; /* size: of this struct, without the types behind it */
        char version[16];     /* "3.11.2" */
        uint32_t mode;        /* PythonMode */
        uint32_t flags;
        uint32_t n_types, n_interpreters;
        uint32_t n_threads, n_tasks;
        uint64_t sample_every; /* 1 = all */
        uint64_t begin_usec;   /* CLOCK_BOOTTIME */
        uint64_t duration_usec, cpu_usec;
        uint64_t n_retries; /* walks that were torn and begun again */
        PythonCount generations[PYTHON_GENERATIONS];
        PythonCount all, others; /* others: of types beyond PYTHON_TYPES_MAX */
        PythonCount bytes, bytearrays, strings;
        uint64_t n_blocks;
        uint64_t arenas, arenas_bytes, pools_free, pools_used, blocks_free_bytes;
} PythonCensus; /* PythonType types[n_types] follows, largest bytes first */
