/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of C++ tables: decoded whole or not at all.
 */
#include "cli/cxx-name.h"

#include <string.h>

#include "unit/unit.h"

static void test_cxx_names(void **state _unused_) {
        static const struct {
                const char *name, *text; /* NULL: as it is */
        } cases[] = {
                {"_ZTV7Session", "vtable for Session"},
                {"_ZTVN3net7SessionE", "vtable for net::Session"},
                {"_ZTIN3net2v17SessionE", "typeinfo for net::v1::Session"},
                {"_ZTSSt9exception", "typeinfo name for std::exception"},
                {"_ZTVNSt3__16vectorE", "vtable for std::__1::vector"},
                {"_ZTVN12_GLOBAL__N_15StateE", "vtable for (anonymous namespace)::State"},
                {"_ZTT4Both", "VTT for Both"},
                {"_ZTV3BoxIiE", NULL}, /* a template */
                {"_ZTVN3net3BoxIiEE", NULL},
                {"_ZTVSs", NULL}, /* a substitution */
                {"_ZTVN3net7SessionEx", NULL},
                {"_ZTVN3net7Session", NULL},
                {"_ZTV8Session", NULL}, /* shorter than it says */
                {"_ZTV7Ses ion", NULL},
                {"_ZTV07Session", NULL},
                {"_ZTV0", NULL},
                {"_ZTVN", NULL},
                {"_ZTVNE", NULL},
                {"_ZTV", NULL},
                {"_ZTV99999999999999999999x", NULL},
                {"_ZN3net7Session3runEv", NULL},
                {"malloc", NULL},
                {"", NULL},
        };
        char buf[64];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool ok = cxx_name(buf, sizeof(buf), cases[i].name);

                if (ok != (cases[i].text != NULL) || (ok && strcmp(buf, cases[i].text) != 0))
                        fail_msg("%s: %s", cases[i].name, ok ? buf : "(as it is)");
        }
        assert_false(cxx_name(buf, 10, "_ZTV7Session")); /* does not fit */
        assert_true(cxx_name(buf, sizeof("vtable for Session"), "_ZTV7Session"));
        assert_false(cxx_name(buf, sizeof("vtable for Session") - 1, "_ZTV7Session"));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_cxx_names)};

        return cmocka_run_group_tests_name("cxx-name", tests, NULL, NULL);
}
