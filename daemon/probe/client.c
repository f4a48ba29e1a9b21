/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/client.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "util/clock.h"

struct ProbeClient {
        pid_t pid;
        int fd;
        sd_event_source *io; /* NULL for blocking use */
        bool dead, reaped;
        uint32_t seq;
        bool busy;
        uint32_t op;
        ProbeReplyFn fn;
        void *userdata;
};

/* Beside our own executable (a build tree), else where it is installed. */
static int find_probe(char buf[static PATH_MAX]) {
        static const char *const beside[] = {"plateau-probe", "../plateau-probe", "../libexec/plateau/plateau-probe"};
        const char *env = secure_getenv("PLATEAU_PROBE");
        char self[PATH_MAX];
        ssize_t n;

        if (env && *env)
                return snprintf(buf, PATH_MAX, "%s", env) < PATH_MAX && access(buf, X_OK) == 0 ? 0 : -ENOENT;
        n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (n > 0) {
                char *dir;

                self[n] = '\0';
                dir = dirname(self);
                for (size_t i = 0; i < ELEMENTSOF(beside); i++)
                        if (snprintf(buf, PATH_MAX, "%s/%s", dir, beside[i]) < PATH_MAX && access(buf, X_OK) == 0)
                                return 0;
        }
        snprintf(buf, PATH_MAX, "%s", PLATEAU_PROBE_PATH);
        return access(buf, X_OK) == 0 ? 0 : -ENOENT;
}

/* In the child, after fork: only calls that are safe there. Descriptors 0-2 stay, 3 becomes the socket, the rest is
 * closed. */
_Noreturn static void exec_probe(const char *path, int fd) {
        char *argv[] = {(char *)(uintptr_t)path, NULL}, *envp[] = {NULL};
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int sig = 1; sig < _NSIG; sig++)
                signal(sig, SIG_DFL);
        if (fd == PROBE_FD)
                fcntl(fd, F_SETFD, 0);
        else if (dup2(fd, PROBE_FD) < 0)
                _exit(126);
        if (close_range(PROBE_FD + 1, ~0U, 0) < 0) /* Linux 5.9; all of ours are O_CLOEXEC anyway */
                errno = 0;
        execve(path, argv, envp);
        _exit(127);
}

static int spawn(const char *path, ProbeClient *c) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        c->pid = fork();
        if (c->pid == 0)
                exec_probe(path, pair[1]);
        fd_close(pair[1]);
        if (c->pid < 0) {
                int r = -errno;

                fd_close(pair[0]);
                return r;
        }
        c->fd = pair[0];
        return 0;
}

static void reap(ProbeClient *c) {
        if (!c->reaped && c->pid > 0 && waitpid(c->pid, NULL, WNOHANG) == c->pid)
                c->reaped = true;
}

static void finish(ProbeClient *c, const ProbeReply *r, int fd, int error) {
        ProbeReplyFn fn = c->fn;

        c->busy = false;
        c->fn = NULL;
        if (fn)
                fn(c->userdata, r, fd, error);
        else
                fd_close(fd);
}

static void die(ProbeClient *c) {
        c->dead = true;
        sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
        reap(c);
        if (c->busy)
                finish(c, NULL, -1, -EPIPE);
}

/* One message off the socket. Return: 1: the reply to the request in flight; 0: nothing for us; negative errno: it is
 * gone. */
static int receive(ProbeClient *c, ProbeReply *ret, int *ret_fd, int flags) {
        struct iovec iov = {ret, sizeof(*ret)};
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control;
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | flags);
        _cleanup_fd_ int fd = -1;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -EPIPE;
        for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm))
                if (cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS &&
                    cm->cmsg_len == CMSG_LEN(sizeof(int)))
                        memcpy(&fd, CMSG_DATA(cm), sizeof(int));
        if (n != (ssize_t)sizeof(*ret) || (mh.msg_flags & MSG_TRUNC) || ret->magic != PROBE_MAGIC ||
            ret->version != PROBE_PROTO_VERSION)
                return -EPROTO;
        if (!c->busy || ret->seq != c->seq || ret->op != c->op)
                return 0; /* the answer to a call that was given up */
        if (ret->result >= _PROBE_RESULT_MAX)
                return -EPROTO;
        ret->detail[sizeof(ret->detail) - 1] = '\0';
        if (ret->op == PROBE_OP_TRIM || ret->op == PROBE_OP_TUNE ||
            ret->op == PROBE_OP_PYTHON) /* each begins with it */
                ret->call.allocator[sizeof(ret->call.allocator) - 1] = ret->call.name[sizeof(ret->call.name) - 1] =
                        '\0';
        *ret_fd = take_fd(&fd);
        return 1;
}

static int on_io(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        ProbeClient *c = userdata;
        ProbeReply reply;
        int passed = -1, r = receive(c, &reply, &passed, MSG_DONTWAIT);

        if (r < 0)
                die(c);
        else if (r > 0)
                finish(c, &reply, passed, 0);
        return 0;
}

int probe_client_new(const char *path, sd_event *event, ProbeClient **ret) {
        char found[PATH_MAX];
        ProbeClient *c;
        int r;

        if (path)
                snprintf(found, sizeof(found), "%s", path);
        else if ((r = find_probe(found)) < 0)
                return r;
        if (access(found, X_OK) < 0)
                return -errno;
        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->fd = -1;
        r = spawn(found, c);
        if (r == 0 && event) {
                r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_io, c);
                if (r >= 0)
                        r = sd_event_source_set_description(c->io, "probe");
        }
        if (r < 0) {
                probe_client_free(c);
                return r;
        }
        *ret = c;
        return 0;
}

ProbeClient *probe_client_free(ProbeClient *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->io);
        c->fd = fd_close(c->fd);
        if (c->busy)
                finish(c, NULL, -1, -ECANCELED);
        reap(c); /* an idle probe that is still going away is init's in a moment: we do not wait for one in mid-call */
        free(c);
        return NULL;
}

bool probe_client_busy(const ProbeClient *c) {
        return c->busy;
}

bool probe_client_dead(const ProbeClient *c) {
        return c->dead;
}

pid_t probe_client_pid(const ProbeClient *c) {
        return c->pid;
}

int probe_client_send(ProbeClient *c, const ProbeRequest *req, ProbeReplyFn fn, void *userdata) {
        ProbeRequest out = *req;

        if (c->dead)
                return -EPIPE;
        if (c->busy)
                return -EBUSY;
        out.magic = PROBE_MAGIC;
        out.version = PROBE_PROTO_VERSION;
        out.seq = ++c->seq;
        if (send(c->fd, &out, sizeof(out), MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(out))
                return errno == EAGAIN ? -EBUSY : -EPIPE;
        c->busy = true;
        c->op = out.op;
        c->fn = fn;
        c->userdata = userdata;
        return 0;
}

void probe_client_abandon(ProbeClient *c, const void *userdata) {
        if (c->busy && c->userdata == userdata)
                c->fn = NULL;
}

int probe_client_call(ProbeClient *c, const ProbeRequest *req, ProbeReply *ret, int *ret_fd, uint64_t timeout_usec) {
        uint64_t deadline = now_mono_usec() + timeout_usec;
        int passed = -1, r = probe_client_send(c, req, NULL, NULL);

        while (r == 0) {
                struct pollfd pfd = {.fd = c->fd, .events = POLLIN};
                uint64_t now = now_mono_usec();

                if (now >= deadline) {
                        c->busy = false; /* its late answer is known by its number and dropped */
                        return -ETIMEDOUT;
                }
                if (poll(&pfd, 1, (int)min_of((deadline - now + 999) / 1000, (uint64_t)INT_MAX)) > 0)
                        r = receive(c, ret, &passed, MSG_DONTWAIT);
        }
        c->busy = false;
        if (r < 0) {
                c->dead = true;
                reap(c);
                return r;
        }
        if (ret_fd)
                *ret_fd = passed;
        else
                fd_close(passed);
        return 0;
}
