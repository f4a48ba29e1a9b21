/* SPDX-License-Identifier: Apache-2.0
 *
 * The search for a target: one walk over /proc with buffers on the stack. Internal to target.c. Every process may
 * vanish between any two steps of it, and is then simply not a candidate.
 */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <sys/types.h>

#include "sample/target.h"

/**
 * find_process() - the process that a spec means, as of now
 * @regex:      compiled pattern for TARGET_MATCH_CMDLINE, else NULL
 * @ret_pid:    untouched on failure
 * @ret_reason: why none was found, in words; static. Set with -ENOENT only
 * Return: 0; -ENOENT: none; other negative errno: trouble of our own.
 *
 * Patterns (cmdline, exe) never match ourselves, our ancestors, our descendants or another program of this project.
 * Kernel threads and zombies are never matched. Of several matches @spec->pick takes one; a unit's is always the
 * oldest.
 *
 * TARGET_MATCH_MAIN: a container's first process has a parent outside the PID namespace, i.e. PPid 0. Candidates are
 * all of these but the pod's own ("pause", "catatonit -P"), a runtime's that is about to become another program
 * ("runc:[2:INIT]"), our own container's, this project's programs and kernel threads; in place of an init like tini its
 * oldest child. Several containers, or a `kubectl exec`, give several candidates: @spec->pick chooses, and the default,
 * the oldest, is the container started first. With sidecars that start earlier a pattern says better who is meant.
 * Where only an init runs as process 1 (no shared namespace, or docker run --init), its oldest child that is not ours.
 */
int find_process(const TargetSpec *spec, const regex_t *regex, const TargetSource *src, pid_t *ret_pid,
                 const char **ret_reason) _must_check_;

/* find_is_own_trouble() - of all errors, those that say something about us; any other is about the process looked at:
 * gone, hidden (hidepid=), or a file that is not what the kernel has there. */
bool find_is_own_trouble(int r);

/**
 * find_read_cmdline() - arguments joined by blanks
 * @buf: Shape: cut to @size - 1, NUL-terminated. "" for a kernel thread or a process that hides it
 * Return: length; -ENOENT, -ESRCH: gone; other negative errno.
 */
ssize_t find_read_cmdline(int dir_fd, const char *path, char *buf, size_t size) _must_check_;
