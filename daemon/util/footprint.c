/* SPDX-License-Identifier: Apache-2.0 */
#include "util/footprint.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "util/cleanup.h"

/* Only executable maps of files: their pages are never written (no library of ours has text relocations), so that
 * dropping them loses nothing. Read-only data is left alone: the dynamic loader wrote to a part of it before it was
 * sealed (RELRO). */
static void drop_if_text(const char *line) {
        unsigned long start, end, inode;
        char prot[5];

        if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &start, &end, prot, &inode) == 4 && inode != 0 &&
            strcmp(prot, "r-xp") == 0)
                madvise((void *)start, end - start, MADV_DONTNEED);
}

void footprint_shrink(void) {
        _cleanup_file_ FILE *f = NULL;
        char line[512];

        malloc_trim(0);
        f = fopen("/proc/self/maps", "re");
        if (!f)
                return;
        while (fgets(line, sizeof(line), f)) /* a path longer than the buffer gives a second line that is no map */
                drop_if_text(line);
}
