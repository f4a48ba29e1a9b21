/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a shared library at run time. Why not link it: libcurl brings 32 shared objects and costs 8 MB of RSS, and
 * libmicrohttpd 2.5 MB, in every process that links them, also in one that never speaks HTTP; and a memory watchdog
 * must be small. So they are opened when a sink or a listener is configured, and a machine without them still watches
 * and reclaims. The headers are used at build time, so every function pointer has its declared type. A library is never
 * closed again: TLS libraries register exit handlers and thread keys that would point into unmapped text.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

typedef struct LoaderSymbol {
        const char *name;
        size_t offset; /* of the function pointer in the table */
} LoaderSymbol;

/* LOADER_SYMBOL() - one row: member @m of @type is the library's function @f. */
#define LOADER_SYMBOL(type, m, f)                                                                                      \
        { .name = (f), .offset = offsetof(type, m) }

/**
 * loader_open() - open the first of several names and look every symbol up
 * @what:    for the sentence: "libcurl"
 * @names:   sonames in order of preference, NULL-terminated
 * @symbols: @n_symbols rows; all are required
 * @table:   its pointers are set; untouched on failure
 * Return: 0; -ENOENT: none of the names can be opened; -ENOSYS: one can, but lacks a symbol. @why has the sentence.
 * Test: tests/unit/test-loader.c
 */
int loader_open(const char *what, const char *const *names, const LoaderSymbol *symbols, size_t n_symbols, void *table,
                char *why, size_t why_size) _must_check_;
