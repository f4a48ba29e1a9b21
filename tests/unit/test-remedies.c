/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/diagnose.h"

#include "unit/unit.h"

#define MIB (1024ULL * 1024)

typedef struct Case {
        const char *name;
        DiagnoseLook look; /* MiB; two of these, a minute apart, nothing grows */
        uint64_t limit;
        RemedyKind remedies[VERDICT_REMEDIES_MAX];
        uint64_t gain[VERDICT_REMEDIES_MAX];
} Case;

static const Case cases[] = {
        {"a trim that gives much comes first",
         {.rss_bytes = 400, .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250}, .trim_bytes = 200},
         0,
         {REMEDY_RECLAIM, REMEDY_OTHER_MALLOC},
         {200, 50}},
        {"one that gives little of what is pinned comes last",
         {.rss_bytes = 400, .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250}, .trim_bytes = 20},
         0,
         {REMEDY_OTHER_MALLOC, REMEDY_RECLAIM},
         {230, 20}},
        {"arenas that hold what is free",
         {.rss_bytes = 400,
          .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250},
          .n_arenas = 8,
          .arena_free_bytes = 240},
         0,
         {REMEDY_ARENA_MAX, REMEDY_OTHER_MALLOC},
         {180, 250}},
        {"large blocks that stay in the heap",
         {.rss_bytes = 400,
          .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250},
          .trim_bytes = 240,
          .large_free_bytes = 220,
          .mmap_threshold_bytes = 12},
         0,
         {REMEDY_RECLAIM, REMEDY_MMAP_THRESHOLD},
         {240, 220}},
        {"large blocks below a threshold that is fixed, or not known",
         {.rss_bytes = 400,
          .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250},
          .trim_bytes = 240,
          .large_free_bytes = 220},
         0,
         {REMEDY_RECLAIM},
         {240}},
        {"large blocks that have gone back: what is free is not in memory",
         {.rss_bytes = 400,
          .part_bytes = {[DIAGNOSE_HEAP_USED] = 390, [DIAGNOSE_HEAP_FREE] = 10},
          .large_free_bytes = 900,
          .mmap_threshold_bytes = 12},
         0,
         {REMEDY_NONE},
         {0}},
        {"close to the limit, and a trim would help",
         {.rss_bytes = 100, .part_bytes = {[DIAGNOSE_HEAP_USED] = 80, [DIAGNOSE_HEAP_FREE] = 15}, .trim_bytes = 9},
         102,
         {REMEDY_RECLAIM},
         {9}},
        {"close to the limit by what counts, not by RSS",
         {.rss_bytes = 300, .usage_bytes = 80, .part_bytes = {[DIAGNOSE_HEAP_USED] = 80}},
         100,
         {REMEDY_NONE},
         {0}},
};

static void scale(DiagnoseLook *l) {
        uint64_t *const figures[] = {&l->rss_bytes,        &l->trim_bytes,           &l->arena_free_bytes,
                                     &l->large_free_bytes, &l->mmap_threshold_bytes, &l->usage_bytes};

        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                *figures[i] *= MIB;
        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++)
                l->part_bytes[p] *= MIB;
        l->known = (1u << DIAGNOSE_PAGE_CACHE) - 1;
        l->heap_complete = l->trim_known = true;
        l->uss_bytes = l->rss_bytes;
}

static void judge(const Case *c, Verdict *ret) {
        DiagnoseLook looks[2] = {c->look, c->look};

        scale(&looks[0]);
        scale(&looks[1]);
        looks[1].time_usec = 60000000;
        diagnose(&(DiagnoseInput){looks, 2, c->limit * MIB}, ret);
}

static void test_remedies(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Verdict v;

                judge(&cases[i], &v);
                for (size_t k = 0; k < VERDICT_REMEDIES_MAX; k++)
                        if (v.remedies[k].kind != cases[i].remedies[k] ||
                            v.remedies[k].gain_bytes / MIB != cases[i].gain[k])
                                fail_msg("%s: remedy %zu is %s, %lu MiB", cases[i].name, k,
                                         remedy_name(v.remedies[k].kind),
                                         (unsigned long)(v.remedies[k].gain_bytes / MIB));
        }
}

/* What it needs: the least of all looks, less what a trim gives, and a quarter more. */
static void test_limit(void **state _unused_) {
        DiagnoseLook looks[] = {
                {.time_usec = 0, .rss_bytes = 990, .usage_bytes = 980, .part_bytes = {[DIAGNOSE_HEAP_USED] = 900}},
                {.time_usec = 30000000,
                 .rss_bytes = 990,
                 .usage_bytes = 970,
                 .part_bytes = {[DIAGNOSE_HEAP_USED] = 900},
                 .trim_bytes = 10},
                {.time_usec = 60000000,
                 .rss_bytes = 990,
                 .usage_bytes = 985,
                 .part_bytes = {[DIAGNOSE_HEAP_USED] = 900}},
        };
        Verdict v;

        for (size_t i = 0; i < ELEMENTSOF(looks); i++)
                scale(&looks[i]);
        diagnose(&(DiagnoseInput){looks, ELEMENTSOF(looks), 1000 * MIB}, &v);
        assert_int_equal(v.remedies[0].kind, REMEDY_LIMIT);
        assert_int_equal(v.remedies[0].floor_bytes, 960 * MIB);
        assert_int_equal(v.remedies[0].need_bytes, 1200 * MIB);
        assert_int_equal(v.remedies[1].kind, REMEDY_NONE);
}

/* Holes that grow are not the arenas' doing. */
static void test_arenas(void **state _unused_) {
        for (unsigned step = 0; step <= 40; step += 40) {
                DiagnoseLook looks[4] = {0};
                Verdict v;

                for (size_t i = 0; i < ELEMENTSOF(looks); i++) {
                        looks[i] = (DiagnoseLook){
                                .time_usec = i * 20000000,
                                .rss_bytes = 400 + i * step,
                                .part_bytes = {[DIAGNOSE_HEAP_USED] = 100, [DIAGNOSE_HEAP_FREE] = 250 + i * step},
                                .n_arenas = 9,
                                .arena_free_bytes = 240 + i * step};
                        scale(&looks[i]);
                }
                diagnose(&(DiagnoseInput){looks, ELEMENTSOF(looks), 0}, &v);
                assert_int_equal(v.kind, VERDICT_PINNED);
                assert_int_equal(v.remedies[0].kind, step ? REMEDY_OTHER_MALLOC : REMEDY_ARENA_MAX);
                assert_int_equal(v.remedies[1].kind, step ? REMEDY_NONE : REMEDY_OTHER_MALLOC);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_remedies), cmocka_unit_test(test_limit),
                                           cmocka_unit_test(test_arenas)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
