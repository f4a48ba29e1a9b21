/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <search.h>

#include "probe/inject/mallctl.h"
#include "probe/inject/malloc-par.h"
#include "probe/param.h"

#include "unit/unit.h"

static void test_values(void **state _unused_) {
        static const struct {
                const char *name, *text;
                int r;
                int64_t value;
        } cases[] = {
                {"arena_max", "2", 0, 2},
                {"arena_max", "0", -ERANGE, 0},
                {"arena_max", "65537", -ERANGE, 0},
                {"arena_max", "2k", -EINVAL, 0},
                {"mmap_threshold", "1MiB", 0, 1 << 20},
                {"mmap_threshold", "4096", 0, 4096},
                {"mmap_threshold", "4095", -ERANGE, 0},
                {"mmap_threshold", "2GiB", -ERANGE, 0}, /* mallopt() takes an int */
                {"mmap_threshold", "-1", -EINVAL, 0},
                {"trim_threshold", "0", 0, 0},
                {"trim_threshold", "2147483647", 0, INT_MAX},
                {"trim_threshold", "2147483648", -ERANGE, 0},
                {"background_thread", "on", 0, 1},
                {"background_thread", "false", 0, 0},
                {"background_thread", "1", 0, 1},
                {"background_thread", "2", -ERANGE, 0},
                {"background_thread", "maybe", -EINVAL, 0},
                {"dirty_decay_ms", "10s", 0, 10000},
                {"dirty_decay_ms", "5000", 0, 5000},
                {"dirty_decay_ms", "0", 0, 0},
                {"dirty_decay_ms", "never", 0, -1},
                {"dirty_decay_ms", "-1", 0, -1},
                {"dirty_decay_ms", "-2", -EINVAL, 0},
                {"dirty_decay_ms", "10us", -ERANGE, 0}, /* less than it can be told */
                {"muzzy_decay_ms", "1000d", -ERANGE, 0},
                {"muzzy_decay_ms", "99999999999999999999", -ERANGE, 0},
                {"muzzy_decay_ms", "", -EINVAL, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Param *p = param_get(param_find(cases[i].name));
                int64_t value = 0;

                assert_non_null(p);
                assert_int_equal(param_parse(p, cases[i].text, &value), cases[i].r);
                assert_int_equal(value, cases[i].value);
        }
        assert_int_equal(param_find("mmap_treshold"), PROBE_PARAM_NONE);
        assert_int_equal(param_find(""), PROBE_PARAM_NONE);
        assert_null(param_get(PROBE_PARAM_NONE));
        assert_null(param_get(_PROBE_PARAM_MAX));
        assert_null(param_get(UINT32_MAX));
        for (uint32_t i = PROBE_PARAM_NONE + 1; i < _PROBE_PARAM_MAX; i++)
                assert_int_equal(param_find(param_get(i)->name), i);
}

/* A malloc_par as a program has it that has done nothing yet, at word @at. @shift: bytes before n_mmaps. */
static void put_par(unsigned char *data, size_t at, size_t shift) {
        const uint64_t words[] = {131072, 131072, 131072, 8, 0};
        const uint32_t counts[] = {0, 65536, 3, 0};
        const uint64_t mapped[] = {0, 1 << 20};

        memset(data + at, 0, 112);
        memcpy(data + at, words, sizeof(words));
        memcpy(data + at + 40 + shift, counts, sizeof(counts));
        memcpy(data + at + (40 + shift + sizeof(counts) + 7) / 8 * 8, mapped, sizeof(mapped));
}

static void test_malloc_par(void **state _unused_) {
        static const size_t shifts[] = {0, 20, 28}; /* 2.17, 2.35, after 2.42 */
        unsigned char data[4096];
        uint64_t odd = 9, broken;

        for (size_t i = 0; i < ELEMENTSOF(shifts); i++) {
                memset(data, 0xa5, sizeof(data));
                assert_int_equal(malloc_par_scan(data, sizeof(data)), -ENOENT);
                put_par(data, 512, shifts[i]);
                assert_int_equal(malloc_par_scan(data, sizeof(data)), 512);
                put_par(data, 2048, shifts[i]);
                assert_int_equal(malloc_par_scan(data, sizeof(data)), -ENOTUNIQ);
                memcpy(data + 2048 + 24, &odd, sizeof(odd)); /* arena_test */
                assert_int_equal(malloc_par_scan(data, sizeof(data)), 512);
                broken = 1ULL << 50;
                memcpy(data + 512, &broken, sizeof(broken)); /* trim_threshold */
                assert_int_equal(malloc_par_scan(data, sizeof(data)), -ENOENT);
                broken = UINT64_MAX; /* mallopt(M_TRIM_THRESHOLD, -1) */
                memcpy(data + 512, &broken, sizeof(broken));
                assert_int_equal(malloc_par_scan(data, sizeof(data)), 512);
                /* cut at the end: nothing is read beyond */
                assert_int_equal(malloc_par_scan(data, 512 + 64), -ENOENT);
                assert_int_equal(malloc_par_scan(data, 0), -ENOENT);
        }
}

static unsigned n_called;
static uint64_t called_with[2];

static int answers(const void *a, const void *b) {
        n_called++;
        called_with[0] = (uint64_t)(uintptr_t)a;
        called_with[1] = (uint64_t)(uintptr_t)b;
        return (int)called_with[1];
}

typedef int (*AnswersFn)(const void *, const void *);

/* What the chain does with the registers, done by hand: lsearch() of this C library. */
static void run_truth(const Call *c) {
        AnswersFn fn;
        void *address = (void *)(uintptr_t)c->arg[4];

        memcpy(&fn, &address, sizeof(fn));
        (void)lsearch((void *)(uintptr_t)c->arg[0], (void *)(uintptr_t)c->arg[1], (size_t *)(uintptr_t)c->arg[2],
                      c->arg[3], fn);
}

static void test_truth(void **state _unused_) {
        static const struct {
                uint64_t second; /* what is returned is its lower half */
                SessionTruth truth;
        } cases[] = {{0, SESSION_FALSE},          {1, SESSION_TRUE},         {UINT32_MAX, SESSION_TRUE},
                     {1ULL << 32, SESSION_FALSE}, {INT32_MAX, SESSION_TRUE}, {UINT64_MAX, SESSION_TRUE}};
        AnswersFn fn = answers;
        uint64_t function;

        memcpy(&function, &fn, sizeof(function));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Session s = {.b.image.sym.lsearch = 1};
                Mailbox box = {.truth = {1, 1, 1, 1}};
                Call c;

                s.scratch = (uint64_t)(uintptr_t)&box;
                c = session_truth(&s, function, (uint64_t)-8, cases[i].second, 2);
                n_called = 0;
                run_truth(&c);
                assert_int_equal(n_called, 1);
                assert_int_equal(called_with[0], (uint64_t)-8);
                assert_int_equal((uint32_t)called_with[1], (uint32_t)cases[i].second);
                s.box = box;
                assert_int_equal(session_was(&s, 2), cases[i].truth);
                assert_int_equal(session_was(&s, 1), SESSION_FALSE); /* never asked: a caller's mistake */
                s.box.truth[2] = 77;
                assert_int_equal(session_was(&s, 2), SESSION_UNKNOWN);
        }
}

static void test_truth_is_not_known_without_lsearch(void **state _unused_) {
        Session s = {.scratch = 4096, .box.truth = {2, 2, 2, 2}};
        Call c = session_truth(&s, 0xf1, 3, 4, 0);

        assert_int_equal(c.function, 0xf1);
        assert_int_equal(c.arg[0], 3);
        assert_int_equal(c.arg[1], 4);
        assert_int_equal(session_was(&s, 0), SESSION_UNKNOWN);
}

static void test_mallctl_values(void **state _unused_) {
        static const char version[32] = "5.3.0-0-g54eaed1d8b56b1aa528b", garbage[32] = "version five";
        Session s = {.b.pid = getpid()};
        MallctlFacts f = mallctl_facts();
        char text[16];
        unsigned n = 9;

        /* as it was sent: nothing was read */
        assert_int_equal(mallctl_version(&s, &f, text, sizeof(text)), 0);
        assert_string_equal(text, "");
        assert_int_equal(mallctl_narenas(&f), 0);

        f.version.value = (uint64_t)(uintptr_t)version;
        memcpy(&f.narenas.value, &n, sizeof(n));
        assert_int_equal(mallctl_version(&s, &f, text, sizeof(text)), 5);
        assert_string_equal(text, "5.3.0");
        assert_int_equal(mallctl_narenas(&f), 9);

        f.narenas.value = 4096; /* more than there can be */
        assert_int_equal(mallctl_narenas(&f), 0);
        f.version.value = (uint64_t)(uintptr_t)garbage;
        assert_int_equal(mallctl_version(&s, &f, text, sizeof(text)), 0);
        f.version.value = 16; /* not mapped */
        assert_int_equal(mallctl_version(&s, &f, text, sizeof(text)), 0);
        f.version.value = (uint64_t)(uintptr_t)version;
        f.version.length = 4; /* another size than was asked for */
        assert_int_equal(mallctl_version(&s, &f, text, sizeof(text)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),         cmocka_unit_test(test_malloc_par),
                cmocka_unit_test(test_truth),          cmocka_unit_test(test_truth_is_not_known_without_lsearch),
                cmocka_unit_test(test_mallctl_values),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
