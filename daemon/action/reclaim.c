/* SPDX-License-Identifier: Apache-2.0 */
#include "action/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "action/jvm-event.h"
#include "action/look.h"
#include "probe/survey/reader.h"
#include "util/clock.h"
#include "util/format.h"

/* On top of its two time limits: the probe's own work around the call, and a machine that is short of memory. */
#define ANSWER_SLACK_USEC (5 * USEC_PER_SEC)
/* The probe does one thing at a time; a read of smaps_rollup takes 10-27 ms at 4.5 GB. */
#define BUSY_RETRY_USEC (10 * USEC_PER_MSEC)

typedef struct ReclaimRun {
        ActionRun run; /* first */
        ProbeClient *probe;
        ProbeRequest request;
        bool attach;                  /* ask a JVM itself */
        uint64_t survey_usec;         /* 0 = do not look beforehand */
        uint64_t min_gain_bytes;
        double min_gain_ratio;
        sd_event_source *retry, *deadline;
        JvmEvent *jvm;               /* a JVM is being asked; the probe is not yet */
        int place[_PROBE_PLACE_MAX]; /* what the probe opened for that. Owner: the run */
        unsigned n_places;
        char attach_refusal[JVM_WHY_MAX]; /* why it could not; "" otherwise */
        int (*ask)(struct ReclaimRun *r); /* what the probe is asked now, and since when */
        uint64_t ask_usec;
} ReclaimRun;

/* What a refusal of the probe is to the ladder. */
static const OutcomeResult outcome_of[_PROBE_RESULT_MAX] = {
        [PROBE_OK] = OUTCOME_OK,
        [PROBE_E_GONE] = OUTCOME_REFUSED,
        [PROBE_E_ACCESS] = OUTCOME_REFUSED,
        [PROBE_E_TRACED] = OUTCOME_REFUSED,
        [PROBE_E_ZOMBIE] = OUTCOME_REFUSED,
        [PROBE_E_STOPPED] = OUTCOME_REFUSED,
        [PROBE_E_FOREIGN_ABI] = OUTCOME_REFUSED,
        [PROBE_E_SHADOW_STACK] = OUTCOME_REFUSED,
        [PROBE_E_SECCOMP] = OUTCOME_REFUSED,
        [PROBE_E_NO_LIBC] = OUTCOME_REFUSED,
        [PROBE_E_OTHER_MALLOC] = OUTCOME_REFUSED,
        [PROBE_E_RAW_THREADS] = OUTCOME_REFUSED,
        [PROBE_E_NO_SAFE_THREAD] = OUTCOME_REFUSED,
        [PROBE_E_NO_MEMORY] = OUTCOME_ERROR,
        [PROBE_E_IN_FLIGHT] = OUTCOME_REFUSED,
        [PROBE_E_TIMEOUT] = OUTCOME_TIMEOUT,
        [PROBE_E_PROTOCOL] = OUTCOME_ERROR,
        [PROBE_E_UNSUPPORTED] = OUTCOME_REFUSED,
        [PROBE_E_INTERNAL] = OUTCOME_ERROR,
        [PROBE_E_NO_SETTING] = OUTCOME_REFUSED,
        [PROBE_E_REJECTED] = OUTCOME_REFUSED,
        [PROBE_E_NO_PYTHON] = OUTCOME_REFUSED,
        [PROBE_E_ONE_THREAD] = OUTCOME_REFUSED,
        [PROBE_E_BUDGET] = OUTCOME_REFUSED,
        [PROBE_E_NO_FIGURES] = OUTCOME_REFUSED,
};

static void release(ActionRun *run) {
        ReclaimRun *r = (ReclaimRun *)run;

        probe_client_abandon(r->probe, r); /* a request cannot be taken back, but its answer can be nobody's */
        sd_event_source_disable_unref(r->retry);
        sd_event_source_disable_unref(r->deadline);
        jvm_event_free(r->jvm);
        while (r->n_places > 0)
                fd_close(r->place[--r->n_places]);
        free(r);
}

/* Why a JVM was not asked, or could not: behind any outcome that follows from it. */
static const char *attach_note(const ReclaimRun *r, char *buf, size_t size) {
        snprintf(buf, size, "%s%s", r->attach_refusal[0] ? "; not by attach: " : "", r->attach_refusal);
        return buf;
}

static void describe_trim(ReclaimRun *r, const ProbeTrim *t) {
        char released[FORMAT_MAX], before[FORMAT_MAX], took[RUN_SPAN_MAX], held[RUN_SPAN_MAX], predicted[FORMAT_MAX];
        char note[JVM_WHY_MAX + 32];
        const Outcome *o = &r->run.outcome;
        bool by_itself = r->jvm != NULL;

        run_detail(&r->run, "%.*s: gave back %s of %s in %s, %s%s%s%s%s", (int)sizeof(t->call.allocator) - 1,
                   t->call.allocator[0] ? t->call.allocator : "malloc",
                   o->released_bytes > 0 ? format_bytes(released, o->released_bytes) : "nothing",
                   format_bytes(before, t->rss_before_bytes), run_span(took, t->call.duration_usec),
                   by_itself ? "asked by its attach socket" : "thread held ",
                   by_itself ? "" : run_span(held, t->call.stop_usec), o->predicted ? ", predicted " : "",
                   o->predicted ? format_bytes(predicted, o->predicted_bytes) : "",
                   attach_note(r, note, sizeof(note)));
}

static void take_trim(ReclaimRun *r, const ProbeTrim *t) {
        Outcome *o = &r->run.outcome;

        o->before_bytes = t->rss_before_bytes;
        o->after_bytes = t->rss_after_bytes;
        if (t->rss_after_bytes > 0 && t->rss_before_bytes > t->rss_after_bytes) /* 0: not measured */
                o->released_bytes = t->rss_before_bytes - t->rss_after_bytes;
        o->duration_usec = t->call.duration_usec;
        if (t->predicted && !o->predicted) {
                o->predicted = true;
                o->predicted_bytes = t->predicted_bytes;
        }
        describe_trim(r, t);
}

static void on_reply(void *userdata, const ProbeReply *reply, int fd, int error) {
        ReclaimRun *r = userdata;
        char note[JVM_WHY_MAX + 32];
        OutcomeResult result;

        fd_close(fd); /* this request has no descriptor in its answer */
        if (!reply) {
                run_detail(&r->run, "%s (%s)", error == -ECANCELED ? "plateau-probe was dismissed in mid-request"
                                                                   : "plateau-probe failed in mid-request",
                           strerror(-error));
                run_end(&r->run, error == -ECANCELED ? OUTCOME_CANCELLED : OUTCOME_ERROR);
                return;
        }
        result = reply->result < _PROBE_RESULT_MAX ? outcome_of[reply->result] : OUTCOME_ERROR;
        r->run.outcome.stop_usec = reply->call.stop_usec; /* also of looks that ended in a refusal */
        if (reply->call.name[0])
                snprintf(r->run.outcome.method, sizeof(r->run.outcome.method), "%.*s",
                         (int)sizeof(r->run.outcome.method) - 1, reply->call.name);
        if (reply->result == PROBE_OK) {
                take_trim(r, &reply->trim);
                if (r->run.outcome.released_bytes == 0)
                        result = OUTCOME_PARTIAL;
        } else
                run_detail(&r->run, "%s%s", reply->detail[0] ? reply->detail : probe_result_text(reply->result),
                           attach_note(r, note, sizeof(note)));
        run_end(&r->run, result);
}

static void end_unasked(ReclaimRun *r, int error) {
        run_detail(&r->run, "plateau-probe cannot be asked: %s", strerror(-error));
        run_end(&r->run, OUTCOME_ERROR);
}

/* Return: 0: asked; -EBUSY; other negative errno. */
static int ask_trim(ReclaimRun *r) {
        return probe_client_send(r->probe, &r->request, on_reply, r);
}

static int on_retry(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        ReclaimRun *r = userdata;
        int error = r->ask(r);

        if (error == -EBUSY) {
                if (now_boot_usec() - r->ask_usec < r->request.find_timeout_msec * USEC_PER_MSEC) {
                        error = sd_event_source_set_time_relative(source, BUSY_RETRY_USEC);
                        return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                }
                run_detail(&r->run, "plateau-probe is busy with an earlier request");
                run_end(&r->run, OUTCOME_REFUSED);
        } else if (error < 0)
                end_unasked(r, error);
        return 0;
}

static int ask_when_free(ReclaimRun *r, int (*fn)(ReclaimRun *r)) {
        int error = fn(r);

        r->ask = fn;
        r->ask_usec = now_boot_usec();
        if (error != -EBUSY)
                return error;
        sd_event_source_disable_unref(r->retry);
        r->retry = NULL;
        return run_timer(&r->run, &r->retry, BUSY_RETRY_USEC, on_retry);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        ReclaimRun *r = userdata;
        char span[RUN_SPAN_MAX];

        run_detail(&r->run, "plateau-probe did not answer within %s; a call that has begun ends by itself",
                   run_span(span, run_elapsed_usec(&r->run)));
        run_end(&r->run, OUTCOME_TIMEOUT);
        return 0;
}

/* MAP_FIXED_NOREPLACE, which the probe's first call needs, is of Linux 4.17. Before that the flag is not known and the
 * mapping goes elsewhere: the probe notices, but we need not try. */
static int check_kernel(char *why, size_t why_size) {
        unsigned major = 0, minor = 0;
        struct utsname u;

        if (uname(&u) < 0)
                return run_why(-errno, why, why_size, "uname: %s", strerror(errno));
#ifndef __x86_64__
        return run_why(-EOPNOTSUPP, why, why_size, "reclaim works on x86_64 only, this is %s", u.machine);
#endif
        if (sscanf(u.release, "%u.%u", &major, &minor) == 2 && (major < 4 || (major == 4 && minor < 17)))
                return run_why(-EOPNOTSUPP, why, why_size, "reclaim needs Linux 4.17, this is %s", u.release);
        return 0;
}

static int check(const ActionContext *c, char *why, size_t why_size) {
        if (!c->probe)
                return run_why(-EOPNOTSUPP, why, why_size, "plateau-probe does not run");
        if (probe_client_dead(c->probe))
                return run_why(-EPIPE, why, why_size, "plateau-probe has died");
        if (c->target->pid > 0 && c->target->pid == probe_client_pid(c->probe))
                return run_why(-EINVAL, why, why_size, "the target is plateau-probe itself");
        int r = run_check_target(c, why, why_size);
        return r < 0 ? r : check_kernel(why, why_size);
}

static uint32_t to_msec(uint64_t usec) {
        return (uint32_t)min_of(usec / USEC_PER_MSEC, (uint64_t)UINT32_MAX);
}

/* Return: 0: its answer or the deadline ends the run; negative errno: nothing will. */
static int begin_probe(ReclaimRun *r) {
        uint64_t limit = (r->request.find_timeout_msec + (uint64_t)r->request.finish_timeout_msec) * USEC_PER_MSEC;
        int error = run_timer(&r->run, &r->deadline, limit + ANSWER_SLACK_USEC, on_deadline);
        return error < 0 ? error : ask_when_free(r, ask_trim);
}

static void go_on_with_probe(ReclaimRun *r) {
        int error = begin_probe(r);

        if (error < 0)
                end_unasked(r, error);
}

static int begin_jvm(ReclaimRun *r);
static int ask_place(ReclaimRun *r);

static void on_place(void *userdata, const ProbeReply *reply, int fd, int error) {
        ReclaimRun *r = userdata;

        if (!reply) {
                on_reply(r, NULL, fd, error);
                return;
        }
        if (fd >= 0)
                r->place[r->n_places++] = fd;
        if (reply->result != PROBE_OK || fd < 0 ||
            (r->n_places < _PROBE_PLACE_MAX ? ask_when_free(r, ask_place) : begin_jvm(r)) < 0)
                go_on_with_probe(r);
}

/* The probe has the access to open what it takes to look, if the target is of our user. */
static int ask_place(ReclaimRun *r) {
        const ProbeRequest q = {
                .op = PROBE_OP_PLACE,
                .pid = r->request.pid,
                .start_ticks = r->request.start_ticks,
                .param = r->n_places,
        };

        return probe_client_send(r->probe, &q, on_place, r);
}

static void on_jvm(void *userdata, const JvmReply *jvm) {
        ReclaimRun *r = userdata;
        ProbeReply reply;

        if (jvm_to_probe(jvm, &reply)) {
                on_reply(r, &reply, -1, 0);
                return;
        }
        if (jvm->result == JVM_CANNOT)
                memcpy(r->attach_refusal, jvm->why, sizeof(r->attach_refusal));
        r->jvm = jvm_event_free(r->jvm);
        if (jvm->result != JVM_NO_ACCESS || r->n_places > 0 || ask_when_free(r, ask_place) < 0)
                go_on_with_probe(r);
}

/* It is the child that finds out whether the target is a JVM: that takes reading its maps. */
static int begin_jvm(ReclaimRun *r) {
        const JvmRequest q = {
                .places = r->n_places == _PROBE_PLACE_MAX ? r->place : NULL,
                .pid = r->request.pid,
                .start_ticks = r->request.start_ticks,
                .attach_usec = r->request.find_timeout_msec * USEC_PER_MSEC,
                .finish_usec = r->request.finish_timeout_msec * USEC_PER_MSEC,
        };

        return jvm_event_new(r->run.event, &q, on_jvm, r, &r->jvm);
}

static int begin_call(ReclaimRun *r) {
        r->deadline = sd_event_source_disable_unref(r->deadline); /* the survey's */
        return r->attach && begin_jvm(r) >= 0 ? 0 : begin_probe(r);
}

/* What a look found. Return: true: a trim is worth it, or that is not known. */
static bool is_worth_it(ReclaimRun *r, const Survey *s) {
        Outcome *o = &r->run.outcome;
        uint64_t least = max_of(r->min_gain_bytes, (uint64_t)(r->min_gain_ratio * (double)s->rss_bytes));
        char gain[FORMAT_MAX], all[FORMAT_MAX];

        o->predicted = look_prediction(s, &o->predicted_bytes);
        if (!o->predicted || o->predicted_bytes >= least)
                return true;
        run_detail(&r->run, "a trim would give back %s of %s that is free%s", format_bytes(gain, o->predicted_bytes),
                   format_bytes(all, s->free_bytes),
                   s->heap.pinned_bytes >= least && s->heap.pinned_bytes > s->free_bytes / 2 ? ": pinned" : "");
        return false;
}

/* A look that came to nothing is no reason to leave it: the trim is as safe without. */
static void on_survey(void *userdata, const ProbeReply *reply, int fd, int error) {
        _cleanup_free_ Survey *s = NULL;
        _cleanup_fd_ int table = fd;
        ReclaimRun *r = userdata;
        const char *why;

        if (!reply) {
                on_reply(r, NULL, -1, error);
                return;
        }
        if (reply->result == PROBE_OK && table >= 0 && survey_read(table, &s, &why) == 0 && !is_worth_it(r, s)) {
                run_end(&r->run, OUTCOME_SKIPPED);
                return;
        }
        error = begin_call(r);
        if (error < 0)
                end_unasked(r, error);
}

static int ask_survey(ReclaimRun *r) {
        const ProbeRequest q = {
                .op = PROBE_OP_SURVEY,
                .pid = r->request.pid,
                .start_ticks = r->request.start_ticks,
                .budget_msec = to_msec(r->survey_usec),
        };

        return probe_client_send(r->probe, &q, on_survey, r);
}

static int begin_survey(ReclaimRun *r) {
        int error = run_timer(&r->run, &r->deadline, r->survey_usec + ANSWER_SLACK_USEC, on_deadline);

        return error < 0 ? error : ask_when_free(r, ask_survey);
}

static int start(const ActionContext *c, const Decision *d _unused_, ActionDoneFn done, void *userdata,
                 ActionRun **ret) {
        const ActionOptions *o = c->options;
        ReclaimRun *r;
        int error;

        if (!c->probe)
                return -EOPNOTSUPP;
        if (probe_client_dead(c->probe))
                return -EPIPE;
        if (!target_is_same(c->target))
                return -ESRCH;
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        run_init(&r->run, c, RUNG_RECLAIM, "malloc_trim", done, userdata, release);
        r->probe = c->probe;
        r->request = (ProbeRequest){
                .op = PROBE_OP_TRIM,
                .pid = c->target->pid,
                .start_ticks = c->target->start_ticks,
                .find_timeout_msec = to_msec(o->reclaim_find_timeout_usec),
                .finish_timeout_msec = to_msec(o->reclaim_finish_timeout_usec),
                .flags = (o->allow_seccomp ? PROBE_FLAG_ALLOW_SECCOMP : 0) |
                         (o->allow_runtime_seccomp ? PROBE_FLAG_RUNTIME_SECCOMP : 0),
        };
        r->attach = o->reclaim_attach;
        r->survey_usec = o->reclaim_survey_usec;
        r->min_gain_bytes = o->reclaim_min_gain_bytes;
        r->min_gain_ratio = o->reclaim_min_gain_ratio;
        error = r->survey_usec > 0 ? begin_survey(r) : begin_call(r);
        if (error < 0) {
                run_free(&r->run);
                return error;
        }
        *ret = &r->run;
        return 0;
}

const Action action_reclaim = {
        .name = "reclaim",
        .rung = RUNG_RECLAIM,
        .check = check,
        .start = start,
        .cancel = run_cancel,
};
