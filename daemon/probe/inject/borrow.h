/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrow a thread of a live process for a few C calls: find one, stop it, prove that it is safe, write the chain,
 * switch, let go. Everything that may be refused is refused before the switch; after it, all completes without us.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/arch/arch.h"
#include "probe/inject/image.h"
#include "probe/inject/maps.h"
#include "probe/inject/safepoint.h"
#include "probe/proto.h"

typedef struct Borrow {
        pid_t pid;
        uint64_t start_ticks;
        int proc_fd; /* /proc/PID */
        int mem_fd;  /* borrow_open_memory() */
        int lock_fd;
        unsigned filters_ok; /* of access_filters_ok() */
        Maps maps;
        Image image;
        uint64_t deadline_usec; /* CLOCK_MONOTONIC: for finding a safe thread */
        uint64_t stack_top;     /* for BORROW_ON_SCRATCH */
        pid_t only_ns_tid;      /* no other thread than this; 0 = any. As its C library knows it */
        /* what it took */
        uint64_t held_usec, held_max_usec;
        unsigned n_declined;
        SafePoint last_decline;
        unsigned declined[_SAFE_MAX]; /* of n_declined, for which reason */
        Census seen;                  /* of the last look */
        pid_t last_tid; /* the thread that is being, or was, borrowed; set before BorrowCallsFn runs */
        pid_t last_ns_tid; /* the same, as its C library knows it */
        bool stuck;     /* a thread stays attached until this process exits: no further call */
} Borrow;

#define BORROW_NULL ((Borrow){.proc_fd = -1, .mem_fd = -1, .lock_fd = -1, .last_decline = SAFE_NOT_BLOCKED})

typedef enum BorrowPlace {
        BORROW_ON_ITS_STACK, /* below its red zone: for a call that needs next to no stack */
        BORROW_ON_SCRATCH,   /* below stack_top */
} BorrowPlace;

/* Appends calls to @calls; at most ARCH_CALLS_MAX - 1 (the last puts errno back). Runs before the thread is stopped,
 * once for each that is tried. */
typedef void (*BorrowCallsFn)(void *userdata, Call *calls, size_t *n);

/* borrow_open() - Return: 0; -ESRCH: not there, or its start time differs; other negative errno. */
int borrow_open(Borrow *b, pid_t pid, uint64_t start_ticks) _must_check_;
void borrow_done(Borrow *b);

/* borrow_open_memory() - before anything is read: a descriptor of the memory as it is now (image_memory_is_there()).
 * /proc/PID/mem, or /proc/PID/maps of another user's process, which belongs to the same memory and may be read with
 * CAP_SYS_PTRACE alone. Return: 0 or negative errno. */
int borrow_open_memory(Borrow *b) _must_check_;

/* borrow_explain() - after PROBE_E_NO_SAFE_THREAD, for people: what the threads were doing, and why stops were for
 * nothing. */
void borrow_explain(const Borrow *b, char *buf, size_t size);

/* borrow_lock() - one call in flight per target: an abstract socket named after it (probe_lock_name()), gone with this
 * process. Return: 0;
 * -EADDRINUSE; other negative errno (no abstract sockets here: the scratch mailbox still guards). */
int borrow_lock(Borrow *b);

/**
 * borrow_call() - run a chain on some safe thread
 * Return: PROBE_OK: switched, it will complete by itself. PROBE_E_NO_SAFE_THREAD, PROBE_E_GONE, PROBE_E_ACCESS,
 *         PROBE_E_STOPPED, PROBE_E_FOREIGN_ABI, PROBE_E_INTERNAL: nothing has changed.
 */
ProbeResult borrow_call(Borrow *b, BorrowPlace place, BorrowCallsFn fn, void *userdata) _must_check_;
