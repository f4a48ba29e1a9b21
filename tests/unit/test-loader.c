/* SPDX-License-Identifier: Apache-2.0 */
#include "http/loader.h"

#include <dlfcn.h>

#include "http/client.h"
#include "http/server.h"
#include "unit/unit.h"

/* The test's own dlopen() stands before libc's, so a machine without libcurl and libmicrohttpd is one flag away. */
static bool no_libraries;

void *dlopen(const char *name, int flags) {
        static void *(*real)(const char *, int);

        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
        return no_libraries ? real("libof-no-such-name.so.0", flags) : real(name, flags);
}

typedef struct Table {
        double (*sqrt)(double);
        double (*pow)(double, double);
} Table;

static const LoaderSymbol good[] = {LOADER_SYMBOL(Table, sqrt, "sqrt"), LOADER_SYMBOL(Table, pow, "pow")};
static const LoaderSymbol lacking[] = {LOADER_SYMBOL(Table, sqrt, "sqrt"), LOADER_SYMBOL(Table, pow, "no_such_symbol")};

static void test_second_name_serves(void **state _unused_) {
        static const char *const names[] = {"libof-no-such-name.so.9", "libm.so.6", NULL};
        char why[256] = "";
        Table t = {0};

        assert_int_equal(loader_open("libm", names, good, ELEMENTSOF(good), &t, why, sizeof(why)), 0);
        assert_true(t.sqrt(16.0) == 4.0);
        assert_true(t.pow(2.0, 3.0) == 8.0);
}

static void test_missing_symbol_leaves_the_table(void **state _unused_) {
        static const char *const names[] = {"libm.so.6", NULL};
        char why[256] = "";
        Table t = {0};

        assert_int_equal(loader_open("libm", names, lacking, ELEMENTSOF(lacking), &t, why, sizeof(why)), -ENOSYS);
        assert_string_equal(why, "libm is too old: it has no no_such_symbol");
        assert_null(t.sqrt);
}

static void test_missing_libraries_are_named(void **state _unused_) {
        HttpClient *client = NULL;
        HttpServer *server = NULL;
        sd_event *event = NULL;
        char why[256] = "";

        assert_true(sd_event_new(&event) >= 0);
        no_libraries = true;
        assert_int_equal(http_client_new(event, &client, why, sizeof(why)), -ENOENT);
        assert_null(client);
        if (!strstr(why, "libcurl is not installed: libcurl.so.4: "))
                fail_msg("%s", why);
        assert_int_equal(http_server_new(event, "127.0.0.1:0", NULL, NULL, &server, why, sizeof(why)), -ENOENT);
        assert_null(server);
        if (!strstr(why, "libmicrohttpd is not installed: libmicrohttpd.so.12: "))
                fail_msg("%s", why);
        no_libraries = false;
        sd_event_unref(event);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_second_name_serves),
                cmocka_unit_test(test_missing_symbol_leaves_the_table),
                cmocka_unit_test(test_missing_libraries_are_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
