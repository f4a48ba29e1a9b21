/* SPDX-License-Identifier: Apache-2.0
 *
 * The target `fpu`: known values in every register that a blocking system call keeps (all but rax, rcx and r11 on
 * x86-64), in the vector and x87 units, in their control words, and in the 128 bytes below the stack pointer that
 * belong to the function (System V ABI, "red zone"). One piece of assembly loads them, blocks in read(2) on stdin,
 * and stores what it finds afterwards. The same with a loop in place of the call is for the target `unseen`.
 */
#include "targets/mkleak.h"
#include "targets/unseen.h"

#include <string.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

#define MXCSR_ODD 0x7f80u /* round to zero, all exceptions masked, no flag */
#define FCW_ODD   0x0f7fu /* round to zero, extended precision, all exceptions masked */

/* offsets are used by the assembly below */
typedef struct Regs {
        unsigned char vec[32][64]; /* 0 */
        uint64_t k[8];             /* 2048 */
        unsigned char x87[8][16];  /* 2112 */
        uint32_t mxcsr;            /* 2240 */
        uint16_t fcw, pad;         /* 2244 */
        uint64_t gpr[10];          /* 2248: rbx rbp r8 r9 r10 r12 r13 r14 r15 (unused) */
        uint64_t red_zone[16];     /* 2328 */
} Regs;
_Static_assert(offsetof(Regs, k) == 2048 && offsetof(Regs, x87) == 2112 && offsetof(Regs, mxcsr) == 2240 &&
                       offsetof(Regs, fcw) == 2244 && offsetof(Regs, gpr) == 2248 && offsetof(Regs, red_zone) == 2328,
               "the assembly below has these numbers");

typedef struct Fpu {
        Regs in, out;
        uint64_t level; /* 0 SSE2, 1 AVX, 2 AVX-512F+BW */
} Fpu;
_Static_assert(offsetof(Fpu, out) == 2456 && offsetof(Fpu, level) == 4912, "and these");

/* fpu_read() - load f->in, read(0, byte, 1), store into f->out. Return: as the kernel gives it. */
long fpu_read(Fpu *f, unsigned char *byte);
/* fpu_spin() - the same, but it goes round and round in a loop for about a millisecond. */
long fpu_spin(Fpu *f, unsigned char *unused);

#define VEC16(op) /* 16 registers of one kind */ \
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n" op "\n.endr\n"

#define FPU_FUNCTION(name, middle)                                                                                     \
__asm__(".text\n.globl " name "\n.type " name ",@function\n" name ":\n"                                                \
        ".cfi_startproc\n"                                                                                             \
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi; push %rsi\n"                     \
        /* vector registers, by what there is */                                                                       \
        "mov 4912(%rdi), %rax\n"                                                                                       \
        "cmp $1, %rax\n"                                                                                               \
        "ja 2f\n"                                                                                                      \
        "je 1f\n" VEC16("movups 64*\\n(%rdi), %xmm\\n") "jmp 3f\n"                                                     \
        "1:\n" VEC16("vmovups 64*\\n(%rdi), %ymm\\n") "jmp 3f\n"                                                       \
        "2:\n" VEC16("vmovups 64*\\n(%rdi), %zmm\\n")                                                                  \
        ".irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nvmovups 64*\\n(%rdi), %zmm\\n\n.endr\n"               \
        ".irp n,0,1,2,3,4,5,6,7\nkmovq 2048+8*\\n(%rdi), %k\\n\n.endr\n"                                               \
        "3:\n"                                                                                                         \
        "ldmxcsr 2240(%rdi)\n"                                                                                         \
        "fninit; fldcw 2244(%rdi)\n"                                                                                   \
        ".irp n,7,6,5,4,3,2,1,0\nfldt 2112+16*\\n(%rdi)\n.endr\n"                                                      \
        /* the red zone */                                                                                             \
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                                               \
        "mov 2328+8*\\n(%rdi), %rax\nmov %rax, -128+8*\\n(%rsp)\n.endr\n"                                              \
        /* the general ones, the pointer to all this last; rdx, rsi and rdi are the call's own and checked too */      \
        "mov 2248(%rdi), %rbx; mov 2256(%rdi), %rbp; mov 2264(%rdi), %r8; mov 2272(%rdi), %r9; mov 2280(%rdi), %r10\n" \
        "mov 2288(%rdi), %r12; mov 2296(%rdi), %r13; mov 2304(%rdi), %r14; mov 2312(%rdi), %r15\n"                     \
        "mov $1, %edx; xor %edi, %edi; xor %eax, %eax\n"                                                               \
        middle                                                                                                         \
        "xchg %rdi, 8(%rsp)\n" /* the pointer back; what the call left in rdi, which is 0, in its place */             \
        "mov %rbx, 2456+2248(%rdi); mov %rbp, 2456+2256(%rdi); mov %r8, 2456+2264(%rdi)\n"                             \
        "mov %r9, 2456+2272(%rdi); mov %r10, 2456+2280(%rdi); mov %r12, 2456+2288(%rdi)\n"                             \
        "mov %r13, 2456+2296(%rdi); mov %r14, 2456+2304(%rdi); mov %r15, 2456+2312(%rdi)\n"                            \
        "dec %rdx; sub (%rsp), %rsi; or %rsi, %rdx; or 8(%rsp), %rdx; mov %rdx, 2456+2320(%rdi)\n" /* 0 if all kept */ \
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                                               \
        "mov -128+8*\\n(%rsp), %rcx\nmov %rcx, 2456+2328+8*\\n(%rdi)\n.endr\n"                                         \
        "fnstcw 2456+2244(%rdi)\n"                                                                                     \
        ".irp n,0,1,2,3,4,5,6,7\nfstpt 2456+2112+16*\\n(%rdi)\n.endr\n"                                                \
        "stmxcsr 2456+2240(%rdi)\n"                                                                                    \
        "cmpq $1, 4912(%rdi)\n"                                                                                        \
        "ja 2f\n"                                                                                                      \
        "je 1f\n" VEC16("movups %xmm\\n, 2456+64*\\n(%rdi)") "jmp 3f\n"                                                \
        "1:\n" VEC16("vmovups %ymm\\n, 2456+64*\\n(%rdi)") "vzeroupper\njmp 3f\n"                                      \
        "2:\n" VEC16("vmovups %zmm\\n, 2456+64*\\n(%rdi)")                                                             \
        ".irp n,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nvmovups %zmm\\n, 2456+64*\\n(%rdi)\n.endr\n"          \
        ".irp n,0,1,2,3,4,5,6,7\nkmovq %k\\n, 2456+2048+8*\\n(%rdi)\n.endr\n"                                          \
        "vzeroupper\n"                                                                                                 \
        "3:\n"                                                                                                         \
        /* what C expects: the default control words */                                                                \
        "fninit; push $0x1f80; ldmxcsr (%rsp); add $8, %rsp\n"                                                         \
        "pop %rsi; pop %rcx; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"                             \
        "ret\n"                                                                                                        \
        ".cfi_endproc\n.size " name ", .-" name "\n")

FPU_FUNCTION("fpu_read", "syscall\n"); /* read(0, rsi, 1) */
FPU_FUNCTION("fpu_spin", "mov $1000000, %ecx\n7: dec %ecx; jnz 7b\n");

static void fpu_fill(Fpu *f, uint64_t seed) {
        unsigned char *p = (unsigned char *)&f->in;

        for (size_t i = 0; i < sizeof(f->in); i++)
                p[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8) + 1);
        for (size_t i = 0; i < 8; i++) { /* a finite number each: an explicit leading bit, an exponent near 1 */
                f->in.x87[i][7] |= 0x80;
                f->in.x87[i][8] = (unsigned char)(0xf0 + i);
                f->in.x87[i][9] = 0x3f;
        }
        f->in.mxcsr = MXCSR_ODD;
        f->in.fcw = FCW_ODD;
        f->in.gpr[9] = 0;
        memset(&f->out, 0, sizeof(f->out));
}

/* fpu_changed() - Return: what is not as it was loaded; NULL: all is. */
static const char *fpu_changed(const Fpu *f) {
        static const size_t vec_bytes[] = {16, 32, 64};

        for (size_t i = 0; i < (f->level == 2 ? 32u : 16u); i++)
                if (memcmp(f->in.vec[i], f->out.vec[i], vec_bytes[f->level]) != 0)
                        return "a-vector-register-changed";
        if (f->level == 2 && memcmp(f->in.k, f->out.k, sizeof(f->in.k)) != 0)
                return "a-mask-register-changed";
        for (size_t i = 0; i < 8; i++)
                if (memcmp(f->in.x87[i], f->out.x87[i], 10) != 0)
                        return "an-x87-register-changed";
        if (f->in.mxcsr != f->out.mxcsr || f->in.fcw != f->out.fcw)
                return "a-floating-point-control-word-changed";
        if (memcmp(f->in.gpr, f->out.gpr, sizeof(f->in.gpr)) != 0)
                return "a-general-register-changed";
        return memcmp(f->in.red_zone, f->out.red_zone, sizeof(f->in.red_zone)) != 0 ? "the-red-zone-changed" : NULL;
}

int mk_fpu(Mk *m) {
        static Fpu f;
        static const char *const levels[] = {"sse2", "avx", "avx512"};

        __builtin_cpu_init();
        f.level = __builtin_cpu_supports("avx512bw") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;
        dprintf(STDOUT_FILENO, "ready pid=%d target=fpu level=%s\n", (int)getpid(), levels[f.level]);
        for (;;) {
                unsigned char byte = 0;

                fpu_fill(&f, m->n_loops);
                long r = fpu_read(&f, &byte);
                const char *changed = fpu_changed(&f);
                if (changed)
                        mk_bad(m, changed);
                m->n_loops++;
                if (r == -EINTR)
                        m->stdin_waiter.n_eintr++;
                else if (r == 0 || (r == 1 && byte > ' ' && !mk_handle(m, (char)byte)))
                        return 0;
                else if (r != 1)
                        mk_bad(m, "wrong-result-of-read");
        }
}

/* ---- seats of the target `unseen` */

static int spin_open(Seat *s, uint64_t level, bool have) {
        static Fpu all[3];

        if (!have)
                return -EOPNOTSUPP; /* not on this processor */
        s->own = all + level;
        all[level].level = level;
        return 0;
}

static int spin_sse_open(Seat *s) {
        return spin_open(s, 0, true);
}

static int spin_avx_open(Seat *s) {
        return spin_open(s, 1, __builtin_cpu_supports("avx"));
}

static int spin_avx512_open(Seat *s) {
        return spin_open(s, 2, __builtin_cpu_supports("avx512bw"));
}

static int spin_wait(Seat *s, uint32_t *ret_seq _unused_) {
        Fpu *f = s->own;

        fpu_fill(f, s->n_waits);
        fpu_spin(f, NULL);
        const char *changed = fpu_changed(f);
        if (changed)
                seat_wrong(s, changed);
        return SEAT_AGAIN;
}

const SeatKind seats_that_spin[] = {
        {.name = "spin-sse-x87", spin_sse_open, spin_wait, NULL, .spins = true},
        {.name = "spin-avx-x87", spin_avx_open, spin_wait, NULL, .spins = true},
        {.name = "spin-avx512-x87", spin_avx512_open, spin_wait, NULL, .spins = true},
        {},
};

#else

const SeatKind seats_that_spin[] = {{}};

int mk_fpu(Mk *m _unused_) {
        dprintf(STDERR_FILENO, "mkleak: the target fpu is written for x86-64 only\n");
        return MK_EXIT_SKIP;
}

#endif
