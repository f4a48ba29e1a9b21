/* SPDX-License-Identifier: Apache-2.0
 *
 * A processor that has no chain of signal frames yet. The injector refuses before it touches anything; what can be read
 * of a process without a call in it is the same everywhere.
 */
#include "probe/arch/arch.h"

bool arch_is_supported(void) {
        return false;
}

void arch_prepare(void) {
}

int arch_read_state(pid_t tid _unused_, ThreadState *ret _unused_) {
        return -EOPNOTSUPP;
}

long arch_syscall(const ThreadState *s _unused_, uint64_t ret_args[static 6] _unused_) {
        return -1;
}

uint64_t arch_sp(const ThreadState *s _unused_) {
        return 0;
}

uint64_t arch_ip(const ThreadState *s _unused_) {
        return 0;
}

uint64_t arch_thread_pointer(const ThreadState *s _unused_) {
        return 0;
}

bool arch_is_syscall_insn(const unsigned char bytes[static 2] _unused_) {
        return false;
}

bool arch_is_after_call(const unsigned char bytes[static 7] _unused_) {
        return true; /* never says no to a real one */
}

uint64_t arch_direct_call(const unsigned char bytes[static 7] _unused_, uint64_t addr _unused_) {
        return 0;
}

uint64_t arch_call_slot(const unsigned char bytes[static 7] _unused_, uint64_t addr _unused_) {
        return 0;
}

bool arch_is_indirect_call(const unsigned char bytes[static 7] _unused_) {
        return false;
}

bool arch_is_restorer(const unsigned char bytes[static 9] _unused_) {
        return false;
}

bool arch_may_be_frame(const unsigned char bytes[static ARCH_FRAME_LOOK] _unused_) {
        return true;
}

int arch_chain_build(const ThreadState *s _unused_, const Call *calls _unused_, size_t n _unused_,
                     uint64_t top _unused_, uint64_t sigreturn _unused_, Chain *ret _unused_) {
        return -EOPNOTSUPP;
}

uint64_t arch_chain_room(const ThreadState *s _unused_, size_t n _unused_) {
        return UINT64_MAX;
}

int arch_switch(pid_t tid _unused_, const ThreadState *s _unused_, const Chain *c _unused_) {
        return -EOPNOTSUPP;
}

uint64_t arch_chain_mask(void) {
        return 0;
}

int arch_restore(pid_t tid _unused_, const ThreadState *s _unused_, bool again _unused_) {
        return -EOPNOTSUPP;
}
