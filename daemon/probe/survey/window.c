/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/window.h"

#include <stdlib.h>
#include <string.h>

int window_init(Window *w, WindowReadFn read, void *userdata) {
        *w = (Window){.read = read, .userdata = userdata, .buf = malloc(WINDOW_BYTES)};
        return w->buf ? 0 : -ENOMEM;
}

void window_done(Window *w) {
        free(w->buf);
        *w = (Window){0};
}

void window_forget(Window *w) {
        w->len = 0;
}

/* A block begins at the wanted address: the walk goes upwards, what lies below is not asked for again. */
static bool fill(Window *w, uint64_t addr, size_t want) {
        ssize_t n = w->read(w->userdata, addr, w->buf, want);

        w->n_reads++;
        w->base = addr;
        w->len = n > 0 ? (size_t)n : 0;
        w->n_bytes += w->len;
        return n > 0;
}

static const void *get(Window *w, uint64_t addr, size_t n, size_t want) {
        if (n > WINDOW_BYTES / 2 || addr > UINT64_MAX - n)
                return NULL;
        if (addr < w->base || addr - w->base > w->len || w->len - (addr - w->base) < n)
                if (!fill(w, addr, want) || w->len < n)
                        return NULL;
        return w->buf + (addr - w->base);
}

const void *window_get(Window *w, uint64_t addr, size_t n) {
        return get(w, addr, n, WINDOW_BYTES);
}

const void *window_peek(Window *w, uint64_t addr, size_t n) {
        return get(w, addr, n, n);
}

bool window_u64(Window *w, uint64_t addr, uint64_t *ret) {
        const void *p = window_peek(w, addr, sizeof(*ret));

        if (p)
                memcpy(ret, p, sizeof(*ret));
        return p != NULL;
}
