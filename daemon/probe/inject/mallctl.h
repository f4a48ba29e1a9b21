/* SPDX-License-Identifier: Apache-2.0
 *
 * jemalloc's mallctl(name, oldp, oldlenp, newp, newlen) as calls of a chain. Its return value is lost, so whether a
 * name exists is seen by what it read: each value is asked for over a filling that no value can be. All versions write
 * it only if the name is there and the length is right (src/ctl.c, READ()).
 */
#pragma once

#include "probe/inject/session.h"

#define MALLCTL_NAME_MAX   48
#define MALLCTL_UNREAD     0x8080808080808080ULL /* as int64_t: below every time; as pointer: not canonical */
#define MALLCTL_ARENAS_MAX 4095u                 /* MALLOCX_ARENA_LIMIT of jemalloc 5 */

typedef struct MallctlValue {
        uint64_t value, length;
        char name[MALLCTL_NAME_MAX];
} MallctlValue;

/* What is asked of every jemalloc: which one is it, and how many arenas has it. */
typedef struct MallctlFacts {
        MallctlValue version; /* const char *: an address in the target */
        MallctlValue narenas; /* unsigned */
} MallctlFacts;

/* mallctl_value() - to be placed in a plan's data. @size: of the value there, 1 to 8 bytes. */
MallctlValue mallctl_value(const char *name, size_t size);
/* mallctl_was_read() - @v came back: did mallctl write @size bytes into it? */
bool mallctl_was_read(const MallctlValue *v, size_t size);

/* mallctl_read() - the value at @offset of the plan's data. */
Call mallctl_read(const Session *s, uint64_t mallctl, size_t offset);
/* mallctl_write() - the @size bytes at @new_offset; what was there before goes to the value at @offset. */
Call mallctl_write(const Session *s, uint64_t mallctl, size_t offset, size_t new_offset, size_t size);
/* mallctl_do() - a name without a value, as "arena.0.purge". */
Call mallctl_do(const Session *s, uint64_t mallctl, size_t name_offset);

/* mallctl_facts() - to be placed in a plan's data. */
MallctlFacts mallctl_facts(void);
/* mallctl_facts_calls() - appends to @plan; the facts are at @offset of its data. */
void mallctl_facts_calls(const Session *s, uint64_t mallctl, size_t offset, SessionPlan *plan);

/* mallctl_version() - "5.3.0" of what came back. Return: the major number; 0 and "" when it could not be read. */
unsigned mallctl_version(const Session *s, const MallctlFacts *f, char *buf, size_t size);
/* mallctl_narenas() - 0 = not known. */
unsigned mallctl_narenas(const MallctlFacts *f);
