/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube-internal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kube/scalars.h"

#define SPECIFIED_DELETE "apps.kruise.io/specified-delete"

static KubeReply reply_of(const KubeAnswer *a) {
        switch (a->error) {
        case KUBE_OK:
                return KUBE_REPLY_OK;
        case KUBE_E_BUDGET:
                return KUBE_REPLY_BUDGET;
        case KUBE_E_CONFLICT:
        case KUBE_E_GONE:
        case KUBE_E_NOT_FOUND:
                return KUBE_REPLY_STALE;
        default:
                return kube_error_is_for_good(a->error) ? KUBE_REPLY_REFUSED : KUBE_REPLY_LOST;
        }
}

/* What was asked is believed when it is seen in the pod: an answer may be lost, or be older than what it is about. */
static void on_answer(void *userdata, const KubeAnswer *a) {
        Kube *k = userdata;
        uint64_t now = now_boot_usec();

        k->command_call = NULL;
        look_note(k, a);
        k->pod_in_doubt = true;
        k->reply_next = reply_of(a);
        look_pod_now(k, now);
        kube_changed(k);
}

static void on_patched(void *userdata, const KubeAnswer *a, const KubePod *pod) {
        Kube *k = userdata;
        uint64_t now = now_boot_usec();

        if (!pod) {
                on_answer(k, a);
                return;
        }
        k->command_call = NULL;
        if (k->looks[LOOK_POD].call) /* it may have been answered before the patch was */
                k->looks[LOOK_POD].call = kube_call_cancel(k->looks[LOOK_POD].call);
        look_note(k, a);
        look_take_pod(k, pod, now);
        k->reply = KUBE_REPLY_OK;
        rotate_step(k, NULL, now);
}

/* An uid in a patch is a precondition: of another pod of our name it is a conflict. */
static json_t *patch_metadata(const Kube *k, json_t *labels, json_t *annotations) {
        return json_pack("{s:{s:s,s:o,s:o}}", "metadata", "uid", k->config.uid, "labels", labels, "annotations",
                         annotations);
}

static json_t *state_annotation(const Kube *k) {
        _cleanup_buf_ Buf b = BUF_NULL;
        KubeSaved s;

        rotate_saved(k, &s);
        kube_saved_write(&b, &s);
        return b.failed ? json_null() : json_string(buf_str(&b));
}

/* The ReplicaSet lets go of a pod without this label and makes another one; Services do not select by it. The
 * Deployment stays an owner that does not control, so that the pod goes when it is deleted. */
static json_t *detach_patch(const Kube *k, uint64_t now) {
        char deadline[KUBE_TIME_MAX];
        uint64_t left = k->machine.deadline_usec - min_of(k->machine.deadline_usec, now);
        json_t *annotations = json_pack("{s:s,s:o}", "plateau.dev/deadline",
                                        kube_time_format(deadline, now_real_usec() + left, false), "plateau.dev/state",
                                        state_annotation(k));
        json_t *p = patch_metadata(k, json_pack("{s:n,s:s}", "pod-template-hash", "plateau.dev/rotation", "detached"),
                                   annotations);

        if (p && k->deployment_known)
                json_object_set_new(json_object_get(p, "metadata"), "ownerReferences",
                                    json_pack("[{s:s,s:s,s:s,s:s}]", "apiVersion", "apps/v1", "kind", "Deployment",
                                              "name", k->deployment.name, "uid", k->deployment.uid));
        return p;
}

static json_t *restore_patch(const Kube *k) {
        json_t *p = patch_metadata(k, json_pack("{s:s,s:n}", "pod-template-hash", k->hash, "plateau.dev/rotation"),
                                   json_pack("{s:n,s:n}", "plateau.dev/deadline", "plateau.dev/state"));

        if (p && k->deployment_known)
                json_object_set_new(json_object_get(p, "metadata"), "ownerReferences",
                                    json_pack("[{s:s,s:s}]", "$patch", "delete", "uid", k->deployment.uid));
        return p;
}

static int give_patch(Kube *k, json_t *patch) {
        int r = patch ? kube_pod_patch(k->client, k->config.pod, KUBE_PATCH_STRATEGIC, patch, on_patched, k,
                                       &k->command_call)
                      : -ENOMEM;

        json_decref(patch);
        return r;
}

static int give_detach(Kube *k, uint64_t now) {
        if (k->pod.template_hash[0]) {
                snprintf(k->hash, sizeof(k->hash), "%s", k->pod.template_hash);
                snprintf(k->owner, sizeof(k->owner), "%s", k->set.name);
                rotate_write_down(k); /* what is to be restored, before it goes */
        }
        k->detached_usec = now;
        k->replacement_ready_usec = 0;
        return give_patch(k, detach_patch(k, now));
}

static int give_restore(Kube *k, uint64_t now _unused_) {
        return k->hash[0] ? give_patch(k, restore_patch(k)) : -ENOENT;
}

static int give_hint(Kube *k, uint64_t now _unused_) {
        return give_patch(k, patch_metadata(k, json_pack("{s:s}", SPECIFIED_DELETE, "true"), json_object()));
}

static int give_evict(Kube *k, uint64_t now _unused_) {
        return kube_pod_evict(k->client, k->config.pod, k->config.uid, -1, false, on_answer, k, &k->command_call);
}

static int give_delete(Kube *k, uint64_t now _unused_) {
        return kube_pod_delete(k->client, k->config.pod, k->config.uid, -1, on_answer, k, &k->command_call);
}

static int give_resize(Kube *k, uint64_t now _unused_) {
        uint64_t limit, request;
        char why[160];
        int r = kube_headroom(&k->pod, &k->options, k->limit_first_bytes, &limit, &request, why, sizeof(why));
        json_t *p = r == 0 ? kube_headroom_patch(&k->pod, limit, request) : NULL;

        if (r == 0)
                r = p ? kube_pod_resize(k->client, k->config.pod, p, on_patched, k, &k->command_call) : -ENOMEM;
        json_decref(p);
        return r;
}

/* By its pidfd, which is no other process' (Linux 5.3); below, by the number that was checked a tick ago. */
static int give_signal(Kube *k, uint64_t now _unused_) {
        long r = k->main_fd >= 0 ? syscall(SYS_pidfd_send_signal, k->main_fd, SIGTERM, NULL, 0)
                                 : kill(k->need.pid, SIGTERM);

        k->reply = r == 0 || errno == ESRCH ? KUBE_REPLY_OK : KUBE_REPLY_REFUSED;
        return 0;
}

typedef int (*GiveFn)(Kube *k, uint64_t now);

static const GiveFn give[_KUBE_COMMAND_MAX] = {
        [KUBE_COMMAND_DETACH] = give_detach, [KUBE_COMMAND_RESTORE] = give_restore, [KUBE_COMMAND_EVICT] = give_evict,
        [KUBE_COMMAND_DELETE] = give_delete, [KUBE_COMMAND_HINT] = give_hint,       [KUBE_COMMAND_RESIZE] = give_resize,
        [KUBE_COMMAND_SIGNAL] = give_signal,
};

void command_give(Kube *k, KubeCommand c, uint64_t now) {
        int r;

        if (k->command_call)
                k->command_call = kube_call_cancel(k->command_call);
        k->reply_next = KUBE_REPLY_NONE;
        k->reply = KUBE_REPLY_PENDING;
        r = !give[c] || (c != KUBE_COMMAND_SIGNAL && !k->client) ? -ENOSYS : give[c](k, now);
        if (r < 0)
                k->reply = r == -ENOMEM ? KUBE_REPLY_LOST : KUBE_REPLY_REFUSED;
}

/* ---- the state beside the command: also in the annotation, for who looks at the pod and for a sidecar without its
 * emptyDir ---- */

static void on_noted(void *userdata, const KubeAnswer *a, const KubePod *pod _unused_) {
        Kube *k = userdata;

        k->note_call = NULL;
        look_note(k, a);
}

void command_annotate(Kube *k) {
        json_t *p;

        if (!k->client || !k->pod_known || k->note_call || k->pod_gone || !k->access[ACCESS_PATCH].allowed)
                return;
        p = patch_metadata(k, json_object(),
                           json_pack("{s:o}", "plateau.dev/state",
                                     k->machine.state == KUBE_STATE_NORMAL ? json_null() : state_annotation(k)));
        if (p && kube_pod_patch(k->client, k->config.pod, KUBE_PATCH_MERGE, p, on_noted, k, &k->note_call) < 0)
                k->note_call = NULL;
        json_decref(p);
}
