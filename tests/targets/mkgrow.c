/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs whose memory grows, or does not, for one known cause: mkgrow CAUSE [steps_per_s]. A step is about 256 KiB of
 * the cause. It prints "ready pid=...", then steps by itself until stdin ends; 's' makes it stop stepping ("stopped"),
 * '?' tells mallinfo2's figures without allocating. The zoo that verdicts are tested on.
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define STEP (256u * 1024)
#define MIB  (1024u * 1024)
#define KEEP (1u << 20)

typedef struct Cause {
        const char *name;
        void (*begin)(void); /* before "ready" */
        void (*step)(void);
} Cause;

static unsigned n_steps;

static void die(const char *what) {
        perror(what);
        exit(2);
}

static void *volatile sink; /* or the compiler leaves out what nobody uses */

static void *get(size_t n) {
        void *p = malloc(n);

        if (!p)
                die("malloc");
        memset(p, (int)n, n);
        sink = p;
        return p;
}

static void *map(size_t n, int flags, int fd) {
        void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, fd, 0);

        if (p == MAP_FAILED)
                die("mmap");
        return p;
}

/* ---- what is in use grows */

static void leak_small(void) {
        for (unsigned i = 0; i < STEP / 144; i++)
                *(void **)get(136) = NULL; /* a chunk of 144 bytes */
}

static void leak_large(void) {
        get(STEP);
}

static void leak_mmap(void) {
        memset(map(STEP, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, STEP);
}

static pthread_barrier_t barrier;

static void *worker(void *arg _unused_) {
        free(get(64)); /* takes an arena */
        for (;;) {
                pthread_barrier_wait(&barrier);
                leak_small();
                pthread_barrier_wait(&barrier);
        }
        return NULL;
}

static void begin_worker(void) {
        pthread_t t;

        pthread_barrier_init(&barrier, NULL, 2);
        if (pthread_create(&t, NULL, worker, NULL) != 0)
                die("pthread_create");
}

static void leak_in_thread(void) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
}

/* A cache that fills: each step adds half of what is missing. */
static void warm_up(void) {
        static size_t missing = 64 * MIB;

        for (size_t n = missing / 8; n >= 512; n -= 512)
                get(496);
        missing -= missing / 8;
}

/* ---- free memory grows */

/* Blocks that each shrink in place: what is cut off is free behind what stays. The next step's blocks are larger, so
 * that none of it is used again. */
static void cut(size_t whole_bytes, size_t live_bytes, size_t bytes) {
        static void *block[65536];
        size_t n = bytes / whole_bytes;

        for (size_t i = 0; i < n && i < ELEMENTSOF(block); i++)
                block[i] = get(whole_bytes);
        for (size_t i = 0; i < n && i < ELEMENTSOF(block); i++)
                sink = realloc(block[i], live_bytes);
}

static void fragment_trimmable(void) {
        cut(32768 + n_steps * 64, 64, 4 * STEP);
}

static void fragment_pinned(void) {
        cut(1200 + n_steps * 16, 200, 4 * STEP);
}

static void begin_fragment_pinned(void) {
        for (int i = 0; i < 40; i++, n_steps++)
                fragment_pinned();
}

static void begin_fragment_trimmable(void) {
        for (int i = 0; i < 20; i++, n_steps++)
                fragment_trimmable();
}

static void *burst(void *arg _unused_) {
        static _Thread_local void *p[2000];

        for (size_t i = 0; i < ELEMENTSOF(p); i++)
                p[i] = get(700 + i % 64);
        for (size_t i = 0; i < ELEMENTSOF(p); i++)
                if (i % 4)
                        free(p[i]);
        for (;;)
                pause();
        return NULL;
}

/* Each thread an arena with little in use and much that is free. */
static void begin_arenas(void) {
        mallopt(M_ARENA_MAX, 64);
        for (int i = 0; i < 64; i++) {
                pthread_t t;

                if (pthread_create(&t, NULL, burst, NULL) != 0)
                        die("pthread_create");
        }
        for (struct timespec ts = {.tv_nsec = 1000000}; mallinfo2().uordblks < 64 * 340000;)
                nanosleep(&ts, NULL);
}

static void nothing(void) {
}

static void saw(void) {
        static void *p[32];
        static size_t n;

        if (n == ELEMENTSOF(p)) {
                while (n > 0)
                        free(p[--n]);
                return;
        }
        p[n++] = get(100 * 1024);
}

/* ---- elsewhere */

static void *sleeper(void *arg _unused_) {
        char touched[64 * 1024];

        memset(touched, 1, sizeof(touched));
        __asm__ volatile("" : : "r"(touched) : "memory");
        for (;;)
                pause();
        return NULL;
}

static void leak_threads(void) {
        pthread_attr_t attr;
        pthread_t t;

        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 256 * 1024);
        for (int i = 0; i < 2; i++)
                if (pthread_create(&t, &attr, sleeper, NULL) != 0)
                        return;
}

static int file_fd = -1;

static void begin_file(void) {
        char path[] = "/var/tmp/mkgrow-XXXXXX";

        file_fd = mkstemp(path);
        if (file_fd < 0 || unlink(path) < 0 || ftruncate(file_fd, 512 * (off_t)MIB) < 0)
                die(path);
}

static void map_file(void) {
        volatile char *p = mmap(NULL, STEP, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd, (off_t)n_steps * STEP);

        if (p == MAP_FAILED)
                die("mmap");
        for (size_t i = 0; i < STEP; i += 4096)
                p[i] = 1;
}

static void write_file(void) {
        static char buf[STEP];

        if (pwrite(file_fd, buf, sizeof(buf), (off_t)n_steps * STEP) < 0)
                die("pwrite");
}

static void begin_shared(void) {
        file_fd = memfd_create("mkgrow", MFD_CLOEXEC);
        if (file_fd < 0 || ftruncate(file_fd, 512 * (off_t)MIB) < 0)
                die("memfd_create");
}

static __attribute__((noinline)) void deeper(unsigned steps) {
        volatile char frame[4096];

        for (size_t i = 0; i < sizeof(frame); i += 512)
                frame[i] = (char)steps;
        if (steps)
                deeper(steps - 1);
        frame[0]++;
}

static void grow_stack(void) {
        deeper((n_steps + 1) * 24); /* 100 KiB more each time; 8 MiB is the limit */
}

static char *inherited;

/* The parent holds the same pages, and ends with us. */
static void begin_fork(void) {
        pid_t child;

        inherited = map(256 * (size_t)MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        memset(inherited, 1, 256 * (size_t)MIB);
        child = fork();
        if (child > 0) {
                waitpid(child, NULL, 0);
                _exit(0);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void copy_pages(void) {
        for (size_t i = 0; i < 4 * STEP; i += 4096)
                inherited[((size_t)n_steps * 4 * STEP + i) % (256 * (size_t)MIB)]++;
}

static const Cause causes[] = {
        {"leak-small", NULL, leak_small},
        {"leak-large", NULL, leak_large},
        {"leak-mmap", NULL, leak_mmap},
        {"leak-in-thread", begin_worker, leak_in_thread},
        {"leak-threads", NULL, leak_threads},
        {"warm-up", NULL, warm_up},
        {"fragment-trimmable", begin_fragment_trimmable, fragment_trimmable},
        {"fragment-pinned", begin_fragment_pinned, fragment_pinned},
        {"fragmented", begin_fragment_pinned, nothing},
        {"arenas", begin_arenas, nothing},
        {"saw", NULL, saw},
        {"steady", leak_large, nothing},
        {"map-file", begin_file, map_file},
        {"page-cache", begin_file, write_file},
        {"shared", begin_shared, map_file},
        {"tmpfs", begin_shared, write_file},
        {"stack", NULL, grow_stack},
        {"copy-on-write", begin_fork, copy_pages},
};

static void tell(void) {
        struct mallinfo2 m = mallinfo2();

        dprintf(STDOUT_FILENO, "arena=%zu uordblks=%zu fordblks=%zu hblkhd=%zu hblks=%zu steps=%u\n", m.arena,
                m.uordblks, m.fordblks, m.hblkhd, m.hblks, n_steps);
}

static int live(const Cause *c, int msec) {
        bool stopped = false;

        for (;;) {
                struct pollfd pfd = {.fd = STDIN_FILENO, .events = POLLIN};
                char letter;

                if (poll(&pfd, 1, stopped ? -1 : msec) == 0) {
                        c->step();
                        n_steps++;
                        continue;
                }
                if (read(STDIN_FILENO, &letter, 1) != 1)
                        return 0;
                if (letter == '?')
                        tell();
                if (letter == 's') {
                        stopped = true;
                        dprintf(STDOUT_FILENO, "stopped\n");
                }
        }
}

int main(int argc, char **argv) {
        int per_s = argc > 2 ? atoi(argv[2]) : 20;

        for (size_t i = 0; argc > 1 && i < ELEMENTSOF(causes); i++)
                if (strcmp(argv[1], causes[i].name) == 0 && per_s > 0 && per_s <= 1000) {
                        if (causes[i].begin)
                                causes[i].begin();
                        dprintf(STDOUT_FILENO, "ready pid=%d\n", getpid());
                        return live(&causes[i], 1000 / per_s);
                }
        fprintf(stderr, "mkgrow CAUSE [STEPS_PER_S]; causes:");
        for (size_t i = 0; i < ELEMENTSOF(causes); i++)
                fprintf(stderr, " %s", causes[i].name);
        fprintf(stderr, "\n");
        return 2;
}
