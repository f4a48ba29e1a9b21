/* SPDX-License-Identifier: Apache-2.0
 *
 * Literal trees: a fixture opened in place, or copied into a directory of its own so that a test may change it under
 * the feet of what it tests. Every step asserts, so that a test reads as its story.
 */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit/folder.h"
#include "unit/unit.h"

typedef struct Tree {
        char path[64];
        int fd;
} Tree;

static inline int fixture_open(const char *path) {
        char full[512];
        int fd;

        snprintf(full, sizeof(full), "%s/%s", FIXTURES, path);
        fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                fail_msg("%s: %s", full, strerror(errno));
        return fd;
}

/* Whole file into @buf. Return: its length. */
static inline size_t fixture_read(const char *path, char *buf, size_t size) {
        _cleanup_fd_ int dir_fd = fixture_open("."), fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, buf, size - 1);

        if (n < 0)
                fail_msg("%s: %s", path, strerror(errno));
        buf[n] = '\0';
        return (size_t)n;
}

static inline Tree tree_new(void) {
        Tree t = {.path = "/tmp/plateau-tree-XXXXXX"};

        assert_int_equal(folder_make(t.path), 0);
        t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(t.fd >= 0);
        return t;
}

static inline void tree_free(Tree *t) {
        if (t->fd >= 0) {
                fd_close(t->fd);
                (void)folder_remove(t->path);
        }
        t->fd = -1;
}

#define _cleanup_tree_ _cleanup_(tree_free)

/* tree_run() - a command of coreutils in the tree's directory; the fixtures are small and a shell says it shortest. */
static inline void tree_run(const Tree *t, const char *format, ...) _printf_(2, 3);

static inline void tree_run(const Tree *t, const char *format, ...) {
        char command[1024];
        va_list ap;
        int n = snprintf(command, sizeof(command), "cd %s && ", t->path);

        va_start(ap, format);
        n += vsnprintf(command + n, sizeof(command) - (size_t)n, format, ap);
        va_end(ap);
        assert_true(n < (int)sizeof(command));
        assert_int_equal(system(command), 0);
}

/* tree_copy() - the contents of one fixture. */
static inline Tree tree_copy(const char *fixture) {
        Tree t = tree_new();

        tree_run(&t, "cp -a %s/%s/. .", FIXTURES, fixture);
        return t;
}

/* tree_write() - the content of one file, in place: a descriptor that is open on it sees it. */
static inline void tree_write(const Tree *t, const char *path, const char *text) {
        _cleanup_fd_ int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}
