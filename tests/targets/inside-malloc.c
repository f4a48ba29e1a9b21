/* SPDX-License-Identifier: Apache-2.0
 *
 * A malloc in front of libc's, as memory loggers are: the first call of a program that says INSIDE=malloc waits for a
 * byte with the logger's lock held.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t n); /* of glibc: what its malloc is another name for */

void *malloc(size_t n) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        static int n_calls;
        char byte;

        pthread_mutex_lock(&lock);
        if (getenv("INSIDE") && strcmp(getenv("INSIDE"), "malloc") == 0 && n_calls++ == 0 &&
            (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) < 0))
                _exit(1);
        pthread_mutex_unlock(&lock);
        return __libc_malloc(n);
}
