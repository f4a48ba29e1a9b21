/* SPDX-License-Identifier: Apache-2.0
 *
 * A single-threaded process that waits in one system call again and again, and checks what each wait returns: `calls
 * NAME` says "ready", then answers each byte on stdin with "woke" when the wait that it ended was right. Its child
 * wakes it, by what the call waits for. Calls with a signal mask of their own are woken by a signal that is blocked
 * otherwise: every one must be handled once and must end one wait with EINTR. An EINTR of anybody else's ends the
 * process with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* Linux 5.11 */
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* Linux 5.16 */
#endif

enum { EXIT_SKIP = 77 };

typedef struct Kind {
        const char *name;
        void (*open)(void);
        bool (*wait)(void); /* once. Return: was the result right? */
        void (*wake)(void); /* in the child */
} Kind;

static struct {
        int pipe[2], epoll, sem, msg, file, ring;
        mqd_t mq;
        struct sockaddr_un address;
        uint32_t *word; /* shared with the child */
        sigset_t open_mask;
        volatile sig_atomic_t n_handled;
        struct io_uring_params params;
        unsigned char *sq, *cq;
        struct io_uring_sqe *sqes;
        char byte;
} s;

static _Noreturn void fail(const char *what) {
        fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
        exit(errno == ENOSYS || errno == EPERM ? EXIT_SKIP : 1);
}

/* ---- by a byte in a pipe */

static void open_pipe(void) {
        struct epoll_event e = {.events = EPOLLIN};

        if (pipe(s.pipe) < 0 || (s.epoll = epoll_create1(0)) < 0 ||
            epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.pipe[0], &e) < 0)
                fail("pipe");
}

static void wake_pipe(void) {
        if (write(s.pipe[1], "x", 1) != 1)
                _exit(1);
}

static bool take_byte(void) {
        return read(s.pipe[0], &s.byte, 1) == 1;
}

static bool wait_epoll_pwait2(void) {
        struct epoll_event e;
        struct timespec hour = {.tv_sec = 3600};

        return syscall(SYS_epoll_pwait2, s.epoll, &e, 1, &hour, NULL, 0) == 1 && take_byte();
}

/* as sleep(3) does it: the time left comes back into the time-out */
static bool wait_nap(void) {
        struct timespec ts = {.tv_sec = 3600};
        long r = syscall(SYS_nanosleep, &ts, &ts);

        return r < 0 && errno == EINTR && s.n_handled == 1 && ts.tv_sec < 3600;
}

static bool wait_readv(void) {
        struct iovec iov[2] = {{&s.byte, 1}, {&s.byte, 1}};

        return readv(s.pipe[0], iov, 2) == 1;
}

/* the number itself: glibc's select() makes pselect6 of it since 2.34 */
static bool wait_select(void) {
        struct timeval hour = {.tv_sec = 3600};
        fd_set set;

        FD_ZERO(&set);
        FD_SET(s.pipe[0], &set);
        return syscall(SYS_select, s.pipe[0] + 1, &set, NULL, NULL, &hour) == 1 && hour.tv_sec < 3600 && take_byte();
}

/* ---- by a connection */

static void open_socket(void) {
        s.address = (struct sockaddr_un){.sun_family = AF_UNIX};
        snprintf(s.address.sun_path + 1, sizeof(s.address.sun_path) - 1, "calls-%d", getpid()); /* abstract */
        s.file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (s.file < 0 || bind(s.file, (struct sockaddr *)&s.address, sizeof(s.address)) < 0 || listen(s.file, 1) < 0)
                fail("socket");
}

static bool wait_accept4(void) {
        int fd = accept4(s.file, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return false;
        close(fd);
        return true;
}

static void wake_socket(void) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (struct sockaddr *)&s.address, sizeof(s.address)) < 0)
                _exit(1);
        close(fd);
}

/* ---- by a signal that only the call lets in */

static void on_signal(int sig _unused_) {
        s.n_handled++;
}

static void open_signal(void) {
        struct sigaction sa = {.sa_handler = on_signal};
        sigset_t blocked;

        open_pipe();
        sigemptyset(&s.open_mask);
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR1);
        sigprocmask(SIG_BLOCK, &blocked, NULL);
        sigaction(SIGUSR1, &sa, NULL);
}

static void open_signal_unblocked(void) {
        sigset_t open;

        open_signal();
        sigemptyset(&open);
        sigprocmask(SIG_SETMASK, &open, NULL);
}

static void wake_signal(void) {
        kill(getppid(), SIGUSR1);
}

static bool was_signal(long r) {
        sigset_t now;
        bool ok = r < 0 && errno == EINTR && s.n_handled == 1;

        sigprocmask(SIG_BLOCK, NULL, &now);
        return ok && sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2);
}

static bool wait_ppoll(void) {
        struct pollfd p = {.fd = s.pipe[0], .events = POLLIN};

        return was_signal(ppoll(&p, 1, NULL, &s.open_mask));
}

static bool wait_pselect(void) {
        struct timespec hour = {.tv_sec = 3600};

        return was_signal(pselect(0, NULL, NULL, NULL, &hour, &s.open_mask));
}

static bool wait_epoll_pwait(void) {
        struct epoll_event e;

        return was_signal(epoll_pwait(s.epoll, &e, 1, -1, &s.open_mask));
}

/* ---- System V, POSIX, locks */

static void open_sem(void) {
        s.sem = semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT);
        if (s.sem < 0)
                fail("semget");
}

static bool wait_semop(void) {
        return semop(s.sem, &(struct sembuf){.sem_op = -1}, 1) == 0;
}

static bool wait_semtimedop(void) {
        return semtimedop(s.sem, &(struct sembuf){.sem_op = -1}, 1, &(struct timespec){.tv_sec = 3600}) == 0;
}

static void wake_sem(void) {
        semop(s.sem, &(struct sembuf){.sem_op = 1}, 1);
}

static void open_msg(void) {
        s.msg = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
        if (s.msg < 0)
                fail("msgget");
}

static bool wait_msgrcv(void) {
        struct {
                long type;
                char text[8];
        } m;

        return msgrcv(s.msg, &m, sizeof(m.text), 0, 0) == 1 && m.text[0] == 'x';
}

static void wake_msg(void) {
        struct {
                long type;
                char text[8];
        } m = {1, "x"};

        msgsnd(s.msg, &m, 1, 0);
}

static void open_mq(void) {
        char name[32];

        snprintf(name, sizeof(name), "/calls-%d", getpid());
        s.mq = mq_open(name, O_RDWR | O_CREAT, 0600, &(struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 8});
        if (s.mq < 0)
                fail("mq_open");
        mq_unlink(name);
}

static bool wait_mq(void) {
        char m[8];

        return mq_receive(s.mq, m, sizeof(m), NULL) == 1 && m[0] == 'x';
}

static void wake_mq(void) {
        mq_send(s.mq, "x", 1, 0);
}

/* ---- words and rings */

static void open_word(void) {
        s.word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (s.word == MAP_FAILED)
                fail("mmap");
}

static bool wait_waitv(void) {
        struct {
                uint64_t val, uaddr;
                uint32_t flags, pad;
        } w = {0, (uintptr_t)s.word, 2 /* 32 bits, shared */, 0};
        long r = syscall(SYS_futex_waitv, &w, 1, 0, NULL, CLOCK_MONOTONIC);

        if (r < 0 && errno == ENOSYS)
                fail("futex_waitv");
        return (r == 0 || (r < 0 && errno == EAGAIN)) && __atomic_exchange_n(s.word, 0, __ATOMIC_SEQ_CST) == 1;
}

static void wake_word(void) {
        __atomic_store_n(s.word, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, s.word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void open_ring(void) {
        open_pipe();
        s.ring = (int)syscall(SYS_io_uring_setup, 4, &s.params);
        if (s.ring < 0)
                fail("io_uring_setup");
        s.sq = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, s.ring, (off_t)IORING_OFF_SQ_RING);
        s.cq = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, s.ring, (off_t)IORING_OFF_CQ_RING);
        s.sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, s.ring, (off_t)IORING_OFF_SQES);
}

static bool wait_ring(void) {
        unsigned *sq_tail, *sq_array, *cq_head, mask, tail;
        struct io_uring_cqe *cqe;
        bool ok;

        if (s.sq == MAP_FAILED || s.cq == MAP_FAILED || s.sqes == MAP_FAILED)
                fail("mmap of the ring");
        sq_tail = (unsigned *)(void *)(s.sq + s.params.sq_off.tail);
        sq_array = (unsigned *)(void *)(s.sq + s.params.sq_off.array);
        cq_head = (unsigned *)(void *)(s.cq + s.params.cq_off.head);
        mask = *(unsigned *)(void *)(s.sq + s.params.sq_off.ring_mask);
        tail = *sq_tail;
        memset(&s.sqes[tail & mask], 0, sizeof(s.sqes[0]));
        s.sqes[tail & mask] = (struct io_uring_sqe){
                .opcode = IORING_OP_READ, .fd = s.pipe[0], .addr = (uintptr_t)&s.byte, .len = 1, .user_data = 7};
        sq_array[tail & mask] = tail & mask;
        __atomic_store_n(sq_tail, tail + 1, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, s.ring, 1, 0, 0, NULL, 0) != 1)
                return false;
        if (syscall(SYS_io_uring_enter, s.ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
                return false;
        cqe = (struct io_uring_cqe *)(void *)(s.cq + s.params.cq_off.cqes) +
              (*cq_head & *(unsigned *)(void *)(s.cq + s.params.cq_off.ring_mask));
        ok = *(unsigned *)(void *)(s.cq + s.params.cq_off.tail) != *cq_head && cqe->res == 1 && cqe->user_data == 7;
        __atomic_store_n(cq_head, *cq_head + 1, __ATOMIC_RELEASE);
        return ok;
}

static const Kind kinds[] = {
        {"ppoll-mask", open_signal, wait_ppoll, wake_signal},
        {"pselect-mask", open_signal, wait_pselect, wake_signal},
        {"epoll_pwait-mask", open_signal, wait_epoll_pwait, wake_signal},
        {"select", open_pipe, wait_select, wake_pipe},
        {"readv", open_pipe, wait_readv, wake_pipe},
        {"accept4", open_socket, wait_accept4, wake_socket},
        {"epoll_pwait2", open_pipe, wait_epoll_pwait2, wake_pipe},
        {"nap", open_signal_unblocked, wait_nap, wake_signal},
        {"semop", open_sem, wait_semop, wake_sem},
        {"semtimedop", open_sem, wait_semtimedop, wake_sem},
        {"msgrcv", open_msg, wait_msgrcv, wake_msg},
        {"mq_receive", open_mq, wait_mq, wake_mq},
        {"futex_waitv", open_word, wait_waitv, wake_word},
        {"io_uring_enter", open_ring, wait_ring, wake_pipe},
};

/* Reads the commands in the waiting one's stead. */
static _Noreturn void child(const Kind *k, int done_fd) {
        char c;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(STDIN_FILENO, &c, 1) == 1) {
                k->wake();
                if (read(done_fd, &c, 1) != 1)
                        break;
        }
        kill(getppid(), SIGKILL);
        _exit(0);
}

int main(int argc, char **argv) {
        const Kind *k = NULL;
        int done[2];

        for (size_t i = 0; argc > 1 && i < ELEMENTSOF(kinds); i++)
                if (strcmp(argv[1], kinds[i].name) == 0)
                        k = &kinds[i];
        if (!k || pipe(done) < 0) {
                for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                        printf("%s\n", kinds[i].name);
                return 2;
        }
        k->open();
        if (fork() == 0)
                child(k, done[0]);
        if (write(STDOUT_FILENO, "ready\n", 6) != 6)
                return 1;
        for (;;) {
                s.n_handled = 0;
                if (!k->wait()) {
                        fprintf(stderr, "calls: %s returned what it must not: %s\n", k->name, strerror(errno));
                        return 1;
                }
                if (write(STDOUT_FILENO, "woke\n", 5) != 5 || write(done[1], "x", 1) != 1)
                        return 1;
        }
}
