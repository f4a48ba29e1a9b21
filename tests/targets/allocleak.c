/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap full of holes, by whichever allocator this is compiled for: test-allocators.py builds it with each, in each
 * way that programs have one (-DPREFIX=je_: under another name than malloc; -DWRAP: with a malloc of the program's
 * own). Unlike mkleak it needs nothing of glibc. `allocleak [threads=N] [dlopen=PATH] [dlmopen=PATH]`, then over
 * stdin: '?' checks what was kept and answers as mkleak does; the end of the input ends it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOLES 3000
#define HOLE_BYTES (16u * 1024) /* 47 MiB in all; below every allocator's size for a mapping of its own */
#define KEPT_BYTES 48u

#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
#ifdef PREFIX
void *GLUE(PREFIX, malloc)(size_t n);
void GLUE(PREFIX, free)(void *p);
#define ALLOCATE GLUE(PREFIX, malloc)
#define RELEASE GLUE(PREFIX, free)
#else
#define ALLOCATE malloc
#define RELEASE free
#endif

#ifdef WRAP
/* What a profiler or an audit does: malloc is the program's own, and who knows what it locks. */
void *__libc_malloc(size_t n);

void *malloc(size_t n) {
        return __libc_malloc(n);
}
#endif

static unsigned char *kept[HOLES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void fragment(void) {
        static void *holes[HOLES];

        for (int i = 0; i < HOLES; i++) {
                holes[i] = ALLOCATE(HOLE_BYTES);
                kept[i] = ALLOCATE(KEPT_BYTES);
                if (!holes[i] || !kept[i])
                        abort();
                memset(holes[i], i & 0xff, HOLE_BYTES);
                memset(kept[i], i & 0xff, KEPT_BYTES);
        }
        for (int i = 0; i < HOLES; i++)
                RELEASE(holes[i]);
}

static int n_bad(void) {
        int bad = 0;

        for (int i = 0; i < HOLES; i++)
                for (unsigned k = 0; k < KEPT_BYTES; k++)
                        bad += kept[i][k] != (i & 0xff);
        return bad;
}

static void *sleeper(void *unused) {
        void *p = ALLOCATE(100);

        pthread_mutex_lock(&lock);
        pthread_cond_wait(&never, &lock);
        RELEASE(p);
        return unused;
}

static void load(const char *path, int another_namespace) {
        void *p = NULL;

#ifndef STATIC /* a program without a dynamic loader has neither */
        if (!another_namespace)
                p = dlopen(path, RTLD_NOW | RTLD_LOCAL);
#ifdef LM_ID_NEWLM
        else
                p = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
#endif
#endif
        if (!p) {
                fprintf(stderr, "allocleak: cannot load %s (%d)\n", path, another_namespace);
                exit(2);
        }
}

int main(int argc, char **argv) {
        char c;

        for (int i = 1; i < argc; i++) {
                const char *value = strchr(argv[i], '=');

                if (strncmp(argv[i], "threads=", 8) == 0)
                        for (int n = atoi(value + 1); n > 0; n--) {
                                pthread_t t;

                                if (pthread_create(&t, NULL, sleeper, NULL) != 0)
                                        abort();
                        }
                else if (strncmp(argv[i], "dlopen=", 7) == 0)
                        load(value + 1, 0);
                else if (strncmp(argv[i], "dlmopen=", 8) == 0)
                        load(value + 1, 1);
                else
                        return 2;
        }
        fragment();
        dprintf(STDOUT_FILENO, "ready allocleak\n");
        /* poll(): a wait that every C library makes the same call for */
        while (poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, -1) == 1 &&
               read(STDIN_FILENO, &c, 1) == 1) {
                int bad = n_bad();

                dprintf(STDOUT_FILENO, "status target=allocleak ok=%d bad=%d eintr=0\n", bad == 0, bad);
        }
        return n_bad() ? 1 : 0;
}
