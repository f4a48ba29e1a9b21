/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/referents.h"

#include <string.h>

#include "util/clock.h"

#define CHUNK          512u /* pointers read at once */
#define ITEMS_MAX      (1u << 28)
#define DEPTH_MAX      3
#define VISITS_A_CLOCK 256u
#define INSTANCE_MAX   512u /* bytes of an instance that are looked through for __slots__ */
#define ADDRESS_MAX    (UINT64_C(1) << 47)

int referents_init(Referents *r, const Python *p, const Pymalloc *arenas, uint64_t deadline_usec) {
        *r = (Referents){.p = p,
                         .arenas = arenas,
                         .deadline_usec = deadline_usec,
                         .str_type = dynsym_address(&p->symbols, "PyUnicode_Type"),
                         .bytes_type = dynsym_address(&p->symbols, "PyBytes_Type"),
                         .bytearray_type = p->bytearray_type,
                         .tuple_type = dynsym_address(&p->symbols, "PyTuple_Type"),
                         .dict_type = dynsym_address(&p->symbols, "PyDict_Type")};
        r->set = calloc(REFERENTS_MAX, sizeof(Referent));
        r->large = calloc(REFERENTS_LARGE_MAX, sizeof(Referent));
        r->spare = calloc(REFERENTS_MAX / 4 * 3, sizeof(Referent));
        r->pending = calloc(REFERENTS_PENDING, sizeof(uint64_t));
        if (!r->set || !r->large || !r->spare || !r->pending) {
                referents_done(r);
                return -ENOMEM;
        }
        return r->str_type && r->bytes_type && r->bytearray_type && r->tuple_type && r->dict_type ? 0 : -ENODATA;
}

void referents_done(Referents *r) {
        free(r->set);
        free(r->large);
        free(r->spare);
        free(r->pending);
        *r = REFERENTS_NULL;
}

static uint64_t hash(uint64_t addr) {
        uint64_t h = (addr >> 3) * 0x9e3779b97f4a7c15ULL;

        return h ^ h >> 32;
}

/* Where @addr is or may be put. The set is never quite full. The mask's bits are the low ones of the hash, so others
 * place it. */
static Referent *slot(Referent *set, uint32_t max, uint64_t addr) {
        uint32_t at = (uint32_t)(hash(addr) >> 40) % max;

        while (set[at].addr != 0 && set[at].addr != addr)
                at = (at + 1) % max;
        return &set[at];
}

/* Drops what has the mask's new bit, and puts the rest in its place again. */
static void thin_out(Referents *r, Referent *set, uint32_t max, unsigned *n, uint64_t *mask, PythonCount *count) {
        unsigned kept = 0;

        *mask = *mask << 1 | 1;
        for (uint32_t i = 0; i < max; i++) {
                if (set[i].addr && !(hash(set[i].addr) & *mask))
                        r->spare[kept++] = set[i];
                else if (set[i].addr) {
                        count[set[i].kind].n_objects--;
                        count[set[i].kind].bytes -= set[i].bytes;
                }
                set[i].addr = 0;
        }
        for (uint32_t i = 0; i < kept; i++)
                *slot(set, max, r->spare[i].addr) = r->spare[i];
        *n = kept;
}

/* Bytes as sys.getsizeof() tells them. */
static bool text_bytes(const Referents *r, uint64_t addr, uint64_t *ret) {
        uint64_t w[5], size, utf8;
        uint32_t state, kind;

        if (!cache_read(r->p->m, addr, w, sizeof(w)) || w[2] > (UINT64_C(1) << 40))
                return false;
        state = (uint32_t)w[4];
        kind = state >> 2 & 7;
        if (!(state >> 5 & 1) || (kind != 1 && kind != 2 && kind != 4)) {
                *ret = r->p->l.compact + 8u; /* PyUnicodeObject: its text elsewhere, and before 3.12 maybe none yet */
                return true;
        }
        size = (state >> 6 & 1 ? r->p->l.ascii : r->p->l.compact) + (w[2] + 1) * kind;
        /* not ASCII: utf8_length and utf8 lie behind PyASCIIObject, a copy that was asked for once */
        if (!(state >> 6 & 1) && cache_word(r->p->m, addr + r->p->l.ascii + 8, &utf8) && utf8 &&
            cache_word(r->p->m, addr + r->p->l.ascii, &w[0]) && w[0] < w[2] * 4 + 1)
                size += w[0] + 1;
        *ret = size;
        return true;
}

/* bytes: 33 with nothing in it. bytearray: its object and ob_alloc, which follows ob_size (bytearrayobject.h). */
static bool read_bytes(const Referents *r, uint64_t addr, TypeKind kind, uint64_t *ret) {
        uint64_t basic, size;

        if (kind == TYPE_STR)
                return text_bytes(r, addr, ret);
        if (!cache_word(r->p->m, (kind == TYPE_BYTES ? r->bytes_type : r->bytearray_type) + TP_BASICSIZE, &basic) ||
            !cache_word(r->p->m, addr + OB_SIZE + (kind == TYPE_BYTES ? 0 : 8), &size) || size > UINT64_C(1) << 47 ||
            basic > 256)
                return false;
        *ret = basic + size;
        return true;
}

static void add(Referents *r, uint64_t addr, TypeKind kind, bool large) {
        Referent *set = large ? r->large : r->set, *at = slot(set, large ? REFERENTS_LARGE_MAX : REFERENTS_MAX, addr);
        PythonCount *count = large ? r->large_count : r->count;
        uint64_t bytes;

        if (at->addr == addr || !read_bytes(r, addr, kind, &bytes))
                return;
        *at = (Referent){.addr = addr, .kind = kind, .bytes = bytes};
        count[kind].n_objects++;
        count[kind].bytes += bytes;
        if (!large && ++r->n >= REFERENTS_MAX / 4 * 3)
                thin_out(r, r->set, REFERENTS_MAX, &r->n, &r->mask, r->count);
        else if (large && ++r->n_large >= REFERENTS_LARGE_MAX / 4 * 3)
                thin_out(r, r->large, REFERENTS_LARGE_MAX, &r->n_large, &r->large_mask, r->large_count);
}

static void visit_dict(Referents *r, uint64_t addr, int depth);
static void visit_array(Referents *r, uint64_t at, uint64_t n, unsigned stride, int depth);

/* No gc list holds it, so nobody else would look into it (an untracked container has no link in its gc header). */
static bool is_untracked(const Referents *r, uint64_t addr) {
        uint64_t next;

        return cache_word(r->p->m, addr - r->p->head_bytes, &next) && next == 0;
}

static void visit_typed(Referents *r, uint64_t addr, uint64_t type, int depth) {
        uint64_t size;

        if (type == r->str_type || type == r->bytes_type || type == r->bytearray_type) {
                bool large = r->arenas->n && !pymalloc_has(r->arenas, addr);

                if (!(hash(addr) & (large ? r->large_mask : r->mask)))
                        add(r, addr,
                            type == r->str_type     ? TYPE_STR
                            : type == r->bytes_type ? TYPE_BYTES
                                                    : TYPE_BYTEARRAY,
                            large);
        } else if (type == r->tuple_type && depth < DEPTH_MAX && is_untracked(r, addr)) {
                if (cache_word(r->p->m, addr + OB_SIZE, &size))
                        visit_array(r, addr + (r->p->minor >= 14 ? 32 : 24), size, 8, depth + 1);
        } else if (type == r->dict_type && depth < DEPTH_MAX && is_untracked(r, addr))
                visit_dict(r, addr, depth + 1);
}

static int ascending(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

void referents_finish(Referents *r) {
        unsigned n = r->n_pending;

        r->n_pending = 0;
        qsort(r->pending, n, sizeof(r->pending[0]), ascending);
        for (unsigned i = 0; i < n && !r->late; i++) {
                uint64_t type;

                if ((i == 0 || r->pending[i] != r->pending[i - 1]) &&
                    cache_word(r->p->m, r->pending[i] + OB_TYPE, &type))
                        visit_typed(r, r->pending[i], type, 0);
                if (i % VISITS_A_CLOCK == 0)
                        r->late = now_mono_usec() >= r->deadline_usec;
        }
}

/* Those of a container in between are looked at in their turn, there are few of them; those of tracked objects later.
 */
static void visit_one(Referents *r, uint64_t addr, int depth) {
        uint64_t type;

        if (addr == 0 || (addr & 7) || addr >= ADDRESS_MAX)
                return;
        if (depth > 0) {
                if (cache_word(r->p->m, addr + OB_TYPE, &type))
                        visit_typed(r, addr, type, depth);
                return;
        }
        r->pending[r->n_pending++] = addr;
        if (r->n_pending == REFERENTS_PENDING)
                referents_finish(r);
}

/* @n pointers, the first of each @stride bytes. */
static void visit_array(Referents *r, uint64_t at, uint64_t n, unsigned stride, int depth) {
        uint64_t chunk[CHUNK];

        if (n > ITEMS_MAX)
                return;
        for (uint64_t left = n * stride / 8; left > 0;) {
                size_t part = (size_t)min_of(left, (uint64_t)CHUNK / (stride / 8) * (stride / 8));

                if (depth > 0 && now_mono_usec() >= r->deadline_usec)
                        r->late = true;
                if (r->late || !cache_read(r->p->m, at, chunk, part * 8))
                        return;
                for (size_t i = 0; i < part; i += stride / 8)
                        visit_one(r, chunk[i], depth);
                at += part * 8;
                left -= part;
        }
}

static void visit_dict(Referents *r, uint64_t addr, int depth) {
        uint64_t word[2]; /* keys, values */
        DictTable t;

        if (!cache_read(r->p->m, addr + DICT_KEYS, word, sizeof(word)) || !types_dict_table(r->p, word[0], &t))
                return;
        if (word[1]) /* keys are shared: attribute names, which the class has too */
                visit_array(r, word[1] + (r->p->minor >= 13 ? 8 : 0), t.n, 8, depth);
        else if (t.entry_bytes == 16)
                visit_array(r, t.entry, t.n * 2, 8, depth);
        else { /* hash, key, value */
                visit_array(r, t.entry + 8, t.n, 24, depth);
                visit_array(r, t.entry + 16, t.n, 24, depth);
        }
}

/* Attributes of an instance: values that it keeps itself (3.11: behind the pointer four words before it; 3.12: three,
 * with its low bit set while it is no dict; 3.13: behind the object), a dict that gc does not track, and __slots__,
 * which lie in the object: any word of it that points to a str is taken for one. */
static void visit_instance(Referents *r, const TypeInfo *type, uint64_t addr) {
        uint64_t word[2];

        if (type->managed_dict && cache_read(r->p->m, addr - 32, word, sizeof(word))) {
                if (r->p->minor == 11 && word[0])
                        visit_array(r, word[0], type->n_values, 8, 0);
                else if (r->p->minor == 12 && (word[1] & 1))
                        visit_array(r, word[1] + 1, type->n_values, 8, 0);
                else
                        visit_one(r, word[1], 0);
        }
        if (type->basic > 16 && type->basic <= INSTANCE_MAX)
                visit_array(r, addr + 16, (type->basic - 16) / 8, 8, 0);
}

void referents_visit(Referents *r, const TypeInfo *type, uint64_t addr, int64_t ob_size) {
        uint64_t word[2];

        if (r->late)
                return;
        switch (type->kind) {
        case TYPE_LIST:
                if (ob_size > 0 && cache_word(r->p->m, addr + LIST_ITEM, word))
                        visit_array(r, word[0], (uint64_t)ob_size, 8, 0);
                break;
        case TYPE_TUPLE:
                if (ob_size > 0)
                        visit_array(r, addr + (r->p->minor >= 14 ? 32 : 24), (uint64_t)ob_size, 8, 0);
                break;
        case TYPE_DICT:
                visit_dict(r, addr, 0);
                break;
        case TYPE_SET: /* key, hash */
                if (cache_read(r->p->m, addr + SET_MASK, word, sizeof(word)) && word[0] < ITEMS_MAX / 2)
                        visit_array(r, word[1], word[0] + 1, 16, 0);
                break;
        default:
                if (type->is_heap)
                        visit_instance(r, type, addr);
                break;
        }
}

PythonCount referents_count(const Referents *r, TypeKind kind) {
        uint64_t every = r->mask + 1, large_every = r->large_mask + 1;

        return (PythonCount){r->count[kind].n_objects * every + r->large_count[kind].n_objects * large_every,
                             r->count[kind].bytes * every + r->large_count[kind].bytes * large_every};
}

uint64_t referents_every(const Referents *r) {
        return max_of(r->mask, r->large_mask) + 1;
}
