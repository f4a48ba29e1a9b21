/* SPDX-License-Identifier: Apache-2.0 */
#include "report/accept.h"

#include <stdbool.h>

#include "unit/unit.h"

static void test_accept(void **state _unused_) {
        static const struct {
                const char *name, *in;
                bool openmetrics;
        } cases[] = {
                {"none", "", false},
                {"anything", "*/*", false},
                {"browser", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", false},
                {"Prometheus 2.42",
                 "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                 true},
                {"Prometheus 3",
                 "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                 "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                 true},
                {"vmagent", "text/plain;version=0.0.4;q=1,*/*;q=0.1", false},
                {"plain preferred", "application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", false},
                {"refused", "application/openmetrics-text;q=0", false},
                {"refused with zeros", "application/openmetrics-text;q=0.000", false},
                {"without version", "application/openmetrics-text", true},
                {"only an old version", "application/openmetrics-text;version=0.0.1", false},
                {"case and blanks", " Application/OpenMetrics-Text ; Version=1.0.0 ; q=0.5 ", true},
                {"junk", ";;;,,,=;q=;q=x,\xff\xfe", false},
                {"name as a prefix", "application/openmetrics-textual", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (accept_openmetrics(cases[i].in) != cases[i].openmetrics)
                        fail_msg("%s", cases[i].name);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_accept)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
