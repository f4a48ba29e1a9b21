/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/origins.h"

#include <string.h>

#include "settings/value.h"

#define COMMENT_COLUMN 48

/* "# default", "# file:line:col" or "# environment NAME", in one column where the value leaves room. */
static void add_origin(Buf *b, size_t line_start, const SettingsOrigins *o, const SchemaRow *row, unsigned target) {
        const Origin *at = origins_at_const(o, row, target);
        size_t used = b->len - line_start;

        do
                buf_addc(b, ' ');
        while (used++ < COMMENT_COLUMN);
        if (at->origin == ORIGIN_FILE)
                buf_addf(b, "# %s:%u:%u\n", o->file, at->mark.line, at->mark.col);
        else if (at->origin == ORIGIN_ENVIRONMENT)
                buf_addf(b, "# environment %s\n", row->environment);
        else
                buf_adds(b, "# default\n");
}

static bool is_zero(const void *p, size_t n) {
        const char *c = p;

        for (size_t i = 0; i < n; i++)
                if (c[i] != 0)
                        return false;
        return true;
}

static void add_row(Buf *b, unsigned depth, const SchemaRow *row, const Settings *s, const SettingsOrigins *o,
                    unsigned target) {
        const void *field = schema_field_const(row, s, target);
        const char *name = strrchr(row->key, '.');
        size_t start = b->len;

        buf_addf(b, "%*s%s: ", (int)(depth * 2), "", name ? name + 1 : row->key);
        if (row->zero_word && is_zero(field, row->size))
                buf_adds(b, row->zero_word);
        else
                row->type->write(row, field, b);
        add_origin(b, start, o, row, target);
}

/* Opens what the row's section needs and the last one had not. Return: the row's depth. */
static unsigned open_sections(Buf *b, const char *key, const char *last) {
        unsigned depth = 0;

        for (const char *dot = strchr(key, '.'); dot; dot = strchr(dot + 1, '.'), depth++) {
                size_t n = (size_t)(dot - key) + 1, from = n - 1;

                if (strncmp(key, last, n) == 0)
                        continue;
                while (from > 0 && key[from - 1] != '.')
                        from--;
                buf_addf(b, "%s%*s%.*s:\n", depth == 0 ? "\n" : "", (int)(depth * 2), "", (int)(n - 1 - from),
                         key + from);
        }
        return depth;
}

static void add_target(Buf *b, const Settings *s, const SettingsOrigins *o, unsigned target) {
        bool in_match = false;

        buf_adds(b, "  -\n");
        for (unsigned i = 0; i < schema_n_rows && schema_is_target(&schema_rows[i]); i++) {
                const SchemaRow *row = &schema_rows[i];

                if (row->match != TARGET_MATCH_NONE && row->match != s->targets[target].match)
                        continue;
                if (row->match != TARGET_MATCH_NONE && !in_match)
                        buf_adds(b, "    match:\n");
                in_match = row->match != TARGET_MATCH_NONE;
                add_row(b, in_match ? 3 : 2, row, s, o, target);
        }
}

void settings_dump(Buf *b, const Settings *s, const SettingsOrigins *o) {
        const char *last = "";

        buf_addf(b, "# What %s comes to, with where each value is from.\n\ntargets:\n", o->file);
        for (unsigned i = 0; i < s->n_targets; i++)
                add_target(b, s, o, i);
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];
                unsigned depth;

                if (schema_is_target(row))
                        continue;
                if (!strchr(row->key, '.'))
                        buf_adds(b, strchr(last, '.') ? "\n" : "");
                depth = open_sections(b, row->key, last);
                last = row->key;
                if (strcmp(row->key, "policy.rotate.enabled") == 0 && s->action.rotate_method == ROTATE_NONE &&
                    origins_at_const(o, row, 0)->origin == ORIGIN_DEFAULT) {
                        /* said, not set: "enabled: false" would still be there when somebody adds a method */
                        buf_addf(b, "%*s# rotation is off: method is none\n", (int)(depth * 2), "");
                        continue;
                }
                add_row(b, depth, row, s, o, 0);
        }
}
