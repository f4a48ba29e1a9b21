/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats that wait for a descriptor: a message is a number of four bytes.
 */
#include "targets/unseen.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define TIMER_NSEC 15000000u

static int pipe_open(Seat *s) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        s->fd = fds[0];
        s->peer_fd = fds[1];
        return 0;
}

static int number_send(Seat *s, uint32_t seq) {
        return write(s->peer_fd, &seq, sizeof(seq)) == (ssize_t)sizeof(seq) ? 0 : -errno;
}

static int number_result(ssize_t n) {
        return n == (ssize_t)sizeof(uint32_t) ? SEAT_GOT : n < 0 ? -errno : -EPROTO;
}

static int number_read(Seat *s, uint32_t *ret_seq) {
        return number_result(read(s->fd, ret_seq, sizeof(*ret_seq)));
}

/* ---- readiness */

static int ready_result(Seat *s, int r, bool readable, uint32_t *ret_seq) {
        if (r < 0)
                return -errno;
        if (r == 0)
                return s->kind->timed ? SEAT_TIMED_OUT : -EPROTO; /* an endless wait cannot time out */
        return r == 1 && readable ? number_read(s, ret_seq) : -EPROTO;
}

static int timeout_msec(const Seat *s) {
        return s->kind->timed ? (int)(s->timeout_nsec / 1000000) : -1;
}

#ifdef SYS_poll
static int poll_wait(Seat *s, uint32_t *ret_seq) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        int r = poll(&p, 1, timeout_msec(s));

        return ready_result(s, r, p.revents == POLLIN, ret_seq);
}

/* by number: glibc makes pselect6 of it */
static int select_wait(Seat *s, uint32_t *ret_seq) {
        struct timeval tv = {.tv_usec = (suseconds_t)(s->timeout_nsec / 1000)};
        fd_set set;

        FD_ZERO(&set);
        FD_SET(s->fd, &set);
        long r = syscall(SYS_select, s->fd + 1, &set, NULL, NULL, s->kind->timed ? &tv : NULL);
        return ready_result(s, (int)r, FD_ISSET(s->fd, &set), ret_seq);
}
#endif

static int ppoll_with(Seat *s, const sigset_t *mask, uint32_t *ret_seq) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        struct timespec ts = seat_timeout(s);
        int r = ppoll(&p, 1, s->kind->timed ? &ts : NULL, mask);

        return ready_result(s, r, p.revents == POLLIN, ret_seq);
}

static int ppoll_wait(Seat *s, uint32_t *ret_seq) {
        return ppoll_with(s, NULL, ret_seq);
}

static sigset_t a_mask(void) {
        sigset_t mask;

        sigfillset(&mask);
        return mask;
}

static int ppoll_mask_wait(Seat *s, uint32_t *ret_seq) {
        sigset_t mask = a_mask();

        return ppoll_with(s, &mask, ret_seq);
}

static int pselect_with(Seat *s, const sigset_t *mask, uint32_t *ret_seq) {
        struct timespec ts = seat_timeout(s);
        fd_set set;

        FD_ZERO(&set);
        FD_SET(s->fd, &set);
        int r = pselect(s->fd + 1, &set, NULL, NULL, s->kind->timed ? &ts : NULL, mask);
        return ready_result(s, r, FD_ISSET(s->fd, &set), ret_seq);
}

static int pselect_wait(Seat *s, uint32_t *ret_seq) {
        return pselect_with(s, NULL, ret_seq);
}

static int pselect_mask_wait(Seat *s, uint32_t *ret_seq) {
        sigset_t mask = a_mask();

        return pselect_with(s, &mask, ret_seq);
}

static int epoll_open(Seat *s) {
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = 4711};
        int r = pipe_open(s);

        if (r < 0)
                return r;
        s->other_fd = epoll_create1(EPOLL_CLOEXEC);
        return s->other_fd < 0 || epoll_ctl(s->other_fd, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

static int epoll_result(Seat *s, int r, const struct epoll_event *e, uint32_t *ret_seq) {
        return ready_result(s, r, e->data.u64 == 4711 && e->events == EPOLLIN, ret_seq);
}

static int epoll_seat_wait(Seat *s, uint32_t *ret_seq) {
        struct epoll_event e = {};

        return epoll_result(s, epoll_wait(s->other_fd, &e, 1, timeout_msec(s)), &e, ret_seq);
}

/* by number: without a mask glibc may make epoll_wait of it */
static int epoll_pwait_seat(Seat *s, uint32_t *ret_seq) {
        struct epoll_event e = {};
        long r = syscall(SYS_epoll_pwait, s->other_fd, &e, 1, timeout_msec(s), NULL, _NSIG / 8);

        return epoll_result(s, (int)r, &e, ret_seq);
}

static int epoll_pwait_mask_seat(Seat *s, uint32_t *ret_seq) {
        struct epoll_event e = {};
        sigset_t mask = a_mask();

        return epoll_result(s, epoll_pwait(s->other_fd, &e, 1, timeout_msec(s), &mask), &e, ret_seq);
}

#ifdef SYS_epoll_pwait2 /* Linux 5.11 */
static int epoll_pwait2_seat(Seat *s, uint32_t *ret_seq) {
        struct timespec ts = seat_timeout(s);
        struct epoll_event e = {};
        long r = syscall(SYS_epoll_pwait2, s->other_fd, &e, 1, s->kind->timed ? &ts : NULL, NULL, 0);

        return epoll_result(s, (int)r, &e, ret_seq);
}

static int epoll_pwait2_open(Seat *s) {
        struct epoll_event e;
        int r = epoll_open(s);

        if (r == 0 && syscall(SYS_epoll_pwait2, s->other_fd, &e, 1, &(struct timespec){}, NULL, 0) < 0)
                return -errno;
        return r;
}
#endif

/* ---- other things to read */

static int eventfd_open(Seat *s) {
        s->fd = s->peer_fd = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
        return s->fd < 0 ? -errno : 0;
}

static int eventfd_wait(Seat *s, uint32_t *ret_seq) {
        uint64_t n = 0;

        if (read(s->fd, &n, sizeof(n)) < 0)
                return -errno;
        *ret_seq = seat_count(s);
        return n == 1 ? SEAT_GOT : -EPROTO;
}

static int eventfd_send(Seat *s, uint32_t seq _unused_) {
        return write(s->peer_fd, &(uint64_t){1}, 8) == 8 ? 0 : -errno;
}

static int timerfd_open(Seat *s) {
        struct itimerspec its = {.it_interval.tv_nsec = TIMER_NSEC};

        s->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        s->start_nsec = mk_now_nsec();
        its.it_value = (struct timespec){.tv_sec = (time_t)((s->start_nsec + TIMER_NSEC) / 1000000000u),
                                         .tv_nsec = (long)((s->start_nsec + TIMER_NSEC) % 1000000000u)};
        return s->fd < 0 || timerfd_settime(s->fd, TFD_TIMER_ABSTIME, &its, NULL) < 0 ? -errno : 0;
}

/* every expiration is told once, none before its time */
static int timerfd_wait(Seat *s, uint32_t *ret_seq _unused_) {
        uint64_t n = 0, due = (mk_now_nsec() - s->start_nsec) / TIMER_NSEC;

        if (read(s->fd, &n, sizeof(n)) < 0)
                return -errno;
        s->n_taken += (unsigned)n;
        if (s->n_taken > (mk_now_nsec() - s->start_nsec) / TIMER_NSEC)
                s->n_early++;
        if (s->n_taken < due)
                seat_wrong(s, "an-expiration-is-missing");
        return SEAT_AGAIN;
}

/* of a file without a name: nothing to clean up */
static int inotify_open(Seat *s) {
        char path[32];

        s->other_fd = memfd_create("unseen", MFD_CLOEXEC);
        s->fd = inotify_init1(IN_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", s->other_fd);
        s->peer_fd = open(path, O_RDWR | O_CLOEXEC); /* what is done by the first descriptor is told to nobody */
        return s->peer_fd < 0 || s->fd < 0 || inotify_add_watch(s->fd, path, IN_MODIFY) < 0 ? -errno : 0;
}

static int inotify_wait(Seat *s, uint32_t *ret_seq) {
        struct inotify_event e = {};

        if (read(s->fd, &e, sizeof(e)) < 0)
                return -errno;
        *ret_seq = seat_take(s);
        return e.mask == IN_MODIFY ? SEAT_GOT : -EPROTO;
}

/* two like events that nobody read yet are one (inotify(7)) */
static int inotify_send(Seat *s, uint32_t seq) {
        int r = seat_put(s, seq);

        return r < 0 ? r : pwrite(s->peer_fd, "x", 1, 0) == 1 ? 0 : -errno;
}

static int tty_open(Seat *s) {
        struct termios t;
        char name[64];

        s->peer_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (s->peer_fd < 0 || grantpt(s->peer_fd) < 0 || unlockpt(s->peer_fd) < 0 ||
            ptsname_r(s->peer_fd, name, sizeof(name)) != 0)
                return -errno;
        s->fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (s->fd < 0 || tcgetattr(s->fd, &t) < 0)
                return -errno;
        cfmakeraw(&t);
        t.c_cc[VMIN] = sizeof(uint32_t);
        t.c_cc[VTIME] = 0;
        return tcsetattr(s->fd, TCSANOW, &t) < 0 ? -errno : 0;
}

/* blocked in every thread since the start */
#define SIGNALFD_SIGNAL (SIGRTMIN + 3)

static int signalfd_open(Seat *s) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGNALFD_SIGNAL);
        s->fd = signalfd(-1, &set, SFD_CLOEXEC);
        return s->fd < 0 ? -errno : 0;
}

static int signalfd_wait(Seat *s, uint32_t *ret_seq) {
        struct signalfd_siginfo si = {};

        if (read(s->fd, &si, sizeof(si)) < 0)
                return -errno;
        *ret_seq = (uint32_t)si.ssi_int;
        return (int)si.ssi_signo == SIGNALFD_SIGNAL ? SEAT_GOT : -EPROTO;
}

static int signalfd_send(Seat *s, uint32_t seq) {
        return -pthread_sigqueue(s->thread, SIGNALFD_SIGNAL, (union sigval){.sival_int = (int)seq});
}

/* a message that was begun and not finished would be seen by whoever reads the pipe: this seat writes to one that is
 * full
 */
static int write_open(Seat *s) {
        char page[4096] = "";
        int r = pipe_open(s);

        if (r == 0 && fcntl(s->peer_fd, F_SETPIPE_SZ, sizeof(page)) < 0)
                r = -errno;
        return r;
}

static int write_wait(Seat *s, uint32_t *ret_seq) {
        char text[PIPE_BUF] = "";
        uint32_t seq = s->n_got + 1;

        memcpy(text, &seq, sizeof(seq));
        ssize_t n = write(s->peer_fd, text, sizeof(text));
        *ret_seq = seq;
        return n == (ssize_t)sizeof(text) ? SEAT_GOT : n < 0 ? -errno : -EPROTO;
}

/* the feeder reads; the first number is the oldest */
static int write_answer(Seat *s, uint32_t seq) {
        char text[PIPE_BUF];
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        uint32_t number;

        if (poll(&p, 1, 0) != 1)
                return -EAGAIN;
        ssize_t n = read(s->fd, text, sizeof(text));
        memcpy(&number, text, sizeof(number));
        if (n != (ssize_t)sizeof(text) || number != seq)
                seat_wrong(s, "a-write-was-torn");
        return 0;
}

/* ---- sockets */

static int datagrams_open(Seat *s) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        s->fd = fds[0];
        s->peer_fd = fds[1];
        return 0;
}

static int recvmsg_wait(Seat *s, uint32_t *ret_seq) {
        struct iovec iov = {ret_seq, sizeof(*ret_seq)};
        struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

        return number_result(recvmsg(s->fd, &mh, 0));
}

static int recv_wait(Seat *s, uint32_t *ret_seq) {
        return number_result(recv(s->fd, ret_seq, sizeof(*ret_seq), 0));
}

/* SO_RCVTIMEO: interrupted it is EINTR, never begun again by the kernel itself (signal(7)). It is counted in ticks,
 * which lag behind the clock where a virtual processor had no turn: with nobody near, 4 of 38,297 ended up to 4.0 ms
 * early. */
#define TICK_NSEC 10000000 /* the longest there is, CONFIG_HZ=100 */

static int recv_timed_wait(Seat *s, uint32_t *ret_seq) {
        struct timeval tv = {.tv_usec = (suseconds_t)(s->timeout_nsec / 1000)};

        if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0)
                return -EPROTO;
        int r = recv_wait(s, ret_seq);
        return r == -EAGAIN ? SEAT_TIMED_OUT : r;
}

/* a listener on loopback, for as long as it takes to make a pair of connected sockets */
static int tcp_open(Seat *s) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr *sa = (struct sockaddr *)&in;
        socklen_t n = sizeof(in);
        _cleanup_fd_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        s->peer_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (listener < 0 || bind(listener, sa, n) < 0 || listen(listener, 1) < 0 || getsockname(listener, sa, &n) < 0 ||
            s->peer_fd < 0 || connect(s->peer_fd, sa, n) < 0)
                return -errno;
        s->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        return s->fd < 0 ? -errno : 0;
}

static int listener_open(Seat *s) {
        static struct sockaddr_un names[2];
        static size_t n_names;
        socklen_t n = sizeof(names[0]);

        s->own = names + n_names++ % ELEMENTSOF(names);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* an address of the family alone: the kernel picks an abstract name ("autobind", unix(7)) */
        if (s->fd < 0 ||
            bind(s->fd, (struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX}, sizeof(sa_family_t)) < 0 ||
            listen(s->fd, 0) < 0 || getsockname(s->fd, s->own, &n) < 0)
                return -errno;
        s->other_fd = (int)n;
        return 0;
}

static int connect_and_say(Seat *s, uint32_t seq) {
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, s->own, (socklen_t)s->other_fd) < 0)
                return -errno;
        return write(fd, &seq, sizeof(seq)) == (ssize_t)sizeof(seq) ? 0 : -EPROTO;
}

static int accept_and_hear(Seat *s, uint32_t *ret_seq) {
        _cleanup_fd_ int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

        return fd < 0 ? -errno : number_result(read(fd, ret_seq, sizeof(*ret_seq))) < 0 ? -EPROTO : SEAT_GOT;
}

static int accept_send(Seat *s, uint32_t seq) {
        int r = seat_put(s, seq); /* or the feeder would be the one that blocks in connect */

        return r < 0 ? r : connect_and_say(s, seq);
}

static int accept_seat_wait(Seat *s, uint32_t *ret_seq) {
        int r = accept_and_hear(s, ret_seq);

        if (r == SEAT_GOT)
                seat_take(s);
        return r;
}

/* the queue holds one, then connect() blocks until the feeder accepts */
static int connect_wait(Seat *s, uint32_t *ret_seq) {
        *ret_seq = s->n_got + 1;
        return connect_and_say(s, *ret_seq);
}

static int connect_answer(Seat *s, uint32_t seq) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        uint32_t number = 0;

        if (poll(&p, 1, 0) != 1)
                return -EAGAIN;
        if (accept_and_hear(s, &number) < 0 || number != seq)
                seat_wrong(s, "a-connection-was-lost");
        return 0;
}

const SeatKind seats_of_descriptors[] = {
        {.name = "read-pipe", pipe_open, number_read, number_send},
        {.name = "read-eventfd", eventfd_open, eventfd_wait, eventfd_send},
        {.name = "read-timerfd", timerfd_open, timerfd_wait, NULL},
        {.name = "read-inotify", inotify_open, inotify_wait, inotify_send},
        {.name = "read-tty", tty_open, number_read, number_send},
        {.name = "read-signalfd", signalfd_open, signalfd_wait, signalfd_send},
        {.name = "write-pipe", write_open, write_wait, write_answer, .answers = true},
        {.name = "recv-tcp", tcp_open, recv_wait, number_send},
        {.name = "recv-timed", datagrams_open, recv_timed_wait, number_send, .timed = true, .slack_nsec = TICK_NSEC},
        {.name = "recvmsg", datagrams_open, recvmsg_wait, number_send},
        {.name = "accept", listener_open, accept_seat_wait, accept_send},
        {.name = "connect", listener_open, connect_wait, connect_answer, .answers = true},
#ifdef SYS_poll
        {.name = "poll", pipe_open, poll_wait, number_send},
        {.name = "poll-timed", pipe_open, poll_wait, number_send, .timed = true},
        {.name = "select", pipe_open, select_wait, number_send},
        {.name = "select-timed", pipe_open, select_wait, number_send, .timed = true},
#endif
        {.name = "ppoll", pipe_open, ppoll_wait, number_send},
        {.name = "ppoll-timed", pipe_open, ppoll_wait, number_send, .timed = true},
        {.name = "ppoll-mask", pipe_open, ppoll_mask_wait, number_send},
        {.name = "pselect", pipe_open, pselect_wait, number_send},
        {.name = "pselect-timed", pipe_open, pselect_wait, number_send, .timed = true},
        {.name = "pselect-mask", pipe_open, pselect_mask_wait, number_send},
        {.name = "epoll", epoll_open, epoll_seat_wait, number_send},
        {.name = "epoll-timed", epoll_open, epoll_seat_wait, number_send, .timed = true},
        {.name = "epoll-pwait", epoll_open, epoll_pwait_seat, number_send},
        {.name = "epoll-pwait-mask", epoll_open, epoll_pwait_mask_seat, number_send},
#ifdef SYS_epoll_pwait2
        {.name = "epoll-pwait2", epoll_pwait2_open, epoll_pwait2_seat, number_send},
        {.name = "epoll-pwait2-timed", epoll_pwait2_open, epoll_pwait2_seat, number_send, .timed = true},
#endif
        {.name = "with-altstack", pipe_open, number_read, number_send, .has_altstack = true},
        {.name = "on-altstack", pipe_open, number_read, number_send, .has_altstack = true, .on_altstack = true},
        {},
};
