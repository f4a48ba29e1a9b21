/* SPDX-License-Identifier: Apache-2.0
 *
 * Why ptrace was denied: uid, capabilities, Yama or dumpable, in one sentence with what would help. The kernel says no
 * more than EPERM, so the checks of __ptrace_may_access() (kernel/ptrace.c) are gone through again here, in its order.
 * For people only; nothing is decided by it.
 */
#pragma once

#include <stddef.h>

#include "probe/inject/facts.h"

/* access_explain() - for the target at @proc_pid_fd, with its facts. Writes a sentence; reads /proc/self and Yama's
 * setting. */
void access_explain(int proc_pid_fd, const Facts *f, char *buf, size_t size);

/* access_explain_seccomp() - for a process under seccomp: what is known of it, and what would help. */
void access_explain_seccomp(const Facts *f, char *buf, size_t size);
