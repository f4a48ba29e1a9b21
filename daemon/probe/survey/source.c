/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/source.h"

#include <string.h>
#include <sys/uio.h>

#include "probe/inject/remote.h"
#include "util/clock.h"

#define RUNS_MAX 64 /* of pages that are there, in one call */

typedef struct Runs {
        struct iovec local[RUNS_MAX], remote[RUNS_MAX];
        unsigned n;
        size_t bytes; /* in them all */
        size_t len;   /* from the start of the read: what they and the gaps between cover */
} Runs;

static bool extend(Runs *runs, void *buf, uint64_t addr, size_t n) {
        if (runs->n && (char *)runs->local[runs->n - 1].iov_base + runs->local[runs->n - 1].iov_len == (char *)buf) {
                runs->local[runs->n - 1].iov_len += n;
                runs->remote[runs->n - 1].iov_len += n;
        } else if (runs->n == RUNS_MAX)
                return false;
        else {
                runs->local[runs->n] = (struct iovec){buf, n};
                runs->remote[runs->n++] = (struct iovec){(void *)(uintptr_t)addr, n};
        }
        runs->bytes += n;
        return true;
}

/* Plans the read of what is there. Return: 0; negative errno: nothing can be read from @addr on. */
static int plan(Source *s, uint64_t addr, unsigned char *buf, size_t n, Runs *runs) {
        while (runs->len < n) {
                uint64_t at = addr + runs->len, end;
                PageState state;
                size_t part;
                int r = pages_run(s->pages, at, &state, &end);

                if (r < 0)
                        return runs->len ? 0 : r;
                if (state == PAGE_SWAPPED) {
                        s->n_swapped++;
                        return runs->len ? 0 : -EFAULT;
                }
                part = (size_t)min_of((uint64_t)(n - runs->len), end - at);
                if (state == PAGE_ABSENT)
                        memset(buf + runs->len, 0, part);
                else if (!extend(runs, buf + runs->len, at, part))
                        return 0;
                runs->len += part;
        }
        return 0;
}

ssize_t source_read(void *userdata, uint64_t addr, void *buf, size_t n) {
        Source *s = userdata;
        Runs runs = {0};
        ssize_t got;
        int r;

        if (now_mono_usec() > s->deadline_usec) {
                *s->out_of_time = true;
                return -ETIME;
        }
        s->n_calls++;
        if (!s->pages || s->pages->fd < 0) {
                got = remote_read_some(s->pid, addr, buf, n);
                s->n_bytes += got > 0 ? (uint64_t)got : 0;
                return got;
        }
        r = plan(s, addr, buf, n, &runs);
        if (r < 0 || runs.n == 0)
                return r < 0 ? r : (ssize_t)runs.len;
        got = process_vm_readv(s->pid, runs.local, runs.n, runs.remote, runs.n, 0);
        if (got < 0)
                return -errno;
        s->n_bytes += (uint64_t)got;
        if ((size_t)got == runs.bytes)
                return (ssize_t)runs.len;
        /* a page went away meanwhile: what lies before it is good */
        for (unsigned i = 0; i < runs.n; i++) {
                if ((size_t)got < runs.local[i].iov_len)
                        return (char *)runs.local[i].iov_base - (char *)buf + got;
                got -= (ssize_t)runs.local[i].iov_len;
        }
        return (ssize_t)runs.len;
}

static bool is_there(Source *s, uint64_t addr) {
        PageState state;
        uint64_t end;

        if (!s->pages || s->pages->fd < 0)
                return true;
        if (pages_run(s->pages, addr, &state, &end) < 0)
                return false;
        s->n_swapped += state == PAGE_SWAPPED;
        return state == PAGE_PRESENT;
}

size_t source_gather(void *userdata, const uint64_t *addr, size_t n, void *buf, size_t each) {
        struct iovec local = {buf, 0}, remote[RUNS_MAX];
        Source *s = userdata;
        size_t m = 0;
        ssize_t got;

        if (now_mono_usec() > s->deadline_usec) {
                *s->out_of_time = true;
                return 0;
        }
        while (m < n && m < RUNS_MAX && is_there(s, addr[m])) {
                remote[m] = (struct iovec){(void *)(uintptr_t)addr[m], each};
                m++;
        }
        if (m == 0)
                return 0;
        local.iov_len = m * each;
        s->n_calls++;
        got = process_vm_readv(s->pid, &local, 1, remote, m, 0);
        if (got <= 0)
                return 0;
        s->n_bytes += (uint64_t)got;
        return (size_t)got / each;
}

ssize_t mapped_source_read(void *userdata, uint64_t addr, void *buf, size_t n) {
        const MappedSource *s = userdata;
        const Map *m = maps_find(s->maps, addr);

        if (m)
                n = min_of(n, (size_t)(m->end - addr));
        return m && m->inode ? remote_read_some(s->source->pid, addr, buf, n) : source_read(s->source, addr, buf, n);
}
