/* SPDX-License-Identifier: Apache-2.0
 *
 * What an exported function's code names by address: a stripped object has no symbol for its local variables, but its
 * functions know where they are. Read without a disassembler: bytes that look like such an instruction. So each answer
 * is a guess, which the caller has to find plausible. x86-64 only; elsewhere there are none.
 */
#pragma once

#include "probe/inject/dynsym.h"
#include "probe/python/cache.h"

typedef struct CodeRef {
        uint64_t address;
        uint8_t bytes; /* 4 or 8: a load of so many; 0: the address itself was taken (lea) */
} CodeRef;

/* code_refs() - in the order of the code, of the function's first 512 bytes. Return: how many, at most @max. */
size_t code_refs(Cache *m, const Symbol *function, CodeRef *ret, size_t max);

/* code_jumps() - where its jumps of 32 bits lead, which is where the compiler put the rest of a function that it split
 * (GCC's .part.0, .cold). The answers are as uncertain. Return: how many, at most @max. */
size_t code_jumps(Cache *m, const Symbol *function, uint64_t *ret, size_t max);
