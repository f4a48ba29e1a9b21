/* SPDX-License-Identifier: Apache-2.0
 *
 * Which system calls a thread may be taken out of, and how gladly: the table behind the choice of a thread. A call is
 * in it when beginning it again is proved unseen by what the kernel does; who waits in any other is never interrupted.
 * Pure: no I/O, except that the kernel's version is asked for once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Waits that only data end come first, then those that end at a point in time or know how much is left; last those that
 * begin again with their whole time-out: they get longer, never shorter. */
enum { CALLS_NEVER = -1, CALLS_ENDLESS = 0, CALLS_DEADLINE = 10, CALLS_RELATIVE = 20 };

/* calls_rank() - how good it is to borrow a thread in this system call. Return: >= 0, lower is better; CALLS_NEVER. */
int calls_rank(long nr, const uint64_t args[static 6]);

/* calls_has_own_mask() - does it wait with a signal mask other than the thread's? */
bool calls_has_own_mask(long nr, const uint64_t args[static 6]);

/* calls_can_keep_mask() - does this kernel tell a tracer the thread's own mask then? */
bool calls_can_keep_mask(void);

/* calls_begin_again() - of a call that was interrupted with EINTR: had it done nothing, whatever its rank? Not so
 * of close(), say, which is done by then: again it would close what another thread has opened meanwhile. */
bool calls_begin_again(long nr);

/* calls_wchan_rank() - a guess at calls_rank() from /proc/PID/task/TID/wchan, the kernel's function it sleeps in.
 * Return: as above; CALLS_NEVER: an unknown one, or one whose calls may have done a part of their work. */
int calls_wchan_rank(const char *wchan);

/* calls_wchan_is_elsewhere() - is it a function in which no function sleeps that a chain calls? */
bool calls_wchan_is_elsewhere(const char *wchan);

/* calls_wchan_is_frozen() - does the thread sleep on its way out of the kernel: frozen by its cgroup, or stopped? */
bool calls_wchan_is_frozen(const char *wchan);

/* calls_name() - "io_uring_enter"; "call 9999" where the name is not known. */
void calls_name(long nr, char *buf, size_t size);
