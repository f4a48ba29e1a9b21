/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof that a stopped thread may be borrowed: it stands right after a `syscall` instruction that will be begun
 * again, in the memory that was looked at before (no execve() since), it is one of the C library's own threads, and
 * nothing on its stack leads back into an allocator, fork or the dynamic loader. Declining is cheap and
 * always right; a thread that was declined is let go and looked at again later.
 */
#pragma once

#include <stdint.h>

#include "probe/inject/image.h"
#include "probe/inject/maps.h"
#include "probe/inject/threads.h"
#include "probe/inject/tracee.h"

typedef enum SafePoint {
        SAFE_POINT,
        SAFE_NOT_BLOCKED,   /* its call has returned, or another one is in progress than a moment ago */
        SAFE_OTHER_CALL,    /* it stopped in a call that it is not taken out of */
        SAFE_LATE,          /* its wait would become longer: others first */
        SAFE_SIGNAL,        /* a signal waits for it: beginning the call again would swallow an EINTR */
        SAFE_NO_STACK,      /* its stack pointer is in no writable map of the snapshot */
        SAFE_OTHER_STACK,   /* not the thread's own stack (a coroutine's, say): where it ends cannot be known */
        SAFE_NO_ROOM,       /* not enough room below the stack pointer */
        SAFE_DEEP_STACK,    /* more stack than is scanned */
        SAFE_IN_HANDLER,    /* a signal handler is (or was) active: what it interrupted cannot be seen from here */
        SAFE_IN_GUARDED,    /* a return address into malloc, fork or the dynamic loader */
        SAFE_NO_DESCRIPTOR, /* its thread pointer leads to no struct pthread with its number: not made by this libc */
        SAFE_UNREADABLE,
        _SAFE_MAX,
} SafePoint;

#define SAFE_SCAN_MAX (8u << 20) /* bytes of stack above the stack pointer; more is declined */

typedef struct SafeAsk {
        pid_t pid;
        int mem_fd; /* /proc/PID/mem, opened before @maps and @image were read */
        const Tracee *tracee;
        const Candidate *candidate;
        const Image *image;
        const Maps *maps;
        uint64_t room; /* bytes needed below the red zone, 0 when the thread's own stack is not used */
} SafeAsk;

typedef struct SafeSeen {
        uint64_t errno_addr; /* 0 = not known */
        unsigned char errno_bytes[4];
} SafeSeen;

/* safepoint_prepare() - before any stop: takes the page faults that a fresh fork has on buffers and code. */
void safepoint_prepare(void);

/* safepoint_check() - for a stopped thread. Return: SAFE_POINT or why not; then @ret is not to be used. */
SafePoint safepoint_check(const SafeAsk *ask, SafeSeen *ret) _must_check_;

/* safepoint_learn() - what call a stopped thread is in, where that could not be told before. @late_too: relative
 * time-outs as well. Return: SAFE_POINT: @c is known; or why not. */
SafePoint safepoint_learn(const Tracee *t, bool late_too, Candidate *c) _must_check_;

/* safepoint_text() - why it was declined, as the end of a sentence. */
const char *safepoint_text(SafePoint s);
