/* SPDX-License-Identifier: Apache-2.0
 *
 * What depends on the processor: registers of a stopped thread, whether it stands right after a system call that can be
 * begun again, and the bytes of a chain of signal frames. Nothing here does I/O but ptrace on a thread that is stopped
 * already.
 *
 * A chain: each frame sets every register; its instruction pointer is a C function, its stack pointer points at the
 * address of the signal restorer with the next frame right above. So the function's `ret` runs rt_sigreturn on the next
 * frame. The last frame restores the thread, all of it, and runs the interrupted system call again. No code is written
 * anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "util/cleanup.h"

#define ARCH_CALLS_MAX 32
#define ARCH_XSTATE_MAX (16u * 1024)                                   /* AMX makes it 11,008 */
#define ARCH_CHAIN_MAX (ARCH_XSTATE_MAX + (ARCH_CALLS_MAX + 1) * 512u) /* bytes that chain_build() may need */
#define ARCH_RED_ZONE   128 /* System V ABI 3.2.2: below the stack pointer, in use */

typedef struct ThreadState {
#ifdef __x86_64__
        struct user_regs_struct regs;
#endif
        uint64_t sigmask;
        size_t xstate_len;
        _Alignas(64) unsigned char xstate[ARCH_XSTATE_MAX]; /* standard (not compacted) XSAVE format */
} ThreadState;

typedef struct Call {
        uint64_t function;
        uint64_t arg[6];
} Call;

typedef struct Chain {
        uint64_t addr; /* where bytes[0] belongs */
        size_t len;
        uint64_t ip, sp; /* the switch */
        unsigned char bytes[ARCH_CHAIN_MAX];
} Chain;

/* arch_is_supported() - false: nothing below does anything, and no call may be tried. */
bool arch_is_supported(void);

/* arch_prepare() - once per process, before any stop: what takes time and does not depend on the thread. */
void arch_prepare(void);

/* arch_read_state() - of a thread in ptrace-stop. Return: 0; -EOPNOTSUPP (32-bit, no XSAVE); other negative errno. */
int arch_read_state(pid_t tid, ThreadState *ret) _must_check_;

/* arch_syscall() - the system call that was interrupted. Return: its number; -1 when the thread does not stand right
 * after a system call that has done nothing yet (it has returned, or it is in user code). @ret_args: its six arguments.
 */
long arch_syscall(const ThreadState *s, uint64_t ret_args[static 6]);
uint64_t arch_sp(const ThreadState *s);
uint64_t arch_ip(const ThreadState *s);
uint64_t arch_thread_pointer(const ThreadState *s);

/* arch_is_syscall_insn() - the two bytes before the instruction pointer. */
bool arch_is_syscall_insn(const unsigned char bytes[static 2]);
/* arch_is_after_call() - could @bytes (the 7 before an address) end in a call instruction? Never says no to a real one.
 */
bool arch_is_after_call(const unsigned char bytes[static 7]);

/* arch_direct_call() - the target of the direct call that @bytes (the 7 before @addr) end in.
 * Return: 0 if they end in no direct call, or could be the end of an indirect one as well. */
uint64_t arch_direct_call(const unsigned char bytes[static 7], uint64_t addr);

/* arch_call_slot() - the word of memory that holds the target of the call by a fixed address that @bytes end in.
 * Return: 0 if they end in no such call, or could be the end of another one as well. */
uint64_t arch_call_slot(const unsigned char bytes[static 7], uint64_t addr);

/* arch_is_indirect_call() - do @bytes end in a call by a register or by memory, and in nothing that could be a direct
 * one? */
bool arch_is_indirect_call(const unsigned char bytes[static 7]);

/* arch_is_restorer() - does @bytes make the system call rt_sigreturn? */
bool arch_is_restorer(const unsigned char bytes[static 9]);

#define ARCH_FRAME_LOOK 200 /* bytes of a signal frame, from the restorer's address on */

/* arch_may_be_frame() - could rt_sigreturn return by this frame? Never says no to one of an active handler. */
bool arch_may_be_frame(const unsigned char bytes[static ARCH_FRAME_LOOK]);

/**
 * arch_chain_build() - lay out @n calls and the restoring frame
 * @top:       the chain is put right below this address; functions use the memory below the chain as their stack
 * @sigreturn: address of the restorer
 * Return: 0; -E2BIG.
 */
int arch_chain_build(const ThreadState *s, const Call *calls, size_t n, uint64_t top, uint64_t sigreturn,
                     Chain *ret) _must_check_;

/* arch_chain_room() - bytes that a chain of @n calls for this thread takes at most, alignment included. */
uint64_t arch_chain_room(const ThreadState *s, size_t n);

/* arch_switch() - the one write that starts a chain. Return: 0 or negative errno: then nothing has changed. */
int arch_switch(pid_t tid, const ThreadState *s, const Chain *c) _must_check_;

/* arch_chain_mask() - the signals that are blocked while a chain runs. */
uint64_t arch_chain_mask(void);

/* arch_restore() - the registers of a thread that is to be let go as it was. @again: if its call would end with EINTR,
 * or go on in restart_syscall, make the kernel begin it again by its arguments, unless a real signal is waiting.
 * Return: 0 or negative errno. */
int arch_restore(pid_t tid, const ThreadState *s, bool again);

