/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-growth.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/format.h"

#define INDENT       11u
#define ROWS_MAX     5u   /* of a table; JSON has them all */
#define SHARE_LEAST  0.05 /* of the first row's growth: less is noise beside it */
#define NAMES_MAX    3u   /* of threads in an arena's row */
#define ANSWER_GRACE (15 * USEC_PER_SEC)

void explain_growth_done(ExplainGrowth *g) {
        growth_report_done(&g->before);
        growth_report_done(&g->now);
        g->have_before = g->have_now = false;
}

void explain_growth_look(ExplainGrowth *g, const Ask *ask, ProbeClient *client, uint64_t budget_usec,
                         const Survey *first, const Survey *last, bool is_last) {
        ProbeRequest request = {.op = PROBE_OP_GROWTH, .budget_msec = (uint32_t)(budget_usec / USEC_PER_MSEC)};
        Ask own = *ask; /* the explanation's result stays the surveys' */
        GrowthReport *to = is_last ? &g->now : &g->before;
        _cleanup_fd_ int fd = -1;
        const char *why;

        if (g->contents)
                request.param = is_last ? GROWTH_COMPARE : GROWTH_REMEMBER;
        if (g->contents && is_last) {
                g->asked = (GrowthAsk){.n_samples = g->n_samples, .show_content = g->show};
                g->asked.n_classes = growth_classes(first, last, g->asked.classes);
                request.value = growth_pack(&g->asked);
        }
        ask_probe(&own, client, &request, budget_usec + ANSWER_GRACE, &fd);
        if (strcmp(own.result, "ok") == 0 && growth_report_read(fd, to, &why) == 0)
                *(is_last ? &g->have_now : &g->have_before) = true;
}

/* ---- text */

static void title(Screen *s, const char *name, const char *heads) {
        screen_put(s, STYLE_DIM, name);
        screen_pad(s, INDENT);
        screen_put(s, STYLE_DIM, heads);
        screen_end(s);
}

static const char *rate(char buf[static FORMAT_MAX], int64_t grown, double seconds) {
        char x[FORMAT_MAX];

        if (seconds <= 0)
                return strcpy(buf, "?");
        snprintf(buf, FORMAT_MAX, "%.28s/s",
                 format_signed_bytes(x, (int64_t)((double)grown / seconds + (grown < 0 ? -0.5 : 0.5))));
        return buf;
}

static bool is_shown(int64_t grown, int64_t most, size_t i) {
        return i < ROWS_MAX && grown > 0 && (double)grown >= SHARE_LEAST * (double)most;
}

/* Chunks a second, with a digit behind the point where they are few. */
static const char *count_rate(char buf[static FORMAT_MAX], int64_t grown, double seconds) {
        if (seconds <= 0)
                return strcpy(buf, "?");
        snprintf(buf, FORMAT_MAX, "%.*f", grown > -100 && grown < 100, (double)grown / seconds);
        return buf;
}

static void draw_sizes(Screen *s, const GrowthRows *r) {
        int64_t most = r->n_sizes ? r->sizes[0].used_bytes : 0;
        size_t free_at = 0;

        if (!r->have_sizes || r->n_sizes == 0)
                return;
        for (size_t i = 1; i < r->n_sizes; i++)
                if (r->sizes[i].free_bytes > r->sizes[free_at].free_bytes)
                        free_at = i;
        if (most <= 0 && r->sizes[free_at].free_bytes <= 0)
                return;
        title(s, "by size", "      in use   chunks/s          free   chunks/s   of");
        for (size_t i = 0; i < r->n_sizes; i++) {
                const GrowthSizeRow *row = &r->sizes[i];
                _cleanup_buf_ Buf size = BUF_NULL;
                char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX], w[FORMAT_MAX];

                if (!is_shown(row->used_bytes, most, i) && !(i == free_at && row->free_bytes > 0))
                        continue;
                growth_size(&size, row->class);
                screen_pad(s, INDENT);
                screen_putf(s, STYLE_PLAIN, "%12s %10s  %12s %10s   %s", rate(x, row->used_bytes, r->size_seconds),
                            count_rate(y, row->n_used, r->size_seconds), rate(z, row->free_bytes, r->size_seconds),
                            count_rate(w, row->n_free, r->size_seconds), buf_str(&size));
                screen_end(s);
        }
}

static void put_thread(Screen *s, const GrowthThread *t) {
        screen_putf(s, STYLE_DIM, " %d ", t->tid);
        screen_safe(s, STYLE_DIM, t->comm, GROWTH_COMM_MAX);
}

static void put_arena_threads(Screen *s, const GrowthReport *g, uint64_t addr) {
        unsigned n = 0;

        for (uint32_t i = 0; i < g->head.n_threads; i++) {
                const GrowthThread *t = &g->threads[i];

                if (!(t->flags & GROWTH_THREAD_ARENA) || t->arena != addr)
                        continue;
                if (n < NAMES_MAX) {
                        screen_put(s, STYLE_DIM, n ? "," : ":");
                        put_thread(s, t);
                }
                n++;
        }
        if (n > NAMES_MAX)
                screen_putf(s, STYLE_DIM, ", %u more", n - NAMES_MAX);
}

static void draw_arenas(Screen *s, const ExplainGrowth *g, const GrowthRows *r) {
        int64_t most = r->n_arenas ? r->arenas[0].used_bytes : 0;

        if (most <= 0)
                return;
        title(s, "by arena", "      in use          free   arena: its threads");
        for (size_t i = 0; i < r->n_arenas && is_shown(r->arenas[i].used_bytes, most, i); i++) {
                const GrowthArenaRow *row = &r->arenas[i];
                char used[FORMAT_MAX], gone[FORMAT_MAX];

                screen_pad(s, INDENT);
                screen_putf(s, STYLE_PLAIN, "%12s  %12s   %s", rate(used, row->used_bytes, r->size_seconds),
                            rate(gone, row->free_bytes, r->size_seconds), row->is_main ? "main" : "thread's");
                if (row->is_new)
                        screen_put(s, STYLE_PLAIN, ", new");
                if (g->have_now && (g->now.head.flags & GROWTH_ARENA_SLOT))
                        put_arena_threads(s, &g->now, row->now->addr);
                screen_end(s);
        }
}

static void draw_map(Screen *s, const GrowthRows *r, const GrowthMapRow *row) {
        char grown[FORMAT_MAX], now[FORMAT_MAX], size[FORMAT_MAX];

        screen_pad(s, INDENT);
        screen_putf(s, STYLE_PLAIN, "%12s  %9s   ", rate(grown, row->grown_bytes, r->place_seconds),
                    format_bytes(now, row->rss_bytes));
        if (row->name[0]) {
                screen_safe(s, STYLE_PLAIN, row->name, screen_left(s));
        } else if (row->is_new && row->n_maps > 1)
                screen_putf(s, STYLE_PLAIN, "%s, %u new of %s", part_name((PartKind)row->kind), row->n_maps,
                            format_bytes(size, row->end - row->start));
        else
                screen_putf(s, STYLE_PLAIN, "%s %llx-%llx", part_name((PartKind)row->kind),
                            (unsigned long long)row->start, (unsigned long long)row->end);
        screen_end(s);
}

static void draw_maps(Screen *s, const GrowthRows *r) {
        int64_t most = r->n_maps ? r->maps[0].grown_bytes : 0;

        if (!r->have_places || most <= 0)
                return;
        title(s, "by mapping", "        RSS        now   mapping");
        for (size_t i = 0; i < r->n_maps && is_shown(r->maps[i].grown_bytes, most, i); i++)
                draw_map(s, r, &r->maps[i]);
}

static void draw_threads(Screen *s, const GrowthRows *r) {
        int64_t most = r->n_threads ? r->threads[0].grown_bytes : 0;
        size_t n_new = 0;
        int64_t of_new = 0;
        char grown[FORMAT_MAX], now[FORMAT_MAX];

        if (!r->have_places || most <= 0)
                return;
        title(s, "by thread", "      stack        now   thread");
        for (size_t i = 0; i < r->n_threads; i++) {
                n_new += r->threads[i].is_new;
                of_new += r->threads[i].is_new ? r->threads[i].grown_bytes : 0;
        }
        for (size_t i = 0; i < r->n_threads && is_shown(r->threads[i].grown_bytes, most, i); i++) {
                const GrowthThreadRow *row = &r->threads[i];

                screen_pad(s, INDENT);
                screen_putf(s, STYLE_PLAIN, "%12s  %9s  ", rate(grown, row->grown_bytes, r->place_seconds),
                            format_bytes(now, row->now->stack_rss_bytes));
                put_thread(s, row->now);
                if (row->is_new)
                        screen_put(s, STYLE_DIM, ", new");
                screen_end(s);
        }
        if (n_new > ROWS_MAX) {
                screen_pad(s, INDENT);
                screen_putf(s, STYLE_PLAIN, "%12s  %9s   all %zu new ones", rate(grown, of_new, r->place_seconds), "",
                            n_new);
                screen_end(s);
        }
}

/* ---- what newer chunks hold */

static void draw_group(Screen *s, const GrowthGroups *all, const GrowthGroup *g) {
        _cleanup_buf_ Buf head = BUF_NULL, rest = BUF_NULL;

        growth_group_head(&head, g);
        growth_group_rest(&rest, g);
        screen_pad(s, INDENT);
        screen_putf(s, STYLE_PLAIN, "%2zu of %zu  ", g->n, all->n_samples);
        screen_words(s, INDENT + 10, STYLE_BOLD, buf_str(&head));
        screen_end(s);
        if (rest.len) {
                screen_words(s, INDENT + 10, STYLE_DIM, buf_str(&rest));
                screen_end(s);
        }
        for (size_t i = 0; i < g->n && g->member[i]->n_content; i++) {
                _cleanup_buf_ Buf content = BUF_NULL;

                growth_content(&content, g->member[i]->content, g->member[i]->n_content);
                screen_pad(s, INDENT + 10);
                screen_safe(s, STYLE_DIM, buf_str(&content), screen_left(s));
                screen_end(s);
        }
}

static void draw_class(Screen *s, const ExplainGrowth *g, unsigned class) {
        static GrowthGroups groups; /* 8 KiB */
        _cleanup_buf_ Buf size = BUF_NULL;

        growth_size(&size, class);
        growth_groups(g->now.samples, g->now.head.n_samples, class, &groups);
        screen_put(s, STYLE_DIM, "new chunks");
        screen_pad(s, INDENT);
        screen_putf(s, STYLE_PLAIN, "of %s: ", buf_str(&size));
        if (groups.n_samples)
                screen_putf(s, STYLE_PLAIN, "%zu looked at", groups.n_samples);
        else
                screen_put(s, STYLE_WARN, "none was met that held still");
        screen_end(s);
        for (size_t i = 0; i < groups.n; i++)
                draw_group(s, &groups, &groups.group[i]);
}

static void draw_contents(Screen *s, const ExplainGrowth *g) {
        const char *why = NULL;

        if (!g->contents)
                return;
        if (!g->have_before || !g->have_now)
                why = "not known: plateau-probe did not answer";
        else if (!(g->now.head.flags & GROWTH_COMPARED))
                why = "not known: no heap of glibc's was read whole at the first look";
        else if (g->asked.n_classes == 0)
                why = "no size of chunk grows in use";
        for (size_t i = 0; !why && i < g->asked.n_classes; i++)
                draw_class(s, g, g->asked.classes[i]);
        if (why) {
                screen_put(s, STYLE_DIM, "new chunks");
                screen_pad(s, INDENT);
                screen_words(s, INDENT, STYLE_WARN, why);
                screen_end(s);
        }
}

void explain_growth_view(Screen *s, const ExplainGrowth *g, const Survey *first, const Survey *last) {
        bool both = g->have_before && g->have_now;
        GrowthRows r;

        if (growth_rows(first, last, both ? &g->before : NULL, both ? &g->now : NULL, &r) < 0)
                return;
        if (r.n_sizes || r.n_maps || g->contents)
                screen_end(s);
        draw_sizes(s, &r);
        draw_arenas(s, g, &r);
        draw_maps(s, &r);
        draw_threads(s, &r);
        draw_contents(s, g);
        growth_rows_done(&r);
}
