/* SPDX-License-Identifier: Apache-2.0
 *
 * What must be left alone whatever its memory holds, and why ptrace was denied: uid, capabilities, Yama or dumpable, in
 * one sentence with what would help. The kernel says no more than EPERM, so the checks of __ptrace_may_access()
 * (kernel/ptrace.c) are gone through again here, in its order; that is for people only, and nothing is decided by it.
 */
#pragma once

#include <stddef.h>

#include "probe/inject/facts.h"
#include "probe/proto.h"

/* access_explain() - for the target at @proc_pid_fd, with its facts. Writes a sentence; reads /proc/self and Yama's
 * setting. */
void access_explain(int proc_pid_fd, const Facts *f, char *buf, size_t size);

/* access_judge() - by its state alone: ended, traced, stopped, with a shadow stack, under seccomp? Pure. @filters_ok:
 * as for access_filters_ok(). @buf: a sentence, where there is more to say than the code does; else it stays as it is.
 * Return: PROBE_OK, or why it must be left alone. */
ProbeResult access_judge(const Facts *f, unsigned filters_ok, char *buf, size_t size) _must_check_;

/* access_filters_ok() - its filters, if it has any, are said to let the chain's calls pass. Pure. @filters_ok: as many
 * of them are; 0: none; ACCESS_ANY_FILTERS: however many. Strict mode never is. */
#define ACCESS_ANY_FILTERS UINT32_MAX
bool access_filters_ok(const Facts *f, unsigned filters_ok);

/* access_filters_here() - how many filters we were started under, without the probe's own; in a container those are the
 * runtime's. Return: 0 = none, or not told (before Linux 5.9). */
unsigned access_filters_here(void);
