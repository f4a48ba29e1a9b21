/* SPDX-License-Identifier: Apache-2.0
 *
 * The child's part of jvm.h: finds the attach socket, wakes the listener if it sleeps, asks, waits. It becomes the
 * target's user first if it can, so that nothing is written, connected to or signalled that the target could not do to
 * itself, and so that the JVM, which compares user and group, takes it for its own. Paths lead through
 * /proc/PID/root, so it works from another mount and PID namespace.
 */
#pragma once

#include "action/jvm.h"

#define JVM_LINGER_MAX_USEC (600ULL * 1000000) /* how long one answer is waited for that came too late */

/**
 * jvm_attach_run() - in a process of its own, after fork(): allocates nothing
 * @channel: SOCK_SEQPACKET; gets JVM_BEGUN before the request is sent, then the end. Its hang-up before that
 *           is the wish to stop. Stays in here after JVM_TIMEOUT until the JVM has answered,
 *           and after SIGQUIT until it has reacted
 */
void jvm_attach_run(const JvmRequest *q, int channel);
