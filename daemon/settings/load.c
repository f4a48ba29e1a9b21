/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of the file is walked along the table: a name is a row, a section, or a mistake. A wrong value is told, its
 * row keeps the default, and the walk goes on.
 */
#include "settings/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "http/listen.h"
#include "settings/check.h"
#include "settings/origins.h"
#include "settings/value.h"

typedef struct Loader {
        const Tree *tree;
        Settings *s;
        SettingsOrigins *origins;
        Problems *problems;
        unsigned target; /* index of the one being read */
        Mark match_mark; /* its first match key; line 0: none yet */
        int error;       /* -ENOMEM */
} Loader;

static void load_map(Loader *l, const Node *map, const char *section);

static void tree_done_p(Tree *t) {
        tree_done(t);
}

static void origins_free_p(SettingsOrigins **o) {
        *o = settings_origins_free(*o);
}

static void settings_free_p(Settings **s) {
        if (*s)
                settings_done(*s);
        free(*s);
        *s = NULL;
}

void settings_done(Settings *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->action.hook_argv); i++) {
                free(s->action.hook_argv[i]);
                s->action.hook_argv[i] = NULL;
        }
}

/* KEY: "VALUE" has no unit; allowed: a duration from 1s to 1h, such as ... */
static void tell_refused(Loader *l, Mark m, const SchemaRow *row, const char *what, const char *text, const Buf *why) {
        _cleanup_buf_ Buf quoted = BUF_NULL, allowed = BUF_NULL, key = BUF_NULL;

        key_show(&key, row->key, l->target);
        value_quote(row, text, &quoted);
        value_allowed(row, &allowed);
        if (why->len > 0)
                problem_error(l->problems, m, "%s%s: %s %s; allowed: %s", what, buf_str(&key), buf_str(&quoted),
                              buf_str(why), buf_str(&allowed));
        else
                problem_error(l->problems, m, "%s%s: %s is not allowed: must be %s", what, buf_str(&key),
                              buf_str(&quoted), buf_str(&allowed));
        if (quoted.failed || allowed.failed || key.failed || why->failed)
                l->error = -ENOMEM;
}

/* One text into its field. @m, @what: where it stands, for messages. Return: whether it was taken. */
static bool take_text(Loader *l, Mark m, const SchemaRow *row, const char *what, const char *text) {
        void *field = schema_field(row, l->s, l->target);
        _cleanup_buf_ Buf why = BUF_NULL;
        int r;

        if (row->zero_word && strcmp(text, row->zero_word) == 0) {
                memset(field, 0, row->size);
                return true;
        }
        if (strstr(text, "${"))
                buf_adds(&why, "holds ${...}, which is not expanded");
        r = why.len ? -EINVAL : row->type->read(row, text, field, &why);
        if (r == -ENOMEM)
                l->error = r;
        else if (r < 0)
                tell_refused(l, m, row, what, text, &why);
        return r == 0;
}

/* "${...}" in an item: a label would carry it as it is, words have none; an argument may be meant for a shell, sh -c.
 */
static int judge_variable(Loader *l, const SchemaRow *row, const Node *value, Buf *why) {
        char *const *argv = schema_field(row, l->s, l->target);

        if (row->type != &value_argv) {
                buf_adds(why, "holds ${...}, which is not expanded");
                return -EINVAL;
        }
        if (!argv[0] || !argv[1] || strcmp(argv[1], "-c") != 0)
                problem_warning(l->problems, value->mark, "%s: ${...} is passed on as it is: there is no shell",
                                row->key);
        return 0;
}

/* Return: whether the item was taken. */
static bool take_item(Loader *l, const SchemaRow *row, const Node *key, const Node *value) {
        const char *name = key ? tree_text(l->tree, key) : NULL;
        _cleanup_buf_ Buf why = BUF_NULL;
        const Node *wrong = value;
        int r = 0;

        if (key) {
                r = row->type->add(row, name, NULL, schema_field(row, l->s, l->target), &why);
                wrong = r < 0 ? key : value;
        }
        if (r == 0 && value->kind == NODE_TEXT && tree_is_null(l->tree, value)) {
                buf_adds(&why, "has no value (null)");
                r = -EINVAL;
        } else if (r == 0 && value->kind != NODE_TEXT) {
                _cleanup_buf_ Buf shown = BUF_NULL;

                if (value->kind == NODE_BROKEN)
                        return false;
                key_show(&shown, row->key, l->target);
                problem_error(l->problems, value->mark, "%s: is %s; allowed: text", buf_str(&shown),
                              tree_kind_name(l->tree, value));
                return false;
        } else if (r == 0 && strstr(tree_text(l->tree, value), "${"))
                r = judge_variable(l, row, value, &why);
        if (r == 0)
                r = row->type->add(row, name, tree_text(l->tree, value), schema_field(row, l->s, l->target), &why);
        if (r == -ENOMEM)
                l->error = r;
        else if (r < 0)
                tell_refused(l, wrong->mark, row, "", tree_text(l->tree, wrong), &why);
        return r == 0;
}

/* Return: the earlier key of the same name in @map, or NULL. */
static const Node *earlier_key(const Tree *t, const Node *map, const Node *key) {
        for (const Node *k = tree_child(t, map); k && k != key;) {
                const Node *v = tree_next(t, k);

                if (k->kind == NODE_TEXT && strcmp(tree_text(t, k), tree_text(t, key)) == 0)
                        return k;
                k = v ? tree_next(t, v) : NULL;
        }
        return NULL;
}

/* Keys that are text and stand here for the first time; the rest is told. */
static bool key_is_usable(Loader *l, const Node *map, const Node *key) {
        _cleanup_buf_ Buf quoted = BUF_NULL;
        const Node *first;

        if (key->kind != NODE_TEXT) {
                if (key->kind != NODE_BROKEN)
                        problem_error(l->problems, key->mark, "%s as a key: a key must be text",
                                      tree_kind_name(l->tree, key));
                return false;
        }
        first = earlier_key(l->tree, map, key);
        if (!first)
                return true;
        quote_text(&quoted, tree_text(l->tree, key), key->text_len);
        problem_error(l->problems, key->mark, "the key %s is given twice; first at line %u, column %u",
                      buf_str(&quoted), first->mark.line, first->mark.col);
        return false;
}

static bool take_items(Loader *l, const SchemaRow *row, const Node *node) {
        const Tree *t = l->tree;
        bool good = true;

        for (const Node *n = tree_child(t, node); n; n = tree_next(t, n)) {
                const Node *key = NULL;

                if (node->kind == NODE_MAP) {
                        key = n;
                        n = tree_next(t, key);
                        if (!n)
                                break;
                        if (!key_is_usable(l, node, key)) {
                                good = false;
                                continue;
                        }
                }
                good = take_item(l, row, key, n) && good;
                if (!good && node->kind == NODE_LIST)
                        break; /* the items after a bad one would take its place */
        }
        return good;
}

static void tell_wrong_kind(Loader *l, const Node *node, const char *key, const char *allowed) {
        _cleanup_buf_ Buf shown = BUF_NULL, quoted = BUF_NULL;
        bool is_null = tree_is_null(l->tree, node);

        key_show(&shown, key, l->target);
        if (node->kind == NODE_TEXT && !is_null) {
                quote_text(&quoted, tree_text(l->tree, node), node->text_len);
                buf_addc(&quoted, ' ');
        }
        if (is_null)
                problem_error(l->problems, node->mark,
                              "%s: has no value (null): give it one or remove the key; allowed: %s", buf_str(&shown),
                              allowed);
        else
                problem_error(l->problems, node->mark, "%s: %sis %s; allowed: %s", buf_str(&shown), buf_str(&quoted),
                              tree_kind_name(l->tree, node), allowed);
}

/* A second way to find one target: told where it stands, with the place of the first. */
static bool match_is_first(Loader *l, const SchemaRow *row, const Node *key) {
        if (row->match == TARGET_MATCH_NONE)
                return true;
        if (l->match_mark.line > 0) {
                problem_error(l->problems, key->mark,
                              "targets[%u].match: exactly one way to find a target; the first is at line %u, column %u",
                              l->target, l->match_mark.line, l->match_mark.col);
                return false;
        }
        l->match_mark = key->mark;
        return true;
}

static bool take_value(Loader *l, const SchemaRow *row, const Node *key, const Node *node) {
        _cleanup_buf_ Buf allowed = BUF_NULL, why = BUF_NULL;

        if (!match_is_first(l, row, key) || node->kind == NODE_BROKEN)
                return false;
        if (node->kind != row->type->node || tree_is_null(l->tree, node)) {
                value_allowed(row, &allowed);
                tell_wrong_kind(l, node, row->key, buf_str(&allowed));
                return false;
        }
        if (node->kind != NODE_TEXT)
                return take_items(l, row, node);
        if (row->type->plain && !node->plain) {
                buf_adds(&why, "is quoted, which makes it text");
                tell_refused(l, node->mark, row, "", tree_text(l->tree, node), &why);
                return false;
        }
        return take_text(l, node->mark, row, "", tree_text(l->tree, node));
}

static void load_row(Loader *l, const SchemaRow *row, const Node *key, const Node *node) {
        bool good = take_value(l, row, key, node);

        *origins_at(l->origins, row, l->target) = (Origin){.origin = ORIGIN_FILE, .broken = !good, .mark = node->mark};
        if (good && row->match != TARGET_MATCH_NONE)
                l->s->targets[l->target].match = row->match;
}

static void tell_match_missing(Loader *l, Mark m) {
        _cleanup_buf_ Buf names = BUF_NULL;

        for (unsigned i = 0; i < schema_n_rows; i++)
                if (schema_rows[i].match != TARGET_MATCH_NONE)
                        buf_addf(&names, "%s%s", names.len ? ", " : "", strrchr(schema_rows[i].key, '.') + 1);
        problem_error(l->problems, m, "targets[%u]: has no match; exactly one of %s is needed", l->target,
                      buf_str(&names));
}

static void load_targets(Loader *l, const Node *list) {
        l->origins->targets_are_list = true;
        for (const Node *n = tree_child(l->tree, list); n; n = tree_next(l->tree, n)) {
                if (l->s->n_targets == SETTINGS_TARGETS_MAX) {
                        problem_error(l->problems, n->mark, "targets: more than %u", SETTINGS_TARGETS_MAX);
                        return;
                }
                l->target = l->s->n_targets++;
                l->match_mark = (Mark){0};
                l->origins->targets[l->target] = n->mark;
                if (schema_defaults(l->s, true, l->target) < 0)
                        l->error = -ENOMEM;
                if (n->kind == NODE_MAP) {
                        load_map(l, n, "targets[]");
                        if (l->match_mark.line == 0)
                                tell_match_missing(l, n->mark);
                } else if (n->kind != NODE_BROKEN)
                        tell_wrong_kind(l, n, "targets[]", "a mapping with match");
        }
        l->target = 0;
}

static void load_section(Loader *l, const SchemaSection *section, const Node *node) {
        bool is_list = strcmp(section->key, "targets") == 0, is_match = strcmp(section->key, "targets[].match") == 0;

        if (is_list)
                l->origins->targets_mark = node->mark;
        if (is_match && node->kind == NODE_MAP && !tree_child(l->tree, node))
                tell_match_missing(l, node->mark);
        if (node->kind == (is_list ? NODE_LIST : NODE_MAP)) {
                if (is_list)
                        load_targets(l, node);
                else
                        load_map(l, node, section->key);
        } else if (node->kind != NODE_BROKEN)
                tell_wrong_kind(l, node, section->key, is_list ? "a list, one item a target" : "a mapping");
        if (is_match && l->match_mark.line == 0)
                l->match_mark = node->mark; /* what is wrong with it is told, so it is not missing as well */
}

static void list_children(const char *section, Buf *b) {
        const char *name;

        for (unsigned i = 0; i < schema_n_sections; i++)
                if ((name = schema_is_child(schema_sections[i].key, section)))
                        buf_addf(b, "%s%s", b->len ? ", " : "", name);
        for (unsigned i = 0; i < schema_n_rows; i++)
                if ((name = schema_is_child(schema_rows[i].key, section)))
                        buf_addf(b, "%s%s", b->len ? ", " : "", name);
}

/* Which mistake was it? A misspelling, the wrong place, or something else altogether. */
static void tell_unknown(Loader *l, const char *section, const Node *key) {
        const char *name = tree_text(l->tree, key), *near = schema_nearest(section, name), *other = NULL;
        _cleanup_buf_ Buf quoted = BUF_NULL, shown = BUF_NULL, known = BUF_NULL;

        quote_text(&quoted, name, key->text_len);
        key_show(&shown, section, l->target);
        if (*section)
                buf_adds(&shown, ": ");
        if (!near)
                other = schema_elsewhere(section, name);
        if (strcmp(name, "<<") == 0)
                problem_error(l->problems, key->mark, "%smerge keys (<<) are not allowed", buf_str(&shown));
        else if (near)
                problem_error(l->problems, key->mark, "%sunknown key %s; did you mean %s?", buf_str(&shown),
                              buf_str(&quoted), near);
        else if (other)
                problem_error(l->problems, key->mark, "%sunknown key %s here; did you mean %s?", buf_str(&shown),
                              buf_str(&quoted), other);
        else if (strchr(name, '.') && schema_find(name))
                problem_error(l->problems, key->mark, "%sunknown key %s; sections are nested, not joined by dots",
                              buf_str(&shown), buf_str(&quoted));
        else {
                list_children(section, &known);
                problem_error(l->problems, key->mark, "%sunknown key %s; known: %s", buf_str(&shown), buf_str(&quoted),
                              buf_str(&known));
        }
}

static void load_map(Loader *l, const Node *map, const char *section) {
        const Tree *t = l->tree;

        for (const Node *key = tree_child(t, map), *value; key && (value = tree_next(t, key));
             key = tree_next(t, value)) {
                const SchemaSection *below;
                const SchemaRow *row;
                char name[SCHEMA_KEY_MAX];
                int n;

                if (!key_is_usable(l, map, key))
                        continue;
                n = snprintf(name, sizeof(name), "%s%s%s", section, *section ? "." : "", tree_text(t, key));
                if (n < 0 || (size_t)n >= sizeof(name) || !schema_is_child(name, section))
                        name[0] = '\0'; /* "policy.dry_run" as one key is not a path, and nothing known is this long */
                row = schema_find(name);
                below = schema_find_section(name);
                if (row)
                        load_row(l, row, key, value);
                else if (below)
                        load_section(l, below, value);
                else
                        tell_unknown(l, section, key);
        }
}

static void load_environment(Loader *l) {
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];
                const char *text = row->environment ? secure_getenv(row->environment) : NULL;
                char what[64];
                bool good;

                if (!text || !*text) /* empty is how compose files and manifests say "not set" */
                        continue;
                snprintf(what, sizeof(what), "environment variable %s, for ", row->environment);
                good = take_text(l, (Mark){0}, row, what, text);
                *origins_at(l->origins, row, 0) = (Origin){.origin = ORIGIN_ENVIRONMENT, .broken = !good};
        }
}

/* A label for a target that was given none: what it is matched by, as short as it is still recognised. */
static void name_target(TargetSpec *spec) {
        const char *from = spec->value, *slash = strrchr(from, '/');
        char text[TARGET_NAME_MAX];
        size_t n = 0;

        if (spec->match == TARGET_MATCH_PID)
                snprintf(text, sizeof(text), "pid-%d", (int)spec->pid);
        else if (spec->match == TARGET_MATCH_MAIN)
                snprintf(text, sizeof(text), "main");
        else {
                if (slash && slash[1] && spec->match != TARGET_MATCH_CMDLINE)
                        from = slash + 1;
                for (size_t len = strlen(from); n < len;) { /* never cut inside a character */
                        unsigned point, step = utf8_length(from + n, len - n, &point);

                        if (step == 0 || n + step >= sizeof(text))
                                break;
                        n += step;
                }
                memcpy(text, from, n);
                text[n] = '\0';
        }
        memcpy(spec->name, text, strlen(text) + 1);
}

/* What follows from other settings when it is not given. */
static void settle(Loader *l) {
        const Origin *rotate = origins_find(l->origins, "policy.rotate.enabled", 0);
        const Origin *drain = origins_find(l->origins, "policy.rotate.needs.drain", 0);
        uint64_t allowed = l->s->action.rotate_method == ROTATE_HOOK ? l->s->action.hook_timeout_usec
                           : l->s->action.rotate_method == ROTATE_KUBERNETES
                                   ? l->s->kube.propagate_usec + l->s->kube.drain_usec
                                   : l->s->action.rotate_wait_usec;
        ListenAddress listen;

        for (unsigned i = 0; i < l->s->n_targets; i++)
                if (!l->s->targets[i].name[0])
                        name_target(&l->s->targets[i]);
        if (l->s->action.rotate_method == ROTATE_NONE && rotate->origin == ORIGIN_DEFAULT)
                l->s->policy.rung[RUNG_ROTATE].enabled = false;
        if (l->s->action.rotate_method != ROTATE_NONE && drain->origin == ORIGIN_DEFAULT)
                l->s->policy.rotate_needs_usec[NEED_DRAIN] =
                        max_of(l->s->policy.rotate_needs_usec[NEED_DRAIN], allowed);
        if (l->s->action.rotate_method == ROTATE_KUBERNETES &&
            origins_find(l->origins, "kubernetes.enabled", 0)->origin == ORIGIN_DEFAULT)
                l->s->kube.enabled = true;
        l->s->kube.port = listen_parse(l->s->report.http_listen, &listen) == 0 ? listen_address_port(&listen) : 0;
}

static void load_tree(Loader *l) {
        const Node *root = l->tree->nodes;

        l->origins->root = l->tree->n > 0 ? root->mark : (Mark){1, 1};
        if (l->tree->n == 0 || tree_is_null(l->tree, root)) {
                problem_error(l->problems, l->origins->root,
                              "the file is empty; it must say at least which process to watch: targets");
                return;
        }
        if (root->kind != NODE_MAP) {
                if (root->kind != NODE_BROKEN)
                        problem_error(l->problems, root->mark, "the file is %s; allowed: a mapping of settings",
                                      tree_kind_name(l->tree, root));
                return;
        }
        load_map(l, root, "");
        load_environment(l);
        settle(l);
        if (settings_check(l->s, l->origins, l->problems) < 0)
                l->error = -ENOMEM;
}

static int load_text(const char *text, size_t len, Problems *problems, Settings *s, SettingsOrigins *o) {
        _cleanup_(tree_done_p) Tree tree = TREE_NULL;
        Loader l = {.tree = &tree, .s = s, .origins = o, .problems = problems};
        int r;

        if (len > SETTINGS_FILE_MAX) {
                problem_error(problems, (Mark){0}, "larger than %u bytes: not a configuration of plateau",
                              SETTINGS_FILE_MAX);
                return 0;
        }
        r = schema_defaults(s, false, 0);
        if (r < 0)
                return r;
        r = tree_parse(text, len, problems, &tree);
        if (r < 0)
                return r;
        if (tree.n > 0 || problems->n_errors == 0)
                load_tree(&l);
        return l.error;
}

int settings_load_string(const char *name, const char *text, size_t len, Settings *ret, SettingsOrigins **ret_origins,
                         Buf *problems) {
        _cleanup_(problems_done) Problems p = PROBLEMS_NULL;
        _cleanup_(origins_free_p) SettingsOrigins *o = NULL;
        _cleanup_(settings_free_p) Settings *s = NULL;
        _cleanup_buf_ Buf shown = BUF_NULL;
        int r;

        for (const char *c = name; *c; c++) /* a file name may hold anything, a line of a message may not */
                buf_addc(&shown, (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
        p.file = buf_str(&shown);
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = origins_new(p.file, &o);
        if (r < 0)
                return r;
        r = load_text(text, len, &p, s, o);
        if (r < 0)
                return r;
        if (p.failed || shown.failed)
                return -ENOMEM;
        problems_write(&p, problems);
        if (p.n_errors > 0)
                return -EINVAL;
        *ret = *s;
        memset(s->action.hook_argv, 0, sizeof(s->action.hook_argv)); /* they are @ret's now */
        if (ret_origins)
                *ret_origins = take_ptr(o);
        return 0;
}

static int read_all(int fd, Buf *b) {
        char part[4096];
        ssize_t n;

        while ((n = read(fd, part, sizeof(part))) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                buf_add(b, part, (size_t)n);
                if (b->failed)
                        return -ENOMEM;
                if (b->len > SETTINGS_FILE_MAX)
                        return 0; /* the loader says so */
        }
        return 0;
}

int settings_load_file(const char *path, Settings *ret, SettingsOrigins **ret_origins, Buf *problems) {
        _cleanup_buf_ Buf text = {.max = (size_t)SETTINGS_FILE_MAX * 2};
        bool is_stdin = strcmp(path, "-") == 0;
        _cleanup_fd_ int fd = -1;
        int r;

        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        r = fd < 0 ? -errno : read_all(fd, &text);
        if (r < 0) {
                buf_addf(problems, "%s: %s\n", path, strerror(-r));
                return r;
        }
        return settings_load_string(is_stdin ? "<stdin>" : path, buf_str(&text), text.len, ret, ret_origins, problems);
}
