/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/fields.h"

#include <string.h>

#include "kube/scalars.h"

json_t *kube_field(const json_t *o, const char *path) {
        json_t *v = (json_t *)o; /* borrowed from what the caller may change or not; not changed here */

        while (v && *path) {
                size_t n = strcspn(path, " ");
                char key[128];

                if (n >= sizeof(key))
                        return NULL;
                memcpy(key, path, n);
                key[n] = '\0';
                v = json_object_get(v, key);
                path += n + (path[n] == ' ');
        }
        return v;
}

const char *kube_field_str(const json_t *o, const char *path) {
        const char *s = json_string_value(kube_field(o, path));

        return s ? s : "";
}

bool kube_field_text(const json_t *o, const char *path, char *buf, size_t size) {
        const char *s = kube_field_str(o, path);
        size_t n = strlen(s);

        if (n >= size)
                n = 0;
        memcpy(buf, s, n);
        buf[n] = '\0';
        return n > 0;
}

bool kube_field_u64(const json_t *o, const char *path, uint64_t *ret) {
        const json_t *v = kube_field(o, path);

        if (!json_is_integer(v) || json_integer_value(v) < 0)
                return false;
        *ret = (uint64_t)json_integer_value(v);
        return true;
}

bool kube_field_true(const json_t *o, const char *path) {
        return json_is_true(kube_field(o, path));
}

uint64_t kube_field_time(const json_t *o, const char *path) {
        uint64_t usec;

        return kube_time_parse(kube_field_str(o, path), &usec) < 0 ? 0 : usec;
}

uint64_t kube_field_bytes(const json_t *o, const char *path) {
        uint64_t bytes;

        return kube_quantity_parse(kube_field_str(o, path), &bytes) < 0 ? 0 : bytes;
}

json_t *kube_field_item(const json_t *o, const char *path, const char *key, const char *value) {
        const json_t *list = kube_field(o, path);
        size_t n = json_array_size(list);

        for (size_t i = 0; i < n && i < KUBE_FIELD_LIST_MAX; i++) {
                json_t *item = json_array_get(list, i);

                if (strcmp(kube_field_str(item, key), value) == 0 && *value)
                        return item;
        }
        return NULL;
}

json_t *kube_field_condition(const json_t *o, const char *type) {
        return kube_field_item(o, "status conditions", "type", type);
}
