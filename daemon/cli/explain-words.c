/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain-view.h"

#include "cli/words.h"
#include "probe/survey/size-class.h"
#include "util/format.h"

typedef struct Figures {
        char rss[FORMAT_MAX], free[FORMAT_MAX], trim[FORMAT_MAX], held[FORMAT_MAX], part[FORMAT_MAX], rate[FORMAT_MAX],
                late[FORMAT_MAX];
} Figures;

static const DiagnoseLook *last_look(const Explanation *e) {
        return &e->looks[e->n_looks - 1];
}

static void figures(const Explanation *e, Figures *f) {
        const DiagnoseLook *l = last_look(e);
        uint64_t free_bytes = l->part_bytes[DIAGNOSE_HEAP_FREE];

        format_bytes(f->rss, l->rss_bytes);
        format_bytes(f->free, free_bytes);
        format_bytes(f->trim, l->trim_bytes);
        format_bytes(f->held, free_bytes > l->trim_bytes ? free_bytes - l->trim_bytes : 0);
        format_bytes(f->part, l->part_bytes[e->verdict.part]);
        format_rate(f->rate, e->verdict.part_bytes_per_s);
        format_rate(f->late, e->verdict.late_bytes_per_s);
}

static const char *part_text(DiagnosePart p) {
        static const char *const texts[_DIAGNOSE_PART_MAX] = {
                [DIAGNOSE_HEAP_USED] = "malloc's memory that the program has in use",
                [DIAGNOSE_HEAP_FREE] = "memory that is free in malloc's heap",
                [DIAGNOSE_PYTHON] = "Python's own arenas",
                [DIAGNOSE_ALLOCATOR] = "its allocator's memory",
                [DIAGNOSE_ANONYMOUS] = "memory that the program mapped itself",
                [DIAGNOSE_STACKS] = "stacks of threads",
                [DIAGNOSE_FILES] = "mapped files",
                [DIAGNOSE_SHARED] = "shared memory",
                [DIAGNOSE_PAGE_CACHE] = "page cache of its cgroup",
                [DIAGNOSE_TMPFS] = "tmpfs of its cgroup",
                [DIAGNOSE_KERNEL] = "kernel memory of its cgroup",
        };
        return texts[p];
}

static void say_class(Buf *b, const Verdict *v) {
        char size[FORMAT_MAX], rate[FORMAT_MAX];

        if (v->size_class < 0)
                return;
        buf_addf(b, "; most of it in chunks of %s", format_bytes(size, size_class_start((unsigned)v->size_class)));
        buf_addf(b, " (%s, %.3g of them a second)", format_rate(rate, v->class_bytes_per_s), v->class_n_per_s);
}

void explain_sentence(Buf *b, const Explanation *e) {
        const Verdict *v = &e->verdict;
        Figures f;

        figures(e, &f);
        switch (v->kind) {
        case VERDICT_TRIMMABLE:
                buf_addf(b, "%s of the %s that is free in malloc's heap can go back to the system at once", f.trim,
                         f.free);
                break;
        case VERDICT_PINNED:
                buf_addf(b,
                         "%s is free in malloc's heap, but a trim could give back only %s of it: on the other pages "
                         "something that lives holds them",
                         f.free, f.trim);
                break;
        case VERDICT_LIVE_GROWTH:
                buf_addf(b, "%s grows by %s, and is %s now", part_text(v->part), f.rate, f.part);
                say_class(b, v);
                break;
        case VERDICT_WARM_UP:
                buf_addf(b, "%s grew by %s and has slowed down to %s: it comes to its end", part_text(v->part), f.rate,
                         f.late);
                break;
        case VERDICT_FILES:
        case VERDICT_SHARED:
        case VERDICT_STACKS:
                buf_addf(b, "%s: %s", part_text(v->part), f.part);
                if (v->growing)
                        buf_addf(b, ", growing by %s", f.rate);
                break;
        case VERDICT_COPY_ON_WRITE:
                buf_addf(b, "RSS stays, but pages that it shares with another process become its own by %s",
                         format_rate(f.rate, e->verdict.uss_bytes_per_s));
                break;
        case VERDICT_STEADY:
                buf_addf(b, "nothing grew, and a trim would give back %s; the most is %s: %s",
                         last_look(e)->trim_known ? f.trim : "an unknown amount", part_text(v->part), f.part);
                break;
        default:
                buf_addf(b, "%s: %s of %s", part_text(v->part), f.part, f.rss);
                buf_adds(b, v->growing ? "; no one cause outweighs the others"
                                       : "; whether it grows takes a second look (--diff 60)");
                break;
        }
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
        case REMEDY_THREADS:
                buf_addf(b, "bound the number of threads (%llu now), or give them smaller stacks",
                         (unsigned long long)last_look(e)->n_threads);
                break;
        default:
                break;
        }
}
