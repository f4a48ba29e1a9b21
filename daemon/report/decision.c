/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include "report/document.h"
#include "report/pod.h"
#include "util/clock.h"

void decision_encode(Buf *b, const TargetView *t, const Decision *d, const ReportOptions *o) {
        char summary[SUMMARY_MAX];
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_u64(&j, "schema_version", DOCUMENT_SCHEMA_VERSION);
        json_kv_string(&j, "rung", rung_name(d->rung));
        json_kv_string(&j, "verb", verb_name(d->verb));
        json_kv_string(&j, "reason", reason_name(d->reason));
        json_kv_string(&j, "reason_text", reason_text(d->reason));
        json_kv_string(&j, "trigger", d->trigger == REASON_BELOW ? NULL : reason_name(d->trigger));
        json_kv_string(&j, "summary", summary_decision(summary, t, d));
        document_target(&j, t);
        document_labels(&j, o);
        place_document(&j, &o->place);
        document_usage(&j, t, d);
        document_forecast(&j, t, d);
        json_kv_double(&j, "threshold", d->threshold > 0 ? d->threshold : 0.0 / 0.0);
        document_seconds(&j, "rotation_needs_s", d->needs_usec > 0 ? d->needs_usec : USEC_INFINITY);
        json_kv_string(&j, "verdict", t->verdict);
        document_diagnosis(&j, t->diagnosis, t->present ? t->target->pid : 0);
        document_seconds(&j, "wait_s", d->wait_usec ? d->wait_usec : USEC_INFINITY);
        json_object_end(&j);
}
