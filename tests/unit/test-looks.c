/* SPDX-License-Identifier: Apache-2.0
 *
 * The surveys that are kept of a target: how many, when the next is due, and that the verdict is of those that can be
 * believed. Surveys come in as they do from the probe, in sealed memory files.
 */
#include "looks.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "probe/survey/survey.h"
#include "unit/unit.h"
#include "util/clock.h"

#define MB ((uint64_t)1000000)

static const Sample nothing;

static Survey survey_at(uint64_t minute, uint64_t used) {
        Survey s = {
                .magic = SURVEY_MAGIC,
                .size = sizeof(s),
                .flags = SURVEY_HAVE_PARTS | SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE | SURVEY_HAVE_TRIM,
                .n_parts = 1,
                .begin_usec = (100 + minute) * USEC_PER_MINUTE,
                .cpu_usec = 50 * USEC_PER_MSEC,
                .allocator = "glibc 2.36",
                .rss_bytes = used + 10 * MB,
                .uss_bytes = used + 10 * MB,
                .in_use_bytes = used,
                .free_bytes = 10 * MB,
                .heap.trim_resident_bytes = MB,
                .heap.trim_known = 1,
                .heap.classes[40] = {.n_used = used / 1000, .used_bytes = used},
                .parts[0] = {.rss_bytes = used + 10 * MB, .kind = PART_MAIN_HEAP, .name = "main heap"},
        };
        return s;
}

static int take(Looks *l, const Survey *s, bool sealed, const char **ret_why) {
        int fd = memfd_create("survey", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

        assert_int_equal(write(fd, s, sizeof(*s)), sizeof(*s));
        if (sealed)
                assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
        r = looks_take(l, fd, &nothing, true, 0.001, ret_why);
        close(fd);
        return r;
}

static void grow(Looks *l, uint64_t minute) {
        Survey s = survey_at(minute, (100 + minute) * MB);
        const char *why;

        assert_int_equal(take(l, &s, true, &why), 0);
}

/* However many come: at most LOOKS_MAX are kept, and the size that grows is known with all but the first. */
static void test_bounded(void **state _unused_) {
        Looks l = {0};

        for (uint64_t i = 0; i < 50; i++) {
                grow(&l, i);
                assert_true(l.n <= LOOKS_MAX && l.diagnosis.n_looks == l.n);
                assert_true(i == 0 || l.diagnosis.span_usec == (l.n - 1) * USEC_PER_MINUTE);
                assert_non_null(l.look[0].classes);
                assert_non_null(l.look[l.n - 1].classes);
                assert_null(l.diagnosis.last.classes);
                if (i == 0)
                        continue;
                assert_int_equal(l.diagnosis.verdict.kind, VERDICT_LIVE_GROWTH);
                assert_int_equal(l.diagnosis.verdict.size_class, 40);
                assert_true(l.diagnosis.verdict.class_bytes_per_s > 0.99 * 1e6 / 60 &&
                            l.diagnosis.verdict.class_bytes_per_s < 1.01 * 1e6 / 60);
        }
        assert_true(l.diagnosis.heap_known && l.diagnosis.trim_known);
        assert_int_equal(l.diagnosis.trimmable_bytes, MB);
        assert_int_equal(l.diagnosis.in_use_bytes, 149 * MB);
        looks_reset(&l); /* another process */
        assert_int_equal(l.diagnosis.n_looks, 0);
        grow(&l, 0);
        assert_int_equal(l.diagnosis.n_looks, 1);
        looks_done(&l);
}

/* The middle one was torn: when it has become the first, its sizes are no sizes. */
static void test_torn(void **state _unused_) {
        const char *why;
        Looks l = {0};

        for (uint64_t i = 0; i < 9; i++) {
                Survey s = survey_at(i, (100 + i) * MB);

                if (i == LOOKS_MAX / 2)
                        s.flags &= ~SURVEY_HEAP_COMPLETE;
                assert_int_equal(take(&l, &s, true, &why), 0);
                assert_true(l.diagnosis.heap_known == (i != LOOKS_MAX / 2));
                assert_true(l.diagnosis.trim_known == (i != LOOKS_MAX / 2));
        }
        assert_int_equal(l.n, LOOKS_MAX / 2 + 1);
        assert_null(l.look[0].classes);
        assert_int_equal(l.diagnosis.verdict.size_class, -1);
        assert_int_equal(l.diagnosis.verdict.kind, VERDICT_LIVE_GROWTH);
        looks_done(&l);
}

/* Pages of a file that others left are no pages that it copied. */
static void test_own_pages(void **state _unused_) {
        Survey s = survey_at(0, 100 * MB);
        const char *why;
        Looks l = {0};

        s.n_parts = 2;
        s.rss_bytes = 119 * MB;
        s.parts[0].private_bytes = 60 * MB;
        s.parts[1] = (Part){.rss_bytes = 9 * MB, .private_bytes = 7 * MB, .kind = PART_FILES, .name = "libc.so.6"};
        assert_int_equal(take(&l, &s, true, &why), 0);
        assert_int_equal(l.diagnosis.last.uss_bytes, 60 * MB);
        looks_done(&l);
}

/* In use and free are told apart only where the heap was read, but for the little that changed under the reader. */
static void test_out_of_time(void **state _unused_) {
        static const struct {
                uint32_t flag;
                uint64_t unread_bytes;
                bool known;
        } cases[] = {
                {SURVEY_HEAP_COMPLETE, 0, true},
                {0, MB / 2, true},
                {0, 2 * MB, false},
                {SURVEY_OUT_OF_TIME, 0, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Survey s = survey_at(0, 100 * MB);
                const char *why;
                Looks l = {0};

                s.flags = (s.flags & ~SURVEY_HEAP_COMPLETE) | cases[i].flag;
                s.system_bytes = 110 * MB;
                s.heap.unread_bytes = cases[i].unread_bytes;
                assert_int_equal(take(&l, &s, true, &why), 0);
                assert_true((l.diagnosis.last.known >> DIAGNOSE_HEAP_USED & 1) == cases[i].known);
                assert_true((l.diagnosis.last.known >> DIAGNOSE_HEAP_FREE & 1) == cases[i].known);
                looks_done(&l);
        }
}

static void test_refused(void **state _unused_) {
        Survey lie = survey_at(5, 100 * MB), old = survey_at(0, 100 * MB), none = survey_at(5, 100 * MB);
        const char *why = NULL;
        Looks l = {0};

        lie.n_parts = SURVEY_PARTS_MAX + 1;
        none.flags = 0;
        grow(&l, 1);
        assert_true(take(&l, &lie, true, &why) < 0 && why);
        assert_true(take(&l, &none, true, &why) < 0 && why);
        assert_true(take(&l, &old, true, &why) < 0);
        assert_string_equal(why, "it is older than the last one");
        none = survey_at(5, 100 * MB);
        assert_true(take(&l, &none, false, &why) < 0); /* somebody could still change it */
        assert_int_equal(l.diagnosis.n_looks, 1);
        looks_done(&l);
}

/* 50 ms of CPU time and a thousandth of a core: 50 s of rest, whatever the interval. */
static void test_due(void **state _unused_) {
        Looks l = {0};

        assert_true(looks_due(&l, 1, USEC_PER_HOUR));
        l.asked_usec = 100 * USEC_PER_MINUTE;
        l.pending = true;
        assert_false(looks_due(&l, 200 * USEC_PER_MINUTE, USEC_PER_MINUTE));
        l.pending = false;
        grow(&l, 0);
        assert_false(looks_due(&l, l.asked_usec + 49 * USEC_PER_SEC, USEC_PER_SEC));
        assert_true(looks_due(&l, l.asked_usec + 51 * USEC_PER_SEC, USEC_PER_SEC));
        assert_false(looks_due(&l, l.asked_usec + 51 * USEC_PER_SEC, USEC_PER_MINUTE));
        assert_false(looks_due(&l, 0, USEC_PER_SEC)); /* a clock that ran backwards */
        looks_done(&l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_torn),
                cmocka_unit_test(test_own_pages),
                cmocka_unit_test(test_out_of_time),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_due),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
