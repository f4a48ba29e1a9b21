/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of settings: each knows how to read its text, to write it so that it loads again, to say in words what it
 * allows, and to describe itself in JSON Schema. Text from a file or an environment variable goes through the same
 * readers.
 */
#pragma once

#include "settings/schema.h"
#include "settings/tree.h"
#include "util/json.h"

struct ValueType {
        const char *noun; /* "a duration": completes "is not ..." */
        const char *example;
        NodeKind node;    /* NODE_TEXT: read() does it; NODE_LIST and NODE_MAP: add(), once an item */
        bool plain;       /* quoted text is not of this type: "true" is a string, true is not */
        bool secret;      /* may hold a password: never shown whole in a message */

        /* read() - Return: 0; -EINVAL: not of the form; -ERANGE: of the form, not allowed; -ENOMEM. @why may be given a
         * phrase that completes the sentence: "has no unit". @dest untouched on failure. */
        int (*read)(const SchemaRow *row, const char *text, void *dest, Buf *why);
        /* check() - what a text type demands beyond its length; the same returns as read(). */
        int (*check)(const SchemaRow *row, const char *text, Buf *why);
        /* add() - one item of a list (@key NULL) or mapping; the same returns as read(). */
        int (*add)(const SchemaRow *row, const char *key, const char *text, void *dest, Buf *why);
        void (*write)(const SchemaRow *row, const void *src, Buf *b);
        /* allowed() - "a duration from 100ms to 10m, such as 30s". NULL: noun and example say it. */
        void (*allowed)(const SchemaRow *row, Buf *b);
        /* json() - the inside of a JSON Schema object. */
        void (*json)(const SchemaRow *row, Json *j);
};

/* settings/value.c */
extern const ValueType value_bool, value_uint, value_bytes, value_duration, value_ratio, value_enum, value_signal;
/* settings/text.c */
extern const ValueType value_text, value_path, value_exe, value_regex, value_unit, value_service, value_url,
        value_listen, value_true, value_object, value_condition;
/* settings/list.c */
extern const ValueType value_argv, value_labels, value_ports;
/* settings/ladder.c: value_set is a set of row->names, 1 << value */
extern const ValueType value_growth, value_eta, value_set, value_windows;

/* value_allowed() - what a row allows, zero word included. */
void value_allowed(const SchemaRow *row, Buf *b);
/* value_number() - a row's value to compare. Return: NaN for types that are not numbers; 0 for value_eta's auto, as if
 * it was not set. */
double value_number(const SchemaRow *row, const void *src);
/* value_quote() - @text for a message: quoted, and without the password if it is a URL that has one. */
void value_quote(const SchemaRow *row, const char *text, Buf *b);
/* yaml_quote() - @s in double quotes, as YAML reads it back. */
void yaml_quote(Buf *b, const char *s);
/* json_pattern() - {"type": "string", "pattern": ...}'s two members. */
void json_pattern(Json *j, const char *pattern);
