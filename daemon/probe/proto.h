/* SPDX-License-Identifier: Apache-2.0
 *
 * What plateaud (or the command line) and plateau-probe say to each other: fixed-size, versioned messages over a
 * SOCK_SEQPACKET pair; the probe's end is descriptor 3. One request, one reply, in order. No parser, no pointers, no
 * strings but fixed arrays that both sides terminate. Bump PROBE_PROTO_VERSION with any change of layout.
 */
#pragma once

#include <stdint.h>

#include "util/smaps.h"

#define PROBE_PROTO_VERSION 2
#define PROBE_FD 3
#define PROBE_MAGIC 0x31747250u /* "Prt1" */
#define PROBE_DETAIL_MAX 192

typedef enum ProbeOp {
        PROBE_OP_HELLO = 1,    /* version, capabilities */
        PROBE_OP_SMAPS_ROLLUP, /* read it once, tell its cost */
        PROBE_OP_CGROUP_DIR,   /* a descriptor of /proc/PID/root/sys/fs/cgroup, passed by SCM_RIGHTS */
        PROBE_OP_TRIM,         /* the injected malloc_trim */
        _PROBE_OP_MAX,
} ProbeOp;

/* One code and one sentence (probe_result_text()) each; the code is also the CLI's JSON `reason` by its name. */
typedef enum ProbeResult {
        PROBE_OK,
        PROBE_E_GONE,           /* no such process, or another one by now */
        PROBE_E_ACCESS,         /* ptrace access denied; detail says uid, capability, Yama or dumpable */
        PROBE_E_TRACED,         /* another tracer is attached */
        PROBE_E_ZOMBIE,
        PROBE_E_STOPPED,        /* stopped by job control */
        PROBE_E_FOREIGN_ABI,    /* 32-bit or another architecture */
        PROBE_E_SHADOW_STACK,
        PROBE_E_SECCOMP,        /* a filter whose verdict on the chain's calls is not known */
        PROBE_E_NO_LIBC,        /* no glibc found, or a symbol of it missing */
        PROBE_E_OTHER_MALLOC,   /* malloc is another library's, which we cannot purge */
        PROBE_E_RAW_THREADS,    /* several threads, but glibc believes it is alone: made by clone() behind its back */
        PROBE_E_NO_SAFE_THREAD, /* no thread at a proven safe point within the time allowed */
        PROBE_E_NO_MEMORY,      /* no hole for the scratch mapping, or the target could not map it */
        PROBE_E_IN_FLIGHT,      /* an earlier call has not finished yet */
        PROBE_E_TIMEOUT,        /* started, not finished in its time; left to finish by itself */
        PROBE_E_PROTOCOL,       /* bad message or version */
        PROBE_E_UNSUPPORTED,    /* not on this architecture or kernel */
        PROBE_E_INTERNAL,       /* a system call failed unexpectedly; detail has it */
        _PROBE_RESULT_MAX,
} ProbeResult;

typedef enum ProbeThread { PROBE_THREAD_NONE, PROBE_THREAD_BORROWED, PROBE_THREAD_OWN } ProbeThread;

enum { PROBE_FLAG_ALLOW_SECCOMP = 1 << 0 };

typedef struct ProbeRequest {
        uint32_t magic, version;
        uint32_t op, seq;
        int32_t pid;
        uint32_t flags;
        uint64_t start_ticks;         /* identity: must equal field 22 of /proc/PID/stat */
        uint32_t find_timeout_msec;   /* TRIM: to find a safe thread */
        uint32_t finish_timeout_msec; /* TRIM: for the call itself */
} ProbeRequest;

typedef struct ProbeTrim {
        uint64_t rss_before_bytes, rss_after_bytes;
        uint64_t stop_usec;      /* sum over the stops: from PTRACE_INTERRUPT's stop to PTRACE_DETACH */
        uint64_t stop_max_usec;  /* the longest single one */
        uint64_t duration_usec;  /* of malloc_trim itself */
        uint64_t total_usec;     /* request to reply */
        uint32_t thread;         /* ProbeThread */
        int32_t tid;             /* which was borrowed */
        uint32_t n_declined;     /* stops that found no safe point and let go */
        uint32_t predicted;      /* 1: predicted_bytes is valid */
        uint64_t predicted_bytes;
        char allocator[32];      /* "glibc 2.36", "jemalloc" */
        char call[24];           /* what was called: "malloc_trim", "mallctl_purge" ... */
} ProbeTrim;

typedef struct ProbeHello {
        uint64_t cap_effective;
        uint32_t uid;
        uint32_t pid;
} ProbeHello;

typedef struct ProbeReply {
        uint32_t magic, version;
        uint32_t op, seq;
        uint32_t result; /* ProbeResult */
        uint32_t pad;
        char detail[PROBE_DETAIL_MAX]; /* one sentence for people, "" if none */
        union {
                ProbeHello hello;
                SmapsRollup smaps;
                ProbeTrim trim;
        };
} ProbeReply;

_Static_assert(sizeof(ProbeRequest) == 40, "layout is the protocol: bump PROBE_PROTO_VERSION");
_Static_assert(sizeof(ProbeReply) == 24 + PROBE_DETAIL_MAX + sizeof(SmapsRollup),
               "layout is the protocol: bump PROBE_PROTO_VERSION");

const char *probe_result_name(ProbeResult r); /* "ok", "no_safe_thread", ...: stable, for JSON and metrics */
const char *probe_result_text(ProbeResult r); /* one sentence */
