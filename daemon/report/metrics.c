/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <stddef.h>
#include <string.h>

#include "report/exposition.h"
#include "util/clock.h"
#include "util/version.h"

/* Most metrics are one field of the view: a row names it and the bits of Sample.have that make it a figure. The others
 * have a function. Samples of one metric stand together on the page, so the walk is metric by metric, then target by
 * target. */

#define SMAPS_READ (1u << 31) /* a pseudo bit: smaps_rollup was read */

typedef struct FieldRow {
        MetricId metric;
        size_t offset;             /* of a uint64_t in TargetView */
        uint32_t have;             /* all of these bits */
        const char *label, *value; /* a label besides `target`; NULL = none */
        bool zero_is_none;
} FieldRow;

#define F(m) offsetof(TargetView, m)
static const FieldRow fields[] = {
        {METRIC_TARGET_RESIDENT, F(sample.rss_bytes), SAMPLE_HAVE_STATUS},
        {METRIC_TARGET_RESIDENT_KIND, F(sample.rss_anon_bytes), SAMPLE_HAVE_RSS_KIND, "kind", "anon"},
        {METRIC_TARGET_RESIDENT_KIND, F(sample.rss_file_bytes), SAMPLE_HAVE_RSS_KIND, "kind", "file"},
        {METRIC_TARGET_RESIDENT_KIND, F(sample.rss_shmem_bytes), SAMPLE_HAVE_RSS_KIND, "kind", "shmem"},
        {METRIC_TARGET_RESIDENT_PEAK, F(sample.rss_peak_bytes), SAMPLE_HAVE_STATUS},
        {METRIC_TARGET_VIRTUAL, F(sample.virtual_bytes), SAMPLE_HAVE_STATUS},
        {METRIC_TARGET_PAGE_TABLE, F(sample.page_table_bytes), SAMPLE_HAVE_STATUS},
        {METRIC_TARGET_SWAP, F(sample.swap_bytes), SAMPLE_HAVE_STATUS},
        {METRIC_TARGET_PROPORTIONAL, F(smaps.pss_bytes), SMAPS_READ},
        {METRIC_TARGET_HUGE_PAGE, F(smaps.anon_huge_bytes), SMAPS_READ},
        {METRIC_TARGET_LIMIT, F(sample.limit_bytes), 0, .zero_is_none = true},
        {METRIC_CGROUP_CURRENT, F(sample.cgroup.current_bytes), SAMPLE_HAVE_CGROUP},
        {METRIC_CGROUP_USED, F(sample.cgroup.usage_bytes), SAMPLE_HAVE_CGROUP},
        {METRIC_CGROUP_LIMIT, F(sample.cgroup.limit_bytes), SAMPLE_HAVE_CGROUP_LIMIT, .zero_is_none = true},
        {METRIC_CGROUP_HIGH, F(sample.cgroup.high_bytes), SAMPLE_HAVE_CGROUP, .zero_is_none = true},
        {METRIC_CGROUP_SWAP_CURRENT, F(sample.cgroup.swap_bytes), SAMPLE_HAVE_CGROUP},
        {METRIC_CGROUP_STAT, F(sample.cgroup.anon_bytes), SAMPLE_HAVE_CGROUP, "kind", "anon"},
        {METRIC_CGROUP_STAT, F(sample.cgroup.file_bytes), SAMPLE_HAVE_CGROUP, "kind", "file"},
        {METRIC_CGROUP_STAT, F(sample.cgroup.shmem_bytes), SAMPLE_HAVE_CGROUP, "kind", "shmem"},
        {METRIC_CGROUP_STAT, F(sample.cgroup.kernel_bytes), SAMPLE_HAVE_CGROUP, "kind", "kernel"},
        {METRIC_CGROUP_STAT, F(sample.cgroup.inactive_file_bytes), SAMPLE_HAVE_CGROUP, "kind", "inactive_file"},
        {METRIC_CGROUP_EVENTS, F(sample.cgroup.events_high), SAMPLE_HAVE_CGROUP_EVENTS, "event", "high"},
        {METRIC_CGROUP_EVENTS, F(sample.cgroup.events_max), SAMPLE_HAVE_CGROUP_EVENTS, "event", "max"},
        {METRIC_CGROUP_EVENTS, F(sample.cgroup.events_oom), SAMPLE_HAVE_CGROUP_EVENTS, "event", "oom"},
        {METRIC_CGROUP_EVENTS, F(sample.cgroup.events_oom_kill), SAMPLE_HAVE_CGROUP_EVENTS, "event", "oom_kill"},
};
#undef F

typedef struct CounterRow {
        MetricId metric;
        size_t offset; /* of a uint64_t in TargetCounters */
        bool usec;     /* shown as seconds */
} CounterRow;

#define K(m) offsetof(TargetCounters, m)
static const CounterRow counters[] = {
        {METRIC_TARGET_RESTARTS, K(restarts_total)},
        {METRIC_TARGET_EXECS, K(execs_total)},
        {METRIC_RECLAIMED, K(reclaimed_bytes_total)},
        {METRIC_RECLAIM_STOP, K(reclaim_stop_usec_total), true},
        {METRIC_RECLAIM_DURATION, K(reclaim_duration_usec_total), true},
        {METRIC_SAMPLES, K(samples_total)},
        {METRIC_SAMPLES_FAILED, K(samples_failed_total)},
        {METRIC_SAMPLE_CPU, K(sample_cost_usec_total), true},
        {METRIC_ALARMS, K(alarms_total)},
        {METRIC_SURVEYS, K(surveys_total)},
        {METRIC_SURVEYS_FAILED, K(surveys_failed_total)},
        {METRIC_SURVEY_CPU, K(survey_cpu_usec_total), true},
        {METRIC_SMAPS_READS, K(smaps_total)},
        {METRIC_SMAPS_FAILED, K(smaps_failed_total)},
        {METRIC_SMAPS_SKIPPED, K(smaps_skipped_total)},
};
#undef K

static uint64_t u64_at(const void *base, size_t offset) {
        return *(const uint64_t *)((const char *)base + offset);
}

static bool has_figures(const TargetView *t, uint32_t bits) {
        if (!t->present)
                return false;
        if (bits & SMAPS_READ)
                return t->smaps.time_usec != 0;
        return t->sample_known && (t->sample.have & bits) == bits;
}

static const char *name_of(const TargetView *t) {
        return t->target->spec.name;
}

/* ---- metrics with a function of their own; each writes one target's samples ---- */

typedef void (*TargetFn)(Exposition *e, const View *v, const TargetView *t);

static void write_up(Exposition *e, const View *v _unused_, const TargetView *t) {
        exposition_u64(e, LABELS({"target", name_of(t)}), t->present);
}

static void write_info(Exposition *e, const View *v _unused_, const TargetView *t) {
        char pid[16];

        if (!t->present)
                return;
        snprintf(pid, sizeof(pid), "%d", (int)t->target->pid);
        exposition_u64(e, LABELS({"target", name_of(t)}, {"pid", pid}, {"comm", t->target->comm}), 1);
}

/* A CLOCK_BOOTTIME stamp on the wall clock, to the kernel's tick (10 ms), so that it does not flicker between scrapes.
 */
static uint64_t real_of_boot(const View *v, uint64_t boot_usec) {
        uint64_t age = v->now_boot_usec > boot_usec ? v->now_boot_usec - boot_usec : 0;

        return v->now_real_usec > age ? (v->now_real_usec - age) / 10000 * 10000 : 0;
}

static void write_start_time(Exposition *e, const View *v, const TargetView *t) {
        if (t->present && t->target->start_boot_usec)
                exposition_usec(e, LABELS({"target", name_of(t)}), real_of_boot(v, t->target->start_boot_usec));
}

static void write_threads(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_figures(t, SAMPLE_HAVE_STATUS))
                exposition_u64(e, LABELS({"target", name_of(t)}), t->sample.n_threads);
}

static void write_unique(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_figures(t, SMAPS_READ))
                exposition_u64(e, LABELS({"target", name_of(t)}),
                               t->smaps.private_clean_bytes + t->smaps.private_dirty_bytes);
}

static void write_smaps_age(Exposition *e, const View *v, const TargetView *t) {
        if (has_figures(t, SMAPS_READ) && v->now_boot_usec >= t->smaps.time_usec)
                exposition_usec(e, LABELS({"target", name_of(t)}), v->now_boot_usec - t->smaps.time_usec);
}

static void write_smaps_duration(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_figures(t, SMAPS_READ))
                exposition_usec(e, LABELS({"target", name_of(t)}), t->smaps.cost_usec);
}

static bool has_usage(const TargetView *t) {
        return has_figures(t, 0) && (t->sample.have & (SAMPLE_HAVE_STATUS | SAMPLE_HAVE_CGROUP));
}

static void write_used(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_usage(t))
                exposition_u64(e, LABELS({"target", name_of(t)}), t->sample.usage_bytes);
}

static void write_limit_info(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_figures(t, 0) && t->sample.limit_bytes)
                exposition_u64(e, LABELS({"target", name_of(t)}, {"source", limit_source_name(t->sample.limit_source)}),
                               1);
}

static void write_used_ratio(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_usage(t) && t->sample.limit_bytes)
                exposition_double(e, LABELS({"target", name_of(t)}),
                                  (double)t->sample.usage_bytes / (double)t->sample.limit_bytes);
}

static void write_working_set(Exposition *e, const View *v _unused_, const TargetView *t) {
        const CgroupSample *c = &t->sample.cgroup;

        if (has_figures(t, SAMPLE_HAVE_CGROUP) && c->current_bytes >= c->inactive_file_bytes)
                exposition_u64(e, LABELS({"target", name_of(t)}), c->current_bytes - c->inactive_file_bytes);
}

static void write_pressure(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (!has_figures(t, SAMPLE_HAVE_PRESSURE))
                return;
        exposition_double(e, LABELS({"target", name_of(t)}, {"kind", "some"}, {"window", "10"}),
                          t->sample.cgroup.pressure_some_avg10_ratio);
        exposition_double(e, LABELS({"target", name_of(t)}, {"kind", "full"}, {"window", "10"}),
                          t->sample.cgroup.pressure_full_avg10_ratio);
}

static bool has_fit(const TargetView *t) {
        return t->present && t->fit.state != TREND_WAIT && t->fit.n > 0;
}

static void write_time_to_limit(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (!has_fit(t) || !t->fit.limit_bytes)
                return;
        exposition_usec(e, LABELS({"target", name_of(t)}, {"bound", "lower"}), t->fit.eta_lo_usec);
        exposition_usec(e, LABELS({"target", name_of(t)}, {"bound", "median"}), t->fit.eta_usec);
        exposition_usec(e, LABELS({"target", name_of(t)}, {"bound", "upper"}), t->fit.eta_hi_usec);
}

static void write_growth(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (!has_fit(t))
                return;
        exposition_double(e, LABELS({"target", name_of(t)}, {"bound", "lower"}), t->fit.slope_lo_bytes_per_s);
        exposition_double(e, LABELS({"target", name_of(t)}, {"bound", "median"}), t->fit.slope_bytes_per_s);
        exposition_double(e, LABELS({"target", name_of(t)}, {"bound", "upper"}), t->fit.slope_hi_bytes_per_s);
}

static void write_confidence(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_fit(t))
                exposition_double(e, LABELS({"target", name_of(t)}), t->fit.confidence);
}

static void write_goodness(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (has_fit(t))
                exposition_double(e, LABELS({"target", name_of(t)}), t->fit.r2_ratio);
}

static void write_span(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->present && t->fit.n > 0)
                exposition_usec(e, LABELS({"target", name_of(t)}), t->fit.span_usec);
}

static void write_resets(Exposition *e, const View *v _unused_, const TargetView *t) {
        for (unsigned i = TREND_RESET_NONE + 1; i < _TREND_RESET_MAX; i++)
                if (t->counters->trend_resets_total[i])
                        exposition_u64(e, LABELS({"target", name_of(t)}, {"reason", trend_reset_name(i)}),
                                       t->counters->trend_resets_total[i]);
}

static void write_score_error(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->score.n == 0)
                return;
        exposition_double(e, LABELS({"target", name_of(t)}, {"kind", "median"}), t->score.error_ratio);
        exposition_double(e, LABELS({"target", name_of(t)}, {"kind", "p90"}), t->score.error_p90_ratio);
}

static void write_score_covered(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->score.n > 0)
                exposition_double(e, LABELS({"target", name_of(t)}), t->score.covered_ratio);
}

static void write_score_checked(Exposition *e, const View *v _unused_, const TargetView *t) {
        const ScoreFigures *s = &t->score;

        exposition_u64(e, LABELS({"target", name_of(t)}, {"result", "covered"}), s->covered_total);
        exposition_u64(e, LABELS({"target", name_of(t)}, {"result", "missed"}), s->checked_total - s->covered_total);
        exposition_u64(e, LABELS({"target", name_of(t)}, {"result", "dropped"}), s->dropped_total);
}

static void write_needs(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (!t->by_deadline)
                return;
        for (PolicyNeed n = 0; n < _NEED_MAX; n++)
                exposition_usec(e, LABELS({"target", name_of(t)}, {"need", need_name(n)}), t->needs.usec[n]);
        exposition_usec(e, LABELS({"target", name_of(t)}, {"need", "margin"}), t->needs.margin_usec);
}

static void write_interval(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->present && t->interval_usec > 0)
                exposition_usec(e, LABELS({"target", name_of(t)}), t->interval_usec);
}

static void write_kind(Exposition *e, const View *v _unused_, const TargetView *t) {
        for (TrendKind k = 0; t->present && k < _TREND_KIND_MAX; k++)
                exposition_u64(e, LABELS({"target", name_of(t)}, {"kind", trend_kind_name(k)}), t->fit.kind == k);
}

static void write_proof(Exposition *e, const View *v _unused_, const TargetView *t) {
        for (TrendProof p = TREND_PROOF_ALERT; t->present && p < _TREND_PROOF_MAX; p++)
                exposition_u64(e, LABELS({"target", name_of(t)}, {"rung", trend_proof_name(p)}), t->fit.proof >= p);
}

static void write_verdict(Exposition *e, const View *v _unused_, const TargetView *t) {
        for (unsigned i = 0; t->present && t->diagnosis && i < _VERDICT_MAX; i++)
                exposition_u64(e, LABELS({"target", name_of(t)}, {"kind", verdict_name(i)}),
                               t->diagnosis->verdict.kind == i);
}

static void write_verdict_confidence(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->present && t->diagnosis)
                exposition_double(e, LABELS({"target", name_of(t)}), t->diagnosis->verdict.confidence);
}

static void write_heap(Exposition *e, const TargetView *t, size_t offset) {
        if (t->present && t->diagnosis && t->diagnosis->heap_known)
                exposition_u64(e, LABELS({"target", name_of(t)}), u64_at(t->diagnosis, offset));
}

static void write_heap_in_use(Exposition *e, const View *v _unused_, const TargetView *t) {
        write_heap(e, t, offsetof(Diagnosis, in_use_bytes));
}

static void write_heap_free(Exposition *e, const View *v _unused_, const TargetView *t) {
        write_heap(e, t, offsetof(Diagnosis, free_bytes));
}

static void write_heap_pinned(Exposition *e, const View *v _unused_, const TargetView *t) {
        write_heap(e, t, offsetof(Diagnosis, pinned_bytes));
}

static void write_heap_trimmable(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->diagnosis && t->diagnosis->trim_known)
                write_heap(e, t, offsetof(Diagnosis, trimmable_bytes));
}

static void write_survey_age(Exposition *e, const View *v, const TargetView *t) {
        if (t->present && t->diagnosis && v->now_boot_usec >= t->diagnosis->time_usec)
                exposition_usec(e, LABELS({"target", name_of(t)}), v->now_boot_usec - t->diagnosis->time_usec);
}

static void write_survey_duration(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->present && t->diagnosis)
                exposition_usec(e, LABELS({"target", name_of(t)}), t->diagnosis->duration_usec);
}

static void write_alert(Exposition *e, const View *v _unused_, const TargetView *t) {
        exposition_u64(e, LABELS({"target", name_of(t)}), t->alert_firing);
}

static void write_decisions(Exposition *e, const View *v _unused_, const TargetView *t) {
        for (unsigned r = 0; r < _RUNG_MAX; r++)
                for (unsigned b = 0; b < _VERB_MAX; b++)
                        for (unsigned w = 0; w < _REASON_MAX; w++)
                                if (t->counters->decisions_total[r][b][w])
                                        exposition_u64(e,
                                                       LABELS({"target", name_of(t)}, {"rung", rung_name(r)},
                                                              {"verb", verb_name(b)}, {"reason", reason_name(w)}),
                                                       t->counters->decisions_total[r][b][w]);
}

static void write_in_flight(Exposition *e, const View *v _unused_, const TargetView *t) {
        exposition_u64(e, LABELS({"target", name_of(t)}), t->action_in_flight);
}

/* `ok` also at zero, so that rate() has a beginning; the others once they happened. */
static void write_results(Exposition *e, const TargetView *t, Rung rung) {
        for (unsigned i = 0; i < _OUTCOME_MAX; i++)
                if (i == OUTCOME_OK || t->counters->actions_total[rung][i])
                        exposition_u64(e, LABELS({"target", name_of(t)}, {"result", outcome_name(i)}),
                                       t->counters->actions_total[rung][i]);
}

static void write_attempts(Exposition *e, const View *v _unused_, const TargetView *t) {
        write_results(e, t, RUNG_RECLAIM);
}

static void write_rotations(Exposition *e, const View *v _unused_, const TargetView *t) {
        write_results(e, t, RUNG_ROTATE);
}

static void write_last_released(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->last_outcome_known[RUNG_RECLAIM] && t->last_outcome[RUNG_RECLAIM].before_bytes)
                exposition_u64(e, LABELS({"target", name_of(t)}), t->last_outcome[RUNG_RECLAIM].released_bytes);
}

static void write_last_reclaim(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->last_outcome_known[RUNG_RECLAIM] && t->last_outcome_real_usec[RUNG_RECLAIM])
                exposition_usec(e, LABELS({"target", name_of(t)}), t->last_outcome_real_usec[RUNG_RECLAIM]);
}

static void write_last_rotation(Exposition *e, const View *v _unused_, const TargetView *t) {
        if (t->last_outcome_known[RUNG_ROTATE] && t->last_outcome_real_usec[RUNG_ROTATE])
                exposition_usec(e, LABELS({"target", name_of(t)}), t->last_outcome_real_usec[RUNG_ROTATE]);
}

static const struct {
        TargetFn write;
        bool counters; /* reads TargetView.counters */
} functions[_METRIC_MAX] = {
        [METRIC_TARGET_UP] = {write_up},
        [METRIC_TARGET_INFO] = {write_info},
        [METRIC_TARGET_START_TIME] = {write_start_time},
        [METRIC_TARGET_THREADS] = {write_threads},
        [METRIC_TARGET_UNIQUE] = {write_unique},
        [METRIC_TARGET_SMAPS_AGE] = {write_smaps_age},
        [METRIC_TARGET_SMAPS_DURATION] = {write_smaps_duration},
        [METRIC_TARGET_USED] = {write_used},
        [METRIC_TARGET_LIMIT_INFO] = {write_limit_info},
        [METRIC_TARGET_USED_RATIO] = {write_used_ratio},
        [METRIC_CGROUP_WORKING_SET] = {write_working_set},
        [METRIC_PRESSURE_AVG] = {write_pressure},
        [METRIC_FORECAST_TIME_TO_LIMIT] = {write_time_to_limit},
        [METRIC_FORECAST_GROWTH] = {write_growth},
        [METRIC_FORECAST_CONFIDENCE] = {write_confidence},
        [METRIC_FORECAST_FIT] = {write_goodness},
        [METRIC_FORECAST_SPAN] = {write_span},
        [METRIC_FORECAST_RESETS] = {write_resets, true},
        [METRIC_FORECAST_ERROR] = {write_score_error},
        [METRIC_FORECAST_COVERED] = {write_score_covered},
        [METRIC_FORECASTS_CHECKED] = {write_score_checked, true},
        [METRIC_ROTATION_NEEDS] = {write_needs},
        [METRIC_SAMPLE_INTERVAL] = {write_interval},
        [METRIC_FORECAST_KIND] = {write_kind},
        [METRIC_FORECAST_PROOF] = {write_proof},
        [METRIC_VERDICT] = {write_verdict},
        [METRIC_VERDICT_CONFIDENCE] = {write_verdict_confidence},
        [METRIC_HEAP_IN_USE] = {write_heap_in_use},
        [METRIC_HEAP_FREE] = {write_heap_free},
        [METRIC_HEAP_TRIMMABLE] = {write_heap_trimmable},
        [METRIC_HEAP_PINNED] = {write_heap_pinned},
        [METRIC_SURVEY_AGE] = {write_survey_age},
        [METRIC_SURVEY_DURATION] = {write_survey_duration},
        [METRIC_ALERT_FIRING] = {write_alert},
        [METRIC_DECISIONS] = {write_decisions, true},
        [METRIC_ACTION_IN_FLIGHT] = {write_in_flight},
        [METRIC_RECLAIM_ATTEMPTS] = {write_attempts, true},
        [METRIC_RECLAIM_LAST_RELEASED] = {write_last_released},
        [METRIC_RECLAIM_LAST_TIMESTAMP] = {write_last_reclaim},
        [METRIC_ROTATIONS] = {write_rotations, true},
        [METRIC_ROTATION_LAST_TIMESTAMP] = {write_last_rotation},
};

static void write_target(Exposition *e, const View *v, const TargetView *t, MetricId m) {
        if (functions[m].write && (t->counters || !functions[m].counters))
                functions[m].write(e, v, t);
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                const FieldRow *f = &fields[i];
                uint64_t figure = u64_at(t, f->offset);

                if (f->metric == m && has_figures(t, f->have) && (figure || !f->zero_is_none))
                        exposition_u64(e, LABELS({"target", name_of(t)}, {f->label, f->value}), figure);
        }
        for (size_t i = 0; t->counters && i < ELEMENTSOF(counters); i++)
                if (counters[i].metric == m && counters[i].usec)
                        exposition_usec(e, LABELS({"target", name_of(t)}), u64_at(t->counters, counters[i].offset));
                else if (counters[i].metric == m)
                        exposition_u64(e, LABELS({"target", name_of(t)}), u64_at(t->counters, counters[i].offset));
}

/* ---- sinks and the daemon itself ---- */

static void write_sink(Exposition *e, const SinkCounters *s, MetricId m) {
        static const struct {
                MetricId metric;
                size_t offset;
        } rows[] = {
                {METRIC_SINK_ATTEMPTS, offsetof(SinkCounters, attempts_total)},
                {METRIC_SINK_DELIVERED, offsetof(SinkCounters, delivered_total)},
                {METRIC_SINK_FAILED, offsetof(SinkCounters, failed_total)},
                {METRIC_SINK_DROPPED, offsetof(SinkCounters, dropped_total)},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].metric == m)
                        exposition_u64(e, LABELS({"sink", s->name}), u64_at(s, rows[i].offset));
        if (m == METRIC_SINK_QUEUED)
                exposition_u64(e, LABELS({"sink", s->name}), s->queued);
        if (m == METRIC_SINK_LAST_SUCCESS && s->last_success_real_usec)
                exposition_usec(e, LABELS({"sink", s->name}), s->last_success_real_usec);
}

static void write_config(Exposition *e, const View *v, MetricId m) {
        bool reloaded = v->config_reload_real_usec != 0; /* else what was loaded at the start is in force */

        if (m == METRIC_CONFIG_RELOAD_OK)
                exposition_u64(e, NULL, !reloaded || v->config_reload_ok);
        else if (!reloaded || v->config_reload_ok)
                exposition_usec(e, NULL, reloaded ? v->config_reload_real_usec : v->start_real_usec);
}

static void write_daemon(Exposition *e, const View *v, MetricId m) {
        switch (m) {
        case METRIC_PROBE_UP:
                exposition_u64(e, NULL, v->probe_alive);
                break;
        case METRIC_TICKS:
                exposition_u64(e, NULL, v->ticks_total);
                break;
        case METRIC_TICKS_LATE:
                exposition_u64(e, NULL, v->ticks_late_total);
                break;
        case METRIC_LOG_DROPPED:
                exposition_u64(e, NULL, v->log_dropped_total);
                break;
        case METRIC_CONFIG_RELOAD_OK:
        case METRIC_CONFIG_RELOAD_TIMESTAMP:
                write_config(e, v, m);
                break;
        case METRIC_BUILD_INFO:
                exposition_u64(e, LABELS({"version", plateau_version()}), 1);
                break;
        case METRIC_PROCESS_RESIDENT:
                if (v->self_rss_bytes)
                        exposition_u64(e, NULL, v->self_rss_bytes);
                break;
        case METRIC_PROCESS_CPU:
                exposition_usec(e, NULL, v->self_cpu_usec);
                break;
        case METRIC_PROCESS_START_TIME:
                exposition_usec(e, NULL, v->start_real_usec);
                break;
        default:
                break;
        }
}

/* Two targets of one name would be one series twice, which fails the whole scrape; the first one is shown. */
static bool is_first_of_name(const View *v, unsigned i) {
        for (unsigned k = 0; k < i; k++)
                if (strcmp(name_of(&v->targets[k]), name_of(&v->targets[i])) == 0)
                        return false;
        return true;
}

void metrics_encode(Buf *b, const View *v, const ReportOptions *o, bool openmetrics) {
        Exposition e = EXPOSITION_INIT(b, o, openmetrics);

        for (unsigned m = 0; m < _METRIC_MAX; m++) {
                exposition_metric(&e, m);
                for (unsigned i = 0; i < v->n_targets; i++)
                        if (is_first_of_name(v, i))
                                write_target(&e, v, &v->targets[i], m);
                for (unsigned i = 0; i < v->n_sinks && i < VIEW_SINKS_MAX; i++)
                        write_sink(&e, &v->sinks[i], m);
                if (v->pod)
                        pod_metric(&e, v->pod, m);
                write_daemon(&e, v, m);
        }
        exposition_end(&e);
}
