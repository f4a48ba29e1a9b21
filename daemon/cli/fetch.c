/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/fetch.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "util/clock.h"

#define SOCKET_DEFAULT "/run/plateau/plateau.sock"
#define RETRY_USEC (20 * USEC_PER_MSEC)

const char *fetch_default_path(void) {
        const char *s = getenv("PLATEAU_SOCKET");

        return s && *s ? s : SOCKET_DEFAULT;
}

/* A full backlog gives EAGAIN at once on a non-blocking unix socket (unix(7)), and nothing to poll for. */
static int connect_by(int fd, const struct sockaddr_un *sa, uint64_t deadline_usec) {
        for (;;) {
                struct timespec pause = {.tv_nsec = RETRY_USEC * 1000};

                if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
                        return 0;
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (now_mono_usec() >= deadline_usec)
                        return -ETIMEDOUT;
                nanosleep(&pause, NULL);
        }
}

static int wait_readable(int fd, uint64_t deadline_usec) {
        for (;;) {
                uint64_t now = now_mono_usec();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int r;

                if (now >= deadline_usec)
                        return -ETIMEDOUT;
                r = poll(&p, 1, (int)((deadline_usec - now) / USEC_PER_MSEC) + 1);
                if (r > 0)
                        return 0;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

static int read_all(int fd, uint64_t deadline_usec, Buf *b) {
        for (;;) {
                char part[16384];
                ssize_t n = recv(fd, part, sizeof(part), 0);

                if (n == 0)
                        return b->len ? 0 : -ENODATA;
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return -errno;
                if (n < 0) {
                        int r = wait_readable(fd, deadline_usec);

                        if (r < 0)
                                return r;
                        continue;
                }
                if (b->len + (size_t)n > FETCH_MAX)
                        return -EFBIG;
                buf_add(b, part, (size_t)n);
                if (b->failed)
                        return -ENOMEM;
                if (now_mono_usec() >= deadline_usec)
                        return -ETIMEDOUT;
        }
}

int fetch_status(const char *path, uint64_t timeout_usec, Buf *ret) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        uint64_t deadline = now_mono_usec() + timeout_usec;
        _cleanup_fd_ int fd = -1;
        int r;

        if (strlen(path) >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        strcpy(sa.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = connect_by(fd, &sa, deadline);
        if (r < 0)
                return r;
        buf_reset(ret);
        ret->max = FETCH_MAX + 64; /* and its terminator */
        return read_all(fd, deadline, ret);
}
