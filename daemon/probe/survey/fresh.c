/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/fresh.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/survey/size-class.h"

#define KEPT_MAGIC 0x31746b46u /* "Fkt1" */
#define SHIFT_MAX  40u

typedef struct Kept {
        uint32_t magic, n, shift, n_skipped;
        uint64_t start_ticks;
        int32_t pid;
        uint32_t blind;
        uint64_t skipped[FRESH_ARENAS_MAX];
} Kept; /* uint64_t entries[n] follow, sorted */

/* Two independent hashes of an address: murmur3's finalizer (fmix64) of it and of its complement. */
static uint64_t hash(uint64_t v) {
        v ^= v >> 33;
        v *= 0xff51afd7ed558ccdULL;
        v ^= v >> 33;
        v *= 0xc4ceb9fe1a85ec53ULL;
        return v ^ v >> 33;
}

static bool is_chosen(const Fresh *f, uint64_t addr) {
        return (hash(addr) & ((1ULL << f->shift) - 1)) == 0;
}

static uint64_t entry_of(uint64_t addr, uint64_t size_bytes) {
        return addr / 16 << 8 | size_class(size_bytes);
}

int fresh_init(Fresh *f) {
        *f = (Fresh){.entries = malloc(FRESH_MAX * sizeof(uint64_t))};
        return f->entries ? 0 : -ENOMEM;
}

void fresh_done(Fresh *f) {
        free(f->entries);
        *f = (Fresh){0};
}

static void thin_out(Fresh *f) {
        uint32_t kept = 0;

        f->shift++;
        for (uint32_t i = 0; i < f->n; i++)
                if (is_chosen(f, f->entries[i] >> 8 << 4))
                        f->entries[kept++] = f->entries[i];
        f->n = kept;
}

void fresh_remember(Fresh *f, uint64_t addr, uint64_t size_bytes) {
        if (!is_chosen(f, addr))
                return;
        while (f->n == FRESH_MAX && f->shift < SHIFT_MAX)
                thin_out(f);
        if (f->n < FRESH_MAX && is_chosen(f, addr))
                f->entries[f->n++] = entry_of(addr, size_bytes);
}

void fresh_skip(Fresh *f, uint64_t arena) {
        if (f->n_skipped < FRESH_ARENAS_MAX)
                f->skipped[f->n_skipped++] = arena;
        else
                f->blind = true;
}

bool fresh_skipped(const Fresh *f, uint64_t arena) {
        for (uint32_t i = 0; i < f->n_skipped; i++)
                if (f->skipped[i] == arena)
                        return true;
        return f->blind;
}

static int compare(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

int fresh_save(Fresh *f, int fd, int32_t pid, uint64_t start_ticks) {
        Kept k = {.magic = KEPT_MAGIC,
                  .n = f->n,
                  .shift = f->shift,
                  .n_skipped = f->n_skipped,
                  .start_ticks = start_ticks,
                  .pid = pid,
                  .blind = f->blind};
        size_t bytes = f->n * sizeof(*f->entries);

        memcpy(k.skipped, f->skipped, sizeof(k.skipped));
        qsort(f->entries, f->n, sizeof(*f->entries), compare);
        /* a memfd takes all at once, or there is no memory */
        if (pwrite(fd, f->entries, bytes, sizeof(k)) != (ssize_t)bytes ||
            pwrite(fd, &k, sizeof(k), 0) != (ssize_t)sizeof(k))
                return -EIO;
        return 0;
}

int fresh_load(int fd, int32_t pid, uint64_t start_ticks, Fresh *ret) {
        Fresh f;
        Kept k;
        int r;

        if (fd < 0 || pread(fd, &k, sizeof(k), 0) != (ssize_t)sizeof(k) || k.magic != KEPT_MAGIC || k.pid != pid ||
            k.start_ticks != start_ticks || k.n > FRESH_MAX || k.n_skipped > FRESH_ARENAS_MAX || k.shift > SHIFT_MAX)
                return -ENODATA;
        r = fresh_init(&f);
        if (r < 0)
                return r;
        if (pread(fd, f.entries, k.n * sizeof(*f.entries), sizeof(k)) != (ssize_t)(k.n * sizeof(*f.entries))) {
                fresh_done(&f);
                return -ENODATA;
        }
        f.n = k.n;
        f.shift = k.shift;
        f.n_skipped = k.n_skipped;
        f.blind = k.blind;
        memcpy(f.skipped, k.skipped, sizeof(f.skipped));
        *ret = f;
        return 0;
}

static bool is_known(const Fresh *f, uint64_t entry) {
        return f->n && bsearch(&entry, f->entries, f->n, sizeof(entry), compare);
}

/* The ones of the least rank so far; an arena that is read again tells them again. */
void fresh_draw(const Fresh *f, FreshDrawn *d, uint64_t addr, uint64_t size_bytes) {
        uint64_t rank = hash(~addr);
        uint32_t at = d->n;

        if (size_class(size_bytes) != d->class || !is_chosen(f, addr) || d->max == 0 ||
            (d->n == d->max && rank >= d->rank[d->n - 1]) || is_known(f, entry_of(addr, size_bytes)))
                return;
        for (uint32_t i = 0; i < d->n; i++)
                if (d->addr[i] == addr)
                        return;
        if (d->n < d->max)
                d->n++;
        else
                at--;
        for (; at > 0 && d->rank[at - 1] > rank; at--) {
                d->rank[at] = d->rank[at - 1];
                d->addr[at] = d->addr[at - 1];
        }
        d->rank[at] = rank;
        d->addr[at] = addr;
}
