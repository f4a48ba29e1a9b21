/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread under ptrace, for tens of microseconds: stop -> (switch | release). PTRACE_SEIZE and PTRACE_INTERRUPT
 * (Linux 3.4), never ATTACH (it sends SIGSTOP), never EXITKILL. If this process dies in between, the kernel detaches
 * and the thread goes on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/arch/arch.h"
#include "probe/proto.h"
#include "util/clock.h"

/* A blocked thread stops within a scheduling delay, which was seen to be above 500 ms for a nice one among many.
 * Waiting costs it nothing; let go before it stopped, it sees an EINTR that nobody repairs, if its call is of that
 * class. */
#define TRACEE_STOP_TIMEOUT_USEC (3 * USEC_PER_SEC)

typedef struct Tracee {
        pid_t tid;
        bool attached;
        uint64_t stopped_usec; /* CLOCK_MONOTONIC when the stop was seen */
        ThreadState state;
} Tracee;

typedef enum TraceeStop {
        TRACEE_STOPPED,
        TRACEE_GONE,
        TRACEE_DENIED,
        TRACEE_GROUP_STOPPED, /* job control: let go again */
        TRACEE_BUSY,          /* a signal came first: let go again */
        TRACEE_STUCK,         /* it did not stop in time */
        TRACEE_FOREIGN,       /* 32-bit, or no XSAVE */
} TraceeStop;

/* tracee_prepare() - once per process, before any tracee_stop(): SIGCHLD is blocked so that it can be waited for, and
 * arch_prepare(). */
void tracee_prepare(void);

/**
 * tracee_stop() - seize and stop one thread and read its state
 * @timeout_usec: for the stop; a thread in uninterruptible sleep does not stop
 * Return: TRACEE_STOPPED: the caller must end with tracee_switch() or tracee_release(). Otherwise nothing is to be
 * undone. Hazard: after TRACEE_STUCK this process stays attached until it exits (Linux detaches only stopped threads),
 * and a thread that stops late stands until then: exit soon.
 */
TraceeStop tracee_stop(Tracee *t, pid_t tid, uint64_t timeout_usec) _must_check_;

/* tracee_release() - let go, as if nothing had been. @ret_held_usec: how long it stood. */
void tracee_release(Tracee *t, uint64_t *ret_held_usec);

/**
 * tracee_switch() - start @chain, already written, and let go
 * Return: 0; -EINTR: a signal waits for it, which the call must see: released without a chain; another negative errno:
 *         the same. A signal that comes later stays pending until the chain's last frame.
 */
int tracee_switch(Tracee *t, const Chain *chain, uint64_t *ret_held_usec) _must_check_;
