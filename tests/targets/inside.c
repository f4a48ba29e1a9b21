/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that block where a stranger must not call malloc_trim, or might think so: `inside WHERE [LIBRARY]` says
 * "ready", reads a byte in that place, then uses the heap from two threads and ends with 0. Whoever called into it
 * wrongly has it hang.
 */
#include <dlfcn.h>
#include <link.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

typedef struct Place {
        const char *name;
        void (*go)(const char *library);
} Place;

static void wait_for_a_byte(void) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        char byte;

        /* poll first: the calls differ in what may be left over under them */
        if (write(STDOUT_FILENO, "ready\n", 6) != 6 || poll(&p, 1, -1) != 1 || read(STDIN_FILENO, &byte, 1) < 0)
                _exit(1);
}

static ssize_t cookie_write(void *cookie, const char *buf, size_t n) {
        static bool waited;

        (void)cookie;
        (void)buf;
        if (!waited) {
                waited = true;
                wait_for_a_byte();
        }
        return (ssize_t)n;
}

/* stderr is a stream of the program's own, and malloc_stats() writes to it with an arena's lock held. */
static void in_malloc_stats(const char *library _unused_) {
        FILE *f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = cookie_write});

        if (!f)
                _exit(1);
        setvbuf(f, NULL, _IONBF, 0);
        stderr = f;
        malloc_stats();
}

static int phdr_callback(struct dl_phdr_info *info _unused_, size_t size _unused_, void *userdata _unused_) {
        wait_for_a_byte();
        return 1;
}

static void in_dl_iterate_phdr(const char *library _unused_) {
        dl_iterate_phdr(phdr_callback, NULL);
}

static void in_dlopen(const char *library) {
        if (!dlopen(library, RTLD_NOW))
                _exit(1);
}

static void in_dlclose(const char *library) {
        void *handle = dlopen(library, RTLD_NOW);

        if (!handle || dlclose(handle) != 0)
                _exit(1);
}

/* Resolved at its first call, through the PLT's way into the loader. */
static void in_lazy_binding(const char *library) {
        void *handle = dlopen(library, RTLD_LAZY);
        int (*call)(void) = handle ? (int (*)(void))dlsym(handle, "call_indirectly") : NULL;

        if (!call || call() != 42)
                _exit(1);
}

static void in_atexit(const char *library _unused_) {
        atexit(wait_for_a_byte);
}

static void *thread_with_destructor(void *userdata) {
        static pthread_key_t key;

        pthread_key_create(&key, (void (*)(void *))(void *)wait_for_a_byte);
        pthread_setspecific(key, userdata);
        return NULL;
}

static void in_tls_destructor(const char *library _unused_) {
        pthread_t t;

        if (pthread_create(&t, NULL, thread_with_destructor, (void *)1) != 0 || pthread_join(t, NULL) != 0)
                _exit(1);
}

static void in_once(const char *library _unused_) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, wait_for_a_byte);
}

static void in_atfork(const char *library _unused_) {
        pid_t child;

        pthread_atfork(wait_for_a_byte, NULL, NULL);
        child = fork();
        if (child == 0)
                _exit(0);
        waitpid(child, NULL, 0);
}

static void on_signal(int sig _unused_) {
        wait_for_a_byte();
}

static void in_handler(const char *library _unused_) {
        signal(SIGUSR1, on_signal);
        raise(SIGUSR1);
}

/* Any signal may come in the middle of malloc. Without a race: free() faults, or aborts, by version. */
static void on_fault(int sig _unused_) {
        wait_for_a_byte();
        _exit(0); /* malloc cannot be gone on with */
}

static void *add_thread(void *userdata) {
        return userdata;
}

static void in_handler_in_malloc(const char *library _unused_) {
        stack_t alt = {.ss_sp = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                       .ss_size = 65536};
        struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
        pthread_t t;
        char *a;

        pthread_create(&t, NULL, add_thread, NULL); /* with locks from now on */
        pthread_join(t, NULL);
        sigaltstack(&alt, NULL);
        sigaction(SIGSEGV, &sa, NULL);
        sigaction(SIGABRT, &sa, NULL);
        a = malloc(120000);
        if (!a || !malloc(16))
                _exit(1);
        *(volatile size_t *)((uintptr_t)a - sizeof(size_t)) = (size_t)1 << 40 | 1; /* its size leads far away */
        free(a); /* with the arena's lock held */
        _exit(1);
}

static void in_vfork_child(const char *library _unused_) {
        pid_t child = vfork();

        if (child == 0) {
                wait_for_a_byte();
                _exit(0);
        }
        waitpid(child, NULL, 0);
}

static const Place places[] = {
        {"malloc_stats", in_malloc_stats},
        {"dl_iterate_phdr", in_dl_iterate_phdr},
        {"dlopen", in_dlopen},
        {"dlclose", in_dlclose},
        {"lazy-binding", in_lazy_binding},
        {"atexit", in_atexit},
        {"tls-destructor", in_tls_destructor},
        {"once", in_once},
        {"atfork", in_atfork},
        {"handler", in_handler},
        {"handler-in-malloc", in_handler_in_malloc},
        {"vfork-child", in_vfork_child},
};

static void *use_the_heap(void *userdata) {
        for (int i = 0; i < 1000; i++) {
                char *p = malloc((size_t)(i % 100) * 64 + 1);

                if (!p)
                        _exit(1);
                p[0] = 1;
                free(p);
        }
        return userdata;
}

int main(int argc, char **argv) {
        pthread_t t;

        for (size_t i = 0; argc > 1 && i < ELEMENTSOF(places); i++)
                if (strcmp(argv[1], places[i].name) == 0) {
                        places[i].go(argc > 2 ? argv[2] : NULL);
                        if (pthread_create(&t, NULL, use_the_heap, NULL) != 0)
                                return 1;
                        use_the_heap(NULL);
                        return pthread_join(t, NULL) != 0;
                }
        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                printf("%s\n", places[i].name);
        return 2;
}
