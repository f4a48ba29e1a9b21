/* SPDX-License-Identifier: Apache-2.0
 *
 * A watch as it comes over the wire: pieces of any size in, whole lines out, one JSON object each. Pure. What stands
 * behind the last line break is never looked at: it ends with its connection.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

#define KUBE_LINE_MAX ((size_t)2 << 20) /* an object of 1.5 MiB, which is etcd's bound, and what is around it */

typedef struct KubeLines {
        char *buf;
        size_t begin, end, cap, seen; /* [begin, end) is unread; up to seen there is no line break */
} KubeLines;

/* kube_lines_feed() - Return: 0; -EMSGSIZE: more than KUBE_LINE_MAX unread; -ENOMEM. What was fed before stays. */
int kube_lines_feed(KubeLines *l, const char *p, size_t n) _must_check_;
/* kube_lines_next() - @ret: the next whole line, without its end; valid until the next call with @l, which owns it. */
bool kube_lines_next(KubeLines *l, const char **ret, size_t *ret_len);
/* kube_lines_done() - forget all. May be used again. */
void kube_lines_done(KubeLines *l);

typedef enum KubeLineType {
        KUBE_LINE_ADDED,
        KUBE_LINE_MODIFIED,
        KUBE_LINE_DELETED,
        KUBE_LINE_BOOKMARK, /* an object of which only metadata.resourceVersion counts */
        KUBE_LINE_ERROR,    /* a Status */
        _KUBE_LINE_TYPE_MAX,
} KubeLineType;

typedef struct KubeLine {
        KubeLineType type;
        json_t *object;   /* Owner: caller */
        char version[32]; /* "" in an error */
        int code;         /* of an error: as an HTTP status; 0 = not told */
} KubeLine;

/**
 * kube_line_parse() - one line
 * Return: 0; -EBADMSG: no event of a watch (also one with a key twice, of an unknown type, without a version). @ret is
 * untouched then.
 */
int kube_line_parse(const char *line, size_t len, KubeLine *ret) _must_check_;
