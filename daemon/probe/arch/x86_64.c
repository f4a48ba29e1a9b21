/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/arch/arch.h"

#include <cpuid.h>
#include <elf.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

/* Kernel-internal results (include/linux/errno.h) that a tracer sees in a stop before the call is begun again. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

enum { USER32_CS = 0x23, USER_CS = 0x33, USER_DS = 0x2b, SELECTOR_BITS = 0xfff };

/* arch/x86/include/uapi/asm/sigcontext.h, struct sigcontext_64 */
typedef struct SigContext {
        uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
        uint16_t cs, gs, fs, ss;
        uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
} SigContext;

/* arch/x86/include/uapi/asm/ucontext.h and sigframe.h: the part of a frame that rt_sigreturn reads */
typedef struct SigFrame {
        uint64_t restorer; /* the return address of the function before */
        uint64_t uc_flags, uc_link;
        uint64_t ss_sp;
        int32_t ss_flags, pad;
        uint64_t ss_size;
        SigContext mc;
        uint64_t sigmask;
        uint64_t fill;
} SigFrame;

_Static_assert(sizeof(SigContext) == 256 && sizeof(SigFrame) == 320, "the kernel's layout");
_Static_assert(sizeof(SigFrame) % 16 == 0, "a chain of frames must keep the alignment of the first");

enum {
        UC_FP_XSTATE = 1,         /* Linux 2.6.28 */
        UC_SIGCONTEXT_SS = 2,     /* Linux 4.6: ss is restored ... */
        UC_STRICT_RESTORE_SS = 4, /* ... exactly */
        SS_FLAGS_INVALID =
                0x40, /* do_sigaltstack() says EINVAL, rt_sigreturn ignores that: the alternate stack stays */
};

/* arch/x86/include/uapi/asm/sigcontext.h, struct _fpx_sw_bytes: at byte 464 of the FXSAVE area */
typedef struct FpSwBytes {
        uint32_t magic1, extended_size;
        uint64_t xfeatures;
        uint32_t xstate_size, padding[7];
} FpSwBytes;

enum { FP_SW_OFFSET = 464, XSAVE_HEADER_OFFSET = 512, XSAVE_MIN_SIZE = 576, XFEATURE_FPSSE = 3 };

bool arch_is_supported(void) {
        return true;
}

int arch_read_state(pid_t tid, ThreadState *ret) {
        struct iovec gp = {&ret->regs, sizeof(ret->regs)}, xs = {ret->xstate, sizeof(ret->xstate)};

        if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &gp) < 0)
                return -errno;
        /* a 32-bit task's register set is shorter; a 64-bit task can be in 32-bit code */
        if (gp.iov_len != sizeof(ret->regs) || ret->regs.cs != USER_CS)
                return -EOPNOTSUPP;
        if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &xs) < 0)
                return errno == ENODEV || errno == EINVAL ? -EOPNOTSUPP : -errno;
        if (xs.iov_len < XSAVE_MIN_SIZE || xs.iov_len == sizeof(ret->xstate))
                return -EOPNOTSUPP; /* cut, or larger than any known */
        ret->xstate_len = xs.iov_len;
        if (ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(ret->sigmask), &ret->sigmask) < 0) /* Linux 3.11 */
                return -errno;
        return 0;
}

long arch_syscall(const ThreadState *s, uint64_t ret_args[static 6]) {
        const struct user_regs_struct *r = &s->regs;
        long result = (long)r->rax;

        if ((long)r->orig_rax < 0)
                return -1;
        if (result != -ERESTARTSYS && result != -ERESTARTNOINTR && result != -ERESTARTNOHAND &&
            result != -ERESTART_RESTARTBLOCK && result != -EINTR)
                return -1;
        ret_args[0] = r->rdi;
        ret_args[1] = r->rsi;
        ret_args[2] = r->rdx;
        ret_args[3] = r->r10;
        ret_args[4] = r->r8;
        ret_args[5] = r->r9;
        return (long)r->orig_rax;
}

uint64_t arch_sp(const ThreadState *s) {
        return s->regs.rsp;
}

uint64_t arch_ip(const ThreadState *s) {
        return s->regs.rip;
}

uint64_t arch_thread_pointer(const ThreadState *s) {
        return s->regs.fs_base;
}

bool arch_is_syscall_insn(const unsigned char b[static 2]) {
        return b[0] == 0x0f && b[1] == 0x05;
}

#define CALL_REL32 0xe8 /* 5 bytes */

/* call r/m64: ff /2, with 0, 1 or 4 bytes of displacement and maybe a SIB byte: 2, 3, 4, 6 or 7 bytes */
static bool is_after_indirect_call(const unsigned char b[static 7]) {
        static const unsigned at[] = {5, 4, 3, 1, 0};

        for (size_t i = 0; i < ELEMENTSOF(at); i++)
                if (b[at[i]] == 0xff && (b[at[i] + 1] >> 3 & 7) == 2)
                        return true;
        return false;
}

bool arch_is_after_call(const unsigned char b[static 7]) {
        return b[2] == CALL_REL32 || is_after_indirect_call(b);
}

uint64_t arch_direct_call(const unsigned char b[static 7], uint64_t addr) {
        int32_t displacement;

        if (b[2] != CALL_REL32 || is_after_indirect_call(b))
                return 0;
        memcpy(&displacement, b + 3, sizeof(displacement));
        return addr + (uint64_t)displacement;
}

/* call *disp(%rip): ff 15 and 4 bytes; the other lengths of an indirect call end at other bytes. */
uint64_t arch_call_slot(const unsigned char b[static 7], uint64_t addr) {
        static const unsigned elsewhere[] = {5, 4, 3, 0};
        int32_t displacement;

        if (b[1] != 0xff || b[2] != 0x15)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(elsewhere); i++)
                if (b[elsewhere[i]] == 0xff && (b[elsewhere[i] + 1] >> 3 & 7) == 2)
                        return 0;
        memcpy(&displacement, b + 3, sizeof(displacement));
        return addr + (uint64_t)displacement;
}

bool arch_is_indirect_call(const unsigned char b[static 7]) {
        return arch_is_after_call(b) && b[2] != 0xe8;
}

bool arch_is_restorer(const unsigned char b[static 9]) {
        static const unsigned char wide[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05},
                                   narrow[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

        return memcmp(b, wide, sizeof(wide)) == 0 || memcmp(b, narrow, sizeof(narrow)) == 0;
}

/* What was interrupted ran in user mode, in 64-bit code, or in 32-bit code of a process that has both; Xen's selectors
 * have the same low bits. */
bool arch_may_be_frame(const unsigned char b[static ARCH_FRAME_LOOK]) {
        SigFrame f;

        _Static_assert(ARCH_FRAME_LOOK >= offsetof(SigFrame, mc.cs) + sizeof(f.mc.cs), "what is looked at");
        memcpy(&f, b, ARCH_FRAME_LOOK);
        return (f.mc.cs & SELECTOR_BITS) == USER_CS || (f.mc.cs & SELECTOR_BITS) == USER32_CS;
}

/* Where each feature's part of a standard-format XSAVE area ends (CPUID leaf 0xD). Our processor is the target's, and
 * the kernel's user format follows CPUID. Asked beforehand: in a virtual machine CPUID is a trip to the hypervisor,
 * tens of microseconds. */
static size_t feature_end[63];

static unsigned char fp_area[ARCH_XSTATE_MAX];

void arch_prepare(void) {
        memset(fp_area, 0, sizeof(fp_area));
        for (unsigned i = 2; i < ELEMENTSOF(feature_end); i++) {
                unsigned eax, ebx, ecx, edx;

                __cpuid_count(0xd, i, eax, ebx, ecx, edx);
                feature_end[i] = (size_t)ebx + eax;
        }
}

/* How many bytes of the area the features in @mask reach to. */
static size_t xstate_size(uint64_t mask) {
        size_t size = XSAVE_MIN_SIZE;

        for (unsigned i = 2; i < ELEMENTSOF(feature_end); i++)
                if (mask >> i & 1)
                        size = max_of(size, feature_end[i]);
        return size;
}

/* The floating point area of the last frame. Only features that are in use are carried (the kernel sets the others to
 * their initial state, which is what they are in). That also keeps the size below the task's own limit where AMX exists
 * but was never asked for: a larger one would make the kernel restore SSE alone (check_xstate_in_sigframe(),
 * Linux 5.16). */
static size_t build_fpstate(const ThreadState *s, unsigned char *out, size_t room) {
        uint64_t in_use;
        FpSwBytes sw = {0};
        size_t size;
        uint32_t magic2 = FP_XSTATE_MAGIC2;

        memcpy(&in_use, s->xstate + XSAVE_HEADER_OFFSET, sizeof(in_use));
        in_use |= XFEATURE_FPSSE;
        size = xstate_size(in_use);
        if (size > s->xstate_len || size + sizeof(magic2) > room)
                return 0;
        memcpy(out, s->xstate, size);
        sw.magic1 = FP_XSTATE_MAGIC1;
        sw.extended_size = (uint32_t)(size + sizeof(magic2));
        sw.xfeatures = in_use;
        sw.xstate_size = (uint32_t)size;
        memcpy(out + FP_SW_OFFSET, &sw, sizeof(sw));
        memcpy(out + size, &magic2, sizeof(magic2));
        return size + sizeof(magic2);
}

/* Synchronous faults stay unblocked: one that is blocked when it happens kills without the program's handler. */
static uint64_t mask_for_calls(void) {
        static const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
        uint64_t mask = ~0ULL;

        for (size_t i = 0; i < ELEMENTSOF(open); i++)
                mask &= ~(1ULL << (open[i] - 1));
        return mask;
}

static SigFrame frame_common(uint64_t sigreturn) {
        return (SigFrame){
                .restorer = sigreturn,
                .uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
                .ss_flags = SS_FLAGS_INVALID,
                .mc = {.cs = USER_CS, .ss = USER_DS},
        };
}

static SigFrame frame_call(const Call *c, uint64_t sp, uint64_t sigreturn) {
        SigFrame f = frame_common(sigreturn);

        f.mc.ip = c->function;
        f.mc.sp = sp;
        f.mc.di = c->arg[0];
        f.mc.si = c->arg[1];
        f.mc.dx = c->arg[2];
        f.mc.cx = c->arg[3];
        f.mc.r8 = c->arg[4];
        f.mc.r9 = c->arg[5];
        f.mc.flags = 0x202; /* interrupts on, direction up */
        f.sigmask = mask_for_calls();
        return f; /* fpstate 0: the kernel gives the initial floating point state, what a C function expects at entry */
}

static SigFrame frame_restore(const ThreadState *s, uint64_t fpstate, uint64_t sigreturn) {
        const struct user_regs_struct *r = &s->regs;
        SigFrame f = frame_common(sigreturn);

        f.uc_flags |= UC_FP_XSTATE;
        f.mc = (SigContext){
                .r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13, .r14 = r->r14,
                .r15 = r->r15, .di = r->rdi, .si = r->rsi, .bp = r->rbp, .bx = r->rbx, .dx = r->rdx, .cx = r->rcx,
                .sp = r->rsp, .flags = r->eflags, .cs = (uint16_t)r->cs, .ss = (uint16_t)r->ss, .fpstate = fpstate,
                /* back onto the `syscall` instruction with its number: the program never sees EINTR */
                .ip = r->rip - 2, .ax = r->orig_rax,
        };
        f.sigmask = s->sigmask;
        return f;
}

int arch_chain_build(const ThreadState *s, const Call *calls, size_t n, uint64_t top, uint64_t sigreturn, Chain *ret) {
        size_t fp_len = build_fpstate(s, fp_area, sizeof(fp_area)), at;
        uint64_t fp_addr, base;

        if (n > ARCH_CALLS_MAX || fp_len == 0)
                return -E2BIG;
        fp_addr = (top - fp_len) & ~63ULL; /* XRSTOR wants 64 */
        /* every frame begins 8 below a multiple of 16: what %rsp must be at a function's entry (ABI 3.2.2) */
        base = ((fp_addr - (n + 1) * sizeof(SigFrame)) & ~15ULL) - 8;
        if (top - base > sizeof(ret->bytes))
                return -E2BIG;
        memset(ret->bytes, 0, top - base);
        for (size_t i = 0; i <= n; i++) {
                SigFrame f = i < n ? frame_call(&calls[i], base + (i + 1) * sizeof(SigFrame), sigreturn)
                                   : frame_restore(s, fp_addr, sigreturn);

                memcpy(ret->bytes + i * sizeof(SigFrame), &f, sizeof(f));
        }
        at = (size_t)(fp_addr - base);
        memcpy(ret->bytes + at, fp_area, fp_len);
        ret->addr = base;
        ret->len = at + fp_len;
        ret->ip = sigreturn;
        ret->sp = base + 8; /* rt_sigreturn finds its frame 8 below the stack pointer, as after `ret` */
        return 0;
}

uint64_t arch_chain_room(const ThreadState *s, size_t n) {
        return s->xstate_len + (n + 1) * sizeof(SigFrame) + 256;
}

static int write_regs(pid_t tid, struct user_regs_struct *regs) {
        struct iovec gp = {regs, sizeof(*regs)};

        return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &gp) < 0 ? -errno : 0;
}

int arch_switch(pid_t tid, const ThreadState *s, const Chain *c) {
        struct user_regs_struct regs = s->regs;

        regs.rip = c->ip;
        regs.rsp = c->sp;
        regs.orig_rax = (unsigned long)-1; /* or the kernel would restart a call at the new place */
        return write_regs(tid, &regs);
}

uint64_t arch_chain_mask(void) {
        return mask_for_calls();
}

int arch_restore(pid_t tid, const ThreadState *s, bool again) {
        struct user_regs_struct regs = s->regs;

        if (again && (long)regs.orig_rax >= 0 &&
            ((long)regs.rax == -EINTR || (long)regs.rax == -ERESTART_RESTARTBLOCK))
                regs.rax = (unsigned long)-ERESTARTNOHAND; /* begins again, or EINTR if a handler runs after all */
        return write_regs(tid, &regs);
}
