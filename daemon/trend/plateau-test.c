/* SPDX-License-Identifier: Apache-2.0 */
#include "trend/plateau-test.h"

#include <math.h>

#include "util/cleanup.h"

#define DAY_S       86400.0
#define WARM_GAIN   0.4 /* a cut must lower the marginal error so far, or chance would cut */
#define RHO_MAX     0.9
#define FREEDOM_MIN 2.0
#define SLOWING     0.75 /* the later half's slope to the earlier one's, and below: no line, it bends */
#define WHOLE_DAYS  2    /* that tell a line from the rising side of a day */
#define BEYOND      4    /* seen for less, a line is one that reaches the limit within so many times what was seen */
#define GROWN_RATIO 0.05 /* without a limit: that has grown so far */

typedef struct Line {
        double mean_s, mean_bytes, slope, sxx, ssr, rho;
} Line;

unsigned plateau_windows(const PlateauPoint *p, size_t n, PlateauPoint ret[static PLATEAU_WINDOWS]) {
        double width = n ? (p[n - 1].at_s - p[0].at_s) / PLATEAU_WINDOWS : 0;
        unsigned used = 0, last = 0;

        if (!(width > 0))
                return 0;
        for (size_t i = 0; i < n; i++) {
                unsigned w = (unsigned)min_of((p[i].at_s - p[0].at_s) / width, PLATEAU_WINDOWS - 1.0);

                if (used == 0 || w != last)
                        ret[used++] = (PlateauPoint){p[0].at_s + (w + 0.5) * width, p[i].bytes};
                else
                        ret[used - 1].bytes = min_of(ret[used - 1].bytes, p[i].bytes);
                last = w;
        }
        return used;
}

static double residual(const Line *l, const PlateauPoint *p) {
        return p->bytes - l->mean_bytes - l->slope * (p->at_s - l->mean_s);
}

static Line fit(const PlateauPoint *p, unsigned n) {
        Line l = {0};
        double sxy = 0, lagged = 0;

        for (unsigned i = 0; i < n; i++) {
                l.mean_s += p[i].at_s / n;
                l.mean_bytes += p[i].bytes / n;
        }
        for (unsigned i = 0; i < n; i++) {
                l.sxx += (p[i].at_s - l.mean_s) * (p[i].at_s - l.mean_s);
                sxy += (p[i].at_s - l.mean_s) * (p[i].bytes - l.mean_bytes);
        }
        l.slope = sxy / l.sxx;
        for (unsigned i = 0; i < n; i++) {
                l.ssr += residual(&l, &p[i]) * residual(&l, &p[i]);
                lagged += i ? residual(&l, &p[i]) * residual(&l, &p[i - 1]) : 0;
        }
        l.rho = l.ssr > 0 ? lagged / l.ssr : 0;
        /* residuals of a line show too little of it, by some (2 + 4 rho) / n; half as much again, by trial: the test
         * counts how often the interval misses */
        l.rho = fmin(fmax(l.rho + (3 + 6 * fmax(l.rho, 0)) / n, 0), RHO_MAX);
        return l;
}

/* The normal quantile (Abramowitz and Stegun 26.2.23), then Student's by Cornish and Fisher's expansion (26.7.5). */
static double student(double confidence, double freedom) {
        double p = (1 - confidence) / 2, t = sqrt(-2 * log(p)), z, z2;

        z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
        z2 = z * z;
        return z + z * (z2 + 1) / (4 * freedom) + z * (5 * z2 * z2 + 16 * z2 + 3) / (96 * freedom * freedom) +
               z * (z2 * (z2 * (3 * z2 + 19) + 17) - 15) / (384 * freedom * freedom * freedom);
}

/* Growth that slows down is a plateau to come, or none: a straight line foretells too much. */
static bool is_slowing(const PlateauPoint *p, unsigned n) {
        return fit(p + n / 2, n - n / 2).slope < fit(p, n / 2).slope * SLOWING;
}

/* The side of a wave is straight, and most waves last a day. Return: how much longer to watch it; 0 = no more. */
static double time_to_trust(const PlateauResult *r, double limit_bytes) {
        double days_s = WHOLE_DAYS * DAY_S - r->judged_s, grown = r->slope * r->judged_s, more_s;

        if (days_s < WHOLE_DAYS * DAY_S * 0.05) /* the windows' middles are less than their ends apart */
                return 0;
        if (limit_bytes > 0)
                more_s = (limit_bytes - r->level_bytes - BEYOND * grown) / (1 + BEYOND) / r->slope;
        else
                more_s = (GROWN_RATIO * r->level_bytes - grown) / (1 - GROWN_RATIO) / r->slope;
        return fmax(fmin(more_s, days_s), 0);
}

static unsigned find_warm(const PlateauPoint *p, unsigned n) {
        double best = INFINITY, whole = 0;
        unsigned at = 0;

        for (unsigned k = 0; k <= n / 2 && n - k >= PLATEAU_WINDOWS_MIN; k++) {
                Line l = fit(p + k, n - k);
                double error = l.ssr / ((double)(n - k) * (n - k));

                if (k == 0)
                        whole = error;
                if (error < best) {
                        best = error;
                        at = k;
                }
        }
        return best < whole * WARM_GAIN ? at : 0;
}

static double more_time(const PlateauResult *r) {
        double half = r->slope_hi - r->slope, room = fabs(r->matters - r->slope);

        if (r->slope < -r->matters)
                return r->judged_s; /* a wave, or memory that is still given back: see its other side */
        /* an interval narrows as time to the power of 3/2 */
        if (!(room > 0) || half / room > 1000)
                return 0;
        return r->judged_s * fmax(pow(half / room, 2.0 / 3) - 1, 0.25);
}

void plateau_test(const PlateauPoint *low, unsigned n, double confidence, double limit_bytes, double horizon_s,
                  double daily_ratio, PlateauResult *ret) {
        unsigned cut = n >= PLATEAU_WINDOWS_MIN ? find_warm(low, n) : 0, left = n - cut;
        double freedom, inflate, spread, half, end_s;
        PlateauResult r = {.n_windows = left};
        Line l;

        *ret = r;
        if (left < PLATEAU_WINDOWS_MIN)
                return;
        l = fit(low + cut, left);
        inflate = (1 + l.rho) / (1 - l.rho);
        freedom = fmax(left / inflate - 2, FREEDOM_MIN);
        spread = student(confidence, freedom) * sqrt(l.ssr / (left - 2) * inflate);
        half = spread / sqrt(l.sxx);
        end_s = low[n - 1].at_s;
        r.warm_s = low[cut].at_s - low[0].at_s;
        r.judged_s = end_s - low[cut].at_s;
        r.level_bytes = l.mean_bytes + l.slope * (end_s - l.mean_s);
        spread *= sqrt(1.0 / left + (end_s - l.mean_s) * (end_s - l.mean_s) / l.sxx);
        r.level_lo = r.level_bytes - spread;
        r.level_hi = r.level_bytes + spread;
        r.slope = l.slope;
        r.slope_lo = l.slope - half;
        r.slope_hi = l.slope + half;
        r.rho = l.rho;
        r.matters = limit_bytes > 0 ? fmax(limit_bytes - r.level_bytes, 0) / horizon_s
                                    : fmax(r.level_bytes, 0) * daily_ratio / DAY_S;
        if (r.slope_hi < r.matters && r.slope >= -r.matters)
                r.verdict = PLATEAU_FLAT;
        else if (r.slope_lo > 0 && r.slope >= r.matters) {
                r.slows = is_slowing(low + cut, left);
                r.more_s = time_to_trust(&r, limit_bytes);
                r.brief = r.more_s > 0;
                if (r.slows)
                        r.more_s = fmax(r.more_s, r.judged_s);
                if (!r.slows && !r.brief)
                        r.verdict = PLATEAU_LINE;
        } else
                r.more_s = more_time(&r);
        *ret = r;
}

/* The ratio's interval is Fieller's (1954), which has no end where the denominator may be zero. */
void plateau_compare(const PlateauResult *before, const PlateauResult *after, PlateauChange *ret) {
        double b = before->slope, a = after->slope, hb = before->slope_hi - b, ha = after->slope_hi - a;
        double room = b * b - hb * hb, root, saved = before->level_bytes - after->level_bytes;
        PlateauChange c = {.saved_bytes = saved};

        *ret = c;
        if (before->n_windows < PLATEAU_WINDOWS_MIN || after->n_windows < PLATEAU_WINDOWS_MIN)
                return;
        c.known = true;
        root = hypot(before->level_hi - before->level_bytes, after->level_hi - after->level_bytes);
        c.saved_lo = saved - root;
        c.saved_hi = saved + root;
        c.ratio_known = b > 0 && room > 0;
        if (c.ratio_known) {
                root = sqrt(fmax(a * a * b * b - room * (a * a - ha * ha), 0));
                c.ratio = a / b;
                c.ratio_lo = (a * b - root) / room;
                c.ratio_hi = (a * b + root) / room;
        }
        *ret = c;
}

const char *plateau_verdict_name(PlateauVerdict v) {
        static const char *const names[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_UNDECIDED] = "undecided", [PLATEAU_FLAT] = "plateau", [PLATEAU_LINE] = "line"};

        return (unsigned)v < ELEMENTSOF(names) ? names[v] : "undecided";
}
