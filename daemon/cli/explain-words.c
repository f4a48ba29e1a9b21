/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include "report/diagnosis.h"
#include "util/format.h"

static const DiagnoseLook *last_look(const Explanation *e) {
        return &e->looks[e->n_looks - 1];
}

void explain_sentence(Buf *b, const Explanation *e) {
        diagnosis_sentence(b, &e->verdict, last_look(e));
        if (e->verdict.kind == VERDICT_UNKNOWN && !e->verdict.growing)
                buf_adds(b, " (--diff 60)");
}

/* The line that puts another malloc under a program differs by distribution and machine; the common ones. */
#define JEMALLOC_LINE "LD_PRELOAD=libjemalloc.so.2 (Debian, Ubuntu: package libjemalloc2)"

void explain_advice(Buf *b, const Explanation *e, const Remedy *r) {
        char gain[FORMAT_MAX];

        format_bytes(gain, r->gain_bytes);
        switch (r->kind) {
        case REMEDY_RECLAIM:
                buf_addf(b, "reclaim now: plateau reclaim %d gives back %s", e->ask.pid, gain);
                break;
        case REMEDY_ARENA_MAX:
                buf_addf(b, "at the next start MALLOC_ARENA_MAX=2: %llu arenas hold free memory, up to %s less",
                         (unsigned long long)last_look(e)->n_arenas, gain);
                break;
        case REMEDY_OTHER_MALLOC:
                buf_addf(b, "at the next start another allocator, up to %s less: %s", gain, JEMALLOC_LINE);
                break;
        case REMEDY_MMAP_THRESHOLD:
                buf_addf(b, "at the next start a fixed M_MMAP_THRESHOLD (MALLOC_MMAP_THRESHOLD_=131072), up to %s less",
                         gain);
                break;
        case REMEDY_FIX_LEAK:
                buf_adds(b, "find what keeps it: a heap profile of that size, or plateau inspect --diff 60 for Python");
                break;
        case REMEDY_LIMIT:
                buf_adds(b, "the limit is too low for what it needs: raise it, or give it less to do");
                break;
        case REMEDY_FILES:
                buf_adds(b, "drop or bound what is mapped or cached, or count it in the limit");
                break;
        case REMEDY_PYTHON_MALLOC:
                buf_addf(b,
                         "at the next start PYTHONMALLOC=malloc, up to %s less: a trim then gives back "
                         "what is free, page by page; Python itself waits for whole arenas",
                         gain);
                break;
        case REMEDY_THREADS:
                buf_addf(b, "bound the number of threads (%llu now), or give them smaller stacks",
                         (unsigned long long)last_look(e)->n_threads);
                break;
        default:
                break;
        }
}

/* Pages of a file in RSS are page cache, which goes before anything is killed. What two processes share is charged once,
 * so that the sum over processes may be more than the group's. */
uint64_t explain_own_bytes(const Explanation *e) {
        return e->sample.have & SAMPLE_HAVE_RSS_KIND ? e->sample.rss_anon_bytes + e->sample.rss_shmem_bytes : 0;
}
