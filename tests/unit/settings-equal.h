/* SPDX-License-Identifier: Apache-2.0
 *
 * Are two Settings the same? They own strings (the hook), so bytes alone do not say; everything else is plain data that
 * the loader zero-fills, so bytes do. Used by unit tests and by the fuzzer.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"
#include "util/cleanup.h"

/* settings_without_hook() - a copy to compare. Owner: caller, free() alone: the strings are not its own. */
static inline Settings *settings_without_hook(const Settings *s) {
        Settings *copy = malloc(sizeof(*copy));

        if (!copy)
                abort();
        memcpy(copy, s, sizeof(*copy)); /* padding too */
        memset(copy->action.hook_argv, 0, sizeof(copy->action.hook_argv));
        return copy;
}

/* settings_equal() - every field, and every argument of the hook. */
static inline bool settings_equal(const Settings *a, const Settings *b) {
        _cleanup_free_ Settings *x = settings_without_hook(a), *y = settings_without_hook(b);

        for (size_t i = 0; i < ELEMENTSOF(a->action.hook_argv); i++) {
                const char *p = a->action.hook_argv[i], *q = b->action.hook_argv[i];

                if (!p != !q || (p && strcmp(p, q) != 0))
                        return false;
        }
        return memcmp(x, y, sizeof(*x)) == 0;
}
