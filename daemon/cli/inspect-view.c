/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect-view.h"

#include <string.h>

#include "cli/words.h"
#include "util/clock.h"
#include "util/format.h"

#define INDENT         11u
#define TOP_DEFAULT    20u /* of a pipe, which has no height */
#define TOP_LEAST      5u  /* a terminal too low for more is scrolled */
#define TABLE_LINES    3u  /* heading, the line below the table, the prompt */
#define NUMBER_MAX     32
#define DIFF_NOW_WIDTH 110u /* from here on there is room for one column more */

uint64_t inspect_between_usec(const Inspection *i) {
        uint64_t a = i->first.census.begin_usec, b = i->last.census.begin_usec;

        return b > a ? b - a : 0;
}

/* 1234567 -> "1,234,567": counts of objects are read digit by digit otherwise. */
static const char *group(char buf[static NUMBER_MAX], uint64_t v) {
        char digits[NUMBER_MAX];
        size_t n = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v), at = 0;

        for (size_t i = 0; i < n; i++) {
                if (i && (n - i) % 3 == 0)
                        buf[at++] = ',';
                buf[at++] = digits[i];
        }
        buf[at] = 0;
        return buf;
}

static const char *group_signed(char buf[static NUMBER_MAX], int64_t v) {
        char digits[NUMBER_MAX];

        snprintf(buf, NUMBER_MAX, "%s%.28s",
                 v < 0   ? "-"
                 : v > 0 ? "+"
                         : "",
                 group(digits, v < 0 ? 0 - (uint64_t)v : (uint64_t)v));
        return buf;
}

/* Three digits: a rate from seconds is not known to the object. */
static const char *group_rate(char buf[static NUMBER_MAX], int64_t v) {
        int64_t unit = 1;

        while (v / unit >= 1000 || v / unit <= -1000)
                unit *= 10;
        return group_signed(buf, (v + (v < 0 ? -unit : unit) / 2) / unit * unit);
}

static void label(Screen *s, const char *text) {
        screen_put(s, STYLE_DIM, text);
        screen_pad(s, INDENT);
}

/* "dict 1,234 (5.60 MB)" */
static void count_item(Screen *s, const char *name, const PythonCount *c) {
        char n[NUMBER_MAX], bytes[FORMAT_MAX];

        screen_item(s, INDENT, STYLE_PLAIN, "%s %s (%s)", name, group(n, c->n_objects), format_bytes(bytes, c->bytes));
}

static void draw_headline(Screen *s, const Inspection *i) {
        bool ok = i->has_census;

        screen_safe(s, STYLE_BOLD, i->ask.comm[0] ? i->ask.comm : "(no name)", 32);
        screen_putf(s, STYLE_PLAIN, " (pid %d): ", i->ask.pid);
        if (!ok) {
                screen_put(s, STYLE_BAD, i->ask.result);
                screen_end(s);
                return;
        }
        screen_put(s, STYLE_BOLD, "CPython ");
        screen_safe(s, STYLE_BOLD, i->last.census.version, 16);
        if (i->last.census.n_interpreters > 1)
                screen_item(s, 0, STYLE_PLAIN, "%u interpreters", i->last.census.n_interpreters);
        if (i->ask.rss_bytes) {
                char rss[FORMAT_MAX];

                screen_item(s, 0, STYLE_PLAIN, "%s RSS", format_bytes(rss, i->ask.rss_bytes));
        }
        screen_end(s);
}

/* How far the figures can be trusted, before the figures. */
static void draw_trust(Screen *s, const PythonCensus *c) {
        if (c->flags & PYTHON_TORN) {
                screen_item(s, INDENT, STYLE_BAD, "torn: its lists changed faster than they could be read");
                screen_item(s, INDENT, STYLE_BAD, "what follows is no count");
        } else if (!(c->flags & PYTHON_COMPLETE))
                screen_item(s, INDENT, STYLE_WARN, "not complete: the time allowed was over; there are more");
        else
                screen_item(s, INDENT, STYLE_GOOD, "complete");
        if (c->n_retries && !(c->flags & PYTHON_TORN))
                screen_item(s, INDENT, STYLE_DIM, "begun again %llu time%s", (unsigned long long)c->n_retries,
                            c->n_retries == 1 ? "" : "s");
}

static void draw_how(Screen *s, const Inspection *i) {
        const PythonCensus *c = &i->last.census;
        const ProbeCall *call = &i->ask.reply.call;
        char x[FORMAT_MAX];

        label(s, "read");
        if (c->mode == PYTHON_PASSIVE)
                screen_item(s, INDENT, STYLE_PLAIN, "from outside, nothing stopped");
        else
                screen_item(s, INDENT, STYLE_PLAIN, "at a standstill, exact");
        draw_trust(s, c);
        screen_item(s, INDENT, STYLE_DIM, "took %s", format_usec(x, c->duration_usec));
        if (c->cpu_usec)
                screen_item(s, INDENT, STYLE_DIM, "%s of CPU", format_usec(x, c->cpu_usec));
        screen_end(s);
        if (c->mode == PYTHON_PASSIVE)
                return;
        label(s, "cost it");
        screen_item(s, INDENT, STYLE_PLAIN, "%s for %s",
                    call->thread == PROBE_THREAD_OWN ? "the GIL" : "its only thread, held in its own wait,",
                    format_usec(x, call->duration_usec));
        screen_item(s, INDENT, STYLE_DIM, "threads stopped for %s in all", format_usec(x, call->stop_usec));
        screen_end(s);
}

static void draw_objects(Screen *s, const PythonCensus *c) {
        static const char *const names[PYTHON_GENERATIONS] = {"young", "middle", "old", "frozen"};
        uint64_t told = 0;

        label(s, "objects");
        count_item(s, "gc tracks", &c->all);
        for (size_t g = 0; g < PYTHON_GENERATIONS; g++)
                told += c->generations[g].n_objects;
        for (size_t g = 0; told && g < PYTHON_GENERATIONS; g++) {
                char n[NUMBER_MAX];

                if (c->generations[g].n_objects || g + 1 < PYTHON_GENERATIONS)
                        screen_item(s, INDENT, STYLE_DIM, "%s %s", names[g], group(n, c->generations[g].n_objects));
        }
        screen_end(s);
}

static void draw_untracked(Screen *s, const PythonCensus *c) {
        label(s, "untracked");
        if (!(c->flags & PYTHON_HAVE_UNTRACKED))
                screen_item(s, INDENT, STYLE_DIM, "bytes, bytearray and str: unknown");
        else {
                count_item(s, "str", &c->strings);
                count_item(s, "bytes", &c->bytes);
                count_item(s, "bytearray", &c->bytearrays);
                if (c->flags & PYTHON_SAMPLED)
                        screen_item(s, INDENT, STYLE_WARN, "estimated from 1 in %llu",
                                    (unsigned long long)c->sample_every);
                else
                        screen_item(s, INDENT, STYLE_DIM, "found in tracked objects");
        }
        screen_end(s);
}

static void draw_arenas(Screen *s, const PythonCensus *c) {
        char n[NUMBER_MAX], m[NUMBER_MAX], x[FORMAT_MAX];

        label(s, "pymalloc");
        if (c->flags & PYTHON_HAVE_BLOCKS)
                screen_item(s, INDENT, STYLE_PLAIN, "%s blocks allocated", group(n, c->n_blocks));
        else
                screen_item(s, INDENT, STYLE_DIM, "blocks unknown");
        if (c->flags & PYTHON_HAVE_ARENAS) {
                screen_item(s, INDENT, STYLE_PLAIN, "%s arenas of %s", group(n, c->arenas),
                            format_bytes(x, c->arenas_bytes));
                screen_item(s, INDENT, STYLE_PLAIN, "pools %s used, %s free", group(n, c->pools_used),
                            group(m, c->pools_free));
                screen_item(s, INDENT, STYLE_PLAIN, "%s in free blocks", format_bytes(x, c->blocks_free_bytes));
        } else
                screen_item(s, INDENT, STYLE_DIM, "arenas unknown");
        screen_end(s);
}

static void draw_running(Screen *s, const PythonCensus *c) {
        char n[NUMBER_MAX];

        label(s, "running");
        if (c->flags & PYTHON_HAVE_THREADS)
                screen_item(s, INDENT, STYLE_PLAIN, "%s thread%s", group(n, c->n_threads),
                            c->n_threads == 1 ? "" : "s");
        else
                screen_item(s, INDENT, STYLE_DIM, "threads unknown");
        if (c->flags & PYTHON_HAVE_TASKS)
                screen_item(s, INDENT, STYLE_PLAIN, "%s asyncio task%s", group(n, c->n_tasks),
                            c->n_tasks == 1 ? "" : "s");
        else
                screen_item(s, INDENT, STYLE_DIM, "asyncio tasks unknown");
        screen_end(s);
}

/* How many rows: what was asked for, or what one screen holds below the lines that are there already. */
static size_t rows_to_show(const Screen *s, const Inspection *i, size_t n) {
        size_t room = TOP_DEFAULT;

        if (i->top)
                room = i->top;
        else if (s->term->tty)
                room = max_of(s->term->height, s->n_lines + TABLE_LINES + TOP_LEAST) - s->n_lines - TABLE_LINES;
        return min_of(n, room);
}

static void draw_row(Screen *s, const InspectRow *r, uint64_t all_bytes, unsigned bar) {
        double share = all_bytes ? (double)r->now.bytes / (double)all_bytes : 0;
        char n[NUMBER_MAX], x[FORMAT_MAX];

        screen_putf(s, STYLE_PLAIN, "%13s %9s  ", group(n, r->now.n_objects), format_bytes(x, r->now.bytes));
        screen_bar(s, STYLE_ACCENT, bar, share);
        screen_putf(s, STYLE_PLAIN, " %5.1f %%  ", 100 * share);
        screen_safe(s, STYLE_PLAIN, r->name[0] ? r->name : "(no name)", 0);
        screen_end(s);
}

static void draw_types(Screen *s, const Inspection *i) {
        unsigned bar = s->term->width >= 110 ? 24 : s->term->width >= 70 ? 14 : 6;
        size_t n = rows_to_show(s, i, i->rows.n);
        PythonCount rest = i->last.census.others;
        char text[NUMBER_MAX], x[FORMAT_MAX];

        screen_putf(s, STYLE_DIM, "%13s %9s  %-*s  type", "objects", "bytes", (int)bar + 8, "share");
        screen_end(s);
        for (size_t k = 0; k < i->rows.n; k++) {
                if (k < n) {
                        draw_row(s, &i->rows.row[k], i->last.census.all.bytes, bar);
                        continue;
                }
                rest.n_objects += i->rows.row[k].now.n_objects;
                rest.bytes += i->rows.row[k].now.bytes;
        }
        if (rest.n_objects == 0)
                return;
        screen_putf(s, STYLE_DIM, "%13s %9s  ", group(text, rest.n_objects), format_bytes(x, rest.bytes));
        screen_words(s, s->column, STYLE_DIM, "in all other types");
        if (i->rows.n > n)
                screen_putf(s, STYLE_DIM, "; --top %zu shows more", n * 2);
        screen_end(s);
}

/* ---- two censuses ---- */

static void draw_growth(Screen *s, const Inspection *i) {
        const PythonCount *a = &i->first.census.all, *b = &i->last.census.all;
        int64_t n = (int64_t)(b->n_objects - a->n_objects), bytes = (int64_t)(b->bytes - a->bytes);
        uint64_t usec = inspect_between_usec(i);
        char text[NUMBER_MAX], x[FORMAT_MAX], time[WORDS_MAX];
        Style style = n > 0 && bytes > 0 ? STYLE_BOLD : STYLE_PLAIN;

        label(s, "growth");
        screen_item(s, INDENT, style, "%s objects", group_signed(text, n));
        screen_item(s, INDENT, style, "%s", format_signed_bytes(x, bytes));
        screen_item(s, INDENT, STYLE_PLAIN, "in %s", words_time(time, usec));
        screen_item(s, INDENT, STYLE_PLAIN, "%s objects/h", group_rate(text, inspect_per_hour(n, usec)));
        screen_item(s, INDENT, STYLE_PLAIN, "%s/h", format_signed_bytes(x, inspect_per_hour(bytes, usec)));
        screen_end(s);
        if (!(i->first.census.flags & i->last.census.flags & PYTHON_COMPLETE)) {
                label(s, "");
                screen_words(s, INDENT, STYLE_BAD,
                             "one of the two is not complete: what looks like growth may be none");
                screen_end(s);
        }
}

static void draw_grown_row(Screen *s, const InspectRow *r, uint64_t usec) {
        int64_t bytes = inspect_growth_bytes(r), n = inspect_growth_objects(r);
        bool grew = bytes > 0 || (bytes == 0 && n > 0);
        Style style = grew ? STYLE_PLAIN : STYLE_DIM;
        char a[NUMBER_MAX], x[FORMAT_MAX];

        screen_putf(s, style, "%11s %10s", group_signed(a, n), format_signed_bytes(x, bytes));
        screen_putf(s, style, " %12s", group_rate(a, inspect_per_hour(n, usec)));
        screen_putf(s, style, " %10s", format_signed_bytes(x, inspect_per_hour(bytes, usec)));
        if (s->term->width >= DIFF_NOW_WIDTH)
                screen_putf(s, style, " %13s %10s", group(a, r->now.n_objects), format_bytes(x, r->now.bytes));
        screen_put(s, style, "  ");
        screen_safe(s, style, r->name[0] ? r->name : "(no name)", 0);
        screen_end(s);
}

/* What grew, from the top; and, where there is room left, what shrank, from the bottom. */
static void draw_grown_types(Screen *s, const Inspection *i) {
        size_t changed = i->rows.n_grown + i->rows.n_shrunk, n, grown, shrunk;
        uint64_t usec = inspect_between_usec(i);

        if (changed == 0) {
                label(s, "types");
                screen_item(s, INDENT, STYLE_GOOD, "none grew or shrank");
                screen_end(s);
                return;
        }
        n = rows_to_show(s, i, changed);
        grown = min_of(i->rows.n_grown, n);
        shrunk = min_of(i->rows.n_shrunk, n - grown);
        screen_putf(s, STYLE_DIM, "%11s %10s %12s %10s", "objects", "bytes", "objects/h", "bytes/h");
        if (s->term->width >= DIFF_NOW_WIDTH)
                screen_putf(s, STYLE_DIM, " %13s %10s", "objects now", "bytes now");
        screen_put(s, STYLE_DIM, "  type");
        screen_end(s);
        for (size_t k = 0; k < grown; k++)
                draw_grown_row(s, &i->rows.row[k], usec);
        for (size_t k = i->rows.n - shrunk; k < i->rows.n; k++)
                draw_grown_row(s, &i->rows.row[k], usec);
        if (changed > grown + shrunk) {
                screen_putf(s, STYLE_DIM, "%11zu more grew, %zu shrank; --top %zu shows more", i->rows.n_grown - grown,
                            i->rows.n_shrunk - shrunk, n * 2);
                screen_end(s);
        }
}

static void draw_refusal(Screen *s, const Inspection *i) {
        ProbeResult result = (ProbeResult)i->ask.reply.result;

        label(s, "reason");
        screen_putf(s, STYLE_PLAIN, "%s:", probe_result_name(result));
        screen_words(s, INDENT, STYLE_PLAIN, probe_result_text(result));
        screen_end(s);
        if (i->ask.reply.detail[0]) {
                label(s, "detail");
                screen_words(s, INDENT, STYLE_PLAIN, i->ask.reply.detail);
                screen_end(s);
        }
}

void inspect_view(Screen *s, const Inspection *i) {
        const PythonCensus *c = &i->last.census;

        draw_headline(s, i);
        if (!i->has_census) {
                draw_refusal(s, i);
                return;
        }
        draw_how(s, i);
        if (i->is_diff)
                draw_growth(s, i);
        draw_objects(s, c);
        draw_untracked(s, c);
        draw_arenas(s, c);
        draw_running(s, c);
        screen_end(s);
        if (i->is_diff)
                draw_grown_types(s, i);
        else
                draw_types(s, i);
}
