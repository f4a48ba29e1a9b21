/* SPDX-License-Identifier: Apache-2.0 */
#include "report/alert.h"

#include <string.h>

#include "report/document.h"
#include "report/pod.h"
#include "util/clock.h"

/* From here on a warning is called critical: there is hardly time, or room, for a person to act. */
#define CRITICAL_LOWER_USEC (15 * USEC_PER_MINUTE)
#define CRITICAL_USED_RATIO 0.95

/* FNV-1a, 64 bits (Fowler, Noll, Vo): an identity, not a secret. The NUL keeps "ab","c" and "a","bc" apart. */
static uint64_t fnv1a(uint64_t h, const char *s) {
        do
                h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
        while (*s++);
        return h;
}

static void fingerprint(char ret[static 17], const char *alertname, const TargetView *t, const ReportOptions *o) {
        uint64_t h = fnv1a(fnv1a(0xcbf29ce484222325ULL, alertname), t->target->spec.name);

        for (unsigned i = 0; i < o->n_labels && i < REPORT_LABELS_MAX; i++)
                h = fnv1a(fnv1a(h, o->labels[i].name), o->labels[i].value);
        snprintf(ret, 17, "%016llx", (unsigned long long)h);
}

static Episode *episode_find(AlertBook *book, const char *fp) {
        for (size_t i = 0; i < ELEMENTSOF(book->episodes); i++)
                if (strcmp(book->episodes[i].fingerprint, fp) == 0)
                        return &book->episodes[i];
        return NULL;
}

/* A free row, else one whose alert is over, else the oldest. */
static Episode *episode_take(AlertBook *book) {
        Episode *best = &book->episodes[0];

        for (size_t i = 0; i < ELEMENTSOF(book->episodes); i++) {
                Episode *e = &book->episodes[i];

                if (!e->fingerprint[0])
                        return e;
                if (e->firing < best->firing ||
                    (e->firing == best->firing && e->starts_real_usec < best->starts_real_usec))
                        best = e;
        }
        return best;
}

static Episode *episode_of(AlertBook *book, const char *fp, const TargetView *t, const Decision *d,
                           uint64_t now_real_usec) {
        Episode *e = episode_find(book, fp);

        if (!e)
                e = episode_take(book);
        if (!e->firing || strcmp(e->fingerprint, fp) != 0) {
                *e = (Episode){.starts_real_usec = t->alert_since_real_usec ? t->alert_since_real_usec : now_real_usec};
                memcpy(e->fingerprint, fp, sizeof(e->fingerprint));
                snprintf(e->id, sizeof(e->id), "%s-%llx", fp, (unsigned long long)e->starts_real_usec);
        }
        if (d->verb == VERB_ACT) {
                e->trigger = d->trigger;
                e->threshold = d->threshold;
        }
        e->firing = d->verb == VERB_ACT;
        return e;
}

static void write_figure(Json *j, const char *key, bool known, double v) {
        json_key(j, key);
        if (known)
                json_double(j, v);
        else
                json_nil(j);
}

/* The figure that was judged, in the unit of its threshold. */
static void write_value(Json *j, const Episode *e, const Decision *d) {
        bool known = true;
        const char *unit = NULL;
        double v = 0;

        switch (e->trigger) {
        case REASON_USED:
                unit = "ratio";
                known = d->limit_bytes > 0;
                v = d->used_ratio;
                break;
        case REASON_BYTES:
                unit = "bytes";
                known = d->usage_bytes > 0;
                v = (double)d->usage_bytes;
                break;
        case REASON_ETA:
        case REASON_DEADLINE:
                unit = "seconds";
                known = d->eta_lo_usec != USEC_INFINITY;
                v = (double)d->eta_lo_usec / USEC_PER_SEC;
                break;
        case REASON_GROWTH:
                unit = "bytes_per_second";
                v = d->slope_bytes_per_s;
                break;
        default:
                known = false;
                break;
        }
        write_figure(j, "value", known, v);
        write_figure(j, "threshold", unit && e->threshold > 0, e->threshold);
        json_kv_string(j, "unit", unit);
}

/* What to do first, for whoever reads the alert and nothing else. */
static void write_advice(Json *j, const TargetView *t) {
        const Diagnosis *d = t->diagnosis;
        _cleanup_buf_ Buf b = BUF_NULL;

        if (d) {
                const Advice advice = diagnosis_advice(d, t->present ? t->target->pid : 0);

                advice_line(&b, &advice, &d->verdict.remedies[0]);
        }
        json_kv_string(j, "advice", b.len ? buf_str(&b) : NULL);
}

static void write_summary(Json *j, const char *summary, const TargetView *t) {
        json_key(j, "annotations");
        json_object_begin(j);
        json_kv_string(j, "summary", summary);
        json_kv_string(j, "verdict", t->verdict);
        write_advice(j, t);
        json_object_end(j);
}

/* The last action on the target, so that a reader sees what was tried already. */
static void write_last_action(Json *j, const TargetView *t) {
        int last = -1;

        for (int r = RUNG_RECLAIM; r < _RUNG_MAX; r++)
                if (t->last_outcome_known[r] &&
                    (last < 0 || t->last_outcome[r].time_usec > t->last_outcome[last].time_usec))
                        last = r;
        json_key(j, "action");
        if (last < 0) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        document_outcome(j, &t->last_outcome[last], t->last_outcome_real_usec[last]);
        json_object_end(j);
}

static void begin(Json *j, const char *type, uint64_t now_real_usec) {
        json_object_begin(j);
        json_kv_string(j, "type", type);
        document_time(j, "timestamp", now_real_usec);
        json_key(j, "data");
        json_object_begin(j);
        json_kv_u64(j, "schema_version", DOCUMENT_SCHEMA_VERSION);
}

static void end(Json *j, const AlertBook *book) {
        json_kv_u64(j, "seq", book->seq);
        json_object_end(j);
        json_object_end(j);
}

static void write_head(AlertBook *book, NoteHead *ret, const char *key, NoteKind kind) {
        *ret = (NoteHead){.kind = kind};
        book->seq++;
        snprintf(ret->key, sizeof(ret->key), "%s", key);
        snprintf(ret->id, sizeof(ret->id), "msg_%016llx_%llu", (unsigned long long)book->instance,
                 (unsigned long long)book->seq);
}

static const char *severity_of(const Decision *d) {
        if (d->eta_lo_usec < CRITICAL_LOWER_USEC || (d->limit_bytes && d->used_ratio >= CRITICAL_USED_RATIO))
                return "critical";
        return "warning";
}

bool alert_write_decision(AlertBook *book, const TargetView *t, const Decision *d, const ReportOptions *o,
                          uint64_t now_real_usec, Buf *b, NoteHead *ret) {
        bool firing = d->verb == VERB_ACT;
        char fp[17], summary[SUMMARY_MAX];
        Json j = JSON_INIT(b);
        const Episode *e;

        if (d->rung != RUNG_ALERT || (!firing && d->verb != VERB_RESOLVE))
                return false;
        fingerprint(fp, ALERT_NAME, t, o);
        e = episode_of(book, fp, t, d, now_real_usec);
        write_head(book, ret, fp, firing ? NOTE_FIRING : NOTE_RESOLVED);

        begin(&j, firing ? "plateau.alert.firing" : "plateau.alert.resolved", now_real_usec);
        json_kv_string(&j, "id", e->id);
        json_kv_string(&j, "fingerprint", fp);
        json_kv_string(&j, "status", firing ? "firing" : "resolved");
        json_kv_string(&j, "alertname", ALERT_NAME);
        json_kv_string(&j, "severity", firing ? severity_of(d) : "info");
        json_kv_string(&j, "reason", reason_name(d->reason));
        json_kv_string(&j, "reason_text", reason_text(d->reason));
        document_target(&j, t);
        document_labels(&j, o);
        place_document(&j, &o->place);
        write_summary(&j, summary_decision(summary, t, d), t);
        document_time(&j, "startsAt", e->starts_real_usec);
        document_time(&j, "endsAt", firing ? 0 : now_real_usec);
        write_value(&j, e, d);
        document_usage(&j, t, d);
        document_forecast(&j, t, d);
        document_diagnosis(&j, t->diagnosis, t->present ? t->target->pid : 0);
        write_last_action(&j, t);
        end(&j, book);
        return true;
}

void alert_write_outcome(AlertBook *book, const TargetView *t, const Outcome *outcome, const Decision *d,
                         const ReportOptions *o, uint64_t now_real_usec, Buf *b, NoteHead *ret) {
        const char *name = outcome->rung == RUNG_ROTATE ? "PlateauRotate" : "PlateauReclaim";
        bool worked = outcome->result == OUTCOME_OK || outcome->result == OUTCOME_PARTIAL ||
                      outcome->result == OUTCOME_SKIPPED;
        char fp[17], id[40], summary[SUMMARY_MAX];
        Json j = JSON_INIT(b);

        fingerprint(fp, name, t, o);
        snprintf(id, sizeof(id), "%s-%llx", fp, (unsigned long long)now_real_usec);
        write_head(book, ret, fp, NOTE_EVENT);

        begin(&j, "plateau.action", now_real_usec);
        json_kv_string(&j, "id", id);
        json_kv_string(&j, "fingerprint", fp);
        json_kv_string(&j, "status", outcome_name(outcome->result));
        json_kv_string(&j, "alertname", name);
        json_kv_string(&j, "severity", worked ? "info" : "warning");
        json_kv_string(&j, "reason", d ? reason_name(d->reason) : NULL);
        json_kv_string(&j, "reason_text", d ? reason_text(d->reason) : NULL);
        document_target(&j, t);
        document_labels(&j, o);
        place_document(&j, &o->place);
        write_summary(&j, summary_outcome(summary, t, outcome), t);
        document_time(&j, "startsAt", now_real_usec - min_of(outcome->duration_usec, now_real_usec));
        document_time(&j, "endsAt", now_real_usec);
        if (d) {
                document_usage(&j, t, d);
                document_forecast(&j, t, d);
        }
        document_diagnosis(&j, t->diagnosis, t->present ? t->target->pid : 0);
        json_key(&j, "action");
        json_object_begin(&j);
        document_outcome(&j, outcome, now_real_usec);
        json_object_end(&j);
        end(&j, book);
}
