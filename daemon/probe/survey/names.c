/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/ranges.h"

const char *part_name(PartKind k) {
        static const char *const names[_PART_MAX] = {
                [PART_MAIN_HEAP] = "main_heap", [PART_ARENAS] = "thread_arenas", [PART_MMAPPED] = "mmapped_chunks",
                [PART_ALLOCATOR] = "allocator", [PART_PYTHON] = "pymalloc",      [PART_JAVA_HEAP] = "java_heap",
                [PART_JAVA_CODE] = "java_code", [PART_STACKS] = "stacks",        [PART_ANONYMOUS] = "anonymous",
                [PART_FILES] = "file",          [PART_SHARED] = "shmem",         [PART_KERNEL] = "kernel",
        };
        return (unsigned)k < ELEMENTSOF(names) ? names[k] : "invalid";
}
