/* SPDX-License-Identifier: Apache-2.0
 *
 * What must be known of the target's C library before anything is called in it: where its functions are and which
 * stretches of its code a thread must not be in the middle of. Read from the target's memory, so that it does not
 * matter what became of the files; only what is in no process' memory (the symbols of static programs, and of
 * allocators linked into a program) is read from the program's file, if that still is the one in memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/inject/maps.h"
#include "probe/inject/memory.h"
#include "probe/proto.h"

#define IMAGE_RANGES_MAX 40

typedef enum RangeKind {
        RANGE_GUARDED, /* posix_spawn, an allocator that waits by calls we let in: a word in it declines */
        RANGE_FORK,    /* fork() of glibc: see may_be_left_over() in inject/safepoint.c */
        RANGE_LOADER,  /* the dynamic loader: see may_be_left_over() in inject/safepoint.c */
        RANGE_MALLOC,  /* malloc.o of glibc: see judge_stack() in inject/safepoint.c */
        RANGE_MALLOC_POOL, /* jemalloc: the same, but it has threads of its own, which wait in futex */
        RANGE_MALLOC_SPIN, /* tcmalloc: the same, but its spin lock waits by futex or nanosleep (SpinLockDelay) */
} RangeKind;

/* Whose memory it is, and what gives its free part back. */
typedef enum AllocatorKind {
        ALLOCATOR_GLIBC,      /* malloc_trim(0) */
        ALLOCATOR_JEMALLOC,   /* mallctl("arena.4096.purge"): MALLCTL_ARENAS_ALL of jemalloc 5 */
        ALLOCATOR_GPERFTOOLS, /* MallocExtension_ReleaseFreeMemory() */
        ALLOCATOR_TCMALLOC,   /* Google's: MallocExtension_Internal_ReleaseMemoryToSystem(n) */
        ALLOCATOR_MIMALLOC,   /* mi_collect(true), which reaches the calling thread's heap alone */
        _ALLOCATOR_MAX,
} AllocatorKind;

typedef struct Allocator {
        AllocatorKind kind;
        char name[32];    /* "glibc 2.36", "jemalloc" */
        uint64_t purge;   /* address of the function that purges it; never 0 */
        uint64_t tune;    /* mallopt or mallctl; 0 = it has none */
        uint64_t figures; /* what tells its own statistics (inject/ledger.h); 0 = it has none */
} Allocator;

#define IMAGE_ALLOCATORS_MAX 3

typedef struct TextRange {
        uint64_t start, end; /* addresses in the target */
        RangeKind kind;
} TextRange;

/* Functions that a call chain may use; addresses in the target, 0 = not found. */
typedef struct LibcSymbols {
        uint64_t malloc_trim, mmap, munmap, clock_gettime, swab;
        uint64_t pthread_create, pthread_attr_init, pthread_attr_setdetachstate, pthread_attr_setstack;
        uint64_t lsearch;          /* tells of a function whether it returned 0: session_truth() */
        uint64_t errno_location;   /* __errno_location */
        uint64_t single_threaded;  /* __libc_single_threaded (glibc 2.32), a byte */
        uint64_t sigreturn;        /* libc's restorer: mov $15, %rax; syscall */
        uint64_t sigreturn_pthread; /* libpthread's own copy, until glibc 2.34 */
} LibcSymbols;

typedef struct Image {
        const char *runtime; /* also set when it is refused: "musl", "Go" manage its memory; NULL. Static */
        LibcSymbols sym;
        /* [0] is the one that `malloc` resolves to; the others serve a part of the program beside it (Rust's _rjem_) */
        Allocator allocators[IMAGE_ALLOCATORS_MAX];
        unsigned n_allocators; /* >= 1 */
        uint64_t libc_start, libc_end; /* the mapped span */
        TextRange ranges[IMAGE_RANGES_MAX]; /* no word of a borrowed thread's stack may point in here */
        unsigned n_ranges;
        uint64_t guard_start, guard_end; /* all ranges and restorers lie in here: most words of a stack do not */
        /* what calls main(): from the end of the exported function below __libc_start_main (its static part, since
         * 2.34) to its start, and to its end; 0 = not known. See below_main() in inject/safepoint.c */
        uint64_t start_below, start_main, start_end;
        bool has_hooks; /* __malloc_hook and the like are set (glibc before 2.34): malloc may run any code */
        int64_t errno_tp_offset;      /* errno's address less the thread pointer; valid if has_errno */
        bool has_errno;
        /* the stack protector's, drawn by each execve() and in every thread's descriptor; 0 = not known */
        uint64_t canary;
} Image;

/* image_add_range() - Return: false when there is no room. */
bool image_add_range(Image *im, uint64_t start, uint64_t end, RangeKind kind) _must_check_;

/**
 * image_read() - find glibc in @maps and read what is needed
 * @proc_pid_fd: /proc/PID
 * Return: PROBE_OK, PROBE_E_NO_LIBC, PROBE_E_OTHER_MALLOC, PROBE_E_ACCESS, PROBE_E_FOREIGN_ABI; @detail gets a
 * sentence.
 */
ProbeResult image_read(pid_t pid, int proc_pid_fd, const Maps *maps, Image *ret, char *detail,
                       size_t detail_size) _must_check_;

/* image_read_memory() - the same, of anything that can be read like a process' memory. Fuzzed. */
ProbeResult image_read_memory(const Memory *mem, int proc_pid_fd, const Maps *maps, Image *ret, char *detail,
                              size_t detail_size) _must_check_;

/* allocator_call_name() - what purges it, for people and for JSON: "malloc_trim", "mallctl_purge" ... */
const char *allocator_call_name(AllocatorKind k);

/* image_read_canary() - fills @im->canary. @mem_fd: as below. */
void image_read_canary(int proc_pid_fd, int mem_fd, Image *im);

/* image_memory_is_there() - is the memory that @mem_fd (/proc/PID/mem or /proc/PID/maps) was opened for still in use?
 * No after execve(), whoever asks for the same process ID. @addr: an address that is mapped in it. */
bool image_memory_is_there(int mem_fd, uint64_t addr);
/* image_still_there() - the same of what @im was read from. */
bool image_still_there(const Image *im, int mem_fd);

/* image_is_restorer() - is @addr the return address that the kernel gives a signal handler? */
bool image_is_restorer(const Image *im, uint64_t addr);
