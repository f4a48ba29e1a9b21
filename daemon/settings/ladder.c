/* SPDX-License-Identifier: Apache-2.0
 *
 * The types that only the ladder has: a rate of growth, a time or what a rotation needs, sets of verdicts, maintenance
 * windows.
 */
#include "settings/value.h"

#include <errno.h>
#include <string.h>

#include "util/parse.h"

#define AUTO "auto"

/* ---- growth: a size by a time ---- */

static const struct {
        const char *unit;
        uint64_t multiply, divide; /* to an hour */
} per[] = {{"/s", 3600, 1}, {"/min", 60, 1}, {"/h", 1, 1}, {"/d", 1, 24}};

/* Within 2^53 (a size is at most 8 EiB), so that a double holds it. */
static int growth_parse(const char *text, uint64_t *ret) {
        for (size_t i = 0; i < ELEMENTSOF(per); i++) {
                size_t n = strlen(text), k = strlen(per[i].unit);
                char size[64];
                uint64_t v;
                int r;

                if (n <= k || n - k >= sizeof(size) || strcmp(text + n - k, per[i].unit) != 0)
                        continue;
                memcpy(size, text, n - k);
                size[n - k] = '\0';
                r = parse_bytes(size, &v);
                if (r < 0)
                        return r;
                if (v > (1ULL << 53) / per[i].multiply)
                        return -ERANGE;
                *ret = v * per[i].multiply / per[i].divide;
                return 0;
        }
        return -EINVAL;
}

static int growth_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        uint64_t v, min = 0, max = UINT64_MAX;
        int r = growth_parse(text, &v);

        if (r == -EINVAL && text[0] != '-' && !strchr(text, '/'))
                buf_adds(why, "has no time that it is by");
        if (r < 0)
                return r;
        if ((row->min && growth_parse(row->min, &min) < 0) || (row->max && growth_parse(row->max, &max) < 0))
                return -EINVAL;
        if (v < min || v > max) {
                buf_adds(why, "is out of range");
                return -ERANGE;
        }
        *(uint64_t *)dest = v;
        return 0;
}

static void growth_write(const SchemaRow *row, const void *src, Buf *b) {
        value_bytes.write(row, src, b);
        buf_adds(b, "/h");
}

static void growth_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^[0-9]+(B?|(\\.[0-9]{1,18})?([kKMGTP]B?|[KMGTP]iB?))/(s|min|h|d)$");
}

const ValueType value_growth = {.noun = "a size by a time",
                                .example = "100MiB/h or 1GB/d",
                                .node = NODE_TEXT,
                                .read = growth_read,
                                .write = growth_write,
                                .json = growth_json};

/* ---- eta: a duration, or auto ---- */

static int eta_read(const SchemaRow *row, const char *text, void *dest, Buf *why) {
        if (strcmp(text, AUTO) != 0)
                return value_duration.read(row, text, dest, why);
        *(uint64_t *)dest = POLICY_ETA_NEEDS;
        return 0;
}

static void eta_write(const SchemaRow *row, const void *src, Buf *b) {
        if (*(const uint64_t *)src == POLICY_ETA_NEEDS)
                buf_adds(b, AUTO);
        else
                value_duration.write(row, src, b);
}

static void eta_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s from %s to %s, such as %s, %s", value_duration.noun, row->min, row->max, value_duration.example,
                 AUTO);
}

static void eta_json(const SchemaRow *row _unused_, Json *j) {
        json_pattern(j, "^(" AUTO "|([0-9]+(\\.[0-9]{1,18})?(us|ms|s|min|m|h|d))+)$");
}

const ValueType value_eta = {.noun = "a duration",
                             .node = NODE_TEXT,
                             .read = eta_read,
                             .write = eta_write,
                             .allowed = eta_allowed,
                             .json = eta_json};

/* ---- a set of words ---- */

static int set_add(const SchemaRow *row, const char *key _unused_, const char *text, void *dest, Buf *why) {
        unsigned *set = dest;
        int bit = 0, r = value_enum.read(row, text, &bit, why);

        if (r < 0)
                return r;
        if (*set & 1u << bit) {
                buf_adds(why, "stands there twice");
                return -EINVAL;
        }
        *set |= 1u << bit;
        return 0;
}

static void set_write(const SchemaRow *row, const void *src, Buf *b) {
        unsigned set = *(const unsigned *)src;
        const char *sep = "";

        buf_addc(b, '[');
        for (size_t i = 0; row->names[i].name; i++)
                if (set & 1u << row->names[i].value) {
                        buf_addf(b, "%s%s", sep, row->names[i].name);
                        sep = ", ";
                }
        buf_addc(b, ']');
}

static void set_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s: ", row->type->noun);
        value_enum.allowed(row, b);
}

static void set_json(const SchemaRow *row, Json *j) {
        json_kv_string(j, "type", "array");
        json_key(j, "uniqueItems");
        json_bool(j, true);
        json_key(j, "items");
        json_object_begin(j);
        value_enum.json(row, j);
        json_object_end(j);
}

const ValueType value_set = {.noun = "a list of words",
                             .node = NODE_LIST,
                             .add = set_add,
                             .write = set_write,
                             .allowed = set_allowed,
                             .json = set_json};

/* ---- maintenance windows ---- */

static int windows_add(const SchemaRow *row _unused_, const char *key _unused_, const char *text, void *dest,
                       Buf *why) {
        PolicyWindows *w = dest;
        const char *wrong = "";
        int r;

        if (w->n == POLICY_WINDOWS_MAX) {
                buf_addf(why, "is one too many: at most %u windows", POLICY_WINDOWS_MAX);
                return -ERANGE;
        }
        r = policy_window_parse(text, &w->window[w->n], &wrong);
        if (r < 0) {
                buf_adds(why, wrong);
                return r;
        }
        w->n++;
        return 0;
}

static void windows_write(const SchemaRow *row _unused_, const void *src, Buf *b) {
        const PolicyWindows *w = src;
        char text[48];

        buf_addc(b, '[');
        for (unsigned i = 0; i < w->n; i++) {
                buf_adds(b, i ? ", " : "");
                yaml_quote(b, policy_window_format(&w->window[i], text, sizeof(text)));
        }
        buf_addc(b, ']');
}

static void windows_allowed(const SchemaRow *row, Buf *b) {
        buf_addf(b, "%s of at most %u, such as [\"mon-fri 01:00-05:00\", \"sat,sun 22:00-06:00\"]", row->type->noun,
                 POLICY_WINDOWS_MAX);
}

static void windows_json(const SchemaRow *row _unused_, Json *j) {
        static const char day[] = "(mon|tue|wed|thu|fri|sat|sun)";
        _cleanup_buf_ Buf pattern = BUF_NULL;

        buf_addf(&pattern, "^(daily|%s(-%s)?(,%s(-%s)?)*) +[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$", day, day, day,
                 day);
        json_kv_string(j, "type", "array");
        json_kv_u64(j, "maxItems", POLICY_WINDOWS_MAX);
        json_key(j, "items");
        json_object_begin(j);
        json_pattern(j, buf_str(&pattern));
        json_object_end(j);
}

const ValueType value_windows = {.noun = "a list of windows",
                                 .node = NODE_LIST,
                                 .add = windows_add,
                                 .write = windows_write,
                                 .allowed = windows_allowed,
                                 .json = windows_json};
