/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of actions share: a real process as the target, a real event loop, and the outcome as it comes in. No
 * test waits for luck: a child says by a pipe when it is ready, and the loop is turned until the outcome is there or a
 * generous deadline ends the test.
 */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "action/action.h"
#include "unit/unit.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define ACT_DEADLINE_USEC (60 * USEC_PER_SEC)

typedef struct Rig {
        sd_event *event;
        int proc_fd;
        pid_t child;
        Target target;
        ActionOptions options;
        Decision decision;
        ActionContext context;
        ActionRun *run;
        unsigned n_done;
        Outcome outcome;
} Rig;

/* act_child() - a process that runs @behave and then waits for signals for ever. Ends with the test. */
static inline pid_t act_child(void (*behave)(void)) {
        int ready[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (behave)
                        behave();
                fd_close(ready[0]);
                fd_close(ready[1]);
                for (;;)
                        pause();
        }
        fd_close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 0);
        fd_close(ready[0]);
        return pid;
}

static inline void act_done(void *userdata, const Outcome *o) {
        Rig *r = userdata;

        r->n_done++;
        r->outcome = *o;
        r->run = NULL;
}

/* rig_init() - @child becomes the target, found as the daemon finds it. */
static inline void rig_init(Rig *r, pid_t child, bool pidfd) {
        TargetSpec spec = {.name = "pusher", .match = TARGET_MATCH_PID, .pid = child};
        TargetEvent event;

        *r = (Rig){.child = child, .proc_fd = rootfs_open_dir(AT_FDCWD, "/proc")};
        assert_true(r->proc_fd >= 0);
        assert_true(sd_event_new(&r->event) >= 0);
        target_init(&r->target, &spec, &(TargetSource){.proc_fd = r->proc_fd, .cgroup_fd = -1, .pidfd = pidfd});
        assert_int_equal(target_refresh(&r->target, &event), 0);
        assert_int_equal(event, TARGET_EVENT_STARTED);
        r->options = (ActionOptions){
                .reclaim_find_timeout_usec = 50 * USEC_PER_MSEC,
                .reclaim_finish_timeout_usec = 50 * USEC_PER_MSEC,
                .rotate_signal = SIGTERM,
                .rotate_wait_usec = ACT_DEADLINE_USEC,
                .hook_timeout_usec = ACT_DEADLINE_USEC,
        };
        r->decision = (Decision){.rung = RUNG_ROTATE, .verb = VERB_ACT, .reason = REASON_ETA};
        r->context = (ActionContext){.event = r->event, .target = &r->target, .options = &r->options};
}

static inline void act_reap(pid_t pid) {
        if (pid <= 0)
                return;
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static inline void rig_done(Rig *r) {
        target_done(&r->target);
        sd_event_unref(r->event);
        fd_close(r->proc_fd);
        act_reap(r->child);
}

static inline int rig_start(Rig *r, const Action *a) {
        int error = a->start(&r->context, &r->decision, act_done, r, &r->run);

        if (error == 0) {
                assert_non_null(r->run);
                assert_int_equal(r->n_done, 0); /* not before start() has returned */
        }
        return error;
}

/* rig_until() - turn the loop until @is_so says so. */
static inline void rig_until(Rig *r, bool (*is_so)(Rig *r)) {
        uint64_t end = now_mono_usec() + ACT_DEADLINE_USEC;

        while (!is_so(r)) {
                assert_true(now_mono_usec() < end);
                assert_true(sd_event_run(r->event, 100 * USEC_PER_MSEC) >= 0);
        }
}

static inline bool rig_has_outcome(Rig *r) {
        return r->n_done > 0;
}

static inline void rig_finish(Rig *r, const Action *a) {
        assert_int_equal(rig_start(r, a), 0);
        rig_until(r, rig_has_outcome);
        assert_int_equal(r->n_done, 1);
}

static inline void assert_outcome(const Rig *r, OutcomeResult result, const char *method, const char *in_detail) {
        if (r->outcome.result != result || !strstr(r->outcome.detail, in_detail))
                print_message("# outcome is %s: %s; wanted %s: %s\n", outcome_name(r->outcome.result),
                              r->outcome.detail, outcome_name(result), in_detail);
        assert_int_equal(r->outcome.result, result);
        assert_string_equal(r->outcome.method, method);
        assert_non_null(strstr(r->outcome.detail, in_detail));
        assert_true(r->outcome.time_usec > 0);
}
