/* SPDX-License-Identifier: Apache-2.0
 *
 * What an eviction would meet is asked before one is needed: once after the start it is tried without effect (dryRun).
 * Two disruption budgets, an admission policy or a webhook refuse for good; then the plan does without, and an Event
 * says so while somebody can still change it. One budget that is used up is no such reason: it is not asked about a
 * pod that is ready later, but about one that has left its Services, or whose replacement is there.
 */
#include "kube/kube-internal.h"

#include <stdio.h>

#define SETTLE_USEC (10 * USEC_PER_SEC)    /* a pod that is Pending is let go without a look at its budgets */
#define AGAIN_USEC  (10 * USEC_PER_MINUTE) /* when there was no answer to speak of */
#define FRESH_USEC  (20 * USEC_PER_SEC)

static void on_tried(void *userdata, const KubeAnswer *a) {
        Kube *k = userdata;
        Foresight *f = &k->foresight;
        bool was_refused = f->refused, budget = a->error == KUBE_E_BUDGET;
        uint64_t now = now_boot_usec();
        char note[KUBE_NOTE_MAX];

        f->call = NULL;
        if (a->error != KUBE_OK && !budget && !kube_error_is_for_good(a->error)) {
                f->next_usec = now + AGAIN_USEC;
                look_note(k, a);
        } else {
                f->refused = kube_error_is_for_good(a->error);
                snprintf(f->why, sizeof(f->why), "%.159s", a->error == KUBE_OK ? "" : a->why);
        }
        if (f->refused && !was_refused) {
                snprintf(note, sizeof(note), "rotation: an eviction of this pod would be refused: %s", f->why);
                kube_tell(k, KUBE_NEWS_ROTATION, true, note);
        }
        kube_changed(k);
        rotate_step(k, NULL, now);
}

static void try_it(Kube *k, uint64_t now) {
        Foresight *f = &k->foresight;

        f->next_usec = USEC_INFINITY;
        f->asked_usec = now;
        if (kube_pod_evict(k->client, k->config.pod, k->config.uid, -1, true, on_tried, k, &f->call) < 0)
                f->call = NULL;
}

/* Whose pods come back, and who may evict them at all. */
static bool applies(const Kube *k) {
        return k->client && k->pod_known && !k->pod_gone && !k->pod.deleting && !k->pod.one_shot && k->pod.has_owner &&
               k->access_next == _ACCESS_MAX && k->access[ACCESS_EVICT].known && k->access[ACCESS_EVICT].allowed &&
               k->machine.state == KUBE_STATE_NORMAL;
}

void foresee_mind(Kube *k, uint64_t now) {
        Foresight *f = &k->foresight;

        if (f->call || !k->need.pid || !applies(k))
                return;
        if (!f->next_usec)
                f->next_usec = now + SETTLE_USEC;
        if (now >= f->next_usec)
                try_it(k, now);
}

void foresee_again(Kube *k, uint64_t now) {
        if (k->foresight.refused && !k->foresight.call && now >= k->foresight.asked_usec + FRESH_USEC)
                try_it(k, now);
}

void foresee_done(Kube *k) {
        if (k->foresight.call)
                k->foresight.call = kube_call_cancel(k->foresight.call);
}
