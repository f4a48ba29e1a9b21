/* SPDX-License-Identifier: Apache-2.0
 *
 * The pod as it shows from inside: the Downward API's variables and the mounted token. What only the API server knows
 * is asked of it, and only read.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"

#define TOKEN_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static const struct {
        const char *name, *field;
        bool needed; /* by whatever asks the API */
} variables[] = {
        {"PLATEAU_POD_NAME", "metadata.name", true},
        {"PLATEAU_POD_UID", "metadata.uid", true},
        {"PLATEAU_NAMESPACE", "metadata.namespace", true},
        {"PLATEAU_NODE", "spec.nodeName", false},
};

static bool wants_api(const Doctor *d) {
        return d->settings && d->settings->kube.enabled;
}

static void find_variables(Doctor *d) {
        _cleanup_buf_ Buf names = BUF_NULL, lines = BUF_NULL;
        DoctorMark mark = DOCTOR_HALF;

        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                const char *value = getenv(variables[i].name);

                if (value && *value)
                        continue;
                if (variables[i].needed && wants_api(d))
                        mark = DOCTOR_BAD;
                buf_addf(&names, "%s%s", names.len ? ", " : "", variables[i].name);
                buf_addf(&lines, "%s%s: %s", lines.len ? ", " : "", variables[i].name, variables[i].field);
        }
        if (names.len == 0)
                return;
        doctor_find(d, "pod", "environment", mark, "not set: %s", buf_str(&names));
        doctor_change(d, "in the sidecar's env, by fieldRef: %s", buf_str(&lines));
}

static bool find_token(Doctor *d) {
        const char *dir = getenv("PLATEAU_SERVICEACCOUNT_DIR");
        char path[512];

        snprintf(path, sizeof(path), "%.480s/token", dir && *dir ? dir : TOKEN_DIR);
        if (access(path, R_OK) == 0)
                return true;
        doctor_find(d, "pod", "token", wants_api(d) ? DOCTOR_BAD : DOCTOR_NONE,
                    "no token (%s): in place and by signal only", strerror(errno));
        doctor_change(d, "serviceAccountName: plateau, and in the sidecar a projected serviceAccountToken (3607 s), "
                         "kube-root-ca.crt and namespace at " TOKEN_DIR);
        return false;
}

void doctor_pod(Doctor *d) {
        const char *pod = getenv("PLATEAU_POD_NAME"), *namespace = getenv("PLATEAU_NAMESPACE");
        bool named = pod && *pod && namespace && *namespace, token;

        if (!d->in_pod) {
                if (wants_api(d)) {
                        doctor_find(d, "pod", "cluster", DOCTOR_BAD,
                                    "not in a pod: KUBERNETES_SERVICE_HOST is not set");
                        doctor_change(d, "policy: {rotate: {method: signal}} outside of Kubernetes");
                }
                return;
        }
        find_variables(d);
        token = find_token(d);
        if (named)
                doctor_find(d, "pod", "identity", DOCTOR_GOOD, "%.100s/%.120s%s", namespace, pod,
                            token ? ", with a token" : "");
        if (token && named)
                doctor_kube(d);
}
