/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "actions.h"
#include "sample/company.h"
#include "watch-internal.h"
#include "watch-log.h"

#define SMAPS_INTERVAL_MIN_USEC (10 * USEC_PER_SEC)  /* however cheap it is */
#define SMAPS_RETRY_USEC (60 * USEC_PER_SEC)         /* after a refusal */
#define SMAPS_COST_PER_GIB_USEC 2500                 /* before it was measured here: 2.3 ms at 1 GiB, 9.7 ms at 4 GiB */
#define SAMPLE_RETRY_USEC (5 * USEC_PER_SEC)           /* one failed, or told nothing */
#define CHECK_INTERVAL_USEC (30 * USEC_PER_SEC)      /* between two looks whether an action could work */
#define CGROUP_DIR_RETRY_USEC (60 * USEC_PER_SEC)
#define SURVEY_BUDGET_MSEC_MAX 1000u                 /* of one: a larger heap is told to be read in part */
#define SLEEP_MIN_USEC (2 * USEC_PER_SEC)             /* of CLOCK_BOOTTIME ahead of CLOCK_MONOTONIC: a suspend */
#define LIMIT_NEAR_USEC (2 * USEC_PER_HOUR)

#define NAME(w) ((w)->target.spec.name)

const TargetSpec *watch_spec(const Watch *w) {
        return &w->target.spec;
}

/* ---- events of the process ---- */

static int on_end(sd_event_source *s, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        Watch *w = userdata;

        sd_event_source_set_enabled(s, SD_EVENT_OFF); /* a pidfd stays readable */
        watch_look_now(w);
        w->host->wake(w->host->userdata);
        return 0;
}

static void drop_end_source(Watch *w) {
        if (w->end_io)
                w->end_io = sd_event_source_disable_unref(w->end_io);
}

/* epoll takes a descriptor once, and an action may watch the target's own: so a duplicate. */
static void watch_for_end(Watch *w) {
        int fd;

        drop_end_source(w);
        if (w->target.pid_fd < 0)
                return; /* before Linux 5.3: noticed by the next tick */
        fd = fcntl(w->target.pid_fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
                return;
        if (sd_event_add_io(w->host->event, &w->end_io, fd, EPOLLIN, on_end, w) < 0) {
                fd_close(fd);
                return;
        }
        sd_event_source_set_io_fd_own(w->end_io, true);
        sd_event_source_set_description(w->end_io, "target-end");
}

static void tell_alert(Watch *w, const Decision *d);

/* Another process, or none: what was measured of the last one says nothing any more. */
static void forget_process(Watch *w, uint64_t now_usec, TrendReset why) {
        w->generation++;
        w->sample_known = false;
        watch_forget_pace(w);
        w->smaps = SMAPS_ROLLUP_NULL;
        looks_reset(&w->looks);
        w->smaps_next_usec = w->cgroup_next_usec = w->check_next_usec = 0;
        w->rotate_armed = false;
        w->rotate_wanted_usec = 0;
        judge_forget(&w->judge, now_usec, why);
        w->counters.trend_resets_total[why]++;
}

static void on_target_event(Watch *w, TargetEvent e, uint64_t now_usec) {
        bool present = e == TARGET_EVENT_STARTED || e == TARGET_EVENT_RESTARTED || e == TARGET_EVENT_EXECED;
        Decision resolve;

        watch_log_target(&w->target, e);
        if (e == TARGET_EVENT_RESTARTED)
                w->counters.restarts_total++;
        if (e == TARGET_EVENT_EXECED)
                w->counters.execs_total++;
        if (e == TARGET_EVENT_ABSENT)
                return;
        /* the View still shows the old figures when its alert is resolved */
        if (judge_target_changed(&w->judge, now_usec, present, &resolve))
                tell_alert(w, &resolve);
        w->present = present;
        forget_process(w, now_usec, e == TARGET_EVENT_STARTED ? TREND_RESET_START : TREND_RESET_RESTART);
        if (present)
                watch_for_end(w);
        else
                drop_end_source(w);
}

/* ---- what only the probe may read ---- */

/* One request is out at a time, and a tick comes every few seconds: who waits for the next one would wait for ever
 * behind those before it. */
static void answered(Watch *w, int error) {
        if (error >= 0)
                w->host->answered(w->host->userdata);
}

static void take_smaps(Watch *w, const ProbeReply *r, int error) {
        uint64_t now = now_boot_usec();

        w->smaps_pending = false;
        if (error < 0 || w->asked_generation != w->generation) {
                w->smaps_next_usec = now + SMAPS_INTERVAL_MIN_USEC;
                return;
        }
        if (r->result != PROBE_OK) {
                if (w->counters.smaps_failed_total++ == 0)
                        log_event(LOG_INFO, "smaps.denied",
                                  LOG_FIELDS(LF_S("target", NAME(w)), LF_S("reason", probe_result_name(r->result))),
                                  "%s: PSS and USS are not known: %s%s%s", NAME(w), probe_result_text(r->result),
                                  r->detail[0] ? ": " : "", r->detail);
                w->smaps_next_usec = now + SMAPS_RETRY_USEC;
                return;
        }
        w->counters.smaps_total++;
        w->smaps = r->smaps;
        w->smaps.time_usec = now;
        w->smaps_rss_bytes = w->sample.rss_bytes;
        /* a read that cost c may come again after c / budget */
        w->smaps_next_usec = now + max_of((uint64_t)((double)r->smaps.cost_usec /
                                                     w->host->settings->sample.smaps_budget_ratio),
                                          (uint64_t)SMAPS_INTERVAL_MIN_USEC);
}

static void on_smaps(void *userdata, const ProbeReply *r, int fd, int error) {
        Watch *w = userdata;

        fd_close(fd); /* none comes along */
        take_smaps(w, r, error);
        answered(w, error);
}

static uint64_t predicted_smaps_cost(const Watch *w) {
        if (w->smaps.time_usec && w->smaps_rss_bytes)
                return (uint64_t)((double)w->smaps.cost_usec * (double)w->sample.rss_bytes /
                                  (double)w->smaps_rss_bytes);
        return (uint64_t)((double)w->sample.rss_bytes / (1 << 30) * SMAPS_COST_PER_GIB_USEC);
}

static bool probe_is_free(const Watch *w) {
        return w->host->probe && !probe_client_dead(w->host->probe) && !probe_client_busy(w->host->probe);
}

static int ask_probe(Watch *w, ProbeOp op, ProbeReplyFn fn) {
        ProbeRequest req = {.op = op, .pid = w->target.pid, .start_ticks = w->target.start_ticks};

        w->asked_generation = w->generation;
        return probe_client_send(w->host->probe, &req, fn, w);
}

static void maybe_read_smaps(Watch *w, uint64_t now_usec) {
        const SampleOptions *o = &w->host->settings->sample;

        if (o->smaps_budget_ratio <= 0 || w->smaps_pending || now_usec < w->smaps_next_usec || !probe_is_free(w))
                return;
        if (predicted_smaps_cost(w) > o->smaps_stall_max_usec) {
                w->counters.smaps_skipped_total++;
                w->smaps_next_usec = now_usec + SMAPS_RETRY_USEC;
                return;
        }
        w->smaps_pending = ask_probe(w, PROBE_OP_SMAPS_ROLLUP, on_smaps) == 0;
}

static void on_cgroup_dir(void *userdata, const ProbeReply *r, int fd, int error) {
        Watch *w = userdata;

        w->cgroup_pending = false;
        if (error < 0 || r->result != PROBE_OK || fd < 0 || w->asked_generation != w->generation || !w->present)
                fd_close(fd);
        else if (target_set_cgroup_dir(&w->target, fd) < 0)
                log_event(LOG_DEBUG, "cgroup.none", LOG_FIELDS(LF_S("target", NAME(w))), "%s: no memory cgroup seen",
                          NAME(w));
        answered(w, error);
}

static void maybe_ask_for_cgroup(Watch *w, uint64_t now_usec) {
        if (!target_wants_cgroup_dir(&w->target) || w->cgroup_pending || now_usec < w->cgroup_next_usec ||
            !probe_is_free(w))
                return;
        w->cgroup_next_usec = now_usec + CGROUP_DIR_RETRY_USEC;
        w->cgroup_pending = ask_probe(w, PROBE_OP_CGROUP_DIR, on_cgroup_dir) == 0;
}

static void take_survey(Watch *w, const ProbeReply *r, int fd, int error) {
        VerdictKind was = w->looks.diagnosis.verdict.kind;
        const char *why = r ? probe_result_text(r->result) : "no answer";

        w->looks.pending = false;
        if (error < 0 || w->asked_generation != w->generation)
                return;
        w->counters.surveys_total++;
        if (r->result == PROBE_OK && looks_take(&w->looks, fd, &w->sample, company_is_own(&w->target),
                                                w->host->settings->sample.survey_budget_ratio, &why) == 0) {
                w->counters.survey_cpu_usec_total += w->looks.diagnosis.cpu_usec;
                watch_log_verdict(NAME(w), &w->looks.diagnosis, was);
        } else if (w->counters.surveys_failed_total++ == 0)
                log_event(LOG_INFO, "survey.failed", LOG_FIELDS(LF_S("target", NAME(w)), LF_S("reason", why)),
                          "%s: where its memory is, is not known: %s", NAME(w), why);
}

static void on_survey(void *userdata, const ProbeReply *r, int fd, int error) {
        _cleanup_fd_ int table = fd;
        Watch *w = userdata;

        take_survey(w, r, table, error);
        answered(w, error);
}

static bool limit_is_near(const Watch *w) {
        return w->judge.policy.alert_firing ||
               (w->judge.fit.state == TREND_GROWING && w->judge.fit.eta_lo_usec < LIMIT_NEAR_USEC);
}

static void maybe_survey(Watch *w, uint64_t now_usec) {
        const SampleOptions *o = &w->host->settings->sample;
        uint64_t interval = limit_is_near(w) ? min_of(o->survey_interval_min_usec, o->survey_interval_usec)
                                             : o->survey_interval_usec;
        ProbeRequest req = {.op = PROBE_OP_SURVEY,
                            .pid = w->target.pid,
                            .start_ticks = w->target.start_ticks,
                            .budget_msec = SURVEY_BUDGET_MSEC_MAX};

        if (o->survey_budget_ratio <= 0 || w->run || !looks_due(&w->looks, now_usec, interval) || !probe_is_free(w))
                return;
        w->asked_generation = w->generation;
        w->looks.asked_usec = now_usec;
        w->looks.pending = probe_client_send(w->host->probe, &req, on_survey, w) == 0;
}

/* ---- acting ---- */

static ActionContext context_of(Watch *w) {
        return (ActionContext){
                .event = w->host->event,
                .probe = w->host->probe,
                .target = &w->target,
                .options = &w->host->settings->action,
                .kube = pod_kube(w->host->pod),
        };
}

static void check_actions(Watch *w, uint64_t now_usec) {
        if (now_usec < w->check_next_usec)
                return;
        w->check_next_usec = now_usec + CHECK_INTERVAL_USEC;
        for (Rung r = RUNG_RECLAIM; r <= RUNG_ROTATE; r++) {
                const Action *a = actions_for(r, &w->host->settings->action);
                ActionContext c = context_of(w);
                char why[160] = "";
                bool can = a && a->check(&c, why, sizeof(why)) >= 0;

                if (!a && r == RUNG_ROTATE)
                        snprintf(why, sizeof(why), "no rotation method is configured");
                if (!can && strcmp(why, w->cannot[r]) != 0)
                        log_event(LOG_NOTICE, "action.unsupported",
                                  LOG_FIELDS(LF_S("target", NAME(w)), LF_S("rung", rung_name(r))),
                                  "%s: %s will not work here: %s", NAME(w), rung_name(r), why);
                w->can[r] = can;
                snprintf(w->cannot[r], sizeof(w->cannot[r]), "%s", can ? "" : why);
        }
}

static void on_action_done(void *userdata, const Outcome *o) {
        Watch *w = userdata;
        TargetView v;

        w->run = NULL;
        w->outcome[o->rung] = *o;
        w->outcome_known[o->rung] = true;
        w->outcome_real_usec[o->rung] = now_real_usec();
        if (o->rung == RUNG_RECLAIM)
                w->outcome_generation = w->generation;
        w->counters.actions_total[o->rung][(unsigned)o->result < _OUTCOME_MAX ? o->result : OUTCOME_ERROR]++;
        if (o->rung == RUNG_RECLAIM) {
                w->counters.reclaimed_bytes_total += o->released_bytes;
                w->counters.reclaim_stop_usec_total += o->stop_usec;
                w->counters.reclaim_duration_usec_total += o->duration_usec;
        }
        if (judge_outcome(&w->judge, o, w->present))
                w->counters.trend_resets_total[TREND_RESET_RECLAIM]++;
        watch_log_outcome(NAME(w), o);
        watch_view(w, &v);
        report_action(w->host->report, &v, o, &w->run_decision);
        pod_tell_outcome(w->host->pod, &v, o);
        w->rotate_armed = w->rotate_armed && o->rung != RUNG_ROTATE;
        watch_look_now(w); /* measure what it gave */
        w->host->wake(w->host->userdata);
}

static void start_action(Watch *w, const Decision *d) {
        const Action *a = actions_for(d->rung, &w->host->settings->action);
        ActionContext c = context_of(w);
        TargetView v;
        int r;

        if (!a || w->run)
                return;
        watch_view(w, &v);
        buf_reset(&w->evidence);
        decision_encode(&w->evidence, &v, d, &w->host->settings->report);
        c.evidence_json = buf_str(&w->evidence);
        w->run_decision = *d;
        w->action = a;
        r = a->start(&c, d, on_action_done, w, &w->run);
        if (r == -EBUSY)
                return; /* the probe is reading smaps for somebody; the next tick asks again */
        judge_started(&w->judge, d);
        w->rotate_armed = w->rotate_armed || (r >= 0 && d->rung == RUNG_ROTATE);
        if (r < 0) {
                Outcome o = {.rung = d->rung, .result = OUTCOME_ERROR, .time_usec = now_boot_usec()};

                snprintf(o.method, sizeof(o.method), "%s", a->name);
                snprintf(o.detail, sizeof(o.detail), "could not start: %s", strerror(-r));
                w->run = NULL;
                on_action_done(w, &o);
        }
}

static void tell_alert(Watch *w, const Decision *d) {
        TargetView v;

        if (d->verb == VERB_ACT && d->reason != REASON_PERSISTS)
                w->alert_since_real_usec = now_real_usec();
        watch_view(w, &v);
        v.alert_firing = d->verb == VERB_ACT;
        report_alert(w->host->report, &v, d);
        pod_tell_alert(w->host->pod, &v, d);
}

/* ---- deciding ---- */

/* A machine that slept: CLOCK_BOOTTIME went on, CLOCK_MONOTONIC did not, and nothing could grow. */
static uint64_t take_sleep(Watch *w, uint64_t boot_usec) {
        uint64_t mono_usec = now_mono_usec(), ahead = boot_usec - min_of(boot_usec, mono_usec), slept;

        slept = w->sleep_known ? ahead - min_of(ahead, w->slept_usec) : 0;
        w->slept_usec = ahead;
        w->sleep_known = true;
        if (slept < SLEEP_MIN_USEC)
                return 0;
        w->counters.trend_resets_total[TREND_RESET_SLEEP]++;
        log_event(LOG_INFO, "trend.reset",
                  LOG_FIELDS(LF_S("target", NAME(w)), LF_S("reason", trend_reset_name(TREND_RESET_SLEEP))),
                  "%s: the machine slept %llu s, which the trend leaves out", NAME(w),
                  (unsigned long long)(slept / USEC_PER_SEC));
        return slept;
}

static void figures_of(Watch *w, uint64_t cost_usec, JudgeFigures *ret) {
        WatchFacts facts = {.settings = w->host->settings,
                            .sample = &w->sample,
                            .looks = &w->looks,
                            .start_usec = w->target.start_boot_usec};

        watch_input(&facts, w->sample.time_usec, ret);
        ret->cost_usec = cost_usec;
        ret->slept_usec = take_sleep(w, w->sample.time_usec);
        ret->warned = watch_mind_alarm(w);
        ret->alarmed = w->alarmed;
        w->alarmed = false;
        ret->action_in_flight = w->run != NULL;
        ret->can_reclaim = w->can[RUNG_RECLAIM];
        ret->can_rotate = w->can[RUNG_ROTATE];
}

/* Right before an act: the loop may have been held up since the sample. What does not hold any more is not done. */
static bool still_holds(Watch *w, Decision *d) {
        Sample s;

        if (target_sample(&w->target, now_boot_usec(), w->host->env_limit_bytes, &s) < 0)
                return false; /* it ended: the next tick tells */
        return judge_holds(&w->judge, s.usage_bytes, s.limit_bytes, d);
}

static void carry_out(Watch *w, const Decision last[static _RUNG_MAX]) {
        for (Rung r = 0; r < _RUNG_MAX; r++) {
                Decision *d = &w->judge.decisions[r];
                bool act = d->verb == VERB_ACT && (r == RUNG_ALERT || still_holds(w, d));

                w->counters.decisions_total[r][d->verb][d->reason]++;
                watch_log_decision(NAME(w), d, &last[r]);
                if (r == RUNG_ALERT && (act || d->verb == VERB_RESOLVE)) {
                        judge_started(&w->judge, d);
                        tell_alert(w, d);
                } else if (act)
                        start_action(w, d);
        }
}

static void judge(Watch *w, uint64_t cost_usec) {
        Decision last[_RUNG_MAX];
        JudgeFigures f;
        TrendReset reset;
        uint64_t wait;

        figures_of(w, cost_usec, &f);
        memcpy(last, w->judge.decisions, sizeof(last));
        reset = judge_sample(&w->judge, &f, &wait);
        if (reset != TREND_RESET_NONE) {
                w->counters.trend_resets_total[reset]++;
                /* the first sample brings the first limit: no news */
                log_event(w->counters.samples_total == 0 ? LOG_DEBUG : LOG_INFO, "trend.reset",
                          LOG_FIELDS(LF_S("target", NAME(w)), LF_S("reason", trend_reset_name(reset))),
                          reset == TREND_RESET_LIMIT ? "%s: the trend goes on toward another %s"
                                                     : "%s: the trend begins anew: %s",
                          NAME(w), trend_reset_name(reset));
        }
        w->look_next_usec = w->sample.time_usec + wait;
        if (w->judge.decisions[RUNG_ROTATE].trigger != REASON_BELOW)
                w->rotate_wanted_usec = w->sample.time_usec;
        carry_out(w, last);
}

/* ---- the tick ---- */

static uint64_t cpu_usec(void) {
        struct timespec ts;

        return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) < 0
                       ? 0
                       : (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

static bool take_sample(Watch *w, uint64_t now_usec) {
        uint64_t begin = cpu_usec();
        Sample s;
        int r = target_sample(&w->target, now_usec, w->host->env_limit_bytes, &s);

        uint64_t cost = cpu_usec() - begin;

        w->counters.sample_cost_usec_total += cost;
        if (r < 0) {
                w->counters.samples_failed_total++;
                w->look_next_usec = now_usec + SAMPLE_RETRY_USEC;
                if (r != -ESRCH)
                        log_event(LOG_WARNING, "sample.failed", LOG_FIELDS(LF_S("target", NAME(w)), LF_I("error", r)),
                                  "%s: could not be read: %s", NAME(w), strerror(-r));
                return r == -ESRCH;
        }
        w->sample = s;
        w->sample_known = true;
        w->look_next_usec = now_usec + SAMPLE_RETRY_USEC;
        if (s.have & SAMPLE_HAVE_STATUS)
                judge(w, cost);
        w->counters.samples_total++;
        return true;
}

void watch_ask(Watch *w, uint64_t now_usec) {
        if (!w->present || !w->sample_known)
                return;
        maybe_ask_for_cgroup(w, now_usec);
        maybe_read_smaps(w, now_usec);
        maybe_survey(w, now_usec);
}

bool watch_is_acting(const Watch *w) {
        return w->run != NULL;
}

bool watch_tick(Watch *w, uint64_t now_usec) {
        TargetEvent e;
        int r;

        if (!w->present && !watch_is_due(w, now_usec))
                return true;
        r = target_refresh(&w->target, &e);
        if (r < 0) {
                w->look_next_usec = now_usec + SAMPLE_RETRY_USEC;
                log_event(LOG_WARNING, "target.failed", LOG_FIELDS(LF_S("target", NAME(w)), LF_I("error", r)),
                          "%s: looking for it failed: %s", NAME(w), strerror(-r));
                return false;
        }
        if (e != TARGET_EVENT_NONE)
                on_target_event(w, e, now_usec);
        if (!w->present) {
                w->look_next_usec = now_usec + w->host->settings->sample.search_interval_usec;
                return true;
        }
        if (!watch_is_due(w, now_usec))
                return true;
        check_actions(w, now_usec);
        maybe_ask_for_cgroup(w, now_usec);
        if (!take_sample(w, now_usec))
                return false;
        watch_ask(w, now_usec);
        return true;
}

/* ---- life ---- */

static void options_of(const WatchHost *host, JudgeOptions *ret) {
        const Settings *s = host->settings;

        *ret = (JudgeOptions){.trend = s->trend, .pace = s->sample.pace, .policy = s->policy};
        if (s->action.rotate_method == ROTATE_KUBERNETES)
                pod_needs(host->pod, &ret->policy);
}

int watch_new(WatchHost *host, const TargetSpec *spec, Watch **ret) {
        Watch *w = calloc(1, sizeof(*w));
        JudgeOptions options;

        if (!w)
                return -ENOMEM;
        w->host = host;
        w->target = TARGET_NULL;
        w->alarm = ALARM_NULL;
        target_init(&w->target, spec, &host->source);
        options_of(host, &options);
        judge_init(&w->judge, &options);
        *ret = w;
        return 0;
}

void watch_cancel_action(Watch *w) {
        if (w->run)
                w->action->cancel(w->run); /* calls on_action_done(), which clears it */
}

void watch_cancel_reclaim(Watch *w) {
        if (w->run && w->action->rung == RUNG_RECLAIM)
                watch_cancel_action(w);
}

Watch *watch_free(Watch *w) {
        if (!w)
                return NULL;
        watch_cancel_action(w);
        if (w->host->probe)
                probe_client_abandon(w->host->probe, w);
        drop_end_source(w);
        watch_drop_alarm(w);
        target_done(&w->target);
        buf_done(&w->evidence);
        looks_done(&w->looks);
        free(w);
        return NULL;
}

void watch_needs_changed(Watch *w) {
        JudgeOptions options;

        options_of(w->host, &options);
        judge_set_options(&w->judge, &options);
}

void watch_settings_changed(Watch *w) {
        watch_needs_changed(w);
        w->check_next_usec = 0;
        watch_look_now(w);
}
