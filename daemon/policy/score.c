/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/score.h"

#include <math.h>
#include <string.h>

#include "util/cleanup.h"

#define HORIZON_SHARE    4 /* looked at after this part of its way: far enough to show, soon enough to come at all */
#define HORIZON_MIN_USEC (30 * USEC_PER_SEC)
#define HORIZON_MAX_USEC (6 * USEC_PER_HOUR)
#define LATE             2 /* looked at after so many horizons only: nobody looked in time */
#define ERROR_MAX        10.0f

static void take(Score *s, const ScoreForecast *f, const ScoreInput *in) {
        double room = (double)f->limit_bytes - (double)f->usage_bytes, gone = (double)(in->now_usec - f->made_usec);
        double came = ((double)in->usage_bytes - (double)f->usage_bytes) / room, foretold = gone / (double)f->eta_usec;
        double most = f->eta_lo_usec > 0 ? gone / (double)f->eta_lo_usec : INFINITY;
        double least = f->eta_hi_usec != USEC_INFINITY ? gone / (double)f->eta_hi_usec : -INFINITY;
        bool covered = came >= least && came <= most;

        s->error_ratio[s->head] = (float)min_of(fabs(came - foretold) / foretold, (double)ERROR_MAX);
        s->covered[s->head] = covered;
        s->head = (s->head + 1) % SCORE_CHECKED_MAX;
        s->n = min_of(s->n + 1, (unsigned)SCORE_CHECKED_MAX);
        s->checked_total++;
        s->covered_total += covered;
}

static bool is_sound(const ScoreInput *in) {
        return in->known && in->limit_bytes > in->usage_bytes && in->eta_usec > 0 && in->eta_usec != USEC_INFINITY &&
               in->eta_lo_usec <= in->eta_usec && in->eta_usec <= in->eta_hi_usec;
}

static void keep(Score *s, const ScoreInput *in) {
        uint64_t horizon = in->eta_usec / HORIZON_SHARE, most = HORIZON_MAX_USEC;

        horizon = min_of(horizon, most);
        if (s->n_pending == SCORE_PENDING_MAX || horizon < HORIZON_MIN_USEC ||
            (s->last_usec > 0 && in->now_usec - s->last_usec < horizon / HORIZON_SHARE))
                return;
        s->last_usec = in->now_usec;
        s->pending[s->n_pending++] = (ScoreForecast){.made_usec = in->now_usec,
                                                     .due_usec = in->now_usec + horizon,
                                                     .usage_bytes = in->usage_bytes,
                                                     .limit_bytes = in->limit_bytes,
                                                     .eta_usec = in->eta_usec,
                                                     .eta_lo_usec = in->eta_lo_usec,
                                                     .eta_hi_usec = in->eta_hi_usec};
}

void score_push(Score *s, const ScoreInput *in) {
        if (s->last_usec > in->now_usec) /* the clock ran backwards: none was made later than the last */
                score_drop(s);
        for (unsigned i = 0; i < s->n_pending;) {
                const ScoreForecast *f = &s->pending[i];
                bool late = (in->now_usec - f->made_usec) / LATE > f->due_usec - f->made_usec;
                bool moot = f->limit_bytes != in->limit_bytes || late;

                if (!moot && in->now_usec < f->due_usec) {
                        i++;
                        continue;
                }
                if (moot)
                        s->dropped_total++;
                else
                        take(s, f, in);
                s->n_pending--;
                memmove(&s->pending[i], &s->pending[i + 1], (s->n_pending - i) * sizeof(s->pending[0]));
        }
        if (is_sound(in))
                keep(s, in);
}

void score_drop(Score *s) {
        s->dropped_total += s->n_pending;
        s->n_pending = 0;
        s->last_usec = 0;
}

void score_read(const Score *s, ScoreFigures *ret) {
        float sorted[SCORE_CHECKED_MAX];
        unsigned covered = 0;

        *ret = (ScoreFigures){.n = s->n,
                              .checked_total = s->checked_total,
                              .covered_total = s->covered_total,
                              .dropped_total = s->dropped_total};
        if (s->n == 0)
                return;
        for (unsigned i = 0; i < s->n; i++) {
                unsigned k = i;

                covered += s->covered[i];
                for (; k > 0 && sorted[k - 1] > s->error_ratio[i]; k--)
                        sorted[k] = sorted[k - 1];
                sorted[k] = s->error_ratio[i];
        }
        ret->error_ratio = (double)(sorted[(s->n - 1) / 2] + sorted[s->n / 2]) / 2;
        ret->error_p90_ratio = (double)sorted[(s->n * 9 + 9) / 10 - 1];
        ret->covered_ratio = (double)covered / s->n;
}
