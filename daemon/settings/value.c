/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/value.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/parse.h"

void json_pattern(Json *j, const char *pattern) {
        json_kv_string(j, "type", "string");
        json_kv_string(j, "pattern", pattern);
}

static void add_range(const SchemaRow *row, Buf *b) {
        buf_adds(b, row->type->noun);
        if (row->min && row->max)
                buf_addf(b, " from %s to %s", row->min, row->max);
        if (row->type->example)
                buf_addf(b, ", such as %s", row->type->example);
}

void value_allowed(const SchemaRow *row, Buf *b) {
        if (row->type->allowed)
                row->type->allowed(row, b);
        else
                add_range(row, b);
        if (row->zero_word)
                buf_addf(b, ", or %s", row->zero_word);
}

static bool is_negative(const char *text) {
        return text[0] == '-' && text[1] >= '0' && text[1] <= '9';
}

static bool is_bare_number(const char *text) {
        double v;

        return parse_double(text, &v) == 0;
}

/* What the strict parsers cannot say, because they only say no. */
static int number_refused(int r, const char *text, Buf *why) {
        if (is_negative(text))
                buf_adds(why, "is negative");
        else if (r == -ERANGE)
                buf_adds(why, "is out of range");
        return r;
}

typedef int (*ParseU64Fn)(const char *s, uint64_t *ret);

/* Ranges are text of the same type; they were read by a test, so a failure here only means "no bound". */
static int read_u64(const SchemaRow *row, ParseU64Fn parse, const char *text, uint64_t *ret, Buf *why) {
        uint64_t v, min = 0, max = UINT64_MAX;
        int r = parse(text, &v);

        if (r < 0)
                return number_refused(r, text, why);
        if (row->min && parse(row->min, &min) < 0)
                return -EINVAL;
        if (row->max && parse(row->max, &max) < 0)
                return -EINVAL;
        if (v < min || v > max)
                return number_refused(-ERANGE, text, why);
        *ret = v;
        return 0;
}

static int bool_read(const SchemaRow *row _unused_, const char *text, void *dest, Buf *why _unused_) {
        return parse_bool(text, dest);
}

static void bool_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        buf_adds(b, *(const bool *)src ? "true" : "false");
}

static void bool_json(const SchemaRow *row _unused_, Json *j) {
        json_kv_string(j, "type", "boolean");
}

const ValueType value_bool = {.noun = "true or false",
                              .node = NODE_TEXT,
                              .plain = true,
                              .read = bool_read,
                              .write = bool_write,
                              .json = bool_json};

static int uint_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        uint64_t v;
        int r = read_u64(row, parse_u64, text, &v, why);

        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;
        *(unsigned *)dest = (unsigned)v;
        return 0;
}

static void uint_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        buf_addu(b, *(const unsigned *)src);
}

static void uint_json(const SchemaRow *row, Json *j) {
        uint64_t v;

        json_kv_string(j, "type", "integer");
        if (row->min && parse_u64(row->min, &v) == 0)
                json_kv_u64(j, "minimum", v);
        if (row->max && parse_u64(row->max, &v) == 0)
                json_kv_u64(j, "maximum", v);
}

const ValueType value_uint = {.noun = "a whole number",
                              .node = NODE_TEXT,
                              .plain = true,
                              .read = uint_read,
                              .write = uint_write,
                              .json = uint_json};

static int bytes_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        size_t len = strlen(text);

        if (len > 1 && text[len - 1] == 'm' && text[len - 2] >= '0' && text[len - 2] <= '9') {
                buf_adds(why, "is in thousandths of a byte (m); M is mega");
                return -EINVAL;
        }
        return read_u64(row, parse_bytes, text, dest, why);
}

/* The unit that divides it and leaves the smallest number, so that what was written comes back and nothing is rounded.
 */
static void bytes_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        static const struct {
                uint64_t factor;
                const char *unit;
        } units[] = {
                {1ULL << 50, "PiB"},   {1ULL << 40, "TiB"}, {1ULL << 30, "GiB"},
                {1ULL << 20, "MiB"},   {1ULL << 10, "KiB"}, {1000000000000000, "PB"},
                {1000000000000, "TB"}, {1000000000, "GB"},  {1000000, "MB"},
                {1000, "kB"},
        };
        uint64_t v = *(const uint64_t *)src, factor = 1;
        const char *unit = "";

        for (size_t i = 0; v > 0 && i < ELEMENTSOF(units); i++)
                if (units[i].factor > factor && v % units[i].factor == 0) {
                        factor = units[i].factor;
                        unit = units[i].unit;
                }
        buf_addu(b, v / factor);
        buf_adds(b, unit);
}

static void bytes_json(const SchemaRow *row _unused_, Json *j) {
        json_key(j, "type");
        json_array_begin(j);
        json_str(j, "string");
        json_str(j, "integer");
        json_array_end(j);
        json_kv_string(j, "pattern", "^[0-9]+(B?|(\\.[0-9]{1,18})?([kKMGTP]B?|[KMGTP]iB?))$");
        json_kv_u64(j, "minimum", 0);
}

const ValueType value_bytes = {.noun = "a size",
                               .example = "512MiB or 4.5GB",
                               .node = NODE_TEXT,
                               .read = bytes_read,
                               .write = bytes_write,
                               .json = bytes_json};

static int duration_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        int r = read_u64(row, parse_duration, text, dest, why);

        if (r == -EINVAL && why->len == 0 && is_bare_number(text))
                buf_adds(why, "has no unit");
        return r;
}

static void duration_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        static const struct {
                uint64_t usec;
                const char *unit;
        } units[] = {{USEC_PER_DAY, "d"}, {USEC_PER_HOUR, "h"},  {USEC_PER_MINUTE, "m"},
                     {USEC_PER_SEC, "s"}, {USEC_PER_MSEC, "ms"}, {1, "us"}};
        uint64_t v = *(const uint64_t *)src;

        if (v == 0)
                buf_addc(b, '0');
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (v >= units[i].usec)
                        buf_addf(b, "%llu%s", (unsigned long long)(v / units[i].usec), units[i].unit);
                v %= units[i].usec;
        }
}

static void duration_json(const SchemaRow *row, Json *j) {
        uint64_t min = 1;

        if (row->min && parse_duration(row->min, &min) == 0 && min == 0) {
                json_key(j, "type");
                json_array_begin(j);
                json_str(j, "string");
                json_str(j, "integer");
                json_array_end(j);
                json_kv_u64(j, "maximum", 0);
                json_kv_u64(j, "minimum", 0);
                json_kv_string(j, "pattern", "^(0|([0-9]+(\\.[0-9]{1,18})?(us|ms|s|min|m|h|d))+)$");
        } else
                json_pattern(j, "^([0-9]+(\\.[0-9]{1,18})?(us|ms|s|min|m|h|d))+$");
}

const ValueType value_duration = {.noun = "a duration",
                                  .example = "30s or 1h30m",
                                  .node = NODE_TEXT,
                                  .read = duration_read,
                                  .write = duration_write,
                                  .json = duration_json};

static int ratio_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        double v, min = 0, max = 1;
        int r = parse_ratio(text, &v);

        if (r == -ERANGE && is_bare_number(text)) {
                buf_adds(why, "is more than the whole (1); for a percentage write %");
                return r;
        }
        if (r < 0)
                return number_refused(r, text, why);
        if ((row->min && parse_ratio(row->min, &min) < 0) || (row->max && parse_ratio(row->max, &max) < 0))
                return -EINVAL;
        if (v < min || v > max)
                return number_refused(-ERANGE, text, why);
        *(double *)dest = v;
        return 0;
}

/* The shortest decimal that reads back as the very same double. The parser takes 18 digits after the point, of a share
 * or of a percentage; whatever it returned was one of the two. */
static void ratio_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        double v = *(const double *)src, again;
        char text[48];

        for (int percent = 1; percent >= 0; percent--)
                for (int digits = 0; digits <= 18; digits++) {
                        snprintf(text, sizeof(text), "%.*f%s", digits, percent ? v * 100 : v, percent ? "%" : "");
                        if (parse_ratio(text, &again) == 0 && memcmp(&again, &v, sizeof(v)) == 0) {
                                buf_adds(b, text);
                                return;
                        }
                }
        buf_addf(b, "%.17g", v);
}

static void ratio_json(const SchemaRow *row, Json *j) {
        double v;

        json_key(j, "type");
        json_array_begin(j);
        json_str(j, "string");
        json_str(j, "number");
        json_array_end(j);
        json_kv_string(j, "pattern", "^[0-9]+(\\.[0-9]{1,18})?%?$");
        if (row->min && parse_ratio(row->min, &v) == 0)
                json_kv_double(j, "minimum", v);
        if (row->max && parse_ratio(row->max, &v) == 0)
                json_kv_double(j, "maximum", v);
}

const ValueType value_ratio = {.noun = "a share",
                               .example = "85% or 0.85",
                               .node = NODE_TEXT,
                               .read = ratio_read,
                               .write = ratio_write,
                               .json = ratio_json};

static int enum_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        const char *words[32] = {0}, *near;

        for (size_t i = 0; row->names[i].name; i++) {
                if (strcmp(text, row->names[i].name) == 0) {
                        memcpy(dest, &row->names[i].value, sizeof(int));
                        return 0;
                }
                if (i + 1 < ELEMENTSOF(words))
                        words[i] = row->names[i].name;
        }
        near = nearest_word(words, text);
        if (near)
                buf_addf(why, "is not known; did you mean %s?", near);
        return -EINVAL;
}

static void enum_write(const SchemaRow *row, const void *src, Buf *b) {
        int v;

        memcpy(&v, src, sizeof(v));
        for (size_t i = 0; row->names[i].name; i++)
                if (row->names[i].value == v) {
                        buf_adds(b, row->names[i].name);
                        return;
                }
}

static void enum_allowed(const SchemaRow *row, Buf *b) {
        for (size_t i = 0; row->names[i].name; i++)
                buf_addf(b, "%s%s", i == 0 ? "" : row->names[i + 1].name ? ", " : " or ", row->names[i].name);
}

static void enum_json(const SchemaRow *row, Json *j) {
        json_key(j, "enum");
        json_array_begin(j);
        for (size_t i = 0; row->names[i].name; i++)
                json_str(j, row->names[i].name);
        json_array_end(j);
}

const ValueType value_enum = {.noun = "one of the words",
                              .node = NODE_TEXT,
                              .read = enum_read,
                              .write = enum_write,
                              .allowed = enum_allowed,
                              .json = enum_json};

/* "SIGTERM", "TERM" or its number. SIGKILL and SIGSTOP give a program no chance to end well, which is the point here.
 */
static int signal_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        uint64_t number = 0;
        bool is_number = parse_u64(text, &number) == 0;

        if (strcmp(text, "SIGKILL") == 0 || strcmp(text, "KILL") == 0 || number == SIGKILL)
                buf_adds(why, "cannot be handled by the target: it would lose its work");
        else if (strcmp(text, "SIGSTOP") == 0 || strcmp(text, "STOP") == 0 || number == SIGSTOP)
                buf_adds(why, "would stop the target instead of ending it");
        for (size_t i = 0; row->names[i].name; i++)
                if (strcmp(text, row->names[i].name) == 0 || strcmp(text, row->names[i].name + strlen("SIG")) == 0 ||
                    (is_number && number == (uint64_t)row->names[i].value)) {
                        memcpy(dest, &row->names[i].value, sizeof(int));
                        return 0;
                }
        return -EINVAL;
}

static void signal_json(const SchemaRow *row, Json *j) {
        json_key(j, "enum");
        json_array_begin(j);
        for (size_t i = 0; row->names[i].name; i++) {
                json_str(j, row->names[i].name);
                json_str(j, row->names[i].name + strlen("SIG"));
                json_i64(j, row->names[i].value);
        }
        json_array_end(j);
}

const ValueType value_signal = {.noun = "a signal that can end a program",
                                .node = NODE_TEXT,
                                .read = signal_read,
                                .write = enum_write,
                                .allowed = enum_allowed,
                                .json = signal_json};

double value_number(const SchemaRow *row, const void *src) {
        if (row->type == &value_ratio)
                return *(const double *)src;
        if (row->type == &value_uint)
                return *(const unsigned *)src;
        if (row->type == &value_eta && *(const uint64_t *)src == POLICY_ETA_NEEDS)
                return 0;
        if (row->type == &value_eta || row->type == &value_growth)
                return (double)*(const uint64_t *)src;
        if (row->type == &value_bytes || row->type == &value_duration)
                return (double)*(const uint64_t *)src;
        return __builtin_nan("");
}
