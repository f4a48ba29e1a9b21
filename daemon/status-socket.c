/* SPDX-License-Identifier: Apache-2.0 */
#include "status-socket.h"

#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/clock.h"

#define PEERS_MAX 16
#define PEER_TIMEOUT_USEC (5 * USEC_PER_SEC)

typedef struct Peer {
        StatusSocket *socket;
        sd_event_source *io, *timer; /* io NULL = slot free */
        int fd;
        Buf out;
        size_t sent;
} Peer;

struct StatusSocket {
        sd_event *event;
        sd_event_source *io;
        int fd;
        char path[108];
        dev_t dev;
        ino_t ino;
        StatusFillFn fill;
        void *userdata;
        Peer peers[PEERS_MAX];
};

static void peer_close(Peer *p) {
        p->io = sd_event_source_disable_unref(p->io);
        p->timer = sd_event_source_disable_unref(p->timer);
        p->fd = fd_close(p->fd);
        buf_done(&p->out);
        p->sent = 0;
}

/* Return: true when all is said or nothing more can be. */
static bool peer_write(Peer *p) {
        while (p->sent < p->out.len) {
                ssize_t n = send(p->fd, p->out.data + p->sent, p->out.len - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0)
                        return errno != EAGAIN && errno != EINTR;
                p->sent += (size_t)n;
        }
        return true;
}

static int on_peer_io(sd_event_source *s _unused_, int fd _unused_, uint32_t revents, void *userdata) {
        Peer *p = userdata;

        if ((revents & (EPOLLHUP | EPOLLERR)) || peer_write(p))
                peer_close(p);
        return 0;
}

static int on_peer_timeout(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        peer_close(userdata);
        return 0;
}

static void peer_serve(StatusSocket *s, int fd) {
        Peer *p = NULL;

        for (size_t i = 0; i < PEERS_MAX && !p; i++)
                if (!s->peers[i].io)
                        p = &s->peers[i];
        if (!p) {
                fd_close(fd);
                return;
        }
        *p = (Peer){.socket = s, .fd = fd};
        s->fill(s->userdata, &p->out);
        if (p->out.failed || peer_write(p) ||
            sd_event_add_io(s->event, &p->io, fd, EPOLLOUT, on_peer_io, p) < 0 ||
            sd_event_add_time_relative(s->event, &p->timer, CLOCK_MONOTONIC, PEER_TIMEOUT_USEC, 0, on_peer_timeout,
                                       p) < 0)
                peer_close(p);
}

static int on_connect(sd_event_source *src _unused_, int fd, uint32_t revents _unused_, void *userdata) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (peer >= 0)
                peer_serve(userdata, peer);
        return 0; /* a peer that went away again, or no descriptors left: nothing to do about it */
}

/* A socket file that a daemon left which was killed: nobody listens, connecting is refused. */
static int remove_stale(const struct sockaddr_un *sa) {
        _cleanup_fd_ int fd = -1;
        struct stat st;

        if (lstat(sa->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return -EEXIST;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
                return -EADDRINUSE;
        if (errno != ECONNREFUSED)
                return -errno;
        return unlink(sa->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* The directory above is made if only it is missing: /run/plateau on a machine without our systemd unit. */
static void make_parent(const char *path) {
        char copy[108];

        snprintf(copy, sizeof(copy), "%s", path);
        mkdir(dirname(copy), 0755);
}

static int bind_socket(StatusSocket *s) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        struct stat st;
        int r;

        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", s->path);
        r = remove_stale(&sa);
        if (r < 0)
                return r;
        make_parent(s->path);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0)
                return -errno;
        fchmod(s->fd, 0660); /* before bind(): the file is made with it, there is no moment in between */
        if (bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(s->fd, 16) < 0 || lstat(s->path, &st) < 0)
                return -errno;
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        return 0;
}

int status_socket_new(sd_event *event, const char *path, StatusFillFn fill, void *userdata, StatusSocket **ret) {
        StatusSocket *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = event;
        s->fd = -1;
        s->fill = fill;
        s->userdata = userdata;
        for (size_t i = 0; i < PEERS_MAX; i++)
                s->peers[i].fd = -1;
        r = snprintf(s->path, sizeof(s->path), "%s", path) < (int)sizeof(s->path) ? bind_socket(s) : -ENAMETOOLONG;
        if (r >= 0)
                r = sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_connect, s);
        if (r >= 0)
                r = sd_event_source_set_description(s->io, "status-socket");
        if (r < 0) {
                status_socket_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

StatusSocket *status_socket_free(StatusSocket *s) {
        struct stat st;

        if (!s)
                return NULL;
        for (size_t i = 0; i < PEERS_MAX; i++)
                peer_close(&s->peers[i]);
        sd_event_source_disable_unref(s->io);
        if (s->ino && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
                unlink(s->path);
        fd_close(s->fd);
        free(s);
        return NULL;
}

const char *status_socket_path(const StatusSocket *s) {
        return s->path;
}
