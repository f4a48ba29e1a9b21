/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are about the heap. Their own books are kept in mappings, so that the heap holds exactly what the
 * arguments say.
 */
#include "targets/mkleak.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define MIB        (1024 * 1024u)
#define LIVE_MAGIC 0x9e3779b97f4a7c15u
#define SLOTS      128
#define CANARY     16 /* no block is smaller */

typedef struct Heap {
        unsigned char **live; /* Shape: n */
        size_t n, live_bytes;
} Heap;

typedef struct Shape {
        uint64_t size_bytes, hole_bytes, live_bytes, keep_every;
} Shape;

static void *books(size_t bytes) {
        void *p = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                mk_die("mmap", errno);
        return p;
}

static void *allocate(size_t n) {
        void *p = malloc(n);

        if (!p)
                mk_die("malloc", ENOMEM);
        return p;
}

static void live_write(unsigned char *p, size_t n, size_t i) {
        uint64_t mark = (i + 1) * LIVE_MAGIC;

        memset(p, (int)(i & 0xff), n);
        memcpy(p, &mark, min_of(n, sizeof(mark)));
}

static bool live_is_right(const unsigned char *p, size_t n, size_t i) {
        uint64_t mark = (i + 1) * LIVE_MAGIC;

        if (memcmp(p, &mark, min_of(n, sizeof(mark))) != 0)
                return false;
        for (size_t k = sizeof(mark); k < n; k++)
                if (p[k] != (i & 0xff))
                        return false;
        return true;
}

static bool heap_is_right(const Heap *h) {
        for (size_t i = 0; i < h->n; i++)
                if (h->live[i] && !live_is_right(h->live[i], h->live_bytes, i))
                        return false;
        return true;
}

static Shape shape_of(const Mk *m, uint64_t size_mib) {
        Shape s = {
                .size_bytes = mk_arg_u64(m, "size_mib", size_mib) * MIB,
                .hole_bytes = mk_arg_u64(m, "hole_bytes", 16384),
                .live_bytes = mk_arg_u64(m, "live_bytes", 48),
                .keep_every = mk_arg_u64(m, "keep_every", 0),
        };

        /* a larger block would get a mapping of its own (M_MMAP_THRESHOLD, 128 KiB) and leave no hole */
        if (s.hole_bytes == 0 || s.hole_bytes > 120 * 1024 || s.live_bytes == 0 || s.live_bytes > 120 * 1024)
                mk_die("hole_bytes= and live_bytes= are 1..122880", EINVAL);
        return s;
}

/* heap_fragment() - holes between live blocks, in the calling thread's arena */
static void heap_fragment(Heap *h, const Shape *s, uint64_t size_bytes) {
        size_t n = (size_t)(size_bytes / (s->hole_bytes + s->live_bytes));
        unsigned char **holes = books(n * sizeof(*holes));

        h->live = books(n * sizeof(*h->live));
        h->live_bytes = (size_t)s->live_bytes;
        for (size_t i = 0; i < n; i++) {
                holes[i] = memset(allocate((size_t)s->hole_bytes), 0x5a, (size_t)s->hole_bytes);
                h->live[i] = allocate(h->live_bytes);
                live_write(h->live[i], h->live_bytes, i);
        }
        h->n = n;
        for (size_t i = 0; i < n; i++)
                if (s->keep_every == 0 || i % s->keep_every != 0)
                        free(holes[i]);
        munmap(holes, n * sizeof(*holes) + 1);
}

static bool one_heap_check(Mk *m) {
        return heap_is_right(m->state);
}

int mk_steady(Mk *m) {
        static Heap h;
        Shape s = {.size_bytes = mk_arg_u64(m, "size_mib", 16) * MIB, .hole_bytes = 64, .live_bytes = 4096,
                   .keep_every = 1};

        stdin_waiter_init(m, mk_arg(m, "wait", "read"));
        heap_fragment(&h, &s, s.size_bytes);
        m->state = &h;
        m->check = one_heap_check;
        return mk_serve(m);
}

int mk_fragment(Mk *m) {
        static Heap h;
        Shape s = shape_of(m, 64);

        stdin_waiter_init(m, mk_arg(m, "wait", "read"));
        heap_fragment(&h, &s, s.size_bytes);
        m->state = &h;
        m->check = one_heap_check;
        return mk_serve(m);
}

static bool two_heaps_check(Mk *m) {
        const Heap *h = m->state;

        return heap_is_right(h) && heap_is_right(h + 1);
}

int mk_split_heap(Mk *m) {
        static Heap h[2];
        Shape s = shape_of(m, 64);
        void *brk, *wall;

        heap_fragment(h, &s, s.size_bytes / 4);
        brk = sbrk(0);
        wall = mmap(brk, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (wall != brk)
                mk_die("mmap at the end of the heap", wall == MAP_FAILED ? errno : EEXIST);
        heap_fragment(h + 1, &s, s.size_bytes - s.size_bytes / 4);
        m->state = h;
        m->check = two_heaps_check;
        return mk_serve(m);
}

/* ---- fragment-threads */

typedef struct Heaps {
        Shape shape;
        size_t n;
        Heap *heaps;
} Heaps;

static void thread_fragment(Waiter *w) {
        Heaps *hs = w->m->state;

        heap_fragment(hs->heaps + (w - w->m->waiters), &hs->shape, hs->shape.size_bytes / hs->n);
}

static bool heaps_check(Mk *m) {
        const Heaps *hs = m->state;

        for (size_t i = 0; i < hs->n; i++)
                if (!heap_is_right(hs->heaps + i))
                        return false;
        return true;
}

static int serve_threads(Mk *m, size_t n, const char *kinds, uint64_t size_mib, uint64_t tick_nsec) {
        static Heaps hs;

        hs.shape = shape_of(m, size_mib);
        hs.n = n;
        hs.heaps = books(n * sizeof(Heap));
        m->state = &hs;
        m->check = heaps_check;
        stdin_waiter_init(m, mk_arg(m, "main", "read"));
        waiters_start(m, n, kinds, hs.shape.size_bytes && n ? thread_fragment : NULL);
        ticker_start(m, mk_arg_u64(m, "tick", tick_nsec));
        return mk_serve(m);
}

int mk_fragment_threads(Mk *m) {
        return serve_threads(m, (size_t)mk_arg_u64(m, "threads", 4), mk_arg(m, "wait", "futex"), 64, 0);
}

int mk_epoll_eintr(Mk *m) {
        const char *kinds = mk_arg(m, "wait", "all");

        return serve_threads(m, (size_t)mk_arg_u64(m, "threads", wait_kinds_count(kinds)), kinds, 0, 0);
}

int mk_ticker(Mk *m) {
        static Heap h;
        Shape s = shape_of(m, 0);

        heap_fragment(&h, &s, s.size_bytes);
        m->state = &h;
        m->check = one_heap_check;
        ticker_start(m, mk_arg_u64(m, "tick", 1000000));
        return mk_serve(m);
}

/* ---- leak */

/* leak_block() - allocated, written, and forgotten: the chain's head is the only pointer, in a register of nobody */
static void leak_block(size_t bytes) {
        unsigned char *p = allocate(bytes);

        memset(p, 0xa5, bytes);
        __asm__ volatile("" : : "r"(p) : "memory"); /* or the compiler would leave the whole pair out */
}

int mk_leak(Mk *m) {
        uint64_t rate = mk_arg_u64(m, "bytes_per_s", MIB), block = mk_arg_u64(m, "block_bytes", 1000);
        uint64_t limit = mk_arg_u64(m, "limit_mib", 1024) * MIB, leaked = 0, start = mk_now_nsec();
        Waiter *w = &m->stdin_waiter;

        if (block == 0 || block > MIB)
                mk_die("block_bytes= is 1..1048576", EINVAL);
        stdin_waiter_init(m, "poll-timed");
        w->timeout_nsec = 10000000;
        mk_ready(m);
        for (;;) {
                int r = w->kind->block(w);
                uint64_t due = (uint64_t)((double)(mk_now_nsec() - start) / 1e9 * (double)rate);

                if (r == -EPIPE || (r == 0 && w->byte > ' ' && !mk_handle(m, (char)w->byte)))
                        return 0;
                if (r == -EINTR)
                        w->n_eintr++;
                for (due = min_of(due, limit); leaked + block <= due; leaked += block)
                        leak_block((size_t)block);
                m->n_loops = leaked;
        }
}

/* ---- hot loops */

typedef struct Hot {
        uint64_t seed;
        struct {
                unsigned char *p;
                size_t n;
                unsigned char tag;
        } slots[SLOTS];
} Hot;

/* xorshift64*: Vigna 2016, An experimental exploration of Marsaglia's xorshift generators */
static uint64_t hot_random(Hot *h) {
        h->seed ^= h->seed >> 12;
        h->seed ^= h->seed << 25;
        h->seed ^= h->seed >> 27;
        return h->seed * 0x2545f4914f6cdd1du;
}

/* Canaries of CANARY bytes at both ends of a block. */
static void hot_mark(Hot *h, size_t i) {
        memset(h->slots[i].p, h->slots[i].tag, CANARY);
        memset(h->slots[i].p + h->slots[i].n - CANARY, h->slots[i].tag, CANARY);
}

static bool hot_is_marked(const unsigned char *p, unsigned char tag) {
        for (size_t i = 0; i < CANARY; i++)
                if (p[i] != tag)
                        return false;
        return true;
}

static bool hot_is_zero(const unsigned char *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (p[i] != 0)
                        return false;
        return true;
}

/* One of malloc, calloc, whose zeros are looked at, and memalign. */
static unsigned char *hot_allocate(size_t n, uint64_t x, bool *ret_right) {
        unsigned char *p;

        switch (x % 4) {
        case 0:
                p = calloc(1, n);
                *ret_right = p && hot_is_zero(p, n);
                break;
        case 1:
                p = memalign((size_t)32 << (x >> 2) % 8, n);
                *ret_right = ((uintptr_t)p & (((uintptr_t)32 << (x >> 2) % 8) - 1)) == 0;
                break;
        default:
                p = malloc(n);
        }
        if (!p)
                mk_die("malloc", ENOMEM);
        return p;
}

/* hot_step() - one allocation, or one check and free, or with @all one check and realloc. Return: whether the block was
 * as it had been written. */
static bool hot_step(Hot *h, size_t max_bytes, bool all) {
        uint64_t x = hot_random(h);
        size_t i = x % SLOTS, n = CANARY + (size_t)(x >> 32) % max_bytes;
        unsigned char *p = h->slots[i].p;
        bool right = true;

        if (p) {
                right = hot_is_marked(p, h->slots[i].tag) && hot_is_marked(p + h->slots[i].n - CANARY, h->slots[i].tag);
                if (all && (x >> 24) % 3 == 0) {
                        p = realloc(p, n);
                        right = right && p && hot_is_marked(p, h->slots[i].tag);
                } else {
                        free(p);
                        p = NULL;
                }
        } else
                p = all ? hot_allocate(n, x >> 12, &right) : allocate(n);
        h->slots[i].p = p;
        h->slots[i].n = n;
        h->slots[i].tag = (unsigned char)(x >> 16);
        if (p)
                hot_mark(h, i);
        return right;
}

typedef struct HotArgs {
        Mk *m;
        uint64_t rest_usec, max_bytes;
        bool all;
} HotArgs;

static void *hot_main(void *userdata) {
        HotArgs *a = userdata;
        Hot h = {.seed = (uint64_t)gettid() * LIVE_MAGIC};

        for (;;) {
                for (size_t i = 0; i < 256; i++)
                        if (!hot_step(&h, (size_t)a->max_bytes, a->all))
                                mk_bad(a->m, "a-block-changed");
                a->m->n_loops += 256;
                if (a->rest_usec)
                        nanosleep(&(struct timespec){.tv_sec = (time_t)(a->rest_usec / 1000000),
                                                     .tv_nsec = (long)(a->rest_usec % 1000000 * 1000)},
                                  NULL);
        }
        return NULL;
}

static int serve_hot(Mk *m, uint64_t n, void *(*run)(void *userdata), HotArgs *a) {
        waiters_start(m, (size_t)mk_arg_u64(m, "idle", 1), "futex", NULL);
        ticker_start(m, mk_arg_u64(m, "tick", 0));
        for (uint64_t i = 0; i < min_of(n, (uint64_t)MK_THREADS_MAX); i++) {
                pthread_t t;
                int r = pthread_create(&t, NULL, run, a);
                if (r != 0)
                        mk_die("pthread_create", r);
        }
        while (m->n_loops == 0) /* "ready" means running */
                nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        return mk_serve(m);
}

int mk_allocator_hot(Mk *m) {
        static HotArgs a;

        a.m = m;
        a.rest_usec = mk_arg_u64(m, "rest_usec", 0);
        a.all = mk_arg_u64(m, "all", 0);
        a.max_bytes = max_of(mk_arg_u64(m, "max_bytes", 32768), (uint64_t)1);
        return serve_hot(m, max_of(mk_arg_u64(m, "threads", 2), (uint64_t)1), hot_main, &a);
}

int mk_single_hot(Mk *m) {
        size_t max_bytes = (size_t)max_of(mk_arg_u64(m, "max_bytes", 32768), (uint64_t)1);
        Waiter *w = &m->stdin_waiter;
        Hot h = {.seed = LIVE_MAGIC};

        stdin_waiter_init(m, "poll-timed");
        w->timeout_nsec = 0;
        mk_ready(m);
        for (;;) {
                for (size_t i = 0; i < 4096; i++)
                        if (!hot_step(&h, max_bytes, false))
                                mk_bad(m, "a-block-changed");
                m->n_loops += 4096;
                int r = w->kind->block(w);
                if (r == -EINTR)
                        w->n_eintr++;
                if (r == -EPIPE || (r == 0 && w->byte > ' ' && !mk_handle(m, (char)w->byte)))
                        return 0;
        }
}

static void *fork_main(void *userdata) {
        HotArgs *a = userdata;

        for (;;) {
                pid_t pid = fork();
                int status = -1;

                if (pid == 0) {
                        free(malloc(100)); /* hangs where fork left a lock held */
                        _exit(0);
                }
                while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        a->m->ticker.n_eintr++;
                if (pid < 0 || status != 0)
                        mk_bad(a->m, "a-child-did-not-exit-0");
                a->m->n_loops++;
        }
        return NULL;
}

int mk_fork_hot(Mk *m) {
        static HotArgs a;

        a.m = m;
        return serve_hot(m, max_of(mk_arg_u64(m, "threads", 1), (uint64_t)1), fork_main, &a);
}
