/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/safepoint.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probe/inject/calls.h"
#include "probe/inject/remote.h"
#include "probe/inject/scratch.h"

const char *safepoint_text(SafePoint s) {
        static const char *const texts[_SAFE_MAX] = {
                [SAFE_POINT] = "safe",
                [SAFE_NOT_BLOCKED] = "no thread stayed blocked",
                [SAFE_OTHER_CALL] = "a thread was in a system call that cannot be begun again",
                [SAFE_LATE] = "its wait would have become longer",
                [SAFE_SIGNAL] = "a signal was waiting",
                [SAFE_NO_STACK] = "the stack was not found in the memory map",
                [SAFE_OTHER_STACK] = "it was not on a thread's own stack",
                [SAFE_NO_ROOM] = "the stack had no room",
                [SAFE_DEEP_STACK] = "the stack was too deep to be scanned",
                [SAFE_IN_HANDLER] = "a signal handler was active",
                [SAFE_IN_GUARDED] = "a thread was inside malloc, fork or the dynamic loader",
                [SAFE_NO_DESCRIPTOR] = "the thread was not made by its C library",
                [SAFE_UNREADABLE] = "the stack could not be read",
        };
        return (unsigned)s < ELEMENTSOF(texts) ? texts[s] : "invalid";
}

static const TextRange *range_of(const Image *im, uint64_t word) {
        for (unsigned i = 0; i < im->n_ranges; i++)
                if (word >= im->ranges[i].start && word < im->ranges[i].end)
                        return &im->ranges[i];
        return NULL;
}

typedef struct Scan {
        pid_t pid;
        const Image *image;
        const Maps *maps;
        long nr;       /* the call it stopped in */
        uint64_t at;   /* where words[0] of a batch lies */
        unsigned n_slots; /* targets of calls that were read */
        bool maybe_in; /* a word was seen that is harmless only as long as no handler is active */
} Scan;

/* The loader works on the main thread's stack before main() does, and leaves return addresses where later frames have
 * holes (with glibc 2.41 that of __tunable_get_val() was found under a plain read()). One behind a call that stays
 * within the loader proves nothing: all that can block here, be it a constructor, a destructor, an IFUNC resolver, an
 * auditor or the loader's own lock, is reached by an indirect call, and so a thread inside has such a word besides.
 * A jump leaves no word, and DT_FINI may be reached by one: what that thread can hold is dl_load_lock, which no call
 * of ours takes. With malloc hooks it is not so: the loader reaches malloc through its PLT until glibc 2.30. Later it
 * does by a pointer at a fixed address, and a call by such a one says where it leads: to an allocator, or into libc
 * (__rtld_malloc, ___rtld_mutex_lock; 2.31, 2.34), where nothing that the loader calls so runs others' code, or waits
 * but in low-level locks.
 *
 * An allocator is entered by its caller's call and waits, if it does, by the calls named here; for glibc's see
 * judge_stack(). Its constructors leave words on the main thread's stack as the loader does.
 *
 * fork() of glibc waits by clone and low-level locks, which are never candidates, but for its handlers; and those run
 * while it holds none of malloc's locks (since 2.24; __libc_single_threaded is of 2.32). Other allocators' handlers
 * take theirs. Every process that was forked and never executed, as PostgreSQL's are, may keep its word. */
static bool may_be_left_over(const Scan *s, const TextRange *range, uint64_t target) {
        const TextRange *callee;

        if (s->image->has_hooks)
                return false;
        switch (range->kind) {
        case RANGE_MALLOC:
                return true;
        case RANGE_MALLOC_POOL:
                return s->nr != SYS_futex;
        case RANGE_MALLOC_SPIN:
                return s->nr != SYS_futex && s->nr != SYS_nanosleep && s->nr != SYS_clock_nanosleep;
        case RANGE_FORK:
                return s->image->n_allocators == 1 && s->image->allocators[0].kind == ALLOCATOR_GLIBC &&
                       s->image->sym.single_threaded != 0;
        case RANGE_LOADER:
                callee = range_of(s->image, target);
                return callee == range || (target >= s->image->libc_start && target < s->image->libc_end) ||
                       (callee && callee->kind != RANGE_LOADER && may_be_left_over(s, callee, 0));
        default:
                return false;
        }
}

#define BATCH      256
#define CALL_BYTES 7

#define SLOTS_MAX 64

/* Where the call leads that @code, before @addr, ends in. Return: 0: not known. */
static uint64_t call_target(Scan *s, const unsigned char code[static CALL_BYTES], uint64_t addr) {
        uint64_t target = arch_direct_call(code, addr), slot = target ? 0 : arch_call_slot(code, addr);

        if (slot && (++s->n_slots > SLOTS_MAX || remote_read(s->pid, slot, &target, sizeof(target)) < 0))
                return 0;
        return target;
}

/* Which of @n words that point into guarded text look like return addresses? Every real one stands right behind a call
 * instruction; others (the dynamic loader's _dl_fini, say, which every main thread keeps) do not. */
static SafePoint judge_hits(Scan *s, const uint64_t *hits, size_t n) {
        static unsigned char code[BATCH][CALL_BYTES];
        static struct iovec at[BATCH];
        struct iovec local = {code, n * CALL_BYTES};

        if (n == 0)
                return SAFE_POINT;
        for (size_t i = 0; i < n; i++)
                at[i] = (struct iovec){(void *)(uintptr_t)(hits[i] - CALL_BYTES), CALL_BYTES};
        if (process_vm_readv(s->pid, &local, 1, at, n, 0) != (ssize_t)local.iov_len)
                return SAFE_IN_GUARDED; /* unreadable counts as yes */
        for (size_t i = 0; i < n; i++) {
                if (!arch_is_after_call(code[i]))
                        continue;
                if (!may_be_left_over(s, range_of(s->image, hits[i]), call_target(s, code[i], hits[i])))
                        return SAFE_IN_GUARDED;
                s->maybe_in = true;
        }
        return SAFE_POINT;
}

/* The restorer's address on the stack: of an active handler, or one of the many that sigaction() leaves there, whose
 * struct kernel_sigaction has it too (PostgreSQL's processes keep such words under their epoll_wait). */
static bool is_frame(const Scan *s, uint64_t at) {
        unsigned char bytes[ARCH_FRAME_LOOK];

        return remote_read(s->pid, at, bytes, sizeof(bytes)) < 0 || arch_may_be_frame(bytes);
}

static SafePoint scan_words(Scan *s, const uint64_t *words, size_t n) {
        static uint64_t hits[BATCH];
        const uint64_t start = s->image->guard_start, span = s->image->guard_end - start;
        size_t fill = 0;

        for (size_t i = 0; i < n; i++) {
                if (words[i] - start >= span)
                        continue;
                if (image_is_restorer(s->image, words[i])) {
                        if (is_frame(s, s->at + i * sizeof(words[0])))
                                return SAFE_IN_HANDLER;
                        continue;
                }
                if (!range_of(s->image, words[i]))
                        continue;
                hits[fill++] = words[i];
                if (fill == BATCH) {
                        SafePoint r = judge_hits(s, hits, fill);

                        if (r != SAFE_POINT)
                                return r;
                        fill = 0;
                }
        }
        return judge_hits(s, hits, fill);
}

#define RESTORER_BYTES 9

/* The code at @n addresses, in one system call. */
static SafePoint look_for_restorer(Scan *s, struct iovec *at, const uint64_t *from, size_t n) {
        static unsigned char code[BATCH][RESTORER_BYTES];
        struct iovec local = {code, n * RESTORER_BYTES};
        ssize_t want = (ssize_t)(n * RESTORER_BYTES);

        if (n == 0)
                return SAFE_POINT;
        if (process_vm_readv(s->pid, &local, 1, at, n, 0) != want)
                return SAFE_UNREADABLE;
        for (size_t i = 0; i < n; i++)
                if (arch_is_restorer(code[i]) && is_frame(s, from[i]))
                        return SAFE_IN_HANDLER;
        return SAFE_POINT;
}

/* A handler's return address that is not libc's restorer (a language run-time may bring its own): it points at code
 * that makes rt_sigreturn, `mov $15, %eax; syscall` in either encoding. */
static SafePoint scan_words_for_restorer(Scan *s, const uint64_t *words, size_t n) {
        static struct iovec at[BATCH];
        static uint64_t from[BATCH];
        uint64_t lowest = s->maps->n ? s->maps->map[0].start : 0; /* deep stacks are mostly zeroes */
        size_t fill = 0;

        for (size_t i = 0; i < n; i++) {
                const Map *m;

                if (words[i] < lowest)
                        continue;
                m = maps_find(s->maps, words[i]);
                if (!m || !(m->prot & MAP_X) || words[i] + RESTORER_BYTES > m->end)
                        continue;
                from[fill] = s->at + i * sizeof(words[0]);
                at[fill++] = (struct iovec){(void *)(uintptr_t)words[i], RESTORER_BYTES};
                if (fill == BATCH) {
                        SafePoint r = look_for_restorer(s, at, from, fill);

                        if (r != SAFE_POINT)
                                return r;
                        fill = 0;
                }
        }
        return look_for_restorer(s, at, from, fill);
}

static uint64_t words[2048]; /* static: its pages are there already when a thread is being held */

/* @have: bytes in words[] already, read from @sp on. */
static SafePoint scan_stack(Scan *s, uint64_t sp, uint64_t end, size_t have,
                            SafePoint (*fn)(Scan *, const uint64_t *, size_t)) {
        for (uint64_t at = sp; at < end; have = 0) {
                size_t want = (size_t)min_of(end - at, (uint64_t)sizeof(words)) & ~(size_t)7;
                SafePoint r;

                if (want == 0)
                        break;
                if (have < want && remote_read(s->pid, at, words, want) < 0)
                        return SAFE_UNREADABLE;
                s->at = at;
                r = fn(s, words, want / sizeof(words[0]));
                if (r != SAFE_POINT)
                        return r;
                at += want;
        }
        return SAFE_POINT;
}

/* A word that looks like a return address into malloc.o need not be one: frames that are gone leave their words in
 * slots that later frames never wrote. It is left over for certain if no signal handler is active: the calls that
 * calls_rank() lets in are made by nothing that malloc.o calls, so malloc can only be below them on the stack if a
 * handler interrupted it. Fork and the dynamic loader do run foreign code (atfork handlers, constructors): of the
 * loader, words that lead there always count. */
static SafePoint judge_stack(Scan *s, uint64_t sp, uint64_t end, size_t have) {
        SafePoint r = scan_stack(s, sp, end, have, scan_words);

        return r == SAFE_POINT && s->maybe_in ? scan_stack(s, sp, end, 0, scan_words_for_restorer) : r;
}

/* The highest word on the stack that is a return address into [from, to). Return: where it lies, 0: there is none, or
 * they are too many to be looked at; @ret_code: the bytes before the address. */
static uint64_t highest_return(Scan *s, uint64_t sp, uint64_t end, uint64_t from, uint64_t to,
                               unsigned char ret_code[static CALL_BYTES]) {
        enum { WORDS_MAX = 64 };
        unsigned n_seen = 0;
        uint64_t found = 0;

        for (uint64_t at = sp; at < end;) {
                size_t want = (size_t)min_of(end - at, (uint64_t)sizeof(words)) & ~(size_t)7;

                if (want == 0)
                        break;
                if (remote_read(s->pid, at, words, want) < 0)
                        return 0; /* a higher one may be in what was not read */
                for (size_t i = 0; i < want / sizeof(words[0]); i++) {
                        unsigned char code[CALL_BYTES];

                        /* a function that ends in a call of exit() has its return address at its end */
                        if (words[i] <= from || words[i] > to)
                                continue;
                        if (++n_seen > WORDS_MAX || remote_read(s->pid, words[i] - CALL_BYTES, code, CALL_BYTES) < 0)
                                return 0;
                        if (!arch_is_after_call(code))
                                continue;
                        memcpy(ret_code, code, CALL_BYTES);
                        found = at + i * sizeof(words[0]);
                }
                at += want;
        }
        return found;
}

/* Above main()'s return address the main thread's stack holds frames of libc's start and of _start alone, and in their
 * holes what the loader left there before the program began: glibc 2.43 keeps the return address of its indirect call
 * of dl_main() so. The slot is known by what it holds: as long as the function that calls main() is on the stack, it
 * is the highest return address into it, and main() is the one that is called by a pointer; exit(), which comes after
 * it in the same slot, is not. A copy (of a backtrace, say) lies lower. Until 2.33 __libc_start_main() itself calls
 * main(). */
static uint64_t below_main(Scan *s, uint64_t sp, uint64_t end) {
        const Image *im = s->image;
        unsigned char code[CALL_BYTES];
        uint64_t slot;

        if (im->start_main == 0)
                return 0;
        slot = highest_return(s, sp, end, im->start_below, im->start_main, code);
        if (slot == 0)
                slot = highest_return(s, sp, end, im->start_main, im->start_end, code);
        return slot && arch_is_indirect_call(code) ? slot : 0;
}

/* Once more without what lies above main(), for who was declined with it. */
static SafePoint judge_below_main(Scan *s, uint64_t sp, uint64_t end) {
        uint64_t slot = below_main(s, sp, end);

        s->maybe_in = false;
        s->n_slots = 0;
        return slot ? judge_stack(s, sp, slot, 0) : SAFE_IN_GUARDED;
}

static bool is_same_call(const Tracee *t, const Candidate *c) {
        uint64_t args[6];

        return arch_syscall(&t->state, args) == c->nr && memcmp(args, c->args, sizeof(args)) == 0 &&
               arch_sp(&t->state) == c->sp && arch_ip(&t->state) == c->pc;
}

/* ---- the thread's descriptor: glibc's struct pthread, at the thread pointer */

#define CANARY_WORD      5   /* %fs:0x28, known to the compiler */
#define DESCRIPTOR_WORDS 256 /* of 288 in glibc 2.36; the stack's bounds are word 210 there */
#define STACK_TOP_SLACK                                                                                                \
        (16u * 1024) /* struct pthread itself, and alignment, lie between thread pointer and stack top */

static uint64_t descriptor[DESCRIPTOR_WORDS];
static unsigned char room[ARCH_CHAIN_MAX];

/* A number that was given to another thread or process meanwhile is not in there: the kernel zeroes it at a thread's
 * end. */
static bool is_descriptor_of(pid_t ns_tid) {
        uint32_t tid;

        memcpy(&tid, (char *)descriptor + PTHREAD_TID_OFFSET, sizeof(tid));
        return tid == (uint32_t)ns_tid;
}

/* The lowest address of the thread's own stack, 0 when @sp is not on it. The main thread's is named by the kernel. Of
 * others the descriptor tells {stackblock, stackblock_size, guardsize}; where in it differs between versions, but no
 * other three words of it can be a block that holds both the stack pointer and, at its end, the descriptor itself. */
static uint64_t own_stack_start(const SafeAsk *ask, const Map *map, uint64_t sp, uint64_t tp) {
        if (strcmp(maps_path(ask->maps, map), "[stack]") == 0)
                return map->start;
        for (size_t i = 0; i + 2 < DESCRIPTOR_WORDS; i++) {
                uint64_t block = descriptor[i], size = descriptor[i + 1], guard = descriptor[i + 2];

                if (block != 0 && block <= sp && sp < tp && size > tp - block &&
                    size - (tp - block) <= STACK_TOP_SLACK && guard < size)
                        return block + guard;
        }
        return 0;
}

static SafePoint judge_room(const SafeAsk *ask, const Map *map, uint64_t sp, uint64_t tp) {
        uint64_t start = own_stack_start(ask, map, sp, tp);

        /* of a coroutine's stack it is not known what its thread's own leads back into */
        if (start == 0)
                return SAFE_OTHER_STACK;
        /* memory below the map is not asked for: a write from outside does not grow a stack */
        return ask->room && (sp < start || sp - start < ARCH_RED_ZONE + ask->room) ? SAFE_NO_ROOM : SAFE_POINT;
}

/* Is the memory that the thread runs in the one that was looked at? Its canary says so for nothing; where that is not
 * known, or was changed, the descriptor of the old memory (see image_still_there()), which costs 6 us. */
static bool is_same_memory(const SafeAsk *ask) {
        return (ask->image->canary != 0 && descriptor[CANARY_WORD] == ask->image->canary) ||
               image_still_there(ask->image, ask->mem_fd);
}

/* The instruction, descriptor, errno, the first of the stack and, only to see that it is there, the room below it: in
 * one call. */
static SafePoint read_thread(const SafeAsk *ask, uint64_t sp, uint64_t tp, size_t want, unsigned char insn[static 2],
                             SafeSeen *ret) {
        struct iovec local[5] = {{descriptor, sizeof(descriptor)}, {words, want}, {insn, 2}}, remote[5];
        size_t n = 3, all = 0;

        remote[0] = (struct iovec){(void *)(uintptr_t)tp, sizeof(descriptor)};
        remote[1] = (struct iovec){(void *)(uintptr_t)sp, want};
        remote[2] = (struct iovec){(void *)(uintptr_t)(arch_ip(&ask->tracee->state) - 2), 2};
        *ret = (SafeSeen){0};
        if (ask->image->has_errno) {
                ret->errno_addr = tp + (uint64_t)ask->image->errno_tp_offset;
                local[n] = (struct iovec){ret->errno_bytes, sizeof(ret->errno_bytes)};
                remote[n++] = (struct iovec){(void *)(uintptr_t)ret->errno_addr, sizeof(ret->errno_bytes)};
        }
        if (ask->room > sizeof(room))
                return SAFE_NO_ROOM;
        if (ask->room) {
                local[n] = (struct iovec){room, ask->room};
                remote[n++] = (struct iovec){(void *)(uintptr_t)(sp - ARCH_RED_ZONE - ask->room), ask->room};
        }
        for (size_t i = 0; i < n; i++)
                all += local[i].iov_len;
        return process_vm_readv(ask->pid, local, n, remote, n, 0) == (ssize_t)all ? SAFE_POINT : SAFE_UNREADABLE;
}

void safepoint_prepare(void) {
        static const Image none = {.guard_end = UINT64_MAX, .n_ranges = 1, .ranges = {{0, UINT64_MAX, RANGE_MALLOC}}};
        Scan scan = {.pid = getpid(), .image = &none};
        uint64_t here = (uint64_t)(uintptr_t)safepoint_text;

        memset(descriptor, 0, sizeof(descriptor));
        memset(room, 0, sizeof(room));
        memset(words, 0, sizeof(words));
        words[0] = here; /* a scan of ourselves, with one word that points into code */
        (void)scan_stack(&scan, here, here + 8, 8, scan_words);
        (void)is_descriptor_of(0);
}

SafePoint safepoint_check(const SafeAsk *ask, SafeSeen *ret) {
        uint64_t sp = arch_sp(&ask->tracee->state), ip = arch_ip(&ask->tracee->state),
                 tp = arch_thread_pointer(&ask->tracee->state), end;
        Scan scan = {.pid = ask->pid,
                     .image = ask->image,
                     .maps = ask->maps,
                     .nr = ask->candidate->nr};
        unsigned char insn[2];
        const Map *stack;
        SafePoint r;
        size_t have;

        if (!is_same_call(ask->tracee, ask->candidate))
                return SAFE_NOT_BLOCKED;
        if (range_of(ask->image, ip))
                return SAFE_IN_GUARDED;
        stack = maps_find(ask->maps, sp);
        if (!stack || (stack->prot & (MAP_R | MAP_W | MAP_SHARED_BIT)) != (MAP_R | MAP_W) || sp % 8 != 0)
                return SAFE_NO_STACK;
        /* a thread's descriptor is at its stack's top, and stacks may lie in one map (glibc 2.42 has guard pages that
         * do not divide it, MADV_GUARD_INSTALL) */
        end = tp > sp && tp < stack->end && tp - sp <= SAFE_SCAN_MAX ? tp : stack->end;
        if (end - sp > SAFE_SCAN_MAX)
                return SAFE_DEEP_STACK;
        have = (size_t)min_of(end - sp, (uint64_t)sizeof(words)) & ~(size_t)7;
        r = read_thread(ask, sp, tp, have, insn, ret);
        if (r != SAFE_POINT)
                return r;
        if (!arch_is_syscall_insn(insn) || !is_same_memory(ask))
                return SAFE_NOT_BLOCKED;
        if (!is_descriptor_of(ask->candidate->ns_tid))
                return SAFE_NO_DESCRIPTOR;
        r = judge_stack(&scan, sp, end, have);
        if (r == SAFE_IN_GUARDED && strcmp(maps_path(ask->maps, stack), "[stack]") == 0)
                r = judge_below_main(&scan, sp, end);
        return r == SAFE_POINT ? judge_room(ask, stack, sp, tp) : r;
}

SafePoint safepoint_learn(const Tracee *t, bool late_too, Candidate *c) {
        uint64_t args[6];
        long nr = arch_syscall(&t->state, args);
        int rank = nr < 0 ? CALLS_NEVER : calls_rank(nr, args);

        if (nr < 0)
                return SAFE_NOT_BLOCKED;
        if (rank < 0 || (calls_has_own_mask(nr, args) && !calls_can_keep_mask()))
                return SAFE_OTHER_CALL;
        c->known = true;
        c->nr = nr;
        memcpy(c->args, args, sizeof(args));
        c->sp = arch_sp(&t->state);
        c->pc = arch_ip(&t->state);
        return rank >= CALLS_RELATIVE && !late_too ? SAFE_LATE : SAFE_POINT;
}
