/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/java.h"

#include <string.h>

#include "probe/inject/dynsym.h"

#define ENTRIES_MAX 16384u /* JDK 25 has some 1,500 */
#define NAME_MAX_OF 64
#define SPAN_MAX    (1ULL << 45) /* a heap of 32 TiB */
#define PAGE        4096u

/* One line of the table: VMStructEntry (vmStructs.hpp). The JVM tells the offsets too, and they must be these. */
typedef struct Entry {
        uint64_t type_name, field_name, type_string;
        uint32_t is_static, pad;
        uint64_t offset, address;
} Entry;

static const struct {
        const char *symbol;
        uint64_t value;
} layout[] = {
        {"gHotSpotVMStructEntryArrayStride", sizeof(Entry)},
        {"gHotSpotVMStructEntryTypeNameOffset", offsetof(Entry, type_name)},
        {"gHotSpotVMStructEntryFieldNameOffset", offsetof(Entry, field_name)},
        {"gHotSpotVMStructEntryIsStaticOffset", offsetof(Entry, is_static)},
        {"gHotSpotVMStructEntryOffsetOffset", offsetof(Entry, offset)},
        {"gHotSpotVMStructEntryAddressOffset", offsetof(Entry, address)},
};

enum Field { HEAP, RESERVED, REGION_START, REGION_WORDS, CODE_LOW, CODE_HIGH, _FIELD_MAX };

static const struct {
        const char *type, *field;
        bool is_static;
} wanted[_FIELD_MAX] = {
        [HEAP] = {"Universe", "_collectedHeap", true},    [RESERVED] = {"CollectedHeap", "_reserved", false},
        [REGION_START] = {"MemRegion", "_start", false},  [REGION_WORDS] = {"MemRegion", "_word_size", false},
        [CODE_LOW] = {"CodeCache", "_low_bound", true}, /* JDK 9 */
        [CODE_HIGH] = {"CodeCache", "_high_bound", true},
};

typedef struct Table {
        Cache *m;
        bool have[_FIELD_MAX];
        uint64_t at[_FIELD_MAX]; /* an address if it is static, else an offset */
} Table;

static bool is_text(Cache *m, uint64_t addr, const char *want) {
        char text[NAME_MAX_OF];
        size_t n = strlen(want) + 1;

        return cache_read(m, addr, text, n) && memcmp(text, want, n) == 0;
}

static void take_entry(Table *t, const Entry *e) {
        for (unsigned i = 0; i < _FIELD_MAX; i++)
                if (!t->have[i] && (e->is_static != 0) == wanted[i].is_static &&
                    is_text(t->m, e->type_name, wanted[i].type) && is_text(t->m, e->field_name, wanted[i].field)) {
                        t->at[i] = wanted[i].is_static ? e->address : e->offset;
                        t->have[i] = true;
                }
}

/* It ends with a line without names. */
static bool read_table(Table *t, uint64_t table) {
        Entry e;

        for (unsigned i = 0; i < ENTRIES_MAX; i++) {
                if (!cache_read(t->m, table + i * sizeof(e), &e, sizeof(e)))
                        return false;
                if (!e.type_name)
                        return true;
                take_entry(t, &e);
        }
        return false;
}

/* Where it is, if its lines are as is known. */
static bool find_table(const Dynsym *d, Cache *m, uint64_t *ret) {
        uint64_t symbol = dynsym_address(d, "gHotSpotVMStructs"), value;

        for (size_t i = 0; i < ELEMENTSOF(layout); i++) {
                uint64_t at = dynsym_address(d, layout[i].symbol);

                if (!at || !cache_word(m, at, &value) || value != layout[i].value)
                        return false;
        }
        return symbol && cache_word(m, symbol, ret);
}

static int add(uint64_t start, uint64_t bytes, PartKind kind, Ranges *owners, uint64_t *ret) {
        if (start == 0 || start % PAGE || bytes == 0 || bytes % PAGE || bytes > SPAN_MAX || start > UINT64_MAX - bytes)
                return 0;
        *ret = bytes;
        return ranges_add(owners, start, start + bytes, kind);
}

/* Which collector it is does not matter; one that reserves in several pieces (ZGC) leaves this empty. */
static int add_heap(const Table *t, Ranges *owners, SurveyJava *ret) {
        uint64_t heap, start, words;

        if (!t->have[HEAP] || !t->have[RESERVED] || !t->have[REGION_START] || !t->have[REGION_WORDS] ||
            !cache_word(t->m, t->at[HEAP], &heap) || heap == 0 ||
            !cache_word(t->m, heap + t->at[RESERVED] + t->at[REGION_START], &start) ||
            !cache_word(t->m, heap + t->at[RESERVED] + t->at[REGION_WORDS], &words) || words > SPAN_MAX)
                return 0;
        return add(start, words * sizeof(uint64_t), PART_JAVA_HEAP, owners, &ret->heap_bytes);
}

static int add_code(const Table *t, Ranges *owners, SurveyJava *ret) {
        uint64_t low, high;

        if (!t->have[CODE_LOW] || !t->have[CODE_HIGH] || !cache_word(t->m, t->at[CODE_LOW], &low) ||
            !cache_word(t->m, t->at[CODE_HIGH], &high) || high <= low)
                return 0;
        return add(low, high - low, PART_JAVA_CODE, owners, &ret->code_bytes);
}

static bool find_libjvm(const Maps *maps, Object *ret) {
        for (size_t i = 0; object_next(maps, &i, ret);)
                if (strncmp(object_base_name(ret), "libjvm.so", strlen("libjvm.so")) == 0)
                        return true;
        return false;
}

int java_read_table(Cache *m, uint64_t table, Ranges *owners, SurveyJava *ret) {
        Table t = {.m = m};
        SurveyJava found = {0};
        int r;

        if (!read_table(&t, table))
                return 0;
        r = add_heap(&t, owners, &found);
        if (r == 0)
                r = add_code(&t, owners, &found);
        if (r < 0)
                return r;
        *ret = found;
        return 1;
}

int survey_java(Source *source, const Maps *maps, Ranges *owners, SurveyJava *ret) {
        MappedSource mapped = {source, maps};
        Memory memory = memory_of_process(source->pid);
        _cleanup_(cache_done) Cache cache = CACHE_NULL;
        uint64_t table;
        Object o;
        Dynsym d;
        int r;

        if (!find_libjvm(maps, &o) || dynsym_open(&memory, o.first->start, &d) < 0)
                return 0;
        r = cache_init(&cache, mapped_source_read, &mapped);
        if (r < 0)
                return r;
        return find_table(&d, &cache, &table) ? java_read_table(&cache, table, owners, ret) : 0;
}
