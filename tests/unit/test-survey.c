/* SPDX-License-Identifier: Apache-2.0
 *
 * Heaps made by hand, in the layout of each glibc: found, told apart, counted to the byte, and given up when broken.
 */
#include "probe/survey/heap.h"

#include <stdio.h>
#include <stdlib.h>

#include "heap-blob.h"
#include "probe/survey/breakdown.h"
#include "unit/unit.h"

typedef struct Layout {
        const char *versions;
        unsigned bins, system_mem;
        bool attached, fastbins;
} Layout;

static const Layout layouts[] = {
        {"2.17-2.22", 104, 2064, false, true},
        {"2.23-2.26", 104, 2072, true, true},
        {"2.27-2.42", 112, 2072, true, true},
        {"2.43", 24, 2072, true, false},
};

static HeapBlob blob; /* 270 KiB */
static HeapStats stats;

typedef struct Found {
        Window window;
        Glibc glibc;
        Pages pages;
        HeapWalk walk;
        bool out_of_time;
} Found;

static const GlibcPlace place = {BLOB_DATA_BASE, BLOB_DATA_BASE + BLOB_DATA_SIZE};

static int find(Found *f) {
        *f = (Found){.pages = PAGES_NULL};
        assert_int_equal(window_init(&f->window, blob_read, &blob), 0);
        f->walk = (HeapWalk){
                .window = &f->window, .pages = &f->pages, .glibc = &f->glibc, .out_of_time = &f->out_of_time};
        return glibc_find(&f->window, &place, 1, &f->glibc);
}

static void found_done(Found *f) {
        heap_walk_done(&f->walk);
        glibc_done(&f->glibc);
        window_done(&f->window);
}

/* used 64, free 8 KiB, used 1008, free 96, used 32 ... then top */
static void fill(const Layout *l) {
        blob_init(&blob, l->bins);
        blob_chunk(&blob, 64, true);
        blob_chunk(&blob, 3 * 4096, false);
        blob_chunk(&blob, 1008, true);
        blob_chunk(&blob, 96, false);
        blob_chunk(&blob, 32, true);
        blob_finish(&blob, l->system_mem, l->attached);
}

static void test_layouts(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                Found f;

                fill(&layouts[i]);
                if (find(&f) != 0)
                        fail_msg("%s: not found", layouts[i].versions);
                assert_string_equal(f.glibc.layout->versions, layouts[i].versions);
                assert_int_equal(f.glibc.n_arenas, 1);
                assert_true(f.glibc.ring_closed);
                assert_int_equal(f.glibc.arenas[0].system_bytes, BLOB_HEAP_SIZE);
                assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
                assert_int_equal(stats.n_used, 3);
                assert_int_equal(stats.used_bytes, 64 + 1008 + 32);
                assert_int_equal(stats.n_free, 2);
                assert_int_equal(stats.free_bytes, 3 * 4096 + 96);
                assert_int_equal(stats.used_bytes + stats.free_bytes + stats.top_bytes, BLOB_HEAP_SIZE);
                assert_int_equal(stats.classes[size_class(3 * 4096)].n_free, 1);
                /* the free chunk begins at 64: the first whole page in it is the second, its end is at 12,352 */
                assert_int_equal(stats.trim_bytes, 2 * 4096 + ((stats.top_bytes - 33) & ~4095ULL));
                assert_false(stats.trim_known);
                found_done(&f);
        }
}

static void test_unused_heap(void **state _unused_) {
        Found f;

        blob_init(&blob, 112);
        blob_put(blob.data + BLOB_STATE_AT + 112 - 16, blob_state() + 112 - 16); /* initial_top() */
        blob_put(blob.data + BLOB_STATE_AT + 112 + 2048, blob_state());
        blob_put(blob.data + BLOB_STATE_AT + 112 + 2064, 1);
        assert_int_equal(find(&f), 0);
        assert_int_equal(f.glibc.arenas[0].system_bytes, 0);
        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
        assert_int_equal(stats.n_used, 0);
        found_done(&f);
}

/* Free and fast chunks side by side are one once malloc_trim has emptied the fastbins. */
static void test_fastbins(void **state _unused_) {
        for (int mangled = 0; mangled <= 1; mangled++) {
                uint64_t first, second, link;
                Found f;

                blob_init(&blob, 112);
                blob_chunk(&blob, 64, true);
                blob_chunk(&blob, 4096, false);
                first = blob_chunk(&blob, 48, true);
                blob_chunk(&blob, 4096, false);
                second = blob_chunk(&blob, 48, true);
                blob_chunk(&blob, 64, true);
                blob_finish(&blob, 2072, true);
                /* fastbin of 48 bytes: head -> first -> second */
                blob_put(blob.data + BLOB_STATE_AT + 112 - 96 + 8, first);
                link = second;
                blob_put(blob.heap + (first - BLOB_HEAP_BASE) + 16, mangled ? (first + 16) >> 12 ^ link : link);
                blob_put(blob.heap + (second - BLOB_HEAP_BASE) + 16, mangled ? (second + 16) >> 12 : 0);
                assert_int_equal(find(&f), 0);
                assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
                assert_int_equal(stats.n_fast, 2);
                assert_int_equal(stats.fast_bytes, 96);
                assert_int_equal(stats.n_used, 2);
                assert_int_equal(stats.free_bytes, 8192);
                /* 64 .. 8,352 is free then: one whole page from 4,096 on */
                assert_int_equal(stats.trim_bytes, 4096 + ((stats.top_bytes - 33) & ~4095ULL));
                found_done(&f);
        }
}

/* A plain link from the first of sixteen pages would be a chunk's address if it were mangled, too. */
static void test_fast_links(void **state _unused_) {
        uint64_t first, second;
        Found f;

        blob_init(&blob, 112);
        blob_chunk(&blob, 64, true);
        first = blob_chunk(&blob, 48, true);
        blob_chunk(&blob, 8192, true);
        second = blob_chunk(&blob, 48, true);
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, 2072, true);
        assert_int_equal((first + 16) >> 12 & 15, 0);
        blob_put(blob.data + BLOB_STATE_AT + 112 - 96 + 8, first);
        blob_put(blob.heap + (first - BLOB_HEAP_BASE) + 16, second);
        assert_int_equal(find(&f), 0);
        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
        assert_int_equal(stats.n_fast, 2);
        found_done(&f);
}

/* Who called sbrk(21) before malloc did moved the heap's start, and its size is no multiple of a page. */
static void test_odd_start(void **state _unused_) {
        Found f;

        blob_init(&blob, 112);
        blob.at = 32; /* the first chunk behind byte 21 */
        blob_chunk(&blob, 64, true);
        blob_chunk(&blob, 4096, false);
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, 2072, true);
        blob_put(blob.data + BLOB_STATE_AT + 112 + 2072, BLOB_HEAP_SIZE - 21);
        assert_int_equal(find(&f), 0);
        assert_int_equal(f.glibc.arenas[0].system_bytes, BLOB_HEAP_SIZE - 21);
        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
        assert_int_equal(stats.n_used, 2);
        assert_int_equal(stats.free_bytes, 4096);
        found_done(&f);
}

/* brk() failed at page 16, where something else is; from page 17 on there is a mapping in its place. */
static void test_stretches(void **state _unused_) {
        enum { WALL = 16 * 4096 };
        char paths[] = "\0[heap]";
        Map map[] = {
                {.start = BLOB_HEAP_BASE, .end = BLOB_HEAP_BASE + WALL, .prot = MAP_R | MAP_W, .path = 1},
                {.start = BLOB_HEAP_BASE + WALL, .end = BLOB_HEAP_BASE + WALL + 4096, .prot = MAP_R | MAP_W},
                {.start = BLOB_HEAP_BASE + WALL + 4096, .end = BLOB_HEAP_BASE + BLOB_HEAP_SIZE, .prot = MAP_R | MAP_W}};
        Maps maps = {.map = map, .n = ELEMENTSOF(map), .paths = paths, .paths_len = sizeof(paths)};

        for (unsigned broken = 0; broken <= 2; broken++) {
                GlibcSegment segs[4];
                Found f;

                blob_init(&blob, 112);
                blob_chunk(&blob, 64, true);
                blob_chunk(&blob, 8192, false);
                blob_chunk(&blob, WALL - 32 - 64 - 8192, true);
                blob_put(blob.heap + WALL - 32 + 8, 17);
                blob_put(blob.heap + WALL - 16 + 8, broken == 1 ? 1 : 17);
                blob.at = WALL + 4096;
                blob_chunk(&blob, 4096, true);
                blob_finish(&blob, 2072, true);
                blob_put(blob.data + BLOB_STATE_AT, 2ULL << 32); /* NONCONTIGUOUS_BIT */
                blob_put(blob.data + BLOB_STATE_AT + 112 + 2072, BLOB_HEAP_SIZE - (broken == 2 ? 0 : 4096));
                blob_put(blob.heap + WALL + 8, 2); /* like the head of a mapped chunk, but of no size */
                assert_int_equal(find(&f), 0);
                assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), -EAGAIN); /* without maps */
                f.glibc.maps = &maps;
                if (broken) {
                        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), -EAGAIN);
                        assert_true(stats.n_torn > 0);
                } else {
                        assert_int_equal(glibc_segments(&f.window, &f.glibc, &f.glibc.arenas[0], segs, 4), 2);
                        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
                        assert_int_equal(stats.n_used, 3);
                        assert_int_equal(stats.used_bytes, WALL - 32 - 8192 + 4096);
                        assert_int_equal(stats.free_bytes, 8192);
                        assert_int_equal(stats.top_bytes, BLOB_HEAP_SIZE - WALL - 8192);
                        assert_int_equal(stats.trim_bytes, 4096); /* top is no part of the kernel's heap */
                }
                found_done(&f);
        }
}

/* Chunks of 32 bytes, the last one first, each with a chunk in use behind it. */
enum { MANY_AT = 0x1000000 };
typedef struct Many {
        uint64_t n, head, end; /* what the first one leads to */
} Many;

static uint64_t many_word(const Many *m, uint64_t addr) {
        uint64_t at = addr - MANY_AT, i = at / 64;

        if (addr < MANY_AT)
                return addr == 96 - 96 ? m->head : 0; /* bins[] at 96: the heads of fastbins */
        if (i >= m->n || at % 64 >= 32)
                return 0;
        return at % 32 == 8 ? 33 : at % 32 == 16 ? (i ? addr - 16 - 64 : m->end) : 0;
}

static ssize_t many_read(void *userdata, uint64_t addr, void *buf, size_t n) {
        for (size_t i = 0; i < n; i += 8) {
                uint64_t v = many_word(userdata, addr + i);

                memcpy((char *)buf + i, &v, min_of(sizeof(v), n - i));
        }
        return (ssize_t)n;
}

static unsigned collect_many(Fast *fast, uint64_t n, uint64_t head, uint64_t end) {
        static const GlibcLayout layout = {.has_fastbins = true};
        Many m = {.n = n, .head = head, .end = end};
        Glibc g = {.layout = &layout};
        GlibcArena a = {.bins = 96};
        bool out_of_time = false;
        unsigned n_torn;
        Window w;

        assert_int_equal(window_init(&w, many_read, &m), 0);
        n_torn = fast_collect(fast, &w, &g, &a, &out_of_time);
        window_done(&w);
        return n_torn;
}

static void test_fast_many(void **state _unused_) {
        static const uint64_t sizes[] = {1, 1000, FAST_LIST_MAX, FAST_LIST_MAX + 1, 4ULL * FAST_LIST_MAX};
        Fast f = {0};

        for (size_t k = 0; k < ELEMENTSOF(sizes); k++) {
                uint64_t last = MANY_AT + (sizes[k] - 1) * 64;

                assert_int_equal(collect_many(&f, sizes[k], last, 0), 0);
                for (uint64_t at = MANY_AT; at <= last + 64; at += 32)
                        assert_int_equal(fast_has(&f, at), at <= last && at % 64 == 0);
        }
        /* a loop, short or long; more than there is room for; an address at the end of all */
        assert_int_equal(collect_many(&f, 4096, MANY_AT + 4095 * 64, MANY_AT + 4095 * 64), 1);
        assert_int_equal(collect_many(&f, 8, MANY_AT, MANY_AT + 7 * 64), 1);
        assert_int_equal(collect_many(&f, FAST_ZONES_MAX * 16384ULL + 1, MANY_AT + FAST_ZONES_MAX * 16384ULL * 64, 0),
                         1);
        assert_int_equal(collect_many(&f, 1, UINT64_MAX & ~15ULL, 0), 1);
        fast_done(&f);
}

static void test_pinned(void **state _unused_) {
        Found f;

        blob_init(&blob, 112);
        blob_chunk(&blob, 4096, true); /* page 0: full */
        blob_chunk(&blob, 64, true);   /* page 1: 64 of 4,096 in use */
        blob_chunk(&blob, 4096 - 64, false);
        blob_chunk(&blob, 2048, true); /* page 2: half */
        blob_chunk(&blob, 2048, false);
        blob_chunk(&blob, 8192, true); /* pages 3, 4 */
        blob_finish(&blob, 2072, true);
        assert_int_equal(find(&f), 0);
        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), 0);
        assert_int_equal(stats.pages_full, 3);
        assert_int_equal(stats.pages_live[0], 1);
        assert_int_equal(stats.pages_live[4], 1);
        assert_int_equal(stats.pinned_bytes, 4096 - 64 + 2048);
        found_done(&f);
}

/* A broken heap is told as one, and is never a figure. */
static void test_broken(void **state _unused_) {
        static const struct {
                const char *what;
                uint64_t at, value; /* in the heap */
        } cases[] = {
                {"a size beyond the end", 64 + 8, 1ULL << 40 | 1},
                {"a size of nothing", 64 + 8, 1},
                {"a size less than the least", 64 + 8, 16 | 1},
                {"a size that is not aligned", 64 + 8, 0x1238 | 1},
                {"the end's own size is another", 64 + 3 * 4096, 4096},
                {"a size that leads into the middle", 64 + 8, 4096 | 1},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Found f;

                fill(&layouts[2]);
                blob_put(blob.heap + cases[i].at, cases[i].value);
                assert_int_equal(find(&f), 0);
                if (heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats) != -EAGAIN || stats.n_torn == 0 ||
                    stats.unread_bytes == 0)
                        fail_msg("%s: n_torn %lu, unread %lu", cases[i].what, stats.n_torn, stats.unread_bytes);
                found_done(&f);
        }
}

static void test_loops_end(void **state _unused_) {
        uint64_t chunk;
        Found f;

        blob_init(&blob, 112);
        chunk = blob_chunk(&blob, 32, true);
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, 2072, true);
        blob_put(blob.data + BLOB_STATE_AT + 112 - 96, chunk); /* a fastbin that leads back to itself */
        blob_put(blob.heap + (chunk - BLOB_HEAP_BASE) + 16, chunk);
        assert_int_equal(find(&f), 0);
        assert_int_equal(heap_walk_arena(&f.walk, &f.glibc.arenas[0], &stats), -EAGAIN);
        found_done(&f);
        /* a ring that leads to no arena */
        fill(&layouts[2]);
        blob_put(blob.data + BLOB_STATE_AT + 112 + 2048, 0x7f1234000030ULL);
        assert_int_equal(find(&f), -EAGAIN);
        window_done(&f.window);
        /* nothing there */
        blob_init(&blob, 112);
        memset(blob.data, 0, sizeof(blob.data));
        assert_int_equal(find(&f), -ENOENT);
        window_done(&f.window);
}

static void test_size_classes(void **state _unused_) {
        for (unsigned i = 2; i < SIZE_CLASSES; i++) {
                assert_int_equal(size_class(size_class_start(i)), i);
                assert_int_equal(size_class(size_class_start(i) - 1), i - 1);
        }
        assert_int_equal(size_class(UINT64_MAX), SIZE_CLASSES - 1);
}

static const char smaps[] =
        "555500000000-555500100000 rw-p 00000000 00:00 0                          [heap]\n"
        "Size:               1024 kB\nRss:                 800 kB\nPss:                 800 kB\n"
        "Private_Clean:         0 kB\nPrivate_Dirty:       800 kB\nSwap:                 12 kB\nVmFlags: rd wr mr\n"
        "7f0000000000-7f0000010000 r-xp 00000000 08:01 77                         /usr/lib/libx.so\n"
        "Rss:                  40 kB\nPss:                  10 kB\nPrivate_Clean:         4 kB\nPrivate_Dirty:         "
        "0 kB\n"
        "7f0000010000-7f0000012000 rw-p 00010000 08:01 77                         /usr/lib/libx.so\n"
        "Rss:                   8 kB\nPss:                   8 kB\nPrivate_Clean:         0 kB\nPrivate_Dirty:         "
        "8 kB\n"
        "7f0000020000-7f0000030000 rw-s 00000000 00:01 99                         /memfd:ring (deleted)\n"
        "Rss:                  64 kB\nPss:                  32 kB\n"
        "7f0000040000-7f0000050000 rw-p 00000000 00:00 0 \n"
        "Rss:                  20 kB\nPss:                  20 kB\nPrivate_Dirty:        20 kB\n"
        "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]\n"
        "Rss:                  16 kB\nPss:                  16 kB\nPrivate_Dirty:        16 kB\n"
        "7ffd00030000-7ffd00032000 r-xp 00000000 00:00 0                          [vdso]\n"
        "Rss:                   4 kB\nPss:                   0 kB\n";

static void test_breakdown(void **state _unused_) {
        static const struct {
                PartKind kind;
                const char *name;
                uint64_t rss_kib;
        } expected[] = {
                {PART_MAIN_HEAP, "", 800},
                {PART_STACKS, "", 16},
                {PART_ANONYMOUS, "", 20},
                {PART_FILES, "/usr/lib/libx.so", 48},
                {PART_SHARED, "/memfd:ring (deleted)", 64},
                {PART_KERNEL, "", 4},
        };
        Pages pages = PAGES_NULL;
        Ranges known = {0};
        Breakdown b = {0};
        char text[sizeof(smaps)];

        memcpy(text, smaps, sizeof(text));
        assert_int_equal(ranges_add(&known, 0x555500000000, 0x555500100000, PART_MAIN_HEAP), 0);
        ranges_sort(&known);
        assert_int_equal(breakdown_feed(&b, text, sizeof(text) - 1, &known, &pages, PART_ANONYMOUS), 0);
        breakdown_sort(&b);
        assert_int_equal(b.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                assert_int_equal(b.parts[i].kind, expected[i].kind);
                assert_string_equal(b.parts[i].name, expected[i].name);
                assert_int_equal(b.parts[i].rss_bytes, expected[i].rss_kib * 1024);
        }
        assert_int_equal(b.whole.rss_bytes, (800 + 48 + 64 + 20 + 16 + 4) * 1024);
        assert_int_equal(b.whole.swap_bytes, 12 * 1024);
        assert_int_equal(b.parts[3].n_maps, 2);
        breakdown_done(&b);
        ranges_done(&known);
}

static void test_many_files(void **state _unused_) {
        Pages pages = PAGES_NULL;
        Ranges known = {0};
        Breakdown b = {0};
        uint64_t sum = 0;

        for (unsigned i = 0; i < 3 * BREAKDOWN_FILES_MAX; i++) {
                char text[256];
                int n = snprintf(text, sizeof(text), "%x000-%x000 r--p 00000000 08:01 7  /lib/%u\nRss: %u kB\n", i + 16,
                                 i + 17, i, i + 1);

                assert_int_equal(breakdown_feed(&b, text, (size_t)n, &known, &pages, PART_ANONYMOUS), 0);
        }
        breakdown_sort(&b);
        assert_int_equal(b.n, BREAKDOWN_FILES_MAX);
        assert_string_equal(b.parts[0].name, "/lib/71");
        assert_string_equal(b.parts[b.n - 1].name, "");
        for (size_t i = 0; i < b.n; i++)
                sum += b.parts[i].rss_bytes;
        assert_int_equal(sum, b.whole.rss_bytes);
        breakdown_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layouts),      cmocka_unit_test(test_unused_heap),
                cmocka_unit_test(test_fastbins),     cmocka_unit_test(test_pinned),
                cmocka_unit_test(test_fast_links),   cmocka_unit_test(test_odd_start),
                cmocka_unit_test(test_fast_many),    cmocka_unit_test(test_stretches),
                cmocka_unit_test(test_broken),       cmocka_unit_test(test_loops_end),
                cmocka_unit_test(test_size_classes), cmocka_unit_test(test_breakdown),
                cmocka_unit_test(test_many_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
