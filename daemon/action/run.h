/* SPDX-License-Identifier: Apache-2.0
 *
 * What every action in flight has in common: whom to tell, when it began, the outcome as far as it is known, and the
 * process it acts on, held by descriptors of its own, because the Target may be another process by the time it ends. An
 * implementation embeds an ActionRun as its first member. Only for the implementers of action.h.
 */
#pragma once

#include "action/action.h"

/* The process as it was at start(). */
typedef struct Subject {
        pid_t pid;
        uint64_t start_ticks;
        int pid_fd; /* a duplicate, or -1 where there is no pidfd */
        int dir_fd; /* /proc/PID: stays this process', answers ESRCH after its end */
} Subject;

#define SUBJECT_NULL ((Subject){.pid_fd = -1, .dir_fd = -1})

/* subject_take() - measure the identity again and hold it. Return: 0; -ESRCH: gone, or another process; other errno. */
int subject_take(const Target *t, Subject *ret) _must_check_;
void subject_done(Subject *s); /* release the descriptors */
/* subject_is_alive() - the same process, and not ended. A zombie has ended. */
bool subject_is_alive(const Subject *s);

struct ActionRun {
        sd_event *event; /* Owner: a reference of our own */
        ActionDoneFn done;
        void *userdata;
        Outcome outcome;
        uint64_t begin_usec; /* CLOCK_BOOTTIME */
        void (*release)(ActionRun *run); /* frees what the implementation added, and the run */

        /* internal state */
        sd_event_source *later;
        OutcomeResult later_result;
};

void run_init(ActionRun *run, const ActionContext *c, Rung rung, const char *method, ActionDoneFn done, void *userdata,
              void (*release)(ActionRun *run)); /* nothing is allocated */

/* run_detail() - the outcome's sentence. Any bytes may come in: made one line of clean UTF-8, cut with "..." */
void run_detail(ActionRun *run, const char *fmt, ...) _printf_(2, 3);

/* run_free() - release without telling anybody, for start() that fails. NULL is accepted. */
void run_free(ActionRun *run);

/* run_end() - the end: release, then tell. @run is gone when it returns. */
void run_end(ActionRun *run, OutcomeResult result);

/* run_end_later() - the same from the loop, for an end that start() already knows. Return: 0 or negative errno. */
int run_end_later(ActionRun *run, OutcomeResult result) _must_check_;

/* run_cancel() - Action.cancel for those who have nothing more to undo than release() does. */
void run_cancel(ActionRun *run);

/* run_timer() - call @fn once, @usec from now, with the run as its userdata. Return: 0 or negative errno. */
int run_timer(ActionRun *run, sd_event_source **ret, uint64_t usec, sd_event_time_handler_t fn) _must_check_;

/* run_elapsed_usec() - since start(). */
uint64_t run_elapsed_usec(const ActionRun *run);

#define RUN_SPAN_MAX 32
/* run_span() - "1.2 s" below two minutes, otherwise as format_usec(). Return: @buf. */
const char *run_span(char buf[static RUN_SPAN_MAX], uint64_t usec);

/* run_why() - one sentence into @why, and the result it goes with. Return: @r. */
int run_why(int r, char *why, size_t why_size, const char *fmt, ...) _printf_(4, 5);

/* run_check_target() - what check() of every action begins with: there is a process, the same, and not ourselves. */
int run_check_target(const ActionContext *c, char *why, size_t why_size) _must_check_;

/* run_signal_name() - "SIGTERM", or "signal 64". Return: @buf. */
const char *run_signal_name(char buf[static RUN_SPAN_MAX], int sig);
