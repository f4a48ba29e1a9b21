/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON writer on a Buf. It keeps track of commas and nesting, escapes every string, replaces invalid UTF-8 by
 * U+FFFD (process names are arbitrary bytes, RFC 8259 text is not) and writes non-finite numbers as null. It does not
 * read JSON.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

#define JSON_DEPTH_MAX 32

typedef struct Json {
        Buf *buf;
        unsigned depth;
        bool need_comma[JSON_DEPTH_MAX];
        bool after_key;
        bool failed; /* nested deeper than JSON_DEPTH_MAX */
} Json;

#define JSON_INIT(b) ((Json){.buf = (b)})

/* json_*_begin(), json_*_end() - one level; an end without its begin sets `failed`. */
void json_object_begin(Json *j);
void json_object_end(Json *j);
void json_array_begin(Json *j);
void json_array_end(Json *j);
/* json_key() - the next value's name inside an object. */
void json_key(Json *j, const char *key);

/* json_TYPE() - one value: in an array, after json_key(), or alone. (str and nil, because jansson has a json_string()
 * and a json_null(): a program that links it would give it ours.) */
void json_str(Json *j, const char *s); /* NULL writes null */
void json_u64(Json *j, uint64_t v);
void json_i64(Json *j, int64_t v);
void json_double(Json *j, double v); /* shortest of %.6g/%.17g kept simple: %.9g; NaN and Inf become null */
void json_bool(Json *j, bool v);
void json_nil(Json *j);

/* json_kv_*() - key and value at once. */
void json_kv_string(Json *j, const char *key, const char *s);
void json_kv_u64(Json *j, const char *key, uint64_t v);
void json_kv_i64(Json *j, const char *key, int64_t v);
void json_kv_double(Json *j, const char *key, double v);
void json_kv_bool(Json *j, const char *key, bool v);
void json_kv_null(Json *j, const char *key);
/* json_kv_u64_or_null() - @v, or null when !@known: the figure is right or it is absent. */
void json_kv_u64_or_null(Json *j, const char *key, bool known, uint64_t v);

/* json_escape() - append @n bytes of @s as the inside of a JSON string (no quotes), for writers without a Json. C1
 * controls are escaped too: U+009B is a terminal's CSI, and logs are read on terminals. */
void json_escape(Buf *b, const char *s, size_t n);
/* json_escape_text() - the same for plain text: one line, nothing a terminal obeys, but quotes stay as they are. */
void json_escape_text(Buf *b, const char *s, size_t n);
