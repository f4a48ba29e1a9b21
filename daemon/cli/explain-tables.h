/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures below the verdict: the lines that RSS adds up from, the cgroup beside it, and with --all every line,
 * arena and size.
 */
#pragma once

#include "cli/explain-view.h"

/* explain_table() - where RSS is. @all: every line; else the large ones and a sum of the rest. */
void explain_table(Screen *s, const Explanation *e, bool all);
/* explain_cgroup() - what counts against its limit, and what does not; nothing where it is not known. @all: its name
 * too. */
void explain_cgroup(Screen *s, const Explanation *e, bool all);
/* explain_long() - arenas, and sizes of chunks. */
void explain_long(Screen *s, const Explanation *e);
