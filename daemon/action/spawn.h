/* SPDX-License-Identifier: Apache-2.0
 *
 * Start a program with nothing of ours in it: no shell, no descriptor but 0-2, no blocked or ignored signal, its own
 * process group, the environment given and no other, no negative oom_score_adj (what we start must not outlive what we
 * protect). Never waits: what the exec came to is told afterwards by a pipe, the end by a pidfd.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "util/cleanup.h"

typedef struct Spawned {
        pid_t pid;     /* also the number of its process group */
        int pid_fd;    /* polls readable at its end; -1 before Linux 5.3 */
        int output_fd; /* stdout and stderr, not blocking */
        int error_fd;  /* for spawn_exec_error() */
} Spawned;

#define SPAWNED_NULL ((Spawned){.pid_fd = -1, .output_fd = -1, .error_fd = -1})

/* spawn_find() - @name itself with a slash in it, else looked for in PATH as execvp() does. @ret: untouched on failure.
 * Return: 0; -ENOENT; -EACCES: there, but no file that we may execute; -ENAMETOOLONG. */
int spawn_find(const char *name, char ret[static PATH_MAX]) _must_check_;

/**
 * spawn_start() - fork and execve
 * @path:     from spawn_find()
 * @stdin_fd: becomes its descriptor 0. Owner: caller
 * Return: 0 or negative errno. That execve() failed is not known yet: spawn_exec_error(), once the child has ended.
 */
int spawn_start(const char *path, char *const argv[], char *const env[], int stdin_fd, Spawned *ret) _must_check_;
void spawn_done(Spawned *s); /* release the descriptors; the process goes on */

/* spawn_exec_error() - of a child that has ended. Return: 0: it did run; negative errno of execve() otherwise. */
int spawn_exec_error(const Spawned *s);

/* spawn_kill() - @sig to the whole group. Only for a child that was not waited for: its number is still its own. */
void spawn_kill(pid_t pid, int sig);

/* spawn_abandon() - nobody waits for it any more: SIGTERM now, SIGKILL after @kill_usec if it is still there, and its
 * zombie is taken away. On the loop, by itself; forgotten when the loop is freed. Return: 0 or negative errno. */
int spawn_abandon(sd_event *event, pid_t pid, uint64_t kill_usec);

/* spawn_forget() - the same without any signal: it ends by itself, and within @max_usec. */
int spawn_forget(sd_event *event, pid_t pid, uint64_t max_usec);

/* spawn_close_from() - every descriptor from @first on. Safe after fork(). */
void spawn_close_from(int first);

/* spawn_text_fd() - a file in memory that holds @text, to be read from its begin. Return: a descriptor, errno. */
int spawn_text_fd(const char *text) _must_check_;
