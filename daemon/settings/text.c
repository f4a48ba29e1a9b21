/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings that are text in a fixed array: each type is a check on top of the same reader.
 */
#include "settings/value.h"

#include <arpa/inet.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

#define REGEX_LEN_MAX   1024
#define REGEX_DEPTH_MAX 16   /* groups inside groups */
#define REGEX_SIZE_MAX  2000 /* nodes that regcomp() makes of it, about; its memory grows by the square */

static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Only @n bytes of @s that are all of alphanumerics and @more. */
static bool is_made_of(const char *s, size_t n, const char *more) {
        for (size_t i = 0; i < n; i++)
                if (!is_alnum(s[i]) && (s[i] == '\0' || !strchr(more, s[i])))
                        return false;
        return true;
}

static int check_visible(const char *text, Buf *why) {
        for (size_t i = 0, len = strlen(text); i < len;) {
                unsigned point = 0, n = utf8_length(text + i, len - i, &point);

                if (n == 0) {
                        buf_adds(why, "is not valid UTF-8"); /* from the environment: a file was checked before */
                        return -EINVAL;
                }
                if (utf8_is_invisible(point)) {
                        buf_addf(why, "holds the invisible character U+%04X", point);
                        return -EINVAL;
                }
                i += n;
        }
        return 0;
}

static int text_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        size_t len = strlen(text);
        int r;

        if (len == 0) {
                buf_adds(why, "is empty");
                return -EINVAL;
        }
        r = check_visible(text, why);
        if (r < 0)
                return r;
        if (row->type->check) {
                r = row->type->check(row, text, why);
                if (r < 0)
                        return r;
        }
        if (len >= row->size) {
                buf_addf(why, "is longer than %zu bytes", row->size - 1);
                return -ERANGE;
        }
        memset(dest, 0, row->size); /* the rest of the array too: equal settings are equal bytes */
        memcpy(dest, text, len);
        return 0;
}

static void text_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        yaml_quote(b, src);
}

static void text_json(const SchemaRow *row, Json *j) {
        json_kv_string(j, "type", "string");
        json_kv_u64(j, "minLength", 1);
        json_kv_u64(j, "maxLength", row->size - 1);
}

void yaml_quote(Buf *b, const char *s) {
        buf_addc(b, '"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        buf_addc(b, '\\');
                if (*s == '\n')
                        buf_adds(b, "\\n");
                else if (*s == '\t')
                        buf_adds(b, "\\t");
                else
                        buf_addc(b, *s);
        }
        buf_addc(b, '"');
}

static void text_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s of 1 to %zu bytes", row->type->noun, row->size - 1);
}

const ValueType value_text = {.noun = "text",
                              .node = NODE_TEXT,
                              .read = text_read,
                              .write = text_write,
                              .allowed = text_allowed,
                              .json = text_json};

static int path_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        if (text[0] == '/')
                return 0;
        buf_adds(why, "is not an absolute path");
        return -EINVAL;
}

static void path_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^/");
}

const ValueType value_path = {.noun = "an absolute path",
                              .node = NODE_TEXT,
                              .read = text_read,
                              .check = path_check,
                              .write = text_write,
                              .json = path_json};

static int exe_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        if (text[0] == '/' || !strchr(text, '/'))
                return 0;
        buf_adds(why, "is a relative path");
        return -EINVAL;
}

static void exe_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^(/.*|[^/]+)$");
}

const ValueType value_exe = {.noun = "an absolute path or the bare name of a program",
                             .example = "/usr/bin/python3 or python3",
                             .node = NODE_TEXT,
                             .read = text_read,
                             .check = exe_check,
                             .write = text_write,
                             .json = exe_json};

/* How often regcomp() writes down what stands before the quantifier at @s: "+" twice, "{n,m}" m times. */
static unsigned long repeat_of(const char *s) {
        unsigned n = 0, m = 0;

        if (*s == '+')
                return 2;
        if (*s == '{' && sscanf(s, "{%5u,%5u", &n, &m) < 2)
                m = n + 1; /* "{n}" and "{n,}" */
        m = max_of(n, m);
        return max_of(m, 1U);
}

/* The last character of the bracket expression at @s. It holds no escapes; a "]" that comes first is one of its
 * characters, and so is what stands in "[:", "[." and "[=". */
static const char *bracket_end(const char *s) {
        s += s[1] == '^';
        s += s[1] == ']';
        while (s[1] && s[1] != ']') {
                s++;
                if (s[0] == '[' && s[1] && strchr(":.=", s[1])) {
                        const char close[] = {s[1], ']', '\0'}, *end = strstr(s + 2, close);

                        s = end ? end + 1 : s;
                }
        }
        return s[1] ? s + 1 : s;
}

/**
 * Return: why regcomp() or regexec() of glibc could take for ever with it, or NULL. Repetition is written out, level
 * by level: "((a{1,99}){1,99}){1,99}" and forty nested "+" ask for more memory than there is, and what each node
 * reaches is written down too, so that memory grows by the square. Back-references (an extension here) make matching
 * exponential, and the command lines that are matched are the targets' own.
 */
static const char *regex_danger(const char *s) {
        unsigned long size[REGEX_DEPTH_MAX + 1] = {0}, atom = 0; /* of each open group so far; of what came last */
        unsigned depth = 0;

        for (; *s; s++) {
                if (strchr("*?+{", *s)) {
                        unsigned long more = atom * (repeat_of(s) - 1);

                        atom += more;
                        size[depth] += more;
                } else if (*s == '(') {
                        if (depth == REGEX_DEPTH_MAX)
                                return "has too many groups within groups";
                        size[++depth] = 0;
                } else if (*s == ')' && depth > 0) {
                        atom = size[depth--] + 1;
                        size[depth] += atom;
                } else {
                        if (*s == '\\' && s[1] >= '1' && s[1] <= '9')
                                return "has a back-reference, which can take for ever to match";
                        if (*s == '\\' && s[1])
                                s++;
                        else if (*s == '[')
                                s = bracket_end(s);
                        atom = 1;
                        size[depth]++;
                }
                if (size[depth] > REGEX_SIZE_MAX)
                        return "is too large once its repetitions are written out";
        }
        return NULL;
}

static int regex_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        const char *danger = regex_danger(text);
        char message[128];
        regex_t re;
        int r;

        if (strlen(text) > REGEX_LEN_MAX) {
                buf_addf(why, "is longer than %u bytes", REGEX_LEN_MAX);
                return -ERANGE;
        }
        if (danger) {
                buf_adds(why, danger);
                return -EINVAL;
        }
        r = regcomp(&re, text, REG_EXTENDED | REG_NOSUB);
        if (r == REG_ESPACE)
                return -ENOMEM;
        if (r != 0) {
                regerror(r, &re, message, sizeof(message));
                buf_addf(why, "does not compile: %s", message);
                return -EINVAL;
        }
        regfree(&re);
        return 0;
}

const ValueType value_regex = {.noun = "a POSIX extended regular expression",
                               .example = "python3 .*server\\.py",
                               .node = NODE_TEXT,
                               .read = text_read,
                               .check = regex_check,
                               .write = text_write,
                               .json = text_json};

/* Characters of a unit name: systemd.unit(5). A template without an instance ("foo@.service") cannot run. */
static int unit_check_suffix(const char *text, const char *const *suffixes, Buf *why) {
        size_t len = strlen(text);

        if (!is_made_of(text, len, ":_.\\@-")) {
                buf_adds(why, "holds characters that a unit name cannot have");
                return -EINVAL;
        }
        for (; *suffixes; suffixes++) {
                size_t n = strlen(*suffixes);

                if (len <= n || strcmp(text + len - n, *suffixes) != 0)
                        continue;
                if (text[len - n - 1] != '@')
                        return 0;
                buf_adds(why, "is a template without an instance");
                return -EINVAL;
        }
        return -EINVAL;
}

static int unit_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        if (text[0] == '/')
                return 0;
        return unit_check_suffix(text, (const char *const[]){".service", ".scope", NULL}, why);
}

static int service_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        return unit_check_suffix(text, (const char *const[]){".service", NULL}, why);
}

static void unit_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^([a-zA-Z0-9:_.\\\\@-]+\\.(service|scope)|/.*)$");
}

static void service_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^[a-zA-Z0-9:_.\\\\@-]+\\.service$");
}

const ValueType value_unit = {.noun = "a unit name that ends in .service or .scope, or a cgroup's absolute path",
                              .node = NODE_TEXT,
                              .read = text_read,
                              .check = unit_check,
                              .write = text_write,
                              .json = unit_json};
const ValueType value_service = {.noun = "a unit name that ends in .service",
                                 .example = "pusher.service",
                                 .node = NODE_TEXT,
                                 .read = text_read,
                                 .check = service_check,
                                 .write = text_write,
                                 .json = service_json};

/* What begins the names of Kubernetes objects: RFC 1123, and room for "-63". It becomes part of a URL's path. */
static int object_check(const SchemaRow *row, const char *text, Buf *why) {
        size_t n = strlen(text);

        for (size_t i = 0; i < n; i++)
                if ((text[i] < 'a' || text[i] > 'z') && (text[i] < '0' || text[i] > '9') &&
                    (text[i] != '-' || i == 0)) {
                        buf_adds(why, "is not a name of lower-case letters, digits and -");
                        return -EINVAL;
                }
        if (n + strlen("-63") < row->size)
                return 0;
        buf_addf(why, "is longer than %zu bytes", row->size - 1 - strlen("-63"));
        return -ERANGE;
}

static void object_json(const SchemaRow *row, Json *j) {
        json_pattern(j, "^[a-z0-9][a-z0-9-]*$");
        json_kv_u64(j, "maxLength", row->size - 1 - strlen("-63"));
}

static void object_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s of at most %zu bytes", row->type->noun, row->size - 1 - strlen("-63"));
}

const ValueType value_object = {.noun = "the beginning of an object's name, such as plateau-web",
                                .example = "plateau-web",
                                .node = NODE_TEXT,
                                .read = text_read,
                                .check = object_check,
                                .write = text_write,
                                .allowed = object_allowed,
                                .json = object_json};

/* A pod's condition type is a label's key: "plateau.dev/may-serve". */
static int condition_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        const char *slash = strchr(text, '/');

        if (is_made_of(text, strlen(text), "-_./") && is_alnum(text[0]) && is_alnum(text[strlen(text) - 1]) &&
            (!slash || (slash[1] && !strchr(slash + 1, '/'))))
                return 0;
        buf_adds(why, "is not the type of a condition");
        return -EINVAL;
}

static void condition_json(const SchemaRow *row, Json *j) {
        json_pattern(j, "^[a-zA-Z0-9]([a-zA-Z0-9._-]*/)?([a-zA-Z0-9._-]*[a-zA-Z0-9])?$");
        json_kv_u64(j, "maxLength", row->size - 1);
}

const ValueType value_condition = {.noun = "the type of a pod's condition",
                                   .example = "plateau.dev/may-serve",
                                   .node = NODE_TEXT,
                                   .read = text_read,
                                   .check = condition_check,
                                   .write = text_write,
                                   .json = condition_json};

/* Digits only, no more than 65535. */
static bool is_port(const char *s, size_t n, bool zero_too) {
        unsigned v = 0;

        if (n < 1 || n > 5)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return false;
                v = v * 10 + (unsigned)(s[i] - '0');
        }
        return v <= 65535 && (v > 0 || zero_too);
}

/* "[v6]" or "name", then nothing or ":port". RFC 3986 §3.2 as far as collectors need it. */
static bool is_authority(const char *s, size_t n) {
        const char *colon, *close = n > 0 && s[0] == '[' ? memchr(s, ']', n) : NULL;
        size_t host;

        if (close) {
                char address[INET6_ADDRSTRLEN];
                struct in6_addr in6;

                host = (size_t)(close - s) + 1;
                if (host - 2 >= sizeof(address))
                        return false;
                memcpy(address, s + 1, host - 2);
                address[host - 2] = '\0';
                if (inet_pton(AF_INET6, address, &in6) != 1)
                        return false;
        } else {
                colon = memchr(s, ':', n);
                host = colon ? (size_t)(colon - s) : n;
                if (host == 0 || !is_made_of(s, host, ".-_"))
                        return false;
        }
        return host == n || (s[host] == ':' && is_port(s + host + 1, n - host - 1, false));
}

static int url_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        size_t scheme = strncasecmp(text, "https://", 8) == 0 ? 8 : strncasecmp(text, "http://", 7) == 0 ? 7 : 0, n;

        if (scheme == 0) {
                buf_adds(why, "does not begin with http:// or https://");
                return -EINVAL;
        }
        n = strcspn(text + scheme, "/?#");
        if (memchr(text + scheme, '@', n) || (!is_authority(text + scheme, n) && strchr(text + scheme, '@'))) {
                buf_adds(why, "has credentials in it; put a token into a file and name it by bearer_file");
                return -EINVAL;
        }
        if (!is_authority(text + scheme, n)) {
                buf_adds(why, "has no valid host or port");
                return -EINVAL;
        }
        for (const char *p = text + scheme + n; *p; p++)
                if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}#", *p)) {
                        buf_adds(why,
                                 *p == '#' ? "has a fragment (#)" : "holds characters that must be percent-encoded");
                        return -EINVAL;
                }
        return 0;
}

static void url_json(const SchemaRow *row, Json *j) {
        json_pattern(j, "^[hH][tT][tT][pP][sS]?://[^/?#@\\s]+([/?][^#\\s]*)?$");
        json_kv_u64(j, "maxLength", row->size - 1);
}

const ValueType value_url = {.noun = "a URL",
                             .example = "https://collector.example/path",
                             .node = NODE_TEXT,
                             .secret = true,
                             .read = text_read,
                             .check = url_check,
                             .write = text_write,
                             .json = url_json};

void value_quote(const SchemaRow *row, const char *text, Buf *b) {
        if (row->type->secret && strchr(text, '@')) /* wherever it is: careless passwords hold '/' too */
                quote_text(b, "[hidden]@...", strlen("[hidden]@..."));
        else
                quote_text(b, text, strlen(text));
}

/* What http_server_new() takes. Names are not looked up: an address says exactly who can connect. */
static int listen_check(const SchemaRow *row _unused_, const char *text, Buf *why) {
        const char *colon = strrchr(text, ':');
        char host[INET6_ADDRSTRLEN + 2];
        struct in6_addr address;
        size_t n;
        int r = 0;

        if (!colon || !is_port(colon + 1, strlen(colon + 1), true)) {
                buf_adds(why, colon ? "has no valid port" : "has no port");
                return -EINVAL;
        }
        n = (size_t)(colon - text);
        if (n == 0)
                return 0;
        if (n < sizeof(host)) {
                bool is_six = text[0] == '[' && text[n - 1] == ']';

                memcpy(host, text + is_six, n - 2 * is_six);
                host[n - 2 * is_six] = '\0';
                r = inet_pton(is_six ? AF_INET6 : AF_INET, host, &address);
        }
        if (r != 1) {
                buf_adds(why, "is not a numeric address and port");
                return -EINVAL;
        }
        return 0;
}

static void listen_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^([0-9.]+|\\[[0-9a-fA-F:.]+\\])?:[0-9]{1,5}$");
}

const ValueType value_listen = {.noun = "ADDRESS:PORT",
                                .example = "127.0.0.1:9464, [::1]:9464 or :9464 (every address)",
                                .node = NODE_TEXT,
                                .read = text_read,
                                .check = listen_check,
                                .write = text_write,
                                .json = listen_json};

/* match.main has no other value: leaving it out is how to say no. */
static int true_read(const SchemaRow *row _unused_, const char *text, void *dest _unused_, Buf *why) {
        bool v;

        if (parse_bool(text, &v) < 0)
                return -EINVAL;
        if (v)
                return 0;
        buf_adds(why, "matches nothing");
        return -EINVAL;
}

static void true_write(const SchemaRow *row _unused_, const void *src _unused_, Buf *b) {
        buf_adds(b, "true");
}

static void true_json(const SchemaRow *row _unused_, Json *j) {
        json_key(j, "const");
        json_bool(j, true);
}

const ValueType value_true = {
        .noun = "true", .node = NODE_TEXT, .plain = true, .read = true_read, .write = true_write, .json = true_json};
