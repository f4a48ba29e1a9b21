/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/window.h"

#include <stdlib.h>
#include <string.h>

enum {
        PAGE = 4096,
        FAR_BYTES = 4 * PAGE, /* a call and a page cost about as much as to read on */
        LEAST_BYTES = 1024,   /* or the next page too: several headers of small chunks */
};

int window_init(Window *w, WindowReadFn read, void *userdata) {
        *w = (Window){.read = read, .userdata = userdata, .buf = aligned_alloc(PAGE, WINDOW_BYTES)};
        return w->buf ? 0 : -ENOMEM;
}

void window_done(Window *w) {
        free(w->buf);
        *w = (Window){0};
}

void window_forget(Window *w) {
        w->len = 0;
}

/* A block begins with the wanted page: the walk goes upwards, what lies below is not asked for again. */
static bool fill(Window *w, uint64_t addr, size_t want) {
        ssize_t n = w->read(w->userdata, addr, w->buf, want);

        w->n_reads++;
        w->base = addr;
        w->len = n > 0 ? (size_t)n : 0;
        w->n_bytes += w->len;
        return n > 0;
}

/* A block of a walk, by whole pages at whole pages: the kernel takes hold of each page that a part is read of, and
 * copies fastest where both sides are aligned alike. */
static bool fill_ahead(Window *w, uint64_t addr, size_t n) {
        uint64_t end = w->base + w->len, from = addr & ~(uint64_t)(PAGE - 1), least;

        if (w->len && (addr < w->base || (addr > end && addr - end > FAR_BYTES)))
                w->ahead = PAGE;
        else
                w->ahead = w->ahead ? min_of(w->ahead * 4, (size_t)WINDOW_BYTES) : WINDOW_BYTES;
        least = (addr + max_of(n, (size_t)LEAST_BYTES) + PAGE - 1) & ~(uint64_t)(PAGE - 1);
        return fill(w, from, (size_t)max_of((uint64_t)w->ahead, least - from));
}

const void *window_fill(Window *w, uint64_t addr, size_t n, bool walk) {
        if (n > WINDOW_BYTES / 2 || addr > UINT64_MAX - WINDOW_BYTES)
                return NULL;
        if (!(walk ? fill_ahead(w, addr, n) : fill(w, addr, n)) || !window_holds(w, addr, n))
                return NULL;
        return w->buf + (addr - w->base);
}

bool window_u64(Window *w, uint64_t addr, uint64_t *ret) {
        const void *p = window_peek(w, addr, sizeof(*ret));

        if (p)
                memcpy(ret, p, sizeof(*ret));
        return p != NULL;
}
