/* SPDX-License-Identifier: Apache-2.0
 *
 * Another process' memory by process_vm_readv/writev (Linux 3.2): no stop, no ptrace attachment, one system call. What
 * is read is hostile and may change while it is read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* remote_read() - exactly @n bytes. Return: 0; -EFAULT when any of it is not mapped; -ESRCH, -EPERM. */
int remote_read(pid_t pid, uint64_t addr, void *buf, size_t n) _must_check_;
/* remote_read_some() - as many bytes as are mapped from @addr on. Return: bytes; negative errno when none. */
ssize_t remote_read_some(pid_t pid, uint64_t addr, void *buf, size_t n) _must_check_;
/* remote_write() - exactly @n bytes into writable memory. Return: 0 or negative errno; after a failure a part may be
 * written. */
int remote_write(pid_t pid, uint64_t addr, const void *buf, size_t n);
