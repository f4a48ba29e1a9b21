/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor-api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define ATTEMPT_USEC (5 * USEC_PER_SEC)
#define ALL_USEC     (15 * USEC_PER_SEC)

struct DoctorApi {
        sd_event *event;
        KubeConfig config;
        KubeClient *client;
        KubeAnswer *answer; /* of the request that is out */
        bool done;
};

int doctor_api_new(DoctorApi **ret, char *why, size_t why_size) {
        DoctorApi *a = calloc(1, sizeof(*a));
        int r;

        if (!a) {
                snprintf(why, why_size, "out of memory");
                return -ENOMEM;
        }
        r = kube_config_load(&a->config, why, why_size);
        if (r >= 0) {
                r = sd_event_new(&a->event);
                snprintf(why, why_size, "no event loop");
        }
        if (r >= 0)
                r = kube_client_new(a->event, &a->config, &a->client, why, why_size);
        if (r < 0) {
                doctor_api_free(a);
                return r;
        }
        *ret = a;
        return 0;
}

DoctorApi *doctor_api_free(DoctorApi *a) {
        if (!a)
                return NULL;
        kube_client_free(a->client);
        sd_event_unref(a->event);
        free(a);
        return NULL;
}

const KubeConfig *doctor_api_config(const DoctorApi *a) {
        return &a->config;
}

static void on_answer(void *userdata, const KubeAnswer *answer) {
        DoctorApi *a = userdata;

        *a->answer = *answer;
        json_incref(a->answer->body); /* NULL is accepted */
        a->done = true;
}

void doctor_api_ask(DoctorApi *a, const char *method, const char *path, json_t *body, KubeAnswer *ret) {
        KubeSpec spec = {.method = method,
                         .path = path,
                         .body = body,
                         .timeout_usec = ATTEMPT_USEC,
                         .retries_max = 2,
                         .deadline_usec = now_boot_usec() + ALL_USEC};
        int r;

        *ret = (KubeAnswer){.error = KUBE_E_NET};
        a->answer = ret;
        a->done = false;
        r = kube_request(a->client, &spec, on_answer, a, NULL);
        while (r >= 0 && !a->done)
                r = sd_event_run(a->event, UINT64_MAX);
        if (!a->done)
                snprintf(ret->why, sizeof(ret->why), "%s", strerror(-r));
        json_decref(body);
}

int doctor_api_may(DoctorApi *a, const char *verb, const char *group, const char *resource, const char *subresource,
                   const char *name, char *ret_why, size_t why_size) {
        json_t *body = json_pack("{s:s, s:s, s:{s:{s:s, s:s, s:s, s:s, s:s, s:s}}}", "apiVersion",
                                 "authorization.k8s.io/v1", "kind", "SelfSubjectAccessReview", "spec",
                                 "resourceAttributes", "namespace", a->config.namespace_, "verb", verb, "group", group,
                                 "resource", resource, "subresource", subresource, "name", name);
        const json_t *allowed;
        KubeAnswer answer;
        int r = -EIO;

        if (!body) {
                snprintf(ret_why, why_size, "out of memory");
                return -EIO;
        }
        doctor_api_ask(a, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, &answer);
        snprintf(ret_why, why_size, "%s", answer.why);
        allowed = json_object_get(json_object_get(answer.body, "status"), "allowed");
        if (answer.error == KUBE_OK && json_is_boolean(allowed))
                r = json_is_true(allowed);
        json_decref(answer.body);
        return r;
}
