/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/python.h"

#include <string.h>

#include "probe/python/pymalloc.h"

typedef struct Reader {
        MappedSource mapped;
        Cache cache;
        Pymalloc pymalloc;
} Reader;

static void reader_done(Reader *r) {
        pymalloc_done(&r->pymalloc);
        cache_done(&r->cache);
}

static ssize_t fetch(void *userdata, uint64_t addr, void *buf, size_t n) {
        Reader *r = userdata;

        return mapped_source_read(&r->mapped, addr, buf, n);
}

/* Pools are all in one kind of memory, an arena's at least; so the map is not asked for. */
static size_t gather(void *userdata, const uint64_t *addr, size_t n, void *buf, size_t each) {
        Reader *r = userdata;

        return source_gather(r->mapped.source, addr, n, buf, each);
}

/* They are sorted. Two that overlap are none. */
static int add_ranges(const Pymalloc *pm, Ranges *owners) {
        for (unsigned i = 0; i < pm->n; i++) {
                int r;

                if (i + 1 < pm->n && pm->arena[i + 1] - pm->arena[i] < pm->arena_bytes)
                        return 0;
                r = ranges_add(owners, pm->arena[i], pm->arena[i] + pm->arena_bytes, PART_PYTHON);
                if (r < 0)
                        return r;
        }
        return 1;
}

static void tell(const Python *p, const PythonCensus *c, const Pymalloc *pm, SurveyPython *ret) {
        *ret = (SurveyPython){
                .arenas = c->arenas,
                .arena_bytes = c->arenas_bytes,
                .used_bytes = pm->use.used_bytes,
                .n_blocks = pm->use.n_blocks,
                .free_bytes = c->blocks_free_bytes + (c->pools_free - pm->use.n_pools_unread) * pm->pool_bytes,
                .pools_used = c->pools_used,
                .pools_free = c->pools_free - pm->use.n_pools_unread,
                .pool_bytes = pm->pool_bytes,
                .pools_unread = pm->use.n_pools_unread,
                .sparse_arenas = pm->use.n_sparse,
                .sparse_bytes = pm->use.n_sparse * pm->arena_bytes,
                .sparse_used_bytes = pm->use.sparse_used_bytes,
                .sparse_blocks = pm->use.n_sparse_blocks,
        };
        memcpy(ret->version, p->version, sizeof(ret->version));
}

int survey_python(int proc_pid_fd, Source *source, const Maps *maps, Ranges *owners, SurveyPython *ret) {
        static Python python; /* 14 KiB */
        _cleanup_(reader_done) Reader r = {.mapped = {source, maps}, .cache = CACHE_NULL, .pymalloc = PYMALLOC_NULL};
        PythonCensus census = {0};
        Memory symbols = memory_of_process(source->pid);
        size_t before = owners->n;
        int n = cache_init(&r.cache, fetch, &r);

        if (n < 0)
                return n;
        r.cache.gather = gather;
        if (python_locate_arenas(&r.cache, &symbols, maps, python_exe(proc_pid_fd, maps), &python) != PROBE_OK)
                return 0;
        n = pymalloc_read(&python, &census, &r.pymalloc);
        if (n < 0 || !(census.flags & PYTHON_HAVE_ARENAS))
                return n;
        n = add_ranges(&r.pymalloc, owners);
        if (n > 0)
                tell(&python, &census, &r.pymalloc, ret);
        else
                owners->n = before;
        return n;
}
