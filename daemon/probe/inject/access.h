/* SPDX-License-Identifier: Apache-2.0
 *
 * Why ptrace was denied: uid, capabilities, Yama or dumpable; one sentence with what would help.
 */
#pragma once

#include <stddef.h>

#include "probe/inject/facts.h"

/* access_explain() - for the target at @proc_pid_fd, with its facts. Writes a sentence; reads /proc/self and Yama's setting. */
void access_explain(int proc_pid_fd, const Facts *f, char *buf, size_t size);
