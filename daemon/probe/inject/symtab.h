/* SPDX-License-Identifier: Apache-2.0
 *
 * The full symbol table of an object's file (.symtab), which no process has in memory: a static program has no other,
 * and an allocator linked into a program keeps most of its names there. The file is used only if its first page is the
 * one in memory. elfutils reads the section headers; the tables themselves, which can be larger than all we may use,
 * are read a window at a time.
 */
#pragma once

#include "probe/inject/dynsym.h"

typedef struct Symtab {
        int fd;                            /* -1 = not open */
        const Dynsym *d;                   /* not owned: where the object is in memory */
        uint64_t symbols_at, strings_at;   /* in the file */
        uint64_t n_symbols, strings_bytes; /* n_symbols 0: it was stripped */
        bool is_go;                        /* has a section of the Go linker */
} Symtab;

#define SYMTAB_NULL ((Symtab){.fd = -1})

/**
 * symtab_open() - the file of @o, by whichever way leads to it: /proc/PID/exe, map_files, its path
 * @d: of dynsym_open(), which may have said -ENODATA. Must outlive @ret.
 * Return: 0; -ESTALE or -ENOENT: replaced or removed; -EACCES; -ENOEXEC; other negative errno.
 */
int symtab_open(int proc_pid_fd, const Object *o, const Dynsym *d, Symtab *ret) _must_check_;
/* symtab_take() - the file @fd. Owner: @ret when 0 is returned, else the caller. Fuzzed. */
int symtab_take(int fd, const Dynsym *d, Symtab *ret) _must_check_;
void symtab_done(Symtab *s);

/* symtab_each() - every definition in turn, static ones too. Return: 0; what @fn returned; -E2BIG: more than is looked
 * at; negative errno. */
int symtab_each(const Symtab *s, SymbolFn fn, void *userdata) _must_check_;
