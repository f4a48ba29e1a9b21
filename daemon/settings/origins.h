/* SPDX-License-Identifier: Apache-2.0
 *
 * Where each value came from: one entry a row and target. Kept beside the Settings for --dump-config, and used by the
 * checks, so that a contradiction is told at the line that a person wrote.
 */
#pragma once

#include "settings/load.h"
#include "settings/problems.h"
#include "settings/schema.h"

typedef struct Origin {
        SettingsOrigin origin;
        bool broken; /* it was given, but wrongly: the default stands in, and nothing may be concluded from it */
        Mark mark;   /* of the value; ORIGIN_FILE only */
} Origin;

struct SettingsOrigins {
        char *file;
        Mark root, targets_mark; /* line 0: no such key */
        bool targets_are_list;
        Mark targets[SETTINGS_TARGETS_MAX]; /* where each list item begins */
        unsigned n_target_rows;
        Origin *items; /* target rows of target 0, 1 ..., then all others */
};

/* origins_new() - everything by default. Return: 0; -ENOMEM. Owner: caller. */
int origins_new(const char *file, SettingsOrigins **ret) _must_check_;
/* origins_at() - the entry of @row. @target: ignored for rows that are not a target's. Owner: @o. */
Origin *origins_at(SettingsOrigins *o, const SchemaRow *row, unsigned target);
const Origin *origins_at_const(const SettingsOrigins *o, const SchemaRow *row, unsigned target);
/* origins_find() - the entry of a dotted key that is known to exist. */
const Origin *origins_find(const SettingsOrigins *o, const char *key, unsigned target);

/* key_show() - "targets[].name" as "targets[3].name"; other keys as they are. */
void key_show(Buf *b, const char *key, unsigned target);
