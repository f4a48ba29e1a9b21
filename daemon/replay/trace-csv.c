/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of figures. With a header its names say what is what, in any order, and what is not known is passed over; a
 * file of two columns may call the second as it likes, as exports of dashboards do. Without one the columns are time,
 * bytes and, if there is a third, the limit.
 */
#include "replay/reader.h"

#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

#define COLUMNS_MAX    64u
#define LINE_MAX_BYTES 65536

typedef enum Role { ROLE_NONE, ROLE_TIME, ROLE_TIME_MS, ROLE_RSS, ROLE_USED, ROLE_LIMIT, ROLE_IN_USE, _ROLE_MAX } Role;

static const struct {
        const char *name;
        Role role;
} names[] = {
        {"time_s", ROLE_TIME},
        {"time", ROLE_TIME},
        {"timestamp", ROLE_TIME},
        {"time_ms", ROLE_TIME_MS},
        {"timestamp_ms", ROLE_TIME_MS},
        {"rss_bytes", ROLE_RSS},
        {"rss", ROLE_RSS},
        {"bytes", ROLE_RSS},
        {"memory_bytes", ROLE_RSS},
        {"value", ROLE_RSS},
        {"used_bytes", ROLE_USED},
        {"usage_bytes", ROLE_USED},
        {"limit_bytes", ROLE_LIMIT},
        {"limit", ROLE_LIMIT},
        {"in_use_bytes", ROLE_IN_USE},
};

typedef struct Cell {
        const char *p, *end;
} Cell;

typedef struct Layout {
        char separator; /* ' ' = any run of blanks */
        unsigned n;
        int column[_ROLE_MAX]; /* -1 = none */
} Layout;

/* ---- lines into cells ---- */

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r';
}

static Cell trim(Cell c) {
        while (c.p < c.end && is_blank(*c.p))
                c.p++;
        while (c.p < c.end && is_blank(c.end[-1]))
                c.end--;
        if (c.end - c.p >= 2 && *c.p == '"' && c.end[-1] == '"') {
                c.p++;
                c.end--;
        }
        return c;
}

/* A separator between quotes is none: a dashboard quotes names that hold commas. */
static const char *cell_end(const char *p, const char *end, char separator) {
        bool quoted = false;

        for (; p < end; p++) {
                if (*p == '"')
                        quoted = !quoted;
                else if (!quoted && (separator == ' ' ? is_blank(*p) : *p == separator))
                        break;
        }
        return p;
}

static unsigned split(const char *p, const char *end, char separator, Cell ret[static COLUMNS_MAX]) {
        unsigned n = 0;

        while (n < COLUMNS_MAX) {
                Cell c;

                while (separator == ' ' && p < end && is_blank(*p))
                        p++;
                if (separator == ' ' && p == end)
                        break;
                c = (Cell){.p = p, .end = cell_end(p, end, separator)};
                ret[n++] = trim(c);
                if (c.end == end)
                        break;
                p = c.end + 1;
        }
        return n;
}

/* Return: false at the end of the text. @ret_end is behind the line, without its newline. */
static bool next_line(Reader *r, const char **p, const char **ret_begin, const char **ret_end) {
        while (*p < r->end) {
                const char *begin = *p, *end = memchr(begin, '\n', (size_t)(r->end - begin)), *first;

                if (!end)
                        end = r->end;
                *p = end < r->end ? end + 1 : end;
                for (first = begin; first < end && is_blank(*first);)
                        first++;
                if (first == end || *first == '#')
                        continue;
                if (end - begin > LINE_MAX_BYTES) {
                        reader_fail(r, begin, "a line of %zu bytes: expected at most %d", (size_t)(end - begin),
                                    LINE_MAX_BYTES);
                        r->stop = true;
                        return false;
                }
                *ret_begin = begin;
                *ret_end = end;
                return true;
        }
        return false;
}

/* ---- the header ---- */

static char separator_of(const char *p, const char *end) {
        static const char separators[] = {',', ';', '\t'};

        for (size_t i = 0; i < ELEMENTSOF(separators); i++)
                if (memchr(p, separators[i], (size_t)(end - p)))
                        return separators[i];
        return ' ';
}

static Role role_of(Cell c) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if ((size_t)(c.end - c.p) == strlen(names[i].name) &&
                    strncasecmp(c.p, names[i].name, (size_t)(c.end - c.p)) == 0)
                        return names[i].role;
        return ROLE_NONE;
}

static bool has(const Layout *l, Role role) {
        return l->column[role] >= 0;
}

static bool layout_is_whole(Reader *r, const Layout *l, const char *at) {
        if (!has(l, ROLE_TIME) && !has(l, ROLE_TIME_MS))
                reader_fail(r, at, "no column of times: expected one called time_s, time, timestamp or time_ms");
        else if (!has(l, ROLE_RSS) && !has(l, ROLE_USED))
                reader_fail(r, at, "no column of memory: expected one called rss_bytes, bytes, used_bytes or value");
        else
                return true;
        r->stop = true;
        return false;
}

static bool layout_by_header(Reader *r, Layout *l, const Cell *cells, const char *at) {
        for (unsigned i = 0; i < l->n; i++) {
                Role role = role_of(cells[i]);
                char quoted[READER_QUOTE_MAX];

                if (role == ROLE_NONE)
                        continue;
                if (has(l, role)) {
                        reader_fail(r, cells[i].p, "column %s: there is one of that meaning before it, column %d",
                                    reader_quote(quoted, cells[i].p, cells[i].end), l->column[role] + 1);
                        r->stop = true;
                        return false;
                }
                l->column[role] = (int)i;
        }
        if (l->n == 2 && l->column[ROLE_TIME] + l->column[ROLE_TIME_MS] == -1 && !has(l, ROLE_RSS) &&
            !has(l, ROLE_USED))
                l->column[ROLE_RSS] = 1; /* time is the first, whatever the second is called */
        return layout_is_whole(r, l, at);
}

static bool layout_of_columns(Reader *r, Layout *l, const char *at) {
        if (l->n != 2 && l->n != 3) {
                reader_fail(r, at, "%u column%s without a header: expected time, bytes and perhaps the limit", l->n,
                            l->n == 1 ? "" : "s");
                r->stop = true;
                return false;
        }
        l->column[ROLE_TIME] = 0;
        l->column[ROLE_RSS] = 1;
        l->column[ROLE_LIMIT] = l->n == 3 ? 2 : -1;
        return true;
}

/* Return: 1 when the line was a header, 0 when it is a sample already, -EINVAL. */
static int find_layout(Reader *r, const char *begin, const char *end, Layout *l) {
        Cell cells[COLUMNS_MAX];
        bool header;

        *l = (Layout){.separator = separator_of(begin, end)};
        memset(l->column, 0xff, sizeof(l->column));
        l->n = split(begin, end, l->separator, cells);
        /* a header begins with a letter; so do "nan" and "inf", which are no time */
        header = l->n > 0 && cells[0].p < cells[0].end && !strchr("+-.0123456789", *cells[0].p);
        r->trace->form = header ? TRACE_FORM_CSV : TRACE_FORM_COLUMNS;
        if (header)
                return layout_by_header(r, l, cells, begin) ? 1 : -EINVAL;
        return layout_of_columns(r, l, begin) ? 0 : -EINVAL;
}

/* ---- samples ---- */

static int take_bytes(Reader *r, const Layout *l, const Cell *cells, uint64_t limit_bytes, uint64_t *ret) {
        /* as the daemon judges: use against a limit, else the resident set */
        Role role = has(l, ROLE_USED) && (limit_bytes > 0 || !has(l, ROLE_RSS)) ? ROLE_USED : ROLE_RSS;
        const Cell *c = &cells[l->column[role]];

        return reader_bytes(r, c->p, c->end, role == ROLE_USED ? "use" : "memory", ret);
}

static void take_line(Reader *r, const Layout *l, const char *begin, const char *end) {
        Role time_role = has(l, ROLE_TIME) ? ROLE_TIME : ROLE_TIME_MS;
        Cell cells[COLUMNS_MAX];
        unsigned n = split(begin, end, l->separator, cells);
        TracePoint p = {0};
        int q;

        if (n != l->n) {
                reader_fail(r, begin, "%u column%s: expected %u, as in the first line", n, n == 1 ? "" : "s", l->n);
                return;
        }
        if (reader_time(r, cells[l->column[time_role]].p, cells[l->column[time_role]].end,
                        time_role == ROLE_TIME ? 6 : 3, &p.time_usec) <= 0)
                return;
        if (has(l, ROLE_LIMIT)) {
                const Cell *c = &cells[l->column[ROLE_LIMIT]];

                if (reader_bytes(r, c->p, c->end, "limit", &p.limit_bytes) < 0)
                        return;
        }
        if (has(l, ROLE_IN_USE)) {
                const Cell *c = &cells[l->column[ROLE_IN_USE]];

                if (reader_bytes(r, c->p, c->end, "in use", &p.in_use_bytes) < 0)
                        return;
        }
        q = take_bytes(r, l, cells, p.limit_bytes, &p.bytes);
        if (q == 0)
                reader_absent(r, begin);
        else if (q > 0)
                reader_add(r, begin, &p);
}

void reader_csv(Reader *r) {
        const char *p = r->text, *begin, *end;
        Layout l;
        int q;

        if (r->end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
                p += 3; /* the byte order mark that spreadsheets write */
        if (!next_line(r, &p, &begin, &end))
                return;
        q = find_layout(r, begin, end, &l);
        if (q == 0)
                take_line(r, &l, begin, end);
        while (q >= 0 && !r->stop && next_line(r, &p, &begin, &end))
                take_line(r, &l, begin, end);
}
