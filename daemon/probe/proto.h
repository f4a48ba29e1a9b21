/* SPDX-License-Identifier: Apache-2.0
 *
 * What plateaud (or the command line) and plateau-probe say to each other: fixed-size, versioned messages over a
 * SOCK_SEQPACKET pair; the probe's end is descriptor 3. One request, one reply, in order. No parser, no pointers, no
 * strings but fixed arrays that both sides terminate. Bump PROBE_PROTO_VERSION with any change of layout.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "util/smaps.h"

#define PROBE_PROTO_VERSION 8
#define PROBE_FD 3
#define PROBE_MAGIC 0x31747250u /* "Prt1" */
#define PROBE_DETAIL_MAX 192
#define PROBE_NAME_MAX 48
/* On top of a request's two time limits: what an injected call may take besides, to be put in hand and to be cleaned up
 * after; a second later the probe answers for a worker that does not. Whoever asks waits longer. */
#define PROBE_WORK_SLACK_MSEC   3000u
#define PROBE_ANSWER_SLACK_MSEC 4000u

typedef enum ProbeOp {
        PROBE_OP_HELLO = 1,    /* version, capabilities */
        PROBE_OP_SMAPS_ROLLUP, /* read it once, tell its cost */
        PROBE_OP_CGROUP_DIR,   /* a descriptor of /proc/PID/root/sys/fs/cgroup, passed by SCM_RIGHTS */
        PROBE_OP_TRIM,         /* the injected purge of the allocator in charge */
        PROBE_OP_TUNE,         /* one setting of the allocator changed, by an injected call */
        PROBE_OP_PYTHON,       /* the objects of a CPython counted; the table is a memfd (probe/python/census.h) */
        PROBE_OP_PLACE,        /* a descriptor of a ProbePlace of a process of our own user, passed likewise */
        PROBE_OP_SURVEY,       /* its memory explained; the table is a memfd (probe/survey/survey.h) */
        PROBE_OP_GROWTH,       /* its mappings, threads and newer chunks; a memfd (probe/survey/growth.h) */
        PROBE_OP_LEDGER,       /* its allocator's own statistics, by injected calls; a memfd (probe/survey/ledger.h) */
        _PROBE_OP_MAX,
} ProbeOp;

/* One code and one sentence (probe_result_text()) each; the code is also the CLI's JSON `reason` by its name. */
typedef enum ProbeResult {
        PROBE_OK,
        PROBE_E_GONE,   /* no such process, or another one by now */
        PROBE_E_ACCESS, /* ptrace access denied; detail says uid, capability, Yama or dumpable */
        PROBE_E_TRACED, /* another tracer is attached */
        PROBE_E_ZOMBIE,
        PROBE_E_STOPPED,     /* stopped by job control */
        PROBE_E_FOREIGN_ABI, /* 32-bit or another architecture */
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
        PROBE_E_NO_SETTING,     /* TUNE: the allocator in charge has no such setting */
        PROBE_E_REJECTED,       /* TUNE: it was called and said no; detail has its answer */
        PROBE_E_NO_PYTHON,      /* PYTHON: no interpreter there that can be read; detail says which it is */
        PROBE_E_ONE_THREAD,     /* TUNE: would make a thread in a process that has none besides its main thread */
        PROBE_E_BUDGET,         /* PYTHON: it would have to stand still for longer than is allowed */
        PROBE_E_NO_FIGURES,     /* LEDGER: the allocator in charge tells none */
        _PROBE_RESULT_MAX,
} ProbeResult;

typedef enum ProbeThread { PROBE_THREAD_NONE, PROBE_THREAD_BORROWED, PROBE_THREAD_OWN } ProbeThread;

enum {
        PROBE_FLAG_ALLOW_SECCOMP = 1 << 0,
        PROBE_FLAG_DECAY = 1 << 1,           /* TRIM: of jemalloc only what has decayed by its own clock */
        PROBE_FLAG_RUNTIME_SECCOMP = 1 << 2, /* allowed under as many filters as the probe was started under */
};

typedef enum ProbeParam {
        PROBE_PARAM_NONE,
        PROBE_PARAM_ARENA_MAX,           /* glibc mallopt(M_ARENA_MAX) */
        PROBE_PARAM_MMAP_THRESHOLD,      /* glibc mallopt(M_MMAP_THRESHOLD), bytes */
        PROBE_PARAM_TRIM_THRESHOLD,      /* glibc mallopt(M_TRIM_THRESHOLD), bytes */
        PROBE_PARAM_BACKGROUND_THREAD,   /* jemalloc, 0 or 1 */
        PROBE_PARAM_DIRTY_DECAY,         /* jemalloc, milliseconds, -1 = never */
        PROBE_PARAM_MUZZY_DECAY,         /* jemalloc, milliseconds, -1 = never */
        _PROBE_PARAM_MAX,
} ProbeParam;

/* What of /proc/PID takes ptrace-read access to open, and then none to use. */
typedef enum ProbePlace {
        PROBE_PLACE_MAPS, /* for reading */
        PROBE_PLACE_ROOT, /* O_PATH, a directory */
        PROBE_PLACE_CWD,  /* likewise */
        _PROBE_PLACE_MAX,
} ProbePlace;

typedef struct ProbeRequest {
        uint32_t magic, version;
        uint32_t op, seq;
        int32_t pid;
        uint32_t flags;
        uint64_t start_ticks;         /* identity: must equal field 22 of /proc/PID/stat */
        uint32_t find_timeout_msec;   /* of a call: to find a safe thread */
        uint32_t finish_timeout_msec; /* of a call: for the call itself */
        uint32_t param;               /* TUNE: ProbeParam; PYTHON: PythonMode; PLACE: ProbePlace;
                                       * GROWTH: GrowthMode */
        uint32_t budget_msec;         /* PYTHON, SURVEY, GROWTH: how long to read; 0 = as the probe thinks right */
        int64_t value;                /* TUNE: what to set; PYTHON: PYTHON_LISTS_ONLY; GROWTH: growth_pack();
                                       * LEDGER: LEDGER_WITH_BINS */
} ProbeRequest;

/* What an injected call cost and did, whichever it was. */
typedef struct ProbeCall {
        uint64_t stop_usec;     /* sum over the stops: from PTRACE_INTERRUPT's stop to PTRACE_DETACH */
        uint64_t stop_max_usec; /* the longest single one */
        uint64_t duration_usec; /* of the called function itself */
        uint64_t total_usec;    /* request to reply */
        uint32_t thread;        /* ProbeThread */
        int32_t tid;            /* which was borrowed */
        uint32_t n_declined;    /* stops that found no safe point and let go */
        uint32_t pad;
        char allocator[PROBE_NAME_MAX]; /* "glibc 2.36"; "jemalloc 5.3.0 + glibc 2.36" when it is both */
        char name[PROBE_NAME_MAX];      /* what was called: "malloc_trim", "mallctl_purge" ...; joined likewise */
} ProbeCall;

typedef struct ProbeTrim {
        ProbeCall call;
        uint64_t rss_before_bytes, rss_after_bytes;
        uint64_t predicted_bytes;
        uint32_t predicted; /* 1: predicted_bytes is valid */
        uint32_t pad;
} ProbeTrim;

/* What the allocator said to the new value. */
typedef enum ProbeVerdict { PROBE_VERDICT_UNKNOWN, PROBE_VERDICT_TAKEN, PROBE_VERDICT_REFUSED } ProbeVerdict;

typedef struct ProbeTune {
        ProbeCall call;
        int64_t before, after; /* as the allocator has them */
        uint32_t have_before, have_after;
        uint32_t param;             /* ProbeParam */
        uint32_t verdict;           /* ProbeVerdict */
        uint32_t n_arenas, n_tuned; /* jemalloc's decays: arenas there are, and those in use, which got the value too */
} ProbeTune;

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
                ProbeTune tune;
                ProbeCall call; /* PYTHON, if a call was asked for; LEDGER */
        };
} ProbeReply;

_Static_assert(sizeof(ProbeRequest) == 56, "layout is the protocol: bump PROBE_PROTO_VERSION");
_Static_assert(sizeof(ProbeCall) == 144 && sizeof(ProbeTrim) == 176 && sizeof(ProbeTune) == 184,
               "layout is the protocol: bump PROBE_PROTO_VERSION");
_Static_assert(sizeof(SmapsRollup) <= 184 && sizeof(ProbeReply) == 24 + PROBE_DETAIL_MAX + 184,
               "layout is the protocol: bump PROBE_PROTO_VERSION");

/* probe_lock_name() - abstract socket that whoever calls into a process holds meanwhile. It is of the process' number,
 * start and our PID namespace: pods with hostNetwork share abstract names, and count their processes alike. Return: its
 * length. */
socklen_t probe_lock_name(pid_t pid, uint64_t start_ticks, struct sockaddr_un *ret);

const char *probe_result_name(ProbeResult r); /* "ok", "no_safe_thread", ...: stable, for JSON and metrics */
const char *probe_result_text(ProbeResult r); /* one sentence */
