/* SPDX-License-Identifier: Apache-2.0 */
#include "action/run.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sample/stat.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"

#define TIMER_ACCURACY_USEC (10 * USEC_PER_MSEC)

int subject_take(const Target *t, Subject *ret) {
        Subject s = {.pid = t->pid, .start_ticks = t->start_ticks, .pid_fd = -1, .dir_fd = -1};

        if (!target_is_same(t))
                return -ESRCH;
        s.dir_fd = fcntl(t->dir_fd, F_DUPFD_CLOEXEC, 3);
        if (s.dir_fd < 0)
                return -errno;
        if (t->pid_fd >= 0) {
                s.pid_fd = fcntl(t->pid_fd, F_DUPFD_CLOEXEC, 3);
                if (s.pid_fd < 0) {
                        int r = -errno;

                        subject_done(&s);
                        return r;
                }
        }
        *ret = s;
        return 0;
}

void subject_done(Subject *s) {
        s->pid_fd = fd_close(s->pid_fd);
        s->dir_fd = fd_close(s->dir_fd);
}

bool subject_is_alive(const Subject *s) {
        struct pollfd pfd = {.fd = s->pid_fd, .events = POLLIN};
        ProcStat st;

        if (s->pid_fd >= 0)
                return poll(&pfd, 1, 0) == 0; /* readable once the last thread has ended (Linux 5.3) */
        return stat_read(s->dir_fd, "stat", &st) == 0 && st.start_ticks == s->start_ticks && st.state != 'Z' &&
               st.state != 'X';
}

void run_init(ActionRun *run, const ActionContext *c, Rung rung, const char *method, ActionDoneFn done, void *userdata,
              void (*release)(ActionRun *run)) {
        *run = (ActionRun){
                .event = sd_event_ref(c->event),
                .done = done,
                .userdata = userdata,
                .outcome.rung = rung,
                .begin_usec = now_boot_usec(),
                .release = release,
        };
        snprintf(run->outcome.method, sizeof(run->outcome.method), "%s", method);
}

/* Cut at @max bytes, not within a character (UTF-8 goes on with 10xxxxxx), and say so. */
static void copy_cut(char *to, size_t max, const char *from) {
        size_t n = strlen(from);

        if (n >= max) {
                n = max - sizeof("...");
                while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
                        n--;
                memcpy(to, from, n);
                memcpy(to + n, "...", sizeof("..."));
        } else
                memcpy(to, from, n + 1);
}

void run_detail(ActionRun *run, const char *fmt, ...) {
        _cleanup_buf_ Buf clean = BUF_NULL;
        char raw[512];
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(raw, sizeof(raw), fmt, ap);
        va_end(ap);
        json_escape_text(&clean, raw, strlen(raw));
        copy_cut(run->outcome.detail, sizeof(run->outcome.detail), buf_str(&clean));
}

void run_free(ActionRun *run) {
        if (!run)
                return;
        sd_event_source_disable_unref(run->later);
        sd_event_unref(run->event);
        run->release(run);
}

void run_end(ActionRun *run, OutcomeResult result) {
        ActionDoneFn done = run->done;
        void *userdata = run->userdata;
        Outcome o = run->outcome;

        o.result = result;
        o.time_usec = now_boot_usec();
        if (o.duration_usec == 0)
                o.duration_usec = run_elapsed_usec(run);
        run_free(run);
        done(userdata, &o); /* may start the next action */
}

static int on_later(sd_event_source *s _unused_, void *userdata) {
        ActionRun *run = userdata;

        run_end(run, run->later_result);
        return 0;
}

int run_end_later(ActionRun *run, OutcomeResult result) {
        int r = sd_event_add_defer(run->event, &run->later, on_later, run);

        if (r < 0)
                return r;
        (void)sd_event_source_set_description(run->later, "action-end");
        run->later_result = result;
        return 0;
}

void run_cancel(ActionRun *run) {
        char span[RUN_SPAN_MAX];

        if (!run)
                return;
        run_detail(run, "given up after %s", run_span(span, run_elapsed_usec(run)));
        run_end(run, OUTCOME_CANCELLED);
}

int run_timer(ActionRun *run, sd_event_source **ret, uint64_t usec, sd_event_time_handler_t fn) {
        int r = sd_event_add_time_relative(run->event, ret, CLOCK_BOOTTIME, usec, TIMER_ACCURACY_USEC, fn, run);

        if (r < 0)
                return r;
        (void)sd_event_source_set_description(*ret, run->outcome.method);
        return 0;
}

uint64_t run_elapsed_usec(const ActionRun *run) {
        return now_boot_usec() - run->begin_usec;
}

const char *run_span(char buf[static RUN_SPAN_MAX], uint64_t usec) {
        _Static_assert(RUN_SPAN_MAX >= FORMAT_MAX, "format_usec() writes into it");

        if (usec >= USEC_PER_SEC && usec < 2 * USEC_PER_MINUTE)
                snprintf(buf, RUN_SPAN_MAX, "%.1f s", (double)usec / USEC_PER_SEC);
        else
                format_usec(buf, usec);
        return buf;
}

int run_why(int r, char *why, size_t why_size, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(why, why_size, fmt, ap);
        va_end(ap);
        return r;
}

int run_check_target(const ActionContext *c, char *why, size_t why_size) {
        if (c->target->pid <= 0)
                return run_why(-ESRCH, why, why_size, "there is no process to act on");
        if (c->target->pid == getpid())
                return run_why(-EINVAL, why, why_size, "the target is this program itself");
        if (!target_is_same(c->target))
                return run_why(-ESRCH, why, why_size, "process %d has ended", (int)c->target->pid);
        return 0;
}

const char *run_signal_name(char buf[static RUN_SPAN_MAX], int sig) {
        const char *abbrev = sigabbrev_np(sig); /* glibc 2.32 */

        if (abbrev)
                snprintf(buf, RUN_SPAN_MAX, "SIG%s", abbrev);
        else
                snprintf(buf, RUN_SPAN_MAX, "signal %d", sig);
        return buf;
}
