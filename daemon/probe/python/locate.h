/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the CPython in a process and what a census starts from: its version, its interpreters, their gc lists. By the
 * symbols of whatever object has them (libpython, a static python, a program that embeds one); then by the layout's
 * row, each step checked against what must hold of a live interpreter. What cannot be read is refused with a sentence.
 */
#pragma once

#include "probe/inject/dynsym.h"
#include "probe/proto.h"
#include "probe/python/cache.h"
#include "probe/python/layout.h"

#define PYTHON_INTERPRETERS_MAX 256

/* The gc lists of one interpreter; until 3.8 there is one for all. Addresses in the target. */
typedef struct PythonHeap {
        uint64_t generations; /* of three list heads, one stride apart: youngest first */
        uint64_t permanent;   /* list head; 0 = has none (3.6) */
        uint64_t stats;       /* three structs gc_generation_stats; 0 = not known */
        uint64_t collecting;  /* an int; 0 = not known */
} PythonHeap;

typedef struct Python {
        Cache *m;
        unsigned minor;
        char version[16];
        Layout l;
        Dynsym symbols;
        uint64_t type_type;                                /* PyType_Type */
        uint64_t set_type, frozenset_type, bytearray_type; /* 0 = not found */
        uint32_t head_bytes;                               /* sizeof PyGC_Head: the object follows it */
        uint32_t stride;                                   /* sizeof struct gc_generation */
        uint64_t interpreter[PYTHON_INTERPRETERS_MAX];     /* PyInterpreterState */
        unsigned n_interpreters;
        bool all_interpreters; /* there are no more than that */
        PythonHeap heap[PYTHON_INTERPRETERS_MAX];
        unsigned n_heaps;
} Python;

/**
 * python_locate() - @symbols: the same memory, for what is read once. @exe: the map of the program's own file, or NULL
 * Return: PROBE_OK, PROBE_E_NO_PYTHON; @detail gets a sentence.
 */
ProbeResult python_locate(Cache *m, Memory *symbols, const Maps *maps, const Map *exe, Python *ret, char *detail,
                          size_t detail_size);

/* python_locate_arenas() - only what pymalloc_read() takes: no gc list is looked for, so nothing is waited for, and a
 * list in mid-change is no matter. */
ProbeResult python_locate_arenas(Cache *m, Memory *symbols, const Maps *maps, const Map *exe, Python *ret);

/* python_exe() - the map of the program's own file, which is asked first. Return: NULL: not known. */
const Map *python_exe(int proc_pid_fd, const Maps *maps);

/* python_is_type() - is @addr a type object: its type is PyType_Type or a metaclass? */
bool python_is_type(const Python *p, uint64_t addr);
