/* SPDX-License-Identifier: Apache-2.0 */
#include "watch-input.h"

#include <time.h>

#include "util/cleanup.h"

#define VERDICT_CONFIDENCE_MIN 0.5 /* below it the diagnosis itself is in doubt */
#define LOOK_AGES              2   /* a look is fresh for so many of its shortest intervals */

int week_minute(uint64_t real_usec, PolicyZone zone) {
        time_t t = (time_t)(real_usec / USEC_PER_SEC);
        struct tm tm;

        if (!(zone == ZONE_LOCAL ? localtime_r(&t, &tm) : gmtime_r(&t, &tm)))
                return -1;
        return (tm.tm_wday + 6) % 7 * (int)MINUTES_PER_DAY + tm.tm_hour * 60 + tm.tm_min; /* tm_wday 0 is Sunday */
}

/* What the last look foretells, while it is fresh. The least that a reclaim is worth is what its action goes by. */
static void foretell(const WatchFacts *f, uint64_t now_usec, PolicyInput *in) {
        const Diagnosis *d = &f->looks->diagnosis;
        const ActionOptions *a = &f->settings->action;
        const uint64_t fresh = LOOK_AGES * f->settings->sample.survey_interval_min_usec;

        in->worth_bytes =
                max_of(a->reclaim_min_gain_bytes, (uint64_t)(a->reclaim_min_gain_ratio * (double)f->sample->rss_bytes));
        if (d->n_looks == 0)
                return;
        if (d->verdict.confidence >= VERDICT_CONFIDENCE_MIN)
                in->verdict = (unsigned)d->verdict.kind;
        in->predicted = d->trim_known && now_usec <= d->time_usec + fresh;
        in->predicted_bytes = in->predicted ? d->trimmable_bytes : 0;
}

void watch_input(const WatchFacts *f, uint64_t now_usec, PolicyInput *ret) {
        const TrendFit *fit = f->fit;

        *ret = (PolicyInput){
                .now_usec = now_usec,
                .target_age_usec = now_usec > f->start_usec ? now_usec - f->start_usec : 0,
                .week_minute = -1,
                .usage_bytes = f->sample->usage_bytes,
                .limit_bytes = f->sample->limit_bytes,
                .rss_bytes = f->sample->rss_bytes,
                .trend_known = fit->state != TREND_WAIT,
                .growing = fit->state == TREND_GROWING,
                .proof = (unsigned)fit->proof,
                .slope_bytes_per_s = fit->slope_bytes_per_s,
                .slope_lo_bytes_per_s = fit->slope_lo_bytes_per_s,
                .eta_usec = fit->eta_usec,
                .eta_lo_usec = fit->eta_lo_usec,
                .eta_hi_usec = fit->eta_hi_usec,
        };
        if (f->settings->policy.allow.n > 0 || f->settings->policy.forbid.n > 0)
                ret->week_minute = week_minute(now_real_usec(), f->settings->policy.windows_zone);
        foretell(f, now_usec, ret);
}

void score_input(const PolicyInput *in, ScoreInput *ret) {
        *ret = (ScoreInput){
                .now_usec = in->now_usec,
                .usage_bytes = in->usage_bytes,
                .limit_bytes = in->limit_bytes,
                .known = in->trend_known && in->growing,
                .eta_usec = in->eta_usec,
                .eta_lo_usec = in->eta_lo_usec,
                .eta_hi_usec = in->eta_hi_usec,
        };
}
