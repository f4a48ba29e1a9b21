/* SPDX-License-Identifier: Apache-2.0
 *
 * Scope-bound ownership: a variable marked with one of these is released when it goes out of scope, unless its
 * value was taken out with take_fd()/take_ptr(). Every release function accepts the empty value (-1, NULL).
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((__cleanup__(fn)))
#define _unused_ __attribute__((__unused__))
#define _must_check_ __attribute__((__warn_unused_result__))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* free_p() - release a malloc'ed pointer variable; keeps errno. */
static inline void free_p(void *p) {
        int saved = errno;
        free(*(void **)p);
        errno = saved;
}

/* fd_close() - close @fd if it is one, keeping errno. Return: always -1, so that `fd = fd_close(fd)` reads well. */
static inline int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;
                close(fd); /* Linux: the descriptor is gone even on EINTR (close(2), NOTES) */
                errno = saved;
        }
        return -1;
}

static inline void fd_close_p(int *fd) {
        *fd = fd_close(*fd);
}

static inline void file_close_p(FILE **f) {
        if (*f)
                fclose(*f);
        *f = NULL;
}

#define _cleanup_free_ _cleanup_(free_p)
#define _cleanup_fd_ _cleanup_(fd_close_p)
#define _cleanup_file_ _cleanup_(file_close_p)

/* take_fd()/take_ptr() - move ownership out of a cleanup variable, leaving the empty value behind. */
static inline int take_fd(int *fd) {
        int r = *fd;
        *fd = -1;
        return r;
}

#define take_ptr(p)                     \
        ({                              \
                __typeof__(p) _t = (p); \
                (p) = NULL;             \
                _t;                     \
        })

#define min_of(a, b)                      \
        ({                                \
                __typeof__(a) _a = (a);   \
                __typeof__(b) _b = (b);   \
                _a < _b ? _a : _b;        \
        })
#define max_of(a, b)                      \
        ({                                \
                __typeof__(a) _a = (a);   \
                __typeof__(b) _b = (b);   \
                _a > _b ? _a : _b;        \
        })
