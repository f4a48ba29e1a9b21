/* SPDX-License-Identifier: Apache-2.0
 *
 * Which chunks of a heap were not in use at an earlier look. The earlier look's are remembered by address and class, at
 * most FRESH_MAX of them: of a larger heap one in 2, 4, 8 ..., chosen by a hash of the address, so that what was not
 * remembered is not asked for later either. The newer ones are drawn by another hash: each has the same chance.
 *
 * A chunk freed and taken again at the same place and size between the looks is taken for an old one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/survey/growth.h"
#include "util/cleanup.h"

#define FRESH_MAX        (128u * 1024) /* 1 MiB */
#define FRESH_ARENAS_MAX 64
#define FRESH_DRAWN_MAX  (GROWTH_SAMPLES_MAX * 2) /* some are dropped: they change while they are looked at */

typedef struct Fresh {
        uint64_t *entries;                  /* Owner: the Fresh; (address / 16) << 8 | class */
        uint32_t n, shift;                  /* one in 2^shift */
        uint64_t skipped[FRESH_ARENAS_MAX]; /* arenas that were not read whole at the earlier look */
        uint32_t n_skipped;
        bool blind; /* there were more of those than can be remembered */
} Fresh;

typedef struct FreshDrawn {
        uint64_t addr[FRESH_DRAWN_MAX], rank[FRESH_DRAWN_MAX]; /* rank: in rising order */
        uint32_t n, max;
        uint8_t class;
} FreshDrawn;

/* fresh_init() - nothing remembered yet. Return: 0; -ENOMEM. */
int fresh_init(Fresh *f) _must_check_;
void fresh_done(Fresh *f);

/* fresh_remember() - the chunk at @addr is in use. */
void fresh_remember(Fresh *f, uint64_t addr, uint64_t size_bytes);
/* fresh_skip() - @arena was not read whole: what is newer there cannot be told. */
void fresh_skip(Fresh *f, uint64_t arena);
/* fresh_skipped() - was it? */
bool fresh_skipped(const Fresh *f, uint64_t arena);

/* fresh_save() - into @fd, from its start; for the process that @pid and @start_ticks name. Return: 0; -EIO ... */
int fresh_save(Fresh *f, int fd, int32_t pid, uint64_t start_ticks) _must_check_;
/* fresh_load() - Return: 0; -ENODATA: there is nothing of that process; -ENOMEM. */
int fresh_load(int fd, int32_t pid, uint64_t start_ticks, Fresh *ret) _must_check_;

/* fresh_draw() - the chunk at @addr is in use now: is it newer, and one of @d's class? Then it may be among those
 * drawn. */
void fresh_draw(const Fresh *f, FreshDrawn *d, uint64_t addr, uint64_t size_bytes);
