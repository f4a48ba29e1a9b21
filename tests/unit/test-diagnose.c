/* SPDX-License-Identifier: Apache-2.0
 *
 * One case a cause: figures as its looks would have them, the verdict, the part that is to blame, the first remedy.
 */
#include "diagnose/diagnose.h"

#include "unit/unit.h"

#define MIB     (1024ULL * 1024)
#define LOOKS   7
#define SECONDS 1000000ULL

/* What changes by a look, in MiB: start, and added each time; @bend: halves what is added each time. */
typedef struct Line {
        DiagnosePart part;
        double start_mib, step_mib;
} Line;

typedef struct Case {
        const char *name;
        Line line[5];
        double trim_start_mib, trim_step_mib;
        double noise_mib; /* a saw's height on the first line */
        double tooth_mib; /* a saw within both: what every other look finds on the second line instead */
        double uss_step_mib;
        uint64_t n_arenas, arena_free_mib, limit_mib;
        bool bend;
        size_t n;
        VerdictKind kind;
        DiagnosePart part;
        RemedyKind remedy;
} Case;

static const Case cases[] = {
        {"a small leak",
         {{DIAGNOSE_HEAP_USED, 100, 1}, {DIAGNOSE_HEAP_FREE, 10, 0.1}},
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_FIX_LEAK},
        {"a leak in two looks",
         {{DIAGNOSE_HEAP_USED, 100, 8}, {DIAGNOSE_HEAP_FREE, 10, 0}},
         .n = 2,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_FIX_LEAK},
        {"a leak beside memory that can be trimmed",
         {{DIAGNOSE_HEAP_USED, 100, 4}, {DIAGNOSE_HEAP_FREE, 60, 0}},
         .trim_start_mib = 50,
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_RECLAIM},
        {"a leak under a saw",
         {{DIAGNOSE_HEAP_USED, 100, 4}, {DIAGNOSE_HEAP_FREE, 10, 0}},
         .noise_mib = 30,
         .n = 3 * LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_FIX_LEAK},
        {"a leak under a saw, in a heap that grows",
         {{DIAGNOSE_HEAP_USED, 100, 10}, {DIAGNOSE_HEAP_FREE, 60, 0}},
         .tooth_mib = 40,
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_FIX_LEAK},
        {"fragmentation under a saw",
         {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_HEAP_FREE, 60, 10}},
         .tooth_mib = 40,
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_OTHER_MALLOC},
        {"either, under a saw",
         {{DIAGNOSE_HEAP_USED, 100, 7}, {DIAGNOSE_HEAP_FREE, 60, 3}},
         .tooth_mib = 40,
         .n = LOOKS,
         .kind = VERDICT_UNKNOWN,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"a little of either, under a saw",
         {{DIAGNOSE_HEAP_USED, 100, 0.1}, {DIAGNOSE_HEAP_FREE, 6, 0.05}},
         .tooth_mib = 4,
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"a heap that grew until its saw fitted in",
         {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_HEAP_FREE, 60, 40}},
         .tooth_mib = 30,
         .trim_start_mib = 1,
         .bend = true,
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_OTHER_MALLOC},
        {"private pages that grow as RSS does",
         {{DIAGNOSE_HEAP_USED, 100, 9}},
         .noise_mib = 30,
         .uss_step_mib = 4,
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"a leak that fills what is free",
         {{DIAGNOSE_HEAP_USED, 100, 4}, {DIAGNOSE_HEAP_FREE, 60, -4}},
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_FIX_LEAK},
        {"given out, and not in memory",
         {{DIAGNOSE_HEAP_USED, 100, 4}, {DIAGNOSE_FILES, 90, -4}},
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"a leak by mmap",
         {{DIAGNOSE_ANONYMOUS, 20, 4}, {DIAGNOSE_HEAP_USED, 10, 0}},
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_ANONYMOUS,
         .remedy = REMEDY_FIX_LEAK},
        {"a leak in pymalloc's arenas",
         {{DIAGNOSE_PYTHON, 20, 2}, {DIAGNOSE_HEAP_USED, 30, 0.2}},
         .n = LOOKS,
         .kind = VERDICT_LIVE_GROWTH,
         .part = DIAGNOSE_PYTHON,
         .remedy = REMEDY_FIX_LEAK},
        {"pymalloc's arenas, held by a few blocks",
         {{DIAGNOSE_PYTHON, 4, 0}, {DIAGNOSE_PYTHON_FREE, 200, 0}, {DIAGNOSE_HEAP_USED, 10, 0}},
         .n = 1,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_PYTHON_FREE,
         .remedy = REMEDY_PYTHON_MALLOC},
        {"pymalloc's arenas fill up with what is free",
         {{DIAGNOSE_PYTHON, 40, 0.1}, {DIAGNOSE_PYTHON_FREE, 20, 4}, {DIAGNOSE_HEAP_USED, 10, 0}},
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_PYTHON_FREE,
         .remedy = REMEDY_PYTHON_MALLOC},
        {"a leak of threads",
         {{DIAGNOSE_STACKS, 5, 3}, {DIAGNOSE_HEAP_USED, 30, 0.5}},
         .n = LOOKS,
         .kind = VERDICT_STACKS,
         .part = DIAGNOSE_STACKS,
         .remedy = REMEDY_THREADS},
        {"fragmentation that grows and can be trimmed",
         {{DIAGNOSE_HEAP_USED, 50, 0}, {DIAGNOSE_HEAP_FREE, 10, 5}},
         .trim_start_mib = 9,
         .trim_step_mib = 4.5,
         .n = LOOKS,
         .kind = VERDICT_TRIMMABLE,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_RECLAIM},
        {"fragmentation that grows and is pinned",
         {{DIAGNOSE_HEAP_USED, 50, 0.2}, {DIAGNOSE_HEAP_FREE, 30, 5}},
         .trim_start_mib = 1,
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_OTHER_MALLOC},
        {"pinned growth beside a little that can be trimmed",
         {{DIAGNOSE_HEAP_USED, 50, 0.2}, {DIAGNOSE_HEAP_FREE, 300, 5}},
         .trim_start_mib = 80,
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_RECLAIM},
        {"trimmable, at one look",
         {{DIAGNOSE_HEAP_USED, 50, 0}, {DIAGNOSE_HEAP_FREE, 150, 0}},
         .trim_start_mib = 120,
         .n = 1,
         .kind = VERDICT_TRIMMABLE,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_RECLAIM},
        {"pinned, at one look",
         {{DIAGNOSE_HEAP_USED, 270, 0}, {DIAGNOSE_HEAP_FREE, 305, 0}},
         .trim_start_mib = 6,
         .n = 1,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_OTHER_MALLOC},
        {"too many arenas",
         {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_HEAP_FREE, 200, 0}},
         .trim_start_mib = 4,
         .n_arenas = 64,
         .arena_free_mib = 190,
         .n = LOOKS,
         .kind = VERDICT_PINNED,
         .part = DIAGNOSE_HEAP_FREE,
         .remedy = REMEDY_ARENA_MAX},
        {"mapped files",
         {{DIAGNOSE_FILES, 20, 6}, {DIAGNOSE_HEAP_USED, 30, 0}},
         .n = LOOKS,
         .kind = VERDICT_FILES,
         .part = DIAGNOSE_FILES,
         .remedy = REMEDY_FILES},
        {"page cache, which RSS does not show",
         {{DIAGNOSE_HEAP_USED, 30, 0}, {DIAGNOSE_PAGE_CACHE, 20, 9}},
         .n = LOOKS,
         .kind = VERDICT_FILES,
         .part = DIAGNOSE_PAGE_CACHE,
         .remedy = REMEDY_FILES},
        {"tmpfs",
         {{DIAGNOSE_HEAP_USED, 30, 0}, {DIAGNOSE_TMPFS, 0, 9}, {DIAGNOSE_PAGE_CACHE, 5, 0}},
         .n = LOOKS,
         .kind = VERDICT_SHARED,
         .part = DIAGNOSE_TMPFS,
         .remedy = REMEDY_FILES},
        {"shared memory",
         {{DIAGNOSE_HEAP_USED, 30, 0}, {DIAGNOSE_SHARED, 2, 5}},
         .n = LOOKS,
         .kind = VERDICT_SHARED,
         .part = DIAGNOSE_SHARED,
         .remedy = REMEDY_FILES},
        {"a cache that fills",
         {{DIAGNOSE_HEAP_USED, 50, 40}},
         .bend = true,
         .n = LOOKS,
         .kind = VERDICT_WARM_UP,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"files that are read in",
         {{DIAGNOSE_FILES, 50, 40}, {DIAGNOSE_HEAP_USED, 20, 0}},
         .bend = true,
         .n = LOOKS,
         .kind = VERDICT_WARM_UP,
         .part = DIAGNOSE_FILES,
         .remedy = REMEDY_NONE},
        {"a little more at first",
         {{DIAGNOSE_HEAP_USED, 50, 0.45}},
         .bend = true,
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"a saw",
         {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_HEAP_FREE, 5, 0}},
         .noise_mib = 30,
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"steady",
         {{DIAGNOSE_HEAP_USED, 100, 0}},
         .n = LOOKS,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"steady, and near its limit",
         {{DIAGNOSE_HEAP_USED, 95, 0}},
         .n = LOOKS,
         .limit_mib = 100,
         .kind = VERDICT_STEADY,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_LIMIT},
        {"in use, at one look",
         {{DIAGNOSE_HEAP_USED, 100, 0}},
         .n = 1,
         .kind = VERDICT_UNKNOWN,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"pages of a fork",
         {{DIAGNOSE_HEAP_USED, 100, 0}},
         .uss_step_mib = 8,
         .n = LOOKS,
         .kind = VERDICT_COPY_ON_WRITE,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"pages of a fork, while page cache grows",
         {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_PAGE_CACHE, 20, 9}},
         .uss_step_mib = 8,
         .n = LOOKS,
         .kind = VERDICT_COPY_ON_WRITE,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
        {"all parts alike",
         {{DIAGNOSE_HEAP_USED, 9, 2}, {DIAGNOSE_ANONYMOUS, 9, 2}, {DIAGNOSE_FILES, 9, 2}},
         .n = LOOKS,
         .kind = VERDICT_UNKNOWN,
         .part = DIAGNOSE_HEAP_USED,
         .remedy = REMEDY_NONE},
};

static uint64_t bytes(double mib) {
        return (uint64_t)(mib * (double)MIB);
}

static double at(double start, double step, size_t i, bool bend) {
        double v = start;

        for (size_t k = 0; k < i; k++, step = bend ? step / 2 : step)
                v += step;
        return v;
}

static void make_look(const Case *c, size_t i, DiagnoseLook *l) {
        *l = (DiagnoseLook){
                .time_usec = 1000 * SECONDS + i * 10 * SECONDS,
                .heap_complete = true,
                .trim_known = true,
                .trim_bytes = bytes(c->trim_start_mib + c->trim_step_mib * (double)i),
                .n_arenas = c->n_arenas,
                .arena_free_bytes = c->arena_free_mib * MIB,
        };
        for (size_t k = 0; k < ELEMENTSOF(c->line) && (k == 0 || c->line[k].part != 0); k++) {
                double tooth = i % 2 == 0 ? 0 : k == 0 ? c->noise_mib - c->tooth_mib : k == 1 ? c->tooth_mib : 0;
                double mib = at(c->line[k].start_mib, c->line[k].step_mib, i, c->bend) + tooth;

                l->known |= 1u << c->line[k].part;
                l->part_bytes[c->line[k].part] = bytes(mib);
                if (c->line[k].part < DIAGNOSE_PAGE_CACHE)
                        l->rss_bytes += bytes(mib);
        }
        l->uss_bytes = l->rss_bytes / 2 + bytes(c->uss_step_mib * (double)i);
}

static void test_verdicts(void **state _unused_) {
        for (size_t k = 0; k < ELEMENTSOF(cases); k++) {
                DiagnoseLook looks[3 * LOOKS];
                Verdict v;

                for (size_t i = 0; i < cases[k].n; i++)
                        make_look(&cases[k], i, &looks[i]);
                diagnose(&(DiagnoseInput){looks, cases[k].n, cases[k].limit_mib * MIB}, &v);
                if (v.kind != cases[k].kind || v.part != cases[k].part || v.remedies[0].kind != cases[k].remedy)
                        fail_msg("%s: %s of %s, %s first; expected %s of %s, %s", cases[k].name, verdict_name(v.kind),
                                 diagnose_part_name(v.part), remedy_name(v.remedies[0].kind),
                                 verdict_name(cases[k].kind), diagnose_part_name(cases[k].part),
                                 remedy_name(cases[k].remedy));
                if (v.confidence < 0 || v.confidence > 1 || (v.kind == VERDICT_LIVE_GROWTH && v.confidence < 0.5))
                        fail_msg("%s: confidence %g", cases[k].name, v.confidence);
        }
}

/* A look that ran out of time is no fall and no growth; where all did, nothing is steady that grows. */
static void test_partial_looks(void **state _unused_) {
        const uint32_t heap = 1u << DIAGNOSE_HEAP_USED | 1u << DIAGNOSE_HEAP_FREE;
        Case steady = {.line = {{DIAGNOSE_HEAP_USED, 100, 0}, {DIAGNOSE_HEAP_FREE, 10, 0}}}, leak = steady;
        DiagnoseLook looks[LOOKS];
        Verdict v;

        leak.line[0].step_mib = 4;
        for (unsigned k = 0; k < 3; k++) {
                for (size_t i = 0; i < LOOKS; i++) {
                        make_look(k == 0 ? &steady : &leak, i, &looks[i]);
                        if (k < 2 && i >= 2)
                                continue;
                        looks[i].known &= ~heap;
                        looks[i].part_bytes[DIAGNOSE_HEAP_FREE] += looks[i].part_bytes[DIAGNOSE_HEAP_USED] - MIB;
                        looks[i].part_bytes[DIAGNOSE_HEAP_USED] = MIB;
                }
                diagnose(&(DiagnoseInput){looks, LOOKS, 0}, &v);
                assert_int_equal(v.kind, k == 0 ? VERDICT_STEADY : k == 1 ? VERDICT_LIVE_GROWTH : VERDICT_UNKNOWN);
                assert_true(k != 1 || (v.part_bytes_per_s > 0.39 * MIB && v.part_bytes_per_s < 0.41 * MIB));
        }
}

/* A last look that says less than the others does not go with their verdict. */
static void test_last(void **state _unused_) {
        const uint32_t heap = 1u << DIAGNOSE_HEAP_USED | 1u << DIAGNOSE_HEAP_FREE;
        DiagnoseLook looks[4] = {
                {.known = heap, .trim_known = true}, {.known = heap, .trim_known = true}, {.known = heap}, {0}};
        const DiagnoseInput in = {looks, 4, 0};

        assert_ptr_equal(diagnose_last(&in), &looks[1]);
        looks[0].trim_known = looks[1].trim_known = false;
        assert_ptr_equal(diagnose_last(&in), &looks[2]);
        looks[3] = (DiagnoseLook){.known = heap, .trim_known = true};
        assert_ptr_equal(diagnose_last(&in), &looks[3]);
        looks[0].known = looks[1].known = looks[2].known =
                0; /* most say little: then all are judged, and the last is it */
        assert_ptr_equal(diagnose_last(&in), &looks[3]);
        assert_ptr_equal(diagnose_last(&(DiagnoseInput){looks, 1, 0}), &looks[0]);
}

/* A heap that was not read whole is the largest part as a whole, and its halves are no figures. */
static void test_untold_heap(void **state _unused_) {
        DiagnoseLook l = {.rss_bytes = 210 * (uint64_t)MIB,
                          .known = 1u << DIAGNOSE_ANONYMOUS,
                          .part_bytes = {[DIAGNOSE_HEAP_USED] = 60 * (uint64_t)MIB,
                                         [DIAGNOSE_HEAP_FREE] = 50 * (uint64_t)MIB,
                                         [DIAGNOSE_ANONYMOUS] = 100 * (uint64_t)MIB}};
        bool whole;
        Verdict v;

        diagnose(&(DiagnoseInput){&l, 1, 0}, &v);
        assert_int_equal(v.kind, VERDICT_UNKNOWN);
        assert_int_equal(v.part, DIAGNOSE_HEAP_USED);
        assert_int_equal(diagnose_part_bytes(&l, v.part, &whole), 110 * (uint64_t)MIB);
        assert_true(whole);
        l.known |= 1u << DIAGNOSE_HEAP_USED | 1u << DIAGNOSE_HEAP_FREE;
        diagnose(&(DiagnoseInput){&l, 1, 0}, &v);
        assert_int_equal(diagnose_part_bytes(&l, DIAGNOSE_HEAP_USED, &whole), 60 * (uint64_t)MIB);
        assert_false(whole);
}

static void test_java(void **state _unused_) {
        static const struct {
                const char *name;
                unsigned max_mib;
                unsigned used_mib[8]; /* by look; 0 = not told */
                VerdictKind kind;
                RemedyKind remedy;
        } heaps[] = {
                {"its bound is not known", 0, {0}, VERDICT_LIVE_GROWTH, REMEDY_FIX_LEAK},
                {"it has room", 1000, {0}, VERDICT_WARM_UP, REMEDY_NONE},
                {"it has room beyond the limit", 2000, {0}, VERDICT_WARM_UP, REMEDY_JAVA_MAX},
                {"no collection yet", 1000, {90, 130, 170, 210, 250, 290, 330, 370}, VERDICT_WARM_UP, REMEDY_NONE},
                {"collections, and as much as before", 1000, {90, 60, 140, 60, 190, 60, 240, 60}, VERDICT_WARM_UP},
                {"collections, and less once", 1000, {90, 60, 140, 80, 190, 70, 240, 100}, VERDICT_WARM_UP},
                {"more after each", 1000, {90, 60, 140, 80, 190, 100, 240, 120}, VERDICT_LIVE_GROWTH, REMEDY_FIX_LEAK},
                {"as much as before, and room beyond the limit",
                 100000,
                 {90, 60, 140, 60, 190, 60, 240, 60},
                 VERDICT_WARM_UP,
                 REMEDY_JAVA_MAX},
                {"more after one", 1000, {90, 60, 140, 100, 190, 240, 290, 340}, VERDICT_WARM_UP, REMEDY_NONE},
                {"it is full", 400, {300, 340, 350, 360, 370, 380, 390, 395}, VERDICT_LIVE_GROWTH, REMEDY_FIX_LEAK},
                {"full until a collection", 400, {300, 340, 350, 360, 370, 380, 390, 200}, VERDICT_WARM_UP},
                {"not told at one look", 400, {300, 340, 350, 360, 370, 380, 390, 0}, VERDICT_WARM_UP, REMEDY_NONE},
        };

        for (size_t k = 0; k < ELEMENTSOF(heaps); k++) {
                DiagnoseLook looks[8];
                Verdict v;

                for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                        looks[i] = (DiagnoseLook){.time_usec = i * SECONDS,
                                                  .known = 1u << DIAGNOSE_JAVA,
                                                  .rss_bytes = (150 + 40 * i) * MIB,
                                                  .java_max_bytes = heaps[k].max_mib * MIB,
                                                  .java_used_bytes = heaps[k].used_mib[i] * MIB};
                        looks[i].part_bytes[DIAGNOSE_JAVA] = (100 + 40 * i) * MIB;
                }
                diagnose(&(DiagnoseInput){looks, ELEMENTSOF(looks), 1500 * MIB}, &v);
                print_message("# %s\n", heaps[k].name);
                assert_int_equal(v.kind, heaps[k].kind);
                assert_int_equal(v.part, DIAGNOSE_JAVA);
                assert_int_equal(v.remedies[0].kind, heaps[k].remedy);
                if (heaps[k].remedy == REMEDY_JAVA_MAX)
                        assert_int_equal(v.remedies[0].need_bytes, (50 + heaps[k].max_mib) * MIB);
        }
}

/* The size whose chunks in use grow, with its rate. */
static void test_size_class(void **state _unused_) {
        static DiagnoseClass before[DIAGNOSE_CLASSES], after[DIAGNOSE_CLASSES];
        DiagnoseLook looks[2];
        Verdict v;

        before[4] = after[4] = (DiagnoseClass){1000, 64000};
        before[9] = (DiagnoseClass){100, 14400};
        after[9] = (DiagnoseClass){100 + 80000, 14400 + 80000 * 144};
        after[20] = (DiagnoseClass){3, 960};
        for (size_t i = 0; i < 2; i++)
                make_look(&cases[1], i, &looks[i]);
        looks[0].classes = before;
        looks[1].classes = after;
        diagnose(&(DiagnoseInput){looks, 2, 0}, &v);
        assert_int_equal(v.kind, VERDICT_LIVE_GROWTH);
        assert_int_equal(v.size_class, 9);
        assert_true(fabs(v.class_n_per_s - 8000) < 1);
        assert_true(fabs(v.class_bytes_per_s - 8000 * 144) < 100);
        after[20].used_bytes = 80000 * 144; /* two sizes alike: none stands out */
        after[21].used_bytes = 80000 * 144;
        diagnose(&(DiagnoseInput){looks, 2, 0}, &v);
        assert_int_equal(v.size_class, -1);
}

static void test_names(void **state _unused_) {
        for (int i = 0; i <= _VERDICT_MAX; i++)
                assert_true((strcmp(verdict_name((VerdictKind)i), "invalid") == 0) == (i == _VERDICT_MAX));
        for (int i = 0; i <= _REMEDY_MAX; i++)
                assert_true((strcmp(remedy_name((RemedyKind)i), "invalid") == 0) == (i == _REMEDY_MAX));
        for (int i = 0; i <= _DIAGNOSE_PART_MAX; i++)
                assert_true((strcmp(diagnose_part_name((DiagnosePart)i), "invalid") == 0) == (i == _DIAGNOSE_PART_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_verdicts),    cmocka_unit_test(test_partial_looks),
                cmocka_unit_test(test_last),        cmocka_unit_test(test_untold_heap),
                cmocka_unit_test(test_java),        cmocka_unit_test(test_size_class),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
