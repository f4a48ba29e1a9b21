/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/owners.h"

#include <stdlib.h>
#include <string.h>

#include "probe/inject/scratch.h"

enum {
        PAGE = 4096,
        IS_MMAPPED = 2,
        SEGMENTS_MAX = 1024,
        CHUNKS_MAX = 65536,
        TCB_NEAR_END = 64 * 1024, /* static TLS and struct pthread lie between a stack's top and the map's end */
        TCB_ALIGN = 64,
        TCB_BYTES = 24,
};

static uint64_t word(const void *p, size_t at) {
        uint64_t v;

        memcpy(&v, (const unsigned char *)p + at, sizeof(v));
        return v;
}

static bool is_private_memory(const Maps *maps, const Map *m) {
        const char *path = maps_path(maps, m);

        return (m->prot & (MAP_R | MAP_W | MAP_SHARED_BIT)) == (MAP_R | MAP_W) && m->inode == 0 &&
               (path[0] == '\0' || strncmp(path, "[anon:", 6) == 0);
}

/* A chunk with a mapping of its own: its size, with the flag, is in the second word, the first is what was lost to
 * alignment; together they are whole pages. Neighbours lie in one map of the kernel's. */
static int add_chunks(Window *w, const Map *m, Ranges *ret) {
        uint64_t at = m->start;

        for (unsigned i = 0; i < CHUNKS_MAX && at + 16 <= m->end; i++) {
                const void *p = window_peek(w, at, 16);
                uint64_t before, size;
                int r;

                if (!p)
                        break;
                before = word(p, 0);
                size = word(p, 8);
                if ((size & 7) != IS_MMAPPED || before % 16 != 0 || before > 1u << 30 ||
                    ((size & ~7ULL) + before) % PAGE != 0 || (size & ~7ULL) < PAGE / 2 ||
                    (size & ~7ULL) + before > m->end - at)
                        break;
                r = ranges_add(ret, at, at + before + (size & ~7ULL), PART_MMAPPED);
                if (r < 0)
                        return r;
                at += before + (size & ~7ULL);
        }
        return 0;
}

static int add_heaps(Window *w, const Glibc *g, Ranges *ret) {
        _cleanup_free_ GlibcSegment *segs = malloc(SEGMENTS_MAX * sizeof(*segs));

        if (!segs)
                return -ENOMEM;
        for (size_t i = 0; i < g->n_arenas; i++) {
                int n = glibc_segments(w, g, &g->arenas[i], segs, SEGMENTS_MAX);

                for (int k = 0; k < n; k++) {
                        int r = ranges_add(ret, segs[k].map_start, segs[k].map_end,
                                           g->arenas[i].is_main ? PART_MAIN_HEAP : PART_ARENAS);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int owners_of_glibc(Window *w, const Glibc *g, const Maps *maps, Ranges *ret) {
        int r = add_heaps(w, g, ret);

        if (g->params.known && g->params.n_mmaps == 0)
                return r;
        for (size_t i = 0; r == 0 && i < maps->n; i++)
                if (is_private_memory(maps, &maps->map[i]))
                        r = add_chunks(w, &maps->map[i], ret);
        return r;
}

/* ---- stacks of threads: struct pthread is at the top of each, and begins with tcbhead_t, whose first and third word
 * are its own address on x86_64 (sysdeps/x86_64/nptl/tls.h). Behind those 704 bytes come the links of a list that all
 * threads with a stack of glibc's making hang on, and the number, 0 once it has ended (nptl/descr.h, 2.17 to 2.42). */
enum {
        PTHREAD_BYTES = 2304,  /* of 2.42 */
        PTHREAD_LEAST = 1744,  /* of what is needed, where the map ends behind a shorter one */
        TID_AT = PTHREAD_TID_OFFSET,
        LIST_AT = TID_AT - 16,
        THREADS_MAX = 65536,
};

/* {stackblock, stackblock_size, guardsize} lie somewhere in it, and no other three words of it can be a block of whole
 * pages that ends right behind the descriptor. */
static bool find_block(const unsigned char *p, uint64_t tcb, uint64_t *ret_start, uint64_t *ret_end) {
        for (size_t at = TID_AT; at + 24 <= PTHREAD_BYTES; at += 8) {
                uint64_t block = word(p, at), size = word(p, at + 8), guard = word(p, at + 16);

                if (block == 0 || block % PAGE != 0 || size % PAGE != 0 || block >= tcb || size > 1ULL << 40 ||
                    block + size <= tcb || block + size - tcb > TCB_NEAR_END || guard >= size)
                        continue;
                *ret_start = block;
                *ret_end = block + size;
                return true;
        }
        return false;
}

typedef struct Threads {
        Window *w;
        int32_t ns_pid;
        Ranges *stacks;
        OwnersThreadFn fn; /* NULL: the stacks are all that is wanted */
        void *userdata;
} Threads;

static int tell_thread(const Threads *t, uint64_t tcb, int32_t tid, uint64_t start, uint64_t end) {
        OwnersThread told = {.tcb = tcb, .ns_tid = tid, .stack_start = start, .stack_end = end};

        return t->fn ? t->fn(t->userdata, &told) : 0;
}

/* Return: 1: taken, *ret_next is the next one's list entry; 0: it is none; negative errno. */
static int take_thread(const Threads *t, uint64_t tcb, uint64_t *ret_next) {
        unsigned char copy[PTHREAD_BYTES] = {0};
        size_t n = PTHREAD_BYTES;
        const void *p = window_peek(t->w, tcb, n);
        uint64_t start, end;
        int32_t tid;
        int r;

        if (!p)
                p = window_peek(t->w, tcb, n = PTHREAD_LEAST);
        if (!p)
                return 0;
        memcpy(copy, p, n);
        memcpy(&tid, copy + TID_AT, sizeof(tid));
        if (word(copy, 0) != tcb || word(copy, 16) != tcb || tid < 0)
                return 0;
        if (tid == t->ns_pid) /* its stack is the kernel's */
                return tell_thread(t, tcb, tid, 0, 0);
        *ret_next = word(copy, LIST_AT);
        if (!find_block(copy, tcb, &start, &end))
                return 0;
        r = ranges_add(t->stacks, start, end, PART_STACKS);
        if (r == 0 && tid > 0) /* 0: it has ended, its stack is kept for the next one */
                r = tell_thread(t, tcb, tid, start, end);
        return r < 0 ? r : 1;
}

/* A descriptor at the end of a map, where pthread_create() puts the first of several stacks that became one map. */
static uint64_t find_tcb(Window *w, const Map *m) {
        uint64_t from = m->end - m->start > TCB_NEAR_END ? m->end - TCB_NEAR_END : m->start;

        window_forget(w);
        for (uint64_t at = (m->end - TCB_BYTES) & ~(uint64_t)(TCB_ALIGN - 1); at >= from && at >= TCB_ALIGN;
             at -= TCB_ALIGN) {
                uint64_t start = at & ~(uint64_t)(PAGE - 1);
                const unsigned char *p = window_peek(w, start, min_of((uint64_t)PAGE, m->end - start));

                if (!p)
                        return 0;
                if (word(p, at - start) == at && word(p, at - start + 16) == at)
                        return at;
        }
        return 0;
}

/* All that hang on the list of the one at @tcb. Its head is no thread, and is passed over. */
static int follow_list(const Threads *t, uint64_t tcb) {
        uint64_t at = tcb, next;

        for (unsigned i = 0; i < THREADS_MAX; i++) {
                int r = take_thread(t, at, &next);

                if (r < 0)
                        return r;
                window_forget(t->w);
                if (r == 0 && !window_u64(t->w, at + LIST_AT, &next))
                        return 0;
                at = next - LIST_AT;
                if (at == tcb || next < LIST_AT)
                        return 0;
        }
        return 0;
}

static bool is_known(const Ranges *r, size_t from, uint64_t addr) {
        for (size_t i = from; i < r->n; i++)
                if (addr >= r->range[i].start && addr < r->range[i].end)
                        return true;
        return false;
}

int owners_of_threads(Window *w, const Maps *maps, int32_t ns_pid, Ranges *ret, OwnersThreadFn fn, void *userdata) {
        const Threads t = {.w = w, .ns_pid = ns_pid, .stacks = ret, .fn = fn, .userdata = userdata};
        size_t from = ret->n;

        for (size_t i = 0; i < maps->n; i++) {
                const Map *m = &maps->map[i];
                uint64_t tcb;
                int r;

                if (!is_private_memory(maps, m) || m->end - m->start < PAGE || is_known(ret, from, m->end - 1))
                        continue;
                tcb = find_tcb(w, m);
                if (tcb == 0)
                        continue;
                window_forget(w);
                r = follow_list(&t, tcb);
                if (r < 0)
                        return r;
        }
        return 0;
}

int owners_of_stacks(Window *w, const Maps *maps, int32_t ns_pid, Ranges *ret) {
        return owners_of_threads(w, maps, ns_pid, ret, NULL, NULL);
}
