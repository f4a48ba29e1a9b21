/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings that hold many values: a command's arguments, the extra labels, ports.
 */
#include "settings/value.h"

#include <string.h>

#include "report/table.h"
#include "util/parse.h"

#define ARGUMENT_MAX 4096 /* of one argument; a script belongs into a file */

/* Newlines and tabs are right in an argument (sh -c with a block of text); other invisible characters are not. */
static int argument_check(const char *text, Buf *why) {
        size_t len = strlen(text);

        if (len > ARGUMENT_MAX) {
                buf_addf(why, "is longer than %u bytes", ARGUMENT_MAX);
                return -ERANGE;
        }
        for (size_t i = 0; i < len;) {
                unsigned point = 0, n = utf8_length(text + i, len - i, &point);

                if (n == 0 || (utf8_is_invisible(point) && point != '\n' && point != '\t')) {
                        buf_addf(why, "holds the invisible character U+%04X", point);
                        return -EINVAL;
                }
                i += n;
        }
        return 0;
}

static int argv_add(const SchemaRow *row _unused_, const char *key _unused_, const char *text, void *dest, Buf *why) {
        char **argv = dest;
        size_t n = 0;
        int r;

        while (n < ACTION_ARGV_MAX && argv[n])
                n++;
        if (n == ACTION_ARGV_MAX) {
                buf_addf(why, "is one too many: at most %u arguments", ACTION_ARGV_MAX);
                return -ERANGE;
        }
        r = argument_check(text, why);
        if (r < 0)
                return r;
        if (n == 0 && text[0] != '/') {
                buf_adds(why, "is not an absolute path: a command is not looked up in PATH");
                return -EINVAL;
        }
        argv[n] = strdup(text);
        return argv[n] ? 0 : -ENOMEM;
}

static void argv_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        char *const *argv = src;

        buf_addc(b, '[');
        for (size_t i = 0; argv[i]; i++) {
                buf_adds(b, i ? ", " : "");
                yaml_quote(b, argv[i]);
        }
        buf_addc(b, ']');
}

static void argv_json(const SchemaRow *row _unused_, Json *j) {
        json_kv_string(j, "type", "array");
        json_kv_u64(j, "maxItems", ACTION_ARGV_MAX);
        json_key(j, "items");
        json_object_begin(j);
        json_kv_string(j, "type", "string");
        json_kv_u64(j, "maxLength", ARGUMENT_MAX);
        json_object_end(j);
        json_key(j, "prefixItems");
        json_array_begin(j);
        json_object_begin(j);
        json_pattern(j, "^/");
        json_object_end(j);
        json_array_end(j);
}

static void argv_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s of at most %u, the first an absolute path", row->type->noun, ACTION_ARGV_MAX);
}

const ValueType value_argv = {.noun = "a list of arguments",
                              .example = "[/usr/local/bin/drain, --soft]",
                              .node = NODE_LIST,
                              .add = argv_add,
                              .write = argv_write,
                              .allowed = argv_allowed,
                              .json = argv_json};

static bool is_label_name(const char *s) {
        if ((*s < 'a' || *s > 'z') && (*s < 'A' || *s > 'Z') && *s != '_')
                return false;
        for (; *s; s++)
                if ((*s < 'a' || *s > 'z') && (*s < 'A' || *s > 'Z') && (*s < '0' || *s > '9') && *s != '_')
                        return false;
        return true;
}

static int label_name_check(const char *name, Buf *why) {
        if (strlen(name) >= REPORT_LABEL_MAX) {
                buf_addf(why, "is a name longer than %u bytes", REPORT_LABEL_MAX - 1);
                return -ERANGE;
        }
        if (!is_label_name(name)) {
                buf_adds(why, "is not a label name");
                return -EINVAL;
        }
        if (strncmp(name, "__", 2) == 0) {
                buf_adds(why, "begins with __, which Prometheus keeps for itself");
                return -EINVAL;
        }
        if (strcmp(name, "job") == 0 || strcmp(name, "instance") == 0) {
                buf_adds(why, "is a label that the collector sets; see report.pushgateway");
                return -EINVAL;
        }
        if (metric_label_reserved(name)) {
                buf_adds(why, "is a label that some metric uses itself");
                return -EINVAL;
        }
        return 0;
}

/* Called twice a label: without @text for the name (so that a message can point at it), then with both. */
static int labels_add(const SchemaRow *row _unused_, const char *key, const char *text, void *dest, Buf *why) {
        ReportOptions *o = dest;
        ReportLabel label = {0};
        int r;

        if (!text)
                return label_name_check(key, why);
        if (o->n_labels == REPORT_LABELS_MAX) {
                buf_addf(why, "is one too many: at most %u labels", REPORT_LABELS_MAX);
                return -ERANGE;
        }
        if (strlen(text) >= sizeof(label.value)) {
                buf_addf(why, "is longer than %zu bytes", sizeof(label.value) - 1);
                return -ERANGE;
        }
        r = argument_check(text, why);
        if (r < 0)
                return r;
        if (strpbrk(text, "\n\t")) {
                buf_adds(why, "holds a newline or a tab");
                return -EINVAL;
        }
        memcpy(label.name, key, strlen(key));
        memcpy(label.value, text, strlen(text));
        o->labels[o->n_labels++] = label;
        return 0;
}

static void labels_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        const ReportOptions *o = src;

        buf_addc(b, '{');
        for (unsigned i = 0; i < o->n_labels; i++) {
                buf_addf(b, "%s\"%s\": ", i ? ", " : "", o->labels[i].name); /* quoted: "null" is a fine name */
                yaml_quote(b, o->labels[i].value);
        }
        buf_addc(b, '}');
}

static void labels_json(const SchemaRow *row _unused_, Json *j) {
        json_kv_string(j, "type", "object");
        json_kv_u64(j, "maxProperties", REPORT_LABELS_MAX);
        json_key(j, "propertyNames");
        json_object_begin(j);
        json_pattern(j, "^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$");
        json_kv_u64(j, "maxLength", REPORT_LABEL_MAX - 1);
        json_object_end(j);
        json_key(j, "additionalProperties");
        json_object_begin(j);
        json_kv_string(j, "type", "string");
        json_kv_u64(j, "maxLength", REPORT_LABEL_MAX - 1);
        json_object_end(j);
}

static void labels_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s, at most %u; a name has letters, digits and _", row->type->noun, REPORT_LABELS_MAX);
}

const ValueType value_labels = {.noun = "a mapping of names to text",
                                .example = "{team: audio}",
                                .node = NODE_MAP,
                                .add = labels_add,
                                .write = labels_write,
                                .allowed = labels_allowed,
                                .json = labels_json};

static int ports_add(const SchemaRow *row _unused_, const char *key _unused_, const char *text, void *dest, Buf *why) {
        KubePorts *ports = dest;
        uint64_t v;

        if (parse_u64(text, &v) < 0)
                return -EINVAL;
        if (v < 1 || v > UINT16_MAX) {
                buf_adds(why, "is out of range");
                return -ERANGE;
        }
        for (uint32_t i = 0; i < ports->n; i++)
                if (ports->port[i] == v) {
                        buf_adds(why, "stands there twice");
                        return -EINVAL;
                }
        if (ports->n == KUBE_PORTS_MAX) {
                buf_addf(why, "is one too many: at most %u ports", KUBE_PORTS_MAX);
                return -ERANGE;
        }
        ports->port[ports->n++] = (uint16_t)v;
        return 0;
}

static void ports_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        const KubePorts *ports = src;

        buf_addc(b, '[');
        for (uint32_t i = 0; i < ports->n; i++)
                buf_addf(b, "%s%u", i ? ", " : "", ports->port[i]);
        buf_addc(b, ']');
}

static void ports_json(const SchemaRow *row _unused_, Json *j) {
        json_kv_string(j, "type", "array");
        json_kv_u64(j, "maxItems", KUBE_PORTS_MAX);
        json_kv_bool(j, "uniqueItems", true);
        json_key(j, "items");
        json_object_begin(j);
        json_kv_string(j, "type", "integer");
        json_kv_u64(j, "minimum", 1);
        json_kv_u64(j, "maximum", UINT16_MAX);
        json_object_end(j);
}

static void ports_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s from 1 to %u, at most %u", row->type->noun, UINT16_MAX, KUBE_PORTS_MAX);
}

const ValueType value_ports = {.noun = "a list of port numbers",
                               .example = "[8080, 8443]",
                               .node = NODE_LIST,
                               .plain = true,
                               .add = ports_add,
                               .write = ports_write,
                               .allowed = ports_allowed,
                               .json = ports_json};
