/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads whose stacks are not what a stranger would think: carved out of one map, with hardly any room left, or of a
 * thread that the C library does not know of. They sleep before the main thread does, so that they are tried first.
 */
#include "targets/mkleak.h"

#include <alloca.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum { STACK_BYTES = 256 * 1024, N_CARVED = 4, ROOM_LEFT = 1500, PATTERN = 0x5a };

typedef struct Odd {
        atomic_uint asleep, word;
        unsigned char *map; /* Shape: map_bytes; stacks are at its end, what lies below them belongs to others */
        size_t map_bytes;
        size_t checked_bytes; /* of the map, from its start */
} Odd;

static void sleep_for_good(Odd *o) {
        o->asleep++;
        for (;;)
                syscall(SYS_futex, &o->word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void *pause_main(void *userdata) {
        ((Odd *)userdata)->asleep++;
        for (;;)
                pause(); /* never borrowed */
        return NULL;
}

static void *carved_main(void *userdata) {
        sleep_for_good(userdata);
        return NULL;
}

static void *tight_main(void *userdata) {
        Odd *o = userdata;
        uintptr_t here = (uintptr_t)__builtin_frame_address(0), floor = (uintptr_t)o->map + o->checked_bytes;
        volatile char *p = alloca(here - floor - ROOM_LEFT);

        p[0] = 1;
        sleep_for_good(o);
        return NULL;
}

static int raw_main(void *userdata) {
        sleep_for_good(userdata);
        return 0;
}

static void start_on(Odd *o, void *(*fn)(void *), void *stack) {
        pthread_attr_t attr;
        pthread_t t;

        pthread_attr_init(&attr);
        if (pthread_attr_setstack(&attr, stack, STACK_BYTES) != 0 || pthread_create(&t, &attr, fn, o) != 0)
                mk_die("pthread_create", errno);
        pthread_attr_destroy(&attr);
}

static bool odd_check(Mk *m) {
        const Odd *o = m->state;

        for (size_t i = 0; i < o->checked_bytes; i++)
                if (o->map[i] != PATTERN)
                        return false;
        return true;
}

/* Without CLONE_SETTLS it has its creator's thread pointer. */
static void start_raw(Odd *o, void *stack) {
        if (clone(raw_main, (char *)stack + STACK_BYTES,
                  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, o) < 0)
                mk_die("clone", errno);
}

int mk_odd_stack(Mk *m) {
        static Odd o;
        const char *where = mk_arg(m, "where", "carved");
        unsigned want = 1;
        unsigned char *top;

        o.map_bytes = 64u << 20;
        o.map = mmap(NULL, o.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (o.map == MAP_FAILED)
                mk_die("mmap", errno);
        m->state = &o;
        m->check = odd_check;
        top = o.map + o.map_bytes;
        if (strcmp(where, "carved") == 0) {
                want = N_CARVED;
                /* the way of glibc 2.42: guard pages that do not divide the map. An older kernel has none: no matter.
                 */
                for (size_t i = 1; i <= N_CARVED; i++) {
                        (void)madvise(top - (1 + i) * STACK_BYTES * 8, 4096, MADV_GUARD_INSTALL);
                        start_on(&o, carved_main, top - (1 + i) * STACK_BYTES * 8 + 4096);
                }
        } else if (strcmp(where, "tight") == 0) {
                o.checked_bytes = 65536;
                memset(o.map, PATTERN, o.checked_bytes);
                start_on(&o, tight_main, o.map + o.checked_bytes);
        } else if (strcmp(where, "raw") == 0) {
                want = 2;
                start_on(&o, pause_main, top - STACK_BYTES); /* so that the C library knows of threads ... */
                start_raw(&o, top - STACK_BYTES * 4);        /* ... but not of this one */
        } else
                mk_die("where= is carved, tight or raw", EINVAL);
        while (o.asleep < want)
                sched_yield();
        return mk_serve(m);
}
