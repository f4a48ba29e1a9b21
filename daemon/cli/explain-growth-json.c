/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-growth.h"

#include <stdio.h>

#include "probe/survey/size-class.h"

static void put_rate(Json *j, const char *key, int64_t grown, double seconds) {
        json_key(j, key);
        if (seconds > 0)
                json_double(j, (double)grown / seconds);
        else
                json_nil(j);
}

static void put_address(Json *j, const char *key, uint64_t addr) {
        char text[32];

        snprintf(text, sizeof(text), "0x%llx", (unsigned long long)addr);
        json_kv_string(j, key, addr ? text : NULL);
}

static void put_range(Json *j, unsigned class) {
        json_kv_u64(j, "from_bytes", size_class_start(class));
        json_kv_u64(j, "to_bytes", size_class_end(class));
}

/* A table's key and its begin; false: what it would tell is not known. */
static bool begin(Json *j, const char *key, bool known) {
        json_key(j, key);
        if (known)
                json_array_begin(j);
        else
                json_nil(j);
        return known;
}

static void put_sizes(Json *j, const GrowthRows *r) {
        if (!begin(j, "by_size", r->have_sizes))
                return;
        for (size_t i = 0; i < r->n_sizes; i++) {
                const GrowthSizeRow *row = &r->sizes[i];

                json_object_begin(j);
                put_range(j, row->class);
                json_kv_u64(j, "in_use", row->now.n_used);
                json_kv_u64(j, "in_use_bytes", row->now.used_bytes);
                json_kv_i64(j, "in_use_grown", row->n_used);
                json_kv_i64(j, "in_use_grown_bytes", row->used_bytes);
                put_rate(j, "in_use_per_s", row->n_used, r->size_seconds);
                put_rate(j, "in_use_bytes_per_s", row->used_bytes, r->size_seconds);
                json_kv_u64(j, "free", row->now.n_free);
                json_kv_u64(j, "free_bytes", row->now.free_bytes);
                json_kv_i64(j, "free_grown", row->n_free);
                json_kv_i64(j, "free_grown_bytes", row->free_bytes);
                put_rate(j, "free_per_s", row->n_free, r->size_seconds);
                put_rate(j, "free_bytes_per_s", row->free_bytes, r->size_seconds);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_arena_threads(Json *j, const ExplainGrowth *g, uint64_t addr) {
        if (!begin(j, "threads", g->have_now && (g->now.head.flags & GROWTH_ARENA_SLOT)))
                return;
        for (uint32_t i = 0; i < g->now.head.n_threads; i++) {
                const GrowthThread *t = &g->now.threads[i];

                if (!(t->flags & GROWTH_THREAD_ARENA) || t->arena != addr)
                        continue;
                json_object_begin(j);
                json_kv_i64(j, "tid", t->tid);
                json_kv_string(j, "comm", t->comm);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_arenas(Json *j, const ExplainGrowth *g, const GrowthRows *r) {
        if (!begin(j, "by_arena", r->have_arenas))
                return;
        for (size_t i = 0; i < r->n_arenas; i++) {
                const GrowthArenaRow *row = &r->arenas[i];

                json_object_begin(j);
                put_address(j, "address", row->now->addr);
                json_kv_bool(j, "main", row->is_main);
                json_kv_bool(j, "new", row->is_new);
                json_kv_u64(j, "in_use_bytes", row->now->in_use_bytes);
                json_kv_i64(j, "in_use_grown_bytes", row->used_bytes);
                put_rate(j, "in_use_bytes_per_s", row->used_bytes, r->size_seconds);
                json_kv_u64(j, "free_bytes", row->now->free_bytes);
                json_kv_i64(j, "free_grown_bytes", row->free_bytes);
                put_rate(j, "free_bytes_per_s", row->free_bytes, r->size_seconds);
                json_kv_i64(j, "system_grown_bytes", row->system_bytes);
                put_arena_threads(j, g, row->now->addr);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_maps(Json *j, const GrowthRows *r) {
        if (!begin(j, "by_mapping", r->have_places))
                return;
        for (size_t i = 0; i < r->n_maps; i++) {
                const GrowthMapRow *row = &r->maps[i];

                json_object_begin(j);
                json_kv_string(j, "kind", part_name((PartKind)row->kind));
                json_kv_string(j, "name", row->name[0] ? row->name : NULL);
                put_address(j, "start", row->start);
                put_address(j, "end", row->end);
                json_kv_u64(j, "maps", row->n_maps);
                json_kv_bool(j, "new", row->is_new);
                json_kv_u64(j, "rss_bytes", row->rss_bytes);
                json_kv_i64(j, "grown_bytes", row->grown_bytes);
                put_rate(j, "bytes_per_s", row->grown_bytes, r->place_seconds);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_threads(Json *j, const GrowthRows *r) {
        if (!begin(j, "by_thread", r->have_places))
                return;
        for (size_t i = 0; i < r->n_threads; i++) {
                const GrowthThreadRow *row = &r->threads[i];

                json_object_begin(j);
                json_kv_i64(j, "tid", row->now->tid);
                json_kv_string(j, "comm", row->now->comm);
                json_kv_bool(j, "new", row->is_new);
                json_kv_u64(j, "stack_rss_bytes", row->now->stack_rss_bytes);
                json_kv_i64(j, "grown_bytes", row->grown_bytes);
                put_rate(j, "bytes_per_s", row->grown_bytes, r->place_seconds);
                put_address(j, "arena", row->now->flags & GROWTH_THREAD_ARENA ? row->now->arena : 0);
                json_object_end(j);
        }
        json_array_end(j);
}

/* ---- what newer chunks hold */

static void put_word(Json *j, const GrowthWord *w) {
        _cleanup_buf_ Buf chars = BUF_NULL;
        bool is_place = w->kind == GROWTH_WORD_SYMBOL || w->kind == GROWTH_WORD_FILE,
             is_text = w->kind == GROWTH_WORD_TEXT;

        json_object_begin(j);
        json_kv_string(j, "kind", growth_word_name(w->kind));
        if (w->kind == GROWTH_WORD_SYMBOL)
                json_kv_string(j, "symbol", w->symbol);
        if (is_place) {
                json_kv_string(j, "file", w->object);
                json_kv_u64(j, "offset", w->offset);
        }
        if (is_text) {
                growth_chars(&chars, w->chars);
                json_kv_u64(j, "bytes", w->offset);
                json_kv_string(j, "chars", buf_str(&chars));
        }
        json_object_end(j);
}

static void put_sample(Json *j, const GrowthSample *s) {
        json_object_begin(j);
        json_kv_u64(j, "chunk_bytes", s->size_bytes);
        json_kv_string(j, "python_type", s->python_type[0] ? s->python_type : NULL);
        json_key(j, "words");
        json_array_begin(j);
        for (size_t i = 0; i < GROWTH_WORDS && s->words[i].kind != GROWTH_WORD_NONE; i++)
                put_word(j, &s->words[i]);
        json_array_end(j);
        if (s->n_content) {
                _cleanup_buf_ Buf content = BUF_NULL;

                growth_content(&content, s->content, s->n_content);
                json_kv_string(j, "content", buf_str(&content));
        }
        json_object_end(j);
}

static void put_groups(Json *j, const GrowthGroups *groups) {
        json_key(j, "groups");
        json_array_begin(j);
        for (size_t i = 0; i < groups->n; i++) {
                _cleanup_buf_ Buf head = BUF_NULL, rest = BUF_NULL;

                growth_group_head(&head, &groups->group[i]);
                growth_group_rest(&rest, &groups->group[i]);
                json_object_begin(j);
                json_kv_u64(j, "chunks", groups->group[i].n);
                json_kv_string(j, "text", buf_str(&head));
                json_kv_string(j, "rest", buf_str(&rest));
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_contents(Json *j, const ExplainGrowth *g) {
        static GrowthGroups groups; /* 8 KiB */

        if (!begin(j, "contents", g->contents && g->have_now && (g->now.head.flags & GROWTH_COMPARED)))
                return;
        for (size_t c = 0; c < g->asked.n_classes; c++) {
                growth_groups(g->now.samples, g->now.head.n_samples, g->asked.classes[c], &groups);
                json_object_begin(j);
                put_range(j, g->asked.classes[c]);
                json_kv_u64(j, "chunks", groups.n_samples);
                put_groups(j, &groups);
                json_key(j, "samples");
                json_array_begin(j);
                for (uint32_t i = 0; i < g->now.head.n_samples; i++)
                        if (g->now.samples[i].class == g->asked.classes[c])
                                put_sample(j, &g->now.samples[i]);
                json_array_end(j);
                json_object_end(j);
        }
        json_array_end(j);
}

/* Of both sides, beside the surveys. */
static void put_cost(Json *j, const ExplainGrowth *g) {
        const Growth *a = &g->before.head, *b = &g->now.head;
        bool both = g->have_before && g->have_now;

        json_kv_u64_or_null(j, "read_usec", both, a->duration_usec + b->duration_usec);
        json_kv_u64_or_null(j, "read_cpu_usec", both, a->cpu_usec + b->cpu_usec);
        json_kv_u64_or_null(j, "remembered_one_in", both && (b->flags & GROWTH_COMPARED), b->one_in);
        json_kv_u64_or_null(j, "samples_torn", both && (b->flags & GROWTH_COMPARED), b->n_torn);
}

void explain_growth_json(Json *j, const ExplainGrowth *g, const Survey *first, const Survey *last) {
        bool both = g->have_before && g->have_now;
        GrowthRows r;

        if (growth_rows(first, last, both ? &g->before : NULL, both ? &g->now : NULL, &r) < 0)
                return;
        put_sizes(j, &r);
        put_arenas(j, g, &r);
        put_maps(j, &r);
        put_threads(j, &r);
        json_kv_bool(j, "places_complete", both && !r.maps_cut && !r.threads_cut);
        put_contents(j, g);
        put_cost(j, g);
        growth_rows_done(&r);
}
