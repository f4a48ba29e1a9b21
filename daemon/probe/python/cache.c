/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/cache.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u

int cache_init(Cache *m, MemoryReadFn read, void *userdata) {
        void *p = mmap(NULL, (size_t)CACHE_LINES * CACHE_LINE_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
                return -ENOMEM;
        *m = (Cache){.read = read, .userdata = userdata, .bytes = p};
        return 0;
}

void cache_done(Cache *m) {
        if (m->bytes)
                munmap(m->bytes, (size_t)CACHE_LINES * CACHE_LINE_BYTES);
        *m = CACHE_NULL;
}

void cache_forget(Cache *m) {
        memset(m->line, 0, sizeof(m->line));
}

static ssize_t fetch(Cache *m, uint64_t addr, void *buf, size_t n) {
        ssize_t r = m->read(m->userdata, addr, buf, n);

        m->n_fetches++;
        if (r > 0)
                m->fetched_bytes += (uint64_t)r;
        return r;
}

/* A place for the line: the one that has it, else the least lately used of its set. Spread by a multiplication, since
 * arenas are aligned to far more than a line. */
static uint32_t place(Cache *m, uint64_t number) {
        uint32_t first = (uint32_t)((number * 0x9e3779b97f4a7c15ULL) >> 58) % CACHE_SETS * CACHE_WAYS, oldest = first;

        for (uint32_t i = first; i < first + CACHE_WAYS; i++) {
                if (m->line[i].number == number)
                        return i;
                if (m->line[i].number == 0)
                        oldest = i;
                else if (m->line[oldest].number != 0 && m->turn - m->line[i].used > m->turn - m->line[oldest].used)
                        oldest = i;
        }
        return oldest;
}

/* The whole line; where that does not reach @from..@to (a hole before or in it), the pages of those alone. */
static bool fill(Cache *m, uint32_t i, uint64_t number, uint32_t from, uint32_t to) {
        uint64_t base = (number - 1) * CACHE_LINE_BYTES;
        unsigned char *at = m->bytes + (size_t)i * CACHE_LINE_BYTES;
        uint32_t first = from & ~(PAGE - 1);
        ssize_t r;

        m->line[i] = (CacheLine){0};
        r = fetch(m, base, at, CACHE_LINE_BYTES);
        if (r >= (ssize_t)to)
                first = 0;
        else {
                r = fetch(m, base + first, at + first, CACHE_LINE_BYTES - first);
                if (r <= 0 || first + (uint32_t)r < to)
                        return false;
        }
        m->line[i] = (CacheLine){.number = number, .from = first, .to = first + (uint32_t)r, .used = m->turn};
        return true;
}

/* The bytes @from..@to of a line. Return: where they are in the cache, NULL if they cannot be read. */
static const unsigned char *get(Cache *m, uint64_t number, uint32_t from, uint32_t to) {
        CacheLine *l = &m->line[m->last];

        if (l->number != number) {
                m->last = place(m, number);
                l = &m->line[m->last];
                l->used = ++m->turn;
        }
        if ((l->number != number || from < l->from || to > l->to) && !fill(m, m->last, number, from, to))
                return NULL;
        return m->bytes + (size_t)m->last * CACHE_LINE_BYTES + from;
}

bool cache_read(Cache *m, uint64_t addr, void *buf, size_t n) {
        unsigned char *to = buf;

        if (addr > UINT64_MAX - CACHE_LINE_BYTES || n > UINT64_MAX - CACHE_LINE_BYTES - addr)
                return false;
        while (n > 0) {
                uint32_t from = (uint32_t)(addr % CACHE_LINE_BYTES);
                uint32_t part = (uint32_t)min_of(n, (size_t)(CACHE_LINE_BYTES - from));
                const unsigned char *at = get(m, addr / CACHE_LINE_BYTES + 1, from, from + part);

                if (!at)
                        return false;
                memcpy(to, at, part);
                to += part;
                addr += part;
                n -= part;
        }
        return true;
}

bool cache_word(Cache *m, uint64_t addr, uint64_t *ret) {
        return cache_read(m, addr, ret, sizeof(*ret));
}

bool cache_fresh(Cache *m, uint64_t addr, void *buf, size_t n) {
        uint64_t first = addr / CACHE_LINE_BYTES + 1, last = (addr + n) / CACHE_LINE_BYTES + 1;

        for (uint64_t number = first; number <= last && number - first < CACHE_LINES; number++) {
                uint32_t i = place(m, number);

                if (m->line[i].number == number)
                        m->line[i] = (CacheLine){0};
        }
        return cache_read(m, addr, buf, n);
}

size_t cache_gather(const Cache *m, const uint64_t *addr, size_t n, void *buf, size_t each) {
        size_t i = 0;

        if (m->gather)
                return m->gather(m->userdata, addr, n, buf, each);
        while (i < n && m->read(m->userdata, addr[i], (char *)buf + i * each, each) == (ssize_t)each)
                i++;
        return i;
}

ssize_t cache_string(Cache *m, uint64_t addr, char *buf, size_t size) {
        size_t have = 0;

        while (have < size - 1) {
                size_t part = min_of(size - 1 - have, (size_t)(PAGE - (addr + have) % PAGE));
                const char *nul;

                if (!cache_read(m, addr + have, buf + have, part))
                        return -EFAULT;
                nul = memchr(buf + have, '\0', part);
                if (nul)
                        return nul - buf;
                have += part;
        }
        buf[have] = '\0';
        return -E2BIG;
}
