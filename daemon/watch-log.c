/* SPDX-License-Identifier: Apache-2.0 */
#include "watch-log.h"

#include <math.h>
#include <stdio.h>

#include "util/clock.h"
#include "util/format.h"
#include "util/log.h"

void watch_log_target(const Target *t, TargetEvent e) {
        if (e == TARGET_EVENT_ABSENT)
                log_event(LOG_NOTICE, "target.absent", LOG_FIELDS(LF_S("target", t->spec.name)),
                          "%s: not there yet: %s", t->spec.name, target_absent_reason(t));
        else if (e == TARGET_EVENT_ENDED)
                log_event(LOG_NOTICE, "target.ended", LOG_FIELDS(LF_S("target", t->spec.name)), "%s: the process ended",
                          t->spec.name);
        else {
                char event[32];

                snprintf(event, sizeof(event), "target.%s", target_event_name(e));
                log_event(LOG_NOTICE, event,
                          LOG_FIELDS(LF_S("target", t->spec.name), LF_U("pid", t->pid), LF_S("comm", t->comm),
                                     LF_U("uid", t->uid)),
                          "%s: %s, pid %d (%s)", t->spec.name, target_event_name(e), t->pid, t->comm);
        }
}

bool watch_ended_well(const Outcome *o) {
        return o->result == OUTCOME_OK || o->result == OUTCOME_PARTIAL || o->result == OUTCOME_SKIPPED;
}

void watch_log_outcome(const char *name, const Outcome *o) {
        char before[FORMAT_MAX], after[FORMAT_MAX], event[32];

        snprintf(event, sizeof(event), "%s.done", rung_name(o->rung));
        log_event(watch_ended_well(o) ? LOG_NOTICE : LOG_WARNING, event,
                  LOG_FIELDS(LF_S("target", name), LF_S("result", outcome_name(o->result)),
                             LF_S("method", o->method), LF_U("before_bytes", o->before_bytes),
                             LF_U("after_bytes", o->after_bytes), LF_U("released_bytes", o->released_bytes),
                             LF_U("stop_usec", o->stop_usec), LF_U("duration_usec", o->duration_usec),
                             LF_S("detail", o->detail)),
                  o->before_bytes ? "%s: %s by %s: %s: %s (RSS %s -> %s)" : "%s: %s by %s: %s: %s", name,
                  rung_name(o->rung), o->method, outcome_name(o->result), o->detail,
                  format_bytes(before, o->before_bytes), format_bytes(after, o->after_bytes));
}

static const char *const verb_words[_VERB_MAX] = {
        [VERB_NONE] = "rests",
        [VERB_ACT] = "acts",
        [VERB_SKIP] = "waits",
        [VERB_RESOLVE] = "is over",
};

/* "using 164 MB of 300 MB, the limit in 6 s to 9 s, a rotation needs 30 s": what it was decided on. */
static const char *evidence_text(const Decision *d, char *buf, size_t size) {
        char usage[FORMAT_MAX], limit[FORMAT_MAX], lo[FORMAT_MAX], hi[FORMAT_MAX], needs[FORMAT_MAX];
        int n = snprintf(buf, size, "using %s", format_bytes(usage, d->usage_bytes));

        if (d->limit_bytes && n >= 0 && (size_t)n < size)
                n += snprintf(buf + n, size - (size_t)n, " of %s", format_bytes(limit, d->limit_bytes));
        if (d->eta_lo_usec != USEC_INFINITY && n >= 0 && (size_t)n < size)
                n += snprintf(buf + n, size - (size_t)n,
                              d->eta_hi_usec == USEC_INFINITY ? ", the limit in %s or later"
                                                              : ", the limit in %s to %s",
                              format_usec(lo, d->eta_lo_usec), format_usec(hi, d->eta_hi_usec));
        if (d->trigger == REASON_DEADLINE && n >= 0 && (size_t)n < size)
                snprintf(buf + n, size - (size_t)n, ", a rotation needs %s", format_usec(needs, d->needs_usec));
        return buf;
}

static double eta_seconds(uint64_t usec) {
        return usec == USEC_INFINITY ? INFINITY : (double)usec / USEC_PER_SEC; /* JSON has null for it */
}

void watch_log_decision(const char *name, const Decision *d, const Decision *last) {
        char evidence[160], event[32];

        if (d->verb == last->verb && d->reason == last->reason && d->trigger == last->trigger && d->verb != VERB_ACT)
                return;
        if (d->verb == VERB_NONE && last->verb == VERB_NONE)
                return;
        snprintf(event, sizeof(event), "%s.%s", rung_name(d->rung), verb_name(d->verb));
        log_event(d->verb == VERB_ACT ? LOG_WARNING : LOG_INFO, event,
                  LOG_FIELDS(LF_S("target", name), LF_S("reason", reason_name(d->reason)),
                             LF_S("trigger", reason_name(d->trigger)), LF_U("usage_bytes", d->usage_bytes),
                             LF_U("limit_bytes", d->limit_bytes), LF_D("slope_bytes_per_s", d->slope_bytes_per_s),
                             LF_D("eta_lo_s", eta_seconds(d->eta_lo_usec)), LF_D("eta_s", eta_seconds(d->eta_usec)),
                             LF_D("rotation_needs_s", d->needs_usec > 0 ? eta_seconds(d->needs_usec) : INFINITY)),
                  "%s: %s %s: %s (%s)", name, rung_name(d->rung), verb_words[d->verb], reason_text(d->reason),
                  evidence_text(d, evidence, sizeof(evidence)));
}

void watch_log_verdict(const char *name, const Diagnosis *d, VerdictKind was) {
        _cleanup_buf_ Buf text = BUF_NULL;

        if (d->n_looks > 1 && d->verdict.kind == was)
                return;
        diagnosis_sentence(&text, &d->verdict, &d->last);
        log_event(LOG_INFO, "target.verdict",
                  LOG_FIELDS(LF_S("target", name), LF_S("verdict", verdict_name(d->verdict.kind)),
                             LF_D("confidence", d->verdict.confidence)),
                  "%s: %s: %s", name, verdict_text(d->verdict.kind), buf_str(&text));
}
