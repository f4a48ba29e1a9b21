/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-bar.h"

#include "util/format.h"

#define SECTIONS_MAX 5    /* the fillings that there are; the last is for all others */
#define LEGEND_GAP   3    /* blanks between two of the legend */
#define SHARE_LEAST  0.02 /* of RSS: less goes to the others */

typedef struct Section {
        const char *label, *fill;
        Style style;
        uint64_t bytes;
} Section;

static const char *const labels[_DIAGNOSE_PART_MAX] = {
        [DIAGNOSE_HEAP_USED] = "heap in use",  [DIAGNOSE_HEAP_FREE] = "heap free",
        [DIAGNOSE_PYTHON] = "Python in use",   [DIAGNOSE_PYTHON_FREE] = "Python free",
        [DIAGNOSE_JAVA] = "Java heap",         [DIAGNOSE_ALLOCATOR] = "allocator",
        [DIAGNOSE_ANONYMOUS] = "own mappings", [DIAGNOSE_STACKS] = "stacks",
        [DIAGNOSE_FILES] = "mapped files",     [DIAGNOSE_SHARED] = "shared memory",
        [DIAGNOSE_PAGE_CACHE] = "page cache",  [DIAGNOSE_TMPFS] = "tmpfs",
        [DIAGNOSE_KERNEL] = "kernel memory",
};

const char *explain_part_label(DiagnosePart p) {
        return (unsigned)p < ELEMENTSOF(labels) && labels[p] ? labels[p] : "other";
}

void explain_bar_cells(const uint64_t *bytes, size_t n, unsigned width, unsigned *ret) {
        uint64_t all = 0, done = 0;
        unsigned used = 0, largest = 0;

        for (size_t i = 0; i < n; i++)
                all += bytes[i];
        for (size_t i = 0; i < n; i++) {
                unsigned before = all ? (unsigned)((double)done / (double)all * width + 0.5) : 0;

                done += bytes[i];
                ret[i] = all ? (unsigned)((double)done / (double)all * width + 0.5) - before : 0;
                if (bytes[i] && ret[i] == 0)
                        ret[i] = 1;
                used += ret[i];
                if (ret[i] > ret[largest])
                        largest = (unsigned)i;
        }
        if (used > width) /* what the small ones got is the largest one's loss */
                ret[largest] -= min_of(ret[largest], used - width);
}

static int largest_left(const DiagnoseLook *l, uint32_t chosen) {
        int best = -1;

        for (int p = 0; p <= DIAGNOSE_SHARED; p++)
                if (!(chosen >> p & 1) && (best < 0 || l->part_bytes[p] > l->part_bytes[best]))
                        best = p;
        return best >= 0 && (double)l->part_bytes[best] >= SHARE_LEAST * (double)l->rss_bytes ? best : -1;
}

/* The largest parts, and the sum of all others. Return: how many. */
static size_t choose(const Screen *s, const Explanation *e, Section *ret) {
        static const Style colours[] = {STYLE_ACCENT, STYLE_GOOD, STYLE_PLAIN, STYLE_DIM};
        DiagnoseLook look = e->looks[e->n_looks - 1];
        const DiagnoseLook *l = &look;
        const Glyphs *g = s->term->glyph;
        uint64_t rest = l->rss_bytes;
        bool whole;
        uint32_t chosen = 0;
        size_t n = 0, fill = 0;

        look.part_bytes[DIAGNOSE_HEAP_USED] = diagnose_part_bytes(l, DIAGNOSE_HEAP_USED, &whole);
        if (whole)
                look.part_bytes[DIAGNOSE_HEAP_FREE] = 0;
        while (n < SECTIONS_MAX - 1) {
                int p = largest_left(l, chosen);
                bool is_free = p == DIAGNOSE_HEAP_FREE || p == DIAGNOSE_PYTHON_FREE;

                if (p < 0 || l->part_bytes[p] == 0)
                        break;
                chosen |= 1u << p;
                ret[n++] = (Section){whole && p == DIAGNOSE_HEAP_USED ? "heap" : labels[p],
                                     is_free ? g->fill_free : g->fill[fill], is_free ? STYLE_WARN : colours[fill],
                                     l->part_bytes[p]};
                fill += !is_free;
                rest -= min_of(rest, l->part_bytes[p]);
        }
        if (rest)
                ret[n++] = (Section){"others", g->fill_rest, STYLE_DIM, rest};
        return n;
}

void explain_bar(Screen *s, const Explanation *e) {
        Section sections[SECTIONS_MAX];
        uint64_t bytes[SECTIONS_MAX] = {0};
        unsigned cells[SECTIONS_MAX] = {0};
        size_t n = choose(s, e, sections);
        char x[FORMAT_MAX];

        for (size_t i = 0; i < n; i++)
                bytes[i] = sections[i].bytes;
        explain_bar_cells(bytes, n, min_of(s->term->width, 100u) - EXPLAIN_INDENT, cells);
        explain_label(s, "RSS");
        for (size_t i = 0; i < n; i++)
                screen_repeat(s, sections[i].style, sections[i].fill, cells[i]);
        screen_end(s);
        for (size_t i = 0; i < n; i++) {
                _cleanup_buf_ Buf b = BUF_NULL;

                buf_addf(&b, " %s %s", sections[i].label, format_bytes(x, sections[i].bytes));
                if (i > 0 && s->column + LEGEND_GAP + 1 + b.len > s->term->width)
                        screen_end(s);
                screen_pad(s, s->column ? s->column + LEGEND_GAP - 1 : EXPLAIN_INDENT);
                screen_put(s, sections[i].style, sections[i].fill);
                screen_put(s, STYLE_PLAIN, buf_str(&b));
        }
        screen_end(s);
}
