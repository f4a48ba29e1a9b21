/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean ...?": the optimal string alignment distance (Damerau 1964), where inserting, dropping, changing and
 * swapping neighbours cost one each, and case costs nothing.
 */
#include "settings/schema.h"

#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

#define NEAR_LEN_MAX 48 /* longer than any key or word; a longer name is near to nothing */

static char lower(char c) {
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(char a, char b) {
        return lower(a) == lower(b);
}

static size_t distance(const char *a, const char *b) {
        size_t rows[3][NEAR_LEN_MAX + 1], n = strlen(a), m = strlen(b);
        size_t *before = rows[0], *last = rows[1], *now = rows[2];

        if (n > NEAR_LEN_MAX || m > NEAR_LEN_MAX)
                return SIZE_MAX;
        memset(rows, 0, sizeof(rows));
        for (size_t j = 0; j <= m; j++)
                last[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t *swap = before;

                now[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t best = last[j - 1] + (!same(a[i - 1], b[j - 1]));

                        best = min_of(best, last[j] + 1);
                        best = min_of(best, now[j - 1] + 1);
                        if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                                best = min_of(best, before[j - 2] + 1);
                        now[j] = best;
                }
                before = last;
                last = now;
                now = swap;
        }
        return last[m];
}

/* Keeps the nearer of *best and @word; at most a third of the letters may differ, but one always may. */
static void nearer(const char *name, const char *word, const char **best, size_t *best_distance) {
        size_t d = distance(name, word), allowed = max_of(strlen(name) / 3, (size_t)1);

        if (strlen(name) >= 3 && strncasecmp(name, word, strlen(name)) == 0)
                d = 1; /* cut short: "warn" */
        if (d <= allowed && d < *best_distance) {
                *best = word;
                *best_distance = d;
        }
}

const char *nearest_word(const char *const *words, const char *name) {
        const char *best = NULL;
        size_t best_distance = SIZE_MAX;

        for (; *words; words++)
                nearer(name, *words, &best, &best_distance);
        return best;
}

const char *schema_nearest(const char *section, const char *name) {
        const char *best = NULL, *child;
        size_t best_distance = SIZE_MAX;

        for (unsigned i = 0; i < schema_n_rows; i++)
                if ((child = schema_is_child(schema_rows[i].key, section)))
                        nearer(name, child, &best, &best_distance);
        for (unsigned i = 0; i < schema_n_sections; i++)
                if ((child = schema_is_child(schema_sections[i].key, section)))
                        nearer(name, child, &best, &best_distance);
        return best;
}

static const char *last_part(const char *key) {
        const char *dot = strrchr(key, '.');

        return dot ? dot + 1 : key;
}

const char *schema_elsewhere(const char *section, const char *name) {
        for (unsigned i = 0; i < schema_n_rows; i++)
                if (strcmp(last_part(schema_rows[i].key), name) == 0 && !schema_is_child(schema_rows[i].key, section))
                        return schema_rows[i].key;
        for (unsigned i = 0; i < schema_n_sections; i++)
                if (strcmp(last_part(schema_sections[i].key), name) == 0)
                        return schema_sections[i].key;
        return NULL;
}
