/* SPDX-License-Identifier: Apache-2.0
 *
 * The proof that a stopped thread may be borrowed: it stands right after a `syscall` instruction that will be begun
 * again, and nothing on its stack leads back into an allocator, fork or the dynamic loader. Declining is cheap and
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
        SAFE_SIGNAL,        /* a signal waits for it: beginning the call again would swallow an EINTR */
        SAFE_NO_STACK,      /* its stack pointer is in no writable map of the snapshot */
        SAFE_NO_ROOM,       /* not enough room below the stack pointer */
        SAFE_DEEP_STACK,    /* more stack than is scanned */
        SAFE_IN_HANDLER,    /* a signal handler is (or was) active: what it interrupted cannot be seen from here */
        SAFE_IN_GUARDED,    /* a return address into malloc, fork or the dynamic loader */
        SAFE_UNREADABLE,
        _SAFE_MAX,
} SafePoint;

#define SAFE_SCAN_MAX (8u << 20) /* bytes of stack above the stack pointer; more is declined */

/**
 * safepoint_check() - for a stopped thread
 * @status_fd: the thread's status file, opened before the stop: opening costs more than all the rest
 * @room: bytes needed below the red zone, 0 when the thread's own stack is not used
 * Return: SAFE_POINT or why not.
 */
SafePoint safepoint_check(pid_t pid, int status_fd, const Tracee *t, const Candidate *c, const Image *image,
                          const Maps *maps, uint64_t room) _must_check_;

/* safepoint_text() - why it was declined, as the end of a sentence. */
const char *safepoint_text(SafePoint s);
