/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/types.h"

#include <string.h>

#define CACHE_TRIES        8u
#define BASICSIZE_MAX      (1u << 24)
#define ITEMSIZE_MAX       65536u
#define BASES_MAX          32
#define MODULE_ENTRIES_MAX 256 /* of a class' dict, looked through for __module__, which is the first one mostly */
#define TEXT_MAX           PYTHON_NAME_MAX
#define VALUES_MAX         64

int types_init(Types *t, const Python *p) {
        *t = (Types){.p = p,
                     .cache = calloc(TYPES_CACHE_SLOTS, sizeof(TypeInfo)),
                     .entry = calloc(PYTHON_TYPES_MAX + 1, sizeof(TypeEntry)),
                     .index = calloc(TYPES_INDEX_SLOTS, sizeof(uint16_t))};
        if (t->cache && t->entry && t->index)
                return 0;
        types_done(t);
        return -ENOMEM;
}

void types_done(Types *t) {
        free(t->cache);
        free(t->entry);
        free(t->index);
        *t = TYPES_NULL;
}

/* One character as UTF-8. A lone surrogate, which a str may hold, becomes three bytes like any other. */
static size_t put_utf8(char *to, uint32_t c) {
        if (c < 0x80) {
                to[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                to[0] = (char)(0xc0 | c >> 6);
                to[1] = (char)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                to[0] = (char)(0xe0 | c >> 12);
                to[1] = (char)(0x80 | (c >> 6 & 0x3f));
                to[2] = (char)(0x80 | (c & 0x3f));
                return 3;
        }
        to[0] = (char)(0xf0 | (c >> 18 & 7));
        to[1] = (char)(0x80 | (c >> 12 & 0x3f));
        to[2] = (char)(0x80 | (c >> 6 & 0x3f));
        to[3] = (char)(0x80 | (c & 0x3f));
        return 4;
}

/* A str's text, cut off at the end of @buf. PyASCIIObject.state is interned:2 kind:3 compact:1 ascii:1
 * (Include/cpython/unicodeobject.h); not compact are strings of subclasses and of the old C API. */
static bool read_str(const Python *p, uint64_t addr, char *buf, size_t size) {
        unsigned char raw[4 * TEXT_MAX];
        uint64_t length, type, flags;
        uint32_t state, kind;
        size_t n, len = 0;

        if (!cache_word(p->m, addr + OB_TYPE, &type) || !cache_word(p->m, type + TP_FLAGS, &flags) ||
            !(flags & TPFLAG_STR) || !cache_word(p->m, addr + STR_LENGTH, &length) ||
            !cache_read(p->m, addr + STR_STATE, &state, sizeof(state)))
                return false;
        kind = state >> 2 & 7;
        if (!(state >> 5 & 1) || (kind != 1 && kind != 2 && kind != 4))
                return false;
        n = (size_t)min_of(length, (uint64_t)TEXT_MAX);
        if (!cache_read(p->m, addr + (state >> 6 & 1 ? p->l.ascii : p->l.compact), raw, n * kind))
                return false;
        for (size_t i = 0; i < n; i++) {
                uint32_t c = 0;
                char utf8[4];
                size_t bytes;

                memcpy(&c, raw + i * kind, kind);
                bytes = put_utf8(utf8, c);
                if (len + bytes >= size)
                        break;
                memcpy(buf + len, utf8, bytes);
                len += bytes;
        }
        buf[len] = '\0';
        return len > 0;
}

bool types_dict_table(const Python *p, uint64_t keys, DictTable *ret) {
        unsigned char head[40];
        int64_t n, size, usable;
        DictTable t = {0};

        if (!cache_read(p->m, keys, head, sizeof(head)))
                return false;
        memcpy(&t.refs, head, 8);
        if (p->minor <= 10) { /* refcnt, size, lookup, usable, nentries, indices */
                unsigned width;

                memcpy(&size, head + 8, 8);
                memcpy(&usable, head + 24, 8);
                memcpy(&n, head + 32, 8);
                if (size < 1 || size > INT64_C(1) << 40 || (size & (size - 1)))
                        return false;
                width = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
                t.entry = keys + 40 + (uint64_t)size * width;
                t.entry_bytes = 24;
                t.key_at = 8;
        } else { /* refcnt; log2 size, log2 index bytes, kind; version; usable, nentries, indices */
                if (head[8] > 40 || head[9] > 43 || head[10] > 2)
                        return false;
                memcpy(&usable, head + 16, 8);
                memcpy(&n, head + 24, 8);
                size = INT64_C(1) << head[8];
                t.entry = keys + 32 + (UINT64_C(1) << head[9]);
                t.entry_bytes = head[10] == 0 ? 24 : 16; /* DICT_KEYS_GENERAL has the hash too */
                t.key_at = head[10] == 0 ? 8 : 0;
        }
        if (n < 0 || usable < 0 || n > size || usable > size)
                return false;
        t.n = (uint64_t)n;
        t.n_max = (uint64_t)(n + usable);
        /* USABLE_FRACTION(): two thirds of the slots have an entry */
        t.bytes = t.entry - keys + (uint64_t)(size * 2 / 3) * t.entry_bytes;
        *ret = t;
        return true;
}

/* A class' __module__, a str in its dict. */
static bool read_module(const Python *p, uint64_t type, char *buf, size_t size) {
        uint64_t dict, keys;
        DictTable t;

        if (!cache_word(p->m, type + TP_DICT, &dict) || dict == 0 || !cache_word(p->m, dict + DICT_KEYS, &keys) ||
            !types_dict_table(p, keys, &t))
                return false;
        for (uint64_t i = 0; i < min_of(t.n, (uint64_t)MODULE_ENTRIES_MAX); i++) {
                uint64_t pair[2];
                char key[16];

                if (!cache_read(p->m, t.entry + i * t.entry_bytes + t.key_at, pair, sizeof(pair)))
                        return false;
                if (pair[0] && pair[1] && read_str(p, pair[0], key, sizeof(key)) && strcmp(key, "__module__") == 0)
                        return read_str(p, pair[1], buf, size);
        }
        return false;
}

/* tp_name is "module.name" for what C code made and the bare name for a class statement. */
static void read_name(const Python *p, uint64_t type, uint64_t flags, const char tp_name[PYTHON_NAME_MAX],
                      char name[PYTHON_NAME_MAX]) {
        char qualname[PYTHON_NAME_MAX];
        uint64_t str;
        size_t len;

        if (!(flags & TPFLAG_HEAPTYPE) || strchr(tp_name, '.') || !cache_word(p->m, type + p->l.qualname, &str) ||
            !read_str(p, str, qualname, sizeof(qualname))) {
                memcpy(name, tp_name, PYTHON_NAME_MAX);
                return;
        }
        len = read_module(p, type, name, PYTHON_NAME_MAX / 2) ? strlen(name) : 0;
        if (len > 0)
                name[len++] = '.';
        snprintf(name + len, PYTHON_NAME_MAX - len, "%.*s", (int)(PYTHON_NAME_MAX - 1 - len), qualname);
}

static bool is_task_name(const char *name) {
        return strcmp(name, "_asyncio.Task") == 0 || strcmp(name, "asyncio.tasks.Task") == 0;
}

/* The type or one it is derived from. Return: false if the chain makes no sense. */
static bool read_bases(const Python *p, uint64_t type, TypeInfo *info) {
        char name[32];

        for (int i = 0; type && i < BASES_MAX; i++) {
                uint64_t at;

                if (type == p->set_type || type == p->frozenset_type)
                        info->kind = TYPE_SET;
                else if (type == p->bytearray_type)
                        info->kind = TYPE_BYTEARRAY;
                if (!cache_word(p->m, type + TP_NAME, &at) || cache_string(p->m, at, name, sizeof(name)) == -EFAULT)
                        return false;
                info->is_task |= is_task_name(name);
                if (!cache_word(p->m, type + TP_BASE, &type))
                        return false;
        }
        return true;
}

static uint8_t kind_by_flags(uint64_t flags) {
        return flags & TPFLAG_LIST    ? TYPE_LIST
               : flags & TPFLAG_TUPLE ? TYPE_TUPLE
               : flags & TPFLAG_DICT  ? TYPE_DICT
               : flags & TPFLAG_STR   ? TYPE_STR
               : flags & TPFLAG_BYTES ? TYPE_BYTES
                                      : TYPE_OTHER;
}

/* What an instance has besides tp_basicsize (Include/internal/pycore_object.h, _PyType_PreHeaderSize();
 * Objects/dictobject.c, _PyInlineValuesSize()). */
static void read_extras(const Python *p, uint64_t type, uint64_t flags, TypeInfo *info) {
        uint64_t keys;
        DictTable t;

        info->before = flags & TPFLAG_HAVE_GC ? (uint16_t)p->head_bytes : 0;
        if (p->minor >= 11 && flags & TPFLAG_MANAGED_DICT)
                info->managed_dict = true;
        if (info->managed_dict || (p->minor >= 12 && flags & TPFLAG_MANAGED_WEAKREF))
                info->before += 16;
        if (!info->managed_dict || !(flags & TPFLAG_HEAPTYPE) || !cache_word(p->m, type + p->l.cached_keys, &keys) ||
            keys == 0 || !types_dict_table(p, keys, &t) || t.n_max > VALUES_MAX)
                return;
        info->n_values = (uint16_t)t.n_max;
        if (p->minor >= 13 && flags & TPFLAG_INLINE_VALUES)
                info->basic += (uint32_t)((t.n_max + 7) / 8 * 8 + (t.n_max + 1) * 8);
}

static uint32_t hash_name(const char *name) {
        uint32_t h = 2166136261u; /* FNV-1a */

        for (const unsigned char *c = (const unsigned char *)name; *c; c++)
                h = (h ^ *c) * 16777619u;
        return h;
}

static uint16_t entry_of(Types *t, const char *name, bool is_task) {
        uint32_t at = hash_name(name) % TYPES_INDEX_SLOTS;

        for (; t->index[at]; at = (at + 1) % TYPES_INDEX_SLOTS)
                if (strcmp(t->entry[t->index[at] - 1].name, name) == 0)
                        return (uint16_t)(t->index[at] - 1);
        if (t->n == PYTHON_TYPES_MAX)
                return PYTHON_TYPES_MAX;
        snprintf(t->entry[t->n].name, PYTHON_NAME_MAX, "%s", name);
        t->entry[t->n].is_task = is_task;
        t->index[at] = (uint16_t)++t->n;
        return (uint16_t)(t->n - 1);
}

static bool read_type(Types *t, uint64_t addr, TypeInfo *ret) {
        TypeInfo info = {.addr = addr};
        char tp_name[PYTHON_NAME_MAX] = "", name[PYTHON_NAME_MAX];
        uint64_t at, basic, item, flags;

        if (addr == 0 || (addr & 7) || !python_is_type(t->p, addr) || !cache_word(t->p->m, addr + TP_NAME, &at) ||
            cache_string(t->p->m, at, tp_name, sizeof(tp_name)) == -EFAULT || tp_name[0] == '\0' ||
            !cache_word(t->p->m, addr + TP_BASICSIZE, &basic) || !cache_word(t->p->m, addr + TP_ITEMSIZE, &item) ||
            !cache_word(t->p->m, addr + TP_FLAGS, &flags) || basic < 16 || basic > BASICSIZE_MAX || item > ITEMSIZE_MAX)
                return false;
        info.basic = (uint32_t)basic;
        info.item = (uint32_t)item;
        info.kind = kind_by_flags(flags);
        info.is_int = flags & TPFLAG_INT;
        info.is_heap = flags & TPFLAG_HEAPTYPE;
        if (!read_bases(t->p, addr, &info))
                return false;
        read_extras(t->p, addr, flags, &info);
        read_name(t->p, addr, flags, tp_name, name);
        info.entry = entry_of(t, name, info.is_task);
        *ret = info;
        return true;
}

const TypeInfo *types_get(Types *t, uint64_t addr) {
        uint32_t first = (uint32_t)((addr >> 4) * 0x9e3779b97f4a7c15ULL >> 32), at;

        for (uint32_t i = 0; i < CACHE_TRIES; i++) {
                at = (first + i) % TYPES_CACHE_SLOTS;
                if (t->cache[at].addr == addr && addr != 0)
                        return &t->cache[at];
                if (t->cache[at].addr == 0)
                        break;
        }
        if (t->cache[at].addr != 0)
                at = first % TYPES_CACHE_SLOTS; /* all are taken: the first one goes */
        return read_type(t, addr, &t->cache[at]) ? &t->cache[at] : NULL;
}

/* Entries beyond the last one hold nothing, and stay untouched memory. */
static TypeEntry *next_entry(Types *t, unsigned *i) {
        TypeEntry *e = *i < t->n ? &t->entry[*i] : *i == t->n ? &t->entry[PYTHON_TYPES_MAX] : NULL;

        ++*i;
        return e;
}

void types_clear(Types *t, unsigned generation) {
        TypeEntry *e;

        for (unsigned i = 0; (e = next_entry(t, &i));)
                e->count[generation] = (PythonCount){0};
}

void types_commit(Types *t) {
        TypeEntry *e;

        for (unsigned i = 0; (e = next_entry(t, &i));)
                for (unsigned g = 0; g < PYTHON_GENERATIONS; g++) {
                        e->sum[g].n_objects += e->count[g].n_objects;
                        e->sum[g].bytes += e->count[g].bytes;
                        e->count[g] = (PythonCount){0};
                }
}

PythonCount types_total(const TypeEntry *e) {
        PythonCount sum = {0};

        for (unsigned i = 0; i < PYTHON_GENERATIONS; i++) {
                sum.n_objects += e->sum[i].n_objects;
                sum.bytes += e->sum[i].bytes;
        }
        return sum;
}
