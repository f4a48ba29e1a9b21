/* SPDX-License-Identifier: Apache-2.0
 *
 * What a chunk of memory looks like, word by word: pointers and where they lead, numbers, text and what that consists
 * of. Contents are judged, never told: who wants to see them asks for them by themselves. Pure.
 */
#pragma once

#include <stddef.h>

#include "probe/inject/maps.h"
#include "probe/survey/growth.h"

/* holds_judge() - @bytes: @n from the start of a chunk's memory, which has @usable of them. @owners: sorted.
 * @ret: GROWTH_WORDS */
void holds_judge(const Maps *maps, const Ranges *owners, const unsigned char *bytes, size_t n, uint64_t usable,
                 GrowthWord *ret);

/* holds_name() - @name as it may be told: no controls, cut to @size - 1 bytes, terminated. */
void holds_name(char *ret, size_t size, const char *name);
