/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include "probe/survey/size-class.h"
#include "util/json.h"

static bool is_whole(const Survey *v) {
        return (v->flags & SURVEY_HAVE_HEAP) && (v->flags & SURVEY_HEAP_COMPLETE);
}

/* What chunks add up to is told only where all of them were read, as in the daemon's status. */
static void put_heap(Json *j, const Survey *v) {
        bool have = is_whole(v), trim = v->flags & SURVEY_HAVE_TRIM, params = v->flags & SURVEY_HAVE_THRESHOLDS,
             heads = (v->flags & SURVEY_HAVE_HEAP) && !(v->flags & SURVEY_OUT_OF_TIME);

        json_key(j, "heap");
        json_object_begin(j);
        json_kv_string(j, "layout", v->layout[0] ? v->layout : NULL);
        json_kv_u64_or_null(j, "arenas", heads, v->n_arenas);
        json_kv_u64_or_null(j, "system_bytes", heads, v->system_bytes);
        json_kv_u64_or_null(j, "in_use_bytes", have, v->in_use_bytes);
        json_kv_u64_or_null(j, "free_bytes", have, v->free_bytes);
        json_kv_u64_or_null(j, "fastbin_bytes", have, v->heap.fast_bytes);
        json_kv_u64_or_null(j, "top_bytes", have, v->heap.top_bytes);
        json_kv_u64_or_null(j, "trimmable_bytes", have && trim, v->heap.trim_resident_bytes);
        json_kv_u64_or_null(j, "pinned_bytes", have, v->heap.pinned_bytes);
        json_kv_u64_or_null(j, "chunks_in_use", have, v->heap.n_used);
        json_kv_u64_or_null(j, "chunks_free", have, v->heap.n_free + v->heap.n_fast);
        json_kv_u64_or_null(j, "mmapped_chunks", params, v->n_mmapped);
        json_kv_u64_or_null(j, "mmapped_bytes", params, v->mmapped_bytes);
        json_kv_u64_or_null(j, "mmap_threshold_bytes", params, v->mmap_threshold);
        json_kv_u64_or_null(j, "trim_threshold_bytes", params, v->trim_threshold);
        json_object_end(j);
}

static void put_arenas(Json *j, const Survey *v) {
        json_key(j, "arenas");
        json_array_begin(j);
        for (uint32_t i = 0; i < v->n_arenas_told; i++) {
                const SurveyArena *a = &v->arenas[i];

                json_object_begin(j);
                json_kv_u64(j, "system_bytes", a->system_bytes);
                json_kv_u64_or_null(j, "in_use_bytes", !a->torn, a->in_use_bytes);
                json_kv_u64_or_null(j, "free_bytes", !a->torn, a->free_bytes);
                json_kv_u64_or_null(j, "top_bytes", !a->torn, a->top_bytes);
                json_kv_u64_or_null(j, "trimmable_bytes", !a->torn && v->flags & SURVEY_HAVE_TRIM,
                                    a->trim_resident_bytes);
                json_kv_u64_or_null(j, "pinned_bytes", !a->torn, a->pinned_bytes);
                json_kv_u64_or_null(j, "threads", a->n_attached != SURVEY_UNCOUNTED, a->n_attached);
                json_kv_bool(j, "torn", a->torn);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_sizes(Json *j, const Survey *first, const Survey *last) {
        json_key(j, "sizes");
        if (!is_whole(last)) {
                json_nil(j);
                return;
        }
        json_array_begin(j);
        for (unsigned i = 0; i < SIZE_CLASSES; i++) {
                const SizeClass *a = &first->heap.classes[i], *b = &last->heap.classes[i];

                if (b->n_used == 0 && b->n_free == 0 && a->n_used == 0)
                        continue;
                json_object_begin(j);
                json_kv_u64(j, "from_bytes", size_class_start(i));
                json_kv_u64(j, "in_use", b->n_used);
                json_kv_u64(j, "in_use_bytes", b->used_bytes);
                json_kv_u64(j, "free", b->n_free);
                json_kv_u64(j, "free_bytes", b->free_bytes);
                json_key(j, "grown_bytes");
                if (is_whole(first))
                        json_i64(j, (int64_t)(b->used_bytes - a->used_bytes));
                else
                        json_nil(j);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_python(Json *j, const Survey *v) {
        const SurveyPython *p = &v->python;

        json_key(j, "python");
        if (!(v->flags & SURVEY_HAVE_PYTHON)) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_string(j, "version", p->version);
        json_kv_u64(j, "arenas", p->arenas);
        json_kv_u64(j, "arena_bytes", p->arena_bytes);
        json_kv_u64(j, "used_bytes", p->used_bytes);
        json_kv_u64(j, "free_bytes", p->free_bytes);
        json_kv_u64(j, "blocks_in_use", p->n_blocks);
        json_kv_u64(j, "pools_in_use", p->pools_used);
        json_kv_u64(j, "pools_free", p->pools_free);
        json_kv_u64(j, "pools_unread", p->pools_unread);
        json_kv_u64(j, "pool_bytes", p->pool_bytes);
        json_kv_u64(j, "sparse_arenas", p->sparse_arenas);
        json_kv_u64(j, "sparse_arena_bytes", p->sparse_bytes);
        json_kv_u64(j, "sparse_used_bytes", p->sparse_used_bytes);
        json_kv_u64(j, "sparse_blocks_in_use", p->sparse_blocks);
        json_object_end(j);
}

static void put_breakdown(Json *j, const Survey *v) {
        json_key(j, "breakdown");
        json_array_begin(j);
        for (uint32_t i = 0; i < v->n_parts; i++) {
                const Part *p = &v->parts[i];

                json_object_begin(j);
                json_kv_string(j, "kind", part_name((PartKind)p->kind));
                json_kv_string(j, "name", p->name[0] ? p->name : NULL);
                json_kv_u64(j, "rss_bytes", p->rss_bytes);
                json_kv_u64(j, "pss_bytes", p->pss_bytes);
                json_kv_u64(j, "private_bytes", p->private_bytes);
                json_kv_u64(j, "swap_bytes", p->swap_bytes);
                json_kv_u64(j, "huge_bytes", p->huge_bytes);
                json_kv_u64(j, "hugetlb_bytes", p->hugetlb_bytes);
                json_kv_u64(j, "maps", p->n_maps);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_stat(Json *j, const Explanation *e, const char *key, CgroupStatField field, uint64_t v) {
        json_kv_u64_or_null(j, key, e->have_group && e->group.stat.have & field, v);
}

/* What counts against the limit is usage_bytes: see sample/cgroup.h. */
static void put_cgroup(Json *j, const Explanation *e) {
        const CgroupSample *c = &e->sample.cgroup;
        const CgroupStat *g = &e->group.stat;
        uint64_t own = explain_own_bytes(e);

        json_key(j, "cgroup");
        if (!(e->sample.have & SAMPLE_HAVE_CGROUP)) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_u64(j, "version", c->version);
        json_kv_string(j, "path", e->have_group && e->group.path[0] ? e->group.path : NULL);
        json_kv_u64_or_null(j, "levels_up", e->have_group, e->group.levels_up);
        json_kv_u64_or_null(j, "limit_bytes", c->limit_bytes > 0, c->limit_bytes);
        json_kv_u64(j, "usage_bytes", c->usage_bytes);
        json_kv_u64(j, "current_bytes", c->current_bytes);
        json_kv_u64(j, "anon_bytes", c->anon_bytes);
        json_kv_u64(j, "file_bytes", c->file_bytes);
        put_stat(j, e, "active_file_bytes", CGROUP_STAT_ACTIVE_FILE, g->active_file);
        put_stat(j, e, "inactive_file_bytes", CGROUP_STAT_INACTIVE_FILE, g->inactive_file);
        json_kv_u64(j, "shmem_bytes", c->shmem_bytes);
        json_kv_u64(j, "kernel_bytes", c->kernel_bytes);
        put_stat(j, e, "slab_reclaimable_bytes", CGROUP_STAT_SLAB_RECLAIMABLE, g->slab_reclaimable);
        put_stat(j, e, "slab_unreclaimable_bytes", CGROUP_STAT_SLAB_UNRECLAIMABLE, g->slab_unreclaimable);
        put_stat(j, e, "page_tables_bytes", CGROUP_STAT_PAGE_TABLES, g->page_tables);
        put_stat(j, e, "kernel_stack_bytes", CGROUP_STAT_KERNEL_STACK, g->kernel_stack);
        put_stat(j, e, "sock_bytes", CGROUP_STAT_SOCK, g->sock);
        json_kv_u64(j, "swap_bytes", c->swap_bytes);
        json_kv_u64_or_null(j, "own_bytes", own > 0, own);
        json_kv_u64_or_null(j, "processes", e->have_company && e->company.n_processes <= COMPANY_MAX,
                            e->company.n_processes);
        json_kv_u64_or_null(j, "strangers", e->have_company && e->company.n_processes <= COMPANY_MAX,
                            e->company.n_strangers);
        json_object_end(j);
}

static void put_verdict(Json *j, const Explanation *e) {
        const Verdict *v = &e->verdict;
        const Advice advice = explain_advice(e);
        _cleanup_buf_ Buf text = BUF_NULL;

        explain_sentence(&text, e);
        json_key(j, "verdict");
        json_object_begin(j);
        json_kv_string(j, "kind", verdict_name(v->kind));
        json_key(j, "confidence");
        json_double(j, v->confidence);
        json_kv_string(j, "part", diagnose_part_name(v->part));
        json_kv_string(j, "text", buf_str(&text));
        json_kv_string(j, "remedy", remedy_name(v->remedies[0].kind));
        document_remedies(j, &advice);
        json_object_end(j);
}

static void put_growth(Json *j, const Explanation *e) {
        const Verdict *v = &e->verdict;

        json_key(j, "growth");
        if (!v->growing) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_u64(j, "looks", e->n_looks);
        json_key(j, "seconds");
        json_double(j, (double)(e->looks[e->n_looks - 1].time_usec - e->looks[0].time_usec) / 1e6);
        json_key(j, "rss_bytes_per_s");
        json_double(j, v->rss_bytes_per_s);
        json_key(j, "part_bytes_per_s");
        json_double(j, v->part_bytes_per_s);
        json_kv_u64_or_null(j, "size_class_bytes", v->size_class >= 0,
                            v->size_class >= 0 ? size_class_start((unsigned)v->size_class) : 0);
        explain_growth_json(j, &e->growth, e->first, e->last);
        json_object_end(j);
}

static void put_survey(Json *j, const Survey *v) {
        json_key(j, "survey");
        json_object_begin(j);
        json_kv_u64(j, "duration_usec", v->duration_usec);
        json_kv_u64(j, "cpu_usec", v->cpu_usec);
        json_kv_u64(j, "read_bytes", v->read_bytes);
        json_kv_u64(j, "torn", v->heap.n_torn);
        json_kv_u64(j, "unread_bytes", v->heap.unread_bytes);
        json_kv_bool(j, "complete", v->flags & SURVEY_HEAP_COMPLETE);
        json_kv_bool(j, "out_of_time", v->flags & SURVEY_OUT_OF_TIME);
        json_kv_bool(j, "swapped", v->flags & SURVEY_SWAPPED);
        json_object_end(j);
}

void explain_json(Buf *b, const Explanation *e) {
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_string(&j, "result", e->ask.result);
        json_kv_string(&j, "reason", probe_result_name((ProbeResult)e->ask.reply.result));
        json_kv_string(&j, "detail", e->ask.reply.detail[0] ? e->ask.reply.detail : NULL);
        json_kv_i64(&j, "pid", e->ask.pid);
        json_kv_string(&j, "comm", e->ask.comm[0] ? e->ask.comm : NULL);
        if (e->n_looks > 0) {
                const Survey *v = e->last;

                json_kv_u64(&j, "rss_bytes", v->rss_bytes);
                json_kv_u64(&j, "pss_bytes", v->pss_bytes);
                json_kv_u64(&j, "uss_bytes", v->uss_bytes);
                json_kv_u64(&j, "swap_bytes", v->swap_bytes);
                json_kv_u64(&j, "huge_bytes", v->huge_bytes);
                json_kv_u64(&j, "hugetlb_bytes", v->hugetlb_bytes);
                json_kv_u64_or_null(&j, "page_tables_bytes", e->sample.have & SAMPLE_HAVE_STATUS,
                                    e->sample.page_table_bytes);
                json_kv_u64_or_null(&j, "limit_bytes", e->sample.limit_bytes > 0, e->sample.limit_bytes);
                json_kv_u64(&j, "threads", v->n_threads);
                json_kv_string(&j, "allocator", v->allocator[0] ? v->allocator : NULL);
                put_verdict(&j, e);
                put_heap(&j, v);
                put_arenas(&j, v);
                put_python(&j, v);
                explain_java_json(&j, &e->java, v);
                explain_call_json(&j, &e->call);
                put_breakdown(&j, v);
                put_cgroup(&j, e);
                put_growth(&j, e);
                put_sizes(&j, e->first, v);
                put_survey(&j, v);
        }
        json_object_end(&j);
}
