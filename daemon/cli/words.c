/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/words.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/format.h"

const char *words_time(char buf[static WORDS_MAX], uint64_t usec) {
        static const struct {
                uint64_t below, unit;
        } round_to[] = {
                {2 * USEC_PER_MINUTE, USEC_PER_SEC},
                {10 * USEC_PER_MINUTE, 10 * USEC_PER_SEC},
                {10 * USEC_PER_HOUR, USEC_PER_MINUTE},
                {2 * USEC_PER_DAY, 10 * USEC_PER_MINUTE},
                {UINT64_MAX, USEC_PER_HOUR},
        };
        unsigned long long s;

        if (usec == USEC_INFINITY || usec > UINT64_MAX - USEC_PER_DAY) {
                snprintf(buf, WORDS_MAX, "never");
                return buf;
        }
        for (size_t i = 0; i < ELEMENTSOF(round_to); i++)
                if (usec < round_to[i].below) {
                        usec = (usec + round_to[i].unit / 2) / round_to[i].unit * round_to[i].unit;
                        break;
                }
        s = usec / USEC_PER_SEC;
        if (s < 120)
                snprintf(buf, WORDS_MAX, "%llu s", s);
        else if (s < 3600 && s % 60)
                snprintf(buf, WORDS_MAX, "%llu min %02llu s", s / 60, s % 60);
        else if (s < 3600)
                snprintf(buf, WORDS_MAX, "%llu min", s / 60);
        else if (s < 86400 && s % 3600 / 60 == 0)
                snprintf(buf, WORDS_MAX, "%llu h", s / 3600);
        else if (s < 86400)
                snprintf(buf, WORDS_MAX, "%llu h %llu min", s / 3600, s % 3600 / 60);
        else if (s % 86400 / 3600 == 0)
                snprintf(buf, WORDS_MAX, "%llu d", s / 86400);
        else
                snprintf(buf, WORDS_MAX, "%llu d %llu h", s / 86400, s % 86400 / 3600);
        return buf;
}

static void forecast_wait(char *buf, const TrendFit *fit, uint64_t min_span_usec) {
        char need[WORDS_MAX], have[WORDS_MAX];

        if (min_span_usec && fit->span_usec < min_span_usec)
                snprintf(buf, WORDS_MAX, "no forecast yet: needs %.24s of samples, has %.24s",
                         words_time(need, min_span_usec), words_time(have, fit->span_usec));
        else if (fit->n == 0)
                snprintf(buf, WORDS_MAX, "no forecast yet");
        else
                snprintf(buf, WORDS_MAX, "no forecast yet: %u sample%s over %.24s", fit->n, fit->n == 1 ? "" : "s",
                         words_time(have, fit->span_usec));
}

static void forecast_eta(char *buf, const TrendFit *fit) {
        char eta[WORDS_MAX], lo[WORDS_MAX], hi[WORDS_MAX];
        int percent = (int)lround(fit->confidence * 100);

        words_time(eta, fit->eta_usec);
        words_time(lo, fit->eta_lo_usec);
        words_time(hi, fit->eta_hi_usec);
        if (fit->eta_hi_usec == USEC_INFINITY)
                snprintf(buf, WORDS_MAX, "limit in %.24s (%.24s or later, %d %%)", eta, lo, percent);
        else if (strcmp(lo, hi) == 0)
                snprintf(buf, WORDS_MAX, "limit in %.24s (%d %%)", eta, percent);
        else
                snprintf(buf, WORDS_MAX, "limit in %.24s (%.24s to %.24s, %d %%)", eta, lo, hi, percent);
}

static Style eta_style(const TrendFit *fit) {
        if (fit->eta_lo_usec < 15 * USEC_PER_MINUTE)
                return STYLE_BAD;
        return fit->eta_lo_usec < 2 * USEC_PER_HOUR ? STYLE_WARN : STYLE_PLAIN;
}

const char *words_forecast(char buf[static WORDS_MAX], const TrendFit *fit, uint64_t min_span_usec,
                           uint64_t usage_bytes, Style *ret_style) {
        *ret_style = STYLE_PLAIN;
        if (fit->limit_bytes && usage_bytes >= fit->limit_bytes) {
                *ret_style = STYLE_BAD;
                snprintf(buf, WORDS_MAX, "at the limit now");
        } else if (fit->state == TREND_WAIT) {
                *ret_style = STYLE_DIM;
                forecast_wait(buf, fit, min_span_usec);
        } else if (fit->state == TREND_FLAT) {
                *ret_style = STYLE_GOOD;
                snprintf(buf, WORDS_MAX, "flat");
        } else if (fit->state == TREND_SHRINKING) {
                *ret_style = STYLE_GOOD;
                snprintf(buf, WORDS_MAX, "shrinking");
        } else if (!fit->limit_bytes) {
                snprintf(buf, WORDS_MAX, "growing; no limit is known to forecast");
        } else if (fit->eta_usec == USEC_INFINITY) {
                snprintf(buf, WORDS_MAX, "growing; the limit is too far off to tell when");
        } else {
                *ret_style = eta_style(fit);
                forecast_eta(buf, fit);
        }
        return buf;
}

const char *words_growth(char buf[static WORDS_MAX], const TrendFit *fit) {
        char rate[FORMAT_MAX];

        if (fit->state == TREND_WAIT)
                buf[0] = 0;
        else if (fit->state == TREND_FLAT)
                snprintf(buf, WORDS_MAX, "about 0");
        else
                snprintf(buf, WORDS_MAX, "%s%s", fit->slope_bytes_per_s > 0 ? "+" : "",
                         format_rate(rate, fit->slope_bytes_per_s));
        return buf;
}

Style words_usage_style(double ratio) {
        if (ratio >= 0.95)
                return STYLE_BAD;
        return ratio >= 0.8 ? STYLE_WARN : STYLE_GOOD;
}

const char *words_clock(char buf[static WORDS_MAX], uint64_t real_usec, uint64_t now_usec) {
        time_t s = (time_t)(real_usec / USEC_PER_SEC), now = (time_t)(now_usec / USEC_PER_SEC);
        struct tm then, today;

        if (!localtime_r(&s, &then) || !localtime_r(&now, &today)) {
                snprintf(buf, WORDS_MAX, "unknown");
                return buf;
        }
        if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
                strftime(buf, WORDS_MAX, "%H:%M:%S", &then);
        else
                strftime(buf, WORDS_MAX, "%Y-%m-%d %H:%M", &then);
        return buf;
}
