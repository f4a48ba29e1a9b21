/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replay-view.h"

#include <stdio.h>
#include <string.h>

#include "cli/words.h"
#include "util/cleanup.h"
#include "util/format.h"

#define LABEL       11u
#define LIVES_SHOWN 6u

static void put_label(Screen *s, const char *label) {
        screen_put(s, STYLE_DIM, label);
        screen_pad(s, LABEL);
}

/* ---- how it went, one line a crossing ---- */

static unsigned count_crossings(const ReplaySummary *sum, unsigned *ret_missed) {
        unsigned n = 0;

        *ret_missed = 0;
        for (unsigned i = 0; i < sum->n_lives; i++) {
                n += sum->life[i].crossed_usec != USEC_INFINITY;
                *ret_missed += sum->life[i].scenario_crossed_usec != USEC_INFINITY;
        }
        return n;
}

static void put_lead(Screen *s, const ReplayLife *l, Rung rung) {
        char lead[FORMAT_MAX];

        if (l->first_usec[rung] > l->crossed_usec)
                screen_item(s, LABEL, STYLE_WARN, "no %s", rung_name(rung));
        else
                screen_item(s, LABEL, STYLE_PLAIN, "%s %s before", rung_name(rung),
                            format_usec(lead, l->crossed_usec - l->first_usec[rung]));
}

static void put_crossing(Screen *s, const ReplayLife *l) {
        char clock[REPLAY_WORDS_MAX], limit[FORMAT_MAX];

        put_label(s, "crossing");
        screen_putf(s, STYLE_PLAIN, "%s of %s", replay_clock(clock, l->crossed_usec),
                    format_bytes(limit, l->limit_bytes));
        for (Rung r = 0; r < _RUNG_MAX; r++)
                put_lead(s, l, r);
        screen_end(s);
}

static void put_crossings(Screen *s, const ReplaySummary *sum) {
        unsigned missed, n = count_crossings(sum, &missed), shown = 0;
        char peak[FORMAT_MAX], clock[REPLAY_WORDS_MAX];

        if (n == 0) {
                put_label(s, "crossing");
                screen_putf(s, STYLE_GOOD, "none in the trace");
                screen_item(s, LABEL, STYLE_PLAIN, "most is %s at %s", format_bytes(peak, sum->peak_bytes),
                            replay_clock(clock, sum->peak_usec));
                if (sum->last_limit_bytes > 0)
                        screen_item(s, LABEL, STYLE_PLAIN, "%.0f %% of %s",
                                    100.0 * (double)sum->peak_bytes / (double)sum->last_limit_bytes,
                                    format_bytes(peak, sum->last_limit_bytes));
                screen_end(s);
                return;
        }
        for (unsigned i = 0; i < sum->n_lives && shown < LIVES_SHOWN; i++)
                if (sum->life[i].crossed_usec != USEC_INFINITY) {
                        put_crossing(s, &sum->life[i]);
                        shown++;
                }
        if (n > shown || sum->n_lives_beyond > 0) {
                screen_pad(s, LABEL);
                screen_putf(s, STYLE_DIM, "and %u more; --json has them", n - shown);
                screen_end(s);
        }
}

/* ---- what it was good for ---- */

static const ReplayLife *first_crossing(const ReplaySummary *sum) {
        for (unsigned i = 0; i < sum->n_lives; i++)
                if (sum->life[i].crossed_usec != USEC_INFINITY)
                        return &sum->life[i];
        return NULL;
}

static void put_how(Screen *s, const ReplayLife *l) {
        char at[REPLAY_WORDS_MAX], lead[FORMAT_MAX];

        replay_clock(at, l->crossed_usec);
        if (l->rotated_usec <= l->crossed_usec)
                screen_putf(s, STYLE_GOOD, "the OOM kill at %s, by rotating %s before it", at,
                            format_usec(lead, l->crossed_usec - l->rotated_usec));
        else
                screen_putf(s, STYLE_GOOD, "the OOM kill at %s, by what reclaim is assumed to give", at);
}

static void put_prevented(Screen *s, const ReplaySummary *sum) {
        unsigned missed, n = count_crossings(sum, &missed);
        const ReplayLife *l = first_crossing(sum);
        char at[REPLAY_WORDS_MAX];

        if (n == 0)
                return;
        put_label(s, "prevented");
        if (n == 1 && missed == 0)
                put_how(s, l);
        else if (n == 1)
                screen_putf(s, STYLE_BAD, "nothing: the kernel kills at %s", replay_clock(at, l->crossed_usec));
        else
                screen_putf(s, missed ? STYLE_BAD : STYLE_GOOD, "%u of %u OOM kills", n - missed, n);
        screen_end(s);
}

/* What a trace cannot know. */
static void put_assumed(Screen *s, const ReplayFacts *f, const ReplaySummary *sum) {
        char text[FORMAT_MAX], gives[256];

        if (sum->dry_run || sum->n_acted[RUNG_RECLAIM] + sum->n_acted[RUNG_ROTATE] == 0)
                return;
        put_label(s, "assumed");
        if (f->options->gives_known)
                snprintf(gives, sizeof(gives), "A reclaim gives back %.0f %% of what is in use, for good: %s in all.",
                         f->options->gives_ratio * 100, format_bytes(text, sum->released_bytes));
        else
                snprintf(gives, sizeof(gives),
                         "What a reclaim would have given back is not in the trace: taken as nothing, and the trace "
                         "goes on unchanged. --reclaim-gives SHARE tries another answer.");
        if (sum->n_acted[RUNG_RECLAIM] > 0) {
                screen_words(s, LABEL, STYLE_DIM, gives);
                screen_end(s);
        }
        if (sum->n_acted[RUNG_ROTATE] == 0)
                return;
        screen_pad(s, LABEL);
        screen_words(s, LABEL, STYLE_DIM,
                     "A rotation ends the process in time. What its successor would have done is not in the trace: "
                     "nothing is decided until the recorded process ended too.");
        screen_end(s);
}

static void put_counts(Screen *s, const ReplaySummary *sum) {
        put_label(s, "acted");
        for (Rung r = 0; r < _RUNG_MAX; r++)
                screen_item(s, LABEL, sum->n_acted[r] ? STYLE_PLAIN : STYLE_DIM, "%s%s %llu",
                            sum->dry_run && r ? "would " : "", rung_name(r), (unsigned long long)sum->n_acted[r]);
        if (sum->n_repeated > 0)
                screen_item(s, LABEL, STYLE_DIM, "told again %llu", (unsigned long long)sum->n_repeated);
        if (sum->n_acted[RUNG_ALERT] > 0)
                screen_item(s, LABEL, sum->n_false_alarms ? STYLE_WARN : STYLE_DIM, "false alarms %llu",
                            (unsigned long long)sum->n_false_alarms);
        if (sum->n_undecided_alarms > 0)
                screen_item(s, LABEL, STYLE_DIM, "undecided %llu", (unsigned long long)sum->n_undecided_alarms);
        screen_end(s);
}

void replay_view_summary(Screen *s, const ReplayFacts *f, const ReplaySummary *sum) {
        char forecast[WORDS_MAX], clock[REPLAY_WORDS_MAX];
        Style style;

        screen_end(s);
        put_crossings(s, sum);
        put_counts(s, sum);
        put_prevented(s, sum);
        put_label(s, "forecast");
        words_forecast(forecast, &sum->last_fit, 0, 0, &style);
        screen_item(s, LABEL, STYLE_PLAIN, "%s", trend_kind_name(sum->last_fit.kind));
        if (sum->last_fit.state == TREND_GROWING)
                screen_item(s, LABEL, STYLE_PLAIN, "%s", forecast);
        screen_item(s, LABEL, STYLE_DIM, "at %s, the last that was judged", replay_clock(clock, sum->judged_usec));
        screen_end(s);
        put_assumed(s, f, sum);
}

void replay_view_results(Screen *s, const ReplayResult *results, unsigned n) {
        if (n > 0)
                screen_end(s);
        for (unsigned i = 0; i < n; i++) {
                screen_putf(s, results[i].met ? STYLE_GOOD : STYLE_BAD, "%-10s", results[i].met ? "met" : "NOT MET");
                screen_putf(s, STYLE_BOLD, " %s", results[i].expect.text);
                screen_putf(s, STYLE_PLAIN, ": %s", results[i].said);
                screen_end(s);
        }
}

/* ---- one sentence ---- */

void replay_headline(Buf *b, const ReplaySummary *sum) {
        unsigned missed, n = count_crossings(sum, &missed);
        const ReplayLife *l = first_crossing(sum);
        char text[REPLAY_WORDS_MAX];
        const char *comma = "";

        if (n == 0) {
                buf_addf(b, "The limit is not reached; alerts %llu, reclaims %llu, rotations %llu",
                         (unsigned long long)sum->n_acted[RUNG_ALERT], (unsigned long long)sum->n_acted[RUNG_RECLAIM],
                         (unsigned long long)sum->n_acted[RUNG_ROTATE]);
                return;
        }
        if (n > 1) {
                buf_addf(b, "The limit is reached %u times: %u prevented", n, n - missed);
                return;
        }
        buf_addf(b, "Limit reached after %s; ", replay_short_time(text, l->crossed_usec));
        for (Rung r = 0; r < _RUNG_MAX; r++)
                if (l->first_usec[r] <= l->crossed_usec) {
                        buf_addf(b, "%s%s %s", comma, rung_name(r),
                                 replay_short_time(text, l->crossed_usec - l->first_usec[r]));
                        comma = ", ";
                }
        buf_adds(b, *comma ? " before it: " : "nothing before it: ");
        buf_adds(b, missed ? "the kernel kills" : "the kill is prevented");
}
