/* SPDX-License-Identifier: Apache-2.0
 *
 * The types that objects turn out to have, and what is counted for each. A type object is looked at once and
 * remembered by its address in a cache that forgets; what is counted is kept by name, so that a program that makes
 * classes without end fills no more than the table of names.
 */
#pragma once

#include "probe/python/census.h"
#include "probe/python/locate.h"

#define TYPES_CACHE_SLOTS 8192u
#define TYPES_INDEX_SLOTS 16384u

typedef enum TypeKind {
        TYPE_OTHER,
        TYPE_LIST,
        TYPE_TUPLE,
        TYPE_DICT,
        TYPE_SET,
        TYPE_STR,
        TYPE_BYTES,
        TYPE_BYTEARRAY,
        _TYPE_KIND_MAX,
} TypeKind;

typedef struct TypeInfo {
        uint64_t addr;     /* of the type object; 0 = none here */
        uint32_t basic;    /* tp_basicsize, with values that lie behind it (3.13) */
        uint32_t item;     /* tp_itemsize */
        uint16_t before;   /* what lies before the object: gc's header, pointers to dict and weak references */
        uint16_t entry;    /* of Types.entry; PYTHON_TYPES_MAX: beyond the table */
        uint16_t n_values; /* attributes that instances keep without a dict (3.11) */
        uint8_t kind;      /* TypeKind */
        bool managed_dict, is_task, is_int, is_heap;
} TypeInfo;

typedef struct TypeEntry {
        char name[PYTHON_NAME_MAX];
        PythonCount count[PYTHON_GENERATIONS]; /* of the interpreter that is being walked */
        PythonCount sum[PYTHON_GENERATIONS];   /* of those before it */
        bool is_task;
} TypeEntry;

typedef struct Types {
        const Python *p;
        TypeInfo *cache;  /* Owner: the Types, as of all below */
        TypeEntry *entry; /* the last one, [PYTHON_TYPES_MAX], is for all that did not fit */
        uint16_t *index;  /* of entries by their name's hash, + 1 */
        unsigned n;
} Types;

#define TYPES_NULL ((Types){0})

/* A dict's keys object, or one that instances share. */
typedef struct DictTable {
        int64_t refs;
        uint64_t entry;              /* address of the first */
        uint64_t n, n_max;           /* entries that are or were in use; that it has room for */
        uint64_t bytes;              /* of the whole keys object */
        uint8_t entry_bytes, key_at; /* the value follows the key */
} DictTable;

/* types_dict_table() - the keys object at @keys. Return: false: it does not look like one. */
bool types_dict_table(const Python *p, uint64_t keys, DictTable *ret) _must_check_;

/* types_init() - @p must outlive it. Return: 0 or -ENOMEM. */
int types_init(Types *t, const Python *p) _must_check_;
void types_done(Types *t);

/* types_get() - the type object at @addr. Return: NULL: there is none. Valid until the next call. */
const TypeInfo *types_get(Types *t, uint64_t addr);

/* types_clear() - counts of one generation, which is to be counted again. */
void types_clear(Types *t, unsigned generation);

/* types_commit() - what was counted is final: it goes into the sums. */
void types_commit(Types *t);

/* types_total() - an entry's sum over all generations. */
PythonCount types_total(const TypeEntry *e);
