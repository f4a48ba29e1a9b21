/* SPDX-License-Identifier: Apache-2.0
 *
 * What a HotSpot JVM tells of its own memory, read from the text of its diagnostic commands (jvm-wire.h). That text is
 * the target's: each parser takes any bytes, and a figure that does not fit with the others is none. Pure.
 *
 * Source: HotSpot's memReporter.cpp, metaspaceReporter.cpp and each collector's print_on(); tried with 17 and 25.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JVM_CATEGORIES_MAX 64 /* JDK 25 has some 30 */
#define JVM_CATEGORY_NAME  32

/* The Java heap. Its collector's own words; of ZGC and of large Shenandoah heaps in whole MiB. */
typedef struct JvmHeap {
        const char *collector;                /* "G1", "Serial", ...; NULL: none is known. Owner: static */
        uint64_t reserved_bytes;              /* -Xmx */
        uint64_t committed_bytes, used_bytes; /* used: live and dead, until the next collection */
} JvmHeap;

/* Classes' metadata, in both of its spaces. */
typedef struct JvmMetaspace {
        bool known;
        uint64_t reserved_bytes, committed_bytes, used_bytes;
} JvmMetaspace;

typedef struct JvmCategory {
        char name[JVM_CATEGORY_NAME]; /* "Java Heap", "Thread", ...: letters, digits, blanks, and the like */
        uint64_t reserved_bytes, committed_bytes;
        uint64_t malloc_bytes; /* of these, from malloc, with the arenas in it */
} JvmCategory;

typedef enum JvmNmtState { JVM_NMT_UNKNOWN, JVM_NMT_OFF, JVM_NMT_KNOWN } JvmNmtState;

/* Native Memory Tracking: what the JVM itself allocated. JNI's libraries are in none of its categories. */
typedef struct JvmNmt {
        JvmNmtState state; /* the figures: if JVM_NMT_KNOWN */
        uint64_t reserved_bytes, committed_bytes;
        uint64_t malloc_bytes;         /* of these, from malloc, with what the tracking puts in front of each block */
        uint64_t n_threads, n_classes; /* 0 = not told */
        uint64_t stack_reserved_bytes, stack_committed_bytes;
        size_t n_categories;
        JvmCategory categories[JVM_CATEGORIES_MAX];
} JvmNmt;

/* jvm_heap_parse() - of JVM_HEAP_INFO. Return: false: it is none that is known; @ret untouched. */
bool jvm_heap_parse(const char *text, size_t n, JvmHeap *ret);
/* jvm_metaspace_parse() - of JVM_METASPACE. Return: false: as above. */
bool jvm_metaspace_parse(const char *text, size_t n, JvmMetaspace *ret);
/* jvm_nmt_parse() - of JVM_NATIVE_MEMORY. Known only if the categories add up to the total. Return: false: neither
 * known nor off; @ret untouched. */
bool jvm_nmt_parse(const char *text, size_t n, JvmNmt *ret);
/* jvm_nmt_find() - Return: the category of this name, or NULL. Owner: @nmt. */
const JvmCategory *jvm_nmt_find(const JvmNmt *nmt, const char *name);
