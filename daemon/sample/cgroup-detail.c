/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/cgroup-detail.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/rootfs.h"

#define STAT_BUFFER_MAX 8192 /* 70 lines, about 2 KiB, in Linux 6.18 */

static const char *skip(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 && (s[n] == '/' || s[n] == '\0') ? s + n : s;
}

void cgroup_path_show(const char *file, unsigned version, char *ret) {
        const char *begin = skip(file, "/sys/fs/cgroup"), *end;

        if (version == 1)
                begin = skip(begin, "/memory");
        end = strrchr(begin, '/');
        if (!end) {
                *ret = '\0';
                return;
        }
        if (end - begin >= CGROUP_PATH_SHOWN) /* the end of a long path tells more than its beginning */
                begin = end - (CGROUP_PATH_SHOWN - 1);
        if (end == begin) /* the mount's root */
                end++;
        memcpy(ret, begin, (size_t)(end - begin));
        ret[end - begin] = '\0';
}

static void read_path(int fd, unsigned version, char *ret) {
        char link[32], file[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, file, sizeof(file) - 1);
        if (n <= 0)
                return;
        file[n] = '\0';
        cgroup_path_show(file, version, ret);
}

int cgroup_detail_read(const Cgroup *c, CgroupDetail *ret) {
        char buf[STAT_BUFFER_MAX];
        CgroupDetail d = {.levels_up = c->ruling};
        ssize_t n;

        if (c->version == 0 || c->stat_fd < 0)
                return -ENODEV;
        n = rootfs_pread(c->stat_fd, buf, sizeof(buf));
        if (n < 0 && n != -EFBIG)
                return (int)n;
        cgroup_stat_parse(buf, n < 0 ? sizeof(buf) - 1 : (size_t)n, c->version, &d.stat);
        read_path(c->stat_fd, c->version, d.path);
        *ret = d;
        return 0;
}
