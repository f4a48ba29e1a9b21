/* SPDX-License-Identifier: Apache-2.0 */
#include "util/rootfs.h"

#include <fcntl.h>
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

ssize_t rootfs_pread(int fd, char *buf, size_t size) {
        size_t len = 0;
        char probe;

        for (;;) {
                /* A seq_file answers up to one page a call (fs/seq_file.c); a short read is not the end, 0 is. But one
                 * that leaves half a page free in a reply cannot have been cut, which saves the second call each tick. */
                ssize_t n = pread(fd, buf + len, size - 1 - len, (off_t)len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                len += (size_t)n;
                buf[len] = '\0';
                if (n == 0 || (n < 2048 && len < size - 1))
                        return (ssize_t)len;
                if (len == size - 1)
                        break;
        }
        return pread(fd, &probe, 1, (off_t)len) == 1 ? -EFBIG : (ssize_t)len;
}

ssize_t rootfs_read(int dir_fd, const char *path, char *buf, size_t size) {
        _cleanup_fd_ int fd = rootfs_open(dir_fd, path);

        return fd < 0 ? fd : rootfs_pread(fd, buf, size);
}

int rootfs_read_u64(int dir_fd, const char *path, uint64_t *ret) {
        char buf[64];
        ssize_t n = rootfs_read(dir_fd, path, buf, sizeof(buf));

        if (n < 0)
                return (int)n;
        buf[strcspn(buf, "\n")] = '\0';
        if (strcmp(buf, "max") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        return parse_u64(buf, ret);
}
