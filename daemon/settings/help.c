/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/load.h"

#include <string.h>

#include "settings/value.h"

static void add_section(Buf *b, const char *key) {
        for (unsigned i = 0; i < schema_n_sections; i++) {
                const SchemaSection *s = &schema_sections[i];
                size_t n = strlen(s->key);

                if (strncmp(key, s->key, n) == 0 && key[n] == '.' && !strchr(key + n + 1, '.'))
                        buf_addf(b, "\n%s: %s.\n", s->key, s->help);
        }
}

void settings_help(Buf *b) {
        const char *last = "";
        size_t last_n = 0;

        buf_adds(b, "Settings of plateau's YAML file; values carry their units.\n");
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];
                const char *dot = strrchr(row->key, '.');
                size_t n = dot ? (size_t)(dot - row->key) : 0;
                _cleanup_buf_ Buf allowed = BUF_NULL;

                if (n != last_n || strncmp(row->key, last, n) != 0) {
                        if (n == 0)
                                buf_addc(b, '\n');
                        add_section(b, row->key);
                }
                last = row->key;
                last_n = n;
                value_allowed(row, &allowed);
                buf_addf(b, "\n  %s\n      %s.\n      Allowed: %s.\n", row->key, row->help, buf_str(&allowed));
                if (row->initial)
                        buf_addf(b, "      Default: %s.\n", row->initial);
                else if (row->zero_word)
                        buf_addf(b, "      Default: %s.\n", row->zero_word);
                if (row->environment)
                        buf_addf(b, "      Environment: %s.\n", row->environment);
        }
}
