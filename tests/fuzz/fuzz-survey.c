/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "heap-blob.h"
#include "probe/survey/heap.h"
#include "probe/survey/owners.h"

/* The first byte chooses a layout; then records of 11 bytes each put a word somewhere into a heap that was in order: 0
 * data, 1 heap; offset in words (2 bytes); the word. */
enum { RECORD = 11 };

static const struct {
        unsigned bins, system_mem;
        bool attached;
} layouts[] = {{112, 2072, true}, {104, 2072, true}, {104, 2064, false}, {24, 2072, true}};

static HeapBlob blob;

static void build(unsigned layout) {
        uint64_t fast;

        blob_init(&blob, layouts[layout].bins);
        blob_chunk(&blob, 656, true);
        for (unsigned i = 0; i < 20; i++) {
                blob_chunk(&blob, 48 + i * 16, true);
                blob_chunk(&blob, 64 + i * 1024, false);
        }
        fast = blob_chunk(&blob, 48, true);
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, layouts[layout].system_mem, layouts[layout].attached);
        if (layouts[layout].bins >= 96)
                blob_put(blob.data + BLOB_STATE_AT + layouts[layout].bins - 96 + 8, fast);
}

static void patch(const uint8_t *data, size_t size) {
        for (; size >= RECORD; data += RECORD, size -= RECORD) {
                size_t at = (size_t)(data[1] | data[2] << 8) * 8;
                uint8_t *to = data[0] & 1 ? blob.heap : blob.data;

                memcpy(to + at % (data[0] & 1 ? BLOB_HEAP_SIZE - 8 : BLOB_DATA_SIZE - 8), data + 3, 8);
        }
}

static void walk(Window *w, Glibc *g) {
        static HeapStats stats;
        Pages pages = PAGES_NULL;
        bool out_of_time = false;
        HeapWalk h = {.window = w, .pages = &pages, .glibc = g, .out_of_time = &out_of_time};

        for (size_t i = 0; i < g->n_arenas; i++) {
                GlibcArena *a = &g->arenas[i];
                int r = heap_walk_arena(&h, a, &stats);

                FUZZ_CHECK(r == 0 || r == -EAGAIN);
                FUZZ_CHECK(stats.trim_bytes <= BLOB_HEAP_SIZE + BLOB_DATA_SIZE || r < 0);
                /* else its pieces are several; of one that begins at an odd place less than a unit is in no chunk */
                if (r == 0 && a->is_main && a->system_bytes && !(a->flags & 2))
                        FUZZ_CHECK(a->system_bytes - (stats.used_bytes + stats.free_bytes + stats.fast_bytes +
                                                      stats.top_bytes) < 16);
        }
        heap_walk_done(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        GlibcPlace place = {BLOB_DATA_BASE, BLOB_DATA_BASE + BLOB_DATA_SIZE};
        Map map[2] = {
                {.start = BLOB_DATA_BASE, .end = BLOB_DATA_BASE + BLOB_DATA_SIZE, .prot = MAP_R | MAP_W},
                {.start = BLOB_HEAP_BASE, .end = BLOB_HEAP_BASE + BLOB_HEAP_SIZE, .prot = MAP_R | MAP_W, .path = 1}};
        char paths[] = "\0[heap]";
        Maps maps = {.map = map, .n = 2, .paths = paths, .paths_len = sizeof(paths)};
        Ranges owners = {0};
        Window w;
        Glibc g;

        if (size == 0 || window_init(&w, blob_read, &blob) < 0)
                return 0;
        build(data[0] % ELEMENTSOF(layouts));
        patch(data + 1, size - 1);
        if (glibc_find(&w, &place, 1, &g) == 0) {
                g.maps = &maps;
                walk(&w, &g);
                FUZZ_CHECK(owners_of_glibc(&w, &g, &maps, &owners) == 0);
                glibc_done(&g);
        }
        FUZZ_CHECK(owners_of_stacks(&w, &maps, 77, &owners) == 0);
        ranges_done(&owners);
        window_done(&w);
        return 0;
}
