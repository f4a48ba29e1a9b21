/* SPDX-License-Identifier: Apache-2.0
 *
 * Why RSS is what it is: from one look at a process' memory, or several apart in time, one verdict with its evidence
 * and the remedy with its expected gain. Pure: figures in, a verdict out; no clock, no I/O, no allocation.
 *
 * A verdict says what the figures show and no more. One look tells what memory consists of; that something *grows*
 * takes two, that the growth comes to its end takes three.
 *
 * Units: _bytes are bytes, _usec microseconds (CLOCK_BOOTTIME), _per_s per second, confidence 0..1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIAGNOSE_CLASSES   256 /* of chunk sizes: the same as the survey's */
#define DIAGNOSE_LOOKS_MAX 64

/* Where bytes can be. DIAGNOSE_HEAP_USED and _FREE are what malloc counts, resident or not; the rest is RSS. */
typedef enum DiagnosePart {
        DIAGNOSE_HEAP_USED,   /* given out by malloc, with mappings of its own */
        DIAGNOSE_HEAP_FREE,   /* free in malloc's arenas, and in memory */
        DIAGNOSE_PYTHON,      /* pymalloc's arenas: what blocks are in; all of them where that is not known */
        DIAGNOSE_PYTHON_FREE, /* the rest of them, in memory. No purge gives it back: an arena goes as a whole */
        DIAGNOSE_JAVA,        /* a JVM's heap, live or not: only its collector knows */
        DIAGNOSE_ALLOCATOR,   /* another allocator's extents, not told apart */
        DIAGNOSE_ANONYMOUS,   /* mapped by the program itself */
        DIAGNOSE_STACKS,
        DIAGNOSE_FILES,
        DIAGNOSE_SHARED,     /* shmem, memfd, tmpfs that is mapped */
        DIAGNOSE_PAGE_CACHE, /* cgroup: file pages beyond what is mapped */
        DIAGNOSE_TMPFS,      /* cgroup: shmem beyond what is mapped */
        DIAGNOSE_KERNEL,     /* cgroup: kernel memory and sockets; page tables */
        _DIAGNOSE_PART_MAX,
} DiagnosePart;

typedef struct DiagnoseClass {
        uint64_t n_used, used_bytes;
} DiagnoseClass;

/* One look. What was not read has its bit missing in `known`, and counts nowhere. */
typedef struct DiagnoseLook {
        uint64_t time_usec;
        uint64_t rss_bytes;
        uint64_t uss_bytes; /* without pages of files, which become a process' own when others leave them */
        uint32_t known;     /* 1 << DiagnosePart */
        bool heap_complete; /* the heap's figures add up */
        bool trim_known;
        uint64_t part_bytes[_DIAGNOSE_PART_MAX];
        uint64_t trim_bytes;                 /* what malloc_trim would give back */
        uint64_t pinned_bytes;               /* free, but on a page with something live */
        uint64_t n_arenas, arena_free_bytes; /* thread arenas alone: free bytes in them, their tops with */
        uint64_t large_free_bytes;           /* free in chunks that malloc's default maps one by one */
        uint64_t mmap_threshold_bytes;       /* that malloc has come to; 0 = not known, or fixed by the program */
        uint64_t usage_bytes;                /* what is compared with the limit; 0 = not known: RSS then */
        uint64_t n_threads;
        uint64_t java_max_bytes;      /* what a JVM's heap may come to (-Xmx); 0 = not known */
        uint64_t java_used_bytes;     /* what is used of it, live or not, as the JVM says; 0 = not known */
        bool other_malloc;            /* the heap is not glibc's, or not its alone */
        bool never_decays;            /* and keeps free pages for good, as it is set now */
        const DiagnoseClass *classes; /* Shape: DIAGNOSE_CLASSES, or NULL */
} DiagnoseLook;

typedef struct DiagnoseInput {
        const DiagnoseLook *looks; /* in order of time; 1 .. DIAGNOSE_LOOKS_MAX */
        size_t n;
        uint64_t limit_bytes; /* 0 = none */
} DiagnoseInput;

typedef enum VerdictKind {
        VERDICT_UNKNOWN,       /* too little could be read, or no cause outweighs the others */
        VERDICT_STEADY,        /* nothing grows, and nothing is to be had back */
        VERDICT_LIVE_GROWTH,   /* what is in use grows: a leak, or load */
        VERDICT_TRIMMABLE,     /* free memory that a purge gives back */
        VERDICT_PINNED,        /* free memory that it does not: something small lives on each page */
        VERDICT_FILES,         /* mapped files or page cache */
        VERDICT_SHARED,        /* shmem, memfd, tmpfs */
        VERDICT_STACKS,        /* stacks, by size or by number of threads */
        VERDICT_WARM_UP,       /* grew, and comes to its end */
        VERDICT_COPY_ON_WRITE, /* shared pages of a fork become its own: RSS is the same, the sum over processes is not
                                */
        _VERDICT_MAX,
} VerdictKind;

typedef enum RemedyKind {
        REMEDY_NONE,
        REMEDY_RECLAIM,        /* purge now */
        REMEDY_ARENA_MAX,      /* MALLOC_ARENA_MAX=2 at the next start */
        REMEDY_OTHER_MALLOC,   /* jemalloc by LD_PRELOAD at the next start */
        REMEDY_MMAP_THRESHOLD, /* large chunks pin the heap: a lower, fixed M_MMAP_THRESHOLD */
        REMEDY_FIX_LEAK,       /* in the program; size class and rate say where to look */
        REMEDY_LIMIT,          /* the working set needs more than the limit */
        REMEDY_FILES,          /* what is mapped or cached: drop it, or count it in the limit */
        REMEDY_THREADS,        /* too many threads, or stacks too deep */
        REMEDY_DECAY,          /* jemalloc keeps free pages for good: have it give them back in time */
        REMEDY_JAVA_MAX, /* a Java heap that may grow beyond what the limit leaves it: a lower -Xmx, or a higher limit
                          */
        REMEDY_PYTHON_MALLOC, /* PYTHONMALLOC=malloc at the next start: pages go back, not only whole arenas */
        _REMEDY_MAX,
} RemedyKind;

typedef struct Remedy {
        RemedyKind kind;
        uint64_t gain_bytes;              /* expected; 0 = not known */
        uint64_t need_bytes, floor_bytes; /* REMEDY_LIMIT: what it needs, and the least it was seen with.
                                             REMEDY_JAVA_MAX: what it may need; else 0 */
} Remedy;

#define VERDICT_REMEDIES_MAX 4

typedef struct Verdict {
        VerdictKind kind;
        double confidence;
        DiagnosePart part;      /* that grows, or that holds most */
        bool growing;           /* the figures below are known: two looks at least */
        double rss_bytes_per_s; /* over the whole time */
        double uss_bytes_per_s;
        double part_bytes_per_s;
        double late_bytes_per_s; /* of the part, in the last third of the time; if n >= 3 */
        int size_class;          /* that grows most in use; -1 = none stands out */
        double class_bytes_per_s;
        double class_n_per_s;
        Remedy remedies[VERDICT_REMEDIES_MAX]; /* in the order to try; ends with REMEDY_NONE */
} Verdict;

/* diagnose_part_bytes() - of a part; of DIAGNOSE_HEAP_USED, where it is not known which of the heap that is, all of the
 * heap: then @ret_whole is true. */
uint64_t diagnose_part_bytes(const DiagnoseLook *l, DiagnosePart p, bool *ret_whole);

/* diagnose() - @in->n >= 1. */
void diagnose(const DiagnoseInput *in, Verdict *ret);

/* diagnose_last() - the look whose figures go with the verdict: the last one of those that it was judged by, that knew
 * what a trim gives if one did. */
const DiagnoseLook *diagnose_last(const DiagnoseInput *in);

const char *verdict_name(VerdictKind k); /* "live_growth" ...: stable, for JSON and metrics */
const char *verdict_text(VerdictKind k); /* for people: "live growth" */
const char *remedy_name(RemedyKind k);
const char *diagnose_part_name(DiagnosePart p);
