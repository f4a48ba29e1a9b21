/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include "cli/words.h"
#include "util/format.h"

#define INDENT      11u
#define NAME_WIDTH  26u
#define SHARE_LEAST 0.005 /* of RSS: less is summed up */

static const char *const labels[_PART_MAX] = {
        [PART_MAIN_HEAP] = "main heap",
        [PART_ARENAS] = "thread arenas",
        [PART_MMAPPED] = "malloc's large blocks",
        [PART_ALLOCATOR] = "allocator",
        [PART_PYTHON] = "Python's arenas",
        [PART_STACKS] = "stacks",
        [PART_ANONYMOUS] = "other private memory",
        [PART_FILES] = "mapped files",
        [PART_SHARED] = "shared memory",
        [PART_KERNEL] = "kernel's pages",
};

static const Style styles[_VERDICT_MAX] = {
        [VERDICT_UNKNOWN] = STYLE_WARN,       [VERDICT_STEADY] = STYLE_GOOD, [VERDICT_LIVE_GROWTH] = STYLE_BAD,
        [VERDICT_TRIMMABLE] = STYLE_WARN,     [VERDICT_PINNED] = STYLE_BAD,  [VERDICT_FILES] = STYLE_WARN,
        [VERDICT_SHARED] = STYLE_WARN,        [VERDICT_STACKS] = STYLE_BAD,  [VERDICT_WARM_UP] = STYLE_GOOD,
        [VERDICT_COPY_ON_WRITE] = STYLE_WARN,
};

static void label(Screen *s, const char *text) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, INDENT);
}

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
        if (e->sample.limit_bytes)
                screen_item(s, INDENT, STYLE_PLAIN, "limit %s", format_bytes(x, e->sample.limit_bytes));
        if (e->last->allocator[0])
                screen_item(s, INDENT, STYLE_PLAIN, "%s", e->last->allocator);
        screen_item(s, INDENT, STYLE_PLAIN, "%u thread%s", e->last->n_threads, e->last->n_threads == 1 ? "" : "s");
        screen_end(s);
}

static void draw_refusal(Screen *s, const Explanation *e) {
        ProbeResult result = (ProbeResult)e->ask.reply.result;

        label(s, "reason");
        screen_putf(s, STYLE_PLAIN, "%s:", probe_result_name(result));
        screen_words(s, INDENT, STYLE_PLAIN, probe_result_text(result));
        screen_end(s);
        if (e->ask.reply.detail[0]) {
                label(s, "detail");
                screen_words(s, INDENT, STYLE_PLAIN, e->ask.reply.detail);
                screen_end(s);
        }
}

static void draw_verdict(Screen *s, const Explanation *e) {
        _cleanup_buf_ Buf b = BUF_NULL;

        label(s, "verdict");
        screen_putf(s, styles[e->verdict.kind], "%s", verdict_text(e->verdict.kind));
        if (e->verdict.kind != VERDICT_UNKNOWN)
                screen_putf(s, STYLE_DIM, " (%.0f %%)", 100 * e->verdict.confidence);
        screen_put(s, STYLE_PLAIN, ":");
        explain_sentence(&b, e);
        screen_words(s, INDENT, STYLE_PLAIN, buf_str(&b));
        screen_end(s);
        for (size_t i = 0; i < VERDICT_REMEDIES_MAX && e->verdict.remedies[i].kind != REMEDY_NONE; i++) {
                const Advice a = explain_advice(e);
                _cleanup_buf_ Buf advice = BUF_NULL;

                advice_line(&advice, &a, &e->verdict.remedies[i]);
                label(s, i == 0 ? "do" : "");
                screen_putf(s, STYLE_ACCENT, "%zu.", i + 1);
                screen_words(s, INDENT + 3, STYLE_PLAIN, buf_str(&advice));
                screen_end(s);
        }
}

/* ---- the bars */

static void draw_row(Screen *s, const char *name, const char *what, uint64_t bytes, uint64_t all) {
        double share = all ? (double)bytes / (double)all : 0;
        unsigned bar = s->term->width >= 110 ? 40 : s->term->width >= 76 ? 24 : 8;
        char x[FORMAT_MAX];

        screen_putf(s, STYLE_PLAIN, "%9s %5.1f %%  ", format_bytes(x, bytes), 100 * share);
        screen_bar(s, STYLE_ACCENT, bar, share);
        screen_put(s, STYLE_PLAIN, "  ");
        screen_put(s, STYLE_PLAIN, name);
        if (what && *what) {
                screen_put(s, STYLE_DIM, " ");
                screen_safe(s, STYLE_DIM, what, screen_left(s));
        }
        screen_end(s);
}

static void draw_parts(Screen *s, const Explanation *e) {
        const Survey *v = e->last;
        uint64_t rest = v->rss_bytes, n_files = 0;

        for (uint32_t i = 0; i < v->n_parts; i++) {
                const Part *p = &v->parts[i];
                bool is_file = p->kind == PART_FILES || p->kind == PART_SHARED;

                if ((double)p->rss_bytes < SHARE_LEAST * (double)v->rss_bytes || (is_file && ++n_files > 6))
                        continue;
                draw_row(s, is_file ? "" : labels[p->kind], is_file && !p->name[0] ? "other files" : p->name,
                         p->rss_bytes, v->rss_bytes);
                rest -= p->rss_bytes;
        }
        if (rest && rest <= v->rss_bytes)
                draw_row(s, "all others", "", rest, v->rss_bytes);
}

/* ---- the evidence */

static void draw_heap(Screen *s, const Explanation *e) {
        const Survey *v = e->last;
        char x[FORMAT_MAX];

        label(s, "heap");
        if (!(v->flags & SURVEY_HAVE_HEAP) || v->system_bytes == 0) {
                screen_item(s, INDENT, STYLE_DIM, "no heap of glibc's in it");
                screen_end(s);
                return;
        }
        screen_item(s, INDENT, STYLE_PLAIN, "%llu arena%s of %s", (unsigned long long)v->n_arenas,
                    v->n_arenas == 1 ? "" : "s", format_bytes(x, v->system_bytes));
        screen_item(s, INDENT, STYLE_PLAIN, "%s in use", format_bytes(x, v->in_use_bytes));
        screen_item(s, INDENT, STYLE_PLAIN, "%s free", format_bytes(x, v->free_bytes));
        if (v->mmapped_bytes)
                screen_item(s, INDENT, STYLE_PLAIN, "%s in %llu blocks of their own", format_bytes(x, v->mmapped_bytes),
                            (unsigned long long)v->n_mmapped);
        screen_end(s);
        label(s, "trim");
        if (v->flags & SURVEY_HAVE_TRIM)
                screen_item(s, INDENT, STYLE_BOLD, "would give back %s", format_bytes(x, v->heap.trim_resident_bytes));
        else
                screen_item(s, INDENT, STYLE_WARN, "cannot be foretold: which pages are in memory is not known");
        screen_item(s, INDENT, STYLE_PLAIN, "%s pinned by what lives on the same page",
                    format_bytes(x, v->heap.pinned_bytes));
        screen_end(s);
        if (!(v->flags & SURVEY_HEAP_COMPLETE)) {
                label(s, "");
                screen_words(s, INDENT, STYLE_BAD,
                             v->flags & SURVEY_OUT_OF_TIME ? "not complete: the time allowed was over"
                             : v->flags & SURVEY_SWAPPED
                                     ? "not complete: parts of it are swapped out, and were left there"
                                     : "torn: it changed faster than it could be read; trust no figure of it");
                screen_end(s);
        }
}

static void draw_python(Screen *s, const Explanation *e) {
        const SurveyPython *p = &e->last->python;
        char x[FORMAT_MAX], y[FORMAT_MAX];

        if (!(e->last->flags & SURVEY_HAVE_PYTHON))
                return;
        label(s, "python");
        screen_item(s, INDENT, STYLE_PLAIN, "%llu arena%s of %s", (unsigned long long)p->arenas,
                    p->arenas == 1 ? "" : "s", format_bytes(x, p->arena_bytes));
        screen_item(s, INDENT, STYLE_PLAIN, "%s in use", format_bytes(x, p->used_bytes));
        screen_item(s, INDENT, STYLE_PLAIN, "%s free", format_bytes(x, p->free_bytes));
        if (p->sparse_arenas)
                screen_item(s, INDENT, STYLE_PLAIN, "%s of it held by %llu blocks of %s",
                            format_bytes(x, p->sparse_bytes), (unsigned long long)p->sparse_blocks,
                            format_bytes(y, p->sparse_used_bytes));
        if (p->pools_unread)
                screen_item(s, INDENT, STYLE_WARN, "%llu pools swapped out or changing, not read",
                            (unsigned long long)p->pools_unread);
        screen_end(s);
}

static void draw_growth(Screen *s, const Explanation *e) {
        char x[FORMAT_MAX], time[WORDS_MAX];

        if (!e->verdict.growing)
                return;
        label(s, "growth");
        screen_item(s, INDENT, STYLE_PLAIN, "RSS %s", format_rate(x, e->verdict.rss_bytes_per_s));
        screen_item(s, INDENT, STYLE_PLAIN, "%zu looks in %s", e->n_looks,
                    words_time(time, e->looks[e->n_looks - 1].time_usec - e->looks[0].time_usec));
        screen_end(s);
        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++) {
                int64_t d = (int64_t)(e->looks[e->n_looks - 1].part_bytes[p] - e->looks[0].part_bytes[p]);

                if (!(e->looks[0].known >> p & 1) || d == 0)
                        continue;
                label(s, "");
                screen_putf(s, STYLE_PLAIN, "%11s  %s", format_signed_bytes(x, d), diagnose_part_name((DiagnosePart)p));
                screen_end(s);
        }
}

static void draw_cost(Screen *s, const Explanation *e) {
        char x[FORMAT_MAX], y[FORMAT_MAX];

        label(s, "read");
        screen_item(s, INDENT, STYLE_DIM, "%s in %s, %s of CPU", format_bytes(x, e->last->read_bytes),
                    format_usec(y, e->last->duration_usec), format_usec((char[FORMAT_MAX]){0}, e->last->cpu_usec));
        screen_item(s, INDENT, STYLE_DIM,
                    e->call.asked ? "for that the process was not stopped" : "the process was not stopped");
        screen_end(s);
}

void explain_view(Screen *s, const Explanation *e) {
        draw_headline(s, e);
        if (e->n_looks == 0) {
                draw_refusal(s, e);
                return;
        }
        draw_verdict(s, e);
        screen_end(s);
        draw_parts(s, e);
        screen_end(s);
        draw_heap(s, e);
        draw_python(s, e);
        explain_call_view(s, &e->call, INDENT);
        draw_growth(s, e);
        if (e->verdict.growing)
                explain_growth_view(s, &e->growth, e->first, e->last);
        draw_cost(s, e);
}
