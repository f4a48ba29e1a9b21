/* SPDX-License-Identifier: Apache-2.0
 *
 * CPython's arenas for the survey: which memory is pymalloc's, and how much of it blocks are in. Read from outside by
 * probe/python, with the survey's manners: a page that is swapped out stays there, and the time is bounded.
 */
#pragma once

#include "probe/inject/maps.h"
#include "probe/survey/ranges.h"
#include "probe/survey/source.h"

/* Of all interpreters in the process. An arena goes back to the system when the last block in it is freed, never
 * before: what is free in one that has a block is Python's alone. */
typedef struct SurveyPython {
        char version[16]; /* "3.11.2"; "" = no CPython whose arenas can be read */
        uint64_t arenas, arena_bytes;
        uint64_t used_bytes, n_blocks;               /* in blocks that are given out */
        uint64_t free_bytes;                         /* in blocks that are not, and in free pools */
        uint64_t pools_used, pools_free, pool_bytes; /* a pool is of blocks of one size; pool_bytes: of each */
        uint64_t pools_unread;                       /* swapped out, or changed under the reader */
        uint64_t sparse_arenas, sparse_bytes;        /* less than a quarter of them is used ... */
        uint64_t sparse_used_bytes, sparse_blocks;   /* ... and this little is what keeps them */
} SurveyPython;

/**
 * survey_python() - @source: of the same process
 * @owners: gets the arenas, as PART_PYTHON
 * Return: 1: @ret is filled; 0: there is no CPython, or its arenas make no sense; -ENOMEM; -E2BIG.
 */
int survey_python(int proc_pid_fd, Source *source, const Maps *maps, Ranges *owners, SurveyPython *ret) _must_check_;
