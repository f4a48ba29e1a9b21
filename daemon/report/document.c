/* SPDX-License-Identifier: Apache-2.0 */
#include "report/document.h"

#include <stdarg.h>
#include <string.h>

#include "report/table.h"
#include "util/clock.h"
#include "util/format.h"

void document_seconds(Json *j, const char *key, uint64_t usec) {
        json_key(j, key);
        if (usec == USEC_INFINITY)
                json_nil(j);
        else
                json_double(j, (double)usec / USEC_PER_SEC);
}

void document_time(Json *j, const char *key, uint64_t real_usec) {
        char ts[FORMAT_MAX];

        json_kv_string(j, key, real_usec ? format_timestamp(ts, real_usec) : NULL);
}

void document_target(Json *j, const TargetView *t) {
        json_key(j, "target");
        json_object_begin(j);
        json_kv_string(j, "name", t->target->spec.name);
        json_kv_u64_or_null(j, "pid", t->target->pid > 0, (uint64_t)t->target->pid);
        json_kv_string(j, "comm", t->target->pid > 0 ? t->target->comm : NULL);
        json_kv_string(j, "cmdline", t->target->pid > 0 ? t->target->cmdline : NULL);
        json_object_end(j);
}

void document_labels(Json *j, const ReportOptions *o) {
        json_key(j, "labels");
        json_object_begin(j);
        for (unsigned i = 0; o && i < o->n_labels && i < REPORT_LABELS_MAX; i++)
                if (report_label_usable(o, i))
                        json_kv_string(j, o->labels[i].name, o->labels[i].value);
        json_object_end(j);
}

void document_usage(Json *j, const TargetView *t, const Decision *d) {
        bool limited = d->limit_bytes > 0;

        json_kv_u64_or_null(j, "used_bytes", d->usage_bytes > 0, d->usage_bytes);
        json_kv_u64_or_null(j, "limit_bytes", limited, d->limit_bytes);
        json_kv_string(j, "limit_source",
                       limited && t->sample_known ? limit_source_name(t->sample.limit_source) : NULL);
        json_key(j, "used_ratio");
        if (limited)
                json_double(j, d->used_ratio);
        else
                json_nil(j);
}

void document_forecast(Json *j, const TargetView *t, const Decision *d) {
        json_key(j, "forecast");
        if (t->fit.state == TREND_WAIT) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_string(j, "state", trend_state_name(t->fit.state));
        json_kv_string(j, "kind", trend_kind_name(t->fit.kind));
        json_kv_string(j, "proof", trend_proof_name(t->fit.proof));
        json_kv_double(j, "growth_bytes_per_s", d->slope_bytes_per_s);
        document_seconds(j, "time_to_limit_s", d->eta_usec);
        document_seconds(j, "lower_s", d->eta_lo_usec);
        document_seconds(j, "upper_s", d->eta_hi_usec);
        json_kv_double(j, "confidence_ratio", t->fit.confidence);
        json_kv_double(j, "r2_ratio", t->fit.r2_ratio);
        document_seconds(j, "span_s", t->fit.span_usec);
        json_object_end(j);
}

void document_outcome(Json *j, const Outcome *o, uint64_t real_usec) {
        bool measured = o->before_bytes > 0;

        json_kv_string(j, "rung", rung_name(o->rung));
        json_kv_string(j, "result", outcome_name(o->result));
        json_kv_string(j, "method", o->method[0] ? o->method : NULL);
        document_time(j, "time", real_usec);
        document_seconds(j, "duration_s", o->duration_usec);
        document_seconds(j, "stop_s", o->stop_usec);
        json_kv_u64_or_null(j, "before_bytes", measured, o->before_bytes);
        json_kv_u64_or_null(j, "after_bytes", measured, o->after_bytes);
        json_kv_u64_or_null(j, "released_bytes", measured, o->released_bytes);
        json_kv_u64_or_null(j, "predicted_bytes", o->predicted, o->predicted_bytes);
        json_kv_string(j, "detail", o->detail[0] ? o->detail : NULL);
}

/* ---- sentences ---- */

typedef struct Text {
        char *p;
        size_t len;
} Text;

static void add(Text *t, const char *fmt, ...) _printf_(2, 3);

static void add(Text *t, const char *fmt, ...) {
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vsnprintf(t->p + t->len, SUMMARY_MAX - t->len, fmt, ap);
        va_end(ap);
        if (n > 0)
                t->len = min_of(t->len + (size_t)n, (size_t)SUMMARY_MAX - 1);
}

static void add_usage(Text *s, const Decision *d) {
        char used[FORMAT_MAX], limit[FORMAT_MAX];

        add(s, "%s", format_bytes(used, d->usage_bytes));
        if (d->limit_bytes)
                add(s, " of %s (%.0f %%)", format_bytes(limit, d->limit_bytes), d->used_ratio * 100);
}

static void add_forecast(Text *s, const TargetView *t, const Decision *d) {
        char eta[FORMAT_MAX], lo[FORMAT_MAX], hi[FORMAT_MAX], rate[FORMAT_MAX];

        if (t->fit.state == TREND_GROWING)
                add(s, ", growing %s", format_rate(rate, d->slope_bytes_per_s));
        if (!d->limit_bytes || d->eta_lo_usec == USEC_INFINITY)
                return;
        if (d->eta_usec == USEC_INFINITY)
                add(s, ", limit in %s at the earliest", format_usec(lo, d->eta_lo_usec));
        else if (d->eta_hi_usec == USEC_INFINITY)
                add(s, ", limit in %s (%s or later)", format_usec(eta, d->eta_usec), format_usec(lo, d->eta_lo_usec));
        else
                add(s, ", limit in %s (%s to %s)", format_usec(eta, d->eta_usec), format_usec(lo, d->eta_lo_usec),
                    format_usec(hi, d->eta_hi_usec));
}

const char *summary_decision(char buf[static SUMMARY_MAX], const TargetView *t, const Decision *d) {
        Text s = {.p = buf};

        add(&s, "%s: ", t->target->spec.name);
        if (d->reason == REASON_TARGET_GONE) {
                add(&s, "%s", reason_text(d->reason));
                return buf;
        }
        add_usage(&s, d);
        if (d->verb == VERB_RESOLVE || d->verb == VERB_SKIP)
                add(&s, ", %s", reason_text(d->reason));
        if (d->verb != VERB_RESOLVE)
                add_forecast(&s, t, d);
        return buf;
}

const char *summary_outcome(char buf[static SUMMARY_MAX], const TargetView *t, const Outcome *o) {
        char released[FORMAT_MAX], before[FORMAT_MAX], after[FORMAT_MAX], stop[FORMAT_MAX], took[FORMAT_MAX];
        Text s = {.p = buf};

        add(&s, "%s: %s %s", t->target->spec.name, rung_name(o->rung), outcome_name(o->result));
        if (o->rung == RUNG_RECLAIM && o->before_bytes)
                add(&s, ": %s gave back %s (%s to %s)", o->method, format_bytes(released, o->released_bytes),
                    format_bytes(before, o->before_bytes), format_bytes(after, o->after_bytes));
        else if (o->method[0])
                add(&s, " by %s", o->method);
        if (o->stop_usec)
                add(&s, ", a thread was held for %s", format_usec(stop, o->stop_usec));
        if (o->duration_usec)
                add(&s, ", took %s", format_usec(took, o->duration_usec));
        if (o->detail[0])
                add(&s, "; %s", o->detail);
        return buf;
}
