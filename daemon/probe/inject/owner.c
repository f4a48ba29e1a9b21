/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/owner.h"

#include <link.h>
#include <string.h>

#define LINK_MAP_MAX 1024 /* objects; a list that does not end is broken, or somebody's joke */

/* link.h: struct r_debug, struct link_map: the part that debuggers rely on, the same since glibc 2.0. */
static int first_link(const Dynsym *loader, struct link_map *ret) {
        uint64_t at = dynsym_address(loader, "_r_debug");
        struct r_debug debug;
        int r = at ? memory_read(loader->mem, at, &debug, sizeof(debug)) : -ENODATA;

        if (r == 0 && !debug.r_map)
                r = -ENODATA;
        return r < 0 ? r : memory_read(loader->mem, (uint64_t)(uintptr_t)debug.r_map, ret, sizeof(*ret));
}

/* The object that a link-map entry stands for. Its l_ld is where the dynamic section is. */
static int open_link(const Maps *maps, Memory *mem, const struct link_map *l, Owner *ret) {
        int r;

        *ret = (Owner){0};
        if (!object_at(maps, (uint64_t)(uintptr_t)l->l_ld, &ret->object))
                return -ENOENT; /* the vDSO, for one */
        r = dynsym_open(mem, ret->object.first->start, &ret->d);
        return r == 0 && ret->d.dynamic != (uint64_t)(uintptr_t)l->l_ld ? -ENOENT : r;
}

int owner_program(const Maps *maps, const Dynsym *loader, Owner *ret) {
        struct link_map l;
        int r = first_link(loader, &l);

        if (r == 0)
                r = open_link(maps, loader->mem, &l, ret);
        ret->is_program = true;
        return r;
}

static int defines_malloc(const Dynsym *d, uint64_t *ret) {
        Symbol s;
        int r = dynsym_find(d, "malloc", &s, 1);

        if (r == 1)
                *ret = s.address;
        return r;
}

/* The first in the order of search. All that stands before libc.so.6 was loaded at the start, in the global scope:
 * dlopen() appends. */
static int find_by_order(const Maps *maps, const Dynsym *loader, const Dynsym *libc, Owner *ret) {
        struct link_map l;
        uint64_t address;
        int r = first_link(loader, &l);

        for (unsigned i = 0; r == 0 && i < LINK_MAP_MAX; i++) {
                int opened = open_link(maps, loader->mem, &l, ret);

                if (opened == -ETIME || opened == -ESRCH)
                        return opened;
                ret->is_program = i == 0;
                ret->is_libc = opened == 0 && ret->d.dynamic == libc->dynamic;
                if (ret->is_libc || (opened == 0 && defines_malloc(&ret->d, &address) == 1))
                        return 0;
                if (!l.l_next)
                        return -ENODATA;
                r = memory_read(loader->mem, (uint64_t)(uintptr_t)l.l_next, &l, sizeof(l));
        }
        return r < 0 ? r : -ENODATA;
}

/* libc.so.6 calls malloc through a slot, so that another can take its place. One that was not used yet (lazy binding)
 * points into libc's own PLT, and so says nothing. */
static int find_by_slot(const Maps *maps, const Dynsym *libc, Owner *ret) {
        uint64_t slot, address;
        Symbol own;
        int r = dynsym_find(libc, "malloc", &own, 1);

        if (r != 1)
                return r < 0 ? r : -ENOENT;
        slot = dynsym_slot(libc, own.index);
        *ret = (Owner){.is_libc = slot == own.address};
        if (slot == 0 || (slot >= libc->start && slot < libc->end) || !object_at(maps, slot, &ret->object))
                return -ENOENT;
        r = dynsym_open(libc->mem, ret->object.first->start, &ret->d);
        if (r < 0)
                return r;
        return defines_malloc(&ret->d, &address) == 1 && address == slot ? 0 : -ENOENT;
}

int owner_find(const Maps *maps, const Dynsym *loader, const Dynsym *libc, Owner *ret) {
        Owner by_slot, by_order;
        int slot = find_by_slot(maps, libc, &by_slot), order = find_by_order(maps, loader, libc, &by_order);

        if (order < 0 && order != -ENOENT)
                return order;
        if (slot == 0 && by_slot.d.base != by_order.d.base) {
                *ret = by_slot; /* the loader knows more than the order: versions of symbols, say */
                return 0;
        }
        if (by_slot.is_libc && !by_order.is_libc) {
                *ret = (Owner){.d = *libc, .is_libc = true};
                return 0;
        }
        *ret = by_order;
        return order;
}
