/* SPDX-License-Identifier: Apache-2.0 */
#include "targets/mkleak.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_NSEC 10000000000u /* far above any stop that a test may cause */
#define ERRNO_KEPT    4242         /* no errno of any kernel */
#define BYTE_WAKE     'w'

/* ---- by descriptor: a byte arrives on w->fd */

static int fd_open(Waiter *w) {
        int fds[2];

        if (w->fd >= 0) /* the main thread, on stdin */
                return 0;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        w->fd = fds[0];
        w->peer_fd = fds[1];
        return 0;
}

static int fd_wake(Waiter *w) {
        return write(w->peer_fd, &(char){BYTE_WAKE}, 1) == 1 ? 0 : -errno;
}

static int fd_take(Waiter *w) {
        ssize_t n = read(w->fd, &w->byte, 1);

        if (n < 0)
                return -errno;
        return n == 1 ? 0 : -EPIPE;
}

static int poll_result(Waiter *w, int r, bool readable, bool timed) {
        if (r < 0)
                return -errno;
        if (r == 0)
                return timed ? 1 : -EPROTO; /* an infinite wait cannot time out */
        return r == 1 && readable ? fd_take(w) : -EPROTO;
}

static int poll_once(Waiter *w, int timeout_ms) {
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        int r = poll(&p, 1, timeout_ms);

        return poll_result(w, r, p.revents & (POLLIN | POLLHUP), timeout_ms >= 0);
}

static int poll_block(Waiter *w) {
        return poll_once(w, -1);
}

static int poll_timed_block(Waiter *w) {
        return poll_once(w, (int)(w->timeout_nsec / 1000000));
}

static int ppoll_block(Waiter *w) {
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        int r = ppoll(&p, 1, NULL, NULL);

        return poll_result(w, r, p.revents & (POLLIN | POLLHUP), false);
}

static int select_block(Waiter *w) {
        fd_set set;

        FD_ZERO(&set);
        FD_SET(w->fd, &set);
        int r = select(w->fd + 1, &set, NULL, NULL, NULL);
        return poll_result(w, r, FD_ISSET(w->fd, &set), false);
}

static int pselect_timed_block(Waiter *w) {
        struct timespec ts = {.tv_sec = (time_t)(w->timeout_nsec / 1000000000u),
                              .tv_nsec = (long)(w->timeout_nsec % 1000000000u)};
        fd_set set;

        FD_ZERO(&set);
        FD_SET(w->fd, &set);
        int r = pselect(w->fd + 1, &set, NULL, NULL, &ts, NULL);
        return poll_result(w, r, FD_ISSET(w->fd, &set), true);
}

static int epoll_open(Waiter *w) {
        int r = fd_open(w);

        if (r < 0)
                return r;
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = 4711};
        w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (w->epoll_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) < 0)
                return -errno;
        return 0;
}

static int epoll_once(Waiter *w, int timeout_ms) {
        struct epoll_event e[4] = {};
        int r = epoll_wait(w->epoll_fd, e, 4, timeout_ms);

        return poll_result(w, r, e[0].data.u64 == 4711 && (e[0].events & (EPOLLIN | EPOLLHUP)), timeout_ms >= 0);
}

static int epoll_block(Waiter *w) {
        return epoll_once(w, -1);
}

static int epoll_timed_block(Waiter *w) {
        return epoll_once(w, (int)(w->timeout_nsec / 1000000));
}

/* ---- sockets */

static int recv_open(Waiter *w) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        w->fd = fds[0];
        w->peer_fd = fds[1];
        return 0;
}

static int recv_timed_open(Waiter *w) {
        struct timeval tv = {.tv_sec = (time_t)(w->timeout_nsec / 1000000000u),
                             .tv_usec = (suseconds_t)(w->timeout_nsec / 1000 % 1000000u)};
        int r = recv_open(w);

        if (r < 0)
                return r;
        return setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

static int recv_block(Waiter *w) {
        ssize_t n = recv(w->fd, &w->byte, 1, 0);

        return n == 1 ? 0 : n == 0 ? -EPIPE : -errno;
}

static int recv_timed_block(Waiter *w) {
        int r = recv_block(w);

        return r == -EAGAIN ? 1 : r; /* SO_RCVTIMEO ran out: socket(7) */
}

static int accept_open(Waiter *w) {
        w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (w->fd < 0)
                return -errno;
        /* an address of the family alone: the kernel picks an abstract name ("autobind", unix(7)) */
        if (bind(w->fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX}, sizeof(sa_family_t)) < 0 ||
            listen(w->fd, 4) < 0)
                return -errno;
        return 0;
}

static int accept_block(Waiter *w) {
        _cleanup_fd_ int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return -errno;
        return read(fd, &w->byte, 1) == 1 ? 0 : -EPROTO;
}

static int accept_wake(Waiter *w) {
        struct sockaddr_un sa = {};
        socklen_t n = sizeof(sa);
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || getsockname(w->fd, (struct sockaddr *)&sa, &n) < 0 ||
            connect(fd, (struct sockaddr *)&sa, n) < 0)
                return -errno;
        return write(fd, &(char){BYTE_WAKE}, 1) == 1 ? 0 : -errno;
}

/* ---- locks and words */

static int word_open(Waiter *w) {
        return -(pthread_mutex_init(&w->mutex, NULL) ?: pthread_cond_init(&w->cond, NULL)) ?: sem_init(&w->sem, 0, 0);
}

static int word_take(Waiter *w) {
        if (w->word != 1)
                return -EPROTO;
        w->word = 0;
        w->byte = BYTE_WAKE;
        return 0;
}

static int futex_once(Waiter *w, const struct timespec *timeout) {
        long r = syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, 0, timeout, NULL, 0);

        if (r < 0 && errno == ETIMEDOUT)
                return timeout ? 1 : -EPROTO;
        if (r < 0 && errno != EAGAIN) /* EAGAIN: woken before it slept */
                return -errno;
        return word_take(w);
}

static int futex_block(Waiter *w) {
        return futex_once(w, NULL);
}

static int futex_timed_block(Waiter *w) {
        return futex_once(w, &(struct timespec){.tv_sec = (time_t)(w->timeout_nsec / 1000000000u),
                                                .tv_nsec = (long)(w->timeout_nsec % 1000000000u)});
}

static int futex_wake(Waiter *w) {
        w->word = 1;
        return syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int cond_block(Waiter *w) {
        int r = 0;

        pthread_mutex_lock(&w->mutex);
        while (r == 0 && w->word == 0)
                r = -pthread_cond_wait(&w->cond, &w->mutex);
        if (r == 0)
                r = word_take(w);
        pthread_mutex_unlock(&w->mutex);
        return r;
}

static int cond_wake(Waiter *w) {
        pthread_mutex_lock(&w->mutex);
        w->word = 1;
        pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&w->mutex);
        return 0;
}

static int sem_block(Waiter *w) {
        if (sem_wait(&w->sem) < 0)
                return -errno;
        w->byte = BYTE_WAKE;
        return 0;
}

static int sem_wake(Waiter *w) {
        return sem_post(&w->sem) < 0 ? -errno : 0;
}

/* ---- clocks and signals */

static int sleep_for(Waiter *w, clockid_t clock, int flags) {
        struct timespec ts = {};
        uint64_t until = w->timeout_nsec;

        if (flags & TIMER_ABSTIME)
                until += mk_now_nsec();
        ts.tv_sec = (time_t)(until / 1000000000u);
        ts.tv_nsec = (long)(until % 1000000000u);
        return -clock_nanosleep(clock, flags, &ts, NULL) ?: 1;
}

/* the main thread's stdin is looked at between two sleeps; a worker's pipe stays empty */
static int nanosleep_block(Waiter *w) {
        int r = sleep_for(w, CLOCK_REALTIME, 0);

        return r == 1 && w->fd >= 0 ? poll_once(w, 0) : r;
}

static int clock_nanosleep_block(Waiter *w) {
        return sleep_for(w, CLOCK_MONOTONIC, TIMER_ABSTIME);
}

static int no_open(Waiter *w _unused_) {
        return 0;
}

static int sigwait_block(Waiter *w) {
        siginfo_t si = {};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        if (sigwaitinfo(&set, &si) < 0)
                return -errno;
        if (si.si_signo != SIGUSR2 || si.si_pid != getpid())
                return -EPROTO;
        w->byte = BYTE_WAKE;
        return 0;
}

static int sigwait_wake(Waiter *w) {
        return -pthread_kill(w->thread, SIGUSR2);
}

static const WaitKind kinds[] = {
        {"read", fd_open, fd_take, fd_wake, true},
        {"poll", fd_open, poll_block, fd_wake, true},
        {"poll-timed", fd_open, poll_timed_block, fd_wake, true},
        {"ppoll", fd_open, ppoll_block, fd_wake, true},
        {"select", fd_open, select_block, fd_wake, true},
        {"pselect-timed", fd_open, pselect_timed_block, fd_wake, true},
        {"epoll", epoll_open, epoll_block, fd_wake, true},
        {"epoll-timed", epoll_open, epoll_timed_block, fd_wake, true},
        {"nanosleep", no_open, nanosleep_block, NULL, true},
        {"clock-nanosleep", no_open, clock_nanosleep_block, NULL, false},
        {"futex", word_open, futex_block, futex_wake, false},
        {"futex-timed", word_open, futex_timed_block, futex_wake, false},
        {"cond", word_open, cond_block, cond_wake, false},
        {"sem", word_open, sem_block, sem_wake, false},
        {"recv", recv_open, recv_block, fd_wake, false},
        {"recv-timed", recv_timed_open, recv_timed_block, fd_wake, false},
        {"accept", accept_open, accept_block, accept_wake, false},
        {"sigwait", no_open, sigwait_block, sigwait_wake, false},
};

const WaitKind *wait_kind(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(kinds[i].name, name) == 0)
                        return kinds + i;
        mk_die(name, EINVAL);
}

void wait_kinds_print(void) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                printf(" %s", kinds[i].name);
        printf("\n");
}

size_t wait_kinds_count(const char *list) {
        size_t n = 1;

        if (strcmp(list, "all") == 0)
                return ELEMENTSOF(kinds);
        for (const char *at = list; (at = strchr(at, ',')); at++)
                n++;
        return n;
}

/* the @i-th kind of "all" or of "epoll,futex", taken in turns */
static const WaitKind *kind_in_turn(const char *list, size_t i) {
        char name[32];
        const char *at = list;

        if (strcmp(list, "all") == 0)
                return kinds + i % ELEMENTSOF(kinds);
        for (i %= wait_kinds_count(list); i > 0; i--)
                at = strchr(at, ',') + 1;
        size_t n = strcspn(at, ",");
        if (n >= sizeof(name))
                mk_die(at, EINVAL);
        memcpy(name, at, n);
        name[n] = 0;
        return wait_kind(name);
}

/* ---- threads */

static void waiter_init(Waiter *w, Mk *m, const WaitKind *kind) {
        w->m = m;
        w->kind = kind;
        w->fd = w->peer_fd = w->epoll_fd = -1;
        w->timeout_nsec = mk_arg_u64(m, "timeout_ms", 200) * 1000000;
}

void stdin_waiter_init(Mk *m, const char *kind) {
        Waiter *w = &m->stdin_waiter;

        waiter_init(w, m, wait_kind(kind));
        if (!w->kind->by_fd)
                mk_die("the main thread cannot wait for stdin so", EINVAL);
        w->fd = STDIN_FILENO;
        int r = w->kind->open(w);
        if (r < 0)
                mk_die(kind, r);
}

static void waiter_count(Waiter *w, int r, uint64_t took_nsec) {
        if (r == 0 && w->byte != BYTE_WAKE)
                r = -EPROTO;
        if (r == 0) {
                w->n_wakes++;
        } else if (r == 1) {
                w->n_timeouts++;
                /* poll's and epoll_wait's milliseconds and nanosleep alike never end early (POSIX) */
                if (took_nsec < w->timeout_nsec) {
                        w->n_bad++;
                        mk_bad(w->m, "timed-out-early");
                } else {
                        w->over_max_nsec = max_of((uint64_t)w->over_max_nsec, took_nsec - w->timeout_nsec);
                }
        } else if (r == -EINTR) {
                w->n_eintr++;
        } else {
                w->n_bad++;
                mk_bad(w->m, w->kind->name);
        }
}

static void *waiter_main(void *userdata) {
        Waiter *w = userdata;
        sigset_t before, after;

        if (w->prepare)
                w->prepare(w);
        memset(&before, 0, sizeof(before));
        pthread_sigmask(SIG_BLOCK, NULL, &before);
        w->tid = gettid();
        for (;;) {
                uint64_t start = mk_now_nsec();
                errno = ERRNO_KEPT;
                w->byte = 0;
                int r = w->kind->block(w);
                int error = errno;
                waiter_count(w, r, mk_now_nsec() - start);
                if (error != ERRNO_KEPT && r == 0 && w->kind->by_fd)
                        mk_bad(w->m, "errno-changed-by-a-call-that-succeeded");
                memset(&after, 0, sizeof(after));
                pthread_sigmask(SIG_BLOCK, NULL, &after);
                if (memcmp(&before, &after, sizeof(before)) != 0)
                        mk_bad(w->m, "signal-mask-changed");
        }
        return NULL;
}

/* /proc/self/task/TID/stat: "tid (name) S ..."; the name is ours and has no ')' */
static bool thread_sleeps(pid_t tid) {
        char path[64], buf[128] = "";

        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
                return false;
        const char *at = strchr(buf, ')');
        return at && at[1] == ' ' && at[2] == 'S';
}

static void wait_until_asleep(Waiter *w) {
        uint64_t deadline = mk_now_nsec() + DEADLINE_NSEC;

        while (w->tid == 0 || !thread_sleeps(w->tid)) {
                if (w->tid == 0 && w->prepare)
                        deadline = mk_now_nsec() + DEADLINE_NSEC; /* it still builds its heap */
                if (mk_now_nsec() > deadline)
                        mk_die("a thread does not go to sleep", ETIMEDOUT);
                nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        }
}

void waiters_start(Mk *m, size_t n, const char *list, void (*prepare)(Waiter *w)) {
        pthread_attr_t attr;
        sigset_t usr2;

        if (n > MK_THREADS_MAX || !(m->waiters = calloc(n + 1, sizeof(Waiter))))
                mk_die("threads=", n > MK_THREADS_MAX ? EINVAL : ENOMEM);
        sigemptyset(&usr2);
        sigaddset(&usr2, SIGUSR2);
        pthread_sigmask(SIG_BLOCK, &usr2, NULL); /* for sigwait; inherited by all */
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 256 * 1024);
        for (m->n_waiters = 0; m->n_waiters < n; m->n_waiters++) {
                Waiter *w = m->waiters + m->n_waiters;

                waiter_init(w, m, kind_in_turn(list, m->n_waiters));
                w->prepare = prepare;
                int r = w->kind->open(w);
                if (r < 0)
                        mk_die(w->kind->name, r);
                r = pthread_create(&w->thread, &attr, waiter_main, w);
                if (r != 0)
                        mk_die("pthread_create", r);
        }
        pthread_attr_destroy(&attr);
        for (size_t i = 0; i < n; i++)
                wait_until_asleep(m->waiters + i);
}

int waiters_wake(Mk *m) {
        uint64_t deadline = mk_now_nsec() + DEADLINE_NSEC;
        int n = 0;

        for (size_t i = 0; i < m->n_waiters; i++) {
                Waiter *w = m->waiters + i;
                uint64_t seen = w->n_wakes + w->n_bad;

                if (!w->kind->wake)
                        continue;
                if (w->kind->wake(w) < 0)
                        return -ETIMEDOUT;
                while (w->n_wakes + w->n_bad == seen) {
                        if (mk_now_nsec() > deadline)
                                return -ETIMEDOUT;
                        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
                }
                n++;
        }
        for (size_t i = 0; i < m->n_waiters; i++)
                wait_until_asleep(m->waiters + i);
        return n;
}

/* ---- the ticker: how long was everybody held up? */

static void *ticker_main(void *userdata) {
        Ticker *t = userdata;
        uint64_t next = mk_now_nsec(), last = next;

        for (;;) {
                next += t->period_nsec;
                int r = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
                                        &(struct timespec){.tv_sec = (time_t)(next / 1000000000u),
                                                           .tv_nsec = (long)(next % 1000000000u)},
                                        NULL);
                if (r == EINTR)
                        t->n_eintr++;
                if (t->alloc_bytes)
                        free(memset(malloc(t->alloc_bytes), 1, t->alloc_bytes));
                uint64_t now = mk_now_nsec();
                t->n_ticks++;
                t->gap_max_nsec = max_of((uint64_t)t->gap_max_nsec, now - last);
                last = now;
                if (now > next + t->period_nsec) /* missed ticks are one gap, not a burst */
                        next = now;
        }
        return NULL;
}

void ticker_start(Mk *m, uint64_t period_nsec) {
        if (period_nsec == 0)
                return;
        m->ticker.period_nsec = period_nsec;
        m->ticker.alloc_bytes = mk_arg_u64(m, "tick_alloc", 0);
        int r = pthread_create(&m->ticker.thread, NULL, ticker_main, &m->ticker);
        if (r != 0)
                mk_die("pthread_create", r);
        m->ticker.running = true;
}
