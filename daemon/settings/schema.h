/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of settings: a row a key, with its type, its place in Settings, default, range and help. The loader,
 * the checks, --dump-config, the help text and the JSON Schema all walk this table and know no key by themselves.
 * Defaults and ranges are written as an operator would write them and are read by the same parsers; a test reads every
 * one.
 */
#pragma once

#include <stddef.h>

#include "settings/settings.h"

#define SCHEMA_KEY_MAX 64           /* longest dotted key with an index: "targets[15].match.pidfile" */
#define SCHEMA_TARGET "targets[]."  /* rows with this prefix live in a TargetSpec, all others in Settings */

typedef struct ValueType ValueType; /* settings/value.h */

/* The words of an enumeration; ends with a NULL name. */
typedef struct EnumName {
        const char *name;
        int value;
} EnumName;

typedef struct SchemaRow {
        const char *key;         /* dotted */
        const ValueType *type;
        size_t offset, size;     /* of the field, in Settings or TargetSpec */
        const char *initial;     /* default; NULL: none, the key may be left out */
        const char *min, *max;   /* inclusive; NULL: the type's own */
        const char *zero_word;   /* how 0 or "" is written: none, auto. NULL: it is not a special case */
        const EnumName *names;   /* value_enum, value_signal */
        const char *environment; /* variable that overrides the file, or NULL */
        TargetMatch match;       /* targets[].match.*: what choosing this key means */
        const char *help;        /* one sentence without a full stop */
} SchemaRow;

/* A mapping or list that holds rows: for help, the JSON Schema, and to tell "not a key" from "not a value". */
typedef struct SchemaSection {
        const char *key, *help;
} SchemaSection;

extern const SchemaRow schema_rows[];
extern const unsigned schema_n_rows;
extern const SchemaSection schema_sections[];
extern const unsigned schema_n_sections;

/* schema_find() - row of a dotted key. Return: NULL when there is none. */
const SchemaRow *schema_find(const char *key);
const SchemaSection *schema_find_section(const char *key);
bool schema_is_target(const SchemaRow *row);

/* schema_field() - the row's place in @s. @target: index, for rows of a target; ignored for others. */
void *schema_field(const SchemaRow *row, Settings *s, unsigned target);
const void *schema_field_const(const SchemaRow *row, const Settings *s, unsigned target);

/* schema_defaults() - the defaults of all rows of a target (@targets), or of all others. Return: 0; -ENOMEM. */
int schema_defaults(Settings *s, bool targets, unsigned target) _must_check_;

/**
 * schema_is_child() - @key stands directly under @section
 * @section: "" is the top
 * Return: its own name, the last part of @key; NULL when it is not a direct child.
 */
const char *schema_is_child(const char *key, const char *section);

/**
 * schema_nearest() - the known name that is likest to @name, as a child of @section
 * Return: NULL when none is near. Source: see near.c. At most a third of the name may differ.
 */
const char *schema_nearest(const char *section, const char *name);
/* schema_elsewhere() - the first row in another section whose last part is @name. Return: its whole key or NULL. */
const char *schema_elsewhere(const char *section, const char *name);
/* nearest_word() - the same distance on a list of words. @words: ends with NULL. */
const char *nearest_word(const char *const *words, const char *name);
