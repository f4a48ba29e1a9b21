/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lines.h"

#include <limits.h>
#include <string.h>

#include "kube/fields.h"

#define KEEP_BYTES ((size_t)16 << 10) /* an idle watch holds no more */

void kube_lines_done(KubeLines *l) {
        free(l->buf);
        *l = (KubeLines){0};
}

int kube_lines_feed(KubeLines *l, const char *p, size_t n) {
        size_t unread = l->end - l->begin;

        if (n > KUBE_LINE_MAX || unread > KUBE_LINE_MAX - n)
                return -EMSGSIZE;
        if (l->end + n > l->cap && l->begin > 0) {
                memmove(l->buf, l->buf + l->begin, unread);
                l->seen -= l->begin;
                l->end = unread;
                l->begin = 0;
        }
        if (l->end + n > l->cap) {
                size_t needed = max_of(l->end + n, (size_t)4096), cap = max_of(2 * l->cap, needed);
                char *q = realloc(l->buf, cap);

                if (!q)
                        return -ENOMEM;
                l->buf = q;
                l->cap = cap;
        }
        if (n > 0)
                memcpy(l->buf + l->end, p, n);
        l->end += n;
        return 0;
}

bool kube_lines_next(KubeLines *l, const char **ret, size_t *ret_len) {
        char *at = l->seen < l->end ? memchr(l->buf + l->seen, '\n', l->end - l->seen) : NULL;

        if (at) {
                *ret = l->buf + l->begin;
                *ret_len = (size_t)(at - *ret);
                l->begin = l->seen = (size_t)(at + 1 - l->buf);
                return true;
        }
        l->seen = l->end;
        if (l->begin == l->end) {
                if (l->cap > KEEP_BYTES)
                        kube_lines_done(l);
                else
                        l->begin = l->end = l->seen = 0;
        }
        return false;
}

static bool type_parse(const char *text, KubeLineType *ret) {
        static const char *const names[_KUBE_LINE_TYPE_MAX] = {
                [KUBE_LINE_ADDED] = "ADDED",       [KUBE_LINE_MODIFIED] = "MODIFIED", [KUBE_LINE_DELETED] = "DELETED",
                [KUBE_LINE_BOOKMARK] = "BOOKMARK", [KUBE_LINE_ERROR] = "ERROR",
        };

        for (unsigned i = 0; i < _KUBE_LINE_TYPE_MAX; i++)
                if (strcmp(text, names[i]) == 0) {
                        *ret = (KubeLineType)i;
                        return true;
                }
        return false;
}

int kube_line_parse(const char *line, size_t len, KubeLine *ret) {
        json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), *object = json_object_get(o, "object");
        KubeLine l = {0};
        uint64_t code = 0;

        if (!type_parse(kube_field_str(o, "type"), &l.type) || !json_is_object(object) ||
            (!kube_field_text(object, "metadata resourceVersion", l.version, sizeof(l.version)) &&
             l.type != KUBE_LINE_ERROR)) {
                json_decref(o);
                return -EBADMSG;
        }
        if (l.type == KUBE_LINE_ERROR && kube_field_u64(object, "code", &code))
                l.code = (int)min_of(code, (uint64_t)INT_MAX);
        l.object = json_incref(object);
        json_decref(o);
        *ret = l;
        return 0;
}
