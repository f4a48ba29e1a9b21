/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call needs to know of glibc, from one list of its symbols: the dynamic ones of libc.so.6 (and libpthread.so.0
 * until 2.33), or all of a static program's. The rest is told by its code, read where the symbols say.
 */
#pragma once

#include "probe/inject/image.h"
#include "probe/inject/symtab.h"

/* Symbols of an object: its dynamic ones, or of its file. */
typedef struct SymbolSource {
        const Dynsym *d;
        const Symtab *file; /* NULL: dynamic ones */
} SymbolSource;

/* symbols_each() - of either kind: see dynsym_each(), symtab_each(). */
int symbols_each(const SymbolSource *s, SymbolFn fn, void *userdata) _must_check_;

/**
 * glibc_read() - adds to @im: symbols not known yet, malloc's range, guarded ranges, hooks, errno's place, restorer
 * Return: 0; -ENODATA: it lacks what a call needs, or malloc's extent cannot be told; -E2BIG; as symbols_each().
 */
int glibc_read(const SymbolSource *s, Image *im, Allocator *ret) _must_check_;

/* glibc_read_libpthread() - adds to @im what is in a library of its own until glibc 2.34. Before glibc_read(), since
 * libc.so.6 has stubs under these names. Return: as above. */
int glibc_read_libpthread(const SymbolSource *s, Image *im) _must_check_;
