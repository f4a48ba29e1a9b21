/* SPDX-License-Identifier: Apache-2.0
 *
 * Newly grown chunks in words: chunks of one size that begin alike are one group, and of each word behind it is told
 * what it is in all of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/survey/growth.h"
#include "util/buf.h"

typedef struct GrowthGroup {
        const GrowthSample *member[GROWTH_SAMPLES_MAX]; /* Owner: the report */
        size_t n;
} GrowthGroup;

typedef struct GrowthGroups {
        unsigned class;
        size_t n_samples;
        GrowthGroup group[GROWTH_SAMPLES_MAX]; /* the largest first */
        size_t n;
} GrowthGroups;

/* growth_groups() - those of @samples that are of @class. */
void growth_groups(const GrowthSample *samples, size_t n, unsigned class, GrowthGroups *ret);

/* growth_group_head() - how they begin: "vtable for Session (libapp.so)". Names are hostile, and as they came. */
void growth_group_head(Buf *b, const GrowthGroup *g);
/* growth_group_rest() - what follows: "then heap pointer, zero, text of 5 to 24 bytes (a-z 0-9)"; "" = nothing more. */
void growth_group_rest(Buf *b, const GrowthGroup *g);

/* growth_word_name() - of a GrowthWordKind: stable, for JSON. */
const char *growth_word_name(unsigned kind);
/* growth_chars() - "a-z 0-9 punctuation". */
void growth_chars(Buf *b, unsigned chars);
/* growth_content() - bytes as a C string would have them, without quotes. */
void growth_content(Buf *b, const unsigned char *p, size_t n);
/* growth_size() - the sizes of a class: "144 B", "1024-1136 B". */
void growth_size(Buf *b, unsigned class);
