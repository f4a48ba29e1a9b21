/* SPDX-License-Identifier: Apache-2.0
 *
 * Which stretches of a process' memory belong to whom, as far as they tell it themselves: glibc's heaps, its chunks
 * with a mapping of their own, and the stacks of its threads. For the breakdown of RSS; a stretch that is not
 * recognised is only counted elsewhere, so nothing is claimed that was not seen.
 */
#pragma once

#include "probe/inject/maps.h"
#include "probe/survey/glibc.h"
#include "probe/survey/ranges.h"

/* owners_of_glibc() - heaps and mmapped chunks. Return: 0; -ENOMEM; -E2BIG. */
int owners_of_glibc(Window *w, const Glibc *g, const Maps *maps, Ranges *ret) _must_check_;

/* owners_of_stacks() - of threads that glibc made; the main one is named by the kernel. @ns_pid: its number, in its own
 * PID namespace. Return: as above. */
int owners_of_stacks(Window *w, const Maps *maps, int32_t ns_pid, Ranges *ret) _must_check_;

typedef struct OwnersThread {
        uint64_t tcb;                    /* its thread pointer; TLS of what was loaded at the start lies below it */
        uint64_t stack_start, stack_end; /* 0, 0: the main one's, which is the kernel's */
        int32_t ns_tid;                  /* in its own PID namespace */
} OwnersThread;

/* Return: 0 to go on; negative errno ends it. May get one thread twice. */
typedef int (*OwnersThreadFn)(void *userdata, const OwnersThread *t);

/* owners_of_threads() - the same, and each living thread to @fn. */
int owners_of_threads(Window *w, const Maps *maps, int32_t ns_pid, Ranges *ret, OwnersThreadFn fn,
                      void *userdata) _must_check_;
