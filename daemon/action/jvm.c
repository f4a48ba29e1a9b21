/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "action/jvm-attach.h"
#include "action/spawn.h"
#include "util/clock.h"

#define CHANNEL_FD       3
#define PLACES_FD        4                  /* and the next ones */
#define TEXT_FD          (PLACES_FD + _PROBE_PLACE_MAX)
#define CHILD_SLACK_USEC (2 * USEC_PER_SEC) /* what it needs beside its two times, on a machine short of memory */

/* In the child: they may have got any number, also those; out of the way with them first. */
static bool place_descriptors(JvmRequest *q, int channel, int places[static _PROBE_PLACE_MAX]) {
        enum { AWAY = TEXT_FD + 1 };

        channel = fcntl(channel, F_DUPFD, AWAY);
        for (int i = 0; q->places && i < _PROBE_PLACE_MAX; i++)
                places[i] = fcntl(q->places[i], F_DUPFD, AWAY);
        if (q->command != JVM_TRIM)
                q->text_fd = fcntl(q->text_fd, F_DUPFD, AWAY);
        if (dup2(channel, CHANNEL_FD) < 0)
                return false;
        for (int i = 0; q->places && i < _PROBE_PLACE_MAX; i++)
                if ((places[i] = dup2(places[i], PLACES_FD + i)) < 0)
                        return false;
        if (q->places)
                q->places = places;
        if (q->command != JVM_TRIM)
                q->text_fd = dup2(q->text_fd, TEXT_FD);
        return q->command == JVM_TRIM || q->text_fd >= 0;
}

/* In the child. It may outlive us: nothing of ours stays open, not the loop's, not a pipe that somebody reads to its
 * end, and no signal is blocked, ignored or handled by our code. */
_Noreturn static void run_child(const JvmRequest *q, int channel) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), places[_PROBE_PLACE_MAX];
        JvmRequest own = *q;
        sigset_t none;

        setpgid(0, 0); /* Ctrl-C is for the command; we see its end and tidy up */
        for (int sig = 1; sig < _NSIG; sig++)
                signal(sig, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_NAME, "plateau-attach");
        for (int fd = 0; null_fd >= 0 && fd < CHANNEL_FD; fd++)
                dup2(null_fd, fd);
        if (!place_descriptors(&own, channel, places))
                _exit(1);
        spawn_close_from(TEXT_FD + 1);
        jvm_attach_run(&own, CHANNEL_FD);
        _exit(0);
}

int jvm_start(const JvmRequest *q, JvmCall *ret) {
        JvmCall c = {.command = q->command, .begin_usec = now_mono_usec()};
        sigset_t all, before;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours in the child */
        c.pid = fork();
        if (c.pid == 0)
                run_child(q, pair[1]);
        c.fd = pair[0];
        if (c.pid < 0) {
                int r = -errno;

                fd_close(pair[0]);
                fd_close(pair[1]);
                pthread_sigmask(SIG_SETMASK, &before, NULL);
                return r;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        fd_close(pair[1]);
        *ret = c;
        return 0;
}

static void make_reply(const JvmCall *c, JvmReply *ret, const char *why) {
        *ret = (JvmReply){.result = c->begun ? JVM_TIMEOUT : JVM_CANNOT, .total_usec = now_mono_usec() - c->begin_usec};
        snprintf(ret->why, sizeof(ret->why), "%s", why);
}

bool jvm_receive(JvmCall *c, JvmReply *ret) {
        JvmReply r;
        ssize_t n;

        while ((n = recv(c->fd, &r, sizeof(r), MSG_DONTWAIT)) == (ssize_t)sizeof(r)) {
                r.why[sizeof(r.why) - 1] = '\0';
                if (r.result != JVM_BEGUN) {
                        *ret = r;
                        return true;
                }
                c->begun = true;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        make_reply(c, ret, "the process that attaches has died");
        return true;
}

uint64_t jvm_limit_usec(const JvmRequest *q) {
        return q->attach_usec + q->finish_usec + CHILD_SLACK_USEC;
}

void jvm_give_up(const JvmCall *c, JvmReply *ret) {
        make_reply(c, ret,
                   !c->begun                ? "looking at its files took too long"
                   : c->command == JVM_TRIM ? "the JVM has not finished the trim in its time"
                                            : "the JVM has not answered in its time");
}

void jvm_done(JvmCall *c) {
        c->fd = fd_close(c->fd);
}

void jvm_call(const JvmRequest *q, JvmReply *ret) {
        JvmCall c = JVM_CALL_NULL;
        uint64_t deadline = now_mono_usec() + jvm_limit_usec(q);
        int r = jvm_start(q, &c);

        if (r < 0) {
                make_reply(&c, ret, strerror(-r));
                return;
        }
        while (!jvm_receive(&c, ret)) {
                struct pollfd pfd = {.fd = c.fd, .events = POLLIN};
                uint64_t now = now_mono_usec();

                if (now >= deadline) {
                        jvm_give_up(&c, ret);
                        break;
                }
                (void)poll(&pfd, 1, (int)min_of((deadline - now + 999) / 1000, (uint64_t)INT_MAX));
        }
        jvm_done(&c);
        if (ret->result != JVM_TIMEOUT && ret->result != JVM_CANNOT)
                (void)waitpid(c.pid, NULL, 0); /* it ends at once; any other is init's */
}

size_t jvm_ask(const JvmRequest *q, char *text, JvmReply *ret) {
        _cleanup_fd_ int fd = memfd_create("plateau", MFD_CLOEXEC);
        JvmRequest own = *q;
        JvmCall none = JVM_CALL_NULL;
        ssize_t n;

        own.text_fd = fd;
        none.begin_usec = now_mono_usec();
        if (fd < 0) {
                make_reply(&none, ret, strerror(errno));
                return 0;
        }
        jvm_call(&own, ret);
        if (ret->result != JVM_DONE)
                return 0;
        n = pread(fd, text, JVM_WIRE_TEXT_MAX, 0);
        if (n <= 0)
                make_reply(&none, ret, "the JVM answered with nothing");
        return n > 0 ? (size_t)n : 0;
}

bool jvm_to_probe(const JvmReply *r, ProbeReply *ret) {
        static const ProbeResult results[_JVM_RESULT_MAX] = {
                [JVM_DONE] = PROBE_OK,
                [JVM_IN_FLIGHT] = PROBE_E_IN_FLIGHT,
                [JVM_TIMEOUT] = PROBE_E_TIMEOUT,
        };
        ProbeReply p = {.op = PROBE_OP_TRIM};

        if (r->result != JVM_DONE && (r->result >= _JVM_RESULT_MAX || !results[r->result]))
                return false;
        p.result = results[r->result];
        p.trim = (ProbeTrim){
                .call = {.duration_usec = r->duration_usec, .total_usec = r->total_usec, .thread = PROBE_THREAD_OWN},
                .rss_before_bytes = r->rss_before_bytes,
                .rss_after_bytes = r->rss_after_bytes,
        };
        snprintf(p.detail, sizeof(p.detail), "%s", r->why);
        snprintf(p.trim.call.allocator, sizeof(p.trim.call.allocator), "glibc");
        snprintf(p.trim.call.name, sizeof(p.trim.call.name), "%s", JVM_CALL_NAME);
        *ret = p;
        return true;
}
