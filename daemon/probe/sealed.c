/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/sealed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int read_whole(int fd, void *buf, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = pread(fd, (char *)buf + at, size - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                at += (size_t)n;
        }
        return 0;
}

int sealed_read(int fd, size_t min, size_t max, void **ret, size_t *ret_size, const char **ret_why) {
        _cleanup_free_ void *buf = NULL;
        struct stat st;
        int r;

        *ret_why = "it is no sealed memory file";
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
                return -EBADMSG;
        *ret_why = "its size is impossible";
        if (st.st_size < (off_t)min || st.st_size > (off_t)max)
                return -EBADMSG;
        buf = malloc((size_t)st.st_size);
        if (!buf)
                return -ENOMEM;
        r = read_whole(fd, buf, (size_t)st.st_size);
        if (r < 0)
                return r;
        *ret = buf;
        *ret_size = (size_t)st.st_size;
        buf = NULL;
        return 0;
}
