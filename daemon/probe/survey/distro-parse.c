/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/distro.h"

#include <elf.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/scan.h"

static bool is_plain(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* "KEY=value", the value as it is, in "" or in ''. Escapes are in no value of interest: with one it is not plain. */
static bool value_of(const char *line, const char *end, const char *key, const char **ret, const char **ret_end) {
        size_t n = strlen(key);

        if ((size_t)(end - line) <= n || memcmp(line, key, n) != 0)
                return false;
        line += n;
        if (*line == '"' || *line == '\'') {
                if (end - line < 2 || end[-1] != *line)
                        return false;
                line++;
                end--;
        }
        *ret = line;
        *ret_end = end;
        return true;
}

/* The first word, if it is plain and short enough. */
static void take_word(const char *p, const char *end, char *ret) {
        size_t n = 0;

        while (p + n < end && is_plain(p[n]))
                n++;
        if (n == 0 || n >= DISTRO_ID_MAX || (p + n < end && p[n] != ' '))
                return;
        memcpy(ret, p, n);
        ret[n] = '\0';
}

void distro_parse(const char *text, size_t len, Distro *ret) {
        const char *end = text + len, *next, *v, *v_end;
        uint64_t version;

        for (const char *line = text; line < end; line = next == end ? end : next + 1) {
                next = scan_line_end(line, end);
                if (!next) /* the last line may have no end */
                        next = end;
                if (value_of(line, next, "ID=", &v, &v_end))
                        take_word(v, v_end, ret->id);
                else if (value_of(line, next, "ID_LIKE=", &v, &v_end))
                        take_word(v, v_end, ret->like);
                else if (value_of(line, next, "VERSION_ID=", &v, &v_end) && scan_u64(&v, v_end, &version) &&
                         version <= UINT32_MAX)
                        ret->version = (uint32_t)version;
        }
}

static bool is_word(const char *s, size_t size, bool path) {
        size_t n = strnlen(s, size);

        for (size_t i = 0; i < n; i++)
                if (!is_plain(s[i]) && !(path && s[i] == '/'))
                        return false;
        return n < size;
}

bool distro_check(const Distro *d) {
        return is_word(d->id, sizeof(d->id), false) && is_word(d->like, sizeof(d->like), false) &&
               is_word(d->jemalloc, sizeof(d->jemalloc), true) && d->machine <= UINT16_MAX &&
               d->installer < _INSTALLER_MAX && d->looked <= 1;
}

const char *distro_triplet(uint32_t machine) {
        return machine == EM_X86_64 ? "x86_64-linux-gnu" : machine == EM_AARCH64 ? "aarch64-linux-gnu" : NULL;
}
