/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-inside.h"

#include <string.h>

#include "util/cleanup.h"
#include "util/scan.h"

/* What is left of a line. */
typedef struct Scan {
        const char *p, *end;
} Scan;

/* The next line of @text, without blanks around it. Return: false: there is none; what is cut short is none. */
static bool next_line(Scan *text, Scan *ret) {
        const char *nl = scan_line_end(text->p, text->end);

        if (!nl)
                return false;
        *ret = (Scan){scan_blanks(text->p, nl), nl};
        while (ret->end > ret->p && (ret->end[-1] == ' ' || ret->end[-1] == '\r'))
                ret->end--;
        text->p = nl + 1;
        return true;
}

/* @word is next, and is passed by. */
static bool take(Scan *s, const char *word) {
        size_t n = strlen(word);

        if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
                return false;
        s->p += n;
        return true;
}

/* A number of bytes. What follows it at once is its unit, and no unit but @units are known: "" = none at all. */
static bool take_bytes(Scan *s, bool scaled, uint64_t *ret) {
        static const struct {
                char unit;
                unsigned shift;
        } units[] = {{'B', 0}, {'K', 10}, {'M', 20}, {'G', 30}};
        const char *p = s->p;
        uint64_t v;

        if (!scan_u64(&p, s->end, &v))
                return false;
        if (!scaled) {
                if (p < s->end && ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '.'))
                        return false;
                s->p = p;
                *ret = v;
                return true;
        }
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (p < s->end && *p == units[i].unit && v <= UINT64_MAX >> units[i].shift) {
                        s->p = p + 1;
                        *ret = v << units[i].shift;
                        return true;
                }
        return false;
}

/* "WORD 123K" */
static bool take_size(Scan *s, const char *word, uint64_t *ret) {
        return take(s, word) && take_bytes(s, true, ret);
}

static bool take_hex(Scan *s, uint64_t *ret) {
        uint64_t v = 0;
        unsigned n = 0;

        if (!take(s, "0x"))
                return false;
        for (; s->p < s->end; s->p++, n++) {
                char c = *s->p;
                unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                                 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                        : 16;

                if (digit == 16)
                        break;
                v = v << 4 | digit;
        }
        *ret = v;
        return n > 0 && n <= 16;
}

static bool add(uint64_t *sum, uint64_t v) {
        return !__builtin_add_overflow(*sum, v, sum);
}

/* ---- the heap */

/* " [0xfrom, 0xcommitted, 0xreserved)", or without the second: then @committed is what is committed. */
static bool take_range(Scan *s, JvmHeap *h, uint64_t committed) {
        uint64_t from, middle, to;

        if (!take(s, " [") || !take_hex(s, &from) || !take(s, ", ") || !take_hex(s, &middle))
                return false;
        to = middle;
        if (take(s, ", ")) {
                if (!take_hex(s, &to) || middle < from)
                        return false;
                committed = middle - from;
        }
        return take(s, ")") && to >= from && add(&h->reserved_bytes, to - from) && add(&h->committed_bytes, committed);
}

/* "total 19712K, used 3K [...)"; G1 from JDK 25 on "total reserved 65536K, committed 65536K, used 5549K". */
static bool take_generation(Scan *s, JvmHeap *h) {
        uint64_t total, used;

        if (!take(s, "total "))
                return false;
        if (take(s, "reserved "))
                return take_bytes(s, true, &h->reserved_bytes) && take_size(s, ", committed ", &h->committed_bytes) &&
                       take_size(s, ", used ", &h->used_bytes);
        return take_bytes(s, true, &total) && take_size(s, ", used ", &used) && add(&h->used_bytes, used) &&
               take_range(s, h, total);
}

static bool take_zgc(Scan *s, JvmHeap *h) {
        return take_size(s, "used ", &h->used_bytes) && take_size(s, ", capacity ", &h->committed_bytes) &&
               take_size(s, ", max capacity ", &h->reserved_bytes);
}

/* The line below its name: "65536K max, 65536K soft max, 65536K committed, 3328K used" */
static bool take_shenandoah(Scan *s, JvmHeap *h) {
        uint64_t soft;

        return take_bytes(s, true, &h->reserved_bytes) && take(s, " max, ") && take_bytes(s, true, &soft) &&
               take(s, " soft max, ") && take_bytes(s, true, &h->committed_bytes) && take(s, " committed, ") &&
               take_bytes(s, true, &h->used_bytes) && take(s, " used");
}

typedef bool (*HeapLineFn)(Scan *s, JvmHeap *h);

/* How the lines begin that have figures of a whole generation or heap. The first one tells the collector. */
static const struct {
        const char *name, *collector;
        HeapLineFn line;
        bool below;     /* its figures are on the next line */
        unsigned lines; /* that a heap of this collector has */
} heap_lines[] = {
        {"garbage-first heap", "G1", take_generation, false, 1},
        {"PSYoungGen", "Parallel", take_generation, false, 2},
        {"ParOldGen", "Parallel", take_generation, false, 2},
        {"def new generation", "Serial", take_generation, false, 2}, /* as 17 says it; 25 says DefNew */
        {"tenured generation", "Serial", take_generation, false, 2},
        {"DefNew", "Serial", take_generation, false, 2},
        {"Tenured", "Serial", take_generation, false, 2},
        {"ZHeap", "ZGC", take_zgc, false, 1},
        {"Shenandoah Heap", "Shenandoah", take_shenandoah, true, 1},
};

/* Return: 0; 1: it took a line; -1: a line that is not as it should be. */
static int heap_line(Scan *text, Scan line, JvmHeap *h, unsigned *ret_lines) {
        for (size_t i = 0; i < ELEMENTSOF(heap_lines); i++) {
                Scan s = line;

                if (!take(&s, heap_lines[i].name))
                        continue;
                if (heap_lines[i].below && !next_line(text, &s))
                        return -1;
                s.p = scan_blanks(s.p, s.end);
                if (h->collector && strcmp(h->collector, heap_lines[i].collector) != 0)
                        return -1;
                h->collector = heap_lines[i].collector;
                *ret_lines = heap_lines[i].lines;
                return heap_lines[i].line(&s, h) ? 1 : -1;
        }
        return 0;
}

bool jvm_heap_parse(const char *text, size_t n, JvmHeap *ret) {
        Scan all = {text, text + n}, line;
        unsigned found = 0, wanted = 0;
        JvmHeap h = {0};

        while (next_line(&all, &line)) {
                int r = heap_line(&all, line, &h, &wanted);

                if (r < 0)
                        return false;
                found += (unsigned)r;
        }
        if (found == 0 || found != wanted || h.used_bytes > h.committed_bytes || h.committed_bytes > h.reserved_bytes)
                return false;
        *ret = h;
        return true;
}

/* ---- metaspace */

/* "Both:" or "Class:" before the figures; where there is but one space there is no such word. */
static void skip_label(Scan *s) {
        const char *colon = memchr(s->p, ':', (size_t)(s->end - s->p));

        if (colon)
                s->p = scan_blanks(colon + 1, s->end);
}

/* "1784072 bytes used." The last such line before the empty one is of all spaces. */
static bool take_used(Scan s, JvmMetaspace *m) {
        uint64_t v;

        skip_label(&s);
        if (!take_bytes(&s, false, &v) || !take(&s, " bytes used."))
                return false;
        m->used_bytes = v;
        return true;
}

/* "67108864 bytes reserved,  1835008 bytes (  3%) committed" */
static bool take_spaces(Scan s, JvmMetaspace *m) {
        uint64_t reserved, committed;

        skip_label(&s);
        if (!take_bytes(&s, false, &reserved) || !take(&s, " bytes reserved,"))
                return false;
        s.p = scan_blanks(s.p, s.end);
        if (!take_bytes(&s, false, &committed) || !take(&s, " bytes ") ||
            !memmem(s.p, (size_t)(s.end - s.p), "committed", 9))
                return false;
        m->reserved_bytes = reserved;
        m->committed_bytes = committed;
        return true;
}

bool jvm_metaspace_parse(const char *text, size_t n, JvmMetaspace *ret) {
        Scan all = {text, text + n}, line;
        bool (*section)(Scan, JvmMetaspace *) = NULL;
        bool used = false, spaces = false;
        JvmMetaspace m = {.known = true};

        while (next_line(&all, &line)) {
                Scan s = line;

                if (s.p == s.end)
                        section = NULL;
                else if (take(&s, "Usage:"))
                        section = take_used;
                else if (take(&s, "Virtual space:"))
                        section = take_spaces;
                else if (section && section(line, &m))
                        *(section == take_used ? &used : &spaces) = true;
        }
        if (!used || !spaces || m.used_bytes > m.committed_bytes || m.committed_bytes > m.reserved_bytes)
                return false;
        *ret = m;
        return true;
}

/* ---- native memory */

static bool is_of_name(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ' || c == '-' ||
               c == '_' || c == '/';
}

static bool take_name(Scan *s, char name[static JVM_CATEGORY_NAME]) {
        size_t n = 0;

        s->p = scan_blanks(s->p, s->end);
        while (s->p + n < s->end && is_of_name(s->p[n]))
                n++;
        if (n < 2 || n > JVM_CATEGORY_NAME || s->p[n - 1] != ' ')
                return false; /* a blank is before the parenthesis */
        memcpy(name, s->p, n - 1);
        name[n - 1] = '\0';
        s->p += n;
        return true;
}

static bool take_pair(Scan *s, const char *word, uint64_t *ret_reserved, uint64_t *ret_committed) {
        return take(s, word) && take_bytes(s, false, ret_reserved) && take(s, ", committed=") &&
               take_bytes(s, false, ret_committed);
}

/* "-                    Thread (reserved=19974504, committed=874856)" */
static bool take_category(Scan *s, JvmNmt *m) {
        JvmCategory *c = &m->categories[m->n_categories];

        if (m->n_categories == JVM_CATEGORIES_MAX || !take_name(s, c->name) ||
            !take_pair(s, "(reserved=", &c->reserved_bytes, &c->committed_bytes) || s->p == s->end)
                return false;
        m->n_categories++;
        return true;
}

/* A line below a category. Others than these say the same of other things. Return: false: a figure that is wrong. */
static bool take_detail(Scan *s, JvmNmt *m) {
        static const char *const mallocs[] = {"(malloc=", "(arena=", "(tracking overhead="};
        JvmCategory *c = &m->categories[m->n_categories - 1];
        uint64_t v;

        for (size_t i = 0; i < ELEMENTSOF(mallocs); i++)
                if (take(s, mallocs[i]))
                        return take_bytes(s, false, &v) && add(&c->malloc_bytes, v) && add(&m->malloc_bytes, v);
        if (take(s, "(stack: "))
                return take_pair(s, "reserved=", &m->stack_reserved_bytes, &m->stack_committed_bytes);
        if (take(s, "(thread #") || take(s, "(threads #"))
                return take_bytes(s, false, &m->n_threads);
        return take(s, "(classes #") ? take_bytes(s, false, &m->n_classes) : true;
}

static bool adds_up(const JvmNmt *m) {
        uint64_t reserved = 0, committed = 0;

        for (size_t i = 0; i < m->n_categories; i++) {
                const JvmCategory *c = &m->categories[i];

                if (c->committed_bytes > c->reserved_bytes || c->malloc_bytes > c->committed_bytes ||
                    !add(&reserved, c->reserved_bytes) || !add(&committed, c->committed_bytes))
                        return false;
        }
        return reserved == m->reserved_bytes && committed == m->committed_bytes && m->n_categories > 0;
}

bool jvm_nmt_parse(const char *text, size_t n, JvmNmt *ret) {
        Scan all = {text, text + n}, line;
        JvmNmt m = {.state = JVM_NMT_UNKNOWN};

        while (next_line(&all, &line)) {
                if (take(&line, "Native memory tracking is not enabled")) {
                        *ret = (JvmNmt){.state = JVM_NMT_OFF};
                        return true;
                }
                if (take(&line, "Total: ")) {
                        if (m.state == JVM_NMT_KNOWN ||
                            !take_pair(&line, "reserved=", &m.reserved_bytes, &m.committed_bytes))
                                return false;
                        m.state = JVM_NMT_KNOWN;
                } else if (m.state == JVM_NMT_KNOWN && take(&line, "-")) {
                        if (!take_category(&line, &m))
                                return false;
                } else if (m.n_categories > 0 && !take_detail(&line, &m))
                        return false;
        }
        if (m.state != JVM_NMT_KNOWN || !adds_up(&m))
                return false;
        *ret = m;
        return true;
}

const JvmCategory *jvm_nmt_find(const JvmNmt *nmt, const char *name) {
        for (size_t i = 0; i < nmt->n_categories; i++)
                if (strcmp(nmt->categories[i].name, name) == 0)
                        return &nmt->categories[i];
        return NULL;
}
