/* SPDX-License-Identifier: Apache-2.0 */
#include "action/run.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "sample/stat.h"
#include "util/clock.h"
#include "util/rootfs.h"

/* Where there is no pidfd (before Linux 5.3, or a filter): how often /proc is asked. */
#define POLL_USEC (100 * USEC_PER_MSEC)

typedef struct SignalRun {
        ActionRun run; /* first */
        Subject subject;
        int sig;
        uint64_t wait_usec;
        sd_event_source *ended, *poll, *deadline;
} SignalRun;

static void release(ActionRun *run) {
        SignalRun *s = (SignalRun *)run;

        sd_event_source_disable_unref(s->ended);
        sd_event_source_disable_unref(s->poll);
        sd_event_source_disable_unref(s->deadline);
        subject_done(&s->subject);
        free(s);
}

/* pidfd_send_signal(2), Linux 5.1: cannot hit another process that got the number. kill() only where there is no pidfd,
 * or where a filter refuses the call, and right after the start time was compared. */
static int send_signal(const Subject *s, int sig) {
        if (s->pid_fd >= 0) {
                if (syscall(SYS_pidfd_send_signal, s->pid_fd, sig, NULL, 0) == 0)
                        return 0;
                if (errno != ENOSYS)
                        return -errno;
        }
        if (!subject_is_alive(s))
                return -ESRCH;
        return kill(s->pid, sig) < 0 ? -errno : 0;
}

/* Bit of @sig in a mask line of /proc/PID/status, such as "SigIgn:\t0000000000004000". */
static bool mask_has(const char *status, const char *key, int sig) {
        const char *line = strstr(status, key);

        return line && (strtoull(line + strlen(key), NULL, 16) >> (sig - 1) & 1);
}

/* Why a process may not end: the kernel tells it. */
static const char *why_still_there(const SignalRun *s) {
        char status[8192];
        ProcStat st;

        if (stat_read(s->subject.dir_fd, "stat", &st) == 0 && (st.state == 'T' || st.state == 't'))
                return "; it is stopped";
        if (rootfs_read(s->subject.dir_fd, "status", status, sizeof(status)) < 0)
                return "";
        if (mask_has(status, "\nSigIgn:\t", s->sig))
                return "; it ignores this signal";
        /* the leader's own mask and the process' queue: blocked and still waiting to be taken */
        if (mask_has(status, "\nSigBlk:\t", s->sig) && mask_has(status, "\nShdPnd:\t", s->sig))
                return "; it blocks this signal";
        /* pid_namespaces(7): the first process of a namespace gets only signals for which it has a handler */
        if (!mask_has(status, "\nSigCgt:\t", s->sig))
                return "; it has no handler for this signal, and as process 1 of a container needs one";
        return "";
}

static int on_ended(SignalRun *s) {
        char span[RUN_SPAN_MAX];

        run_detail(&s->run, "ended after %s", run_span(span, run_elapsed_usec(&s->run)));
        run_end(&s->run, OUTCOME_OK);
        return 0;
}

static int on_pidfd(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        return on_ended(userdata);
}

static int on_poll(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        SignalRun *s = userdata;
        int r;

        if (!subject_is_alive(&s->subject))
                return on_ended(s);
        r = sd_event_source_set_time_relative(source, POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        SignalRun *s = userdata;
        char span[RUN_SPAN_MAX];

        if (!subject_is_alive(&s->subject))
                return on_ended(s);
        run_detail(&s->run, "still running after %s%s", run_span(span, s->wait_usec), why_still_there(s));
        run_end(&s->run, OUTCOME_TIMEOUT);
        return 0;
}

static int watch_end(SignalRun *s) {
        int r;

        if (s->subject.pid_fd >= 0)
                r = sd_event_add_io(s->run.event, &s->ended, s->subject.pid_fd, EPOLLIN, on_pidfd, s);
        else
                r = run_timer(&s->run, &s->poll, POLL_USEC, on_poll);
        return r < 0 ? r : run_timer(&s->run, &s->deadline, s->wait_usec, on_deadline);
}

/* kill(2), ERRORS: our real or effective uid must equal its real or saved one, or CAP_KILL in its user namespace. */
static void explain_refusal(char *buf, size_t size, const Target *t) {
        if (t->uid == (uid_t)-1)
                run_why(0, buf, size, "not allowed to signal process %d: uid %u needs to be its uid, or CAP_KILL",
                        (int)t->pid, (unsigned)geteuid());
        else
                run_why(0, buf, size,
                        "not allowed to signal process %d of uid %u: uid %u needs the same uid, or CAP_KILL",
                        (int)t->pid, (unsigned)t->uid, (unsigned)geteuid());
}

static int check(const ActionContext *c, char *why, size_t why_size) {
        int r = run_check_target(c, why, why_size);

        if (r < 0)
                return r;
        if (kill(c->target->pid, 0) == 0)
                return 0;
        r = -errno;
        if (r == -EPERM)
                explain_refusal(why, why_size, c->target);
        else
                run_why(r, why, why_size, "process %d: %s", (int)c->target->pid, strerror(-r));
        return r;
}

/* The signal was refused: that is an outcome, told from the loop. */
static int end_refused(SignalRun *s, const Target *t, int error) {
        char text[160], name[RUN_SPAN_MAX];

        if (error == -EPERM) {
                explain_refusal(text, sizeof(text), t);
                run_detail(&s->run, "%s", text);
        } else
                run_detail(&s->run, "%s could not be sent: %s", run_signal_name(name, s->sig), strerror(-error));
        return run_end_later(&s->run, OUTCOME_ERROR);
}

static int start(const ActionContext *c, const Decision *d _unused_, ActionDoneFn done, void *userdata,
                 ActionRun **ret) {
        SignalRun *s;
        int r;

        if (c->target->pid <= 0)
                return -ESRCH; /* kill(0) and kill(-1) mean everybody */
        if (c->target->pid == getpid() || c->options->rotate_signal <= 0 || c->options->rotate_signal >= _NSIG)
                return -EINVAL;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        run_init(&s->run, c, RUNG_ROTATE, "signal", done, userdata, release);
        s->subject = SUBJECT_NULL;
        s->sig = c->options->rotate_signal;
        s->wait_usec = c->options->rotate_wait_usec;
        r = subject_take(c->target, &s->subject);
        if (r >= 0)
                r = watch_end(s); /* everything of ours that can fail, before the signal that cannot be taken back */
        if (r >= 0) {
                int sent = send_signal(&s->subject, s->sig);

                if (sent == -ESRCH)
                        r = -ESRCH;
                else if (sent < 0)
                        r = end_refused(s, c->target, sent);
        }
        if (r < 0) {
                run_free(&s->run);
                return r;
        }
        *ret = &s->run;
        return 0;
}

const Action action_rotate_signal = {
        .name = "rotate-signal",
        .rung = RUNG_ROTATE,
        .check = check,
        .start = start,
        .cancel = run_cancel,
};
