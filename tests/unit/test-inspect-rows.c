/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/inspect-rows.h"

#include "unit/unit.h"

#include "util/clock.h"

typedef struct Given {
        const char *name;
        uint64_t n, bytes;
} Given;

static PythonReport report(PythonType *types, const Given *given, size_t n, uint64_t n_others) {
        PythonReport r = {.types = types, .census = {.n_types = (uint32_t)n, .others = {n_others, n_others * 8}}};

        for (size_t i = 0; i < n; i++) {
                types[i] = (PythonType){.count = {given[i].n, given[i].bytes}};
                snprintf(types[i].name, sizeof(types[i].name), "%s", given[i].name);
        }
        return r;
}

/* "name:objects:bytes" of the rows in their order; of a difference what they grew by, "?" where that is not known */
static void assert_rows(const InspectRows *rows, bool diff, const char *expected) {
        char text[512] = "", one[128];

        for (size_t i = 0; i < rows->n; i++) {
                const InspectRow *r = &rows->row[i];

                if (diff && !(r->has_before && r->has_now))
                        snprintf(one, sizeof(one), "%s:? ", r->name);
                else if (diff)
                        snprintf(one, sizeof(one), "%s:%lld:%lld ", r->name, (long long)inspect_growth_objects(r),
                                 (long long)inspect_growth_bytes(r));
                else
                        snprintf(one, sizeof(one), "%s:%llu:%llu ", r->name, (unsigned long long)r->now.n_objects,
                                 (unsigned long long)r->now.bytes);
                strncat(text, one, sizeof(text) - strlen(text) - 1);
        }
        assert_string_equal(text, expected);
}

static void test_one_census_by_size(void **state _unused_) {
        static const Given given[] = {{"b", 5, 50}, {"a", 5, 50}, {"c", 9, 50}, {"dict", 1, 70}, {"b", 1, 10}};
        PythonType types[8];
        PythonReport now = report(types, given, ELEMENTSOF(given), 0);
        _cleanup_inspect_rows_ InspectRows rows = INSPECT_ROWS_NULL;

        assert_int_equal(inspect_rows(NULL, &now, &rows), 0);
        assert_rows(&rows, false, "dict:1:70 b:6:60 c:9:50 a:5:50 ");
        assert_int_equal(rows.n_grown + rows.n_shrunk, 0);
}

static void test_two_by_growth(void **state _unused_) {
        static const Given first[] = {
                {"same", 5, 50}, {"leak", 10, 100}, {"less", 9, 90}, {"gone", 2, 20}, {"n", 1, 10}};
        static const Given last[] = {{"leak", 40, 400}, {"new", 3, 30}, {"less", 1, 10}, {"same", 5, 50}, {"n", 2, 10}};
        PythonType a[8], b[8];
        PythonReport before = report(a, first, ELEMENTSOF(first), 0), now = report(b, last, ELEMENTSOF(last), 0);
        _cleanup_inspect_rows_ InspectRows rows = INSPECT_ROWS_NULL;

        assert_int_equal(inspect_rows(&before, &now, &rows), 0);
        assert_rows(&rows, true, "leak:30:300 new:3:30 n:1:0 same:0:0 gone:-2:-20 less:-8:-80 ");
        assert_int_equal(rows.n_grown, 3);
        assert_int_equal(rows.n_shrunk, 2);
}

/* A type that one census sums up with others may have been there: its growth is not known, and never the whole of it.
 */
static void test_untold_types_do_not_grow(void **state _unused_) {
        static const Given first[] = {{"leak", 10, 100}}, last[] = {{"leak", 11, 110}, {"untold", 900, 9000}};
        PythonType a[8], b[8];
        PythonReport before = report(a, first, 1, 1000), now = report(b, last, 2, 0);
        _cleanup_inspect_rows_ InspectRows rows = INSPECT_ROWS_NULL, back = INSPECT_ROWS_NULL;

        assert_int_equal(inspect_rows(&before, &now, &rows), 0);
        assert_rows(&rows, true, "leak:1:10 untold:? ");
        assert_int_equal(rows.n_grown, 1);
        assert_int_equal(inspect_rows(&now, &before, &back), 0);
        assert_rows(&back, true, "untold:? leak:-1:-10 ");
        inspect_rows_done(&back);
}

static void test_nothing_at_all(void **state _unused_) {
        PythonType a[1];
        PythonReport none = report(a, NULL, 0, 0);
        _cleanup_inspect_rows_ InspectRows rows = INSPECT_ROWS_NULL;

        assert_int_equal(inspect_rows(&none, &none, &rows), 0);
        assert_int_equal(rows.n, 0);
}

static void test_rates(void **state _unused_) {
        assert_int_equal(inspect_per_hour(10, 60 * USEC_PER_SEC), 600);
        assert_int_equal(inspect_per_hour(-10, 60 * USEC_PER_SEC), -600);
        assert_int_equal(inspect_per_hour(10, 0), 0);
        assert_int_equal(inspect_per_hour(INT64_MAX, 1), 0); /* beyond what an integer holds */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_census_by_size),
                cmocka_unit_test(test_two_by_growth),
                cmocka_unit_test(test_untold_types_do_not_grow),
                cmocka_unit_test(test_nothing_at_all),
                cmocka_unit_test(test_rates),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
