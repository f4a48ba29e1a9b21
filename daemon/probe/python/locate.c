/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/locate.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "probe/python/code.h"

#define OBJECTS_MAX       4096 /* objects loaded that are looked at */
#define LOOK_AGAIN        20   /* a list may be caught in mid-change */
#define LOOK_AGAIN_NSEC   500000L
#define GC_SPAN_BYTES     96    /* how far into the gc state its generations may begin */
#define INTERPRETER_BYTES 16384 /* how far into an interpreter its gc state is searched for */
#define METATYPES_MAX     8
#define LIST_FLAGS        3ULL /* low bits of a link: collection's flags (3.8), the space an object is in (3.14.0) */
#define DEBUG_WORDS       12   /* of _Py_DebugOffsets that are of use here */

static const char debug_cookie[8] = "xdebugpy";

/* Is there a list head at @addr that a neighbour knows? One of both is enough: while a collection runs, the links back
 * hold counts of references (gc_refs), and while the program makes objects the last one is never the last for long. */
static bool is_list(Cache *m, uint64_t addr) {
        uint64_t head[2], back = 0, forth = 0;

        return cache_fresh(m, addr, head, sizeof(head)) && head[0] != 0 &&
               ((cache_fresh(m, (head[0] & ~LIST_FLAGS) + 8, &back, sizeof(back)) && (back & ~LIST_FLAGS) == addr) ||
                (cache_fresh(m, head[1] & ~LIST_FLAGS, &forth, sizeof(forth)) && (forth & ~LIST_FLAGS) == addr));
}

/* Three lists in a row; thresholds are ints of which none is negative. */
static bool are_generations(Cache *m, uint64_t addr, uint32_t stride) {
        for (unsigned i = 0; i < 3; i++) {
                int32_t threshold;

                if (!cache_read(m, addr + (uint64_t)i * stride + stride - (stride == 48 ? 16 : 8), &threshold,
                                sizeof(threshold)) ||
                    threshold < 0)
                        return false;
        }
        for (unsigned i = 0; i < 3; i++)
                if (!is_list(m, addr + (uint64_t)i * stride))
                        return false;
        return true;
}

/* What lies around the generations is the same in all versions: a pointer to the youngest, from 3.7 to 3.13 between
 * them and the permanent one, which the statistics follow and then the flag. */
static void set_heap(const Python *p, uint64_t generations, PythonHeap *ret) {
        uint64_t end = generations + 3ULL * p->stride;
        PythonHeap h = {.generations = generations};

        if (p->minor >= 7) {
                for (uint64_t at = (end + 7) & ~7ULL; at <= end + 16 && !h.permanent; at += 8)
                        if (is_list(p->m, at))
                                h.permanent = at;
        }
        if (h.permanent) {
                uint64_t after = h.permanent + p->stride;

                if (p->minor <= 14)
                        h.stats = (after + 7) & ~7ULL; /* 3.15 has a pointer there */
                h.collecting = ((after + 7) & ~7ULL) + (p->minor <= 14 ? 72 : 8);
        }
        *ret = h;
}

/* At its place by the table; else anywhere in the structure. */
static bool find_heap(const Python *p, uint64_t state, uint64_t limit, PythonHeap *ret) {
        uint64_t expected = state + p->l.generations;

        for (int i = 0; i < LOOK_AGAIN; i++) {
                if (are_generations(p->m, expected, p->stride)) {
                        set_heap(p, expected, ret);
                        return true;
                }
                nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NSEC}, NULL);
        }
        for (uint64_t at = limit ? state - min_of(state, limit) : state; at < state + GC_SPAN_BYTES + limit; at += 4)
                if (are_generations(p->m, at, p->stride)) {
                        set_heap(p, at, ret);
                        return true;
                }
        return false;
}

bool python_is_type(const Python *p, uint64_t addr) {
        uint64_t type = addr, flags;

        for (int i = 0; i < METATYPES_MAX; i++) {
                if (!cache_word(p->m, type + OB_TYPE, &type) || (type & 7))
                        return false;
                if (type == p->type_type)
                        return true;
                if (!cache_word(p->m, type + TP_FLAGS, &flags) || !(flags & TPFLAG_TYPE))
                        return false;
        }
        return false;
}

static uint64_t find(const Python *p, const char *name) {
        return dynsym_address(&p->symbols, name);
}

/* The functions that came with a version tell one from another where the number itself is not exported (before 3.11).
 */
static unsigned minor_by_symbols(const Python *p) {
        static const struct {
                const char *name;
                unsigned minor;
        } newest_first[] = {
                {"PyModule_AddObjectRef", 10}, {"PyObject_CallNoArgs", 9}, {"Py_RunMain", 8}, {"_PyRuntime", 7},
                {"_PyGC_generation0", 6},
        };

        for (size_t i = 0; i < ELEMENTSOF(newest_first); i++)
                if (find(p, newest_first[i].name))
                        return newest_first[i].minor;
        return 0;
}

/* Py_GetVersion() names the literal "3.9.18" in its code. Without it the patch level stays unsaid. */
static void read_patch_level(Python *p) {
        CodeRef ref[16];
        Symbol s;
        size_t n;
        char want[8];

        snprintf(p->version, sizeof(p->version), "3.%u", p->minor);
        snprintf(want, sizeof(want), "3.%u.", p->minor);
        if (dynsym_find(&p->symbols, "Py_GetVersion", &s, 1) != 1)
                return;
        n = code_refs(p->m, &s, ref, ELEMENTSOF(ref));
        for (size_t i = 0; i < n; i++) {
                char text[sizeof(p->version)];
                ssize_t len = ref[i].bytes == 0 ? cache_string(p->m, ref[i].address, text, sizeof(text)) : -1;

                if (len > 0 && strncmp(text, want, strlen(want)) == 0 &&
                    strspn(text, "0123456789.abrc+") == (size_t)len) {
                        memcpy(p->version, text, sizeof(text));
                        return;
                }
        }
}

/* PY_VERSION_HEX: major, minor, micro, level and serial (Include/patchlevel.h). */
static bool read_version(Python *p) {
        uint64_t at = find(p, "Py_Version"); /* 3.11 */
        uint32_t hex;

        if (!at) {
                p->minor = minor_by_symbols(p);
                read_patch_level(p);
                return p->minor != 0;
        }
        if (!cache_read(p->m, at, &hex, sizeof(hex)) || hex >> 24 != 3)
                return false;
        p->minor = hex >> 16 & 0xff;
        snprintf(p->version, sizeof(p->version), "3.%u.%u", p->minor, hex >> 8 & 0xff);
        return true;
}

/* A type's type is PyType_Type, also PyType_Type's own. The symbol may be the library's while the program has a copy
 * (R_X86_64_COPY), so what it points to counts. */
static bool read_type_type(Python *p, char *detail, size_t size) {
        uint64_t at = find(p, "PyType_Type"), type, again, shifted;

        if (!at || !cache_word(p->m, at + OB_TYPE, &type)) {
                snprintf(detail, size, "the type of its types cannot be read");
                return false;
        }
        if (cache_word(p->m, type + OB_TYPE, &again) && again == type) {
                p->type_type = type;
                return true;
        }
        /* Py_TRACE_REFS has two links before each object's count, a free-threaded build (3.13) its owner and locks */
        if (cache_word(p->m, at + OB_TYPE + 16, &shifted) && shifted == at)
                snprintf(detail, size, "CPython %s of another build: %s", p->version,
                         p->minor >= 13 ? "free-threaded, which has no gc lists"
                                        : "with Py_TRACE_REFS, whose objects are laid out differently");
        else
                snprintf(detail, size, "the objects of this CPython %s are not laid out as is known", p->version);
        return false;
}

/* 3.13 tells its own offsets. The members are in this order since then; 3.14 put threads_main before gc. */
static bool read_debug_offsets(Python *p, uint64_t runtime, char *detail, size_t size) {
        uint64_t w[DEBUG_WORDS], gc;

        if (!cache_read(p->m, runtime, w, sizeof(w)) || memcmp(w, debug_cookie, sizeof(debug_cookie)) != 0)
                return true; /* not told: the table has to do */
        if (w[2]) {
                snprintf(detail, size, "CPython %s is free-threaded, which has no gc lists", p->version);
                return false;
        }
        gc = w[p->minor >= 14 ? 11 : 10];
        if (w[1] >> 16 != (0x0300u | p->minor) || w[5] > UINT16_MAX || w[8] > UINT16_MAX || w[9] > UINT16_MAX ||
            gc > UINT16_MAX) {
                snprintf(detail, size, "CPython %s tells offsets that cannot be", p->version);
                return false;
        }
        p->l.interpreters = (uint16_t)w[5];
        p->l.next = (uint16_t)w[8];
        p->l.threads = (uint16_t)w[9];
        p->l.gc = (uint16_t)gc;
        return true;
}

static bool read_interpreters(Python *p, uint64_t head_at) {
        uint64_t at;

        if (!cache_fresh(p->m, head_at, &at, sizeof(at)))
                return false;
        while (at && !(at & 7) && p->n_interpreters < PYTHON_INTERPRETERS_MAX) {
                p->interpreter[p->n_interpreters++] = at;
                if (!cache_word(p->m, at + p->l.next, &at))
                        return false;
        }
        p->all_interpreters = at == 0;
        return p->n_interpreters > 0;
}

/* 3.6 has variables instead of a structure. _PyGC_generation0 points to the first of three; the interpreters' head is a
 * local one, which PyInterpreterState_Head() returns. */
static bool locate_36(Python *p, uint64_t generation0) {
        uint64_t generations;
        CodeRef ref;
        Symbol s;

        if (!cache_word(p->m, generation0, &generations))
                return false;
        /* PyGC_Head is aligned as long double, so 32 bytes, since 3.6.9 and 3.7.4; before as double: 24 (bpo-27987) */
        for (int i = 0; i < 2 * LOOK_AGAIN && p->n_heaps == 0; i++) {
                p->head_bytes = i % 2 ? 24 : 32;
                p->stride = i % 2 ? 32 : 48;
                if (are_generations(p->m, generations, p->stride))
                        set_heap(p, generations, &p->heap[p->n_heaps++]);
                else if (i % 2)
                        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NSEC}, NULL);
        }
        if (dynsym_find(&p->symbols, "PyInterpreterState_Head", &s, 1) == 1 && code_refs(p->m, &s, &ref, 1) == 1 &&
            ref.bytes == 8)
                (void)read_interpreters(p, ref.address);
        return p->n_heaps > 0;
}

static bool locate_37(Python *p, uint64_t runtime) {
        if (!read_interpreters(p, runtime + p->l.interpreters))
                return false;
        p->head_bytes = p->minor == 7 ? 32 : 16;
        p->stride = p->minor == 7 ? 48 : 24;
        if (find_heap(p, runtime + p->l.runtime_gc, 0, &p->heap[0]))
                p->n_heaps = 1;
        else if (p->minor == 7) {
                p->head_bytes = 24; /* before 3.7.4 */
                p->stride = 32;
                p->n_heaps = find_heap(p, runtime + p->l.runtime_gc, 0, &p->heap[0]);
        }
        return p->n_heaps > 0;
}

static bool locate_39(Python *p, uint64_t runtime) {
        if (!read_interpreters(p, runtime + p->l.interpreters))
                return false;
        p->head_bytes = 16;
        p->stride = 24;
        for (unsigned i = 0; i < p->n_interpreters; i++)
                if (find_heap(p, p->interpreter[i] + p->l.gc, 0, &p->heap[p->n_heaps]) ||
                    find_heap(p, p->interpreter[i] + INTERPRETER_BYTES / 2, INTERPRETER_BYTES / 2,
                              &p->heap[p->n_heaps]))
                        p->n_heaps++;
        return p->n_heaps == p->n_interpreters;
}

/* Whether the object at @base is a CPython, and which; without @lists only as far as pymalloc_read() needs it. Return:
 * PROBE_OK; PROBE_E_NO_PYTHON with @detail: it is one that cannot be read; _PROBE_RESULT_MAX: it is none. */
static ProbeResult try_object(Cache *m, Memory *symbols, uint64_t base, bool lists, Python *ret, char *detail,
                              size_t size) {
        Python p = {.m = m};
        uint64_t runtime, generation0;
        bool found;

        if (dynsym_open(symbols, base, &p.symbols) < 0)
                return _PROBE_RESULT_MAX;
        runtime = find(&p, "_PyRuntime");
        generation0 = find(&p, "_PyGC_generation0");
        if (!runtime && !generation0) {
                if (!find(&p, "PyPyType_Type") && !find(&p, "pypy_main_startup"))
                        return _PROBE_RESULT_MAX;
                snprintf(detail, size, "it is PyPy, which has no gc lists to read");
                return PROBE_E_NO_PYTHON;
        }
        if (!read_version(&p)) {
                snprintf(detail, size, "the version of its CPython is not known");
                return PROBE_E_NO_PYTHON;
        }
        if (p.minor < PYTHON_MINOR_MIN || p.minor > PYTHON_MINOR_MAX) {
                snprintf(detail, size, "CPython %s: versions 3.%u to 3.%u can be read", p.version, PYTHON_MINOR_MIN,
                         PYTHON_MINOR_MAX);
                return PROBE_E_NO_PYTHON;
        }
        p.l = *layout_of(p.minor);
        if ((p.minor >= 13 && !read_debug_offsets(&p, runtime, detail, size)) || !read_type_type(&p, detail, size))
                return PROBE_E_NO_PYTHON;
        if (!lists) {
                if (p.minor >= 12 && !read_interpreters(&p, runtime + p.l.interpreters))
                        return PROBE_E_NO_PYTHON; /* until 3.11 its arenas are in variables */
                *ret = p;
                return PROBE_OK;
        }
        p.set_type = find(&p, "PySet_Type");
        p.frozenset_type = find(&p, "PyFrozenSet_Type");
        p.bytearray_type = find(&p, "PyByteArray_Type");
        found = p.minor == 6   ? locate_36(&p, generation0)
                : p.minor <= 8 ? locate_37(&p, runtime)
                               : locate_39(&p, runtime);
        if (!found) {
                snprintf(detail, size, "CPython %s: its gc lists were not found (not yet or no more running?)",
                         p.version);
                return PROBE_E_NO_PYTHON;
        }
        *ret = p;
        return PROBE_OK;
}

/* 0: the program itself or a file that is called like it; 1: any other. */
static int rank(const Maps *maps, const Map *map, const Map *exe) {
        const char *path = maps_path(maps, map), *slash = strrchr(path, '/');

        return map == exe || strstr(slash ? slash : path, "python") || strstr(slash ? slash : path, "pypy") ? 0 : 1;
}

static ProbeResult locate(Cache *m, Memory *symbols, const Maps *maps, const Map *exe, bool lists, Python *ret,
                          char *detail, size_t size) {
        ProbeResult found = _PROBE_RESULT_MAX;

        for (int pass = 0; pass <= 1; pass++) {
                unsigned n = 0;

                for (size_t i = 0; i < maps->n && n < OBJECTS_MAX; i++) {
                        const Map *map = &maps->map[i];
                        ProbeResult r;

                        if (map->offset != 0 || map->inode == 0 || !(map->prot & MAP_R) || rank(maps, map, exe) != pass)
                                continue;
                        n++;
                        r = try_object(m, symbols, map->start, lists, ret, detail, size);
                        if (r == PROBE_OK)
                                return r;
                        found = min_of(found, r);
                }
        }
        if (found == _PROBE_RESULT_MAX)
                snprintf(detail, size, "no CPython is loaded in it");
        return PROBE_E_NO_PYTHON;
}

ProbeResult python_locate(Cache *m, Memory *symbols, const Maps *maps, const Map *exe, Python *ret, char *detail,
                          size_t size) {
        return locate(m, symbols, maps, exe, true, ret, detail, size);
}

ProbeResult python_locate_arenas(Cache *m, Memory *symbols, const Maps *maps, const Map *exe, Python *ret) {
        char detail[PROBE_DETAIL_MAX];

        return locate(m, symbols, maps, exe, false, ret, detail, sizeof(detail));
}

/* A static python may be called anything. */
const Map *python_exe(int proc_pid_fd, const Maps *maps) {
        struct stat st;

        if (fstatat(proc_pid_fd, "exe", &st, 0) < 0)
                return NULL;
        for (size_t i = 0; i < maps->n; i++) {
                const Map *m = &maps->map[i];

                if (m->offset == 0 && m->inode == st.st_ino && m->dev_major == major(st.st_dev) &&
                    m->dev_minor == minor(st.st_dev))
                        return m;
        }
        return NULL;
}
