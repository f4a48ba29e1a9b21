/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/reap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/scalars.h"
#include "util/clock.h"
#include "util/random.h"

#define SELECTOR      "plateau.dev/rotation=detached"
#define DETACHED      "detached"
#define SKEW_USEC     USEC_PER_MINUTE
#define INTERVAL_USEC USEC_PER_HOUR
#define REFUSED_TIMES 6u            /* so much rarer after a refusal: 3 to 9 hours */
#define ACCURACY_USEC USEC_PER_MINUTE /* so that the wake-up falls together with another */

typedef struct Due {
        uint64_t deadline_real_usec;
        char name[KUBE_NAME_MAX], uid[KUBE_UID_MAX];
} Due;

struct KubeReap {
        KubeClient *client;
        sd_event_source *timer;
        KubeCall *call;
        char own_name[KUBE_NAME_MAX], own_uid[KUBE_UID_MAX];
        uint64_t now_real_usec; /* of this look */
        bool refused;
        char why[KUBE_NAME_MAX + 300]; /* a pod, and the client's sentence */
        uint64_t looks, removed, failed;
        unsigned n, at; /* of due[]; the one that is asked for */
        Due due[KUBE_REAP_MAX];
};

/* ---- which, and when ---- */

bool kube_reap_is_due(const KubePod *pod, const char *own_uid, const char *own_name, uint64_t now_real_usec,
                      uint64_t *ret_deadline_real_usec) {
        uint64_t deadline;

        if (strcmp(pod->rotation, DETACHED) != 0 || pod->deleting || pod->has_owner || pod->mirror ||
            strcmp(pod->uid, own_uid) == 0 || strcmp(pod->name, own_name) == 0)
                return false;
        if (kube_time_parse(pod->deadline, &deadline) < 0 || now_real_usec < SKEW_USEC ||
            deadline >= now_real_usec - SKEW_USEC)
                return false;
        *ret_deadline_real_usec = deadline;
        return true;
}

uint64_t kube_reap_wait_usec(bool first, bool refused, uint64_t draw) {
        uint64_t part = (uint64_t)(((unsigned __int128)draw * INTERVAL_USEC) >> 64);

        if (first)
                return part;
        return refused ? (INTERVAL_USEC / 2 + part) * REFUSED_TIMES : INTERVAL_USEC + part;
}

/* ---- one look ---- */

static void arm(KubeReap *r) {
        if (sd_event_source_set_time_relative(r->timer, kube_reap_wait_usec(false, r->refused, random_u64())) >= 0)
                (void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* Keeps those that are over for longest, in this order. */
static void on_pod(void *userdata, const KubePod *pod) {
        KubeReap *r = userdata;
        uint64_t deadline;
        unsigned i;

        if (!kube_reap_is_due(pod, r->own_uid, r->own_name, r->now_real_usec, &deadline))
                return;
        for (i = 0; i < r->n && r->due[i].deadline_real_usec <= deadline; i++)
                ;
        if (i == KUBE_REAP_MAX)
                return;
        r->n = min_of(r->n + 1, (unsigned)KUBE_REAP_MAX);
        memmove(&r->due[i + 1], &r->due[i], (r->n - i - 1) * sizeof(r->due[0]));
        r->due[i].deadline_real_usec = deadline;
        memcpy(r->due[i].name, pod->name, sizeof(r->due[i].name));
        memcpy(r->due[i].uid, pod->uid, sizeof(r->due[i].uid));
}

static void on_removed(void *userdata, const KubeAnswer *a);

/* One after another: there is no hurry, and a refusal of the first tells of the others. */
static void remove_next(KubeReap *r) {
        for (; r->at < r->n; r->at++) {
                const Due *due = &r->due[r->at];
                int e = kube_pod_delete(r->client, due->name, due->uid, -1, on_removed, r, &r->call);

                if (e == 0)
                        return;
                r->failed++;
                snprintf(r->why, sizeof(r->why), "pod %s: %s", due->name, strerror(-e));
        }
        arm(r);
}

static void on_removed(void *userdata, const KubeAnswer *a) {
        KubeReap *r = userdata;
        const Due *due = &r->due[r->at];

        r->call = NULL;
        if (a->error == KUBE_OK)
                r->removed++;
        else if (a->error != KUBE_E_NOT_FOUND && a->error != KUBE_E_CONFLICT) { /* somebody else was faster */
                r->failed++;
                snprintf(r->why, sizeof(r->why), "pod %s cannot be removed: %s", due->name, a->why);
        }
        if (a->error == KUBE_E_FORBIDDEN) {
                r->refused = true;
                arm(r);
                return;
        }
        r->at++;
        remove_next(r);
}

static void on_listed(void *userdata, const KubeAnswer *a) {
        KubeReap *r = userdata;

        r->call = NULL;
        r->at = 0;
        if (a->error == KUBE_OK) {
                r->why[0] = '\0';
                remove_next(r);
                return;
        }
        snprintf(r->why, sizeof(r->why), "pods cannot be listed: %s", a->why);
        r->refused = a->error == KUBE_E_FORBIDDEN;
        arm(r);
}

void kube_reap_look(KubeReap *r) {
        int e;

        if (r->call)
                return;
        r->looks++;
        r->n = r->at = 0;
        r->refused = false;
        r->now_real_usec = now_real_usec();
        (void)sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        e = kube_pods_list(r->client, SELECTOR, on_pod, on_listed, r, &r->call);
        if (e < 0) {
                snprintf(r->why, sizeof(r->why), "pods cannot be listed: %s", strerror(-e));
                arm(r);
        }
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        kube_reap_look(userdata);
        return 0;
}

/* ---- life ---- */

int kube_reap_new(sd_event *event, KubeClient *client, const KubeConfig *config, KubeReap **ret) {
        KubeReap *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        r->client = client;
        snprintf(r->own_name, sizeof(r->own_name), "%s", config->pod);
        snprintf(r->own_uid, sizeof(r->own_uid), "%s", config->uid);
        e = sd_event_add_time_relative(event, &r->timer, CLOCK_BOOTTIME, kube_reap_wait_usec(true, false, random_u64()),
                                       ACCURACY_USEC, on_timer, r);
        if (e < 0) {
                free(r);
                return e;
        }
        (void)sd_event_source_set_description(r->timer, "reap-timer");
        *ret = r;
        return 0;
}

KubeReap *kube_reap_free(KubeReap *r) {
        if (!r)
                return NULL;
        kube_call_cancel(r->call);
        sd_event_source_disable_unref(r->timer);
        free(r);
        return NULL;
}

void kube_reap_view(const KubeReap *r, KubeReapView *ret) {
        *ret = (KubeReapView){.busy = r->call,
                              .refused = r->refused,
                              .why = r->why,
                              .looks = r->looks,
                              .removed = r->removed,
                              .failed = r->failed};
}
