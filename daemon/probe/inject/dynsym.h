/* SPDX-License-Identifier: Apache-2.0
 *
 * The dynamic symbols of an object (a program, a library) as a process has it loaded, read from its memory: program
 * headers -> PT_DYNAMIC -> DT_GNU_HASH or DT_HASH -> DT_SYMTAB, DT_STRTAB. No file is opened, so it does not matter
 * whether that was deleted or replaced, nor in which root or mount namespace it lies. Nothing is allocated.
 *
 * To find symbol X of object Y: maps_read(), object_next() until object_base_name() is Y's, dynsym_open(),
 * dynsym_address().
 */
#pragma once

#include <stdbool.h>

#include "probe/inject/maps.h"
#include "probe/inject/memory.h"

#define DYNSYM_NAME_MAX 128        /* a longer name is given cut, and so is none that is looked for */
#define DYNSYM_MAX      (1u << 20) /* symbols of an object that are looked at */

/* ---- loaded objects, as the map shows them ---- */

/* A file that is mapped from its offset 0 on, with an executable part: a program or a library. */
typedef struct Object {
        const Map *first; /* its ELF header is at first->start */
        const char *path; /* as the kernel tells it: relative to whose root is not known, " (deleted)" may follow */
        uint64_t end;     /* of its last map in a row */
} Object;

/* object_next() - the first that begins at map number *@i or after; *@i becomes where to go on. Return: false: no more.
 */
bool object_next(const Maps *maps, size_t *i, Object *ret);
/* object_at() - the one that @addr lies in. Return: false: in none. */
bool object_at(const Maps *maps, uint64_t addr, Object *ret);
/* object_base_name() - the path's last part, " (deleted)" and all. */
const char *object_base_name(const Object *o);

/* ---- their symbols ---- */

typedef struct Dynsym {
        Memory *mem;                   /* not owned */
        uint64_t base;                 /* address in memory less virtual address in the file */
        uint64_t start, end;           /* span of its segments in memory */
        uint64_t text_start, text_end; /* span of the executable ones; 0, 0 = none */
        uint64_t dynamic;              /* address of PT_DYNAMIC */
        uint64_t symtab, strtab, strings_bytes;
        uint64_t gnu_hash, hash;                         /* 0 = it has none; one of both is there */
        uint64_t rela, rela_bytes, jmprel, jmprel_bytes; /* Elf64_Rela tables; 0 = none */
        bool needs;                                      /* it has a DT_NEEDED: something loads libraries for it */
        bool has_interpreter;                            /* PT_INTERP: a program that a dynamic loader started */
        char soname[64];                                 /* "" = none */
} Dynsym;

typedef struct Symbol {
        uint64_t address, size;
        uint32_t index;     /* in its table */
        unsigned char type; /* STT_*; the address of an STT_GNU_IFUNC is its resolver's: never call that */
        unsigned char bind; /* STB_* */
        bool hidden;        /* not meant for other objects: STV_HIDDEN or STV_INTERNAL */
} Symbol;

/**
 * dynsym_open() - of the object whose ELF header is at @addr
 * Return: 0; -ENOEXEC: no 64-bit ELF image of this machine, or one that contradicts itself; -ENODATA: no dynamic
 * symbols
 *         (@ret->start, end, text_* and has_interpreter are valid all the same); as memory_read().
 */
int dynsym_open(Memory *mem, uint64_t addr, Dynsym *ret) _must_check_;

/* dynsym_find() - the definitions of @name, any version, of functions and objects (and IFUNCs), not TLS.
 * Return: how many of them are in @ret, 0: none; as memory_read(). */
int dynsym_find(const Dynsym *d, const char *name, Symbol *ret, size_t max) _must_check_;

/* dynsym_address() - of the function or object @name. Return: 0 when there is none, or it is an IFUNC. */
uint64_t dynsym_address(const Dynsym *d, const char *name);

/* symbol_of() - what an entry @e (Elf64_Sym) of a symbol table tells. Return: is it the definition of a function, an
 * object or an IFUNC in this object? */
bool symbol_of(const Dynsym *d, const void *e, uint32_t index, Symbol *ret);

/* Called for each definition. @name: valid during the call. Return: 0 to go on, else dynsym_each() ends with it. */
typedef int (*SymbolFn)(void *userdata, const Symbol *s, const char *name);

/* dynsym_each() - every definition in turn. Return: 0; what @fn returned; as memory_read(). */
int dynsym_each(const Dynsym *d, SymbolFn fn, void *userdata) _must_check_;

/* dynsym_slot() - what the loader put where this object refers to its symbol number @index (a GLOB_DAT or JUMP_SLOT
 * relocation): the definition that others won, if any. Return: 0 when there is no such reference. */
uint64_t dynsym_slot(const Dynsym *d, uint32_t index);
