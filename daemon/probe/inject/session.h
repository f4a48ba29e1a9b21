/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one injected call: open the target and refuse what must be refused -> scratch memory in it -> chains of
 * calls -> wait for each -> unmap. Three short stops of one thread, each proved safe on its own; between them the
 * target runs by itself, and whoever dies, it goes on. One such life at a time in a target; what an earlier one left
 * behind is used again, once nothing of it can be running any more.
 *
 * Who wants something called brings two functions (SessionWork) and calls session_call() in the second, as often as
 * needed: trim.c purges, tune.c changes a setting. For any other function: put its arguments' bytes into
 * SessionPlan.data, point at them by session_data(), and read what it wrote by session_read(). What it *returned* is
 * lost (rt_sigreturn loads every register); session_truth() saves whether an int was 0, of a function with up to two
 * arguments. More is not known, and must not be guessed: ask by a second call, or have it written to memory.
 */
#pragma once

#include "probe/inject/borrow.h"
#include "probe/inject/scratch.h"
#include "probe/proto.h"

/* Besides them the chain holds two stamps, four calls that make a thread, and errno's. */
#define SESSION_CALLS_MAX (ARCH_CALLS_MAX - 7)

struct Session;

typedef struct SessionPlan {
        Call calls[SESSION_CALLS_MAX]; /* on the borrowed thread, in order */
        size_t n;
        /* A thread of its own runs this, and whoever waits for the plan waits for its end; 0 = none. Only in a process
         * that has threads (Session.threaded): elsewhere malloc takes no locks, and a second thread would corrupt the
         * heap. */
        uint64_t own_function, own_argument;
        /* Called once while the plan runs: beside a thread of its own as soon as that exists, else as soon as the
         * borrowed one is on its way. What it returns is session_call()'s answer if all else went well. NULL = nothing
         * to do. */
        ProbeResult (*meanwhile)(struct Session *s, void *userdata);
        void *userdata;
        const void *data; /* copied to session_data(s, 0) before the chain starts; at most SCRATCH_DATA_SIZE */
        size_t data_len;
} SessionPlan;

typedef struct Session {
        const ProbeRequest *req;
        ProbeReply *reply;
        Borrow b;
        bool threaded; /* has threads, in glibc's eyes */
        /* private from here on */
        const SessionPlan *plan;
        uint64_t scratch; /* address in the target, 0 = none */
        uint64_t claim;
        uint64_t switched_usec; /* the last chain's switch; 0 = nothing was started yet */
        uint64_t finish_usec;   /* when what is called must have ended */
        uint64_t end_usec;      /* when all of it must have */
        int pidfd;
        pid_t ns_pid; /* its number in its own PID namespace */
        Mailbox box; /* as it was when the last chain ended */
} Session;

typedef struct SessionWork {
        /* The target is known (s->b.image), nothing was touched yet: the last place to refuse. NULL = nothing to say.
         */
        ProbeResult (*judge)(Session *s, void *userdata);
        /* Scratch memory is there. */
        ProbeResult (*act)(Session *s, void *userdata);
} SessionWork;

typedef enum SessionTruth { SESSION_UNKNOWN, SESSION_FALSE, SESSION_TRUE } SessionTruth;

/* session_run() - all of it; fills reply->result, ->detail and ->call (but for its names). Bounded: find + finish time
 * of the request and PROBE_WORK_SLACK_MSEC. Call it in a process of its own: it may leave a thread seized that would
 * not stop, and only exiting lets that go. */
void session_run(const SessionWork *work, const ProbeRequest *req, ProbeReply *reply, void *userdata);

/**
 * session_call() - one chain: start it on some safe thread, wait until it is through
 * Return: PROBE_OK: it was; call.duration_usec grew by its length. PROBE_E_TIMEOUT: it started and is left to finish by
 *         itself: return that. PROBE_E_NO_SAFE_THREAD, PROBE_E_IN_FLIGHT, PROBE_E_GONE and others: it did not start.
 */
ProbeResult session_call(Session *s, const SessionPlan *plan) _must_check_;

/* session_data() - address in the target of byte @offset of a plan's data, and of room for results. */
uint64_t session_data(const Session *s, size_t offset);
/* session_read() - bytes of it, after session_call() returned PROBE_OK. Return: 0 or negative errno. */
int session_read(const Session *s, size_t offset, void *buf, size_t n) _must_check_;

/* session_own_thread() - for SessionPlan.meanwhile: the number of the plan's own thread, as its C library knows it.
 * Return: 0; -ESRCH: there is none any more. */
int session_own_thread(const Session *s, pid_t *ret_ns_tid) _must_check_;

/* session_truth() - a call of @function (@a, @b) that remembers in @slot (below SCRATCH_TRUTHS) whether it returned 0:
 * as the callback of lsearch(3), called exactly once. @function gets two arguments and returns int. Hazard: @b may be 0
 * only for a parameter of 32 bits. */
Call session_truth(const Session *s, uint64_t function, uint64_t a, uint64_t b, unsigned slot);
/* session_was() - after session_call(): what was remembered. SESSION_UNKNOWN where there is no lsearch. */
SessionTruth session_was(const Session *s, unsigned slot);

/* session_say() - the reply's sentence for people. */
void session_say(Session *s, const char *fmt, ...) _printf_(2, 3);
