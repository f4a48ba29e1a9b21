/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/holds.h"

#include <string.h>

enum {
        SMALL_BELOW = 65536, /* nothing is mapped there (vm.mmap_min_addr) */
        TEXT_LEAST = 5,      /* with its end: less is as likely a number */
        TEXT_OPEN_LEAST = 8, /* without */
};

void holds_name(char *ret, size_t size, const char *name) {
        size_t n = strnlen(name, size - 1);

        for (size_t i = 0; i < n; i++)
                ret[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
        ret[n] = '\0';
}

/* ---- text */

/* Bytes of a UTF-8 sequence of two to four (RFC 3629, section 4, but for overlong forms of three and four). 0: none. */
static size_t sequence(const unsigned char *p, size_t n) {
        size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                     : (p[0] & 0xf0) == 0xe0        ? 3
                     : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                    : 0;

        if (len == 0 || len > n)
                return 0;
        for (size_t i = 1; i < len; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return len;
}

static uint32_t chars_of(unsigned char c) {
        return c >= 'a' && c <= 'z'                   ? GROWTH_CHARS_LOWER
               : c >= 'A' && c <= 'Z'                 ? GROWTH_CHARS_UPPER
               : c >= '0' && c <= '9'                 ? GROWTH_CHARS_DIGIT
               : c == ' ' || (c >= '\t' && c <= '\r') ? GROWTH_CHARS_BLANK
               : c > ' ' && c < 0x7f                  ? GROWTH_CHARS_PUNCT
                                                      : 0;
}

/* Text from @p on. Return: its bytes; 0: it is none. */
static size_t text_at(const unsigned char *p, size_t n, bool is_all, uint32_t *ret_chars) {
        uint32_t chars = 0;
        size_t i = 0;

        while (i < n) {
                uint32_t one = chars_of(p[i]);
                size_t len = one ? 1 : sequence(p + i, n - i);

                if (len == 0)
                        break;
                chars |= one ? one : GROWTH_CHARS_UTF8;
                i += len;
        }
        if (i < TEXT_LEAST || !(chars & ~(uint32_t)(GROWTH_CHARS_BLANK | GROWTH_CHARS_UTF8)))
                return 0;
        if (i < n && p[i] != '\0' && i < TEXT_OPEN_LEAST)
                return 0;
        *ret_chars = chars | (i == n && !is_all ? GROWTH_CHARS_ON : 0);
        return i;
}

/* ---- pointers */

static uint32_t pointer_kind(const Maps *maps, const Ranges *owners, const Map *m, uint64_t addr) {
        const char *path = maps_path(maps, m);
        size_t i = ranges_first(owners, addr);

        if (path[0] == '/')
                return GROWTH_WORD_FILE;
        if (strncmp(path, "[stack", 6) == 0)
                return GROWTH_WORD_STACK;
        if (i == owners->n || owners->range[i].start > addr)
                return strcmp(path, "[heap]") == 0 ? GROWTH_WORD_HEAP : GROWTH_WORD_POINTER;
        return owners->range[i].kind == PART_STACKS ? GROWTH_WORD_STACK : GROWTH_WORD_HEAP;
}

static void take_pointer(const Maps *maps, const Ranges *owners, const Map *m, uint64_t addr, GrowthWord *w) {
        const char *path = maps_path(maps, m), *slash = strrchr(path, '/');

        w->kind = pointer_kind(maps, owners, m, addr);
        if (w->kind != GROWTH_WORD_FILE)
                return;
        w->offset = addr - m->start + m->offset;
        holds_name(w->object, sizeof(w->object), slash ? slash + 1 : path);
}

void holds_judge(const Maps *maps, const Ranges *owners, const unsigned char *bytes, size_t n, uint64_t usable,
                 GrowthWord *ret) {
        size_t text_end = 0;

        for (size_t i = 0; i < GROWTH_WORDS; i++) {
                GrowthWord *w = &ret[i];
                const Map *m;
                uint64_t v;

                *w = (GrowthWord){.kind = GROWTH_WORD_NONE};
                if ((i + 1) * 8 > n || (i + 1) * 8 > usable)
                        continue;
                memcpy(&v, bytes + i * 8, sizeof(v));
                m = v < SMALL_BELOW ? NULL : maps_find(maps, v);
                if (i * 8 < text_end)
                        w->kind = GROWTH_WORD_IN_TEXT;
                else if (v < SMALL_BELOW)
                        w->kind = v ? GROWTH_WORD_SMALL : GROWTH_WORD_ZERO;
                else if (m)
                        take_pointer(maps, owners, m, v, w);
                else {
                        w->offset = text_at(bytes + i * 8, n - i * 8, n >= usable, &w->chars);
                        w->kind = w->offset ? GROWTH_WORD_TEXT : GROWTH_WORD_DATA;
                        text_end = i * 8 + w->offset;
                }
        }
}
