/* SPDX-License-Identifier: Apache-2.0
 *
 * Where CPython's structures have their fields: one row a minor version, in bytes on a 64-bit system. Each row was
 * printed by a program compiled with Py_BUILD_CORE against that version's headers, and tried on live interpreters. No
 * figure is trusted: patch releases and distributions differ, so what is found by them has to look like what it should
 * be (locate.c), and the gc state is searched for around its place.
 */
#pragma once

#include <stdint.h>

#define PYTHON_MINOR_MIN 6
#define PYTHON_MINOR_MAX 15

/* The same in all of them (Include/object.h, listobject.h, setobject.h, dictobject.h, cpython/pystate.h) */
enum {
        OB_TYPE = 8,
        OB_SIZE = 16,
        TP_NAME = 24,
        TP_BASICSIZE = 32,
        TP_ITEMSIZE = 40,
        TP_FLAGS = 168,
        TP_BASE = 256,
        TP_DICT = 264,
        LIST_ITEM = 24,
        LIST_ALLOCATED = 32,
        SET_MASK = 32,
        SET_TABLE = 40,
        SET_SMALLTABLE = 64,
        DICT_KEYS = 32,
        DICT_VALUES = 40,
        THREAD_NEXT = 8,
        STR_LENGTH = 16, /* PyASCIIObject.length; state is a bit field behind the hash */
        STR_STATE = 32,
};

/* tp_flags; below bit 9 from 3.11 or 3.12 on */
enum {
        TPFLAG_INLINE_VALUES = 1u << 2, /* 3.13 */
        TPFLAG_MANAGED_WEAKREF = 1u << 3, /* 3.12 */
        TPFLAG_MANAGED_DICT = 1u << 4,  /* 3.11 */
        TPFLAG_HEAPTYPE = 1u << 9,
        TPFLAG_HAVE_GC = 1u << 14,
        TPFLAG_INT = 1u << 24,
        TPFLAG_LIST = 1u << 25,
        TPFLAG_TUPLE = 1u << 26,
        TPFLAG_BYTES = 1u << 27,
        TPFLAG_STR = 1u << 28,
        TPFLAG_DICT = 1u << 29,
        TPFLAG_TYPE = 1u << 31,
};

typedef struct Layout {
        uint16_t interpreters;  /* _PyRuntimeState.interpreters.head (Include/internal/pycore_runtime.h) */
        uint16_t runtime_gc;    /* _PyRuntimeState.gc, until 3.8; later one a interpreter */
        uint16_t next, threads; /* PyInterpreterState: next, tstate_head or threads.head (pycore_interp.h) */
        uint16_t gc;            /* PyInterpreterState.gc */
        uint16_t generations;   /* in struct _gc_runtime_state (pycore_gc.h) */
        uint16_t obmalloc;      /* PyInterpreterState.obmalloc: the state (3.12), a pointer to it (from 3.13) */
        uint16_t qualname, cached_keys; /* PyHeapTypeObject.ht_qualname, .ht_cached_keys (cpython/object.h) */
        uint8_t ascii, compact; /* sizeof PyASCIIObject, PyCompactUnicodeObject: the text follows (unicodeobject.h) */
} Layout;

/* layout_of() - the row of 3.@minor; PYTHON_MINOR_MIN..PYTHON_MINOR_MAX. */
const Layout *layout_of(unsigned minor);
