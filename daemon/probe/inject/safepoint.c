/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/safepoint.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "probe/inject/facts.h"
#include "probe/inject/remote.h"
#include "util/rootfs.h"

const char *safepoint_text(SafePoint s) {
        static const char *const texts[_SAFE_MAX] = {
                [SAFE_POINT] = "safe",
                [SAFE_NOT_BLOCKED] = "no thread stayed blocked",
                [SAFE_SIGNAL] = "a signal was waiting",
                [SAFE_NO_STACK] = "the stack was not found in the memory map",
                [SAFE_NO_ROOM] = "the stack had no room",
                [SAFE_DEEP_STACK] = "the stack was too deep to be scanned",
                [SAFE_IN_HANDLER] = "a signal handler was active",
                [SAFE_IN_GUARDED] = "a thread was inside malloc, fork or the dynamic loader",
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

/* Does @word look like a return address? Every real one stands right behind a call instruction; other words that happen
 * to point into guarded text (the dynamic loader's _dl_fini, say, which every main thread keeps) do not. Unreadable
 * counts as yes. */
static bool is_return_address(pid_t pid, uint64_t word) {
        unsigned char before[7];

        return remote_read(pid, word - sizeof(before), before, sizeof(before)) < 0 || arch_is_after_call(before);
}

typedef struct Scan {
        pid_t pid;
        const Image *image;
        const Maps *maps;
        bool in_futex;  /* the call it stopped in */
        bool in_malloc; /* a word like a return address into malloc.o was seen */
} Scan;

static SafePoint scan_words(Scan *s, const uint64_t *words, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const TextRange *range;

                if (image_is_restorer(s->image, words[i]))
                        return SAFE_IN_HANDLER;
                range = range_of(s->image, words[i]);
                if (!range || !is_return_address(s->pid, words[i]))
                        continue;
                if (range->kind == RANGE_GUARDED || s->image->has_hooks ||
                    (range->kind == RANGE_MALLOC_POOL && s->in_futex))
                        return SAFE_IN_GUARDED;
                s->in_malloc = true;
        }
        return SAFE_POINT;
}

#define BATCH 256
#define RESTORER_BYTES 9

/* The code at @n addresses, in one system call. */
static SafePoint look_for_restorer(Scan *s, struct iovec *at, size_t n) {
        static unsigned char code[BATCH][RESTORER_BYTES];
        struct iovec local = {code, n * RESTORER_BYTES};
        ssize_t want = (ssize_t)(n * RESTORER_BYTES);

        if (n == 0)
                return SAFE_POINT;
        if (process_vm_readv(s->pid, &local, 1, at, n, 0) != want)
                return SAFE_UNREADABLE;
        for (size_t i = 0; i < n; i++)
                if (arch_is_restorer(code[i]))
                        return SAFE_IN_HANDLER;
        return SAFE_POINT;
}

/* A handler's return address that is not libc's restorer (a language run-time may bring its own): it points at code
 * that makes rt_sigreturn, `mov $15, %eax; syscall` in either encoding. */
static SafePoint scan_words_for_restorer(Scan *s, const uint64_t *words, size_t n) {
        static struct iovec at[BATCH];
        size_t fill = 0;

        for (size_t i = 0; i < n; i++) {
                const Map *m = maps_find(s->maps, words[i]);

                if (!m || !(m->prot & MAP_X) || words[i] + RESTORER_BYTES > m->end)
                        continue;
                at[fill++] = (struct iovec){(void *)(uintptr_t)words[i], RESTORER_BYTES};
                if (fill == BATCH) {
                        SafePoint r = look_for_restorer(s, at, fill);

                        if (r != SAFE_POINT)
                                return r;
                        fill = 0;
                }
        }
        return look_for_restorer(s, at, fill);
}

static SafePoint scan_stack(Scan *s, uint64_t sp, uint64_t end, SafePoint (*fn)(Scan *, const uint64_t *, size_t)) {
        static uint64_t words[2048]; /* static: its pages are there already when a thread is being held */

        for (uint64_t at = sp; at < end;) {
                size_t want = (size_t)min_of(end - at, (uint64_t)sizeof(words)) & ~(size_t)7;
                SafePoint r;

                if (want == 0)
                        break;
                if (remote_read(s->pid, at, words, want) < 0)
                        return SAFE_UNREADABLE;
                r = fn(s, words, want / sizeof(words[0]));
                if (r != SAFE_POINT)
                        return r;
                at += want;
        }
        return SAFE_POINT;
}

/* A word that looks like a return address into malloc.o need not be one: frames that are gone leave their words in
 * slots that later frames never wrote. It is left over for certain if no signal handler is active: the calls that
 * threads_rank() lets in are made by nothing that malloc.o calls, so malloc can only be below them on the stack if a
 * handler interrupted it. Fork and the dynamic loader do run foreign code (atfork handlers, constructors), so there
 * such a word always counts. */
static SafePoint judge_stack(Scan *s, uint64_t sp, uint64_t end) {
        SafePoint r = scan_stack(s, sp, end, scan_words);

        return r == SAFE_POINT && s->in_malloc ? scan_stack(s, sp, end, scan_words_for_restorer) : r;
}

static bool is_same_call(const Tracee *t, const Candidate *c) {
        uint64_t args[6];

        return arch_syscall(&t->state, args) == c->nr && memcmp(args, c->args, sizeof(args)) == 0 &&
               arch_sp(&t->state) == c->sp && arch_ip(&t->state) == c->pc;
}

static bool signal_waits(int status_fd) {
        Facts f;

        return facts_pread(status_fd, &f) < 0 || facts_deliverable(&f);
}

SafePoint safepoint_check(pid_t pid, int status_fd, const Tracee *t, const Candidate *c, const Image *image,
                          const Maps *maps, uint64_t room) {
        uint64_t sp = arch_sp(&t->state), ip = arch_ip(&t->state);
        unsigned char insn[2];
        const Map *stack;

        if (!is_same_call(t, c) || remote_read(pid, ip - 2, insn, 2) < 0 || !arch_is_syscall_insn(insn))
                return SAFE_NOT_BLOCKED;
        if (range_of(image, ip))
                return SAFE_IN_GUARDED;
        if (signal_waits(status_fd))
                return SAFE_SIGNAL;
        stack = maps_find(maps, sp);
        if (!stack || (stack->prot & (MAP_R | MAP_W | MAP_SHARED_BIT)) != (MAP_R | MAP_W) || sp % 8 != 0)
                return SAFE_NO_STACK;
        /* memory below the map is not asked for: a write from outside does not grow a stack */
        if (room && (sp < stack->start + ARCH_RED_ZONE + room))
                return SAFE_NO_ROOM;
        if (stack->end - sp > SAFE_SCAN_MAX)
                return SAFE_DEEP_STACK;
        return judge_stack(&(Scan){.pid = pid, .image = image, .maps = maps, .in_futex = c->nr == SYS_futex}, sp,
                           stack->end);
}
