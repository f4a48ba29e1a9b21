/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/diagnose.h"

#include "util/cleanup.h"

static const struct {
        const char *name, *text;
} verdicts[_VERDICT_MAX] = {
        [VERDICT_UNKNOWN] = {"unknown", "unknown"},
        [VERDICT_STEADY] = {"steady", "steady"},
        [VERDICT_LIVE_GROWTH] = {"live_growth", "live growth"},
        [VERDICT_TRIMMABLE] = {"trimmable", "trimmable"},
        [VERDICT_PINNED] = {"pinned_fragmentation", "pinned fragmentation"},
        [VERDICT_FILES] = {"files", "file pages"},
        [VERDICT_SHARED] = {"shared_memory", "shared memory"},
        [VERDICT_STACKS] = {"stacks", "stacks and threads"},
        [VERDICT_WARM_UP] = {"warm_up", "warm-up"},
        [VERDICT_COPY_ON_WRITE] = {"copy_on_write", "copy on write"},
};

static const char *const remedies[_REMEDY_MAX] = {
        [REMEDY_NONE] = "none",
        [REMEDY_RECLAIM] = "reclaim",
        [REMEDY_ARENA_MAX] = "arena_max",
        [REMEDY_OTHER_MALLOC] = "other_malloc",
        [REMEDY_MMAP_THRESHOLD] = "mmap_threshold",
        [REMEDY_FIX_LEAK] = "fix_leak",
        [REMEDY_LIMIT] = "raise_limit",
        [REMEDY_FILES] = "drop_files",
        [REMEDY_THREADS] = "fewer_threads",
        [REMEDY_DECAY] = "decay",
        [REMEDY_JAVA_MAX] = "java_max",
        [REMEDY_PYTHON_MALLOC] = "python_malloc",
};

static const char *const parts[_DIAGNOSE_PART_MAX] = {
        [DIAGNOSE_HEAP_USED] = "heap_in_use",
        [DIAGNOSE_HEAP_FREE] = "heap_free",
        [DIAGNOSE_PYTHON] = "pymalloc",
        [DIAGNOSE_JAVA] = "java_heap",
        [DIAGNOSE_PYTHON_FREE] = "pymalloc_free",
        [DIAGNOSE_ALLOCATOR] = "allocator",
        [DIAGNOSE_ANONYMOUS] = "anonymous",
        [DIAGNOSE_STACKS] = "stacks",
        [DIAGNOSE_FILES] = "files",
        [DIAGNOSE_SHARED] = "shared_memory",
        [DIAGNOSE_PAGE_CACHE] = "page_cache",
        [DIAGNOSE_TMPFS] = "tmpfs",
        [DIAGNOSE_KERNEL] = "kernel",
};

const char *verdict_name(VerdictKind k) {
        return (unsigned)k < ELEMENTSOF(verdicts) ? verdicts[k].name : "invalid";
}

const char *verdict_text(VerdictKind k) {
        return (unsigned)k < ELEMENTSOF(verdicts) ? verdicts[k].text : "invalid";
}

const char *remedy_name(RemedyKind k) {
        return (unsigned)k < ELEMENTSOF(remedies) ? remedies[k] : "invalid";
}

const char *diagnose_part_name(DiagnosePart p) {
        return (unsigned)p < ELEMENTSOF(parts) ? parts[p] : "invalid";
}
