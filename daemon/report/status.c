/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include "report/document.h"
#include "util/clock.h"
#include "util/version.h"

static void write_daemon(Json *j, const View *v) {
        char capabilities[24];

        json_key(j, "daemon");
        json_object_begin(j);
        json_kv_string(j, "version", plateau_version());
        document_time(j, "start_time", v->start_real_usec);
        document_seconds(j, "uptime_s",
                         v->now_real_usec >= v->start_real_usec ? v->now_real_usec - v->start_real_usec
                                                                : USEC_INFINITY);
        json_kv_u64_or_null(j, "rss_bytes", v->self_rss_bytes > 0, v->self_rss_bytes);
        document_seconds(j, "cpu_s", v->self_cpu_usec);
        json_kv_u64(j, "ticks_total", v->ticks_total);
        json_kv_u64(j, "ticks_late_total", v->ticks_late_total);
        json_kv_u64(j, "log_dropped_total", v->log_dropped_total);
        json_key(j, "probe");
        json_object_begin(j);
        json_kv_bool(j, "alive", v->probe_alive);
        snprintf(capabilities, sizeof(capabilities), "%016llx", (unsigned long long)v->probe_capabilities);
        json_kv_string(j, "capabilities", v->probe_alive ? capabilities : NULL);
        json_object_end(j);
        json_key(j, "config");
        json_object_begin(j);
        document_time(j, "reload_time", v->config_reload_real_usec);
        json_kv_bool(j, "reload_ok", v->config_reload_real_usec == 0 || v->config_reload_ok);
        json_object_end(j);
        json_object_end(j);
}

static void write_cgroup(Json *j, const Sample *s) {
        const CgroupSample *c = &s->cgroup;
        bool have = s->have & SAMPLE_HAVE_CGROUP, events = s->have & SAMPLE_HAVE_CGROUP_EVENTS;

        json_key(j, "cgroup");
        if (!(s->have &
              (SAMPLE_HAVE_CGROUP | SAMPLE_HAVE_CGROUP_LIMIT | SAMPLE_HAVE_CGROUP_EVENTS | SAMPLE_HAVE_PRESSURE))) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_u64(j, "version", c->version);
        json_kv_u64_or_null(j, "current_bytes", have, c->current_bytes);
        json_kv_u64_or_null(j, "used_bytes", have, c->usage_bytes);
        json_kv_u64_or_null(j, "limit_bytes", (s->have & SAMPLE_HAVE_CGROUP_LIMIT) && c->limit_bytes, c->limit_bytes);
        json_kv_u64_or_null(j, "high_bytes", have && c->high_bytes, c->high_bytes);
        json_kv_u64_or_null(j, "anon_bytes", have, c->anon_bytes);
        json_kv_u64_or_null(j, "file_bytes", have, c->file_bytes);
        json_kv_u64_or_null(j, "shmem_bytes", have, c->shmem_bytes);
        json_kv_u64_or_null(j, "kernel_bytes", have, c->kernel_bytes);
        json_kv_u64_or_null(j, "inactive_file_bytes", have, c->inactive_file_bytes);
        json_kv_u64_or_null(j, "swap_bytes", have, c->swap_bytes);
        json_kv_u64_or_null(j, "events_high", events, c->events_high);
        json_kv_u64_or_null(j, "events_max", events, c->events_max);
        json_kv_u64_or_null(j, "events_oom", events, c->events_oom);
        json_kv_u64_or_null(j, "events_oom_kill", events, c->events_oom_kill);
        json_kv_double(j, "pressure_some_avg10_ratio",
                       s->have & SAMPLE_HAVE_PRESSURE ? c->pressure_some_avg10_ratio : 0.0 / 0.0);
        json_kv_double(j, "pressure_full_avg10_ratio",
                       s->have & SAMPLE_HAVE_PRESSURE ? c->pressure_full_avg10_ratio : 0.0 / 0.0);
        json_object_end(j);
}

static void write_smaps(Json *j, const View *v, const SmapsRollup *s) {
        json_key(j, "smaps");
        if (s->time_usec == 0) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        document_seconds(j, "age_s", v->now_boot_usec >= s->time_usec ? v->now_boot_usec - s->time_usec : 0);
        json_kv_u64(j, "pss_bytes", s->pss_bytes);
        json_kv_u64(j, "uss_bytes", s->private_clean_bytes + s->private_dirty_bytes);
        json_kv_u64(j, "anonymous_bytes", s->anonymous_bytes);
        json_kv_u64(j, "anon_huge_bytes", s->anon_huge_bytes);
        json_kv_u64(j, "swap_pss_bytes", s->swap_pss_bytes);
        document_seconds(j, "cost_s", s->cost_usec);
        json_object_end(j);
}

static void write_sample(Json *j, const View *v, const TargetView *t) {
        const Sample *s = &t->sample;
        bool status = s->have & SAMPLE_HAVE_STATUS, kinds = s->have & SAMPLE_HAVE_RSS_KIND;

        json_key(j, "sample");
        if (!t->present || !t->sample_known) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        document_seconds(j, "age_s", v->now_boot_usec >= s->time_usec ? v->now_boot_usec - s->time_usec : 0);
        json_kv_u64_or_null(j, "rss_bytes", status, s->rss_bytes);
        json_kv_u64_or_null(j, "rss_anon_bytes", kinds, s->rss_anon_bytes);
        json_kv_u64_or_null(j, "rss_file_bytes", kinds, s->rss_file_bytes);
        json_kv_u64_or_null(j, "rss_shmem_bytes", kinds, s->rss_shmem_bytes);
        json_kv_u64_or_null(j, "rss_peak_bytes", status, s->rss_peak_bytes);
        json_kv_u64_or_null(j, "virtual_bytes", status, s->virtual_bytes);
        json_kv_u64_or_null(j, "page_table_bytes", status, s->page_table_bytes);
        json_kv_u64_or_null(j, "swap_bytes", status, s->swap_bytes);
        json_kv_u64_or_null(j, "threads", status, s->n_threads);
        write_smaps(j, v, &t->smaps);
        write_cgroup(j, s);
        json_object_end(j);
}

static void write_sampling(Json *j, const TargetView *t) {
        json_key(j, "sampling");
        if (!t->present) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        document_seconds(j, "interval_s", t->interval_usec > 0 ? t->interval_usec : USEC_INFINITY);
        json_kv_string(j, "alarm", alarm_name(t->alarm));
        json_object_end(j);
}

/* How good the forecasts were so far; figures are null until one was compared with what came. */
static void write_score(Json *j, const ScoreFigures *s) {
        json_key(j, "forecast_score");
        json_object_begin(j);
        json_kv_u64(j, "of_last", s->n);
        json_kv_double(j, "error_ratio", s->n > 0 ? s->error_ratio : 0.0 / 0.0);
        json_kv_double(j, "error_p90_ratio", s->n > 0 ? s->error_p90_ratio : 0.0 / 0.0);
        json_kv_double(j, "covered_ratio", s->n > 0 ? s->covered_ratio : 0.0 / 0.0);
        json_kv_u64(j, "checked_total", s->checked_total);
        json_kv_u64(j, "covered_total", s->covered_total);
        json_kv_u64(j, "dropped_total", s->dropped_total);
        json_object_end(j);
}

static void write_limit(Json *j, const TargetView *t) {
        const Sample *s = &t->sample;
        bool known = t->present && t->sample_known;
        bool used = known && (s->have & (SAMPLE_HAVE_STATUS | SAMPLE_HAVE_CGROUP)), limited = known && s->limit_bytes;

        json_key(j, "limit");
        json_object_begin(j);
        json_kv_u64_or_null(j, "bytes", limited, s->limit_bytes);
        json_kv_string(j, "source", known ? limit_source_name(s->limit_source) : NULL);
        json_kv_u64_or_null(j, "used_bytes", used, s->usage_bytes);
        json_kv_double(j, "used_ratio", used && limited ? (double)s->usage_bytes / (double)s->limit_bytes : 0.0 / 0.0);
        json_object_end(j);
}

static void write_trend(Json *j, const TargetView *t) {
        const TrendFit *f = &t->fit;

        json_key(j, "trend");
        json_object_begin(j);
        json_kv_string(j, "state", trend_state_name(f->state));
        json_kv_string(j, "kind", trend_kind_name(f->kind));
        json_kv_string(j, "proof", trend_proof_name(f->proof));
        json_kv_u64(j, "samples", f->n);
        document_seconds(j, "span_s", f->span_usec);
        if (f->state != TREND_WAIT) {
                json_kv_double(j, "level_bytes", f->level_bytes);
                json_kv_double(j, "slope_bytes_per_s", f->slope_bytes_per_s);
                json_kv_double(j, "slope_lo_bytes_per_s", f->slope_lo_bytes_per_s);
                json_kv_double(j, "slope_hi_bytes_per_s", f->slope_hi_bytes_per_s);
                json_kv_double(j, "r2_ratio", f->r2_ratio);
                json_kv_double(j, "residual_bytes", f->residual_bytes);
                json_kv_double(j, "odds_ratio", f->odds_ratio);
                json_kv_double(j, "confidence_ratio", f->confidence);
                document_seconds(j, "eta_s", f->eta_usec);
                document_seconds(j, "eta_lo_s", f->eta_lo_usec);
                document_seconds(j, "eta_hi_s", f->eta_hi_usec);
        } else {
                static const char *const keys[] = {
                        "level_bytes", "slope_bytes_per_s", "slope_lo_bytes_per_s", "slope_hi_bytes_per_s",
                        "r2_ratio",    "residual_bytes",    "odds_ratio",           "confidence_ratio",
                        "eta_s",       "eta_lo_s",          "eta_hi_s",
                };
                for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                        json_kv_null(j, keys[i]);
        }
        json_object_end(j);
}

static void write_decisions(Json *j, const TargetView *t) {
        json_key(j, "decisions");
        json_array_begin(j);
        for (unsigned r = 0; r < _RUNG_MAX; r++) {
                const Decision *d = &t->decisions[r];

                json_object_begin(j);
                json_kv_string(j, "rung", rung_name(r));
                json_kv_string(j, "verb", verb_name(d->verb));
                json_kv_string(j, "reason", reason_name(d->reason));
                json_kv_string(j, "reason_text", reason_text(d->reason));
                json_kv_string(j, "trigger", d->trigger == REASON_BELOW ? NULL : reason_name(d->trigger));
                document_seconds(j, "wait_s", d->wait_usec ? d->wait_usec : USEC_INFINITY);
                json_object_end(j);
        }
        json_array_end(j);
}

/* What a rotation needs; null where it is not by deadline. */
static void write_deadline(Json *j, const TargetView *t) {
        json_key(j, "deadline");
        if (!t->by_deadline) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        document_seconds(j, "needs_s", t->needs.total_usec);
        document_seconds(j, "margin_s", t->needs.margin_usec);
        for (PolicyNeed n = 0; n < _NEED_MAX; n++) {
                bool learned = t->needs.n_learned[n] > 0;

                json_key(j, need_name(n));
                json_object_begin(j);
                document_seconds(j, "needs_s", t->needs.usec[n]);
                document_seconds(j, "learned_s", learned ? t->needs.learned_usec[n] : USEC_INFINITY);
                json_kv_u64(j, "learned_from", t->needs.n_learned[n]);
                json_object_end(j);
        }
        json_object_end(j);
}

static void write_actions(Json *j, const TargetView *t) {
        json_kv_string(j, "action_in_flight", t->action_in_flight ? rung_name(t->action_rung) : NULL);
        json_key(j, "last_actions");
        json_object_begin(j);
        for (unsigned r = RUNG_RECLAIM; r < _RUNG_MAX; r++) {
                json_key(j, rung_name(r));
                if (!t->last_outcome_known[r]) {
                        json_nil(j);
                        continue;
                }
                json_object_begin(j);
                document_outcome(j, &t->last_outcome[r], t->last_outcome_real_usec[r]);
                json_object_end(j);
        }
        json_object_end(j);
}

/* Only what happened: [{"rung": "reclaim", "verb": "skip", "reason": "cooldown", "count": 3}]. */
static void write_decision_counters(Json *j, const TargetCounters *c) {
        json_key(j, "decisions_total");
        json_array_begin(j);
        for (unsigned r = 0; r < _RUNG_MAX; r++)
                for (unsigned b = 0; b < _VERB_MAX; b++)
                        for (unsigned w = 0; w < _REASON_MAX; w++) {
                                if (!c->decisions_total[r][b][w])
                                        continue;
                                json_object_begin(j);
                                json_kv_string(j, "rung", rung_name(r));
                                json_kv_string(j, "verb", verb_name(b));
                                json_kv_string(j, "reason", reason_name(w));
                                json_kv_u64(j, "count", c->decisions_total[r][b][w]);
                                json_object_end(j);
                        }
        json_array_end(j);
        json_key(j, "actions_total");
        json_object_begin(j);
        for (unsigned r = RUNG_RECLAIM; r < _RUNG_MAX; r++) {
                json_key(j, rung_name(r));
                json_object_begin(j);
                for (unsigned i = 0; i < _OUTCOME_MAX; i++)
                        json_kv_u64(j, outcome_name(i), c->actions_total[r][i]);
                json_object_end(j);
        }
        json_object_end(j);
}

static void write_counters(Json *j, const TargetCounters *c) {
        json_key(j, "counters");
        if (!c) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_u64(j, "samples_total", c->samples_total);
        json_kv_u64(j, "samples_failed_total", c->samples_failed_total);
        json_kv_u64(j, "alarms_total", c->alarms_total);
        json_kv_u64(j, "restarts_total", c->restarts_total);
        json_kv_u64(j, "execs_total", c->execs_total);
        json_kv_u64(j, "smaps_total", c->smaps_total);
        json_kv_u64(j, "smaps_failed_total", c->smaps_failed_total);
        json_kv_u64(j, "smaps_skipped_total", c->smaps_skipped_total);
        json_kv_u64(j, "reclaimed_bytes_total", c->reclaimed_bytes_total);
        document_seconds(j, "reclaim_stop_s_total", c->reclaim_stop_usec_total);
        document_seconds(j, "reclaim_duration_s_total", c->reclaim_duration_usec_total);
        document_seconds(j, "sample_cost_s_total", c->sample_cost_usec_total);
        json_kv_u64(j, "surveys_total", c->surveys_total);
        json_kv_u64(j, "surveys_failed_total", c->surveys_failed_total);
        document_seconds(j, "survey_cpu_s_total", c->survey_cpu_usec_total);
        json_key(j, "trend_resets_total");
        json_object_begin(j);
        for (unsigned i = TREND_RESET_NONE + 1; i < _TREND_RESET_MAX; i++)
                json_kv_u64(j, trend_reset_name(i), c->trend_resets_total[i]);
        json_object_end(j);
        write_decision_counters(j, c);
        json_object_end(j);
}

static void write_target(Json *j, const View *v, const TargetView *t) {
        const Target *p = t->target;
        bool aged = t->present && p->start_boot_usec && v->now_boot_usec >= p->start_boot_usec;

        json_object_begin(j);
        json_kv_string(j, "name", p->spec.name);
        json_kv_string(j, "match", target_match_name(p->spec.match));
        json_kv_bool(j, "present", t->present);
        json_kv_u64_or_null(j, "pid", t->present, (uint64_t)p->pid);
        json_kv_string(j, "comm", t->present ? p->comm : NULL);
        json_kv_string(j, "cmdline", t->present ? p->cmdline : NULL);
        json_kv_u64_or_null(j, "uid", t->present, p->uid);
        document_seconds(j, "age_s", aged ? v->now_boot_usec - p->start_boot_usec : USEC_INFINITY);
        write_sample(j, v, t);
        write_sampling(j, t);
        write_limit(j, t);
        write_trend(j, t);
        write_score(j, &t->score);
        json_kv_string(j, "verdict", t->verdict);
        document_diagnosis(j, t->diagnosis, t->present ? t->target->pid : 0);
        json_kv_bool(j, "dry_run", t->dry_run);
        json_key(j, "alert");
        json_object_begin(j);
        json_kv_bool(j, "firing", t->alert_firing);
        document_time(j, "since", t->alert_firing ? t->alert_since_real_usec : 0);
        json_object_end(j);
        write_decisions(j, t);
        write_deadline(j, t);
        write_actions(j, t);
        write_counters(j, t->counters);
        json_object_end(j);
}

static void write_sink(Json *j, const SinkCounters *s) {
        json_object_begin(j);
        json_kv_string(j, "name", s->name);
        json_kv_u64(j, "attempts_total", s->attempts_total);
        json_kv_u64(j, "delivered_total", s->delivered_total);
        json_kv_u64(j, "failed_total", s->failed_total);
        json_kv_u64(j, "dropped_total", s->dropped_total);
        json_kv_u64(j, "queued", s->queued);
        document_time(j, "last_success", s->last_success_real_usec);
        json_kv_string(j, "last_error", s->last_error[0] ? s->last_error : NULL);
        json_object_end(j);
}

void status_encode(Buf *b, const View *v, const ReportOptions *o) {
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_u64(&j, "schema_version", DOCUMENT_SCHEMA_VERSION);
        document_time(&j, "time", v->now_real_usec);
        write_daemon(&j, v);
        document_labels(&j, o);
        pod_document(&j, v->pod, v->now_boot_usec, v->now_real_usec);
        json_key(&j, "targets");
        json_array_begin(&j);
        for (unsigned i = 0; i < v->n_targets; i++)
                write_target(&j, v, &v->targets[i]);
        json_array_end(&j);
        json_key(&j, "sinks");
        json_array_begin(&j);
        for (unsigned i = 0; i < v->n_sinks && i < VIEW_SINKS_MAX; i++)
                write_sink(&j, &v->sinks[i]);
        json_array_end(&j);
        json_object_end(&j);
}
