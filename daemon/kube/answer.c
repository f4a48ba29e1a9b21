/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/answer.h"

#include <stdio.h>
#include <string.h>

/* Also inside strings of another's making: causes are few, and a list without end is not read to its end. */
#define CAUSES_MAX 32u

static bool cause_is_budget(const json_t *body) {
        const json_t *causes = json_object_get(json_object_get(body, "details"), "causes");
        size_t n = min_of(json_array_size(causes), (size_t)CAUSES_MAX);

        for (size_t i = 0; i < n; i++) {
                const char *reason = json_string_value(json_object_get(json_array_get(causes, i), "reason"));

                if (reason && strcmp(reason, "DisruptionBudget") == 0)
                        return true;
        }
        return false;
}

static KubeError judge_status(long status, const json_t *body, const char *message) {
        static const struct {
                long status;
                KubeError error;
        } rows[] = {
                {400, KUBE_E_INVALID},  {401, KUBE_E_UNAUTHORIZED}, {403, KUBE_E_FORBIDDEN}, {404, KUBE_E_NOT_FOUND},
                {409, KUBE_E_CONFLICT}, {410, KUBE_E_GONE},         {422, KUBE_E_INVALID},
        };

        if (status == 429)
                return cause_is_budget(body) ? KUBE_E_BUDGET : KUBE_E_BUSY;
        if (status == 500 && strstr(message, "more than one PodDisruptionBudget"))
                return KUBE_E_BUDGETS;
        if (status >= 500 && status <= 599)
                return KUBE_E_SERVER;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].status == status)
                        return rows[i].error;
        return status >= 200 && status <= 299 ? KUBE_OK : KUBE_E_ANSWER;
}

static void say(KubeAnswer *a, const char *message) {
        snprintf(a->why, sizeof(a->why), "the API server answered %ld%s%.200s", a->status, *message ? ": " : "",
                 message);
        for (char *p = a->why; *p; p++) /* goes into logs and onto terminals */
                if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
                        *p = '?';
}

void kube_answer_judge(long status, const char *body, size_t len, uint64_t retry_after_usec, KubeAnswer *ret) {
        json_t *json = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL); /* nested 2048 deep at most (jansson) */
        const char *message = json_string_value(json_object_get(json, "message"));

        if (json && !json_is_object(json)) {
                json_decref(json);
                json = NULL;
        }
        *ret = (KubeAnswer){.status = status, .retry_after_usec = retry_after_usec, .body = json};
        message = json && message ? message : "";
        ret->error = judge_status(status, json, message);
        if (ret->error == KUBE_OK && !json) {
                ret->error = KUBE_E_ANSWER;
                message = "no JSON object, or one with a key twice";
        }
        if (ret->error != KUBE_OK)
                say(ret, message);
}

bool kube_error_is_for_good(KubeError e) {
        return e == KUBE_E_FORBIDDEN || e == KUBE_E_INVALID || e == KUBE_E_BUDGETS;
}

const char *kube_error_name(KubeError e) {
        static const char *const names[_KUBE_E_MAX] = {
                [KUBE_OK] = "ok",
                [KUBE_E_NET] = "network",
                [KUBE_E_UNAUTHORIZED] = "unauthorized",
                [KUBE_E_FORBIDDEN] = "forbidden",
                [KUBE_E_NOT_FOUND] = "not-found",
                [KUBE_E_CONFLICT] = "conflict",
                [KUBE_E_GONE] = "gone",
                [KUBE_E_INVALID] = "invalid",
                [KUBE_E_BUDGET] = "budget",
                [KUBE_E_BUSY] = "busy",
                [KUBE_E_BUDGETS] = "budgets",
                [KUBE_E_SERVER] = "server",
                [KUBE_E_ANSWER] = "answer",
        };

        return (unsigned)e < _KUBE_E_MAX ? names[e] : "unknown";
}
