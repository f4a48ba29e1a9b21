/* SPDX-License-Identifier: Apache-2.0
 *
 * The plain part of YAML as a bounded tree: text, lists and mappings, each with its place in the file. It knows
 * nothing of settings. What a configuration file never needs and an attacker would like is refused with its place:
 * anchors and aliases (a few lines of them expand to gigabytes), tags, several documents, NUL, invalid UTF-8, deep
 * nesting.
 */
#pragma once

#include <stdint.h>

#include "settings/problems.h"

#define TREE_DEPTH_MAX 8     /* the deepest setting is at 4 */
#define TREE_NODES_MAX 16384 /* keys and values; a full file has some 150 */

typedef enum NodeKind {
        NODE_TEXT,
        NODE_LIST,
        NODE_MAP,    /* children are key, value, key, value ... */
        NODE_BROKEN, /* an alias: a problem is told already, look no further */
} NodeKind;

typedef struct Node {
        NodeKind kind;
        bool plain; /* NODE_TEXT without quotes: true, 5 and null mean something */
        Mark mark;
        uint32_t first, next, last; /* indices into Tree.nodes, 0 = none: node 0 is the root and nobody's child */
        size_t text_offset, text_len;
} Node;

typedef struct Tree {
        Node *nodes;
        uint32_t n, cap;
        Buf text; /* every NODE_TEXT, NUL-terminated */
} Tree;

#define TREE_NULL ((Tree){.text = {.max = (size_t)4 << 20}})

/* tree_done() - empty again; the Tree itself is the caller's. */
void tree_done(Tree *t);

/**
 * tree_parse() - YAML text to nodes
 * @text: any bytes. A byte order mark is skipped
 * @problems: what is wrong with it, by place
 * @ret:  also filled when problems were told; without any node when there is no document to go on with
 * Return: 0; -ENOMEM. Wrong text is not an error of this function: it is in @problems.
 */
int tree_parse(const char *text, size_t len, Problems *problems, Tree *ret) _must_check_;

/* tree_text() - of a NODE_TEXT. Return: NUL-terminated, without NUL inside. Owner: the tree. */
const char *tree_text(const Tree *t, const Node *n);
/* tree_child(), tree_next() - walk a list or mapping. Return: NULL at the end. */
const Node *tree_child(const Tree *t, const Node *n);
const Node *tree_next(const Tree *t, const Node *n);
/* tree_is_null() - nothing, "~" or "null", unquoted. */
bool tree_is_null(const Tree *t, const Node *n);
/* tree_kind_name() - "text", "a list", "a mapping", "null": for messages. */
const char *tree_kind_name(const Tree *t, const Node *n);
