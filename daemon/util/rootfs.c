/* SPDX-License-Identifier: Apache-2.0 */
#include "util/rootfs.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "util/parse.h"

int rootfs_open_dir(int dir_fd, const char *path) {
        int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int rootfs_open(int dir_fd, const char *path) {
        int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

static ssize_t read_at(int fd, char *buf, size_t size, size_t offset) {
        ssize_t n;

        do
                n = pread(fd, buf, size, (off_t)offset);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/* A seq_file answers up to one page a call (fs/seq_file.c): a short read is not the end, 0 is. @one_record: but then a
 * reply that leaves half a page free cannot have been cut, which saves the second call each tick. */
static ssize_t read_whole(int fd, char *buf, size_t size, bool one_record) {
        size_t len = 0;
        ssize_t n;
        char more;

        if (size < 2)
                return -EINVAL;
        while (len < size - 1) {
                n = read_at(fd, buf + len, size - 1 - len, len);
                if (n < 0)
                        return n;
                len += (size_t)n;
                buf[len] = '\0';
                if (n == 0 || (one_record && n < 2048 && len < size - 1))
                        return (ssize_t)len;
        }
        n = read_at(fd, &more, 1, len);
        return n < 0 ? n : n > 0 ? -EFBIG : (ssize_t)len;
}

ssize_t rootfs_pread(int fd, char *buf, size_t size) {
        return read_whole(fd, buf, size, true);
}

ssize_t rootfs_read(int dir_fd, const char *path, char *buf, size_t size) {
        _cleanup_fd_ int fd = rootfs_open(dir_fd, path);

        return fd < 0 ? fd : read_whole(fd, buf, size, false);
}

int rootfs_read_u64(int dir_fd, const char *path, uint64_t *ret) {
        char buf[64];
        ssize_t n = rootfs_read(dir_fd, path, buf, sizeof(buf));

        if (n < 0)
                return (int)n;
        if (n > 0 && buf[n - 1] == '\n')
                buf[--n] = '\0';
        if (strlen(buf) != (size_t)n)
                return -EINVAL; /* a NUL byte in the middle */
        if (strcmp(buf, "max") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_u64(buf, ret);
}
