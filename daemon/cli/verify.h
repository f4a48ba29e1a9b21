/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau verify`: the command line, what was judged, and its shapes: a screen, a JSON document, a picture. The
 * options are in verify.c, watching a process in verify-live.c.
 */
#pragma once

#include "cli/chart.h"
#include "cli/cli.h"
#include "replay/trace.h"
#include "trend/plateau-test.h"

typedef struct VerifyArgs {
        const char *before, *after, *series, *confidence, *daily, *svg; /* recorded */
        const char *match, *exe, *word, *out, *allocator, *probe;       /* watched; word: the pid */
        uint64_t for_usec, interval_usec, limit_bytes, horizon_usec;    /* for 0 = not said */
        double confidence_ratio, daily_ratio;
        bool json, main, survey;
} VerifyArgs;

/* One trace and its answer. */
typedef struct Judged {
        const char *role, *path; /* path is hostile */
        char process[64];        /* what path is when a process was watched */
        Trace trace;
        size_t from; /* its last process: what another one used says nothing about this one */
        Chart chart;
        uint64_t limit_bytes; /* 0 = none */
        double per_in_use;    /* resident bytes for each in use, behind the warm-up; 0 = not known */
        double in_use_bytes;  /* their mean */
        PlateauResult result;
} Judged;

/* What malloc leads to. */
typedef struct VerifyAllocator {
        bool asked;
        char name[64]; /* "glibc 2.36", "jemalloc"; "" = not known */
        bool met;
} VerifyAllocator;

/* verify_view(), verify_json() - on standard output. @change: NULL or of the first two. */
void verify_view(const VerifyArgs *a, const Judged *j, unsigned n, const PlateauChange *change,
                 const VerifyAllocator *allocator);
void verify_json(const Judged *j, unsigned n, PlateauVerdict verdict, const PlateauChange *change,
                 const VerifyAllocator *allocator);
/* verify_allocator_view() - one line. */
void verify_allocator_view(const VerifyArgs *a, const VerifyAllocator *allocator);

/* verify_svg() - write @a->svg: the last of them, and the first behind it if there are two. Return: a CliExit. */
CliExit verify_svg(const VerifyArgs *a, const Judged *j, unsigned n) _must_check_;

/**
 * verify_watch() - sample a process until the time is over, it ends, or a signal comes
 * @ret: its role is the caller's. Owner: caller, trace_done() of its trace
 * Return: CLI_OK; CLI_UNMET: its allocator is another one than expected, nothing more was done; other: said.
 */
CliExit verify_watch(const Command *self, const VerifyArgs *a, Judged *ret,
                     VerifyAllocator *ret_allocator) _must_check_;
