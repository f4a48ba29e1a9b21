/* SPDX-License-Identifier: Apache-2.0
 *
 * File reads relative to a directory descriptor, bounded, without allocation. Every reader of /proc and of a cgroup
 * tree takes the directory, so that tests hand it a literal tree (tests/fixtures/proc/...) and production hands it
 * /proc.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

/* rootfs_open_dir() - O_DIRECTORY | O_CLOEXEC. Return: a descriptor (Owner: caller) or negative errno. */
int rootfs_open_dir(int dir_fd, const char *path) _must_check_;

/* rootfs_open() - O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY (a hostile path may be a FIFO). Return: as above. */
int rootfs_open(int dir_fd, const char *path) _must_check_;

/**
 * rootfs_read() - a whole small file into @buf, NUL-terminated
 * @size: of @buf, 2 or more; at most @size - 1 bytes are read
 * Shape: any file; read until the kernel says that it ends.
 * Return: bytes read; -EFBIG when the file goes on beyond the buffer (@buf then holds the first @size - 1 bytes);
 *         another negative errno (-ESRCH and -ENOENT: the process or group is gone).
 */
ssize_t rootfs_read(int dir_fd, const char *path, char *buf, size_t size) _must_check_;

/**
 * rootfs_pread() - the same from offset 0 of an open descriptor, mostly with one system call
 * Shape: a file of one seq_file record (status, statm, stat, smaps_rollup, memory.*): a reply that leaves half a page
 *        free ends it. Not for maps, mountinfo or cgroup: a long line there may be held back for the next read.
 */
ssize_t rootfs_pread(int fd, char *buf, size_t size) _must_check_;

/* rootfs_read_u64() - a file that holds one decimal number and at most one newline; "max" gives UINT64_MAX. Return: 0;
 * -EINVAL: something else is in it; -ERANGE; another negative errno. */
int rootfs_read_u64(int dir_fd, const char *path, uint64_t *ret) _must_check_;
