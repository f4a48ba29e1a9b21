/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own memory in the target: one private anonymous mapping, data only. It is made by the target itself (an injected
 * mmap at an address that we choose) and unmapped the same way. It begins with a mailbox, by which a later run
 * recognises one that a killed probe left behind, and sees whether a call is still running in it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/inject/maps.h"
#include "util/cleanup.h"

#define SCRATCH_MAGIC 0x33617263536c7050ULL /* "PplScra3" */

/* struct pthread.tid: 704 bytes of TCB header and a list head come before it (nptl/descr.h), the same from 2.17
 * to 2.42. Of a borrowed thread it is checked. */
#define PTHREAD_TID_OFFSET 720
/* An odd size at an address with these low bits is ours, also before anything was written there: a probe that dies
 * right after the mapping was made leaves one that the next run knows. */
#define SCRATCH_SIZE  (203 * 4096ULL)
#define SCRATCH_LOW32 0x50726000u

/* Layout: mailbox page | arguments and results | stack of a thread of its own | stack and frames of the borrowed
 * thread, from the end down (280 KiB; where there is no thread of its own, that one's stack as well). */
#define SCRATCH_DATA_OFFSET         4096ULL
#define SCRATCH_DATA_SIZE           (16ULL * 1024)
#define SCRATCH_THREAD_STACK_OFFSET (SCRATCH_DATA_OFFSET + SCRATCH_DATA_SIZE)
#define SCRATCH_THREAD_STACK_SIZE   (512ULL * 1024) /* glibc takes static TLS from it */
#define SCRATCH_CHAIN_TOP           SCRATCH_SIZE

#define SCRATCH_TRUTHS 4

typedef struct Mailbox {
        uint64_t magic;
        /* Processes and threads by the numbers that they have in their own PID namespace: another probe may see the
         * target from another one, as from within its container. */
        uint64_t pid, start_ticks; /* whose: a child that was forked meanwhile has a copy in which nothing runs */
        uint64_t armed;    /* the borrowed thread, from before the switch until the call is known to be over; else 0 */
        uint64_t unmapper; /* the thread that was, or is about to be, told to unmap this; else 0 */
        uint64_t begin[2]; /* struct timespec, by the first clock_gettime of the chain */
        uint64_t end[2];   /* by the last: nonzero = the borrowed thread is through */
        uint64_t thread;   /* pthread_t of the thread of its own; 0 = none (yet) */
        uint64_t attr[16]; /* pthread_attr_t: 56 bytes on x86_64, room for more */
        uint64_t claim; /* a number that whoever uses this memory drew: another one has taken it over if it differs */
        uint64_t truth[SCRATCH_TRUTHS]; /* 1 = the called function returned 0; 2 = it did not (session_truth()) */
} Mailbox;

_Static_assert(sizeof(Mailbox) <= 4096, "one page");

/* scratch_is_mailbox() - written by us, and not garbage. */
bool scratch_is_mailbox(const Mailbox *box);

/* scratch_lasted_usec() - from the chain's first stamp to its last, which are the target's to write: never more than
 * @most_usec, and that where it ends before it begins. Pure. */
uint64_t scratch_lasted_usec(const Mailbox *box, uint64_t most_usec);

/* scratch_find() - a mapping that an earlier run left. Return: its address, 0 = none. @ret: its
 * mailbox, all zero when nothing was written yet. */
uint64_t scratch_find(pid_t pid, const Maps *maps, Mailbox *ret);
