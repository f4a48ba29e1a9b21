/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/growth-words.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cxx-name.h"
#include "probe/survey/size-class.h"

static const struct {
        const char *name, *text;
} kinds[_GROWTH_WORD_MAX] = {
        [GROWTH_WORD_NONE] = {"none", ""},
        [GROWTH_WORD_ZERO] = {"zero", "zero"},
        [GROWTH_WORD_SMALL] = {"small_integer", "small integer"},
        [GROWTH_WORD_SYMBOL] = {"symbol", "symbol"},
        [GROWTH_WORD_FILE] = {"file", "pointer into"},
        [GROWTH_WORD_HEAP] = {"heap", "heap pointer"},
        [GROWTH_WORD_STACK] = {"stack", "stack pointer"},
        [GROWTH_WORD_POINTER] = {"pointer", "pointer"},
        [GROWTH_WORD_TEXT] = {"text", "text"},
        [GROWTH_WORD_IN_TEXT] = {"in_text", "text going on"},
        [GROWTH_WORD_DATA] = {"data", "data"},
};

const char *growth_word_name(unsigned kind) {
        return kind < _GROWTH_WORD_MAX ? kinds[kind].name : "invalid";
}

void growth_chars(Buf *b, unsigned chars) {
        static const char *const names[] = {"a-z", "A-Z", "0-9", "blanks", "punctuation", "UTF-8"};
        const char *between = "";

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (chars >> i & 1) {
                        buf_addf(b, "%s%s", between, names[i]);
                        between = " ";
                }
}

void growth_content(Buf *b, const unsigned char *p, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (p[i] == '\\' || p[i] == '"')
                        buf_addf(b, "\\%c", p[i]);
                else if (p[i] >= 0x20 && p[i] < 0x7f)
                        buf_addc(b, (char)p[i]);
                else
                        buf_addf(b, "\\x%02x", p[i]);
}

void growth_size(Buf *b, unsigned class) {
        uint64_t from = size_class_start(class), to = size_class_end(class);

        if (from == to)
                buf_addf(b, "%llu B", (unsigned long long)from);
        else
                buf_addf(b, "%llu-%llu B", (unsigned long long)from, (unsigned long long)to);
}

/* ---- groups */

static bool is_alike(const GrowthSample *a, const GrowthSample *b) {
        const GrowthWord *x = &a->words[0], *y = &b->words[0];

        if (a->python_type[0] || b->python_type[0])
                return strcmp(a->python_type, b->python_type) == 0;
        if (x->kind != y->kind)
                return false;
        return (x->kind != GROWTH_WORD_SYMBOL && x->kind != GROWTH_WORD_FILE) ||
               (x->offset == y->offset && strcmp(x->symbol, y->symbol) == 0 && strcmp(x->object, y->object) == 0);
}

static int by_members(const void *a, const void *b) {
        const GrowthGroup *x = a, *y = b;

        return x->n > y->n ? -1 : x->n < y->n;
}

static GrowthGroup *group_of(GrowthGroups *g, const GrowthSample *s) {
        for (size_t i = 0; i < g->n; i++)
                if (is_alike(g->group[i].member[0], s))
                        return &g->group[i];
        g->group[g->n] = (GrowthGroup){.n = 0};
        return &g->group[g->n++];
}

void growth_groups(const GrowthSample *samples, size_t n, unsigned class, GrowthGroups *ret) {
        ret->class = class;
        ret->n = ret->n_samples = 0;
        for (size_t i = 0; i < n && ret->n_samples < GROWTH_SAMPLES_MAX; i++) {
                GrowthGroup *g;

                if (samples[i].class != class)
                        continue;
                g = group_of(ret, &samples[i]);
                g->member[g->n++] = &samples[i];
                ret->n_samples++;
        }
        if (ret->n)
                qsort(ret->group, ret->n, sizeof(ret->group[0]), by_members);
}

static void put_symbol(Buf *b, const GrowthWord *w) {
        char plain[2 * GROWTH_SYMBOL_MAX];

        if (cxx_name(plain, sizeof(plain), w->symbol))
                buf_adds(b, plain); /* a vtable's address points 16 bytes into it, always */
        else {
                buf_adds(b, w->symbol);
                if (w->offset)
                        buf_addf(b, "+0x%llx", (unsigned long long)w->offset);
        }
        buf_adds(b, " (");
        buf_adds(b, w->object);
        buf_addc(b, ')');
}

/* Words number @i of all members, which are of one kind. */
static void put_text(Buf *b, const GrowthGroup *g, size_t i) {
        uint64_t least = UINT64_MAX, most = 0;
        unsigned chars = 0;

        for (size_t k = 0; k < g->n; k++) {
                const GrowthWord *w = &g->member[k]->words[i];

                least = min_of(least, w->offset);
                most = max_of(most, w->offset);
                chars |= w->chars;
        }
        buf_addf(b, "text of %llu", (unsigned long long)least);
        if (most > least)
                buf_addf(b, " to %llu", (unsigned long long)most);
        buf_addf(b, "%s bytes (", chars & GROWTH_CHARS_ON ? " or more" : "");
        growth_chars(b, chars);
        buf_addc(b, ')');
}

static void put_word(Buf *b, const GrowthGroup *g, size_t i) {
        const GrowthWord *w = &g->member[0]->words[i];

        if (w->kind == GROWTH_WORD_TEXT)
                put_text(b, g, i);
        else if (w->kind == GROWTH_WORD_SYMBOL)
                put_symbol(b, w);
        else if (w->kind == GROWTH_WORD_FILE) {
                buf_adds(b, "pointer into ");
                buf_adds(b, w->object);
        } else
                buf_adds(b, kinds[w->kind].text);
}

void growth_group_head(Buf *b, const GrowthGroup *g) {
        const GrowthWord *w = &g->member[0]->words[0];

        if (g->member[0]->python_type[0]) {
                buf_adds(b, "Python ");
                buf_adds(b, g->member[0]->python_type);
                return;
        }
        put_word(b, g, 0);
        if (w->kind == GROWTH_WORD_FILE)
                buf_addf(b, "+0x%llx", (unsigned long long)w->offset);
}

/* The same in all of them, down to the symbol? */
static bool agrees(const GrowthGroup *g, size_t i) {
        const GrowthWord *x = &g->member[0]->words[i];

        for (size_t k = 1; k < g->n; k++) {
                const GrowthWord *y = &g->member[k]->words[i];

                if (x->kind != y->kind || strcmp(x->symbol, y->symbol) != 0 || strcmp(x->object, y->object) != 0)
                        return false;
        }
        return true;
}

static bool all_of(const GrowthGroup *g, size_t i, unsigned a, unsigned b) {
        for (size_t k = 0; k < g->n; k++)
                if (g->member[k]->words[i].kind != a && g->member[k]->words[i].kind != b)
                        return false;
        return true;
}

/* Words that differ from chunk to chunk are "varies", and neighbours that are told alike are told once. */
void growth_group_rest(Buf *b, const GrowthGroup *g) {
        _cleanup_buf_ Buf last = BUF_NULL;
        size_t times = 0;
        const char *between = "then ";

        for (size_t i = 1; i <= GROWTH_WORDS; i++) {
                _cleanup_buf_ Buf one = BUF_NULL;

                if (i < GROWTH_WORDS && all_of(g, i, GROWTH_WORD_IN_TEXT, GROWTH_WORD_NONE))
                        continue;
                if (i < GROWTH_WORDS && agrees(g, i))
                        put_word(&one, g, i);
                else if (i < GROWTH_WORDS)
                        buf_adds(&one, "varies");
                if (times > 0 && strcmp(buf_str(&one), buf_str(&last)) == 0) {
                        times++;
                        continue;
                }
                if (times > 0) {
                        buf_addf(b, "%s%s", between, buf_str(&last));
                        if (times > 1)
                                buf_addf(b, " x%zu", times);
                        between = ", ";
                }
                buf_reset(&last);
                buf_adds(&last, buf_str(&one));
                times = 1;
        }
}
