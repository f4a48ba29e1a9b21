/* SPDX-License-Identifier: Apache-2.0
 *
 * One view of the daemon with a figure in every field, for the encoders' tests and for the report driver. Times are
 * fixed, so that what is encoded can be compared byte by byte. The second target is absent and the third is watched
 * without any access: its figures must be absent too. Names hold bytes that break careless encoders.
 */
#pragma once

#include <string.h>

#include "report/report.h"
#include "util/clock.h"

#define FIXTURE_MB        ((uint64_t)1000000)
#define FIXTURE_BOOT_USEC (10 * USEC_PER_HOUR)
#define FIXTURE_REAL_USEC (1795305600 * USEC_PER_SEC) /* 2026-11-22T00:00:00Z */
#define FIXTURE_TARGETS   3

typedef struct ViewFixture {
        Target targets[FIXTURE_TARGETS];
        TargetView views[FIXTURE_TARGETS];
        TargetCounters counters[FIXTURE_TARGETS];
        Diagnosis diagnosis;
        ReportOptions options;
        PodView pod;
        PodRequest requests[2];
        View view;
} ViewFixture;

static inline void fixture_sample(Sample *s) {
        *s = (Sample){
                .time_usec = FIXTURE_BOOT_USEC - 1500 * USEC_PER_MSEC,
                .have = SAMPLE_HAVE_STATUS | SAMPLE_HAVE_RSS_KIND | SAMPLE_HAVE_CGROUP | SAMPLE_HAVE_CGROUP_LIMIT |
                        SAMPLE_HAVE_CGROUP_EVENTS | SAMPLE_HAVE_PRESSURE,
                .rss_bytes = 3900 * FIXTURE_MB,
                .rss_anon_bytes = 3850 * FIXTURE_MB,
                .rss_file_bytes = 50 * FIXTURE_MB,
                .rss_peak_bytes = 3950 * FIXTURE_MB,
                .virtual_bytes = 9000 * FIXTURE_MB,
                .page_table_bytes = 8 * FIXTURE_MB,
                .swap_bytes = 0,
                .n_threads = 12,
                .cgroup = {.version = 2,
                           .current_bytes = 4300 * FIXTURE_MB,
                           .usage_bytes = 3915 * FIXTURE_MB,
                           .limit_bytes = 4500 * FIXTURE_MB,
                           .anon_bytes = 3850 * FIXTURE_MB,
                           .file_bytes = 380 * FIXTURE_MB,
                           .shmem_bytes = 1 * FIXTURE_MB,
                           .kernel_bytes = 64 * FIXTURE_MB,
                           .inactive_file_bytes = 300 * FIXTURE_MB,
                           .events_high = 0,
                           .events_max = 7,
                           .events_oom = 1,
                           .events_oom_kill = 1,
                           .pressure_some_avg10_ratio = 0.0123,
                           .pressure_full_avg10_ratio = 0.004},
                .usage_bytes = 3915 * FIXTURE_MB,
                .limit_bytes = 4500 * FIXTURE_MB,
                .limit_source = LIMIT_CGROUP,
        };
}

static inline Decision fixture_decision(Rung rung, Verb verb, Reason reason) {
        return (Decision){
                .rung = rung,
                .verb = verb,
                .reason = reason,
                .trigger = REASON_ETA,
                .threshold = 3600,
                .time_usec = FIXTURE_BOOT_USEC,
                .usage_bytes = 3915 * FIXTURE_MB,
                .limit_bytes = 4500 * FIXTURE_MB,
                .used_ratio = 0.87,
                .slope_bytes_per_s = 200000,
                .eta_usec = 51 * USEC_PER_MINUTE,
                .eta_lo_usec = 38 * USEC_PER_MINUTE,
                .eta_hi_usec = 80 * USEC_PER_MINUTE,
        };
}

static inline Outcome fixture_reclaim(void) {
        return (Outcome){
                .rung = RUNG_RECLAIM,
                .result = OUTCOME_OK,
                .time_usec = FIXTURE_BOOT_USEC - 5 * USEC_PER_MINUTE,
                .duration_usec = 96500,
                .before_bytes = 4170 * FIXTURE_MB,
                .after_bytes = 3900 * FIXTURE_MB,
                .released_bytes = 270 * FIXTURE_MB,
                .stop_usec = 72,
                .method = "malloc_trim",
                .detail = "a thread of its own ran it",
        };
}

static inline void fixture_diagnosis(Diagnosis *d) {
        *d = (Diagnosis){
                .n_looks = 8,
                .span_usec = 7 * USEC_PER_MINUTE,
                .time_real_usec = FIXTURE_REAL_USEC - 20 * USEC_PER_SEC,
                .time_usec = FIXTURE_BOOT_USEC - 20 * USEC_PER_SEC,
                .duration_usec = 81500,
                .cpu_usec = 60250,
                .heap_known = true,
                .in_use_bytes = 2900 * FIXTURE_MB,
                .free_bytes = 800 * FIXTURE_MB,
                .pinned_bytes = 520 * FIXTURE_MB,
                .trim_known = true,
                .trimmable_bytes = 268 * FIXTURE_MB,
                .last = {.rss_bytes = 3900 * FIXTURE_MB,
                         .trim_known = true,
                         .known = 1u << DIAGNOSE_HEAP_USED | 1u << DIAGNOSE_HEAP_FREE,
                         .trim_bytes = 268 * FIXTURE_MB,
                         .part_bytes =
                                 {[DIAGNOSE_HEAP_USED] = 2900 * FIXTURE_MB, [DIAGNOSE_HEAP_FREE] = 788 * FIXTURE_MB}},
                .verdict = {.kind = VERDICT_LIVE_GROWTH,
                            .confidence = 0.9,
                            .part = DIAGNOSE_HEAP_USED,
                            .growing = true,
                            .rss_bytes_per_s = 201000,
                            .part_bytes_per_s = 199000,
                            .size_class = 40,
                            .class_bytes_per_s = 190000,
                            .class_n_per_s = 280,
                            .remedies = {{REMEDY_RECLAIM, 268 * FIXTURE_MB}, {REMEDY_FIX_LEAK, 0}}},
        };
}

static inline void fixture_watched(ViewFixture *f) {
        TargetView *v = &f->views[0];
        TargetCounters *c = &f->counters[0];
        Target *t = &f->targets[0];

        strcpy(t->spec.name, "pusher");
        t->spec.match = TARGET_MATCH_EXE;
        t->pid = 4711;
        t->uid = 1000;
        t->start_boot_usec = FIXTURE_BOOT_USEC - 2 * USEC_PER_HOUR;
        strcpy(t->comm, "py\"th\\on)\n\x1b");
        strcpy(t->cmdline, "python3 server.py --name=\xff\xfe{}\"\\ \xc3\xa9");
        v->present = v->sample_known = true;
        fixture_sample(&v->sample);
        v->smaps = (SmapsRollup){.time_usec = FIXTURE_BOOT_USEC - 90 * USEC_PER_SEC,
                                 .rss_bytes = 3880 * FIXTURE_MB,
                                 .pss_bytes = 3860 * FIXTURE_MB,
                                 .private_dirty_bytes = 3845 * FIXTURE_MB,
                                 .private_clean_bytes = 5 * FIXTURE_MB,
                                 .anonymous_bytes = 3845 * FIXTURE_MB,
                                 .anon_huge_bytes = 2 * FIXTURE_MB,
                                 .cost_usec = 12345};
        fixture_diagnosis(&f->diagnosis);
        v->diagnosis = &f->diagnosis;
        v->fit = (TrendFit){.state = TREND_GROWING,
                            .kind = TREND_KIND_LEAK,
                            .proof = TREND_PROOF_RECLAIM,
                            .n = 120,
                            .span_usec = 10 * USEC_PER_MINUTE,
                            .level_bytes = 3.9e9,
                            .slope_bytes_per_s = 200000,
                            .slope_lo_bytes_per_s = 125000,
                            .slope_hi_bytes_per_s = 275000,
                            .r2_ratio = 0.993,
                            .residual_bytes = 1.5e6,
                            .odds_ratio = 0.96,
                            .limit_bytes = 4500 * FIXTURE_MB,
                            .eta_usec = 51 * USEC_PER_MINUTE,
                            .eta_lo_usec = 38 * USEC_PER_MINUTE,
                            .eta_hi_usec = 80 * USEC_PER_MINUTE,
                            .confidence = 0.9};
        v->decisions[RUNG_ALERT] = fixture_decision(RUNG_ALERT, VERB_SKIP, REASON_PERSISTS);
        v->decisions[RUNG_RECLAIM] = fixture_decision(RUNG_RECLAIM, VERB_SKIP, REASON_COOLDOWN);
        v->decisions[RUNG_RECLAIM].wait_usec = 90500 * USEC_PER_MSEC;
        v->decisions[RUNG_ROTATE] = (Decision){.rung = RUNG_ROTATE};
        v->alert_firing = true;
        v->alert_since_real_usec = FIXTURE_REAL_USEC - 10 * USEC_PER_MINUTE;
        v->last_outcome_known[RUNG_RECLAIM] = true;
        v->last_outcome[RUNG_RECLAIM] = fixture_reclaim();
        v->last_outcome_real_usec[RUNG_RECLAIM] = FIXTURE_REAL_USEC - 5 * USEC_PER_MINUTE;
        v->verdict = "unknown";
        *c = (TargetCounters){.samples_total = 1440,
                              .samples_failed_total = 1,
                              .restarts_total = 2,
                              .smaps_total = 40,
                              .smaps_skipped_total = 3,
                              .reclaimed_bytes_total = 811 * FIXTURE_MB,
                              .reclaim_stop_usec_total = 216,
                              .reclaim_duration_usec_total = 290000,
                              .sample_cost_usec_total = 12345678,
                              .alarms_total = 2};
        c->trend_resets_total[TREND_RESET_START] = 1;
        c->trend_resets_total[TREND_RESET_RECLAIM] = 3;
        c->decisions_total[RUNG_RECLAIM][VERB_ACT][REASON_ETA] = 3;
        c->decisions_total[RUNG_RECLAIM][VERB_SKIP][REASON_COOLDOWN] = 60;
        c->actions_total[RUNG_RECLAIM][OUTCOME_OK] = 2;
        c->actions_total[RUNG_RECLAIM][OUTCOME_PARTIAL] = 1;
}

static inline void fixture_deadline(TargetView *v) {
        v->interval_usec = 4500 * USEC_PER_MSEC;
        v->alarm = ALARM_EVENTS;
        v->score = (ScoreFigures){.n = 12,
                                  .error_ratio = 0.08,
                                  .error_p90_ratio = 0.31,
                                  .covered_ratio = 0.9166666666666666,
                                  .checked_total = 12,
                                  .covered_total = 11,
                                  .dropped_total = 4};
        v->by_deadline = true;
        v->needs = (PolicyNeeds){.usec = {30 * USEC_PER_SEC, 150 * USEC_PER_SEC, 90 * USEC_PER_SEC},
                                 .learned_usec = {[NEED_STARTUP] = 150 * USEC_PER_SEC},
                                 .n_learned = {[NEED_STARTUP] = 4},
                                 .margin_usec = USEC_PER_MINUTE,
                                 .total_usec = 330 * USEC_PER_SEC,
                                 .urgent_usec = 2 * USEC_PER_MINUTE};
}

static inline void fixture_others(ViewFixture *f) {
        strcpy(f->targets[1].spec.name, "absent");
        f->targets[1].spec.match = TARGET_MATCH_UNIT;
        strcpy(f->targets[2].spec.name, "blind \"\\\n\xf0\x9f\x90\x8c\xff\xc2\x9b");
        f->targets[2].spec.match = TARGET_MATCH_PID;
        f->targets[2].pid = 12;
        f->views[2].present = f->views[2].sample_known = true;
        f->views[2].sample.time_usec = FIXTURE_BOOT_USEC;
        f->views[2].fit.eta_usec = f->views[2].fit.eta_lo_usec = f->views[2].fit.eta_hi_usec = USEC_INFINITY;
        f->views[2].verdict = "unknown";
        f->views[2].dry_run = true;
}

static inline void fixture_options(ReportOptions *o) {
        strcpy(o->labels[0].name, "namespace");
        strcpy(o->labels[0].value, "prod/eu \"1\"");
        strcpy(o->labels[1].name, "target"); /* is a label of ours: must not come twice */
        strcpy(o->labels[1].value, "x");
        strcpy(o->labels[2].name, "namespace");
        strcpy(o->labels[2].value, "again");
        strcpy(o->labels[3].name, "not-a-name");
        strcpy(o->labels[3].value, "x");
        o->n_labels = 4;
}

static inline void fixture_pod(ViewFixture *f) {
        f->options.place = (ReportPlace){.namespace_ = "shop",
                                         .pod = "web-7d4b9c-x2x",
                                         .node = "node-3",
                                         .owner_kind = "Deployment",
                                         .owner_name = "web"};
        f->requests[0] = (PodRequest){"get", "ok", 12};
        f->requests[1] = (PodRequest){"patch", "conflict", 1};
        f->pod = (PodView){
                .place = &f->options.place,
                .in_cluster = true,
                .api = true,
                .why = "",
                .state = "draining",
                .strategy = "detach",
                .reason = "out_of_traffic",
                .detail = "3 connections are left",
                .state_since_usec = FIXTURE_BOOT_USEC - 42 * USEC_PER_SEC,
                .deadline_usec = FIXTURE_BOOT_USEC + 5 * USEC_PER_MINUTE,
                .main_may_live = true,
                .slot_held = true,
                .draining = true,
                .connections_known = true,
                .connections = 3,
                .slot_waited_usec = 1500 * USEC_PER_MSEC,
                .replace_learned_usec = 61 * USEC_PER_SEC,
                .requests = f->requests,
                .n_requests = ELEMENTSOF(f->requests),
        };
}

static inline void fixture_init(ViewFixture *f) {
        memset(f, 0, sizeof(*f));
        for (unsigned i = 0; i < FIXTURE_TARGETS; i++) {
                f->targets[i] = TARGET_NULL;
                f->views[i].target = &f->targets[i];
                f->views[i].counters = &f->counters[i];
        }
        fixture_watched(f);
        fixture_deadline(&f->views[0]);
        fixture_others(f);
        fixture_options(&f->options);
        fixture_pod(f);
        f->view = (View){
                .now_boot_usec = FIXTURE_BOOT_USEC,
                .now_real_usec = FIXTURE_REAL_USEC,
                .start_real_usec = FIXTURE_REAL_USEC - USEC_PER_HOUR,
                .targets = f->views,
                .n_targets = FIXTURE_TARGETS,
                .sinks = {{.name = "pushgateway",
                           .attempts_total = 240,
                           .delivered_total = 238,
                           .failed_total = 2,
                           .last_success_real_usec = FIXTURE_REAL_USEC - 1234567},
                          {.name = "webhook",
                           .attempts_total = 3,
                           .failed_total = 3,
                           .dropped_total = 1,
                           .queued = 2,
                           .last_error = "HTTP 503: <html>\"busy\"\xff"}},
                .n_sinks = 2,
                .probe_alive = true,
                .probe_capabilities = 1 << 19,
                .config_reload_real_usec = FIXTURE_REAL_USEC - 30 * USEC_PER_MINUTE,
                .config_reload_ok = true,
                .ticks_total = 1441,
                .ticks_late_total = 1,
                .self_rss_bytes = 3500000,
                .self_cpu_usec = 4200042,
                .pod = &f->pod,
        };
}
