/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pick.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/clock.h"

static int check_pattern(const Command *self, const char *pattern) {
        regex_t re;
        char why[128];
        int r = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);

        if (r != 0) {
                regerror(r, &re, why, sizeof(why));
                return args_error(self, "--match '%s': expected an extended regular expression: %s", pattern, why);
        }
        regfree(&re);
        return 0;
}

static int set_value(const Command *self, TargetSpec *spec, TargetMatch match, const char *option, const char *value) {
        if (strlen(value) >= sizeof(spec->value))
                return args_error(self, "--%s: expected at most %zu bytes", option, sizeof(spec->value) - 1);
        spec->match = match;
        strcpy(spec->value, value);
        return 0;
}

int pick_target(const Command *self, const Pick *p, TargetSpec *ret) {
        unsigned n = !!p->word + !!p->match + !!p->exe + p->main;

        *ret = (TargetSpec){.name = "watched", .limit_bytes = p->limit_bytes};
        if (n != 1)
                return args_error(self, "expected one of PID, --match, --exe and --main, got %s",
                                  n ? "several" : "none");
        if (p->match) {
                int r = check_pattern(self, p->match);

                return r < 0 ? r : set_value(self, ret, TARGET_MATCH_CMDLINE, "match", p->match);
        }
        if (p->exe)
                return set_value(self, ret, TARGET_MATCH_EXE, "exe", p->exe);
        ret->match = p->main ? TARGET_MATCH_MAIN : TARGET_MATCH_PID;
        return p->main ? 0 : args_pid(self, p->word, &ret->pid);
}

void pick_describe(const TargetSpec *spec, char buf[static PICK_WORDS_MAX]) {
        switch (spec->match) {
        case TARGET_MATCH_PID:
                snprintf(buf, PICK_WORDS_MAX, "process %d", spec->pid);
                break;
        case TARGET_MATCH_CMDLINE:
                snprintf(buf, PICK_WORDS_MAX, "a process whose command line matches %s", spec->value);
                break;
        case TARGET_MATCH_EXE:
                snprintf(buf, PICK_WORDS_MAX, "a process that runs %s", spec->value);
                break;
        default:
                snprintf(buf, PICK_WORDS_MAX, "the main process of this container or pod");
        }
}

bool pick_is_absent(const Command *self, const TargetSpec *spec, int proc_fd) {
        char name[16];

        snprintf(name, sizeof(name), "%d", spec->pid);
        if (spec->match != TARGET_MATCH_PID || faccessat(proc_fd, name, F_OK, 0) == 0)
                return false;
        fprintf(stderr, "plateau %s: there is no process %d\n", self->name, spec->pid);
        return true;
}

/* ---- when ---- */

int ticker_open(Ticker *t, uint64_t interval_usec) {
        struct itimerspec every = {
                .it_interval = {(time_t)(interval_usec / USEC_PER_SEC), (long)(interval_usec % USEC_PER_SEC) * 1000},
                .it_value = {.tv_nsec = 1}, /* at once */
        };
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGWINCH);
        sigprocmask(SIG_BLOCK, &set, NULL);
        t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        t->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (t->signal_fd < 0 || t->timer_fd < 0 || timerfd_settime(t->timer_fd, 0, &every, NULL) < 0)
                return -errno;
        return 0;
}

void ticker_done(Ticker *t) {
        fd_close(t->signal_fd);
        fd_close(t->timer_fd);
        *t = TICKER_NULL;
}

static int take_signal(Ticker *t, TickerEvent *ret) {
        struct signalfd_siginfo si;

        if (read(t->signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
                return errno == EAGAIN ? 0 : -errno;
        *ret = si.ssi_signo == SIGWINCH ? TICKER_RESIZED : TICKER_STOPPED;
        return 0;
}

int ticker_wait(Ticker *t, int pid_fd, TickerEvent *ret) {
        struct pollfd p[] = {
                {.fd = t->signal_fd, .events = POLLIN},
                {.fd = t->timer_fd, .events = POLLIN},
                {.fd = pid_fd, .events = POLLIN}, /* readable at the end of the process; -1 is ignored */
        };
        uint64_t expirations;

        *ret = TICKER_NOTHING;
        if (poll(p, ELEMENTSOF(p), -1) < 0)
                return errno == EINTR ? 0 : -errno;
        if (p[0].revents)
                return take_signal(t, ret);
        if (p[1].revents && read(t->timer_fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
                return -errno;
        if (p[1].revents || p[2].revents)
                *ret = TICKER_DUE;
        return 0;
}
