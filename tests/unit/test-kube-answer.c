/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/answer.h"

#include <string.h>

#include "unit/unit.h"

static void test_statuses(void **state _unused_) {
        static const struct {
                long status;
                const char *body;
                KubeError error;
        } cases[] = {
                {200, "{}", KUBE_OK},
                {201, "{\"kind\":\"Status\"}", KUBE_OK},
                {200, "", KUBE_E_ANSWER},
                {200, "[]", KUBE_E_ANSWER},
                {200, "{\"a\":1,\"a\":2}", KUBE_E_ANSWER},
                {200, "{\"a\":\"\\u0000\"}", KUBE_E_ANSWER},
                {200, "{\"a\":", KUBE_E_ANSWER},
                {302, "{}", KUBE_E_ANSWER}, /* a redirection is no answer */
                {400, "{}", KUBE_E_INVALID},
                {401, "", KUBE_E_UNAUTHORIZED},
                {403, "<html>", KUBE_E_FORBIDDEN},
                {404, "{}", KUBE_E_NOT_FOUND},
                {409, "{}", KUBE_E_CONFLICT},
                {410, "{}", KUBE_E_GONE},
                {422, "{}", KUBE_E_INVALID},
                {429, "{\"details\":{\"causes\":[{\"reason\":\"DisruptionBudget\"}]}}", KUBE_E_BUDGET},
                {429, "{\"details\":{\"causes\":[7,{\"reason\":[]},{\"reason\":\"DisruptionBudget\"}]}}",
                 KUBE_E_BUDGET},
                {429, "{\"details\":{\"causes\":{\"reason\":\"DisruptionBudget\"}}}", KUBE_E_BUSY},
                {429, "{\"details\":{\"retryAfterSeconds\":10}}", KUBE_E_BUSY},
                {429, "", KUBE_E_BUSY},
                {500,
                 "{\"message\":\"This pod has more than one PodDisruptionBudget, which the eviction subresource "
                 "does not support.\"}",
                 KUBE_E_BUDGETS},
                {500, "{\"message\":5}", KUBE_E_SERVER},
                {504, "{}", KUBE_E_SERVER},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                KubeAnswer a;

                kube_answer_judge(cases[i].status, cases[i].body, strlen(cases[i].body), 0, &a);
                if (a.error != cases[i].error)
                        fail_msg("%ld %s: %s", cases[i].status, cases[i].body, kube_error_name(a.error));
                assert_int_equal(a.error == KUBE_OK, a.why[0] == '\0');
                json_decref(a.body);
        }
}

static void test_why_is_printable(void **state _unused_) {
        static const char body[] = "{\"message\":\"no\\u001b[2J\\u009b\\nway\"}";
        KubeAnswer a;

        kube_answer_judge(403, body, strlen(body), 7, &a);
        assert_string_equal(a.why, "the API server answered 403: no?[2J???way");
        assert_int_equal(a.retry_after_usec, 7);
        json_decref(a.body);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_statuses),
                cmocka_unit_test(test_why_is_printable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
