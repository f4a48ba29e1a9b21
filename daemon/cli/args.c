/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <assert.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/term.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/parse.h"

#define SPAN_MAX_USEC (7 * USEC_PER_DAY)

int args_error(const struct Command *c, const char *fmt, ...) {
        _cleanup_buf_ Buf text = BUF_NULL, safe = BUF_NULL;
        va_list ap;

        va_start(ap, fmt);
        buf_vaddf(&text, fmt, ap);
        va_end(ap);
        term_safe(&safe, term_has_utf8(), buf_str(&text));
        fprintf(stderr, "plateau %s: %s\nTry: plateau help %s\n", c->name, buf_str(&safe), c->name);
        return -EINVAL;
}

/* Levenshtein with one row; both words are short, anything longer is nobody's typing error. */
static unsigned distance(const char *a, const char *b) {
        unsigned row[33];
        size_t la = strlen(a), lb = strlen(b);

        if (la > 32 || lb > 32)
                return 99;
        for (unsigned j = 0; j <= lb; j++)
                row[j] = j;
        for (unsigned i = 1; i <= la; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned j = 1; j <= lb; j++) {
                        unsigned substitute = diagonal + (a[i - 1] != b[j - 1]), shorter = min_of(row[j], row[j - 1]);

                        diagonal = row[j];
                        row[j] = min_of(substitute, shorter + 1);
                }
        }
        return row[lb];
}

int args_nearest(const char *s, const char *const *names) {
        unsigned best = 99;
        int at = -1;

        for (int i = 0; names[i]; i++) {
                /* the beginning of a name, typed right, counts more than any number of letters left out */
                bool prefix = strlen(s) >= 2 && strncmp(names[i], s, strlen(s)) == 0;
                unsigned d = prefix ? 0 : distance(s, names[i]);

                if (d < best && (d == 0 || (d <= 2 && d < strlen(names[i]) / 2 + 1))) {
                        best = d;
                        at = i;
                }
        }
        return at;
}

static int unknown_option(const struct Command *c, const char *word) {
        const char *names[ARGS_OPTIONS_MAX + 2];
        size_t n = 0;
        int i;

        for (const ArgOption *o = c->options; o->name; o++)
                names[n++] = o->name;
        names[n++] = "help";
        names[n] = NULL;
        i = strncmp(word, "--", 2) == 0 ? args_nearest(word + 2, names) : -1;
        if (i >= 0)
                return args_error(c, "unknown option '%s'; did you mean --%s?", word, names[i]);
        return args_error(c, "unknown option '%s'", word);
}

static int parse_number(const ArgOption *o, const char *s, uint64_t *ret) {
        switch (o->type) {
        case ARG_BYTES:
                return parse_bytes(s, ret);
        case ARG_DURATION:
                return parse_duration(s, ret);
        default:
                return parse_u64(s, ret);
        }
}

static const char *format_bound(char buf[static FORMAT_MAX], const ArgOption *o, uint64_t v) {
        if (o->type == ARG_BYTES)
                return format_bytes(buf, v);
        if (o->type == ARG_DURATION)
                return format_usec(buf, v);
        snprintf(buf, FORMAT_MAX, "%llu", (unsigned long long)v);
        return buf;
}

static int set_number(const struct Command *c, const ArgOption *o, const char *s, uint64_t *field) {
        static const char *const expected[] = {
                [ARG_BYTES] = "a size such as 4.5GB, 512MiB or 4500Mi",
                [ARG_DURATION] = "a duration such as 500ms, 10s or 5m",
                [ARG_COUNT] = "a whole number",
        };
        char lo[FORMAT_MAX], hi[FORMAT_MAX];
        uint64_t v;
        int r = parse_number(o, s, &v);

        if (r == -EINVAL)
                return args_error(c, "--%s '%s': expected %s", o->name, s, expected[o->type]);
        if (r < 0 || v < o->min || (o->max && v > o->max)) {
                if (!o->max)
                        return args_error(c, "--%s '%s': expected at least %s", o->name, s,
                                          format_bound(lo, o, o->min));
                return args_error(c, "--%s '%s': expected %s to %s", o->name, s, format_bound(lo, o, o->min),
                                  format_bound(hi, o, o->max));
        }
        *field = v;
        return 0;
}

static int add_text(const struct Command *c, const ArgOption *o, char *s, ArgTexts *texts) {
        if (!*s)
                return args_error(c, "--%s: expected %s, got an empty word", o->name, o->value);
        if (texts->n == ARG_TEXTS_MAX)
                return args_error(c, "--%s '%s': expected at most %u of them", o->name, s, ARG_TEXTS_MAX);
        texts->text[texts->n++] = s;
        return 0;
}

static int set_option(const struct Command *c, const ArgOption *o, char *s, void *values) {
        void *field = (char *)values + o->offset;

        if (o->type == ARG_FLAG) {
                *(bool *)field = true;
                return 0;
        }
        if (o->type == ARG_TEXT) {
                if (!*s)
                        return args_error(c, "--%s: expected %s, got an empty word", o->name, o->value);
                *(const char **)field = s;
                return 0;
        }
        return o->type == ARG_TEXTS ? add_text(c, o, s, field) : set_number(c, o, s, field);
}

/* What getopt_long() wants, from our table. Option i is returned as 256 + i, so that letters need no second look-up. */
static void make_getopt(const struct Command *c, struct option *longs, char *shorts) {
        size_t n = 0;

        *shorts++ = ':'; /* a missing value is ':' rather than '?' */
        *shorts++ = 'h';
        for (const ArgOption *o = c->options; o->name; o++, n++) {
                assert(n < ARGS_OPTIONS_MAX);
                longs[n] = (struct option){o->name, o->type == ARG_FLAG ? no_argument : required_argument, NULL,
                                           256 + (int)n};
                if (o->letter)
                        *shorts++ = o->letter;
                if (o->letter && o->type != ARG_FLAG)
                        *shorts++ = ':';
        }
        longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
        longs[n] = (struct option){0};
        *shorts = 0;
}

static const ArgOption *find_option(const struct Command *c, int code) {
        if (code >= 256)
                return &c->options[code - 256];
        for (const ArgOption *o = c->options; o->name; o++)
                if (o->letter == code)
                        return o;
        return NULL;
}

static int option_error(const struct Command *c, int code, char **argv) {
        const ArgOption *o = find_option(c, optopt);
        const char *word = argv[optind - 1];

        if (code == ':' && o)
                return args_error(c, "--%s: expected %s after it", o->name, o->value);
        if (o && optopt >= 256)
                return args_error(c, "--%s takes no value", o->name);
        if (optopt > 0 && optopt < 256 && strncmp(word, "--", 2) != 0) {
                char letter[3] = {'-', (char)optopt, 0};

                return unknown_option(c, letter);
        }
        return unknown_option(c, word);
}

int args_parse(const struct Command *c, int argc, char **argv, void *values, unsigned n_min, unsigned n_max,
               ArgWords *ret) {
        struct option longs[ARGS_OPTIONS_MAX + 2];
        char shorts[2 * ARGS_OPTIONS_MAX + 3];
        int code, r;

        make_getopt(c, longs, shorts);
        opterr = 0;
        optind = 0; /* glibc: start anew, also after an earlier scan */
        while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
                if (code == 'h') {
                        help_command(c);
                        return 1;
                }
                if (code == '?' || code == ':')
                        return option_error(c, code, argv);
                r = set_option(c, find_option(c, code), optarg, values);
                if (r < 0)
                        return r;
        }
        *ret = (ArgWords){argv + optind, (unsigned)(argc - optind)};
        if (ret->n > n_max)
                return args_error(c, "'%s' is one word too many", ret->word[n_max]);
        if (ret->n < n_min)
                return args_error(c, "expected %s", c->args);
        return 0;
}

int args_span(const struct Command *c, const char *option, const char *text, const char *least, uint64_t *ret_usec) {
        uint64_t v, min = 0;
        int r = parse_u64(text, &v);

        if (r == 0)
                r = v <= SPAN_MAX_USEC / USEC_PER_SEC ? 0 : -ERANGE;
        if (r == 0)
                v *= USEC_PER_SEC;
        else if (r == -EINVAL)
                r = parse_duration(text, &v);
        if (r < 0 || parse_duration(least, &min) < 0 || v < min || v > SPAN_MAX_USEC)
                return args_error(c, "%s: '%s' is not a time from %s to 7d (a bare number is seconds)", option, text,
                                  least);
        *ret_usec = v;
        return 0;
}

int args_pid(const struct Command *c, const char *word, pid_t *ret) {
        uint64_t v;

        /* PID_MAX_LIMIT is 4 Mi on 64 bits (include/linux/threads.h); pid_t bounds it everywhere */
        if (parse_u64(word, &v) < 0 || v == 0 || v > INT32_MAX)
                return args_error(c, "PID '%s': expected a positive decimal number", word);
        *ret = (pid_t)v;
        return 0;
}
