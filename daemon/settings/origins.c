/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/origins.h"

#include <stdlib.h>
#include <string.h>

int origins_new(const char *file, SettingsOrigins **ret) {
        SettingsOrigins *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        while (o->n_target_rows < schema_n_rows && schema_is_target(&schema_rows[o->n_target_rows]))
                o->n_target_rows++;
        o->file = strdup(file);
        o->items =
                calloc(SETTINGS_TARGETS_MAX * o->n_target_rows + (schema_n_rows - o->n_target_rows), sizeof(*o->items));
        if (!o->file || !o->items) {
                settings_origins_free(o);
                return -ENOMEM;
        }
        *ret = o;
        return 0;
}

SettingsOrigins *settings_origins_free(SettingsOrigins *o) {
        if (o) {
                free(o->file);
                free(o->items);
                free(o);
        }
        return NULL;
}

const Origin *origins_at_const(const SettingsOrigins *o, const SchemaRow *row, unsigned target) {
        unsigned i = (unsigned)(row - schema_rows);

        /* the rows of a target come first in the table; a test holds it to that */
        return &o->items[i < o->n_target_rows ? target * o->n_target_rows + i
                                              : (SETTINGS_TARGETS_MAX - 1) * o->n_target_rows + i];
}

Origin *origins_at(SettingsOrigins *o, const SchemaRow *row, unsigned target) {
        return (Origin *)origins_at_const(o, row, target);
}

const Origin *origins_find(const SettingsOrigins *o, const char *key, unsigned target) {
        return origins_at_const(o, schema_find(key), target);
}

void key_show(Buf *b, const char *key, unsigned target) {
        const char *list = "targets[]";

        if (strncmp(key, list, strlen(list)) == 0)
                buf_addf(b, "targets[%u]%s", target, key + strlen(list));
        else
                buf_adds(b, key);
}
