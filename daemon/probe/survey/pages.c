/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/pages.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/rootfs.h"

#define AT_ONCE   1024u /* pages, when asked for one after the other ... */
#define AT_RANDOM 16u   /* ... and when not */

/* Documentation/admin-guide/mm/pagemap.rst */
#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_SWAPPED (1ULL << 62)

/* include/uapi/linux/fs.h; here because the headers of Debian 12 are of 6.1, and PAGEMAP_SCAN is of 6.7. */
#define IS_PRESENT  (1ULL << 3)
#define IS_SWAPPED  (1ULL << 4)
#define IS_ZERO_PFN (1ULL << 5)

typedef struct ScanArg {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
} ScanArg;

#define SCAN _IOWR('f', 16, ScanArg)

int pages_open(Pages *p, int proc_pid_fd) {
        *p = PAGES_NULL;
        p->fd = rootfs_open(proc_pid_fd, "pagemap");
        if (p->fd < 0)
                return p->fd;
        p->held = calloc(2, sizeof(*p->held));
        if (!p->held) {
                pages_done(p);
                return -ENOMEM;
        }
        return 0;
}

void pages_done(Pages *p) {
        fd_close(p->fd);
        free(p->held);
        free(p->entries);
        *p = PAGES_NULL;
}

void pages_forget(Pages *p) {
        for (unsigned i = 0; p->held && i < 2; i++)
                p->held[i].start = p->held[i].end = 0;
}

/* [s->start, end) by one call. Return: 0; negative errno. */
static int scan(const Pages *p, PageStretch *s, uint64_t end) {
        ScanArg a = {.size = sizeof(a),
                     .start = s->start,
                     .end = end,
                     .vec = (uint64_t)(uintptr_t)s->run,
                     .vec_len = PAGES_RUNS,
                     .category_anyof_mask = IS_PRESENT | IS_SWAPPED,
                     .return_mask = IS_PRESENT | IS_SWAPPED | IS_ZERO_PFN};
        int n = ioctl(p->fd, SCAN, &a);

        if (n < 0)
                return -errno;
        if (n > PAGES_RUNS || a.walk_end <= s->start || a.walk_end > end)
                return -EBADMSG;
        s->n = (size_t)n;
        s->end = a.walk_end;
        return 0;
}

static void add_entry(PageStretch *s, uint64_t addr, uint64_t entry) {
        uint64_t categories = entry & ENTRY_PRESENT ? IS_PRESENT : entry & ENTRY_SWAPPED ? IS_SWAPPED : 0;
        PageRun *last = s->n ? &s->run[s->n - 1] : NULL;

        if (!categories)
                return;
        if (last && last->end == addr && last->categories == categories)
                last->end = addr + PAGES_PAGE;
        else
                s->run[s->n++] = (PageRun){addr, addr + PAGES_PAGE, categories};
}

/* The same by read(), with eight bytes for each page. */
static int read_entries(Pages *p, PageStretch *s, uint64_t end) {
        uint64_t first = s->start / PAGES_PAGE, want = end / PAGES_PAGE - first;
        ssize_t n;

        if (!p->entries)
                p->entries = malloc(AT_ONCE * sizeof(*p->entries));
        if (!p->entries)
                return -ENOMEM;
        n = pread(p->fd, p->entries, want * sizeof(*p->entries), (off_t)(first * sizeof(*p->entries)));
        if (n < (ssize_t)sizeof(*p->entries))
                return n < 0 ? -errno : -ESRCH;
        s->end = s->start;
        for (size_t i = 0; i < (size_t)n / sizeof(*p->entries) && s->n < PAGES_RUNS; i++) {
                add_entry(s, s->end, p->entries[i]);
                s->end += PAGES_PAGE;
        }
        return 0;
}

static int fill(Pages *p, PageStretch *s, uint64_t start, uint64_t n_pages) {
        uint64_t end = start + n_pages * PAGES_PAGE;
        int r = -ENOTTY;

        s->start = s->end = start; /* not the runs: they are 6 KiB */
        s->n = 0;
        p->n_reads++;
        if (!p->no_scan)
                r = scan(p, s, end);
        p->no_scan |= r == -ENOTTY;
        return r < 0 ? read_entries(p, s, end) : 0;
}

/* The stretch with @addr, asked for where it is not held. */
static int find(Pages *p, uint64_t addr, const PageStretch **ret) {
        const PageStretch *last;
        PageStretch *s;
        int r;

        if (p->fd < 0)
                return -EBADF;
        last = &p->held[p->newest];
        for (unsigned i = 0; i < 2; i++)
                if (addr >= p->held[i].start && addr < p->held[i].end) {
                        *ret = &p->held[i];
                        return 0;
                }
        s = &p->held[!p->newest];
        r = fill(p, s, addr & ~(uint64_t)(PAGES_PAGE - 1),
                 last->end && addr >= last->end && addr - last->end < AT_RANDOM * PAGES_PAGE ? AT_ONCE : AT_RANDOM);
        if (r < 0) {
                s->start = s->end = 0;
                return r;
        }
        p->newest = !p->newest;
        *ret = s;
        return 0;
}

/* Index of the first run that ends beyond @addr. */
static size_t first_run(const PageStretch *s, uint64_t addr) {
        size_t lo = 0, hi = s->n;

        while (lo < hi) {
                size_t mid = (lo + hi) / 2;

                if (s->run[mid].end <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

int pages_run(Pages *p, uint64_t addr, PageState *ret, uint64_t *ret_end) {
        const PageStretch *s;
        size_t i;
        int r = find(p, addr, &s);

        if (r < 0)
                return r;
        i = first_run(s, addr);
        if (i == s->n || s->run[i].start > addr) {
                *ret = PAGE_ABSENT;
                *ret_end = i == s->n ? s->end : s->run[i].start;
                return 0;
        }
        *ret = s->run[i].categories & IS_ZERO_PFN  ? PAGE_ABSENT
               : s->run[i].categories & IS_PRESENT ? PAGE_PRESENT
                                                   : PAGE_SWAPPED;
        *ret_end = s->run[i].end;
        return 0;
}

int pages_count(Pages *p, uint64_t start, uint64_t end, uint64_t *ret_present, uint64_t *ret_swapped) {
        uint64_t bytes[PAGE_SWAPPED + 1] = {0}, run_end;
        PageState state;

        end &= ~(uint64_t)(PAGES_PAGE - 1);
        for (uint64_t at = (start + PAGES_PAGE - 1) & ~(uint64_t)(PAGES_PAGE - 1); at < end; at = run_end) {
                int r = pages_run(p, at, &state, &run_end);

                if (r < 0)
                        return r;
                run_end = min_of(run_end, end);
                bytes[state] += run_end - at;
        }
        *ret_present += bytes[PAGE_PRESENT];
        *ret_swapped += bytes[PAGE_SWAPPED];
        return 0;
}
