/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect-view.h"

#include "util/clock.h"
#include "util/json.h"

static const char *thread_name(uint32_t thread) {
        static const char *const names[] = {[PROBE_THREAD_BORROWED] = "borrowed", [PROBE_THREAD_OWN] = "own"};

        return thread < ELEMENTSOF(names) ? names[thread] : NULL;
}

static void put_count(Json *j, const char *key, bool known, const PythonCount *c) {
        if (!known) {
                json_kv_null(j, key);
                return;
        }
        json_key(j, key);
        json_object_begin(j);
        json_kv_u64(j, "count", c->n_objects);
        json_kv_u64(j, "bytes", c->bytes);
        json_object_end(j);
}

static void put_generations(Json *j, const PythonCensus *c) {
        static const char *const names[PYTHON_GENERATIONS] = {"young", "middle", "old", "frozen"};
        uint64_t told = 0;

        for (size_t g = 0; g < PYTHON_GENERATIONS; g++)
                told += c->generations[g].n_objects;
        json_key(j, "generations");
        if (told == 0) { /* every program has objects */
                json_nil(j);
                return;
        }
        json_object_begin(j);
        for (size_t g = 0; g < PYTHON_GENERATIONS; g++)
                put_count(j, names[g], true, &c->generations[g]);
        json_object_end(j);
}

static void put_pymalloc(Json *j, const PythonCensus *c) {
        json_kv_u64_or_null(j, "allocated_blocks", c->flags & PYTHON_HAVE_BLOCKS, c->n_blocks);
        json_key(j, "arenas");
        if (!(c->flags & PYTHON_HAVE_ARENAS)) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_u64(j, "count", c->arenas);
        json_kv_u64(j, "bytes", c->arenas_bytes);
        json_kv_u64(j, "pools_used", c->pools_used);
        json_kv_u64(j, "pools_free", c->pools_free);
        json_kv_u64(j, "free_block_bytes", c->blocks_free_bytes);
        json_object_end(j);
}

static void put_census(Json *j, const PythonCensus *c) {
        json_kv_string(j, "version", c->version);
        json_kv_string(j, "mode", c->mode == PYTHON_PASSIVE ? "passive" : "injected");
        json_kv_bool(j, "complete", c->flags & PYTHON_COMPLETE);
        json_kv_bool(j, "torn", c->flags & PYTHON_TORN);
        json_kv_bool(j, "sampled", c->flags & PYTHON_SAMPLED);
        json_kv_u64(j, "sample_every", c->sample_every);
        json_kv_u64(j, "retries", c->n_retries);
        json_kv_u64(j, "duration_usec", c->duration_usec);
        json_kv_u64_or_null(j, "cpu_usec", c->cpu_usec > 0, c->cpu_usec);
        json_kv_u64_or_null(j, "interpreters", c->n_interpreters > 0, c->n_interpreters);
        json_kv_u64_or_null(j, "threads", c->flags & PYTHON_HAVE_THREADS, c->n_threads);
        json_kv_u64_or_null(j, "tasks", c->flags & PYTHON_HAVE_TASKS, c->n_tasks);
        put_count(j, "objects", true, &c->all);
        put_generations(j, c);
        put_count(j, "str", c->flags & PYTHON_HAVE_UNTRACKED, &c->strings);
        put_count(j, "bytes", c->flags & PYTHON_HAVE_UNTRACKED, &c->bytes);
        put_count(j, "bytearray", c->flags & PYTHON_HAVE_UNTRACKED, &c->bytearrays);
        put_pymalloc(j, c);
}

static size_t rows_wanted(const Inspection *i) {
        return i->top && i->top < i->rows.n ? i->top : i->rows.n;
}

static void put_types(Json *j, const Inspection *i) {
        json_key(j, "types");
        json_array_begin(j);
        for (size_t k = 0; k < rows_wanted(i); k++) {
                json_object_begin(j);
                json_kv_string(j, "type", i->rows.row[k].name);
                json_kv_u64(j, "count", i->rows.row[k].now.n_objects);
                json_kv_u64(j, "bytes", i->rows.row[k].now.bytes);
                json_object_end(j);
        }
        json_array_end(j);
        put_count(j, "other_types", true, &i->last.census.others);
}

static void put_growth(Json *j, const char *count_key, const char *bytes_key, int64_t n, int64_t bytes) {
        json_kv_i64(j, count_key, n);
        json_kv_i64(j, bytes_key, bytes);
}

static void put_grown(Json *j, const InspectRow *r, uint64_t usec) {
        int64_t n = inspect_growth_objects(r), bytes = inspect_growth_bytes(r);

        json_object_begin(j);
        json_kv_string(j, "type", r->name);
        json_kv_u64_or_null(j, "count_before", r->has_before, r->before.n_objects);
        json_kv_u64_or_null(j, "count", r->has_now, r->now.n_objects);
        json_kv_u64_or_null(j, "bytes_before", r->has_before, r->before.bytes);
        json_kv_u64_or_null(j, "bytes", r->has_now, r->now.bytes);
        if (r->has_before && r->has_now) {
                put_growth(j, "grown", "grown_bytes", n, bytes);
                put_growth(j, "grown_per_h", "grown_bytes_per_h", inspect_per_hour(n, usec),
                           inspect_per_hour(bytes, usec));
        } else {
                json_kv_null(j, "grown");
                json_kv_null(j, "grown_bytes");
                json_kv_null(j, "grown_per_h");
                json_kv_null(j, "grown_bytes_per_h");
        }
        json_object_end(j);
}

static void put_diff(Json *j, const Inspection *i) {
        const PythonCensus *a = &i->first.census, *b = &i->last.census;
        int64_t n = (int64_t)(b->all.n_objects - a->all.n_objects), bytes = (int64_t)(b->all.bytes - a->all.bytes);
        uint64_t usec = inspect_between_usec(i);

        json_key(j, "diff");
        if (!i->is_diff) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_double(j, "seconds", (double)usec / USEC_PER_SEC);
        json_kv_bool(j, "complete", a->flags & b->flags & PYTHON_COMPLETE);
        put_count(j, "objects_before", true, &a->all);
        put_growth(j, "grown", "grown_bytes", n, bytes);
        put_growth(j, "grown_per_h", "grown_bytes_per_h", inspect_per_hour(n, usec), inspect_per_hour(bytes, usec));
        json_key(j, "types");
        json_array_begin(j);
        for (size_t k = 0; k < rows_wanted(i); k++)
                put_grown(j, &i->rows.row[k], usec);
        json_array_end(j);
        json_object_end(j);
}

static void put_call(Json *j, const Inspection *i) {
        const ProbeCall *c = &i->ask.reply.call;

        json_key(j, "call");
        if (c->thread == PROBE_THREAD_NONE && c->n_declined == 0 && c->stop_usec == 0) {
                json_nil(j);
                return;
        }
        json_object_begin(j);
        json_kv_string(j, "name", c->name[0] ? c->name : NULL);
        json_kv_string(j, "thread", thread_name(c->thread));
        json_kv_u64_or_null(j, "tid", c->tid > 0, (uint64_t)c->tid);
        json_kv_u64(j, "stop_usec", c->stop_usec);
        json_kv_u64(j, "stop_max_usec", c->stop_max_usec);
        json_kv_u64(j, "declined_stops", c->n_declined);
        json_kv_u64_or_null(j, "duration_usec", c->duration_usec > 0, c->duration_usec);
        json_kv_u64_or_null(j, "total_usec", c->total_usec > 0, c->total_usec);
        json_object_end(j);
}

void inspect_json(Buf *b, const Inspection *i) {
        const Ask *a = &i->ask;
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_string(&j, "result", a->result);
        json_kv_string(&j, "reason", probe_result_name((ProbeResult)a->reply.result));
        json_kv_string(&j, "detail", a->reply.detail[0] ? a->reply.detail : NULL);
        json_kv_i64(&j, "pid", a->pid);
        json_kv_string(&j, "comm", a->comm[0] ? a->comm : NULL);
        json_kv_u64_or_null(&j, "rss_bytes", a->rss_bytes > 0, a->rss_bytes);
        json_key(&j, "census");
        if (i->has_census) {
                json_object_begin(&j);
                put_census(&j, &i->last.census);
                if (!i->is_diff)
                        put_types(&j, i);
                json_object_end(&j);
        } else
                json_nil(&j);
        put_diff(&j, i);
        put_call(&j, i);
        json_object_end(&j);
}
