/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/pages.h"

#include <stdlib.h>
#include <unistd.h>

#include "util/rootfs.h"

#define AT_ONCE   8192u /* entries: 64 KiB for 32 MiB of memory, when asked for one after the other ... */
#define AT_RANDOM 16u   /* ... and when not */

/* Documentation/admin-guide/mm/pagemap.rst */
#define PRESENT (1ULL << 63)
#define SWAPPED (1ULL << 62)

int pages_open(Pages *p, int proc_pid_fd) {
        *p = PAGES_NULL;
        p->fd = rootfs_open(proc_pid_fd, "pagemap");
        if (p->fd < 0)
                return p->fd;
        p->entries = malloc(AT_ONCE * sizeof(*p->entries));
        if (!p->entries) {
                pages_done(p);
                return -ENOMEM;
        }
        return 0;
}

void pages_done(Pages *p) {
        fd_close(p->fd);
        free(p->entries);
        *p = PAGES_NULL;
}

static int fill(Pages *p, uint64_t page) {
        size_t want =
                p->n > 0 && page - p->first >= p->n && page - p->first < 2 * p->n + AT_RANDOM ? AT_ONCE : AT_RANDOM;
        ssize_t n = pread(p->fd, p->entries, want * sizeof(*p->entries), (off_t)(page * sizeof(*p->entries)));

        p->n_reads++;
        p->first = page;
        p->n = n > 0 ? (uint64_t)n / sizeof(*p->entries) : 0;
        return n < 0 ? -errno : p->n == 0 ? -ESRCH : 0;
}

/* The entry of @page, read if it is not held. */
static int entry(Pages *p, uint64_t page, uint64_t *ret) {
        if (page < p->first || page - p->first >= p->n) {
                int r = p->fd < 0 ? -EBADF : fill(p, page);

                if (r < 0)
                        return r;
        }
        *ret = p->entries[page - p->first];
        return 0;
}

int pages_state(Pages *p, uint64_t addr, PageState *ret) {
        uint64_t e;
        int r = entry(p, addr / PAGES_PAGE, &e);

        if (r == 0)
                *ret = e & PRESENT ? PAGE_PRESENT : e & SWAPPED ? PAGE_SWAPPED : PAGE_ABSENT;
        return r;
}

int pages_count(Pages *p, uint64_t start, uint64_t end, uint64_t *ret_present, uint64_t *ret_swapped) {
        uint64_t present = 0, swapped = 0, e;

        for (uint64_t page = (start + PAGES_PAGE - 1) / PAGES_PAGE; page < end / PAGES_PAGE; page++) {
                int r = entry(p, page, &e);

                if (r < 0)
                        return r;
                present += (e & PRESENT) != 0;
                swapped += (e & SWAPPED) != 0;
        }
        *ret_present += present * PAGES_PAGE;
        *ret_swapped += swapped * PAGES_PAGE;
        return 0;
}
