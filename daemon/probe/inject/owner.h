/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose `malloc` a process calls. Not "which allocator is mapped": a plugin may have brought its own, for itself alone
 * (RTLD_LOCAL). What counts is what the dynamic loader resolved `malloc` to, which it wrote into libc.so.6's own
 * reference to it; and where that says nothing, the order in which it searches: the link map's, up to libc.so.6.
 */
#pragma once

#include "probe/inject/dynsym.h"

typedef struct Owner {
        Object object; /* path NULL: not known */
        Dynsym d;
        bool is_libc;
        bool is_program; /* the executable itself, not a library */
} Owner;

/**
 * owner_find() - the object that the process' `malloc` is in
 * @loader: ld.so, whose _r_debug leads to the link map
 * Return: 0; -ENODATA: this loader has loaded nothing here (a static program that loaded libraries); -ENOENT: what
 *         `malloc` leads to is no object's definition of it; as memory_read().
 */
int owner_find(const Maps *maps, const Dynsym *loader, const Dynsym *libc, Owner *ret) _must_check_;

/* owner_program() - the executable, the first of the link map. Return: as above. */
int owner_program(const Maps *maps, const Dynsym *loader, Owner *ret) _must_check_;
