/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replay-view.h"

#include <stdio.h>
#include <string.h>

#include "cli/words.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/format.h"

#define LABEL 11u

/* Where columns end (numbers) or begin (words). */
enum { TIME_END = 11, MEMORY_END = 21, FULL_END = 28, GROWTH_END = 42, ETA = 44, WHAT = 65, NOTE = 13 };

/* ---- the head ---- */

static void put_label(Screen *s, const char *label) {
        screen_put(s, STYLE_DIM, label);
        screen_pad(s, LABEL);
}

static void put_gaps(Screen *s, const Trace *t) {
        char a[FORMAT_MAX], at[REPLAY_WORDS_MAX];

        if (t->n_gaps > 0)
                screen_item(s, LABEL, STYLE_WARN, "%llu gap%s, the longest %s at %s", (unsigned long long)t->n_gaps,
                            t->n_gaps == 1 ? "" : "s", format_usec(a, t->gap_max_usec),
                            replay_clock(at, t->gap_max_at_usec));
        if (t->n_unordered > 0)
                screen_item(s, LABEL, STYLE_WARN, "%llu out of order left out", (unsigned long long)t->n_unordered);
        if (t->n_absent > 0)
                screen_item(s, LABEL, STYLE_WARN, "%llu without a figure left out", (unsigned long long)t->n_absent);
}

void replay_view_head(Screen *s, const ReplayFacts *f) {
        const Trace *t = f->trace;
        char span[FORMAT_MAX], step[FORMAT_MAX];
        uint64_t first = t->points[0].time_usec, last = t->points[t->n - 1].time_usec;

        put_label(s, "trace");
        screen_safe(s, STYLE_BOLD, f->trace_name, 60);
        screen_end(s);
        screen_pad(s, LABEL);
        screen_item(s, LABEL, STYLE_PLAIN, "%s, %zu sample%s over %s", trace_form_text(t->form), t->n,
                    t->n == 1 ? "" : "s", format_usec(span, last - first));
        if (t->step_usec > 0)
                screen_item(s, LABEL, STYLE_PLAIN, "one every %s", format_usec(step, t->step_usec));
        put_gaps(s, t);
        screen_end(s);
        put_label(s, "policy");
        if (f->policy_name)
                screen_safe(s, STYLE_PLAIN, f->policy_name, 60);
        else
                screen_put(s, STYLE_PLAIN, "the defaults, with rotation taken as available");
        if (f->options->judge.policy.dry_run)
                screen_item(s, LABEL, STYLE_WARN, "dry run: decides, and does nothing but alert");
        screen_end(s);
        put_label(s, "limit");
        if (f->options->limit_bytes > 0)
                screen_putf(s, STYLE_PLAIN, "%s, by %s", format_bytes(span, f->options->limit_bytes), f->limit_from);
        else if (f->limit_from)
                screen_put(s, STYLE_PLAIN, f->limit_from);
        else
                screen_put(s, STYLE_WARN, "none known: no forecast of it, no share of it; --limit sets one");
        screen_end(s);
        screen_end(s);
        screen_put(s, STYLE_DIM, "       TIME    MEMORY   FULL        GROWTH  LIMIT IN [90 %]      DECISION");
        screen_end(s);
}

/* ---- the time line ---- */

static void put_right(Screen *s, unsigned end, Style style, const char *text) {
        unsigned n = (unsigned)strlen(text);

        if (s->column + n < end)
                screen_pad(s, end - n);
        else if (s->column > 0)
                screen_put(s, STYLE_PLAIN, " ");
        screen_put(s, style, text);
}

/* Right-aligned columns begin a line: screen_pad() leaves one blank at least only behind text. */
static void put_time(Screen *s, uint64_t usec, Style style) {
        char clock[REPLAY_WORDS_MAX];

        replay_clock(clock, usec);
        screen_putf(s, style, "%*s", TIME_END, clock);
}

static void put_figures(Screen *s, const ReplayEvent *e) {
        char text[FORMAT_MAX];
        double ratio = e->limit_bytes ? (double)e->bytes / (double)e->limit_bytes : 0;

        put_time(s, e->elapsed_usec, STYLE_PLAIN);
        put_right(s, MEMORY_END, STYLE_PLAIN, format_bytes(text, e->bytes));
        if (e->limit_bytes == 0)
                put_right(s, FULL_END, STYLE_DIM, "-");
        else {
                snprintf(text, sizeof(text), "%.0f %%", ratio * 100);
                put_right(s, FULL_END, words_usage_style(ratio), text);
        }
}

static void put_forecast(Screen *s, const ReplayEvent *e) {
        char growth[WORDS_MAX], eta[REPLAY_WORDS_MAX], lo[REPLAY_WORDS_MAX], hi[REPLAY_WORDS_MAX];
        const TrendFit *f = e->fit;

        words_growth(growth, f);
        put_right(s, GROWTH_END, STYLE_PLAIN, *growth ? growth : "-");
        screen_pad(s, ETA);
        if (f->state == TREND_GROWING && f->eta_usec != USEC_INFINITY)
                screen_putf(s, STYLE_PLAIN, "%s [%s..%s]", replay_short_time(eta, f->eta_usec),
                            replay_short_time(lo, f->eta_lo_usec), replay_short_time(hi, f->eta_hi_usec));
        else
                screen_put(s, STYLE_DIM, "-");
        screen_pad(s, WHAT);
}

static const Style rung_styles[_RUNG_MAX] = {
        [RUNG_ALERT] = STYLE_WARN, [RUNG_RECLAIM] = STYLE_ACCENT, [RUNG_ROTATE] = STYLE_BAD};

/* What the trigger is set to, in its unit. */
static void add_threshold(Buf *b, const Decision *d) {
        char text[WORDS_MAX];

        if (!(d->threshold > 0))
                return;
        switch (d->trigger) {
        case REASON_USED:
                buf_addf(b, ", %.0f %%", d->threshold * 100);
                break;
        case REASON_BYTES:
                buf_addf(b, ", %s", format_bytes(text, (uint64_t)d->threshold));
                break;
        case REASON_GROWTH:
                buf_addf(b, ", %s", format_rate(text, d->threshold));
                break;
        case REASON_ETA:
        case REASON_DEADLINE:
        case REASON_BURST:
                buf_addf(b, ", %s", words_time(text, (uint64_t)(d->threshold * USEC_PER_SEC)));
                break;
        default:
                break;
        }
}

static void view_act(Screen *s, const ReplayEvent *e) {
        const Decision *d = e->decision;
        bool dry = d->verb == VERB_SKIP, again = d->reason == REASON_PERSISTS;
        Reason why = dry || again ? d->trigger : d->reason;
        _cleanup_buf_ Buf text = BUF_NULL;

        put_figures(s, e);
        put_forecast(s, e);
        screen_putf(s, rung_styles[d->rung], "%s%s%s", dry ? "would " : "", rung_name(d->rung), again ? " again" : "");
        screen_end(s);
        if (again)
                return;
        buf_addf(&text, "%s: %s", reason_name(why), reason_text(why));
        add_threshold(&text, d);
        screen_pad(s, NOTE);
        screen_words(s, NOTE, STYLE_DIM, buf_str(&text));
        screen_end(s);
}

/* "rotate waits 1m: reclaim comes first" */
static void view_wait(Screen *s, const ReplayEvent *e) {
        const Decision *d = e->decision;
        _cleanup_buf_ Buf text = BUF_NULL;
        char wait[REPLAY_WORDS_MAX];

        if (d->verb == VERB_RESOLVE)
                buf_addf(&text, "%s over: ", rung_name(d->rung));
        else if (d->verb == VERB_NONE)
                buf_addf(&text, "%s rests: ", rung_name(d->rung));
        else if (d->wait_usec > 0)
                buf_addf(&text, "%s waits %s: ", rung_name(d->rung), replay_short_time(wait, d->wait_usec));
        else
                buf_addf(&text, "%s waits: ", rung_name(d->rung));
        buf_adds(&text, reason_text(d->reason));
        put_figures(s, e);
        screen_pad(s, FULL_END + 2);
        screen_words(s, FULL_END + 2, d->verb == VERB_RESOLVE ? STYLE_GOOD : STYLE_DIM, buf_str(&text));
        screen_end(s);
}

static void view_other(Screen *s, const ReplayEvent *e) {
        char text[FORMAT_MAX];

        put_figures(s, e);
        screen_pad(s, FULL_END + 2);
        if (e->kind == REPLAY_CROSSED && e->is_over)
                screen_put(s, STYLE_GOOD, "here the limit was reached, had nothing been done");
        else if (e->kind == REPLAY_CROSSED)
                screen_put(s, STYLE_BAD, "THE LIMIT IS REACHED: the kernel kills");
        else if (e->kind == REPLAY_STARTED)
                screen_put(s, STYLE_PLAIN, "another process");
        else if (e->kind == REPLAY_OUTCOME && e->outcome->released_bytes > 0)
                screen_putf(s, STYLE_GOOD, "reclaim is assumed to have given %s",
                            format_bytes(text, e->outcome->released_bytes));
        screen_end(s);
}

/* Waits that tell an operator nothing: what is about to act anyway, or what the figures beside it say. */
static bool is_dull(Reason r) {
        return r == REASON_NO_TREND || r == REASON_UNPROVEN || r == REASON_HOLD || r == REASON_PERSISTS ||
               r == REASON_BUSY;
}

static bool is_shown(const ReplayEvent *e, ReplaySaid *said, bool verbose) {
        const Decision *d = e->decision;

        if (e->kind == REPLAY_MOMENT)
                return false;
        if (e->kind == REPLAY_OUTCOME)
                return e->outcome->released_bytes > 0;
        if (e->kind != REPLAY_DECISION)
                return true;
        if (replay_acts(d) || d->verb == VERB_RESOLVE) {
                memset(said->wait[d->rung], 0, sizeof(said->wait[d->rung]));
                return true;
        }
        if (verbose)
                return true;
        if (d->verb != VERB_SKIP || is_dull(d->reason) || said->wait[d->rung][d->reason])
                return false;
        said->wait[d->rung][d->reason] = true;
        return true;
}

void replay_view_event(Screen *s, const ReplayEvent *e, ReplaySaid *said, bool verbose) {
        if (!is_shown(e, said, verbose))
                return;
        said->anything = true;
        if (e->kind != REPLAY_DECISION)
                view_other(s, e);
        else if (replay_acts(e->decision))
                view_act(s, e);
        else
                view_wait(s, e);
}

void replay_view_nothing(Screen *s) {
        screen_pad(s, NOTE);
        screen_put(s, STYLE_DIM, "nothing was decided: no rung was ever crossed");
        screen_end(s);
}
