/* SPDX-License-Identifier: Apache-2.0 */
#include "report/accept.h"

#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

typedef struct Range {
        const char *type;
        size_t type_len;
        unsigned q_permille;
        bool other_version; /* asks for a version of OpenMetrics that is not ours */
} Range;

static size_t skip_blank(const char *s) {
        return strspn(s, " \t");
}

/* "0", "0.5", "1.000"; anything else counts as 1, the default. */
static unsigned parse_q(const char *s, size_t len) {
        unsigned v = 0, weight = 100;

        if (len == 0 || (s[0] != '0' && s[0] != '1'))
                return 1000;
        v = s[0] == '1' ? 1000 : 0;
        for (size_t i = 2; i < len && i < 5 && s[1] == '.' && s[i] >= '0' && s[i] <= '9'; i++, weight /= 10)
                v += (unsigned)(s[i] - '0') * weight;
        return min_of(v, 1000u);
}

static void parse_parameter(const char *s, size_t len, Range *range) {
        const char *eq = memchr(s, '=', len);
        size_t name_len = eq ? (size_t)(eq - s) : len, value_len = eq ? len - name_len - 1 : 0;

        while (value_len > 0 && (eq[value_len] == ' ' || eq[value_len] == '\t'))
                value_len--;
        if (!eq)
                return;
        if (name_len == 1 && (s[0] == 'q' || s[0] == 'Q'))
                range->q_permille = parse_q(eq + 1, value_len);
        else if (name_len == 7 && strncasecmp(s, "version", 7) == 0)
                range->other_version = value_len != 5 || strncmp(eq + 1, "1.0.0", 5) != 0;
}

/* One element of the list, up to its comma. Return: where the next one starts. */
static const char *parse_range(const char *s, Range *ret) {
        Range range = {.q_permille = 1000};

        s += skip_blank(s);
        range.type = s;
        range.type_len = strcspn(s, ",; \t");
        s += range.type_len;
        for (;;) {
                s += strcspn(s, ",;");
                if (*s != ';')
                        break;
                s++;
                s += skip_blank(s);
                parse_parameter(s, strcspn(s, ",;"), &range);
        }
        *ret = range;
        return *s == ',' ? s + 1 : s;
}

static bool is_type(const Range *r, const char *name) {
        return r->type_len == strlen(name) && strncasecmp(r->type, name, r->type_len) == 0;
}

bool accept_openmetrics(const char *accept) {
        unsigned openmetrics = 0, text = 0;

        while (*accept) {
                Range r;

                accept = parse_range(accept, &r);
                if (is_type(&r, "application/openmetrics-text") && !r.other_version)
                        openmetrics = max_of(openmetrics, r.q_permille);
                else if (is_type(&r, "text/plain"))
                        text = max_of(text, r.q_permille);
        }
        return openmetrics > 0 && openmetrics >= text;
}
