/* SPDX-License-Identifier: Apache-2.0
 *
 * The unprivileged end of PROBE_OP_GROWTH: takes the sealed memory file and believes nothing of it, as reader.h does.
 * Mappings must be in order and none twice, every name terminated, every kind known, every figure possible.
 */
#pragma once

#include "probe/survey/growth.h"
#include "util/cleanup.h"

typedef struct GrowthReport {
        Growth head;
        GrowthMap *maps;       /* Owner: the GrowthReport; head.n_maps, by address */
        GrowthThread *threads; /* in the same block of memory */
        GrowthSample *samples;
} GrowthReport;

#define GROWTH_REPORT_NULL ((GrowthReport){.maps = NULL})

/* growth_report_done() - release the memory. */
void growth_report_done(GrowthReport *r);

/* growth_check() - may @buf be read as a Growth with what follows it? Return: NULL: good; else why not, as the end of a
 * sentence. Pure: the fuzz target's entry. */
const char *growth_check(const void *buf, size_t size);

/* growth_report_read() - from descriptor @fd. @ret: untouched on failure. Return: 0; -EBADMSG: refused, @ret_why
 * (static) says why; other negative errno. */
int growth_report_read(int fd, GrowthReport *ret, const char **ret_why) _must_check_;
