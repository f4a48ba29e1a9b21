/* SPDX-License-Identifier: Apache-2.0
 *
 * Which threshold is crossed, and whether it is urgent: all that is judged on one input alone.
 */
#include "policy/internal.h"

#define SECONDS_PER_HOUR 3600.0
#define BURST_USED_RATIO 0.5 /* below half of the limit a jump is a jump */

static bool proved(const PolicyInput *in, Rung rung, double slack) {
        return in->proof > (unsigned)rung || (slack > 0 && in->growing);
}

/* The time that `eta` stands for. */
static uint64_t eta_threshold(const Policy *p, Rung rung) {
        PolicyNeeds needs;

        if (p->options.rung[rung].eta_usec != POLICY_ETA_NEEDS)
                return p->options.rung[rung].eta_usec;
        policy_needs(p, &needs);
        return needs.total_usec;
}

static bool eta_crossed(const Policy *p, const PolicyInput *in, Rung rung, double slack) {
        uint64_t eta = eta_threshold(p, rung);

        return eta > 0 && input_forecasts(in) && in->eta_lo_usec != USEC_INFINITY &&
               (double)in->eta_lo_usec <= (double)eta * (1 + slack);
}

static bool growth_crossed(const RungOptions *o, const PolicyInput *in, double slack) {
        return o->growth_bytes_per_hour > 0 && in->trend_known && in->growing &&
               in->slope_lo_bytes_per_s * SECONDS_PER_HOUR >= (double)o->growth_bytes_per_hour * (1 - slack);
}

static bool verdict_crossed(const RungOptions *o, const PolicyInput *in) {
        return in->verdict > 0 && in->verdict < 8 * sizeof(o->verdicts) && (o->verdicts & 1u << in->verdict);
}

static bool is_burst(const Policy *p, const PolicyInput *in) {
        double room = (double)in->limit_bytes - (double)in->usage_bytes;

        return p->options.last_moment_usec > 0 && in->limit_bytes > 0 && in->burst_bytes_per_s > 0 &&
               input_used_ratio(in) >= BURST_USED_RATIO &&
               room <= in->burst_bytes_per_s * (double)p->options.last_moment_usec / USEC_PER_SEC;
}

Reason trigger_crossed(const Policy *p, const PolicyInput *in, Rung rung, double slack) {
        const RungOptions *o = &p->options.rung[rung];
        bool eta = eta_crossed(p, in, rung, slack), growth = growth_crossed(o, in, slack);

        if (o->used_ratio > 0 && in->limit_bytes > 0 && input_used_ratio(in) >= o->used_ratio * (1 - slack))
                return REASON_USED;
        if (o->used_bytes > 0 && (double)in->usage_bytes >= (double)o->used_bytes * (1 - slack))
                return REASON_BYTES;
        if (eta && proved(in, rung, slack))
                return o->eta_usec == POLICY_ETA_NEEDS ? REASON_DEADLINE : REASON_ETA;
        if (growth && proved(in, rung, slack))
                return REASON_GROWTH;
        if (verdict_crossed(o, in))
                return REASON_VERDICT;
        if (rung != RUNG_RECLAIM && is_burst(p, in)) /* a trim is too slow for it, and gives nothing of a burst */
                return REASON_BURST;
        return eta || growth ? REASON_UNPROVEN : REASON_BELOW;
}

bool trigger_urgent(const Policy *p, const PolicyInput *in) {
        const RungOptions *o = &p->options.rung[RUNG_ROTATE];
        double limit = (double)in->limit_bytes, usage = (double)in->usage_bytes;
        uint64_t urgent = o->eta_usec / 2;
        PolicyNeeds needs;

        if (in->limit_bytes == 0)
                return false;
        if (o->used_ratio > 0 && input_used_ratio(in) >= (1 + o->used_ratio) / 2)
                return true;
        if (o->used_bytes > 0 && (double)o->used_bytes < limit && usage >= ((double)o->used_bytes + limit) / 2)
                return true;
        if (is_burst(p, in))
                return true;
        if (o->eta_usec == POLICY_ETA_NEEDS) {
                policy_needs(p, &needs);
                urgent = needs.urgent_usec;
        }
        return in->trend_known && in->proof > RUNG_ROTATE && in->eta_lo_usec <= urgent;
}

uint64_t policy_time_left(const Policy *p, const PolicyInput *in) {
        uint64_t left = in->trend_known && in->proof > RUNG_ROTATE ? in->eta_lo_usec : USEC_INFINITY;
        double room = (double)in->limit_bytes - (double)in->usage_bytes;

        if (is_burst(p, in))
                left = room <= 0 ? 0 : min_of(left, (uint64_t)(room / in->burst_bytes_per_s * USEC_PER_SEC));
        return left;
}

double trigger_threshold(const Policy *p, Rung rung, Reason trigger) {
        const RungOptions *o = &p->options.rung[rung];

        switch (trigger) {
        case REASON_USED:
                return o->used_ratio;
        case REASON_BYTES:
                return (double)o->used_bytes;
        case REASON_ETA:
        case REASON_DEADLINE:
                return (double)eta_threshold(p, rung) / USEC_PER_SEC;
        case REASON_GROWTH:
                return (double)o->growth_bytes_per_hour / SECONDS_PER_HOUR;
        case REASON_BURST:
                return (double)p->options.last_moment_usec / USEC_PER_SEC;
        default:
                return 0;
        }
}

bool trigger_wants_forecast(const RungOptions *o) {
        return o->eta_usec > 0 || o->growth_bytes_per_hour > 0;
}
