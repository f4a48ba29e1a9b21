/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/walk.h"

#include <string.h>
#include <time.h>

#include "util/clock.h"

#define STEPS_KEPT           4096u /* how far back a torn walk can go */
#define STEPS_A_CLOCK        256u  /* objects between two looks at the time */
#define BACKTRACKS_MAX       20000u
#define RESTARTS_MAX         8u
#define YOUNG_TRIES          4u
#define SHORT_TRIES          100u
#define OB_SIZE_MAX          (INT64_C(1) << 36)
#define LIST_FLAGS           3ULL /* of a link: see locate.c */
#define COLLECTION_POLL_NSEC 1000000L

typedef struct Step {
        uint64_t node, bytes;
        uint16_t entry;
} Step;

/* The last steps made in a list. */
typedef struct Track {
        Step kept[STEPS_KEPT];
        uint64_t n;
} Track;

typedef struct Walk {
        const Python *p;
        const PythonHeap *heap;
        Types *types;
        WalkFn fn;
        void *userdata;
        uint64_t deadline_usec;
        unsigned generation;     /* where it is counted */
        Track tracks[2], *track; /* of the young lists, of the old ones: that one is gone on with later */
        unsigned n_back;
        WalkResult *result;
} Walk;

/* A gc header and the object behind it, in one read. */
typedef struct Node {
        uint64_t next, prev, type;
        int64_t size;
} Node;

static bool read_node(Walk *w, uint64_t at, bool fresh, Node *ret) {
        uint64_t raw[7]; /* header of at most 32 bytes, count, type, size */
        size_t n = w->p->head_bytes + 24u;

        if ((at & 7) || !(fresh ? cache_fresh(w->p->m, at, raw, n) : cache_read(w->p->m, at, raw, n)))
                return false;
        *ret = (Node){.next = raw[0] & ~LIST_FLAGS,
                      .prev = raw[1] & ~LIST_FLAGS,
                      .type = raw[w->p->head_bytes / 8 + 1],
                      .size = (int64_t)raw[w->p->head_bytes / 8 + 2]};
        return true;
}

static bool is_late(const Walk *w) {
        return now_mono_usec() >= w->deadline_usec;
}

/* While a collection runs, the links of the generation that it collects hold something else. */
static bool wait_for_collection(Walk *w) {
        int32_t collecting = 0;

        while (w->heap->collecting && cache_fresh(w->p->m, w->heap->collecting, &collecting, sizeof(collecting)) &&
               collecting == 1) {
                if (is_late(w))
                        return false;
                nanosleep(&(struct timespec){.tv_nsec = COLLECTION_POLL_NSEC}, NULL);
        }
        return true;
}

/* Values beside keys that are shared. From 3.13 on they may lie in the instance, with which they are counted:
 * PyDictValues is capacity, size, embedded, valid, a byte each. */
static bool has_own_values(Walk *w, uint64_t values) {
        unsigned char head[4];

        return values && (w->p->minor <= 12 || (cache_read(w->p->m, values, head, sizeof(head)) && !head[2]));
}

/* What a list, dict or set has besides itself. */
static uint64_t table_bytes(Walk *w, const TypeInfo *type, uint64_t addr) {
        uint64_t word[2];
        DictTable t;

        switch (type->kind) {
        case TYPE_LIST:
                return cache_read(w->p->m, addr + LIST_ITEM, word, sizeof(word)) && word[0] &&
                                       word[1] < (uint64_t)OB_SIZE_MAX
                               ? word[1] * 8
                               : 0;
        case TYPE_SET: /* 16 bytes a slot; the first eight lie in the object */
                return cache_read(w->p->m, addr + SET_MASK, word, sizeof(word)) && word[1] != addr + SET_SMALLTABLE &&
                                       word[0] < (uint64_t)OB_SIZE_MAX
                               ? (word[0] + 1) * 16
                               : 0;
        case TYPE_DICT: /* keys that instances share belong to their class */
                if (!cache_read(w->p->m, addr + DICT_KEYS, word, sizeof(word)) || !types_dict_table(w->p, word[0], &t))
                        return 0;
                return (t.refs == 1 ? t.bytes : 0) + (has_own_values(w, word[1]) ? t.n_max * 8 : 0);
        default:
                return 0;
        }
}

/* Items behind the object: ob_size is negative for a negative int, and from 3.12 on an int has a tag there: digits << 3
 * | sign (Include/cpython/longintrepr.h). Generators and frames have an item size but no ob_size since 3.11: a pointer
 * lies there. */
static uint64_t n_items(const Walk *w, const TypeInfo *type, const Node *n) {
        if (!type->item || n->size > OB_SIZE_MAX || n->size < -OB_SIZE_MAX)
                return 0;
        return (uint64_t)(n->size < 0 ? -n->size : n->size) >> (type->is_int && w->p->minor >= 12 ? 3 : 0);
}

static uint64_t object_bytes(Walk *w, const TypeInfo *type, const Node *n, uint64_t addr) {
        return type->before + ((type->basic + n_items(w, type, n) * type->item + 7) & ~7ULL) +
               table_bytes(w, type, addr);
}

static void keep_step(Walk *w, uint64_t at, uint16_t entry, uint64_t bytes) {
        PythonCount *c = &w->types->entry[entry].count[w->generation];

        w->track->kept[w->track->n++ % STEPS_KEPT] = (Step){.node = at, .bytes = bytes, .entry = entry};
        c->n_objects++;
        c->bytes += bytes;
}

/* Counts the object; false if it is none. */
static bool count(Walk *w, uint64_t at, const Node *n) {
        const TypeInfo *type = types_get(w->types, n->type);
        uint64_t addr = at + w->p->head_bytes;

        if (!type)
                return false;
        keep_step(w, at, type->entry, object_bytes(w, type, n, addr));
        if (w->fn)
                w->fn(w->userdata, type, addr, n->size);
        return true;
}

/* Is @at in its list as the process has it now: do both neighbours know it? */
static bool is_in_place(Walk *w, uint64_t at, Node *ret) {
        uint64_t forth, back;

        return read_node(w, at, true, ret) && cache_fresh(w->p->m, ret->prev, &forth, sizeof(forth)) &&
               cache_fresh(w->p->m, ret->next + 8, &back, sizeof(back)) && (forth & ~LIST_FLAGS) == at &&
               (back & ~LIST_FLAGS) == at;
}

typedef enum ListEnd {
        LIST_GOES_ON,
        LIST_DONE,
        LIST_LATE,  /* no time left */
        LIST_TORN,  /* neighbours that do not agree */
        LIST_AGAIN, /* from its head, if at all */
} ListEnd;

/* Goes back to the last counted object that still is in place; what was counted behind it is taken back. */
static ListEnd go_back(Walk *w, uint64_t *prev, uint64_t *node) {
        Track *t = w->track;
        uint64_t oldest = t->n > STEPS_KEPT ? t->n - STEPS_KEPT : 0;

        w->result->n_retries++;
        if (!wait_for_collection(w))
                return LIST_LATE;
        while (w->n_back < BACKTRACKS_MAX && t->n > oldest) {
                Step *s = &t->kept[(t->n - 1) % STEPS_KEPT];
                PythonCount *c = &w->types->entry[s->entry].count[w->generation];
                Node n;

                w->n_back++;
                if (is_in_place(w, s->node, &n)) {
                        *prev = s->node;
                        *node = n.next;
                        return LIST_GOES_ON;
                }
                c->n_objects--;
                c->bytes -= s->bytes;
                t->n--;
        }
        return LIST_AGAIN;
}

/* The object behind @prev as the process has it now. Return: LIST_DONE: the list ends there. LIST_AGAIN: it leads out
 * of the list: what we stood on was moved to another, or to the collector's own, whose heads are no objects. */
static ListEnd step_fresh(Walk *w, uint64_t head, uint64_t *prev, uint64_t *ret_next) {
        uint64_t link, node;
        Node n;

        if (!cache_fresh(w->p->m, *prev, &link, sizeof(link)))
                return LIST_TORN;
        node = link & ~LIST_FLAGS;
        if (node == head)
                return LIST_DONE;
        if (!read_node(w, node, true, &n) || n.prev != *prev)
                return LIST_TORN;
        if (!count(w, node, &n))
                return LIST_AGAIN;
        *prev = node;
        *ret_next = n.next;
        return LIST_GOES_ON;
}

/* One list, behind @prev (its head, or the object that was its last) to the end. */
static ListEnd walk_list(Walk *w, uint64_t head, uint64_t *prev) {
        uint64_t node = 0, mark = 0;

        for (uint64_t i = 0;; i++) {
                ListEnd end = LIST_GOES_ON;
                Node n;

                if (i % STEPS_A_CLOCK == 0 && is_late(w))
                        return LIST_LATE;
                if (node && node != head && read_node(w, node, false, &n) && n.prev == *prev && count(w, node, &n)) {
                        *prev = node;
                        node = n.next;
                } else
                        end = step_fresh(w, head, prev, &node); /* what the cache has may be of two times */
                if (end == LIST_TORN)
                        end = go_back(w, prev, &node);
                if (end != LIST_GOES_ON)
                        return end;
                if (*prev == mark)
                        return LIST_AGAIN; /* a ring without our head: Brent's search for one */
                if ((i & (i - 1)) == 0)
                        mark = *prev;
        }
}

/* What tells that a collection has been. */
typedef struct Collections {
        uint64_t runs[3];
        int32_t counts[3]; /* of the oldest two: collections of the next younger one since its own last */
} Collections;

static void read_collections(Walk *w, Collections *ret) {
        Collections c = {0};

        for (unsigned i = 0; i < 3; i++) {
                uint64_t at = w->heap->generations + (uint64_t)i * w->p->stride;

                /* int threshold, count: behind the head, which is aligned to 16 where it has 32 bytes */
                if (!cache_fresh(w->p->m, at + w->p->stride - (w->p->stride == 48 ? 12 : 4), &c.counts[i],
                                 sizeof(c.counts[i])) ||
                    (w->heap->stats && !cache_fresh(w->p->m, w->heap->stats + i * 24, &c.runs[i], sizeof(c.runs[i]))))
                        break;
        }
        *ret = c;
}

static bool was_full(const Walk *w, const Collections *a, const Collections *b) {
        return w->heap->stats ? a->runs[2] != b->runs[2] : b->counts[2] < a->counts[2];
}

static bool was_any(const Collections *a, const Collections *b) {
        return memcmp(a->runs, b->runs, sizeof(a->runs)) != 0 || a->counts[1] != b->counts[1] ||
               a->counts[2] != b->counts[2];
}

static ListEnd walk_generation(Walk *w, unsigned generation, uint64_t *prev) {
        uint64_t head =
                generation == 3 ? w->heap->permanent : w->heap->generations + (uint64_t)generation * w->p->stride;

        w->generation = generation;
        w->track = &w->tracks[generation >= 2];
        if (*prev == 0) {
                *prev = head;
                w->track->n = 0;
        }
        return walk_list(w, head, prev);
}

/* A young list is emptied by each collection under a reader that stands in it. It is short: from its head again. */
static ListEnd walk_short(Walk *w, unsigned generation) {
        ListEnd end = LIST_AGAIN;

        for (unsigned i = 0; i < SHORT_TRIES && end == LIST_AGAIN; i++) {
                uint64_t prev = 0;

                types_clear(w->types, generation);
                end = walk_generation(w, generation, &prev);
        }
        return end;
}

/* The young ones, and what a collection moved up from them meanwhile, which is at the old one's end. */
static ListEnd walk_young(Walk *w, const Collections *first, uint64_t *old_prev) {
        for (unsigned tries = 0;; tries++) {
                Collections before, after;
                ListEnd end = LIST_DONE;

                read_collections(w, &before);
                if (was_full(w, first, &before))
                        return LIST_AGAIN;
                if (tries > 0)
                        end = walk_generation(w, 2, old_prev);
                if (end == LIST_DONE)
                        end = walk_short(w, 1);
                if (end == LIST_DONE)
                        end = walk_short(w, 0);
                read_collections(w, &after);
                if (end != LIST_DONE || !was_any(&before, &after) || tries == YOUNG_TRIES)
                        return end; /* or it collects without pause: off by no more than the young ones */
                w->result->n_retries++;
        }
}

static ListEnd walk_once(Walk *w) {
        uint64_t prev3 = 0, prev2 = 0;
        Collections first;
        ListEnd end = LIST_DONE;

        cache_forget(w->p->m);
        for (unsigned g = 0; g < PYTHON_GENERATIONS; g++)
                types_clear(w->types, g);
        if (!wait_for_collection(w))
                return LIST_LATE;
        read_collections(w, &first);
        if (w->heap->permanent)
                end = walk_generation(w, 3, &prev3);
        if (end == LIST_DONE)
                end = walk_generation(w, 2, &prev2);
        return end == LIST_DONE ? walk_young(w, &first, &prev2) : end;
}

void walk_run(const Python *p, const PythonHeap *heap, Types *types, uint64_t deadline_usec, WalkFn fn, void *userdata,
              WalkResult *ret) {
        static Walk w; /* too large for the stack */
        ListEnd end = LIST_AGAIN;

        w = (Walk){.p = p,
                   .heap = heap,
                   .types = types,
                   .fn = fn,
                   .userdata = userdata,
                   .deadline_usec = deadline_usec,
                   .result = ret};
        *ret = (WalkResult){0};
        for (unsigned i = 0; i < RESTARTS_MAX && end == LIST_AGAIN; i++) {
                w.n_back = 0;
                end = walk_once(&w);
        }
        types_commit(types);
        ret->complete = end == LIST_DONE;
        ret->torn = end == LIST_AGAIN;
}
