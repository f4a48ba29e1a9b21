/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-tables.h"

#include <string.h>

#include "probe/survey/size-class.h"
#include "util/format.h"

#define INDENT      (EXPLAIN_INDENT - 2) /* "%9s" has two blanks before most figures */
#define SHARE_LEAST 0.01                 /* of RSS: less is summed up, unless all is asked for */
#define FILES_MAX   4u

static const char *const labels[_PART_MAX] = {
        [PART_MAIN_HEAP] = "main heap",
        [PART_ARENAS] = "thread arenas",
        [PART_MMAPPED] = "malloc's large chunks",
        [PART_ALLOCATOR] = "allocator",
        [PART_PYTHON] = "Python's arenas",
        [PART_JAVA_HEAP] = "Java heap",
        [PART_JAVA_CODE] = "Java's compiled code",
        [PART_STACKS] = "stacks",
        [PART_ANONYMOUS] = "own mappings",
        [PART_FILES] = "mapped files",
        [PART_SHARED] = "shared memory",
        [PART_KERNEL] = "kernel's pages",
};

/* ---- where RSS is */

/* Columns beyond RSS, only where one of the lines has something in them; @narrow leaves them out. */
typedef struct Columns {
        bool share, private, swap, huge, hugetlb;
} Columns;

static Columns columns_of(const Screen *s, const Survey *v) {
        unsigned width = s->term->width;

        return (Columns){.share = width >= 50,
                         .private = width >= 70,
                         .swap = v->swap_bytes > 0,
                         .huge = v->huge_bytes > 0 && width >= 80,
                         .hugetlb = v->hugetlb_bytes > 0 && width >= 80};
}

static void put_bytes(Screen *s, bool wanted, Style style, uint64_t bytes) {
        char x[FORMAT_MAX];

        if (wanted)
                screen_putf(s, style, "%9s", bytes ? format_bytes(x, bytes) : "-");
}

/* The end of a long path tells more than its beginning. */
static void put_path(Screen *s, const char *path) {
        unsigned left = screen_left(s);
        size_t len = strlen(path);

        if (len > left && left > 8) {
                screen_put(s, STYLE_DIM, s->term->glyph->ellipsis);
                path += len - (screen_left(s) - 1);
                while (((unsigned char)*path & 0xc0) == 0x80) /* not from within a character */
                        path++;
        }
        screen_safe(s, STYLE_DIM, path, screen_left(s));
}

static void draw_row(Screen *s, Columns c, Style style, const char *name, const char *path, const Part *p,
                     uint64_t all) {
        screen_pad(s, INDENT);
        put_bytes(s, true, style, p->rss_bytes);
        if (c.share)
                screen_putf(s, style, "%6.1f %%", all ? 100 * (double)p->rss_bytes / (double)all : 0);
        put_bytes(s, c.private, style, p->private_bytes);
        put_bytes(s, c.swap, style, p->swap_bytes);
        put_bytes(s, c.huge, style, p->huge_bytes);
        put_bytes(s, c.hugetlb, style, p->hugetlb_bytes);
        screen_put(s, STYLE_PLAIN, "  ");
        screen_put(s, style, name);
        if (path && *path) {
                screen_put(s, STYLE_DIM, *name ? " " : "");
                put_path(s, path);
        }
        screen_end(s);
}

static void draw_heads(Screen *s, Columns c) {
        explain_label(s, "where");
        screen_pad(s, INDENT);
        screen_putf(s, STYLE_DIM, "%9s%s%s%s%s%s", "RSS", c.share ? "   share" : "", c.private ? "  private" : "",
                    c.swap ? "     swap" : "", c.huge ? "     huge" : "", c.hugetlb ? "  hugetlb" : "");
        screen_end(s);
}

static void add(Part *to, const Part *p) {
        to->rss_bytes += p->rss_bytes;
        to->private_bytes += p->private_bytes;
        to->swap_bytes += p->swap_bytes;
        to->huge_bytes += p->huge_bytes;
        to->hugetlb_bytes += p->hugetlb_bytes;
}

void explain_table(Screen *s, const Explanation *e, bool all) {
        const Survey *v = e->last;
        Columns c = columns_of(s, v);
        Part rest = {0},
             sum = {.rss_bytes = v->rss_bytes,
                    .private_bytes = v->uss_bytes,
                    .swap_bytes = v->swap_bytes,
                    .huge_bytes = v->huge_bytes,
                    .hugetlb_bytes = v->hugetlb_bytes},
             told = {0};
        char x[FORMAT_MAX], y[FORMAT_MAX];
        unsigned n_files = 0;

        draw_heads(s, c);
        for (uint32_t i = 0; i < v->n_parts; i++) {
                const Part *p = &v->parts[i];
                bool named = p->kind == PART_FILES || p->kind == PART_SHARED;
                uint64_t weight = max_of(p->rss_bytes, p->swap_bytes + p->hugetlb_bytes);

                add(&told, p);
                if (!all && ((double)weight < SHARE_LEAST * (double)v->rss_bytes || (named && ++n_files > FILES_MAX)))
                        add(&rest, p);
                else
                        draw_row(s, c, STYLE_PLAIN, named && p->name[0] ? "" : labels[p->kind],
                                 named && !p->name[0] ? ", all others" : p->name, p, v->rss_bytes);
        }
        if (rest.rss_bytes || rest.swap_bytes)
                draw_row(s, c, STYLE_PLAIN, "all others", "", &rest, v->rss_bytes);
        if (told.rss_bytes < v->rss_bytes) { /* more lines than a table has room for: said, not hidden */
                Part missing = {.rss_bytes = v->rss_bytes - told.rss_bytes};

                draw_row(s, c, STYLE_WARN, "in no line of these", "", &missing, v->rss_bytes);
        }
        draw_row(s, c, STYLE_BOLD, "in all", "", &sum, v->rss_bytes);
        explain_label(s, "");
        screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "PSS %s", format_bytes(x, v->pss_bytes));
        screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "USS %s", format_bytes(x, v->uss_bytes));
        if (e->sample.have & SAMPLE_HAVE_STATUS)
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "not in RSS: page tables %s%s%s",
                            format_bytes(x, e->sample.page_table_bytes), v->hugetlb_bytes ? ", hugetlb " : "",
                            v->hugetlb_bytes ? format_bytes(y, v->hugetlb_bytes) : "");
        screen_end(s);
}

/* ---- the cgroup */

static void put_counted(Screen *s, const Explanation *e) {
        const CgroupSample *c = &e->sample.cgroup;
        static const struct {
                CgroupStatField field;
                const char *name;
                size_t at;
        } parts[] = {
                {CGROUP_STAT_PAGE_TABLES, "page tables", offsetof(CgroupStat, page_tables)},
                {CGROUP_STAT_SLAB_UNRECLAIMABLE, "slab", offsetof(CgroupStat, slab_unreclaimable)},
                {CGROUP_STAT_KERNEL_STACK, "stacks", offsetof(CgroupStat, kernel_stack)},
                {CGROUP_STAT_SOCK, "sockets", offsetof(CgroupStat, sock)},
        };
        _cleanup_buf_ Buf kernel = BUF_NULL;
        char x[FORMAT_MAX];

        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "anonymous %s", format_bytes(x, c->anon_bytes));
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "shmem and tmpfs %s", format_bytes(x, c->shmem_bytes));
        for (size_t i = 0; e->have_group && i < ELEMENTSOF(parts); i++)
                if (e->group.stat.have & parts[i].field)
                        buf_addf(&kernel, "%s%s %s", kernel.len ? ", " : "", parts[i].name,
                                 format_bytes(x, *(const uint64_t *)((const char *)&e->group.stat + parts[i].at)));
        screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, kernel.len ? "kernel %s (%s)" : "kernel %s%s",
                    format_bytes(x, c->kernel_bytes), buf_str(&kernel));
}

static void put_not_counted(Screen *s, const Explanation *e) {
        const CgroupSample *c = &e->sample.cgroup;
        const CgroupStat *g = &e->group.stat;
        const uint32_t both = CGROUP_STAT_ACTIVE_FILE | CGROUP_STAT_INACTIVE_FILE;
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX];

        if (e->have_group && (g->have & both) == both)
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "page cache %s (active %s, inactive %s)",
                            format_bytes(x, c->file_bytes), format_bytes(y, g->active_file),
                            format_bytes(z, g->inactive_file));
        else
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "page cache %s", format_bytes(x, c->file_bytes));
        if (e->have_group && g->have & CGROUP_STAT_SLAB_RECLAIMABLE)
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "slab that can go %s", format_bytes(x, g->slab_reclaimable));
        if (c->swap_bytes)
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "swap %s", format_bytes(x, c->swap_bytes));
}

/* Who it is shared with, and how much of it this process has: a group's figures are all of its processes' together. */
static void put_company(Screen *s, const Explanation *e) {
        uint64_t own = explain_own_bytes(e), all = e->sample.cgroup.usage_bytes;
        unsigned n = e->have_company ? e->company.n_processes : 0;
        _cleanup_buf_ Buf b = BUF_NULL;

        if (n > COMPANY_MAX)
                buf_addf(&b, "more than %u processes", COMPANY_MAX);
        else if (n > 0)
                buf_addf(&b, "%u process%s", n, n == 1 ? "" : "es");
        if (own && all)
                buf_addf(&b, "%sthis one has %.0f %%", b.len ? ", " : "", 100 * min_of(1.0, (double)own / (double)all));
        if (b.len)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s", buf_str(&b));
}

void explain_cgroup(Screen *s, const Explanation *e, bool all) {
        const CgroupSample *c = &e->sample.cgroup;
        char x[FORMAT_MAX], y[FORMAT_MAX];

        if (!(e->sample.have & SAMPLE_HAVE_CGROUP))
                return;
        explain_label(s, "cgroup");
        if (c->limit_bytes)
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s of its limit of %s", format_bytes(x, c->usage_bytes),
                            format_bytes(y, c->limit_bytes));
        else
                screen_item(s, EXPLAIN_INDENT, STYLE_PLAIN, "%s and no limit", format_bytes(x, c->usage_bytes));
        if (e->have_group && e->group.levels_up)
                screen_item(s, EXPLAIN_INDENT, STYLE_WARN, "of a group %u above its own", e->group.levels_up);
        put_company(s, e);
        if (e->have_group && e->group.path[0] && (all || e->group.levels_up))
                screen_item(s, EXPLAIN_INDENT, STYLE_DIM, "%s", e->group.path);
        screen_end(s);
        explain_label(s, " counts");
        put_counted(s, e);
        screen_end(s);
        explain_label(s, " not");
        put_not_counted(s, e);
        screen_end(s);
}

/* ---- all of it */

static void draw_arenas(Screen *s, const Survey *v) {
        char x[FORMAT_MAX];

        screen_end(s);
        screen_putf(s, STYLE_DIM, " %8s%9s%9s%9s%9s%9s  arena", "size", "in use", "free", "trim", "pinned", "threads");
        screen_end(s);
        for (uint32_t i = 0; i < v->n_arenas_told; i++) {
                const SurveyArena *a = &v->arenas[i];
                const uint64_t figures[] = {a->system_bytes, a->in_use_bytes, a->free_bytes, a->trim_resident_bytes,
                                            a->pinned_bytes};

                for (size_t k = 0; k < ELEMENTSOF(figures); k++)
                        screen_putf(s, STYLE_PLAIN, "%9s", k > 0 && a->torn ? "?" : format_bytes(x, figures[k]));
                if (a->n_attached == SURVEY_UNCOUNTED)
                        screen_putf(s, STYLE_DIM, "%9s", "?");
                else
                        screen_putf(s, STYLE_PLAIN, "%9u", a->n_attached);
                screen_putf(s, STYLE_PLAIN, "  %#llx", (unsigned long long)a->addr);
                if (a->torn)
                        screen_put(s, STYLE_BAD, " torn");
                screen_end(s);
        }
}

static void draw_sizes(Screen *s, const Explanation *e) {
        const SizeClass *first = e->first->heap.classes, *last = e->last->heap.classes;
        char x[FORMAT_MAX], y[FORMAT_MAX], z[FORMAT_MAX], w[FORMAT_MAX];

        screen_end(s);
        screen_putf(s, STYLE_DIM, " %8s%11s%9s%11s%9s%11s", "chunks of", "in use", "", "free", "", "grown");
        screen_end(s);
        for (unsigned i = 0; i < SIZE_CLASSES; i++) {
                if (last[i].n_used == 0 && last[i].n_free == 0)
                        continue;
                screen_putf(s, STYLE_PLAIN, "%9s%11llu%10s%10llu%10s", format_bytes(x, size_class_start(i)),
                            (unsigned long long)last[i].n_used, format_bytes(y, last[i].used_bytes),
                            (unsigned long long)last[i].n_free, format_bytes(z, last[i].free_bytes));
                if (e->n_looks > 1 && e->first->flags & SURVEY_HEAP_COMPLETE)
                        screen_putf(s, STYLE_PLAIN, "%11s",
                                    format_signed_bytes(w, (int64_t)(last[i].used_bytes - first[i].used_bytes)));
                screen_end(s);
        }
}

void explain_long(Screen *s, const Explanation *e) {
        if (!(e->last->flags & SURVEY_HAVE_HEAP))
                return;
        draw_arenas(s, e->last);
        if (e->last->flags & SURVEY_HEAP_COMPLETE)
                draw_sizes(s, e);
        screen_end(s);
}
