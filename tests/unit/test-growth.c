/* SPDX-License-Identifier: Apache-2.0
 *
 * What grows, and what the newer chunks hold: the rows of two looks, which chunks count as newer, and words judged
 * without being told.
 */
#include "cli/growth-rows.h"
#include "cli/growth-words.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "heap-blob.h"
#include "probe/survey/fresh.h"
#include "probe/survey/growth-job.h"
#include "probe/survey/holds.h"
#include "unit/unit.h"

static void test_ask(void **state _unused_) {
        const GrowthAsk a = {.n_classes = 3, .n_samples = 32, .classes = {9, 255, 1}, .show_content = true};
        GrowthAsk b;

        assert_true(growth_unpack(growth_pack(&a), &b));
        assert_memory_equal(&a, &b, sizeof(a));
        assert_true(growth_unpack(0, &b));
        assert_false(b.show_content);
        assert_false(growth_unpack(-1, &b));
        assert_false(growth_unpack((int64_t)4 << 24, &b));  /* classes */
        assert_false(growth_unpack((int64_t)33 << 32, &b)); /* samples */
}

/* ---- which are newer */

static void draw(const Fresh *f, FreshDrawn *d, unsigned from, unsigned to) {
        for (unsigned i = from; i < to; i++)
                fresh_draw(f, d, 0x10000 + i * 144ULL, 144);
}

static void test_newer_chunks(void **state _unused_) {
        FreshDrawn d = {.class = 9, .max = 8};
        int fd = memfd_create("test", MFD_CLOEXEC);
        Fresh f, back;

        assert_true(fd >= 0);
        assert_int_equal(fresh_load(fd, 7, 100, &back), -ENODATA);
        assert_int_equal(fresh_init(&f), 0);
        for (unsigned i = 0; i < 1000; i++)
                fresh_remember(&f, 0x10000 + i * 144ULL, 144);
        fresh_skip(&f, 0x123450);
        assert_int_equal(fresh_save(&f, fd, 7, 100), 0);
        fresh_done(&f);
        assert_int_equal(fresh_load(fd, 8, 100, &back), -ENODATA); /* another process */
        assert_int_equal(fresh_load(fd, 7, 101, &back), -ENODATA); /* the same number again */
        assert_int_equal(fresh_load(-1, 7, 100, &back), -ENODATA);
        assert_int_equal(fresh_load(fd, 7, 100, &back), 0);
        assert_true(fresh_skipped(&back, 0x123450));
        assert_false(fresh_skipped(&back, 0x123460));
        draw(&back, &d, 0, 1000);
        assert_int_equal(d.n, 0); /* all of them were there */
        draw(&back, &d, 990, 1100);
        draw(&back, &d, 990, 1100); /* an arena that is read again */
        assert_int_equal(d.n, 8);
        for (unsigned i = 0; i < d.n; i++) {
                assert_true(d.addr[i] >= 0x10000 + 1000 * 144ULL);
                for (unsigned k = 0; k < i; k++)
                        assert_true(d.addr[k] != d.addr[i] && d.rank[k] <= d.rank[i]);
        }
        /* the same place at another size is another chunk; another class is not asked for */
        d = (FreshDrawn){.class = 10, .max = 8};
        fresh_draw(&back, &d, 0x10000, 160);
        fresh_draw(&back, &d, 0x20000000, 176);
        assert_int_equal(d.n, 1);
        fresh_done(&back);
        close(fd);
}

/* A heap larger than the memory for it: one in 2^shift is remembered, and none of the old ones is ever a newer one. */
static void test_large_heap(void **state _unused_) {
        const unsigned n = 5 * FRESH_MAX;
        FreshDrawn d = {.class = 9, .max = FRESH_DRAWN_MAX};
        int fd = memfd_create("test", MFD_CLOEXEC);
        Fresh f, back;

        assert_int_equal(fresh_init(&f), 0);
        for (unsigned i = 0; i < n; i++)
                fresh_remember(&f, 0x10000 + i * 144ULL, 144);
        assert_true(f.n <= FRESH_MAX && f.n > FRESH_MAX / 4 && f.shift >= 3 && f.shift <= 4);
        assert_int_equal(fresh_save(&f, fd, 7, 100), 0);
        fresh_done(&f);
        assert_int_equal(fresh_load(fd, 7, 100, &back), 0);
        draw(&back, &d, 0, n);
        assert_int_equal(d.n, 0);
        draw(&back, &d, n, 2 * n);
        assert_int_equal(d.n, FRESH_DRAWN_MAX);
        fresh_done(&back);
        close(fd);
}

static void test_too_many_arenas_skipped(void **state _unused_) {
        Fresh f;

        assert_int_equal(fresh_init(&f), 0);
        for (uint64_t i = 0; i < FRESH_ARENAS_MAX; i++)
                fresh_skip(&f, i * 64);
        assert_false(f.blind);
        fresh_skip(&f, 1);
        assert_true(f.blind && fresh_skipped(&f, 77));
        fresh_done(&f);
}

/* ---- words */

#define HEAP_AT  0x555500000000ULL
#define LIB_AT   0x7f0000000000ULL
#define STACK_AT 0x7f1000000000ULL

static Map map[] = {
        {.start = HEAP_AT, .end = HEAP_AT + 65536, .prot = MAP_R | MAP_W, .path = 1},
        {.start = LIB_AT, .end = LIB_AT + 65536, .offset = 4096, .inode = 5, .prot = MAP_R, .path = 8},
        {.start = STACK_AT, .end = STACK_AT + 65536, .prot = MAP_R | MAP_W},
};
static char paths[] = "\0[heap]\0/lib/libapp.so";
static Range range[] = {{HEAP_AT, HEAP_AT + 65536, PART_MAIN_HEAP}, {STACK_AT, STACK_AT + 4096, PART_STACKS}};
static const Maps maps = {.map = map, .n = 3, .paths = paths, .paths_len = sizeof(paths)};
static const Ranges owners = {.range = range, .n = 2};

static void test_words(void **state _unused_) {
        static const struct {
                const char *name;
                uint64_t word;
                const char *bytes; /* instead */
                unsigned kind;
                uint64_t offset;
                unsigned chars;
        } cases[] = {
                {"nothing", 0, NULL, GROWTH_WORD_ZERO, 0, 0},
                {"one", 1, NULL, GROWTH_WORD_SMALL, 0, 0},
                {"short", 65535, NULL, GROWTH_WORD_SMALL, 0, 0},
                {"number", 1ULL << 40, NULL, GROWTH_WORD_DATA, 0, 0},
                {"minus one", UINT64_MAX, NULL, GROWTH_WORD_DATA, 0, 0},
                {"heap", HEAP_AT + 32, NULL, GROWTH_WORD_HEAP, 0, 0},
                {"heap's end", HEAP_AT + 65536, NULL, GROWTH_WORD_DATA, 0, 0},
                {"file", LIB_AT + 0x234, NULL, GROWTH_WORD_FILE, 4096 + 0x234, 0},
                {"stack", STACK_AT + 8, NULL, GROWTH_WORD_STACK, 0, 0},
                {"mapped", STACK_AT + 8192, NULL, GROWTH_WORD_POINTER, 0, 0},
                {"text", 0, "session-42", GROWTH_WORD_TEXT, 10,
                 GROWTH_CHARS_LOWER | GROWTH_CHARS_DIGIT | GROWTH_CHARS_PUNCT},
                {"five", 0, "abcde", GROWTH_WORD_TEXT, 5, GROWTH_CHARS_LOWER},
                {"four", 0, "abcd", GROWTH_WORD_DATA, 0, 0},
                {"ended by a control", 0, "Abcde\x01", GROWTH_WORD_DATA, 0, 0},
                {"eight and a control", 0, "Abcdefgh\x01", GROWTH_WORD_TEXT, 8,
                 GROWTH_CHARS_LOWER | GROWTH_CHARS_UPPER},
                {"UTF-8", 0, "caf\xc3\xa9 cr\xc3\xa8me", GROWTH_WORD_TEXT, 12,
                 GROWTH_CHARS_LOWER | GROWTH_CHARS_BLANK | GROWTH_CHARS_UTF8},
                {"half of it", 0, "caf\xc3", GROWTH_WORD_DATA, 0, 0},
                {"blanks", 0, "          ", GROWTH_WORD_DATA, 0, 0},
                {"no ASCII", 0, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", GROWTH_WORD_DATA, 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned char bytes[64] = {0};
                GrowthWord w[GROWTH_WORDS];

                memcpy(bytes, &cases[i].word, 8);
                if (cases[i].bytes)
                        memcpy(bytes, cases[i].bytes, strlen(cases[i].bytes));
                holds_judge(&maps, &owners, bytes, sizeof(bytes), sizeof(bytes), w);
                if (w[0].kind != cases[i].kind || w[0].offset != cases[i].offset || w[0].chars != cases[i].chars)
                        fail_msg("%s: %s, %llu, %x", cases[i].name, growth_word_name(w[0].kind),
                                 (unsigned long long)w[0].offset, w[0].chars);
        }
}

static void test_words_of_a_chunk(void **state _unused_) {
        unsigned char bytes[GROWTH_TEXT_READ];
        GrowthWord w[GROWTH_WORDS];
        uint64_t v = LIB_AT + 16;

        memset(bytes, 'a', sizeof(bytes));
        memcpy(bytes, &v, sizeof(v));
        holds_judge(&maps, &owners, bytes, sizeof(bytes), 1000, w);
        assert_int_equal(w[0].kind, GROWTH_WORD_FILE);
        assert_string_equal(w[0].object, "libapp.so");
        assert_int_equal(w[1].kind, GROWTH_WORD_TEXT);
        assert_int_equal(w[1].offset, sizeof(bytes) - 8);
        assert_int_equal(w[1].chars, GROWTH_CHARS_LOWER | GROWTH_CHARS_ON);
        for (size_t i = 2; i < GROWTH_WORDS; i++)
                assert_int_equal(w[i].kind, GROWTH_WORD_IN_TEXT);
        /* the least chunk has 24 bytes */
        holds_judge(&maps, &owners, bytes, 24, 24, w);
        assert_int_equal(w[1].offset, 16);
        assert_int_equal(w[1].chars, GROWTH_CHARS_LOWER);
        assert_int_equal(w[3].kind, GROWTH_WORD_NONE);
}

static void test_groups(void **state _unused_) {
        static GrowthSample s[4];
        static GrowthGroups g;
        _cleanup_buf_ Buf b = BUF_NULL;

        for (size_t i = 0; i < 4; i++) {
                s[i].class = 9;
                s[i].words[0] = (GrowthWord){
                        .kind = GROWTH_WORD_SYMBOL, .offset = 16, .symbol = "_ZTV7Session", .object = "app"};
                s[i].words[1] = (GrowthWord){.kind = GROWTH_WORD_HEAP};
                s[i].words[2] = (GrowthWord){.kind = GROWTH_WORD_HEAP};
                s[i].words[3] = (GrowthWord){.kind = GROWTH_WORD_TEXT, .offset = 5 + i, .chars = 1u << i};
        }
        s[1].words[0] = (GrowthWord){.kind = GROWTH_WORD_SMALL};
        s[3].words[1] = (GrowthWord){.kind = GROWTH_WORD_ZERO};
        growth_groups(s, 4, 10, &g);
        assert_int_equal(g.n_samples, 0);
        growth_groups(s, 4, 9, &g);
        assert_int_equal(g.n_samples, 4);
        assert_int_equal(g.n, 2);
        assert_int_equal(g.group[0].n, 3);
        growth_group_head(&b, &g.group[0]);
        assert_string_equal(buf_str(&b), "vtable for Session (app)");
        buf_reset(&b);
        growth_group_rest(&b, &g.group[0]);
        assert_string_equal(buf_str(&b), "then varies, heap pointer, text of 5 to 8 bytes (a-z 0-9 blanks)");
        buf_reset(&b);
        growth_group_rest(&b, &g.group[1]);
        assert_string_equal(buf_str(&b), "then heap pointer x2, text of 6 bytes (A-Z)");
        buf_reset(&b);
        growth_content(&b, (const unsigned char *)"a\"\\\x1b\xff", 5);
        assert_string_equal(buf_str(&b), "a\\\"\\\\\\x1b\\xff");
}

/* ---- rows */

static Survey first, last;

static void test_sizes(void **state _unused_) {
        static GrowthRows r;
        uint8_t classes[GROWTH_CLASSES_MAX];

        first = (Survey){.flags = SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE, .begin_usec = 1000000};
        last = first;
        last.begin_usec = 3000000;
        last.heap.classes[9] = (SizeClass){100, 14400, 0, 0};
        last.heap.classes[20] = (SizeClass){1, 320, 50, 16000};
        first.heap.classes[30] = (SizeClass){5, 2400, 0, 0};
        last.heap.classes[40] = (SizeClass){10, 6400, 0, 0};
        last.heap.classes[41] = (SizeClass){10, 6560, 0, 0};
        last.heap.classes[70] = (SizeClass){10, 16400, 0, 0};
        assert_int_equal(growth_rows(&first, &last, NULL, NULL, &r), 0);
        assert_int_equal(r.n_sizes, 6);
        assert_int_equal(r.sizes[0].class, 70);
        assert_int_equal(r.sizes[5].class, 30);
        assert_int_equal(r.sizes[5].used_bytes, -2400);
        assert_true(r.size_seconds > 1.999 && r.size_seconds < 2.001);
        assert_false(r.have_places);
        growth_rows_done(&r);
        assert_int_equal(growth_classes(&first, &last, classes), 3);
        assert_true(classes[0] == 70 && classes[1] == 9 && classes[2] == 41);
        last.heap.classes[70].used_bytes = 200000; /* beside it the others are nothing */
        assert_int_equal(growth_classes(&first, &last, classes), 1);
        assert_int_equal(growth_classes(&last, &last, classes), 0);
        last.flags = SURVEY_HAVE_HEAP; /* torn */
        assert_int_equal(growth_rows(&first, &last, NULL, NULL, &r), 0);
        assert_false(r.have_sizes);
        assert_int_equal(r.n_sizes, 0);
        growth_rows_done(&r);
}

static void test_arenas(void **state _unused_) {
        static GrowthRows r;
        const uint64_t heap = 0x7f0000000000ULL;

        first = (Survey){.flags = SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE, .n_arenas = 2, .n_arenas_told = 2};
        last = first;
        first.arenas[0] = (SurveyArena){.addr = 0x7f1234567c80, .in_use_bytes = 1000};
        first.arenas[1] = (SurveyArena){.addr = heap + 48, .in_use_bytes = 5000, .free_bytes = 10};
        last.arenas[1] = (SurveyArena){.addr = 0x7f1234567c80, .in_use_bytes = 1000};
        last.arenas[0] = (SurveyArena){.addr = heap + 48, .in_use_bytes = 9000};
        last.arenas[2] = (SurveyArena){.addr = heap + (64 << 20) + 48, .in_use_bytes = 700};
        last.n_arenas = last.n_arenas_told = 3;
        assert_int_equal(growth_rows(&first, &last, NULL, NULL, &r), 0);
        assert_int_equal(r.n_arenas, 3);
        assert_true(r.arenas[0].used_bytes == 4000 && r.arenas[0].free_bytes == -10 && !r.arenas[0].is_main);
        assert_true(r.arenas[1].used_bytes == 700 && r.arenas[1].is_new);
        assert_true(r.arenas[2].used_bytes == 0 && r.arenas[2].is_main);
        growth_rows_done(&r);
        last.arenas[0].torn = 1;
        first.n_arenas = 70; /* not all were told: who knows what is new? */
        assert_int_equal(growth_rows(&first, &last, NULL, NULL, &r), 0);
        assert_int_equal(r.n_arenas, 1);
        growth_rows_done(&r);
}

static void test_mappings(void **state _unused_) {
        static GrowthMap before[] = {
                {.start = 0x1000, .end = 0x3000, .rss_bytes = 0x2000, .kind = PART_MAIN_HEAP},
                {.start = 0x10000, .end = 0x12000, .rss_bytes = 0x1000, .kind = PART_ANONYMOUS},
                {.start = 0x14000, .end = 0x15000, .rss_bytes = 0x1000, .kind = PART_ANONYMOUS},
                {.start = 0x30000, .end = 0x31000, .rss_bytes = 0x1000, .kind = PART_ANONYMOUS},
                {.start = 0x40000, .end = 0x41000, .rss_bytes = 0x1000, .kind = PART_FILES, .name = "/lib/a"},
        };
        static GrowthMap now[] = {
                {.start = 0x1000, .end = 0x9000, .rss_bytes = 0x8000, .kind = PART_MAIN_HEAP}, /* the same start */
                {.start = 0xc000,
                 .end = 0x15000,
                 .rss_bytes = 0x9000,
                 .kind = PART_ANONYMOUS}, /* two that became one */
                {.start = 0x20000, .end = 0x22000, .rss_bytes = 0x2000, .kind = PART_ANONYMOUS}, /* new */
                {.start = 0x24000, .end = 0x26000, .rss_bytes = 0x1000, .kind = PART_ANONYMOUS}, /* new, as large */
                {.start = 0x40000, .end = 0x41000, .rss_bytes = 0x1000, .kind = PART_FILES, .name = "/lib/a"},
                {.start = 0x50000, .end = 0x51000, .rss_bytes = 0x1000, .kind = PART_FILES, .name = "/lib/a"},
        };
        GrowthReport a = {.head = {.n_maps = ELEMENTSOF(before)}, .maps = before},
                     b = {.head = {.n_maps = ELEMENTSOF(now)}, .maps = now};
        static GrowthRows r;

        first = last = (Survey){0};
        assert_int_equal(growth_rows(&first, &last, &a, &b, &r), 0);
        assert_true(r.have_places && !r.maps_cut);
        assert_int_equal(r.n_maps, 5);
        assert_true(r.maps[0].grown_bytes == 0x7000 && r.maps[0].start == 0xc000 && r.maps[0].end == 0x15000);
        assert_true(r.maps[1].grown_bytes == 0x6000 && r.maps[1].kind == PART_MAIN_HEAP && !r.maps[1].is_new);
        assert_true(r.maps[2].grown_bytes == 0x3000 && r.maps[2].is_new && r.maps[2].n_maps == 2);
        assert_true(r.maps[3].grown_bytes == 0x1000 && r.maps[3].n_maps == 2);
        assert_string_equal(r.maps[3].name, "/lib/a");
        assert_true(r.maps[4].grown_bytes == -0x1000 && r.maps[4].is_gone && r.maps[4].start == 0x30000);
        growth_rows_done(&r);
        a.head.flags = GROWTH_MAPS_CUT; /* then nothing is known to be new */
        assert_int_equal(growth_rows(&first, &last, &a, &b, &r), 0);
        assert_true(r.maps_cut);
        for (size_t i = 0; i < r.n_maps; i++)
                assert_false(r.maps[i].is_new);
        growth_rows_done(&r);
}

static void test_threads(void **state _unused_) {
        enum { STACK = GROWTH_THREAD_STACK };
        static GrowthThread before[] = {{.tid = 1, .flags = STACK, .stack_end = 1, .stack_rss_bytes = 4096},
                                        {.tid = 2, .flags = STACK, .stack_end = 2, .stack_rss_bytes = 4096},
                                        {.tid = 3, .flags = STACK, .stack_end = 3, .stack_rss_bytes = 4096},
                                        {.tid = 4}};
        static GrowthThread now[] = {{.tid = 1, .flags = STACK, .stack_end = 1, .stack_rss_bytes = 4096},
                                     {.tid = 2, .flags = STACK, .stack_end = 2, .stack_rss_bytes = 40960},
                                     {.tid = 3, .flags = STACK, .stack_end = 9, .stack_rss_bytes = 8192},
                                     {.tid = 4, .flags = STACK, .stack_end = 4, .stack_rss_bytes = 8192},
                                     {.tid = 5}};
        GrowthReport a = {.head = {.n_threads = ELEMENTSOF(before)}, .threads = before},
                     b = {.head = {.n_threads = ELEMENTSOF(now)}, .threads = now};
        static GrowthRows r;

        first = last = (Survey){0};
        assert_int_equal(growth_rows(&first, &last, &a, &b, &r), 0);
        assert_int_equal(r.n_threads, 3);
        assert_true(r.threads[0].now->tid == 2 && r.threads[0].grown_bytes == 36864 && !r.threads[0].is_new);
        assert_true(r.threads[1].now->tid == 3 && r.threads[1].grown_bytes == 8192 && r.threads[1].is_new);
        assert_true(r.threads[2].now->tid == 1 && r.threads[2].grown_bytes == 0);
        growth_rows_done(&r);
}

/* ---- chunks that change while they are looked at */

static HeapBlob blob; /* 270 KiB */
static uint64_t at_chunk;
static int n_peeks, spoil; /* which read of the chunk is not what it was; 0: none */

static ssize_t read_blob(void *userdata, uint64_t addr, void *buf, size_t n) {
        ssize_t r = blob_read(userdata, addr, buf, n);

        /* the walk reads by windows; a sample its head with what follows, the next one's size, its own size again */
        if (at_chunk && (addr == at_chunk || addr == at_chunk + 144 + 8 || addr == at_chunk + 8) && n < 4096 &&
            ++n_peeks == spoil)
                memset(buf, 0, addr == at_chunk ? 16 : 8);
        return r;
}

static void build(bool newer) {
        blob_init(&blob, 112);
        blob_chunk(&blob, 656, true);
        for (unsigned i = 0; i < 20; i++)
                blob_chunk(&blob, 144, true);
        if (newer)
                at_chunk = blob_chunk(&blob, 144, true);
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, 2072, true);
}

static void look_at_blob(GrowthJob *j, const GrowthAsk *ask, int fd) {
        const GlibcPlace place = {BLOB_DATA_BASE, BLOB_DATA_BASE + BLOB_DATA_SIZE};

        *j = (GrowthJob){.proc_fd = -1, .pid = 1, .maps = {.map = map, .paths = paths}, .pages = PAGES_NULL};
        assert_int_equal(window_init(&j->window, read_blob, &blob), 0);
        assert_int_equal(glibc_find(&j->window, &place, 1, &j->glibc), 0);
        n_peeks = 0;
        assert_int_equal(ask ? growth_compare(j, 5, ask, fd) : growth_remember(j, 5, fd), 0);
        glibc_done(&j->glibc);
        window_done(&j->window);
        free(j->told_samples);
}

static void test_torn_samples(void **state _unused_) {
        const GrowthAsk ask = {.n_classes = 1, .n_samples = 8, .classes = {9}};
        int fd = memfd_create("test", MFD_CLOEXEC);
        GrowthJob j;

        at_chunk = 0;
        build(false);
        look_at_blob(&j, NULL, fd);
        look_at_blob(&j, &ask, fd);
        assert_true(j.out.n_samples == 0 && j.out.n_torn == 0 && (j.out.flags & GROWTH_COMPARED));
        build(true);
        for (spoil = 0; spoil <= 3; spoil++) {
                look_at_blob(&j, &ask, fd);
                if (j.out.n_samples != (spoil == 0) || j.out.n_torn != (spoil != 0))
                        fail_msg("read %d: %u samples, %llu torn", spoil, j.out.n_samples,
                                 (unsigned long long)j.out.n_torn);
        }
        spoil = 0;
        close(fd);
}

/* ---- what the probe sent */

typedef struct Sent {
        Growth head;
        GrowthMap maps[2];
        GrowthThread threads[1];
        GrowthSample samples[1];
} Sent;

static void set_flags(Sent *s) {
        s->head.flags = 1u << 30;
}
static void set_count(Sent *s) {
        s->head.n_maps = 1;
}
static void set_counts(Sent *s) {
        s->head.n_threads = UINT32_MAX;
}
static void set_kind(Sent *s) {
        s->maps[1].kind = _PART_MAX;
}
static void set_path(Sent *s) {
        memset(s->maps[0].name, 'x', sizeof(s->maps[0].name));
}
static void set_overlap(Sent *s) {
        s->maps[1].start = 0x1fff;
}
static void set_empty(Sent *s) {
        s->maps[0].end = s->maps[0].start;
}
static void set_rss(Sent *s) {
        s->maps[0].rss_bytes = UINT64_MAX;
}
static void set_rss_of_all(Sent *s) {
        s->maps[0].rss_bytes = s->maps[1].rss_bytes = 1ULL << 56;
}
static void set_tid(Sent *s) {
        s->threads[0].tid = 0;
}
static void set_comm(Sent *s) {
        memset(s->threads[0].comm, 'x', sizeof(s->threads[0].comm));
}
static void set_word(Sent *s) {
        s->samples[0].words[7].kind = _GROWTH_WORD_MAX;
}
static void set_symbol(Sent *s) {
        memset(s->samples[0].words[0].symbol, 'x', GROWTH_SYMBOL_MAX);
}
static void set_content(Sent *s) {
        s->samples[0].n_content = GROWTH_CONTENT_BYTES + 1;
}
static void set_class(Sent *s) {
        s->samples[0].class = 256;
}

static void test_refused(void **state _unused_) {
        static void (*const wrong[])(Sent *) = {set_flags,   set_count, set_counts, set_kind,       set_path,
                                                set_overlap, set_empty, set_rss,    set_rss_of_all, set_tid,
                                                set_comm,    set_word,  set_symbol, set_content,    set_class};
        static Sent s;
        const Sent good = {
                .head = {.magic = GROWTH_MAGIC, .size = sizeof(Growth), .n_maps = 2, .n_threads = 1, .n_samples = 1},
                .maps = {{.start = 0x1000, .end = 0x2000}, {.start = 0x2000, .end = 0x3000}},
                .threads = {{.tid = 1}}};

        assert_null(growth_check(&good, sizeof(good)));
        assert_non_null(growth_check(&good, sizeof(good) - 8));
        assert_non_null(growth_check(&good, 8));
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                s = good;
                wrong[i](&s);
                if (!growth_check(&s, sizeof(s)))
                        fail_msg("number %zu was taken", i);
        }
}

/* ---- the slot of thread_arena */

enum { TLS_BYTES = 16384, SLOT = 0x80 };

static _Alignas(4096) uint64_t tls[3][TLS_BYTES / 8];

static uint64_t tcb_of(unsigned i) {
        return 0x7f2000000000ULL + (i + 1) * (uint64_t)TLS_BYTES * 2;
}

static ssize_t read_tls(void *userdata _unused_, uint64_t addr, void *buf, size_t n) {
        for (unsigned i = 0; i < 3; i++) {
                uint64_t start = tcb_of(i) - TLS_BYTES;

                if (addr < start || addr >= tcb_of(i))
                        continue;
                n = min_of(n, (size_t)(tcb_of(i) - addr));
                memcpy(buf, (char *)tls[i] + (addr - start), n);
                return (ssize_t)n;
        }
        return -EFAULT;
}

static void set_tls(unsigned i, uint64_t below, uint64_t v) {
        tls[i][(TLS_BYTES - below) / 8] = v;
}

static void test_slot(void **state _unused_) {
        const uint64_t tcbs[] = {tcb_of(0), tcb_of(1), tcb_of(2)};
        GlibcArena arenas[] = {{.addr = 0x7f0000000c80}, {.addr = 0x7f4000000030}};
        const Glibc g = {.arenas = arenas, .n_arenas = 2};
        Window w;

        assert_int_equal(window_init(&w, read_tls, NULL), 0);
        assert_int_equal(growth_slot(&w, &g, tcbs, 3), 0); /* nobody has one */
        set_tls(0, SLOT, arenas[0].addr);
        set_tls(1, SLOT, arenas[1].addr); /* and the third has not allocated yet */
        assert_int_equal(growth_slot(&w, &g, tcbs, 3), SLOT);
        set_tls(2, SLOT, 77); /* what is no arena there says that it is no such variable */
        assert_int_equal(growth_slot(&w, &g, tcbs, 3), 0);
        set_tls(2, SLOT, 0);
        set_tls(1, 4096 + 8, arenas[0].addr); /* a second one: which? */
        assert_int_equal(growth_slot(&w, &g, tcbs, 3), 0);
        set_tls(0, 4096 + 8, 99);
        assert_int_equal(growth_slot(&w, &g, tcbs, 3), SLOT);
        assert_int_equal(growth_slot(&w, &g, &(uint64_t){0x1000}, 1), 0); /* not readable */
        window_done(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ask),        cmocka_unit_test(test_newer_chunks),
                cmocka_unit_test(test_large_heap), cmocka_unit_test(test_too_many_arenas_skipped),
                cmocka_unit_test(test_words),      cmocka_unit_test(test_words_of_a_chunk),
                cmocka_unit_test(test_groups),     cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_arenas),     cmocka_unit_test(test_mappings),
                cmocka_unit_test(test_threads),    cmocka_unit_test(test_torn_samples),
                cmocka_unit_test(test_refused),    cmocka_unit_test(test_slot),
        };

        return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
