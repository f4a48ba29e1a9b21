/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs whose memory grows, or does not, for one known cause: mkgrow CAUSE [STEPS_PER_S] [KEY=VALUE]... A step is
 * about step_kib of the cause, base_mib what lies there before and stays, another seed has other sizes and pauses. It
 * prints "ready pid=...", then steps by itself until stdin ends; 's' makes it stop stepping ("stopped"), '?' tells
 * mallinfo2's figures without allocating. The zoo that verdicts are tested on.
 */
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define MIB (1024u * 1024)

typedef struct Cause {
        const char *name;
        void (*begin)(void); /* before "ready" */
        void (*step)(void);
} Cause;

/* What may follow the cause as KEY=VALUE. */
enum {
        STEP_KIB,
        BASE_MIB,
        SEED,      /* 0: the sizes that are written here, and even pauses */
        STOP_STEP, /* of what comes to an end, and of what has teeth: after so many steps */
        _OPTION_MAX,
};

static struct {
        const char *name;
        unsigned value, max;
} option[_OPTION_MAX] = {
        [STEP_KIB] = {"step_kib", 256, 65536},
        [BASE_MIB] = {"base_mib", 0, 4096},
        [SEED] = {"seed", 0, UINT32_MAX},
        [STOP_STEP] = {"stop_step", 32, 1000000},
};

static unsigned n_steps;
static size_t step_bytes;
static uint64_t random_state;

/* George Marsaglia's xorshift64. */
static unsigned any(unsigned from, unsigned to) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return from + (unsigned)(random_state >> 16) % (to - from + 1);
}

/* Drawn once, at the first call of each place; @written where no seed is given. */
#define DRAWN(written, from, to)                                                                                       \
        ({                                                                                                             \
                static unsigned drawn_;                                                                                \
                if (drawn_ == 0)                                                                                       \
                        drawn_ = option[SEED].value ? any(from, to) : (written);                                       \
                drawn_;                                                                                                \
        })

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

static void leak_bytes(size_t bytes) {
        size_t n = DRAWN(136, 24, 2000); /* 136: a chunk of 144 bytes */

        for (size_t i = 0; i < bytes; i += n + 8)
                *(void **)get(n) = NULL;
}

static void leak_small(void) {
        leak_bytes(step_bytes);
}

/* What nobody but the program may see. */
static void leak_text(void) {
        for (size_t i = 0; i < step_bytes; i += 208)
                snprintf(get(200), 200, "%s", "bearer-4242-do-not-tell");
}

static void leak_large(void) {
        get(step_bytes);
}

static void leak_mmap(void) {
        memset(map(step_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, step_bytes);
}

static pthread_barrier_t barrier;
static unsigned n_workers;

static void *worker(void *arg _unused_) {
        pthread_setname_np(pthread_self(), "worker");
        free(get(64)); /* takes an arena */
        for (;;) {
                pthread_barrier_wait(&barrier);
                for (size_t i = 0; i < step_bytes / n_workers; i += 144)
                        *(void **)get(136) = NULL;
                pthread_barrier_wait(&barrier);
        }
        return NULL;
}

static void begin_worker(void) {
        pthread_t t;

        n_workers = DRAWN(1, 1, 6);
        pthread_barrier_init(&barrier, NULL, n_workers + 1);
        for (unsigned i = 0; i < n_workers; i++)
                if (pthread_create(&t, NULL, worker, NULL) != 0)
                        die("pthread_create");
}

static void leak_in_thread(void) {
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
}

/* A cache that fills: each step adds an eighth of what is missing. */
static void warm_up(void) {
        static size_t missing;

        if (n_steps == 0)
                missing = 256 * step_bytes;
        for (size_t n = missing / 8; n >= 512; n -= 512)
                get(496);
        missing -= missing / 8;
}

/* A cache with a bound, which it reaches. */
static void fill(void) {
        if (n_steps < option[STOP_STEP].value)
                leak_small();
}

/* ---- free memory grows */

/* Blocks that each shrink in place: what is cut off is free behind what stays, and too small for the next one. */
static void cut(size_t whole_bytes, size_t live_bytes, size_t bytes) {
        size_t n = bytes / whole_bytes + 1;
        void **block = map(n * sizeof(void *), MAP_PRIVATE | MAP_ANONYMOUS, -1);

        for (size_t i = 0; i < n; i++)
                block[i] = get(whole_bytes);
        for (size_t i = 0; i < n; i++)
                sink = realloc(block[i], live_bytes);
        munmap(block, n * sizeof(void *));
}

/* All of them of one size: a smaller one would be made of what a larger one left. */
static void cut_trimmable(size_t bytes) {
        size_t whole = DRAWN(32768, 16384, 120000);

        cut(whole, DRAWN(64, 24, 1000), max_of(bytes, whole));
}

static void cut_pinned(size_t bytes) {
        cut(DRAWN(1500, 1000, 3600), DRAWN(200, 24, 200), bytes);
}

static void fragment_trimmable(void) {
        cut_trimmable(step_bytes);
}

static void fragment_pinned(void) {
        cut_pinned(step_bytes);
}

static void begin_fragment_pinned(void) {
        cut_pinned(40 * MIB);
}

static void begin_fragment_trimmable(void) {
        cut_trimmable(20 * MIB);
}

/* Of those that are over when it begins. */
static size_t peak_bytes(void) {
        return max_of(option[BASE_MIB].value, 64u) * (size_t)MIB;
}

/* A peak of small objects of which a few are left anywhere. */
static void begin_scattered(void) {
        size_t n = peak_bytes() / 160;
        void **p = map(n * sizeof(void *), MAP_PRIVATE | MAP_ANONYMOUS, -1);

        for (size_t i = 0; i < n; i++)
                p[i] = get(any(64, 240));
        for (size_t i = 0; i < n; i++)
                if (any(0, 99) >= 15)
                        free(p[i]);
        munmap(p, n * sizeof(void *));
}

/* A peak that is over, kept from the top by what was allocated last. */
static void begin_freed(void) {
        size_t size = DRAWN(4000, 200, 60000), n = peak_bytes() / size;
        void **p = map(n * sizeof(void *), MAP_PRIVATE | MAP_ANONYMOUS, -1);

        for (size_t i = 0; i < n; i++)
                p[i] = get(size);
        get(512);
        for (size_t i = 0; i < n; i++)
                free(p[i]);
        munmap(p, n * sizeof(void *));
}

/* Blocks beyond the threshold's first value: once one was freed, glibc takes the next ones from the heap, up to 32 MiB
 * each (DEFAULT_MMAP_THRESHOLD_MAX), and what is freed there stays. */
static void begin_large_blocks(void) {
        static void *p[512];
        size_t size = DRAWN(1u << 20, 300u << 10, 8u << 20), n;

        free(get(2 * size));
        n = min_of(peak_bytes() / size, ELEMENTSOF(p));
        for (size_t i = 0; i < n; i++) {
                p[i] = get(size);
                get(2000);
        }
        for (size_t i = 0; i < n; i++)
                if (i % 8)
                        free(p[i]);
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
        unsigned n = DRAWN(64, 24, 100);

        mallopt(M_ARENA_MAX, (int)n);
        for (unsigned i = 0; i < n; i++) {
                pthread_t t;

                if (pthread_create(&t, NULL, burst, NULL) != 0)
                        die("pthread_create");
        }
        for (struct timespec ts = {.tv_nsec = 1000000}; mallinfo2().uordblks < n * (size_t)340000;)
                nanosleep(&ts, NULL);
}

static void nothing(void) {
}

/* Garbage until it is collected, a tooth of stop_step steps. */
static void saw(void) {
        static void *garbage;
        size_t size = DRAWN(100 * 1024, 48, 4000);

        if (n_steps % option[STOP_STEP].value == 0)
                while (garbage) {
                        void *next = *(void **)garbage;

                        free(garbage);
                        garbage = next;
                }
        for (size_t n = 0; n < step_bytes * 4 / 10; n += size) {
                void **p = get(size);

                *p = garbage;
                garbage = p;
        }
}

/* The first tooth is no growth of anything. */
static void begin_saw(void) {
        for (; n_steps < option[STOP_STEP].value; n_steps++)
                saw();
}

static void leak_under_saw(void) {
        saw();
        leak_bytes(step_bytes / 10); /* a quarter of what the saw takes */
}

/* A server: what comes and goes is of all sizes, and as much comes as goes. */
static void churn(void) {
        static void *p[20000];

        for (size_t n = 0; n < step_bytes;) {
                unsigned i = any(0, ELEMENTSOF(p) - 1), size = any(16, 3000);

                free(p[i]);
                p[i] = get(size);
                n += size;
        }
}

static void begin_churn(void) {
        for (size_t n = 0; n < 256 * MIB; n += step_bytes) /* until each was given out several times */
                churn();
}

static void leak_in_churn(void) {
        churn();
        leak_bytes(step_bytes / 4);
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
        for (size_t i = 0; i < max_of(step_bytes >> 17, (size_t)1); i++)
                if (pthread_create(&t, &attr, sleeper, NULL) != 0)
                        return;
}

static int file_fd = -1;

static void begin_file(void) {
        char path[] = "/var/tmp/mkgrow-XXXXXX";

        file_fd = mkstemp(path);
        if (file_fd < 0 || unlink(path) < 0 || ftruncate(file_fd, 4096 * (off_t)MIB) < 0)
                die(path);
}

static void map_file(void) {
        volatile char *p =
                mmap(NULL, step_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_fd, (off_t)(n_steps * step_bytes));

        if (p == MAP_FAILED)
                die("mmap");
        for (size_t i = 0; i < step_bytes; i += 4096)
                p[i] = 1;
}

static void write_file(void) {
        static char buf[64 * 1024];

        for (size_t i = 0; i < step_bytes; i += sizeof(buf))
                if (pwrite(file_fd, buf, sizeof(buf), (off_t)(n_steps * step_bytes + i)) < 0)
                        die("pwrite");
}

static void begin_shared(void) {
        file_fd = memfd_create("mkgrow", MFD_CLOEXEC);
        if (file_fd < 0 || ftruncate(file_fd, 4096 * (off_t)MIB) < 0)
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
        deeper((unsigned)((n_steps + 1) * (step_bytes / 10900))); /* 4/10 of a step; 8 MiB is the limit */
}

static void *diver(void *arg _unused_) {
        pthread_setname_np(pthread_self(), "diver");
        for (;;) {
                pthread_barrier_wait(&barrier);
                grow_stack();
                pthread_barrier_wait(&barrier);
        }
        return NULL;
}

static void begin_diver(void) {
        pthread_t t;

        pthread_barrier_init(&barrier, NULL, 2);
        if (pthread_create(&t, NULL, diver, NULL) != 0)
                die("pthread_create");
}

static char *inherited;
static size_t inherited_bytes;

/* The parent holds the same pages, and ends with us. */
static void begin_fork(void) {
        pid_t child;

        inherited_bytes = max_of(option[BASE_MIB].value, 256u) * (size_t)MIB;
        inherited = map(inherited_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        memset(inherited, 1, inherited_bytes);
        child = fork();
        if (child > 0) {
                waitpid(child, NULL, 0);
                _exit(0);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void copy_pages(void) {
        for (size_t i = 0; i < 4 * step_bytes; i += 4096)
                inherited[(n_steps * 4 * step_bytes + i) % inherited_bytes]++;
}

static const Cause causes[] = {
        {"leak-small", NULL, leak_small},
        {"leak-text", NULL, leak_text},
        {"leak-large", NULL, leak_large},
        {"leak-mmap", NULL, leak_mmap},
        {"leak-in-thread", begin_worker, leak_in_thread},
        {"leak-threads", NULL, leak_threads},
        {"warm-up", NULL, warm_up},
        {"fill", NULL, fill},
        {"fragment-trimmable", begin_fragment_trimmable, fragment_trimmable},
        {"fragment-pinned", begin_fragment_pinned, fragment_pinned},
        {"fragmented", begin_fragment_pinned, nothing},
        {"scattered", begin_scattered, nothing},
        {"freed", begin_freed, nothing},
        {"large-blocks", begin_large_blocks, nothing},
        {"arenas", begin_arenas, nothing},
        {"saw", begin_saw, saw},
        {"churn", begin_churn, churn},
        {"leak-under-saw", begin_saw, leak_under_saw},
        {"leak-in-churn", begin_churn, leak_in_churn},
        {"leak-beside-pinned", begin_fragment_pinned, leak_small},
        {"leak-beside-freed", begin_freed, leak_small},
        {"steady", leak_large, nothing},
        {"map-file", begin_file, map_file},
        {"page-cache", begin_file, write_file},
        {"shared", begin_shared, map_file},
        {"tmpfs", begin_shared, write_file},
        {"stack", NULL, grow_stack},
        {"stack-in-thread", begin_diver, leak_in_thread},
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

                if (poll(&pfd, 1, stopped ? -1 : option[SEED].value ? (int)any(0, 2 * (unsigned)msec) : msec) == 0) {
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

/* Return: false: it is none. */
static bool take_option(const char *arg) {
        for (size_t i = 0; i < ELEMENTSOF(option); i++) {
                size_t n = strlen(option[i].name);
                unsigned long v;

                if (strncmp(arg, option[i].name, n) != 0 || arg[n] != '=')
                        continue;
                v = strtoul(arg + n + 1, NULL, 10);
                option[i].value = (unsigned)v;
                return v <= option[i].max;
        }
        return false;
}

/* What every program has that does something: half of it small, half of it large. */
static void begin_base(const Cause *c) {
        size_t bytes = option[BASE_MIB].value * (size_t)MIB;

        step_bytes = (option[STEP_KIB].value + 3) / 4 * (size_t)4096;
        random_state = 0x9e3779b97f4a7c15 * (option[SEED].value + 1ULL);
        if (c->begin == begin_fork || c->begin == begin_scattered || c->begin == begin_freed ||
            c->begin == begin_large_blocks)
                return; /* it is of that size itself */
        for (size_t i = 0; i < bytes / 2; i += 1024)
                get(1000);
        if (bytes > 0)
                memset(map(bytes / 2, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, bytes / 2);
}

static int usage(void) {
        fprintf(stderr, "mkgrow CAUSE [STEPS_PER_S] [KEY=VALUE]...; causes:");
        for (size_t i = 0; i < ELEMENTSOF(causes); i++)
                fprintf(stderr, " %s", causes[i].name);
        fprintf(stderr, "; keys:");
        for (size_t i = 0; i < ELEMENTSOF(option); i++)
                fprintf(stderr, " %s", option[i].name);
        fprintf(stderr, "\n");
        return 2;
}

int main(int argc, char **argv) {
        double per_s = 20;

        for (int i = 2; i < argc; i++)
                if (!take_option(argv[i])) {
                        per_s = atof(argv[i]);
                        if (per_s < 0.01 || per_s > 1000)
                                return usage();
                }
        for (size_t i = 0; argc > 1 && i < ELEMENTSOF(causes); i++)
                if (strcmp(argv[1], causes[i].name) == 0) {
                        begin_base(&causes[i]);
                        if (causes[i].begin)
                                causes[i].begin();
                        dprintf(STDOUT_FILENO, "ready pid=%d\n", getpid());
                        return live(&causes[i], (int)(1000 / per_s));
                }
        return usage();
}
