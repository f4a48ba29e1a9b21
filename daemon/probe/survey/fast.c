/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/fast.h"

#include <stdlib.h>
#include <string.h>

enum {
        N_FASTBINS = 10,
        MIN_CHUNK = 32,
        CHUNK_ALIGN = 16,
        NEAR_BYTES = 16 * 1024,
        ZONE_BYTES = 1 << 20,
        ZONE_WORDS = ZONE_BYTES / CHUNK_ALIGN / 64,
        SLOTS = 2 * FAST_ZONES_MAX,
};

/* ---- which ones */

static FastZone *find_zone(const Fast *f, uint64_t number) {
        size_t i = (size_t)(number * 0x9e3779b97f4a7c15ULL >> 32) % SLOTS;

        while (f->zones[i].bits && f->zones[i].number != number)
                i = (i + 1) % SLOTS; /* half of them stay unused, so this ends */
        return &f->zones[i];
}

static uint64_t bit_of(uint64_t addr, size_t *ret_word) {
        size_t at = (size_t)(addr % ZONE_BYTES) / CHUNK_ALIGN;

        *ret_word = at / 64;
        return 1ULL << at % 64;
}

/* Return: false: no room; or it is there already, so that the chain is a loop. */
static bool set_bit(Fast *f, uint64_t addr) {
        FastZone *z = find_zone(f, addr / ZONE_BYTES);
        size_t word;
        uint64_t bit = bit_of(addr, &word);

        if (!z->bits) {
                if (f->n_zones == FAST_ZONES_MAX || !(z->bits = calloc(ZONE_WORDS, sizeof(*z->bits))))
                        return false;
                z->number = addr / ZONE_BYTES;
                f->n_zones++;
        }
        if (z->bits[word] & bit)
                return false;
        z->bits[word] |= bit;
        return true;
}

static bool list_to_bits(Fast *f) {
        f->zones = calloc(SLOTS, sizeof(*f->zones));
        if (!f->zones)
                return false;
        for (size_t i = 0; i < f->n; i++)
                if (!set_bit(f, f->list[i]))
                        return false;
        free(f->list);
        f->list = NULL;
        f->n = f->max = 0;
        return true;
}

static bool push(Fast *f, uint64_t addr) {
        if (!f->zones && f->n == FAST_LIST_MAX && !list_to_bits(f))
                return false;
        if (f->zones)
                return set_bit(f, addr);
        if (f->n == f->max) {
                size_t more = f->max ? f->max * 2 : 1024;
                uint64_t *bigger = realloc(f->list, more * sizeof(*bigger));

                if (!bigger)
                        return false;
                f->list = bigger;
                f->max = more;
        }
        f->list[f->n++] = addr;
        return true;
}

static int compare(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

bool fast_has(Fast *f, uint64_t addr) {
        size_t word;
        uint64_t bit;

        if (!f->zones) {
                while (f->next < f->n && f->list[f->next] < addr)
                        f->next++;
                return f->next < f->n && f->list[f->next] == addr;
        }
        if (!f->last || !f->last->bits || f->last->number != addr / ZONE_BYTES)
                f->last = find_zone(f, addr / ZONE_BYTES);
        bit = bit_of(addr, &word);
        return f->last->bits && f->last->bits[word] & bit;
}

void fast_rewind(Fast *f) {
        f->next = 0;
}

static void forget(Fast *f) {
        for (size_t i = 0; f->zones && i < SLOTS; i++)
                free(f->zones[i].bits);
        free(f->zones);
        f->zones = NULL;
        f->last = NULL;
        f->n_zones = f->n = f->next = 0;
        f->near_len = 0;
}

void fast_done(Fast *f) {
        forget(f);
        free(f->list);
        free(f->near);
        *f = (Fast){0};
}

/* ---- their chains */

/* Chunks that were freed after each other mostly lie near each other, and a chain leads upwards or downwards. */
static bool read_word(Fast *f, const Window *w, uint64_t addr, uint64_t *ret) {
        size_t n = sizeof(*ret);
        ssize_t got;

        if (!f->near && !(f->near = malloc(NEAR_BYTES)))
                return false;
        if (addr - f->near_base > f->near_len || f->near_len - (addr - f->near_base) < n) {
                f->near_base = addr & ~(uint64_t)(NEAR_BYTES - 1);
                got = w->read(w->userdata, f->near_base, f->near, NEAR_BYTES);
                if (got < 0 || (uint64_t)got < addr - f->near_base + n) { /* not all of it is mapped */
                        f->near_base = addr;
                        got = w->read(w->userdata, addr, f->near, n);
                }
                f->near_len = got > 0 ? (uint64_t)got : 0;
                if (f->near_len < n)
                        return false;
        }
        memcpy(ret, f->near + (addr - f->near_base), n);
        return true;
}

static bool is_chunk(uint64_t addr) {
        return addr % CHUNK_ALIGN == 0;
}

static bool is_fast_chunk(Fast *f, const Window *w, uint64_t addr, uint64_t size) {
        uint64_t head;

        return is_chunk(addr) && read_word(f, w, addr + 8, &head) && (head & ~7ULL) == size;
}

/* Links are mangled with the address of the link since 2.32 (safe-linking): (address >> 12) ^ link.
 * Return: how many chains led astray. */
static unsigned collect_as(Fast *f, Window *w, const Glibc *g, const GlibcArena *a, bool mangled,
                           const bool *out_of_time) {
        unsigned n_torn = 0;

        forget(f);
        for (unsigned i = 0; i < N_FASTBINS; i++) {
                uint64_t chunk, link, size = MIN_CHUNK + i * CHUNK_ALIGN;

                if (!glibc_fastbin(w, g, a, i, &chunk))
                        break;
                while (chunk != 0 && !*out_of_time) {
                        if (!is_fast_chunk(f, w, chunk, size) || !push(f, chunk) ||
                            !read_word(f, w, chunk + 16, &link)) {
                                n_torn++;
                                break;
                        }
                        chunk = mangled ? (chunk + 16) >> 12 ^ link : link;
                }
        }
        return n_torn;
}

/* Read in the wrong way, a chain leads to no chunk or does not end: 0 is another word then. */
unsigned fast_collect(Fast *f, Window *w, const Glibc *g, const GlibcArena *a, const bool *out_of_time) {
        unsigned n_torn = collect_as(f, w, g, a, true, out_of_time), n;

        if (n_torn) {
                n = collect_as(f, w, g, a, false, out_of_time);
                n_torn = n > n_torn ? collect_as(f, w, g, a, true, out_of_time) : n;
        }
        if (f->n)
                qsort(f->list, f->n, sizeof(*f->list), compare);
        return n_torn;
}
