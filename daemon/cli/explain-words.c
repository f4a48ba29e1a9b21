/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include "report/diagnosis.h"

static const DiagnoseLook *last_look(const Explanation *e) {
        return diagnose_last(&(DiagnoseInput){e->looks, e->n_looks, 0});
}

void explain_sentence(Buf *b, const Explanation *e) {
        diagnosis_sentence(b, &e->verdict, last_look(e));
        if (e->verdict.kind == VERDICT_UNKNOWN && !e->verdict.growing)
                buf_adds(b, " (--diff 60)");
}

Advice explain_advice(const Explanation *e) {
        const Part *largest = advice_largest(e->last, e->verdict.part);

        return (Advice){.verdict = &e->verdict,
                        .last = last_look(e),
                        .distro = &e->last->distro,
                        .largest = largest ? largest->name : NULL,
                        .largest_bytes = largest ? largest->rss_bytes : 0,
                        .pid = e->ask.pid};
}

/* Pages of a file in RSS are page cache, which goes before anything is killed. What two processes share is charged
 * once, so that the sum over processes may be more than the group's. */
uint64_t explain_own_bytes(const Explanation *e) {
        return e->sample.have & SAMPLE_HAVE_RSS_KIND ? e->sample.rss_anon_bytes + e->sample.rss_shmem_bytes : 0;
}
