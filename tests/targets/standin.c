/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for an allocator, for whoever preloads it: malloc is glibc's, only the call that purges is ours. Where
 * STANDIN_GATE names a directory, a purge rings: it writes a byte to the FIFO `bell` there. Three kinds:
 *   (none)        gperftools' call, which takes as long as somebody wants: it waits for a byte from the FIFO `gate`
 *   OLD_JEMALLOC  mallctl as of jemalloc 4, which no distribution has any more: "all arenas" is the number after the
 *                 last one, and 4096 is none
 *   BESIDE        a jemalloc that serves only a part of the program, as Rust's does: it is not `malloc`
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef BESIDE
#define NAME(x) _rjem_##x
#define VERSION "5.9.0-0-g0000000000000000000000000000000000000000"
#define ALL "arena.4096.purge"
#else
#define NAME(x) x
#define VERSION "4.5.0-0-g04380e79f1e2428bd0ad000bbc6e3d2dfc6b66a5"
#define ALL "arena.8.purge"

void *__libc_malloc(size_t n);
void *malloc(size_t n);

void *malloc(size_t n) {
        return __libc_malloc(n);
}
#endif

static void ring(int wait) {
        const char *name = getenv("STANDIN_GATE");
        int dir = name ? open(name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        int bell = openat(dir, "bell", O_WRONLY | O_CLOEXEC), gate = openat(dir, "gate", O_RDONLY | O_CLOEXEC);
        char byte = 'x';

        if (bell >= 0 && gate >= 0 && write(bell, &byte, 1) == 1 && wait)
                while (read(gate, &byte, 1) < 0 && errno == EINTR)
                        ;
        close(gate);
        close(bell);
        close(dir);
}

#if defined(OLD_JEMALLOC) || defined(BESIDE)
int NAME(mallctl)(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen);
void *NAME(mallocx)(size_t n, int flags);

void *NAME(mallocx)(size_t n, int flags) {
        (void)flags;
        return malloc(n);
}

static int answer(void *oldp, size_t *oldlenp, const void *value, size_t size) {
        if (!oldp || *oldlenp != size)
                return EINVAL;
        memcpy(oldp, value, size);
        return 0;
}

int NAME(mallctl)(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen) {
        static const char *const version = VERSION;
        static const unsigned narenas = 8;

        (void)newp, (void)newlen;
        if (strcmp(name, "version") == 0)
                return answer(oldp, oldlenp, &version, sizeof(version));
        if (strcmp(name, "arenas.narenas") == 0)
                return answer(oldp, oldlenp, &narenas, sizeof(narenas));
        if (strcmp(name, ALL) != 0)
                return ENOENT;
        ring(0);
        malloc_trim(0);
        return 0;
}
#else
void MallocExtension_ReleaseFreeMemory(void);

void MallocExtension_ReleaseFreeMemory(void) {
        ring(1);
        malloc_trim(0);
}
#endif
