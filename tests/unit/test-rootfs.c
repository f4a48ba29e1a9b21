/* SPDX-License-Identifier: Apache-2.0 */
#include "util/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "unit/folder.h"
#include "unit/unit.h"

/* A directory of its own for each test, removed with its files afterwards. */
typedef struct Tree {
        char path[64];
        int fd;
} Tree;

static int tree_new(void **state) {
        static Tree t;

        snprintf(t.path, sizeof(t.path), "/tmp/plateau-rootfs-XXXXXX");
        if (folder_make(t.path) < 0)
                return -1;
        t.fd = rootfs_open_dir(AT_FDCWD, t.path);
        *state = &t;
        return t.fd < 0 ? -1 : 0;
}

static int tree_free(void **state) {
        Tree *t = *state;

        fd_close(t->fd);
        return folder_remove(t->path);
}

static void put(const Tree *t, const void *p, size_t n) {
        _cleanup_fd_ int fd = openat(t->fd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, p, n), n);
}

static int memfd_with(const void *p, size_t n) {
        int fd = memfd_create("rootfs", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, p, n), n);
        return fd;
}

static void test_reads_up_to_the_bound(void **state) {
        static const struct {
                const char *name, *text;
                size_t size;
                ssize_t r;
                const char *out;
        } cases[] = {
                {"empty", "", 16, 0, ""},
                {"shorter", "abc", 16, 3, "abc"},
                {"fits exactly", "123456789012345", 16, 15, "123456789012345"},
                {"one too many", "1234567890123456", 16, -EFBIG, "123456789012345"},
                {"far too long", "12345678901234567890", 4, -EFBIG, "123"},
                {"smallest buffer, empty file", "", 2, 0, ""},
                {"smallest buffer", "ab", 2, -EFBIG, "a"},
                {"no room for the NUL", "ab", 1, -EINVAL, "#"},
                {"no room at all", "ab", 0, -EINVAL, "#"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_fd_ int fd = memfd_with(cases[i].text, strlen(cases[i].text));
                char a[32] = "#", b[32] = "#";

                put(*state, cases[i].text, strlen(cases[i].text));
                if (rootfs_read(((Tree *)*state)->fd, "file", a, cases[i].size) != cases[i].r ||
                    rootfs_pread(fd, b, cases[i].size) != cases[i].r)
                        fail_msg("%s", cases[i].name);
                assert_string_equal(a, cases[i].out);
                assert_string_equal(b, cases[i].out);
        }
}

static void test_reads_again_from_the_start(void **state _unused_) {
        _cleanup_fd_ int fd = memfd_with("one", 3);
        char buf[16];

        assert_int_equal(rootfs_pread(fd, buf, sizeof(buf)), 3);
        assert_int_equal(pwrite(fd, "two", 3, 0), 3);
        assert_int_equal(rootfs_pread(fd, buf, sizeof(buf)), 3);
        assert_string_equal(buf, "two");
}

static void test_long_file_in_pieces(void **state) {
        static char text[20000], buf[20001];

        memset(text, 'x', sizeof(text));
        put(*state, text, sizeof(text));
        assert_int_equal(rootfs_read(((Tree *)*state)->fd, "file", buf, sizeof(buf)), sizeof(text));
        assert_memory_equal(buf, text, sizeof(text));
        assert_int_equal(buf[sizeof(text)], '\0');
}

#define DEEP 16
#define DEEP_NAME_MAX 250

/* A descriptor of DEEP nested directories with long names, so that a path below is nearly PATH_MAX long. */
static int deep_open(const Tree *t, bool make) {
        char name[DEEP_NAME_MAX + 1] = {0};
        int fd = dup(t->fd);

        memset(name, 'd', DEEP_NAME_MAX);
        for (int i = 0; i < DEEP && fd >= 0; i++) {
                _cleanup_fd_ int above = fd;

                if (make)
                        assert_int_equal(mkdirat(above, name, 0700), 0);
                fd = rootfs_open_dir(above, name);
        }
        return fd;
}

static void deep_remove(const Tree *t) {
        char name[DEEP_NAME_MAX + 1] = {0}, path[DEEP * (DEEP_NAME_MAX + 1) + 1];

        memset(name, 'd', DEEP_NAME_MAX);
        for (int depth = DEEP; depth > 0; depth--) {
                path[0] = '\0';
                for (int i = 0; i < depth; i++) {
                        strcat(path, i ? "/" : "");
                        strcat(path, name);
                }
                assert_int_equal(unlinkat(t->fd, path, AT_REMOVEDIR), 0);
        }
}

/* maps is a seq_file of many records, of which read() returns those that fit into a page: a short line followed by one
 * of a page's length makes the first read short although much more comes. Mapped low, so that they are the first. */
static void test_seq_file_is_read_to_its_end(void **state) {
        const Tree *t = *state;
        _cleanup_fd_ int dir_fd = deep_open(t, true), fd = openat(dir_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        static char buf[1 << 20];
        void *shorter, *longer;

        assert_true(fd >= 0);
        shorter = mmap((void *)0x100000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        longer = mmap((void *)0x200000, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
        assert_true(shorter != MAP_FAILED && longer != MAP_FAILED);
        assert_true(rootfs_read(AT_FDCWD, "/proc/self/maps", buf, sizeof(buf)) > 4096);
        assert_non_null(strstr(buf, "[stack]")); /* near the end */
        munmap(shorter, 4096);
        munmap(longer, 4096);
        assert_int_equal(unlinkat(dir_fd, "file", 0), 0);
        deep_remove(t);
}

static void test_not_a_regular_file(void **state) {
        const Tree *t = *state;
        int pipes[2];
        char buf[16];

        assert_int_equal(mkfifoat(t->fd, "fifo", 0600), 0);
        assert_int_equal(rootfs_read(t->fd, "fifo", buf, sizeof(buf)), -ESPIPE); /* and did not wait for a writer */
        assert_int_equal(mkdirat(t->fd, "dir", 0700), 0);
        assert_int_equal(rootfs_read(t->fd, "dir", buf, sizeof(buf)), -EISDIR);
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        assert_int_equal(rootfs_pread(pipes[0], buf, sizeof(buf)), -ESPIPE);
        fd_close(pipes[0]);
        fd_close(pipes[1]);
}

static void test_names_that_are_not_there(void **state) {
        const Tree *t = *state;
        char buf[16];

        assert_int_equal(rootfs_read(t->fd, "none", buf, sizeof(buf)), -ENOENT);
        assert_int_equal(rootfs_open(t->fd, "none"), -ENOENT);
        assert_int_equal(rootfs_open_dir(t->fd, "none"), -ENOENT);
        put(t, "x", 1);
        assert_int_equal(rootfs_open_dir(t->fd, "file"), -ENOTDIR);
        assert_int_equal(symlinkat("link", t->fd, "link"), 0);
        assert_int_equal(rootfs_open(t->fd, "link"), -ELOOP);
        assert_int_equal(rootfs_pread(-1, buf, sizeof(buf)), -EBADF);
}

static void test_u64(void **state) {
        static const struct {
                const char *name, *text;
                size_t len;
                int r;
                uint64_t out;
        } cases[] = {
                {"number", "4096\n", 5, 0, 4096},
                {"no newline", "4096", 4, 0, 4096},
                {"max", "max\n", 4, 0, UINT64_MAX},
                {"largest", "18446744073709551615\n", 21, 0, UINT64_MAX},
                {"cgroup v1's none", "9223372036854771712\n", 20, 0, 9223372036854771712u},
                {"over", "18446744073709551616\n", 21, -ERANGE, 0},
                {"empty", "", 0, -EINVAL, 0},
                {"only a newline", "\n", 1, -EINVAL, 0},
                {"two newlines", "1\n\n", 3, -EINVAL, 0},
                {"two lines", "1\n2\n", 4, -EINVAL, 0},
                {"two numbers", "1 2\n", 4, -EINVAL, 0},
                {"negative", "-1\n", 3, -EINVAL, 0},
                {"max and more", "maximum\n", 8, -EINVAL, 0},
                {"NUL inside", "1\0" "2\n", 4, -EINVAL, 0},
                {"NUL first", "\0" "1\n", 3, -EINVAL, 0},
                {"over-long", "0000000000000000000000000000000000000000000000000000000000000000001\n", 68, -EFBIG, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 0xdead;
                int r;

                put(*state, cases[i].text, cases[i].len);
                r = rootfs_read_u64(((Tree *)*state)->fd, "file", &v);
                if (r != cases[i].r || v != (r < 0 ? 0xdead : cases[i].out))
                        fail_msg("%s: %d, %llu", cases[i].name, r, (unsigned long long)v);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_reads_up_to_the_bound, tree_new, tree_free),
                cmocka_unit_test(test_reads_again_from_the_start),
                cmocka_unit_test_setup_teardown(test_long_file_in_pieces, tree_new, tree_free),
                cmocka_unit_test_setup_teardown(test_seq_file_is_read_to_its_end, tree_new, tree_free),
                cmocka_unit_test_setup_teardown(test_not_a_regular_file, tree_new, tree_free),
                cmocka_unit_test_setup_teardown(test_names_that_are_not_there, tree_new, tree_free),
                cmocka_unit_test_setup_teardown(test_u64, tree_new, tree_free),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
