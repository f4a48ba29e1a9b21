/* SPDX-License-Identifier: Apache-2.0 */
#include "action/look.h"

#include <string.h>

#include "util/cleanup.h"

#define UNREAD_MAX 100 /* of the heap, one in so many bytes */

_Static_assert(DIAGNOSE_CLASSES == SIZE_CLASSES, "the same classes");

/* PART_MAIN_HEAP and PART_ARENAS are told apart by what is in use. */
static const DiagnosePart part_of[_PART_MAX] = {
        [PART_MAIN_HEAP] = DIAGNOSE_HEAP_FREE,
        [PART_ARENAS] = DIAGNOSE_HEAP_FREE,
        [PART_MMAPPED] = DIAGNOSE_HEAP_USED,
        [PART_ALLOCATOR] = DIAGNOSE_ALLOCATOR,
        [PART_PYTHON] = DIAGNOSE_PYTHON,
        [PART_JAVA_HEAP] = DIAGNOSE_JAVA,
        [PART_JAVA_CODE] = DIAGNOSE_ANONYMOUS,
        [PART_STACKS] = DIAGNOSE_STACKS,
        [PART_ANONYMOUS] = DIAGNOSE_ANONYMOUS,
        [PART_FILES] = DIAGNOSE_FILES,
        [PART_SHARED] = DIAGNOSE_SHARED,
        [PART_KERNEL] = DIAGNOSE_FILES, /* a page of the vdso: no line of its own is worth it */
};

static uint64_t less(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

/* Of what is in memory: pages of a pool that no block was made in yet are not. */
static void take_python(const SurveyPython *p, DiagnoseLook *l) {
        uint64_t resident = l->part_bytes[DIAGNOSE_PYTHON], rest = less(resident, p->used_bytes);

        l->part_bytes[DIAGNOSE_PYTHON_FREE] = rest < p->free_bytes ? rest : p->free_bytes;
        l->part_bytes[DIAGNOSE_PYTHON] = resident - l->part_bytes[DIAGNOSE_PYTHON_FREE];
}

/* Is what is in use told from what is free? What could not be read counts as in use, and arenas that were not reached
 * do not count at all, so a look that ran out of time would show a growth, or a fall, beside the others. */
static bool is_split(const Survey *s) {
        if (s->flags & SURVEY_HEAP_COMPLETE)
                return true;
        return (s->flags & SURVEY_HAVE_HEAP) && !(s->flags & SURVEY_OUT_OF_TIME) &&
               s->heap.unread_bytes <= s->system_bytes / UNREAD_MAX;
}

static void take_parts(const Survey *s, DiagnoseLook *l) {
        for (uint32_t i = 0; i < s->n_parts; i++) {
                l->part_bytes[part_of[s->parts[i].kind]] += s->parts[i].rss_bytes;
                if (part_of[s->parts[i].kind] != DIAGNOSE_FILES)
                        l->uss_bytes += s->parts[i].private_bytes;
        }
        /* what is in use and in memory; pages of it that were never touched are not */
        uint64_t heap = l->part_bytes[DIAGNOSE_HEAP_FREE];

        l->part_bytes[DIAGNOSE_HEAP_FREE] = less(heap, s->in_use_bytes);
        l->part_bytes[DIAGNOSE_HEAP_USED] += heap - l->part_bytes[DIAGNOSE_HEAP_FREE];
        if (s->flags & SURVEY_HAVE_PYTHON)
                take_python(&s->python, l);
        for (unsigned p = DIAGNOSE_HEAP_USED; p <= DIAGNOSE_SHARED; p++)
                l->known |= 1u << p;
        if (!(s->flags & SURVEY_HAVE_HEAP))
                l->known &= ~(1u << DIAGNOSE_HEAP_FREE);
        else if (!is_split(s))
                l->known &= ~(1u << DIAGNOSE_HEAP_FREE | 1u << DIAGNOSE_HEAP_USED);
        if (!(s->flags & SURVEY_HAVE_PYTHON))
                l->known &= ~(1u << DIAGNOSE_PYTHON_FREE);
}

static void take_cgroup(const Sample *sample, DiagnoseLook *l) {
        const CgroupSample *c = &sample->cgroup;

        if (!(sample->have & SAMPLE_HAVE_CGROUP))
                return;
        l->part_bytes[DIAGNOSE_PAGE_CACHE] = less(c->file_bytes, l->part_bytes[DIAGNOSE_FILES]);
        l->part_bytes[DIAGNOSE_TMPFS] = less(c->shmem_bytes, l->part_bytes[DIAGNOSE_SHARED]);
        l->part_bytes[DIAGNOSE_KERNEL] = c->kernel_bytes;
        l->known |= 1u << DIAGNOSE_PAGE_CACHE | 1u << DIAGNOSE_TMPFS | 1u << DIAGNOSE_KERNEL;
}

static void take_arenas(const Survey *s, DiagnoseLook *l) {
        l->n_arenas = s->n_arenas;
        /* those that are told are the largest; the main one is the only one that is not at a heap's start */
        for (uint32_t i = 0; i < s->n_arenas_told; i++)
                if (s->arenas[i].addr % (64u << 20) < 64)
                        l->arena_free_bytes += s->arenas[i].free_bytes;
}

/* Chunks that malloc would have mapped one by one before it raised its threshold. */
static void take_large(const Survey *s, DiagnoseLook *l) {
        for (unsigned i = size_class(128 * 1024); i < SIZE_CLASSES; i++)
                l->large_free_bytes += s->heap.classes[i].free_bytes;
        if (s->flags & SURVEY_HAVE_THRESHOLDS && !s->thresholds_fixed)
                l->mmap_threshold_bytes = s->mmap_threshold;
}

void look_make(const Survey *s, const Sample *sample, DiagnoseClass *classes, DiagnoseLook *ret) {
        DiagnoseLook l = {
                .time_usec = s->begin_usec,
                .rss_bytes = s->rss_bytes,
                .heap_complete = s->flags & SURVEY_HEAP_COMPLETE,
                .trim_known = (s->flags & SURVEY_HAVE_TRIM) && (s->flags & SURVEY_HEAP_COMPLETE),
                .trim_bytes = s->heap.trim_resident_bytes,
                .pinned_bytes = s->heap.pinned_bytes,
                .n_threads = s->n_threads,
                .java_max_bytes = s->flags & SURVEY_HAVE_JAVA ? s->java.heap_bytes : 0,
        };

        if (s->flags & SURVEY_HAVE_PARTS)
                take_parts(s, &l);
        if (sample)
                take_cgroup(sample, &l);
        take_arenas(s, &l);
        take_large(s, &l);
        for (size_t i = 0; classes && i < DIAGNOSE_CLASSES; i++)
                classes[i] = (DiagnoseClass){s->heap.classes[i].n_used, s->heap.classes[i].used_bytes};
        l.classes = classes;
        *ret = l;
}

/* Its own count of what is in memory has no swap and no program's own mappings in it; the kernel's has both. What is
 * beyond both is left where it was. */
void look_add_ledger(const Ledger *ledger, DiagnoseLook *l) {
        DiagnosePart from = l->part_bytes[DIAGNOSE_ALLOCATOR] > 0 ? DIAGNOSE_ALLOCATOR : DIAGNOSE_ANONYMOUS;
        uint64_t allocated, resident, metadata, retained, dirty, muzzy, used, rest;

        if (!ledger_figure(ledger, LEDGER_ALLOCATED, &allocated) || !(l->known >> from & 1))
                return;
        if (!ledger_figure(ledger, LEDGER_RESIDENT, &resident)) {
                if (!ledger_figure(ledger, LEDGER_MAPPED, &resident))
                        return;
                (void)ledger_figure(ledger, LEDGER_RETAINED, &retained);
                resident = less(resident, retained);
        }
        (void)ledger_figure(ledger, LEDGER_METADATA, &metadata);
        resident = resident < l->part_bytes[from] ? resident : l->part_bytes[from];
        used = allocated + metadata < resident ? allocated + metadata : resident;
        rest = resident - used;
        l->part_bytes[DIAGNOSE_HEAP_USED] += used;
        l->part_bytes[DIAGNOSE_HEAP_FREE] += rest;
        l->part_bytes[from] -= resident;
        l->part_bytes[DIAGNOSE_ANONYMOUS] += l->part_bytes[DIAGNOSE_ALLOCATOR];
        l->part_bytes[DIAGNOSE_ALLOCATOR] = 0;
        l->known |= 1u << DIAGNOSE_HEAP_USED | 1u << DIAGNOSE_HEAP_FREE;
        l->other_malloc = true;
        l->heap_complete = true; /* taken by the allocator itself, under its locks */
        l->never_decays = ledger->decay_known && ledger->dirty_decay_msec < 0;
        if (!ledger_figure(ledger, LEDGER_DIRTY, &dirty))
                return;
        (void)ledger_figure(ledger, LEDGER_MUZZY, &muzzy);
        dirty = dirty + muzzy < rest ? dirty + muzzy : rest;
        l->trim_bytes = (l->trim_known ? l->trim_bytes : 0) + dirty;
        l->trim_known = true;
        l->pinned_bytes += rest - dirty;
}

bool look_prediction(const Survey *s, uint64_t *ret_bytes) {
        const uint32_t needed = SURVEY_HAVE_HEAP | SURVEY_HAVE_TRIM | SURVEY_HEAP_COMPLETE;

        if ((s->flags & needed) != needed || strncmp(s->allocator, "glibc", 5) != 0 || strchr(s->allocator, '+'))
                return false;
        *ret_bytes = s->heap.trim_resident_bytes;
        return true;
}
