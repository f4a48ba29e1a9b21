/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading with every allocation failing once, one after the other: also those of libyaml and of regcomp(). This
 * program's malloc() family stands before libc's (or the sanitizer's) and can be told to fail the n-th call from now.
 */
#include <dlfcn.h>

#include "settings/load.h"
#include "unit/settings-equal.h"
#include "unit/unit.h"

/* clang puts the sanitizer's allocator into the program itself, so there is nothing to stand before. */
#if defined(__clang__) && defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CANNOT_INTERPOSE 1
#endif
#endif

static long fail_at = -1; /* calls until one fails; -1: never */

#ifndef CANNOT_INTERPOSE
/* The sanitizer's own start calls dlsym(), and where that finds nothing it allocates its message (glibc's dlerror()),
 * with our malloc() before there is a shadow to check anything against. */
#define BEFORE_SANITIZER __attribute__((__no_sanitize_address__))

BEFORE_SANITIZER static bool fails_now(void) {
        return fail_at >= 0 && fail_at-- == 0;
}

BEFORE_SANITIZER static void *next_of(const char *name, void **cache) {
        if (!*cache)
                *cache = dlsym(RTLD_NEXT, name);
        return *cache;
}

BEFORE_SANITIZER void *malloc(size_t n) {
        static void *next;

        return fails_now() ? NULL : ((void *(*)(size_t))next_of("malloc", &next))(n);
}

BEFORE_SANITIZER void *realloc(void *p, size_t n) {
        static void *next;

        return fails_now() ? NULL : ((void *(*)(void *, size_t))next_of("realloc", &next))(p, n);
}

BEFORE_SANITIZER void *reallocarray(void *p, size_t n, size_t size) {
        static void *next;

        return fails_now() ? NULL : ((void *(*)(void *, size_t, size_t))next_of("reallocarray", &next))(p, n, size);
}

/* dlsym() itself allocates with calloc() in some libcs: it is looked up before it is ever needed. */
static void *(*next_calloc)(size_t, size_t);

__attribute__((__constructor__)) static void find_calloc(void) {
        next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
}

BEFORE_SANITIZER void *calloc(size_t n, size_t size) {
        static char early[4096] __attribute__((__aligned__(16)));
        static size_t used;

        if (next_calloc)
                return fails_now() ? NULL : next_calloc(n, size);
        used += (n * size + 15) & ~(size_t)15;
        return used <= sizeof(early) ? early + used - ((n * size + 15) & ~(size_t)15) : NULL;
}

/* libyaml's copies of anchors and tags, and our own of file names and arguments. */
char *strdup(const char *s) {
        size_t n = strlen(s) + 1;
        char *p = malloc(n);

        return p ? memcpy(p, s, n) : NULL;
}
#endif

/* regcomp() of glibc (2.36) leaks its own sets when it runs out of memory in calc_eclosure(); LeakSanitizer tells that.
 */
#ifdef __SANITIZE_ADDRESS__
#define MATCH "exe: a"
#else
#define MATCH "cmdline: 'a(b|c)[d-f]*'"
#endif

static const char good[] = "targets:\n  - match: {" MATCH "}\n    name: x\n"
                           "policy: {rotate: {method: hook, hook: [/bin/a, b, 'c d']}}\n"
                           "report: {labels: {a: b}, webhook: {url: 'http://x.example/', bearer_file: /t}}\n";
static const char bad[] = "targets:\n  - match: &m {exe: a/b}\n    nmae: x\n    pick: !x y\n"
                          "policy: {rotate: {method: hook, hook: [/bin/a, b, {c: d}]}, alert: *m}\n"
                          "trend: {min_samples: 5, min_span: 9h, min_span: 1}\n";

static void test_loader_survives_every_failed_allocation(void **state _unused_) {
        static const struct {
                const char *name, *text;
                int result;
        } cases[] = {{"good", good, 0}, {"bad", bad, -EINVAL}};
        static Settings s;
        bool failed = true;

#ifdef CANNOT_INTERPOSE
        skip();
#endif
        for (size_t i = 0; i < ELEMENTSOF(cases); i++, failed = true) {
                long n;

                for (n = 0; failed; n++) {
                        _cleanup_buf_ Buf problems = BUF_NULL;
                        SettingsOrigins *origins = NULL;
                        int r;

                        assert_true(n < 10000);
                        fail_at = n;
                        r = settings_load_string("t.yaml", cases[i].text, strlen(cases[i].text), &s, &origins,
                                                 &problems);
                        failed = fail_at < 0;
                        fail_at = -1;
                        /* when the report of a problem is what could not grow, the answer still is the right one */
                        if (r != cases[i].result && (!failed || r != -ENOMEM))
                                fail_msg("%s: allocation %ld failed: %d", cases[i].name, n, r);
                        if (r == 0) {
                                settings_origins_free(origins);
                                settings_done(&s);
                        } else
                                assert_null(origins);
                }
                assert_true(n > 20);
                print_message("# %s: %ld allocations\n", cases[i].name, n - 1);
        }
}

static void test_writers_survive_every_failed_allocation(void **state _unused_) {
        static Settings s;
        SettingsOrigins *origins = NULL;
        _cleanup_buf_ Buf problems = BUF_NULL;
        bool failed = true;

#ifdef CANNOT_INTERPOSE
        skip();
#endif
        assert_int_equal(settings_load_string("t.yaml", good, strlen(good), &s, &origins, &problems), 0);
        for (long n = 0; failed; n++) {
                _cleanup_buf_ Buf dump = BUF_NULL, schema = BUF_NULL, help = BUF_NULL;

                fail_at = n;
                settings_dump(&dump, &s, origins);
                settings_schema_json(&schema);
                settings_help(&help);
                failed = fail_at < 0;
                fail_at = -1;
        }
        settings_origins_free(origins);
        settings_done(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_loader_survives_every_failed_allocation),
                cmocka_unit_test(test_writers_survive_every_failed_allocation),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
