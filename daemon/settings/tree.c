/* SPDX-License-Identifier: Apache-2.0
 *
 * libyaml 0.2 gives events; its own document API would resolve aliases. The text is looked through before libyaml sees
 * it, because its reader reports a bad byte by offset only, and takes UTF-16.
 */
#include "settings/tree.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

typedef struct Builder {
        Tree *tree;
        Problems *problems;
        uint32_t open[TREE_DEPTH_MAX]; /* containers we are inside of */
        unsigned depth;
        bool has_document, stop;
        bool cut;  /* the rest was not read: what there is would be judged wrongly */
        int error; /* -ENOMEM */
} Builder;

static void event_delete_p(yaml_event_t *e) {
        yaml_event_delete(e);
}

static void parser_delete_p(yaml_parser_t *p) {
        yaml_parser_delete(p);
}

void tree_done(Tree *t) {
        free(t->nodes);
        buf_done(&t->text);
        *t = TREE_NULL;
}

const char *tree_text(const Tree *t, const Node *n) {
        return t->text.data + n->text_offset;
}

const Node *tree_child(const Tree *t, const Node *n) {
        return n->first ? &t->nodes[n->first] : NULL;
}

const Node *tree_next(const Tree *t, const Node *n) {
        return n->next ? &t->nodes[n->next] : NULL;
}

bool tree_is_null(const Tree *t, const Node *n) {
        static const char *const words[] = {"", "~", "null", "Null", "NULL"}; /* YAML 1.1, tag:yaml.org,2002:null */

        if (n->kind != NODE_TEXT || !n->plain)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(tree_text(t, n), words[i]) == 0)
                        return true;
        return false;
}

const char *tree_kind_name(const Tree *t, const Node *n) {
        static const char *const names[] = {
                [NODE_TEXT] = "text", [NODE_LIST] = "a list", [NODE_MAP] = "a mapping", [NODE_BROKEN] = "an alias"};

        return tree_is_null(t, n) ? "null" : names[n->kind];
}

static Mark mark_of(yaml_mark_t m) {
        return (Mark){
                .line = (unsigned)min_of(m.line, (size_t)UINT_MAX - 1) + 1,
                .col = (unsigned)min_of(m.column, (size_t)UINT_MAX - 1) + 1,
        };
}

/* What YAML allows in a stream (1.2 §5.1, c-printable). */
static bool is_printable(unsigned point) {
        return point == '\t' || point == '\n' || point == '\r' || (point >= 0x20 && point <= 0x7e) || point == 0x85 ||
               (point >= 0xa0 && point != 0xfeff && point != 0xfffe && point != 0xffff);
}

/* Return: whether every byte may go to libyaml; the first that may not is told. */
static bool check_text(const char *text, size_t len, Problems *problems) {
        Mark m = {1, 1};

        for (size_t i = 0; i < len;) {
                unsigned point = 0, n = utf8_length(text + i, len - i, &point);

                if (n == 0)
                        problem_error(problems, m, "byte 0x%02x is not valid UTF-8%s", (unsigned char)text[i],
                                      i == 0 ? "; is it another encoding?" : "");
                else if (point == 0)
                        problem_error(problems, m, "a NUL byte: not a text file");
                else if (!is_printable(point))
                        problem_error(problems, m, "the control character U+%04X is not allowed in YAML", point);
                if (n == 0 || !is_printable(point))
                        return false;
                /* a line ends where libyaml ends it: CR LF counts once */
                if (point == '\n' || point == 0x85 || point == 0x2028 || point == 0x2029 ||
                    (point == '\r' && (i + 1 >= len || text[i + 1] != '\n')))
                        m = (Mark){m.line + 1, 1};
                else
                        m.col++;
                i += n;
        }
        return true;
}

/* Return: index of a new node; 0 with b->stop set when there is no room. (The root is 0 without stop.) */
static uint32_t node_add(Builder *b, NodeKind kind, const yaml_event_t *e) {
        Tree *t = b->tree;

        if (t->n >= TREE_NODES_MAX) {
                problem_error(b->problems, mark_of(e->start_mark),
                              "more than %u values: not a configuration of plateau", TREE_NODES_MAX);
                b->stop = b->cut = true;
                return 0;
        }
        if (t->n == t->cap) {
                uint32_t cap = t->cap ? t->cap * 2 : 128;
                Node *nodes = reallocarray(t->nodes, cap, sizeof(*nodes));

                if (!nodes) {
                        b->error = -ENOMEM;
                        b->stop = true;
                        return 0;
                }
                t->nodes = nodes;
                t->cap = cap;
        }
        t->nodes[t->n] = (Node){.kind = kind, .mark = mark_of(e->start_mark)};
        if (b->depth > 0) {
                Node *parent = &t->nodes[b->open[b->depth - 1]];

                if (parent->last)
                        t->nodes[parent->last].next = t->n;
                else
                        parent->first = t->n;
                parent->last = t->n;
        }
        return t->n++;
}

static void refuse_decoration(Builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag) {
        _cleanup_buf_ Buf q = BUF_NULL;

        if (anchor) {
                quote_text(&q, (const char *)anchor, strlen((const char *)anchor));
                problem_error(b->problems, mark_of(e->start_mark), "the anchor %s: anchors are not allowed",
                              buf_str(&q));
        }
        buf_reset(&q);
        if (tag) {
                quote_text(&q, (const char *)tag, strlen((const char *)tag));
                problem_error(b->problems, mark_of(e->start_mark), "the tag %s: tags are not allowed", buf_str(&q));
        }
}

static void on_scalar(Builder *b, const yaml_event_t *e) {
        const char *s = (const char *)e->data.scalar.value;
        size_t len = e->data.scalar.length;
        uint32_t i;

        refuse_decoration(b, e, e->data.scalar.anchor, e->data.scalar.tag);
        i = node_add(b, NODE_TEXT, e);
        if (b->stop)
                return;
        if (memchr(s, '\0', len)) { /* the escape "\0" in double quotes */
                problem_error(b->problems, mark_of(e->start_mark), "a NUL character (\\0) is not allowed in a value");
                b->tree->nodes[i].kind = NODE_BROKEN;
                len = 0;
        }
        b->tree->nodes[i].plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        b->tree->nodes[i].text_offset = b->tree->text.len;
        b->tree->nodes[i].text_len = len;
        buf_add(&b->tree->text, s, len);
        buf_addc(&b->tree->text, '\0');
}

static void on_open(Builder *b, const yaml_event_t *e) {
        bool is_list = e->type == YAML_SEQUENCE_START_EVENT;
        uint32_t i;

        if (is_list)
                refuse_decoration(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        else
                refuse_decoration(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        if (b->depth == TREE_DEPTH_MAX) {
                problem_error(b->problems, mark_of(e->start_mark), "nested deeper than %u levels", TREE_DEPTH_MAX);
                b->stop = b->cut = true;
                return;
        }
        i = node_add(b, is_list ? NODE_LIST : NODE_MAP, e);
        if (!b->stop)
                b->open[b->depth++] = i;
}

static void on_close(Builder *b, const yaml_event_t *e _unused_) {
        b->depth--;
}

static void on_alias(Builder *b, const yaml_event_t *e) {
        _cleanup_buf_ Buf q = BUF_NULL;

        quote_text(&q, (const char *)e->data.alias.anchor, strlen((const char *)e->data.alias.anchor));
        problem_error(b->problems, mark_of(e->start_mark), "the alias %s: aliases are not allowed", buf_str(&q));
        node_add(b, NODE_BROKEN, e);
}

static void on_document(Builder *b, const yaml_event_t *e) {
        if (b->has_document) {
                problem_error(b->problems, mark_of(e->start_mark),
                              "a second document: one file holds one configuration");
                b->stop = true;
        }
        b->has_document = true;
}

static void on_end(Builder *b, const yaml_event_t *e _unused_) {
        b->stop = true;
}

/* libyaml's sentences are English and short, but lack the subject; the place of the context is often the useful one. */
static void tell_syntax(Builder *b, const yaml_parser_t *p) {
        Mark m = mark_of(p->problem_mark), c = mark_of(p->context_mark);

        b->cut = true;
        if (p->error == YAML_MEMORY_ERROR) {
                b->error = -ENOMEM;
                return;
        }
        if (p->context && p->context_mark.line != p->problem_mark.line)
                problem_error(b->problems, m, "YAML: %s (%s that began at line %u, column %u)",
                              p->problem ? p->problem : "unreadable", p->context, c.line, c.col);
        else
                problem_error(b->problems, m, "YAML: %s%s%s", p->problem ? p->problem : "unreadable",
                              p->context ? " " : "", p->context ? p->context : "");
}

int tree_parse(const char *text, size_t len, Problems *problems, Tree *ret) {
        static void (*const handlers[])(Builder *, const yaml_event_t *) = {
                [YAML_STREAM_END_EVENT] = on_end,      [YAML_DOCUMENT_START_EVENT] = on_document,
                [YAML_ALIAS_EVENT] = on_alias,         [YAML_SCALAR_EVENT] = on_scalar,
                [YAML_SEQUENCE_START_EVENT] = on_open, [YAML_SEQUENCE_END_EVENT] = on_close,
                [YAML_MAPPING_START_EVENT] = on_open,  [YAML_MAPPING_END_EVENT] = on_close,
        };
        _cleanup_(tree_done) Tree tree = TREE_NULL;
        Builder b = {.tree = &tree, .problems = problems};

        if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
                text += 3;
                len -= 3;
        }
        if (check_text(text, len, problems)) {
                _cleanup_(parser_delete_p) yaml_parser_t parser = {0};

                if (!yaml_parser_initialize(&parser))
                        return -ENOMEM;
                yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
                yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
                while (!b.stop) {
                        _cleanup_(event_delete_p) yaml_event_t e = {0};

                        if (!yaml_parser_parse(&parser, &e)) {
                                tell_syntax(&b, &parser);
                                break;
                        }
                        if ((size_t)e.type < ELEMENTSOF(handlers) && handlers[e.type])
                                handlers[e.type](&b, &e);
                }
        }
        if (b.error < 0 || tree.text.failed)
                return -ENOMEM;
        if (b.cut)
                tree.n = 0;
        *ret = tree;
        tree = TREE_NULL;
        return 0;
}
