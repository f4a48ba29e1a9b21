/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include <math.h>
#include <string.h>

#include "cli/explain-bar.h"
#include "cli/explain-tables.h"
#include "cli/words.h"
#include "util/clock.h"
#include "util/format.h"

#define BAR_WIDTH  16u
#define PAGE_BYTES 4096u /* as heap.h counts */
#define HEAP_LEAST 0.05  /* of RSS */

static const Style styles[_VERDICT_MAX] = {
        [VERDICT_UNKNOWN] = STYLE_WARN,       [VERDICT_STEADY] = STYLE_GOOD, [VERDICT_LIVE_GROWTH] = STYLE_BAD,
        [VERDICT_TRIMMABLE] = STYLE_WARN,     [VERDICT_PINNED] = STYLE_BAD,  [VERDICT_FILES] = STYLE_WARN,
        [VERDICT_SHARED] = STYLE_WARN,        [VERDICT_STACKS] = STYLE_BAD,  [VERDICT_WARM_UP] = STYLE_GOOD,
        [VERDICT_COPY_ON_WRITE] = STYLE_WARN,
};

/* Verdicts that ask "of what?": the tables of what grew answer. Of a heap that is full of holes they say little. */
static const bool is_of_growth[_VERDICT_MAX] = {
        [VERDICT_UNKNOWN] = true, [VERDICT_LIVE_GROWTH] = true, [VERDICT_FILES] = true,
        [VERDICT_SHARED] = true,  [VERDICT_STACKS] = true,      [VERDICT_COPY_ON_WRITE] = true,
};

void explain_label(Screen *s, const char *text) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, EXPLAIN_INDENT);
}

/* ---- who, and how near the limit */

static void draw_headline(Screen *s, const Explanation *e) {
        char x[FORMAT_MAX];

        screen_safe(s, STYLE_BOLD, e->ask.comm[0] ? e->ask.comm : "(no name)", 32);
        screen_putf(s, STYLE_PLAIN, " (pid %d): ", e->ask.pid);
        if (e->n_looks == 0) {
                screen_put(s, STYLE_BAD, e->ask.result);
                screen_end(s);
                return;
        }
        screen_putf(s, STYLE_BOLD, "%s RSS", format_bytes(x, e->last->rss_bytes));
        if (!e->sample.limit_bytes)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "no limit");
        if (e->last->allocator[0])
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s", e->last->allocator);
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%u thread%s", e->last->n_threads,
                    e->last->n_threads == 1 ? "" : "s");
        screen_end(s);
}

/* Until the limit, if RSS goes on as it did between the looks. Return: false: it did not grow, or by a breath. */
static bool time_left(const Explanation *e, uint64_t *ret_usec) {
        const DiagnoseLook *a = &e->looks[0], *b = &e->looks[e->n_looks - 1];
        double rate = e->verdict.rss_bytes_per_s, room;

        if (!e->verdict.growing || e->verdict.kind == VERDICT_STEADY || e->verdict.kind == VERDICT_WARM_UP ||
            rate * (double)(b->time_usec - a->time_usec) / USEC_PER_SEC < 0.01 * (double)b->rss_bytes ||
            e->sample.usage_bytes >= e->sample.limit_bytes)
                return false;
        room = (double)(e->sample.limit_bytes - e->sample.usage_bytes) / rate;
        *ret_usec = room < 1e9 ? (uint64_t)(room * USEC_PER_SEC) : USEC_INFINITY;
        return room < 1e9;
}

/* The cgroup's limit is judged on what the group counts, which is more than this process' RSS, or less. */
static void draw_limit(Screen *s, const Explanation *e) {
        unsigned bar = min_of(BAR_WIDTH, s->term->width > 60 ? s->term->width - 50 : 8);
        char x[FORMAT_MAX], y[FORMAT_MAX], time[WORDS_MAX];
        uint64_t left_usec;
        double ratio;

        if (!e->sample.limit_bytes)
                return;
        ratio = (double)e->sample.usage_bytes / (double)e->sample.limit_bytes;
        explain_label(s, "limit");
        screen_bar(s, words_usage_style(ratio), bar, ratio);
        screen_putf(s, STYLE_BOLD, " %.0f %%", 100 * ratio);
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s of %s", format_bytes(x, e->sample.usage_bytes),
                    format_bytes(y, e->sample.limit_bytes));
        if (time_left(e, &left_usec))
                screen_item(s, EXPLAIN_INDENT, STYLE_WARN, "%s left at this rate", words_time(time, left_usec));
        screen_end(s);
}

static void draw_refusal(Screen *s, const Explanation *e) {
        ProbeResult result = (ProbeResult)e->ask.reply.result;

        explain_label(s, "reason");
        screen_putf(s, STYLE_PLAIN, "%s:", probe_result_name(result));
        screen_words(s, EXPLAIN_INDENT, STYLE_PLAIN, probe_result_text(result));
        screen_end(s);
        if (e->ask.reply.detail[0]) {
                explain_label(s, "detail");
                screen_words(s, EXPLAIN_INDENT, STYLE_PLAIN, e->ask.reply.detail);
                screen_end(s);
        }
}

/* ---- the verdict, its evidence, and what to do */

static void draw_verdict(Screen *s, const Explanation *e) {
        _cleanup_buf_ Buf b = BUF_NULL;

        explain_label(s, "verdict");
        screen_put(s, styles[e->verdict.kind], verdict_text(e->verdict.kind));
        if (e->verdict.kind != VERDICT_UNKNOWN)
                screen_putf(s, STYLE_DIM, " (%.0f %% sure)", fmin(99, 100 * e->verdict.confidence));
        screen_end(s);
        explain_label(s, "");
        explain_sentence(&b, e);
        screen_words(s, EXPLAIN_INDENT, STYLE_BOLD, buf_str(&b));
        screen_end(s);
}

/* A heap that is next to nothing is no evidence. */
static bool has_heap(const Explanation *e) {
        const Survey *v = e->last;

        return v->flags & SURVEY_HAVE_HEAP &&
               (double)(v->system_bytes + v->mmapped_bytes) > HEAP_LEAST * (double)v->rss_bytes;
}

/* Why there are no figures of it. */
static void draw_no_heap(Screen *s, const Explanation *e) {
        const char *name = e->last->allocator;

        if (e->last->flags & SURVEY_OUT_OF_TIME && !(e->last->flags & SURVEY_HAVE_HEAP)) {
                explain_label(s, "heap");
                screen_item(s, EXPLAIN_INDENT, STYLE_BAD, "not looked for: the time allowed was over (--budget)");
                screen_end(s);
                return;
        }
        if (!name[0] || strncmp(name, "glibc", 5) == 0 || e->call.asked)
                return;
        explain_label(s, "heap");
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s's: what is in use in it cannot be told from outside", name);
        if (strstr(name, "jemalloc") || strstr(name, "tcm"))
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "--call asks it");
        screen_end(s);
}

static void draw_heap(Screen *s, const Explanation *e) {
        const Survey *v = e->last;
        char x[FORMAT_MAX];

        if (!has_heap(e)) {
                draw_no_heap(s, e);
                return;
        }
        explain_label(s, "heap");
        if (!(v->flags & SURVEY_OUT_OF_TIME))
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s in %llu arena%s", format_bytes(x, v->system_bytes),
                            (unsigned long long)v->n_arenas, v->n_arenas == 1 ? "" : "s");
        if (v->flags & SURVEY_HEAP_COMPLETE) {
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s in use", format_bytes(x, v->in_use_bytes));
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s free", format_bytes(x, v->free_bytes));
        }
        if (v->mmapped_bytes)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s in %llu mapping%s of their own",
                            format_bytes(x, v->mmapped_bytes), (unsigned long long)v->n_mmapped,
                            v->n_mmapped == 1 ? "" : "s");
        if (!(v->flags & SURVEY_HEAP_COMPLETE))
                screen_item(s, EXPLAIN_INDENT, STYLE_BAD, "what is in use and what is free is not known: %s",
                            v->flags & SURVEY_OUT_OF_TIME ? "the time allowed was over (--budget)"
                            : v->flags & SURVEY_SWAPPED   ? "parts of it are swapped out, and were left there"
                                                          : "it changed faster than it could be read");
        screen_end(s);
}

/* What a trim gives, and by how little the rest is held. */
static void draw_trim(Screen *s, const Explanation *e) {
        const HeapStats *h = &e->last->heap;
        char x[FORMAT_MAX];

        if (!has_heap(e) || !(e->last->flags & SURVEY_HEAP_COMPLETE))
                return;
        explain_label(s, "trim");
        if (e->last->flags & SURVEY_HAVE_TRIM)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "would give back %s",
                            format_bytes(x, h->trim_resident_bytes));
        else
                screen_item(s, EXPLAIN_INDENT, STYLE_WARN,
                            "cannot be foretold: which pages are in memory is not known");
        if (h->pinned_bytes > e->last->rss_bytes / 100)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s free on pages with something in use",
                            format_bytes(x, h->pinned_bytes));
        if (h->pages_live[0] * PAGE_BYTES >= h->pinned_bytes / 2 && h->pages_live[0] > 1000)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%llu pages are at most 1/8 in use",
                            (unsigned long long)h->pages_live[0]);
        screen_end(s);
}

static void draw_python(Screen *s, const Explanation *e) {
        const SurveyPython *p = &e->last->python;
        char x[FORMAT_MAX], y[FORMAT_MAX];

        if (!(e->last->flags & SURVEY_HAVE_PYTHON))
                return;
        explain_label(s, "python");
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s in %llu arena%s", format_bytes(x, p->arena_bytes),
                    (unsigned long long)p->arenas, p->arenas == 1 ? "" : "s");
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s in use", format_bytes(x, p->used_bytes));
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s free", format_bytes(x, p->free_bytes));
        if (p->sparse_arenas)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s of it held by %llu blocks of %s",
                            format_bytes(x, p->sparse_bytes), (unsigned long long)p->sparse_blocks,
                            format_bytes(y, p->sparse_used_bytes));
        if (p->pools_unread)
                screen_item(s, EXPLAIN_INDENT, STYLE_WARN, "%llu pools swapped out or changing, not read",
                            (unsigned long long)p->pools_unread);
        screen_end(s);
}

/* What changed from the first look to the last, the most first; what is below a hundredth of that is left out. */
static void draw_growth(Screen *s, const Explanation *e) {
        const DiagnoseLook *a = &e->looks[0], *b = &e->looks[e->n_looks - 1];
        uint32_t left = a->known & b->known;
        uint64_t most = 0;
        char x[FORMAT_MAX], time[WORDS_MAX];

        if (!e->verdict.growing)
                return;
        explain_label(s, "change");
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "RSS %s in %s",
                    b->rss_bytes == a->rss_bytes ? "the same"
                                                 : format_signed_bytes(x, (int64_t)(b->rss_bytes - a->rss_bytes)),
                    words_time(time, b->time_usec - a->time_usec));
        for (;;) {
                int best = -1;
                uint64_t best_bytes = most / 100;

                for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++) {
                        int64_t d = (int64_t)(b->part_bytes[p] - a->part_bytes[p]);
                        uint64_t size = (uint64_t)(d < 0 ? -d : d);

                        if (left >> p & 1 && size > best_bytes) {
                                best = (int)p;
                                best_bytes = size;
                        }
                }
                if (best < 0)
                        break;
                most = max_of(most, best_bytes);
                left &= ~(1u << best);
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s %s", explain_part_label((DiagnosePart)best),
                            format_signed_bytes(x, (int64_t)(b->part_bytes[best] - a->part_bytes[best])));
        }
        screen_end(s);
}

static void draw_line(Screen *s, bool first, const char *text) {
        screen_pad(s, EXPLAIN_INDENT + 3);
        if (first)
                screen_put(s, STYLE_DIM, "first ");
        screen_whole(s, STYLE_ACCENT, text);
        screen_end(s);
}

static void draw_remedies(Screen *s, const Explanation *e) {
        const Advice a = explain_advice(e);

        for (size_t i = 0; i < VERDICT_REMEDIES_MAX && e->verdict.remedies[i].kind != REMEDY_NONE; i++) {
                const Remedy *r = &e->verdict.remedies[i];
                _cleanup_buf_ Buf text = BUF_NULL, install = BUF_NULL, command = BUF_NULL;

                advice_text(&text, &a, r);
                explain_label(s, i == 0 ? "do" : "");
                screen_putf(s, STYLE_BOLD, "%zu.", i + 1);
                screen_words(s, EXPLAIN_INDENT + 3, STYLE_PLAIN, buf_str(&text));
                screen_end(s);
                if (advice_install(&install, &a, r))
                        draw_line(s, true, buf_str(&install));
                if (advice_command(&command, &a, r))
                        draw_line(s, false, buf_str(&command));
        }
        if (e->verdict.remedies[0].kind != REMEDY_NONE)
                screen_end(s);
}

static void draw_cost(Screen *s, const Explanation *e) {
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];

        explain_label(s, "read");
        screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "%s in %s, %s of CPU", format_bytes(x, e->last->read_bytes),
                    format_usec(y, e->last->duration_usec), format_usec(z, e->last->cpu_usec));
        screen_item(s, EXPLAIN_INDENT, STYLE_DIM,
                    e->call.asked ? "for that the process was not stopped" : "the process was not stopped");
        screen_end(s);
}

void explain_view(Screen *s, const Explanation *e, bool all) {
        draw_headline(s, e);
        if (e->n_looks == 0) {
                draw_refusal(s, e);
                return;
        }
        draw_limit(s, e);
        explain_bar(s, e);
        screen_end(s);
        draw_verdict(s, e);
        draw_heap(s, e);
        draw_trim(s, e);
        draw_python(s, e);
        if (!e->java.asked || e->call.ask.reply.result != PROBE_E_NO_FIGURES) /* it has some, if not its malloc's */
                explain_call_view(s, &e->call, EXPLAIN_INDENT);
        explain_java_view(s, &e->java, e->last, EXPLAIN_INDENT);
        draw_growth(s, e);
        screen_end(s);
        draw_remedies(s, e);
        explain_table(s, e, all);
        explain_cgroup(s, e, all);
        if (e->verdict.growing && (all || e->growth.contents || is_of_growth[e->verdict.kind]))
                explain_growth_view(s, &e->growth, e->first, e->last);
        if (all)
                explain_long(s, e);
        draw_cost(s, e);
}
