/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats that wait on queues of their own: System V and POSIX messages, semaphores, and the two rings for asynchronous
 * input. The rings are spoken to by number: neither library is needed for one operation.
 */
#include "targets/unseen.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#endif

/* ---- semaphores and messages of System V: in an IPC namespace of the target's own, or removed at its end */

static int semop_open(Seat *s) {
        s->fd = semget(IPC_PRIVATE, 1, 0600);
        return s->fd < 0 ? -errno : 0;
}

static int semop_wait(Seat *s, uint32_t *ret_seq) {
        struct sembuf down = {.sem_op = -1};
        struct timespec ts = seat_timeout(s);

        if ((s->kind->timed ? semtimedop(s->fd, &down, 1, &ts) : semop(s->fd, &down, 1)) < 0)
                return errno == EAGAIN && s->kind->timed ? SEAT_TIMED_OUT : -errno;
        *ret_seq = seat_count(s);
        return SEAT_GOT;
}

static int semop_send(Seat *s, uint32_t seq _unused_) {
        return semop(s->fd, &(struct sembuf){.sem_op = 1}, 1) < 0 ? -errno : 0;
}

typedef struct Message {
        long type;
        uint32_t seq;
} Message;

static int msg_open(Seat *s) {
        s->fd = msgget(IPC_PRIVATE, 0600);
        return s->fd < 0 ? -errno : 0;
}

static int msg_wait(Seat *s, uint32_t *ret_seq) {
        Message m = {};

        if (msgrcv(s->fd, &m, sizeof(m.seq), 0, 0) < 0)
                return -errno;
        *ret_seq = m.seq;
        return SEAT_GOT;
}

static int msg_send(Seat *s, uint32_t seq) {
        return msgsnd(s->fd, &(Message){1, seq}, sizeof(seq), IPC_NOWAIT) < 0 ? -errno : 0;
}

/* ---- POSIX messages */

static int mq_open_seat(Seat *s) {
        struct mq_attr attr = {.mq_maxmsg = 8, .mq_msgsize = sizeof(uint32_t)};
        static unsigned n;
        char name[64];

        snprintf(name, sizeof(name), "/mkleak-unseen-%d-%u", (int)getpid(), n++);
        s->fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
        if (s->fd < 0)
                return -errno;
        mq_unlink(name);
        return 0;
}

static int mq_wait(Seat *s, uint32_t *ret_seq) {
        struct timespec ts;
        ssize_t n;

        if (s->kind->timed) {
                clock_gettime(CLOCK_REALTIME, &ts); /* mq_timedreceive() knows no other clock */
                uint64_t until = (uint64_t)ts.tv_nsec + s->timeout_nsec;
                ts.tv_sec += (time_t)(until / 1000000000u);
                ts.tv_nsec = (long)(until % 1000000000u);
                n = mq_timedreceive(s->fd, (char *)ret_seq, sizeof(*ret_seq), NULL, &ts);
        } else
                n = mq_receive(s->fd, (char *)ret_seq, sizeof(*ret_seq), NULL);
        if (n < 0)
                return errno == ETIMEDOUT && s->kind->timed ? SEAT_TIMED_OUT : -errno;
        return n == (ssize_t)sizeof(*ret_seq) ? SEAT_GOT : -EPROTO;
}

static int mq_send_seat(Seat *s, uint32_t seq) {
        /* timed, in the past: never the feeder that blocks */
        int r = mq_timedsend(s->fd, (const char *)&seq, sizeof(seq), 0, &(struct timespec){});

        return r < 0 ? (errno == ETIMEDOUT ? -EAGAIN : -errno) : 0;
}

/* ---- rings: a pipe is read by them */

static int pipe_of(Seat *s) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        s->fd = fds[0];
        s->peer_fd = fds[1];
        return 0;
}

static int pipe_send(Seat *s, uint32_t seq) {
        return write(s->peer_fd, &seq, sizeof(seq)) == (ssize_t)sizeof(seq) ? 0 : -errno;
}

static int aio_open(Seat *s) {
        static aio_context_t context;
        int r = pipe_of(s);

        s->own = &context;
        return r < 0 ? r : syscall(SYS_io_setup, 4, &context) < 0 ? -errno : 0;
}

/* IOCB_CMD_POLL, Linux 4.18 */
static int aio_submit(Seat *s) {
        struct iocb cb = {.aio_fildes = (uint32_t)s->fd, .aio_lio_opcode = 5, .aio_buf = POLLIN}, *list = &cb;

        return syscall(SYS_io_submit, *(aio_context_t *)s->own, 1, &list) == 1 ? 0 : -errno;
}

static int aio_wait(Seat *s, uint32_t *ret_seq) {
        struct io_event e = {};
        int r = s->turn ? 0 : aio_submit(s);

        if (r < 0)
                return -EPROTO;
        s->turn = 1; /* under way, also after an EINTR */
        if (syscall(SYS_io_getevents, *(aio_context_t *)s->own, 1, 1, &e, NULL) != 1)
                return -errno;
        s->turn = 0;
        return read(s->fd, ret_seq, sizeof(*ret_seq)) == (ssize_t)sizeof(*ret_seq) && (e.res & POLLIN) ? SEAT_GOT
                                                                                                       : -EPROTO;
}

#ifdef IORING_OFF_SQES
typedef struct Ring {
        int fd;
        unsigned char *sq, *cq;
        struct io_uring_sqe *sqes;
        struct io_uring_params p;
} Ring;

static void *ring_map(const Ring *r, size_t bytes, uint64_t offset) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)offset);

        return p == MAP_FAILED ? NULL : p;
}

static int ring_open(Seat *s) {
        static Ring r;
        int e = pipe_of(s);

        s->own = &r;
        r.fd = (int)syscall(SYS_io_uring_setup, 4, &r.p); /* Linux 5.1; may be switched off */
        if (e < 0 || r.fd < 0)
                return e < 0 ? e : -errno;
        r.sq = ring_map(&r, r.p.sq_off.array + r.p.sq_entries * 4, IORING_OFF_SQ_RING);
        r.cq = ring_map(&r, r.p.cq_off.cqes + r.p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
        r.sqes = ring_map(&r, r.p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
        return r.sq && r.cq && r.sqes ? 0 : -ENOMEM;
}

static _Atomic uint32_t *word_at(unsigned char *p, uint32_t offset) {
        return (_Atomic uint32_t *)(void *)(p + offset);
}

static int ring_submit(Seat *s) {
        Ring *r = s->own;
        uint32_t tail = *word_at(r->sq, r->p.sq_off.tail), i = tail & *word_at(r->sq, r->p.sq_off.ring_mask);

        r->sqes[i] = (struct io_uring_sqe){
                .opcode = IORING_OP_POLL_ADD, .fd = s->fd, .poll_events = POLLIN, .user_data = 4711};
        *word_at(r->sq, r->p.sq_off.array + 4 * i) = i;
        *word_at(r->sq, r->p.sq_off.tail) = tail + 1;
        return syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1 ? 0 : -EPROTO;
}

static int ring_wait(Seat *s, uint32_t *ret_seq) {
        Ring *r = s->own;
        int e = s->turn ? 0 : ring_submit(s);

        if (e < 0)
                return e;
        s->turn = 1;
        if (syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
                return -errno;
        uint32_t head = *word_at(r->cq, r->p.cq_off.head), i = head & *word_at(r->cq, r->p.cq_off.ring_mask);
        if (head == *word_at(r->cq, r->p.cq_off.tail))
                return -EPROTO; /* it returned without what it was to wait for */
        struct io_uring_cqe c = ((struct io_uring_cqe *)(void *)(r->cq + r->p.cq_off.cqes))[i];
        *word_at(r->cq, r->p.cq_off.head) = head + 1;
        s->turn = 0;
        if (c.user_data != 4711 || !(c.res & POLLIN))
                return -EPROTO;
        return read(s->fd, ret_seq, sizeof(*ret_seq)) == (ssize_t)sizeof(*ret_seq) ? SEAT_GOT : -EPROTO;
}
#endif

const SeatKind seats_of_rings[] = {
        {.name = "semop", semop_open, semop_wait, semop_send},
        {.name = "semtimedop", semop_open, semop_wait, semop_send, .timed = true},
        {.name = "msgrcv", msg_open, msg_wait, msg_send},
        {.name = "mq-receive", mq_open_seat, mq_wait, mq_send_seat},
        {.name = "mq-timedreceive", mq_open_seat, mq_wait, mq_send_seat, .timed = true},
        {.name = "io-getevents", aio_open, aio_wait, pipe_send},
#ifdef IORING_OFF_SQES
        {.name = "io-uring-enter", ring_open, ring_wait, pipe_send},
#endif
        {},
};
