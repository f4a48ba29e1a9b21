/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-attach.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "action/jvm-look.h"
#include "action/jvm-wire.h"
#include "probe/proto.h"
#include "sample/stat.h"
#include "util/clock.h"
#include "util/rootfs.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define POLL_FIRST_USEC USEC_PER_MSEC
#define POLL_LAST_USEC  (25 * USEC_PER_MSEC)
#define LATE_WAKE_MAX_USEC (60 * USEC_PER_SEC) /* a JVM that did not react is in a long pause, or deaf */
/* A trigger file of ours that is older than any attach takes is a leftover; a younger one is somebody at work. */
#define LEFTOVER_SEC 60

typedef struct Attach {
        const JvmRequest *q;
        int channel;
        int dir_fd, pid_fd; /* the target; pid_fd -1 before Linux 5.3 */
        int root_fd, tmp_fd, cwd_fd, env_fd;
        int lock_fd, socket_fd;
        JvmLook look;
        JvmFacts facts;
        int trigger_dir_fd;  /* -1: no trigger file of ours is there. Owner: one of the above */
        struct stat trigger; /* which file it is */
        uint64_t begin_usec, deadline_usec;
        JvmReply reply;
} Attach;

/* ---- small things ---- */

_printf_(3, 4) static int end(Attach *a, JvmResult result, const char *fmt, ...) {
        va_list ap;

        a->reply.result = result;
        va_start(ap, fmt);
        vsnprintf(a->reply.why, sizeof(a->reply.why), fmt, ap);
        va_end(ap);
        return -1;
}

#define cannot(a, ...) end(a, JVM_CANNOT, __VA_ARGS__)

static bool is_same(const Attach *a) {
        struct pollfd pfd = {.fd = a->pid_fd, .events = POLLIN};
        ProcStat st;

        return stat_read(a->dir_fd, "stat", &st) == 0 && st.start_ticks == a->q->start_ticks && st.state != 'Z' &&
               st.state != 'X' && (a->pid_fd < 0 || poll(&pfd, 1, 0) == 0);
}

static uint64_t rss_now(const Attach *a) {
        JvmFacts f;

        return jvm_look_facts(a->dir_fd, &f) == 0 && f.rss_known ? f.rss_bytes : 0;
}

static bool is_parent_gone(const Attach *a) {
        struct pollfd pfd = {.fd = a->channel};

        return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLHUP | POLLERR));
}

static void say(Attach *a) {
        a->reply.total_usec = now_mono_usec() - a->begin_usec;
        if (a->reply.result != JVM_BEGUN && a->reply.result != JVM_TIMEOUT)
                a->lock_fd = fd_close(a->lock_fd); /* before anybody hears of it: the probe's call may be next */
        (void)send(a->channel, &a->reply, sizeof(a->reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- who it is ---- */

static int hold_target(Attach *a) {
        _cleanup_fd_ int proc_fd = rootfs_open_dir(AT_FDCWD, "/proc");
        char name[16];

        snprintf(name, sizeof(name), "%d", (int)a->q->pid);
        a->dir_fd = rootfs_open_dir(proc_fd, name);
        a->pid_fd = (int)syscall(SYS_pidfd_open, a->q->pid, 0); /* Linux 5.3 */
        return a->dir_fd >= 0 && is_same(a) ? 0 : end(a, JVM_NOT_ONE, "it has ended");
}

/* The state, and what other libraries it has. Nothing is done yet. */
static int judge(Attach *a) {
        int maps_fd = a->q->places ? a->q->places[PROBE_PLACE_MAPS] : rootfs_open(a->dir_fd, "maps");

        if (maps_fd == -EACCES || maps_fd == -EPERM)
                return end(a, JVM_NO_ACCESS, "%s", "");
        if (maps_fd < 0 || jvm_look_maps(maps_fd, &a->look) < 0 || !a->look.has_libjvm)
                return end(a, JVM_NOT_ONE, "%s", "");
        if (jvm_look_facts(a->dir_fd, &a->facts) < 0)
                return end(a, JVM_NOT_ONE, "its status cannot be read");
        if (a->look.has_j9)
                return cannot(a, "it is OpenJ9, which has no such command");
        if (a->q->command == JVM_TRIM && a->look.other_malloc[0])
                return cannot(a, "it has %s, and the JVM's command would trim glibc's heap", a->look.other_malloc);
        if (a->q->command == JVM_TRIM && !a->look.has_glibc)
                return cannot(a, "it does not use glibc");
        if (a->facts.state == 'T' || a->facts.state == 't')
                return cannot(a, "it is stopped");
        if (a->facts.ns_pid == 0)
                a->facts.ns_pid = a->q->pid; /* before Linux 4.1 */
        return 0;
}

/* All that needs ptrace-read access, which may be lost with our user. */
static int open_places(Attach *a) {
        if (a->q->places) {
                a->root_fd = a->q->places[PROBE_PLACE_ROOT];
                a->cwd_fd = a->q->places[PROBE_PLACE_CWD];
                return 0;
        }
        a->root_fd = openat(a->dir_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (a->root_fd < 0)
                return cannot(a, "its root directory cannot be opened: %s", strerrordesc_np(errno));
        a->cwd_fd = openat(a->dir_fd, "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        a->env_fd = rootfs_open(a->dir_fd, "environ");
        return 0;
}

/* The JVM wants its own effective user and group of a peer, or root; we want no rights in there that it has not. */
static int become_target(Attach *a) {
        uid_t uid = a->facts.euid;
        gid_t gid = a->facts.egid;

        if (geteuid() == uid && (getegid() == gid || uid == 0))
                return 0;
        if (setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0)
                return 0;
        return cannot(a, "its attach socket is for uid %u and gid %u alone; we are uid %u, gid %u", (unsigned)uid,
                      (unsigned)gid, (unsigned)geteuid(), (unsigned)getegid());
}

/* ---- one call at a time ---- */

/* The same name that an injected call holds (probe/inject/borrow.c), so that the two exclude each other. An abstract
 * socket goes with the last process that has it, however that ends. */
static int lock(Attach *a) {
        struct sockaddr_un name;
        socklen_t len = probe_lock_name((pid_t)a->q->pid, a->q->start_ticks, &name);

        a->lock_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (a->lock_fd >= 0 && bind(a->lock_fd, (const struct sockaddr *)&name, len) < 0 && errno == EADDRINUSE)
                return end(a, JVM_IN_FLIGHT, "an earlier call has not finished yet");
        return 0; /* without abstract sockets there is no reason to leave the target alone */
}

/* ---- the socket ---- */

static int check_peer(Attach *a, int fd) {
        struct ucred cred = {0};
        socklen_t size = sizeof(cred), pidfd_size = sizeof(int);
        struct pollfd peer = {.fd = -1, .events = POLLIN};
        bool dead;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return cannot(a, "its attach socket does not say whose it is");
        if (cred.pid != a->q->pid || cred.uid != a->facts.euid)
                return cannot(a, "another process (%d, uid %u) listens in its attach socket's place", (int)cred.pid,
                              (unsigned)cred.uid);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &peer.fd, &pidfd_size) < 0)
                return errno == ESRCH || errno == EINVAL ? cannot(a, "whoever made its attach socket has ended") : 0;
        dead = poll(&peer, 1, 0) != 0; /* alive, and of this number: it */
        fd_close(peer.fd);
        return dead ? cannot(a, "whoever made its attach socket has ended") : 0;
}

/* Return: 1: connected; 0: nobody listens (yet); -1: there is something that is no socket of the target. */
static int try_connect(Attach *a) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        _cleanup_fd_ int path_fd = -1, fd = -1;
        char name[32];
        struct stat st;

        snprintf(name, sizeof(name), ".java_pid%d", (int)a->facts.ns_pid);
        path_fd = openat(a->tmp_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (path_fd < 0 && errno == ENOENT)
                return 0;
        if (path_fd < 0 || fstat(path_fd, &st) < 0)
                return cannot(a, "its attach socket cannot be opened: %s", strerrordesc_np(errno));
        if (!S_ISSOCK(st.st_mode) || st.st_uid != a->facts.euid)
                return cannot(a, "what lies in its attach socket's place is %s",
                              S_ISSOCK(st.st_mode) ? "another user's" : "no socket");
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return cannot(a, "socket: %s", strerrordesc_np(errno));
        snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", path_fd); /* the very file that was checked */
        if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
                return errno == ECONNREFUSED ? 0 : cannot(a, "its attach socket: %s", strerrordesc_np(errno));
        if (check_peer(a, fd) < 0)
                return -1;
        a->socket_fd = take_fd(&fd);
        return 1;
}

/* ---- waking the listener ---- */

static const char *trigger_name(const Attach *a, char buf[static 32]) {
        snprintf(buf, 32, ".attach_pid%d", (int)a->facts.ns_pid);
        return buf;
}

static bool is_leftover(const struct stat *st, uid_t uid) {
        return S_ISREG(st->st_mode) && st->st_size == 0 && st->st_uid == uid && st->st_nlink == 1 &&
               time(NULL) - st->st_mtime > LEFTOVER_SEC;
}

/* Return: 0; -EEXIST: somebody else attaches just now; other negative errno. */
static int make_trigger_in(Attach *a, int dir_fd) {
        _cleanup_fd_ int fd = -1;
        char buf[32];
        const char *name = trigger_name(a, buf);
        struct stat st;

        if (dir_fd < 0)
                return -ENOENT;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_leftover(&st, a->facts.euid))
                (void)unlinkat(dir_fd, name, 0);
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &a->trigger) < 0 || a->trigger.st_uid != a->facts.euid) { /* NFS may make it another's */
                (void)unlinkat(dir_fd, name, 0);
                return -EPERM;
        }
        a->trigger_dir_fd = dir_fd;
        return 0;
}

static void remove_trigger(Attach *a) {
        char buf[32];
        const char *name = trigger_name(a, buf);
        struct stat st;

        if (a->trigger_dir_fd >= 0 && fstatat(a->trigger_dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_ino == a->trigger.st_ino && st.st_dev == a->trigger.st_dev)
                (void)unlinkat(a->trigger_dir_fd, name, 0);
        a->trigger_dir_fd = -1;
}

/* The JVM looks into its working directory, then into /tmp. */
static int make_trigger(Attach *a) {
        int r = make_trigger_in(a, a->cwd_fd);

        if (r < 0 && r != -EEXIST)
                r = make_trigger_in(a, a->tmp_fd);
        if (r == -EEXIST)
                return cannot(a, "somebody else is attaching to it just now");
        return r < 0 ? cannot(a, "its attach listener sleeps, and no file can be made to wake it: %s",
                              strerrordesc_np(-r))
                     : 0;
}

/* SIGQUIT, as late and as sure as can be: what was proved a moment ago is looked at once more. */
static int send_quit(Attach *a) {
        JvmFacts now;

        if (a->pid_fd < 0)
                return cannot(a, "its attach listener sleeps, and this kernel has no pidfd to wake it by");
        if (is_parent_gone(a))
                return cannot(a, "given up");
        if (!is_same(a) || jvm_look_facts(a->dir_fd, &now) < 0 || !(now.sig_caught >> (SIGQUIT - 1) & 1) ||
            now.euid != a->facts.euid)
                return cannot(a, "it changed while it was looked at");
        if (syscall(SYS_pidfd_send_signal, a->pid_fd, SIGQUIT, NULL, 0) < 0) /* Linux 5.1 */
                return cannot(a, "its attach listener sleeps, and SIGQUIT may not be sent: %s", strerrordesc_np(errno));
        a->reply.woken = 1;
        return 0;
}

/* From the signal on the file has to stay until the JVM has seen it, whoever does not wait for us any more: a JVM that
 * finds none takes the signal for a request to print its threads. Return: as try_connect(). */
static int wait_for_listener(Attach *a, uint64_t deadline_usec) {
        uint64_t pause_usec = POLL_FIRST_USEC;

        for (;;) {
                struct pollfd pfd = {.fd = a->pid_fd, .events = POLLIN};
                int r = try_connect(a);

                if (r != 0 || now_mono_usec() >= deadline_usec)
                        return r;
                if (poll(&pfd, 1, (int)(pause_usec / USEC_PER_MSEC)) > 0)
                        return cannot(a, "it has ended");
                pause_usec = min_of(pause_usec * 2, POLL_LAST_USEC);
        }
}

/* Return: 0: connected; -1: not, and the trigger file may still be there: tidy_up(). */
static int wake_listener(Attach *a) {
        const char *why = "";
        int r;

        if (!jvm_look_may_signal(a->dir_fd, a->root_fd, a->env_fd, &a->look, &why))
                return cannot(a, "%s", why);
        if (make_trigger(a) < 0 || send_quit(a) < 0)
                return -1;
        r = wait_for_listener(a, a->deadline_usec);
        if (r == 0)
                return cannot(a, "the JVM was asked to attach and did not answer in time");
        if (r > 0)
                remove_trigger(a);
        return r > 0 ? 0 : -1;
}

/* After the end was told. */
static void tidy_up(Attach *a) {
        if (a->trigger_dir_fd < 0)
                return;
        if (a->reply.woken)
                (void)wait_for_listener(a, now_mono_usec() + LATE_WAKE_MAX_USEC);
        remove_trigger(a);
}

/* ---- the call ---- */

static int connect_to_jvm(Attach *a) {
        int r;

        a->tmp_fd = jvm_look_open(a->root_fd, "tmp", O_PATH | O_DIRECTORY);
        if (a->tmp_fd < 0)
                return cannot(a, "its /tmp cannot be opened: %s", strerrordesc_np(-a->tmp_fd));
        r = try_connect(a);
        return r == 0 ? wake_listener(a) : r < 0 ? -1 : 0;
}

static int ask(Attach *a) {
        const char *request;
        size_t n;

        request = jvm_wire_request(a->q->command, &n);
        if (!is_same(a) || is_parent_gone(a))
                return cannot(a, "given up");
        a->reply.rss_before_bytes = rss_now(a);
        if (a->reply.rss_before_bytes == 0)
                return cannot(a, "it has ended");
        a->reply.result = JVM_BEGUN;
        say(a);
        /* the end of ours is shown too: a JVM that wants more strings than this must not wait for them for ever */
        if (send(a->socket_fd, request, n, MSG_NOSIGNAL) != (ssize_t)n || shutdown(a->socket_fd, SHUT_WR) < 0)
                return cannot(a, "%s", jvm_wire_text(a->q->command, JVM_ANSWER_NOTHING));
        return 0;
}

/* Up to the end of the stream, or as much as no JVM says. Return: bytes; -ETIMEDOUT. */
static ssize_t read_answer(Attach *a, char buf[static JVM_WIRE_TEXT_MAX], uint64_t deadline_usec) {
        const size_t most = jvm_wire_limit(a->q->command);
        size_t have = 0;

        while (have < most) {
                struct pollfd pfd = {.fd = a->socket_fd, .events = POLLIN};
                uint64_t now = now_mono_usec();
                ssize_t n;

                if (now >= deadline_usec)
                        return -ETIMEDOUT;
                if (poll(&pfd, 1, (int)min_of((deadline_usec - now + 999) / 1000, (uint64_t)INT_MAX)) <= 0)
                        continue;
                n = read(a->socket_fd, buf + have, most - have);
                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                        break; /* ECONNRESET: it hung up on what we sent */
                have += n > 0 ? (size_t)n : 0;
        }
        return (ssize_t)have;
}

static bool hand_over(const Attach *a, const char *text, size_t n) {
        return pwrite(a->q->text_fd, text, n, 0) == (ssize_t)n;
}

static void take_answer(Attach *a, const char *text, size_t n) {
        size_t body = n;
        JvmAnswer answer = jvm_wire_parse(a->q->command, text, n, &body);

        a->reply.rss_after_bytes = rss_now(a);
        if (answer != JVM_ANSWER_TRIMMED && answer != JVM_ANSWER_TEXT)
                (void)cannot(a, "%s", jvm_wire_text(a->q->command, answer));
        else if (answer == JVM_ANSWER_TEXT && !hand_over(a, text + body, n - body))
                (void)cannot(a, "its answer could not be kept: %s", strerrordesc_np(errno));
        else if (a->reply.rss_after_bytes == 0)
                (void)cannot(a, "it has ended");
        else
                a->reply.result = JVM_DONE;
}

/* Nobody may begin a second call while this one still runs, and the lock lives as long as we do. */
static void linger(Attach *a, char text[static JVM_WIRE_TEXT_MAX]) {
        a->channel = fd_close(a->channel);
        (void)read_answer(a, text, now_mono_usec() + JVM_LINGER_MAX_USEC);
}

static void call(Attach *a) {
        static char text[JVM_WIRE_TEXT_MAX]; /* the child's: nobody else touches its pages */
        uint64_t begin_usec = now_mono_usec();
        ssize_t n;

        if (ask(a) < 0) {
                say(a);
                return;
        }
        n = read_answer(a, text, begin_usec + a->q->finish_usec);
        a->reply.duration_usec = now_mono_usec() - begin_usec;
        if (n < 0)
                (void)end(a, JVM_TIMEOUT, "the JVM has not %s in its time",
                          a->q->command == JVM_TRIM ? "finished the trim" : "answered");
        else
                take_answer(a, text, (size_t)n);
        say(a);
        if (n < 0)
                linger(a, text);
}

void jvm_attach_run(const JvmRequest *q, int channel) {
        Attach a = {
                .q = q,
                .channel = channel,
                .dir_fd = -1,
                .pid_fd = -1,
                .root_fd = -1,
                .tmp_fd = -1,
                .cwd_fd = -1,
                .env_fd = -1,
                .lock_fd = -1,
                .socket_fd = -1,
                .trigger_dir_fd = -1,
                .begin_usec = now_mono_usec(),
        };

        a.deadline_usec = a.begin_usec + q->attach_usec;
        if (hold_target(&a) < 0 || judge(&a) < 0 || open_places(&a) < 0 || become_target(&a) < 0 || lock(&a) < 0 ||
            connect_to_jvm(&a) < 0) {
                say(&a);
                tidy_up(&a);
        } else
                call(&a);
        /* the descriptors go with the process */
}
