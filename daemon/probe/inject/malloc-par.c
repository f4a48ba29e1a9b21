/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/malloc-par.h"

#include <string.h>

#include "probe/inject/remote.h"

#define DATA_MAX_BYTES (256u * 1024) /* libc's .data and .bss are 70 KiB at most */
#define ADDRESS_MAX    (1ULL << 47)

/* What follows the five words of MallocPar, by version; LP64. */
static const struct Layout {
        size_t hp_flags; /* offset of `int hp_flags`, behind thp_pagesize and hp_pagesize; 0 = there is none */
        size_t n_mmaps;  /* int n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold */
        size_t mmapped;  /* size_t mmapped_mem, max_mmapped_mem */
        size_t end;
} layouts[] = {
        {0, 40, 56, 72},   /* 2.17 - 2.34 */
        {56, 60, 80, 96},  /* 2.35 - 2.42 */
        {64, 68, 88, 104}, /* with thp_mode before thp_pagesize: after 2.42 */
};

static bool is_page_size(uint64_t v) {
        return v == 0 || (v >= 4096 && v <= 1ULL << 34 && (v & (v - 1)) == 0);
}

static bool fits(const unsigned char *at, const struct Layout *l) {
        enum { ARENA_TEST = 8, MMAP_MAX = 65536, TOP_PAD_MAX = 1 << 30, ARENA_MAX = 1 << 20 };
        uint64_t pages[2] = {0}, mmapped[2];
        uint32_t count[4], flags = 0;
        MallocPar p;

        memcpy(&p, at, sizeof(p));
        memcpy(count, at + l->n_mmaps, sizeof(count));
        memcpy(mmapped, at + l->mmapped, sizeof(mmapped));
        if (l->hp_flags) {
                memcpy(pages, at + l->hp_flags - sizeof(pages), sizeof(pages));
                memcpy(&flags, at + l->hp_flags, sizeof(flags));
        }
        return p.arena_test == ARENA_TEST && p.arena_max <= ARENA_MAX && p.top_pad <= TOP_PAD_MAX &&
               p.mmap_threshold <= INT32_MAX && (p.trim_threshold <= ADDRESS_MAX || p.trim_threshold + 1 == 0) &&
               is_page_size(pages[0]) && is_page_size(pages[1]) && flags <= INT32_MAX && count[1] == MMAP_MAX &&
               count[0] <= count[2] && count[2] <= count[1] && count[3] <= 1 && mmapped[0] <= mmapped[1] &&
               mmapped[1] <= ADDRESS_MAX && mmapped[0] % 4096 == 0 && (count[0] == 0) == (mmapped[0] == 0);
}

ssize_t malloc_par_scan(const unsigned char *data, size_t n) {
        ssize_t found = -ENOENT;

        for (size_t at = 0; at < n; at += sizeof(uint64_t))
                for (size_t i = 0; i < ELEMENTSOF(layouts); i++) {
                        if (n - at < layouts[i].end || !fits(data + at, &layouts[i]))
                                continue;
                        if (found >= 0)
                                return -ENOTUNIQ;
                        found = (ssize_t)at;
                }
        return found;
}

uint64_t malloc_par_find(pid_t pid, const Maps *maps, uint64_t libc_start, uint64_t libc_end) {
        uint64_t found = 0;

        for (size_t i = 0; i < maps->n; i++) {
                const Map *m = &maps->map[i];
                size_t n = (size_t)(m->end - m->start);
                _cleanup_free_ unsigned char *data = NULL;
                ssize_t at;

                if (m->start < libc_start || m->end > libc_end || !(m->prot & MAP_W) || n > DATA_MAX_BYTES)
                        continue;
                data = malloc(n);
                if (!data || remote_read(pid, m->start, data, n) < 0)
                        return 0;
                at = malloc_par_scan(data, n);
                if (at == -ENOTUNIQ || (at >= 0 && found))
                        return 0;
                if (at >= 0)
                        found = m->start + (uint64_t)at;
        }
        return found;
}
