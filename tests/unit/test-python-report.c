/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/reader.h"

#include "unit/unit.h"

#include <fcntl.h>
#include <sys/mman.h>

#define N_TYPES 3u

typedef struct Image {
        PythonCensus census;
        PythonType types[N_TYPES + 1];
} Image;

static const size_t good_size = offsetof(Image, types) + N_TYPES * sizeof(PythonType);

static Image good(void) {
        Image im = {.census = {.magic = PYTHON_CENSUS_MAGIC,
                               .size = sizeof(PythonCensus),
                               .version = "3.11.2",
                               .flags = PYTHON_COMPLETE,
                               .n_types = N_TYPES,
                               .sample_every = 1,
                               .all = {60, 600}}};

        for (unsigned i = 0; i < N_TYPES; i++) {
                snprintf(im.types[i].name, sizeof(im.types[i].name), "type%u", i);
                im.types[i].count = (PythonCount){10 * (i + 1), 100 * (i + 1)};
        }
        return im;
}

static void spoil_magic(Image *im) {
        im->census.magic ^= 1;
}
static void spoil_layout(Image *im) {
        im->census.size += 8;
}
static void spoil_no_version(Image *im) {
        im->census.version[0] = 0;
}
static void spoil_version(Image *im) {
        memset(im->census.version, '3', sizeof(im->census.version));
}
static void spoil_mode(Image *im) {
        im->census.mode = _PYTHON_MODE_MAX;
}
static void spoil_flags(Image *im) {
        im->census.flags |= 2u * PYTHON_HAVE_THREADS;
}
static void spoil_sample(Image *im) {
        im->census.sample_every = 0;
}
static void spoil_many(Image *im) {
        im->census.n_types = PYTHON_TYPES_MAX + 1;
}
static void spoil_more(Image *im) {
        im->census.n_types++;
}
static void spoil_fewer(Image *im) {
        im->census.n_types--;
}
static void spoil_overflow(Image *im) {
        im->census.n_types = UINT32_MAX;
}
static void spoil_name(Image *im) {
        memset(im->types[N_TYPES - 1].name, 'x', PYTHON_NAME_MAX);
}
static void spoil_count(Image *im) {
        im->types[0].count.n_objects = 1ULL << 60;
}
static void spoil_bytes(Image *im) {
        im->types[2].count.bytes = UINT64_MAX;
}
static void spoil_all(Image *im) {
        im->census.all.bytes = UINT64_MAX;
}
static void spoil_old(Image *im) {
        im->census.generations[2].n_objects = UINT64_MAX;
}
static void spoil_nothing(Image *im) {
        im->types[1].name[0] = 0; /* a type without a name is one */
}

static const struct {
        const char *name;
        void (*spoil)(Image *);
        const char *why; /* NULL: it is fine */
} spoilt[] = {
        {"nothing", spoil_nothing, NULL},
        {"magic", spoil_magic, "layout"},
        {"layout", spoil_layout, "layout"},
        {"no version", spoil_no_version, "names no interpreter"},
        {"endless version", spoil_version, "names no interpreter"},
        {"mode", spoil_mode, "nobody can mean"},
        {"flags", spoil_flags, "nobody can mean"},
        {"sampled never", spoil_sample, "nobody can mean"},
        {"too many types", spoil_many, "nobody can mean"},
        {"more types than there", spoil_more, "size"},
        {"fewer types than there", spoil_fewer, "size"},
        {"types beyond all", spoil_overflow, "nobody can mean"},
        {"endless name", spoil_name, "name does not end"},
        {"count", spoil_count, "beyond any memory"},
        {"bytes", spoil_bytes, "beyond any memory"},
        {"sum", spoil_all, "beyond any memory"},
        {"generation", spoil_old, "beyond any memory"},
};

static void test_check_refuses(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(spoilt); i++) {
                Image im = good();
                const char *why;

                spoilt[i].spoil(&im);
                why = python_report_check(&im, good_size);
                if (!spoilt[i].why != !why || (why && !strstr(why, spoilt[i].why)))
                        fail_msg("%s: %s", spoilt[i].name, why ? why : "accepted");
        }
}

static void test_check_refuses_any_other_size(void **state _unused_) {
        Image im = good();

        for (size_t size = 0; size <= sizeof(im); size++)
                if (!python_report_check(&im, size) != (size == good_size))
                        fail_msg("%zu bytes", size);
}

static int memory(const void *data, size_t n, unsigned seals) {
        int fd = memfd_create("census", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, n), n);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void test_read_gives_what_came(void **state _unused_) {
        _cleanup_python_report_ PythonReport r = PYTHON_REPORT_NULL;
        Image im = good();
        _cleanup_fd_ int fd = memory(&im, good_size, SEALS | F_SEAL_SEAL);
        const char *why;

        assert_int_equal(python_report_read(fd, &r, &why), 0);
        assert_memory_equal(&r.census, &im.census, sizeof(im.census));
        assert_memory_equal(r.types, im.types, N_TYPES * sizeof(PythonType));
}

static void test_read_gives_none(void **state _unused_) {
        _cleanup_python_report_ PythonReport r = PYTHON_REPORT_NULL;
        Image im = good();
        const char *why;

        im.census.n_types = 0;
        _cleanup_fd_ int fd = memory(&im, sizeof(PythonCensus), SEALS);
        assert_int_equal(python_report_read(fd, &r, &why), 0);
        assert_int_equal(r.census.n_types, 0);
        assert_non_null(r.types);
}

static void test_read_refuses(void **state _unused_) {
        static const struct {
                const char *name;
                unsigned seals;
                size_t size;
                const char *why;
        } cases[] = {
                {"not sealed", 0, offsetof(Image, types) + N_TYPES * sizeof(PythonType), "sealed"},
                {"may be written", F_SEAL_SHRINK | F_SEAL_GROW, offsetof(Image, types) + N_TYPES * sizeof(PythonType),
                 "sealed"},
                {"may shrink", F_SEAL_WRITE | F_SEAL_GROW, offsetof(Image, types) + N_TYPES * sizeof(PythonType),
                 "sealed"},
                {"empty", SEALS, 0, "size"},
                {"half a head", SEALS, sizeof(PythonCensus) - 1, "size"},
                {"half a type", SEALS, offsetof(Image, types) + 50, "size"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                PythonReport r = {.types = NULL, .census.n_types = 77};
                Image im = good();
                _cleanup_fd_ int fd = memory(&im, cases[i].size, cases[i].seals);
                const char *why = NULL;

                if (python_report_read(fd, &r, &why) != -EBADMSG || !strstr(why, cases[i].why))
                        fail_msg("%s: %s", cases[i].name, why ? why : "accepted");
                assert_int_equal(r.census.n_types, 77);
        }
}

static void test_read_refuses_what_is_no_memory_file(void **state _unused_) {
        PythonReport r = PYTHON_REPORT_NULL;
        const char *why;
        int pair[2];

        assert_int_equal(pipe(pair), 0);
        assert_int_equal(python_report_read(pair[0], &r, &why), -EBADMSG);
        close(pair[0]);
        close(pair[1]);
        assert_int_equal(python_report_read(-1, &r, &why), -EBADF); /* the reply came without one */
        _cleanup_fd_ int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(fd, 1 << 30), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
        assert_int_equal(python_report_read(fd, &r, &why), -EBADMSG); /* and nothing was allocated for it */
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_check_refuses),        cmocka_unit_test(test_check_refuses_any_other_size),
                cmocka_unit_test(test_read_gives_what_came), cmocka_unit_test(test_read_gives_none),
                cmocka_unit_test(test_read_refuses),         cmocka_unit_test(test_read_refuses_what_is_no_memory_file),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
