/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocators that can stand in for glibc's, or serve a part of a program beside it: known by the function that purges
 * them, which must be there besides the ones that allocate. What is not known is told as such, and not touched.
 */
#pragma once

#include "probe/inject/glibc.h"

typedef enum AllocatorPlace {
        ALLOCATOR_LIBRARY,        /* a shared library of its own: all its text is the allocator's */
        ALLOCATOR_PROGRAM,        /* linked into the executable */
        ALLOCATOR_STATIC_PROGRAM, /* and so is all else: system calls are made in the same text */
} AllocatorPlace;

/**
 * allocators_add() - those that @src defines
 * @beside: only ones that do not need to be `malloc` to be used: linked into the program, or with a prefix
 * Return: how many were added to @im; 0: none; -E2BIG: no room, or one whose code cannot be told from the program's;
 *         as symbols_each().
 */
int allocators_add(const SymbolSource *src, AllocatorPlace place, bool beside, Image *im) _must_check_;
