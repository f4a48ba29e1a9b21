/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cxx-name.h"
#include "cli/explain-growth.h"
#include "heap-blob.h"
#include "probe/survey/growth-job.h"
#include "probe/survey/holds.h"

/* The first byte chooses what the rest is: a report of the probe's; a chunk's bytes; a symbol's name; or changes to a
 * heap that was in order, between two looks at it, as records of 11 bytes (see fuzz-survey.c). */
enum { REPORT, CHUNK, NAME, HEAP, WAYS };
enum { RECORD = 11 };

static void check_text(const Buf *b, bool lines) {
        for (const char *p = buf_str(b); *p; p++)
                FUZZ_CHECK((lines && *p == '\n') || ((unsigned char)*p >= ' ' && *p != 0x7f));
}

/* What passes the check is shown and written as JSON; both may only hold what a terminal or a parser can bear. */
static void show(const GrowthReport *r, size_t size) {
        static Survey first, last;
        ExplainGrowth g = {.contents = true, .show = size & 1, .n_samples = 8, .have_before = true, .have_now = true};
        Term t = {.width = 80, .height = 24, .tty = true};
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        _cleanup_buf_ Buf text = {.max = 64u << 20};
        Json j = JSON_INIT(&text);

        t.glyph = &(Glyphs){.dot = "-", .bar_full = "#", .bar_empty = ".", .ellipsis = "..."};
        g.now = *r;
        g.before = *r;
        if (size & 2) { /* the other half of the mappings was there before */
                g.before.head.n_maps /= 2;
                g.before.head.n_threads /= 2;
        }
        g.asked = (GrowthAsk){.n_classes = 1, .n_samples = 8, .classes = {9}};
        first.flags = last.flags = SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE;
        last.begin_usec = 1000000;
        last.heap.classes[9] = (SizeClass){1, 144, 0, 0};
        explain_growth_view(&s, &g, &first, &last);
        json_object_begin(&j);
        explain_growth_json(&j, &g, &first, &last);
        json_object_end(&j);
        check_text(&s.buf, true);
        check_text(&text, false);
        FUZZ_CHECK(!j.failed);
}

static void try_report(const uint8_t *data, size_t size) {
        _Alignas(8) static uint8_t copy[64u << 10];
        GrowthReport r = GROWTH_REPORT_NULL;
        const char *why;
        int fd;

        if (size > sizeof(copy))
                return;
        memcpy(copy, data, size);
        if (growth_check(copy, size))
                return;
        fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        FUZZ_CHECK(fd >= 0 && write(fd, copy, size) == (ssize_t)size);
        FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
        FUZZ_CHECK(growth_report_read(fd, &r, &why) == 0);
        show(&r, size);
        growth_report_done(&r);
        close(fd);
}

static Map map[] = {{.start = BLOB_DATA_BASE, .end = BLOB_DATA_BASE + BLOB_DATA_SIZE, .prot = MAP_R | MAP_W},
                    {.start = BLOB_HEAP_BASE, .end = BLOB_HEAP_BASE + BLOB_HEAP_SIZE, .prot = MAP_R | MAP_W}};
static char none[1];
static const Maps maps = {.map = map, .n = 2, .paths = none, .paths_len = 1};

static void try_chunk(const uint8_t *data, size_t size) {
        const Ranges owners = {0};
        GrowthWord w[GROWTH_WORDS];
        size_t n = min_of(size, (size_t)GROWTH_TEXT_READ);

        holds_judge(&maps, &owners, data, n, size, w);
        for (size_t i = 0; i < GROWTH_WORDS; i++) {
                FUZZ_CHECK(w[i].kind < _GROWTH_WORD_MAX);
                FUZZ_CHECK(w[i].kind != GROWTH_WORD_TEXT || (w[i].offset >= 5 && i * 8 + w[i].offset <= n));
        }
}

static void try_name(const uint8_t *data, size_t size) {
        char name[GROWTH_SYMBOL_MAX] = "", plain[2 * GROWTH_SYMBOL_MAX], clean[32];

        memcpy(name, data, min_of(size, sizeof(name) - 1));
        if (cxx_name(plain, sizeof(plain), name))
                for (const char *p = plain; *p; p++)
                        FUZZ_CHECK(*p >= ' ' && *p < 0x7f);
        holds_name(clean, sizeof(clean), name);
        FUZZ_CHECK(memchr(clean, 0, sizeof(clean)));
}

/* ---- two looks at a heap that changes */

static HeapBlob blob;

static void build(void) {
        blob_init(&blob, 112);
        blob_chunk(&blob, 656, true);
        for (unsigned i = 0; i < 40; i++) {
                blob_chunk(&blob, 144, true);
                blob_chunk(&blob, 64 + i * 16, i % 2);
        }
        blob_chunk(&blob, 64, true);
        blob_finish(&blob, 2072, true);
}

static void patch(const uint8_t *data, size_t size) {
        for (; size >= RECORD; data += RECORD, size -= RECORD) {
                size_t at = (size_t)(data[1] | data[2] << 8) * 8;
                uint8_t *to = data[0] & 1 ? blob.heap : blob.data;

                memcpy(to + at % (data[0] & 1 ? BLOB_HEAP_SIZE - 8 : BLOB_DATA_SIZE - 8), data + 3, 8);
        }
}

static void look(const GrowthAsk *ask, int kept_fd) {
        GlibcPlace place = {BLOB_DATA_BASE, BLOB_DATA_BASE + BLOB_DATA_SIZE};
        GrowthJob j = {.proc_fd = -1, .pid = 1, .ns_pid = 1, .maps = maps, .pages = PAGES_NULL};

        if (window_init(&j.window, blob_read, &blob) < 0)
                return;
        if (glibc_find(&j.window, &place, 1, &j.glibc) == 0) {
                j.glibc.maps = &j.maps;
                int r = ask ? growth_compare(&j, 5, ask, kept_fd) : growth_remember(&j, 5, kept_fd);

                FUZZ_CHECK(r == 0 && j.out.n_samples <= GROWTH_SAMPLES_ALL);
                for (uint32_t i = 0; i < j.out.n_samples; i++)
                        FUZZ_CHECK(j.told_samples[i].n_content == 0);
                (void)growth_slot(&j.window, &j.glibc, &(uint64_t){BLOB_HEAP_BASE + 0x4000}, 1);
                glibc_done(&j.glibc);
        }
        free(j.told_samples);
        window_done(&j.window);
}

static void try_heap(const uint8_t *data, size_t size) {
        const GrowthAsk ask = {.n_classes = 2, .n_samples = 4, .classes = {9, 8}};
        int fd = memfd_create("fuzz", MFD_CLOEXEC);

        build();
        patch(data, size / 2);
        look(NULL, fd);
        patch(data + size / 2, size - size / 2);
        look(&ask, fd);
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const ways[WAYS])(const uint8_t *, size_t) = {
                [REPORT] = try_report, [CHUNK] = try_chunk, [NAME] = try_name, [HEAP] = try_heap};

        if (size > 0)
                ways[data[0] % WAYS](data + 1, size - 1);
        return 0;
}
