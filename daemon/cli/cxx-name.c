/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cxx-name.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

typedef struct Out {
        char *buf;
        size_t size, len;
        bool failed;
} Out;

static void put(Out *o, const char *s, size_t n) {
        if (n >= o->size - o->len) {
                o->failed = true;
                return;
        }
        memcpy(o->buf + o->len, s, n);
        o->len += n;
        o->buf[o->len] = '\0';
}

static bool is_identifier(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= '0' && s[i] <= '9') &&
                    s[i] != '_' && s[i] != '$')
                        return false;
        return true;
}

/* <source-name>: its length, then so many characters. Return: behind it; NULL: it is none. */
static const char *source_name(Out *o, const char *p) {
        size_t n = 0;
        const char *at = p;

        for (; *at >= '0' && *at <= '9'; at++) {
                n = n * 10 + (size_t)(*at - '0');
                if (n > 512)
                        return NULL;
        }
        if (n == 0 || *p == '0' || strnlen(at, n) < n || !is_identifier(at, n))
                return NULL;
        if (strncmp(at, "_GLOBAL__N", min_of(n, (size_t)10)) == 0 && n >= 10)
                put(o, "(anonymous namespace)", 21);
        else
                put(o, at, n);
        return at + n;
}

/* std:: before it is "St" (5.1.10). */
static const char *unscoped(Out *o, const char *p) {
        if (strncmp(p, "St", 2) == 0) {
                put(o, "std::", 5);
                p += 2;
        }
        return source_name(o, p);
}

static const char *nested(Out *o, const char *p) {
        p = unscoped(o, p);
        while (p && *p != 'E') {
                put(o, "::", 2);
                p = source_name(o, p);
        }
        return p ? p + 1 : NULL;
}

bool cxx_name(char *buf, size_t size, const char *name) {
        static const struct {
                const char *prefix, *text;
        } tables[] = {{"_ZTV", "vtable for "},
                      {"_ZTI", "typeinfo for "},
                      {"_ZTS", "typeinfo name for "},
                      {"_ZTT", "VTT for "}};
        Out o = {.buf = buf, .size = size};

        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                const char *p = name + 4;

                if (strncmp(name, tables[i].prefix, 4) != 0)
                        continue;
                put(&o, tables[i].text, strlen(tables[i].text));
                p = *p == 'N' ? nested(&o, p + 1) : unscoped(&o, p);
                return p && *p == '\0' && !o.failed;
        }
        return false;
}
