/* SPDX-License-Identifier: Apache-2.0
 *
 * What the surveys of one target say, for all who are told of it: the figures of the last one, the verdict over all
 * that are kept, and that verdict as a sentence and as JSON.
 */
#pragma once

#include "report/advice.h"
#include "util/buf.h"
#include "util/json.h"

typedef struct Diagnosis {
        unsigned n_looks;   /* that the verdict is of; at least 1 */
        uint64_t span_usec; /* from the first of these to the last */
        uint64_t time_real_usec, time_usec;   /* of the last look; CLOCK_BOOTTIME */
        uint64_t duration_usec, cpu_usec;     /* of the last survey */
        bool heap_known;                      /* a heap of glibc, read whole: the figures below */
        uint64_t in_use_bytes, free_bytes;    /* as mallinfo2() counts them, resident or not */
        uint64_t pinned_bytes;                /* free, on a page with something live */
        bool trim_known;
        uint64_t trimmable_bytes;             /* what malloc_trim would give back */
        DiagnoseLook last;                    /* without sizes */
        Distro distro;                        /* whose files the target runs on */
        char largest[BREAKDOWN_NAME_MAX];     /* as of an Advice; "" = none */
        uint64_t largest_bytes;
        Verdict verdict;
} Diagnosis;

/* diagnosis_sentence() - @v for people, with the figures of the @last look. */
void diagnosis_sentence(Buf *b, const Verdict *v, const DiagnoseLook *last);

/* diagnosis_advice() - what the words of its remedies need. Owner: @d. @pid: of the target; 0 = none now. */
Advice diagnosis_advice(const Diagnosis *d, pid_t pid);

/* document_remedies() - "remedies": [{kind, gain_bytes, need_bytes, text, install, command}] */
void document_remedies(Json *j, const Advice *a);

/* document_diagnosis() - "diagnosis": {kind, confidence, part, text, ...}; null for NULL: nobody has looked yet. */
void document_diagnosis(Json *j, const Diagnosis *d, pid_t pid);
