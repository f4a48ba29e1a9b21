/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "kube/answer.h"
#include "kube/objects.h"
#include "kube/scalars.h"

static void scalars(const char *text) {
        uint64_t bytes, usec, again;
        char buf[KUBE_TIME_MAX];

        (void)!kube_quantity_parse(text, &bytes);
        if (kube_time_parse(text, &usec) == 0 && kube_time_format(buf, usec, true)[0])
                FUZZ_CHECK(kube_time_parse(buf, &again) == 0 && again == usec);
}

static void strings_in(const json_t *v, unsigned depth) {
        const char *key;
        json_t *member;
        size_t i;

        if (json_is_string(v))
                scalars(json_string_value(v));
        if (depth > 20)
                return;
        json_array_foreach(v, i, member) strings_in(member, depth + 1);
        json_object_foreach((json_t *)v, key, member) strings_in(member, depth + 1);
}

/* The first byte is the kind of answer, the rest its body, which is taken for each kind of object. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const long statuses[] = {200, 201, 403, 409, 422, 429, 500};
        static const KubePodLens lens = {.main = "main", .alive_port = 9464, .gate = "g"};
        KubeEndpoint endpoint = {0};
        KubeReplicaSet set;
        KubeDeployment deployment;
        KubeAnswer a;
        KubePod pod;

        if (size == 0)
                return 0;
        kube_answer_judge(statuses[data[0] % ELEMENTSOF(statuses)], (const char *)data + 1, size - 1, 0, &a);
        FUZZ_CHECK((a.error == KUBE_OK) == (a.why[0] == '\0') && strlen(a.why) < sizeof(a.why));
        if (kube_pod_decode(a.body, &lens, &pod) == 0)
                FUZZ_CHECK(pod.name[0] && pod.uid[0] && (!pod.gate_true || pod.has_pod_gate) &&
                           (pod.ready || pod.ready_since_real_usec == 0));
        (void)!kube_replicaset_decode(a.body, &set);
        (void)!kube_deployment_decode(a.body, &deployment);
        kube_endpoint_add(&endpoint, a.body, "u");
        FUZZ_CHECK(endpoint.present || !endpoint.ready);
        FUZZ_CHECK(kube_access_decode(a.body).known || !kube_access_decode(a.body).allowed);
        strings_in(a.body, 0);
        json_decref(a.body);
        return 0;
}
