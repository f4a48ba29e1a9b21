/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a HotSpot JVM has its heap and its compiled code: by the table of its own structures that it carries for the
 * serviceability agent (gHotSpotVMStructs, hotspot/share/runtime/vmStructs.cpp; JDK 8 and 25 have it alike). The kernel
 * shows both as memory of nobody. What is used in them only the JVM itself can tell.
 */
#pragma once

#include "probe/python/cache.h"
#include "probe/survey/ranges.h"
#include "probe/survey/source.h"

typedef struct SurveyJava {
        uint64_t heap_bytes,
                code_bytes; /* address space that is set aside: -Xmx, -XX:ReservedCodeCacheSize; 0 = not known */
} SurveyJava;

/**
 * survey_java() - @source: of the same process
 * @owners: gets them, as PART_JAVA_HEAP and PART_JAVA_CODE
 * Return: 1: @ret is filled, as far as it could be; 0: no JVM, or none whose table can be read; -ENOMEM; -E2BIG.
 */
int survey_java(Source *source, const Maps *maps, Ranges *owners, SurveyJava *ret) _must_check_;

/* java_read_table() - the same, where the table is known. Fuzzed. */
int java_read_table(Cache *m, uint64_t table, Ranges *owners, SurveyJava *ret) _must_check_;
