/* SPDX-License-Identifier: Apache-2.0 */
#include "watch-input.h"

#include "util/cleanup.h"

#define VERDICT_CONFIDENCE_MIN 0.5 /* below it the diagnosis itself is in doubt */
#define LOOK_AGES              2   /* a look is fresh for so many of its shortest intervals */

/* What the last look foretells, while it is fresh. The least that a reclaim is worth is what its action goes by. */
static void foretell(const WatchFacts *f, uint64_t now_usec, JudgeFigures *in) {
        const Diagnosis *d = &f->looks->diagnosis;
        const ActionOptions *a = &f->settings->action;
        const uint64_t fresh = LOOK_AGES * f->settings->sample.survey_interval_min_usec;

        in->worth_bytes =
                max_of(a->reclaim_min_gain_bytes, (uint64_t)(a->reclaim_min_gain_ratio * (double)f->sample->rss_bytes));
        if (d->n_looks == 0)
                return;
        if (d->trim_known) {
                in->looked = true;
                in->look_usec = d->time_usec;
                in->free_bytes = d->pinned_bytes + d->trimmable_bytes;
        }
        if (d->verdict.confidence >= VERDICT_CONFIDENCE_MIN)
                in->verdict = (unsigned)d->verdict.kind;
        in->predicted = d->trim_known && now_usec <= d->time_usec + fresh;
        in->predicted_bytes = in->predicted ? d->trimmable_bytes : 0;
}

void watch_input(const WatchFacts *f, uint64_t now_usec, JudgeFigures *ret) {
        *ret = (JudgeFigures){
                .time_usec = now_usec,
                .target_age_usec = now_usec > f->start_usec ? now_usec - f->start_usec : 0,
                .week_minute = -1,
                .usage_bytes = f->sample->usage_bytes,
                .limit_bytes = f->sample->limit_bytes,
                .rss_bytes = f->sample->rss_bytes,
                .anon_known = f->sample->have & SAMPLE_HAVE_RSS_KIND,
                .anon_bytes = f->sample->rss_anon_bytes,
        };
        if (f->settings->policy.allow.n > 0 || f->settings->policy.forbid.n > 0)
                ret->week_minute = clock_week_minute(now_real_usec(), f->settings->policy.windows_zone == ZONE_LOCAL);
        foretell(f, now_usec, ret);
}
