/* SPDX-License-Identifier: Apache-2.0
 *
 * The table as JSON Schema (draft 2020-12), for editors and for CI of people who have no plateau at hand. It is looser
 * than the loader where JSON Schema cannot say it (ranges of text with units, one key against another), never stricter
 * but in one point: text must be quoted where YAML would make it a number.
 */
#include "settings/load.h"

#include <string.h>

#include "settings/value.h"

/* The default in the type that the schema gives it: 8 and true are not "8" and "true". */
static void add_default(const SchemaRow *row, Json *j) {
        const char *text = row->initial ? row->initial : row->zero_word;
        bool is_zero_word = text && row->zero_word && strcmp(text, row->zero_word) == 0;
        uint64_t field = 0; /* as large as the two types that are read here */
        _cleanup_buf_ Buf why = BUF_NULL;

        if (!text || row->type->node != NODE_TEXT)
                return;
        json_key(j, "default");
        if (row->type == &value_bool && row->type->read(row, text, &field, &why) == 0)
                json_bool(j, *(const bool *)&field);
        else if (row->type == &value_uint && !is_zero_word && row->type->read(row, text, &field, &why) == 0)
                json_double(j, value_number(row, &field));
        else
                json_str(j, text);
}

static void add_row(const SchemaRow *row, Json *j) {
        _cleanup_buf_ Buf text = BUF_NULL;

        buf_addf(&text, "%s. Allowed: ", row->help);
        value_allowed(row, &text);
        buf_addc(&text, '.');
        json_object_begin(j);
        json_kv_string(j, "description", buf_str(&text));
        if (row->zero_word) {
                json_key(j, "anyOf");
                json_array_begin(j);
                json_object_begin(j);
                json_kv_string(j, "const", row->zero_word);
                json_object_end(j);
                json_object_begin(j);
                row->type->json(row, j);
                json_object_end(j);
                json_array_end(j);
        } else
                row->type->json(row, j);
        add_default(row, j);
        json_object_end(j);
}

static void add_object(const char *section, Json *j);

/* The list of targets is a section whose children are in "targets[]". */
static void add_section(const SchemaSection *s, Json *j) {
        json_object_begin(j);
        json_kv_string(j, "description", s->help);
        if (strcmp(s->key, "targets") == 0) {
                json_kv_string(j, "type", "array");
                json_kv_u64(j, "minItems", 1);
                json_kv_u64(j, "maxItems", SETTINGS_TARGETS_MAX);
                json_key(j, "items");
                json_object_begin(j);
                add_object("targets[]", j);
                json_object_end(j);
        } else
                add_object(s->key, j);
        json_object_end(j);
}

static void add_required(const char *section, Json *j) {
        const char *name = strcmp(section, "") == 0 ? "targets" : strcmp(section, "targets[]") == 0 ? "match" : NULL;

        if (strcmp(section, "targets[].match") == 0) { /* exactly one */
                json_kv_u64(j, "minProperties", 1);
                json_kv_u64(j, "maxProperties", 1);
        }
        if (!name)
                return;
        json_key(j, "required");
        json_array_begin(j);
        json_str(j, name);
        json_array_end(j);
}

/* Depth is the table's: four levels. */
static void add_object(const char *section, Json *j) {
        const char *name;

        json_kv_string(j, "type", "object");
        json_key(j, "additionalProperties");
        json_bool(j, false);
        add_required(section, j);
        json_key(j, "properties");
        json_object_begin(j);
        for (unsigned i = 0; i < schema_n_rows; i++)
                if ((name = schema_is_child(schema_rows[i].key, section))) {
                        json_key(j, name);
                        add_row(&schema_rows[i], j);
                }
        for (unsigned i = 0; i < schema_n_sections; i++)
                if ((name = schema_is_child(schema_sections[i].key, section))) {
                        json_key(j, name);
                        add_section(&schema_sections[i], j);
                }
        json_object_end(j);
}

static void add_break(Buf *b, unsigned depth) {
        buf_addf(b, "\n%*s", (int)(depth * 2), "");
}

/* The writer makes one line; a file in a repository wants lines that can be compared. */
static void add_indented(Buf *b, const char *json) {
        bool in_string = false;
        unsigned depth = 0;

        for (const char *p = json; *p; p++) {
                bool opens = *p == '{' || *p == '[', closes = *p == '}' || *p == ']';

                if (in_string) {
                        buf_addc(b, *p);
                        if (*p == '\\' && p[1])
                                buf_addc(b, *++p);
                        else if (*p == '"')
                                in_string = false;
                        continue;
                }
                in_string = *p == '"';
                if (closes)
                        add_break(b, --depth);
                buf_addc(b, *p);
                if (opens)
                        depth++;
                if (opens || *p == ',')
                        add_break(b, depth);
                if (*p == ':')
                        buf_addc(b, ' ');
        }
        buf_addc(b, '\n');
}

void settings_schema_json(Buf *b) {
        _cleanup_buf_ Buf line = BUF_NULL;
        Json j = JSON_INIT(&line);

        json_object_begin(&j);
        json_kv_string(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
        json_kv_string(&j, "title", "Configuration of plateaud");
        add_object("", &j);
        json_object_end(&j);
        if (line.failed || j.failed)
                b->failed = true;
        else
                add_indented(b, buf_str(&line));
}
