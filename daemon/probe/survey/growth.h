/* SPDX-License-Identifier: Apache-2.0
 *
 * What tells where a process grows, when two of them are compared (PROBE_OP_GROWTH): every mapping and every thread by
 * itself, and what chunks hold that were not in use at the first look. A Growth in a sealed memfd, followed by its
 * mappings, threads and samples; no pointers. Read from outside, as a survey is.
 *
 * The probe keeps which chunks were in use between two requests of one connection, bounded, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/survey/ranges.h"

#define GROWTH_MAGIC       0x31776f47u /* "Gow1" */
#define GROWTH_MAPS_MAX    4096
#define GROWTH_THREADS_MAX 1024
#define GROWTH_NAME_MAX    120
#define GROWTH_COMM_MAX    16

#define GROWTH_CLASSES_MAX   3  /* size classes of which chunks are looked at */
#define GROWTH_SAMPLES_MAX   32 /* chunks of each */
#define GROWTH_WORDS         8  /* of a chunk, told one by one */
#define GROWTH_SYMBOL_MAX    96
#define GROWTH_OBJECT_MAX    40
#define GROWTH_CONTENT_BYTES 64  /* shown of a chunk when that is asked for */
#define GROWTH_TEXT_READ     256 /* bytes of a chunk that are looked at */

/* ProbeRequest.param */
typedef enum GrowthMode {
        GROWTH_PLACES,   /* mappings and threads */
        GROWTH_REMEMBER, /* and remember which chunks are in use */
        GROWTH_COMPARE,  /* and tell what newer ones hold */
        _GROWTH_MODE_MAX,
} GrowthMode;

enum {
        GROWTH_MAPS_CUT = 1 << 0,    /* there are more; the ones with the least in memory are left out */
        GROWTH_THREADS_CUT = 1 << 1, /* there are more */
        GROWTH_ARENA_SLOT = 1 << 2,  /* which arena a thread uses is known */
        GROWTH_COMPARED = 1 << 3,    /* samples[]: newer chunks were looked for */
        GROWTH_OUT_OF_TIME = 1 << 4, /* the heap was not read to its end */
};

typedef struct GrowthMap {
        uint64_t start, end;
        uint64_t rss_bytes, swap_bytes;
        uint32_t kind, pad;         /* PartKind: whose most of it is */
        char name[GROWTH_NAME_MAX]; /* the end of its path; "": no file */
} GrowthMap;

enum { GROWTH_THREAD_STACK = 1 << 0, GROWTH_THREAD_ARENA = 1 << 1 }; /* what of it is known */

typedef struct GrowthThread {
        uint64_t stack_start, stack_end, stack_rss_bytes;
        uint64_t arena; /* its address; 0 = has not allocated yet */
        int32_t tid;    /* in the probe's PID namespace */
        uint32_t flags;
        char comm[GROWTH_COMM_MAX];
} GrowthThread;

typedef enum GrowthWordKind {
        GROWTH_WORD_NONE, /* behind the chunk's end */
        GROWTH_WORD_ZERO,
        GROWTH_WORD_SMALL,   /* an integer below 65536 */
        GROWTH_WORD_SYMBOL,  /* a pointer to or into what has a name in a file's symbol table: .text */
        GROWTH_WORD_FILE,    /* a pointer into a mapped file: .text is its name, .offset where */
        GROWTH_WORD_HEAP,    /* a pointer into glibc's heap, or what malloc mapped */
        GROWTH_WORD_STACK,   /* a pointer to a thread's stack */
        GROWTH_WORD_POINTER, /* a pointer into other memory of the process */
        GROWTH_WORD_TEXT,    /* printable text begins here: .offset bytes of it are seen, .chars tell which */
        GROWTH_WORD_IN_TEXT, /* and goes on here */
        GROWTH_WORD_DATA,    /* anything else */
        _GROWTH_WORD_MAX,
} GrowthWordKind;

enum { /* GrowthWord.chars: what the text consists of */
       GROWTH_CHARS_LOWER = 1 << 0,
       GROWTH_CHARS_UPPER = 1 << 1,
       GROWTH_CHARS_DIGIT = 1 << 2,
       GROWTH_CHARS_BLANK = 1 << 3,
       GROWTH_CHARS_PUNCT = 1 << 4,
       GROWTH_CHARS_UTF8 = 1 << 5,
       GROWTH_CHARS_ON = 1 << 6, /* it goes on behind what was looked at */
};

typedef struct GrowthWord {
        uint32_t kind, chars;
        uint64_t offset;                /* SYMBOL: into it; FILE: in the file; TEXT: bytes */
        char symbol[GROWTH_SYMBOL_MAX]; /* as in the symbol table */
        char object[GROWTH_OBJECT_MAX]; /* the file's name without its directories */
} GrowthWord;

typedef struct GrowthSample {
        uint32_t class, n_content;           /* bytes of content[]; 0 unless it was asked for */
        uint64_t size_bytes;                 /* of the chunk, with its header */
        char python_type[GROWTH_SYMBOL_MAX]; /* "" = no object of a Python's */
        GrowthWord words[GROWTH_WORDS];
        unsigned char content[GROWTH_CONTENT_BYTES];
} GrowthSample;

typedef struct Growth {
        uint32_t magic, size;
        uint32_t flags, n_maps, n_threads, n_samples;
        uint64_t begin_usec; /* CLOCK_BOOTTIME */
        uint64_t duration_usec, cpu_usec;
        uint64_t one_in; /* so many chunks are one that is remembered */
        uint64_t n_torn; /* samples dropped: the chunk changed while it was looked at */
} Growth;                /* GrowthMap[n_maps], GrowthThread[n_threads], GrowthSample[n_samples] follow */

#define GROWTH_SAMPLES_ALL (GROWTH_CLASSES_MAX * GROWTH_SAMPLES_MAX)

/* What is asked, ProbeRequest.value. */
typedef struct GrowthAsk {
        uint32_t n_classes, n_samples; /* samples of each class */
        uint8_t classes[GROWTH_CLASSES_MAX];
        bool show_content;
} GrowthAsk;

/* growth_pack(), growth_unpack() - as one number. Return: false: nothing that growth_pack() makes. */
int64_t growth_pack(const GrowthAsk *a);
bool growth_unpack(int64_t value, GrowthAsk *ret) _must_check_;

typedef struct GrowthRun {
        int proc_pid_fd;
        int32_t pid;
        uint64_t start_ticks; /* what is remembered is good for this process alone */
        GrowthMode mode;
        const GrowthAsk *ask;
        uint64_t budget_usec; /* wall time for reading the heap */
        int kept_fd;          /* REMEMBER writes to it, COMPARE reads it; -1: nothing is remembered */
} GrowthRun;

/* growth_run() - one look, written to @out_fd. Call it in a process of its own: it takes some MiB, and its end gives
 * them back. Return: 0; -EACCES, -EPERM, -ESRCH, -ENOMEM, -EIO. */
int growth_run(const GrowthRun *g, int out_fd) _must_check_;
