/* SPDX-License-Identifier: Apache-2.0
 *
 * Seats that wait for a word, a lock, a clock, a signal or a child. A lock is one of a pair that is handed to and fro:
 * the feeder takes the other one before it lets go of the one that is waited for, so that the seat always finds one
 * taken.
 */
#include "targets/unseen.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int no_open(Seat *s _unused_) {
        return 0;
}

/* ---- words */

/* EAGAIN: the message came before the sleep. 0 without a message: the wake-up of one that was taken so. */
static int word_result(Seat *s, long r, uint32_t *ret_seq) {
        if (r < 0 && errno == ETIMEDOUT)
                return s->kind->timed ? SEAT_TIMED_OUT : -EPROTO;
        if (r < 0 && errno != EAGAIN)
                return -errno;
        errno = SEAT_ERRNO;
        *ret_seq = seat_take(s);
        return *ret_seq ? SEAT_GOT : SEAT_AGAIN;
}

static int futex_wait(Seat *s, uint32_t *ret_seq) {
        struct timespec ts = seat_timeout(s);

        return word_result(s, syscall(SYS_futex, &s->slot, FUTEX_WAIT_PRIVATE, 0, s->kind->timed ? &ts : NULL, NULL, 0),
                           ret_seq);
}

static int futex_bitset_wait(Seat *s, uint32_t *ret_seq) {
        struct timespec ts = seat_deadline(s);

        return word_result(s,
                           syscall(SYS_futex, &s->slot, FUTEX_WAIT_BITSET_PRIVATE, 0, s->kind->timed ? &ts : NULL, NULL,
                                   FUTEX_BITSET_MATCH_ANY),
                           ret_seq);
}

static int futex_send(Seat *s, uint32_t seq) {
        int r = seat_put(s, seq);

        return r < 0 ? r : syscall(SYS_futex, &s->slot, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

#ifdef SYS_futex_waitv /* Linux 5.16 */
/* include/uapi/linux/futex.h, which older machines have without it */
struct waitv {
        uint64_t val, uaddr;
        uint32_t flags, reserved;
};

static int waitv_wait(Seat *s, uint32_t *ret_seq) {
        struct waitv w = {.uaddr = (uintptr_t)&s->slot, .flags = 2 | 128}; /* FUTEX_32 | FUTEX_PRIVATE_FLAG */
        struct timespec ts = seat_deadline(s);

        return word_result(s, syscall(SYS_futex_waitv, &w, 1, 0, s->kind->timed ? &ts : NULL, CLOCK_MONOTONIC),
                           ret_seq);
}

static int waitv_open(Seat *s _unused_) {
        struct waitv w = {.val = 1, .uaddr = (uintptr_t)&s->slot, .flags = 2 | 128};

        return syscall(SYS_futex_waitv, &w, 1, 0, NULL, CLOCK_MONOTONIC) < 0 && errno != EAGAIN ? -errno : 0;
}
#endif

/* ---- what libc makes of them */

static int cond_open(Seat *s) {
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        return -(pthread_mutex_init(&s->mutex[0], NULL) ?: pthread_cond_init(&s->cond, &attr));
}

static int cond_wait(Seat *s, uint32_t *ret_seq) {
        struct timespec ts = seat_deadline(s);
        int r = 0;

        pthread_mutex_lock(&s->mutex[0]);
        while (r == 0 && s->slot == 0)
                r = s->kind->timed ? pthread_cond_timedwait(&s->cond, &s->mutex[0], &ts)
                                   : pthread_cond_wait(&s->cond, &s->mutex[0]);
        *ret_seq = seat_take(s);
        pthread_mutex_unlock(&s->mutex[0]);
        return *ret_seq ? SEAT_GOT : r == ETIMEDOUT && s->kind->timed ? SEAT_TIMED_OUT : -EPROTO;
}

static int cond_send(Seat *s, uint32_t seq) {
        pthread_mutex_lock(&s->mutex[0]);
        int r = seat_put(s, seq);
        pthread_cond_signal(&s->cond);
        pthread_mutex_unlock(&s->mutex[0]);
        return r;
}

static int sem_open_seat(Seat *s) {
        return sem_init(&s->sem, 0, 0) < 0 ? -errno : 0;
}

static int sem_seat_wait(Seat *s, uint32_t *ret_seq) {
        *ret_seq = seat_count(s);
        return sem_wait(&s->sem) < 0 ? -errno : SEAT_GOT;
}

static int sem_seat_send(Seat *s, uint32_t seq _unused_) {
        return sem_post(&s->sem) < 0 ? -errno : 0;
}

/* ---- pairs of locks */

/* @pass: take (true) or let go of the @i-th lock of the pair, by the feeder or by the seat */
static int pair_wait(Seat *s, int (*pass)(Seat *s, unsigned i, bool take, bool feeder), uint32_t *ret_seq) {
        int r = pass(s, s->turn, true, false);

        if (r < 0)
                return r;
        *ret_seq = seat_take(s);
        r = pass(s, s->turn, false, false);
        s->turn ^= 1;
        return r < 0 ? r : *ret_seq ? SEAT_GOT : -EPROTO;
}

static int pair_send(Seat *s, int (*pass)(Seat *s, unsigned i, bool take, bool feeder), uint32_t seq) {
        if (s->slot != 0)
                return -EAGAIN;
        int r = pass(s, s->peer_turn ^ 1, true, true);
        if (r < 0)
                return r;
        s->slot = seq;
        r = pass(s, s->peer_turn, false, true);
        s->peer_turn ^= 1;
        return r;
}

static int mutex_pass(Seat *s, unsigned i, bool take, bool feeder _unused_) {
        return -(take ? pthread_mutex_lock(&s->mutex[i]) : pthread_mutex_unlock(&s->mutex[i]));
}

static int mutexes_open(Seat *s, const pthread_mutexattr_t *attr) {
        for (unsigned i = 0; i < 2; i++) {
                int r = pthread_mutex_init(&s->mutex[i], attr);
                if (r != 0)
                        return -r;
        }
        return mutex_pass(s, 0, true, true);
}

static int mutex_open(Seat *s) {
        return mutexes_open(s, NULL);
}

static int robust_open(Seat *s) {
        pthread_mutexattr_t attr;

        pthread_mutexattr_init(&attr);
        pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
        return mutexes_open(s, &attr);
}

static int pi_open(Seat *s) {
        pthread_mutexattr_t attr;

        pthread_mutexattr_init(&attr);
        int r = pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
        return r != 0 ? -r : mutexes_open(s, &attr);
}

static int mutex_wait(Seat *s, uint32_t *ret_seq) {
        return pair_wait(s, mutex_pass, ret_seq);
}

static int mutex_send(Seat *s, uint32_t seq) {
        return pair_send(s, mutex_pass, seq);
}

/* Two open files on each of two memory files: locks of flock() and of F_OFD_SETLK belong to the open file. */
typedef struct Files {
        int fd[2][2]; /* by lock and by who: the seat, the feeder */
} Files;

static int files_open(Seat *s) {
        static Files all[2];
        static size_t n;
        Files *f = s->own = all + n++ % ELEMENTSOF(all);

        for (unsigned i = 0; i < 2; i++) {
                char path[32];

                f->fd[i][0] = memfd_create("unseen", MFD_CLOEXEC);
                snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd[i][0]);
                f->fd[i][1] = open(path, O_RDWR | O_CLOEXEC);
                if (f->fd[i][0] < 0 || f->fd[i][1] < 0)
                        return -errno;
        }
        return 0;
}

static int flock_pass(Seat *s, unsigned i, bool take, bool feeder) {
        const Files *f = s->own;

        return flock(f->fd[i][feeder], take ? LOCK_EX : LOCK_UN) < 0 ? -errno : 0;
}

static int flock_open(Seat *s) {
        int r = files_open(s);

        return r < 0 ? r : flock_pass(s, 0, true, true);
}

static int flock_wait(Seat *s, uint32_t *ret_seq) {
        return pair_wait(s, flock_pass, ret_seq);
}

static int flock_send(Seat *s, uint32_t seq) {
        return pair_send(s, flock_pass, seq);
}

static int ofd_pass(Seat *s, unsigned i, bool take, bool feeder) {
        struct flock l = {.l_type = take ? F_WRLCK : F_UNLCK, .l_whence = SEEK_SET};
        const Files *f = s->own;

        return fcntl(f->fd[i][feeder], F_OFD_SETLKW, &l) < 0 ? -errno : 0;
}

static int ofd_open(Seat *s) {
        int r = files_open(s);

        return r < 0 ? r : ofd_pass(s, 0, true, true);
}

static int ofd_wait(Seat *s, uint32_t *ret_seq) {
        return pair_wait(s, ofd_pass, ret_seq);
}

static int ofd_send(Seat *s, uint32_t seq) {
        return pair_send(s, ofd_pass, seq);
}

const SeatKind seats_of_locks[] = {
        {.name = "futex", no_open, futex_wait, futex_send},
        {.name = "futex-timed", no_open, futex_wait, futex_send, .timed = true},
        {.name = "futex-bitset", no_open, futex_bitset_wait, futex_send},
        {.name = "futex-bitset-until", no_open, futex_bitset_wait, futex_send, .timed = true},
#ifdef SYS_futex_waitv
        {.name = "futex-waitv", waitv_open, waitv_wait, futex_send},
        {.name = "futex-waitv-until", waitv_open, waitv_wait, futex_send, .timed = true},
#endif
        {.name = "cond", cond_open, cond_wait, cond_send},
        {.name = "cond-until", cond_open, cond_wait, cond_send, .timed = true},
        {.name = "sem", sem_open_seat, sem_seat_wait, sem_seat_send},
        {.name = "mutex", mutex_open, mutex_wait, mutex_send},
        {.name = "mutex-robust", robust_open, mutex_wait, mutex_send},
        {.name = "mutex-pi", pi_open, mutex_wait, mutex_send},
        {.name = "flock", flock_open, flock_wait, flock_send},
        {.name = "ofd-lock", ofd_open, ofd_wait, ofd_send},
        {},
};

/* ---- clocks */

#ifdef SYS_nanosleep
static int nanosleep_wait(Seat *s, uint32_t *ret_seq _unused_) {
        struct timespec ts = seat_timeout(s);

        return syscall(SYS_nanosleep, &ts, NULL) < 0 ? -errno : SEAT_TIMED_OUT;
}
#endif

static int sleep_wait(Seat *s, uint32_t *ret_seq _unused_) {
        struct timespec ts = seat_timeout(s);

        return -clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL) ?: SEAT_TIMED_OUT;
}

static int sleep_until_wait(Seat *s, uint32_t *ret_seq _unused_) {
        struct timespec ts = seat_deadline(s);

        return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ?: SEAT_TIMED_OUT;
}

/* ---- signals */

#define WAITED_SIGNAL (SIGRTMIN + 4) /* blocked in every thread */

static int sigwait_wait(Seat *s, uint32_t *ret_seq) {
        struct timespec ts = seat_timeout(s);
        siginfo_t si = {};
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, WAITED_SIGNAL);
        if ((s->kind->timed ? sigtimedwait(&set, &si, &ts) : sigwaitinfo(&set, &si)) < 0)
                return errno == EAGAIN && s->kind->timed ? SEAT_TIMED_OUT : -errno;
        *ret_seq = (uint32_t)si.si_value.sival_int;
        return si.si_signo == WAITED_SIGNAL ? SEAT_GOT : -EPROTO;
}

static int sigwait_send(Seat *s, uint32_t seq) {
        return -pthread_sigqueue(s->thread, WAITED_SIGNAL, (union sigval){.sival_int = (int)seq});
}

/* pause() and sigsuspend() end by EINTR alone: it is ours to see whether a handler ran. */
static int handler_result(Seat *s, int r, uint32_t *ret_seq) {
        if (r != -1 || errno != EINTR)
                return -EPROTO;
        if (s->n_signals == s->n_taken)
                return -EINTR;
        s->n_taken = s->n_signals;
        errno = SEAT_ERRNO;
        *ret_seq = seat_take(s);
        return *ret_seq ? SEAT_GOT : SEAT_AGAIN; /* it was taken already: the signal was repeated */
}

static int pause_wait(Seat *s, uint32_t *ret_seq) {
        return handler_result(s, pause(), ret_seq);
}

static int sigsuspend_open(Seat *s _unused_) {
        return 0;
}

static int sigsuspend_wait(Seat *s, uint32_t *ret_seq) {
        sigset_t open, before;

        pthread_sigmask(SIG_BLOCK, NULL, &before);
        open = before;
        sigaddset(&before, SEAT_SIGNAL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        sigdelset(&open, SEAT_SIGNAL);
        int r = sigsuspend(&open), error = errno;
        pthread_sigmask(SIG_SETMASK, &open, NULL);
        errno = error;
        return handler_result(s, r, ret_seq);
}

/* one that fell between two waits is repeated: the message is in the slot still */
static int signal_send(Seat *s, uint32_t seq) {
        int r = seat_put(s, seq);

        pthread_kill(s->thread, SEAT_SIGNAL);
        return r;
}

/* ---- children */

static int child_open(Seat *s) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        s->fd = fds[0];
        s->peer_fd = fds[1];
        return 0;
}

static int child_send(Seat *s, uint32_t seq) {
        return write(s->peer_fd, &seq, sizeof(seq)) == (ssize_t)sizeof(seq) ? 0 : -errno;
}

/* It ends with the low byte of the next message. */
static pid_t child_start(const Seat *s) {
        pid_t parent = getpid(), pid = fork();

        if (pid == 0) {
                uint32_t seq = 0;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent) /* it died before that was set */
                        _exit(255);
                _exit(read(s->fd, &seq, sizeof(seq)) == (ssize_t)sizeof(seq) ? (int)(seq & 0xff) : 255);
        }
        return pid;
}

static int child_result(Seat *s, int status, uint32_t *ret_seq) {
        s->turn = 0;
        *ret_seq = s->n_got + 1;
        return status == (int)(*ret_seq & 0xff) ? SEAT_GOT : -EPROTO;
}

static int wait4_wait(Seat *s, uint32_t *ret_seq) {
        int status = 0;

        if (s->turn == 0)
                s->turn = (unsigned)child_start(s);
        if (wait4((pid_t)s->turn, &status, 0, NULL) < 0)
                return -errno;
        return child_result(s, WIFEXITED(status) ? WEXITSTATUS(status) : -1, ret_seq);
}

static int waitid_wait(Seat *s, uint32_t *ret_seq) {
        siginfo_t si = {};

        if (s->turn == 0)
                s->turn = (unsigned)child_start(s);
        if (waitid(P_PID, s->turn, &si, WEXITED) < 0)
                return -errno;
        return child_result(s, si.si_code == CLD_EXITED ? si.si_status : -1, ret_seq);
}

const SeatKind seats_of_clocks[] = {
#ifdef SYS_nanosleep
        {.name = "nanosleep", no_open, nanosleep_wait, NULL, .timed = true},
#endif
        {.name = "clock-nanosleep", no_open, sleep_wait, NULL, .timed = true},
        {.name = "clock-nanosleep-until", no_open, sleep_until_wait, NULL, .timed = true},
        {.name = "sigtimedwait", no_open, sigwait_wait, sigwait_send, .timed = true},
        {.name = "sigwaitinfo", no_open, sigwait_wait, sigwait_send},
        {.name = "pause", no_open, pause_wait, signal_send},
        {.name = "sigsuspend", sigsuspend_open, sigsuspend_wait, signal_send},
        {.name = "wait4", child_open, wait4_wait, child_send},
        {.name = "waitid", child_open, waitid_wait, child_send},
        {},
};
