/* SPDX-License-Identifier: Apache-2.0
 *
 * The main arena where brk() failed once, because something was mapped in its way: from then on malloc takes mappings
 * of a megabyte or more in its place, and keeps no list of them (sysmalloc(), malloc/malloc.c, 2.17 to 2.43). They are
 * found by their chunks, which lead from a mapping's start to two fence posts or to top; that none is missing, or too
 * many, is known by system_mem.
 */
#pragma once

#include "probe/survey/glibc.h"

/* stretches_find() - of @a, the main arena, in g->maps. Return: how many; -EAGAIN: they are not all found. */
int stretches_find(Window *w, const Glibc *g, const GlibcArena *a, GlibcSegment *ret, size_t max) _must_check_;

/* stretches_brk_end() - where the kernel's [heap] ends; 0: it is not known. */
uint64_t stretches_brk_end(const Maps *maps);
