/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube-internal.h"

#include <stdlib.h>
#include <string.h>

#define PEERS_MAX      8192u /* 16 bytes each; of more nothing is told, and the replacement's time runs out */
#define PATIENCE_USEC  (10 * USEC_PER_SEC)
#define FNV_BASIS      0xcbf29ce484222325u
#define FNV_PRIME      0x100000001b3u

/* Of an uid, which is random by itself. */
static uint64_t id_of(const char *uid) {
        uint64_t h = FNV_BASIS;

        for (; *uid; uid++)
                h = (h ^ (unsigned char)*uid) * FNV_PRIME;
        return h;
}

static bool is_self(const Kube *k, const char *uid) {
        return strcmp(uid, k->config.uid) == 0;
}

/* ---- a set of flags by id ---- */

static FollowSeen *find(FollowSet *s, uint64_t id) {
        for (unsigned i = 0; i < s->n; i++)
                if (s->seen[i].id == id)
                        return &s->seen[i];
        return NULL;
}

static void put(FollowSet *s, FollowSeen seen) {
        FollowSeen *at = find(s, seen.id);

        if (!at && s->n == s->allocated) {
                unsigned more = s->allocated ? 2 * s->allocated : 8;
                FollowSeen *grown = more <= PEERS_MAX ? realloc(s->seen, more * sizeof(*grown)) : NULL;

                if (!grown) {
                        s->overflow = true;
                        return;
                }
                s->seen = grown;
                s->allocated = more;
        }
        if (!at)
                at = &s->seen[s->n++];
        *at = seen;
}

static void take_out(FollowSet *s, uint64_t id) {
        FollowSeen *at = find(s, id);

        if (at)
                *at = s->seen[--s->n];
}

static void end(FollowSet *s) {
        s->watch = kube_watch_free(s->watch);
        free(s->seen);
        *s = (FollowSet){0};
}

/* Return: whether @event is about an object. The others are dealt with here. */
static bool is_about_object(FollowSet *s, KubeWatchEvent event) {
        switch (event) {
        case KUBE_WATCH_RESET:
                s->n = 0;
                s->known = s->overflow = false;
                return false;
        case KUBE_WATCH_SYNCED:
                s->known = true;
                return false;
        case KUBE_WATCH_LOST: /* what is true by now is another matter: it is listed anew */
                s->known = false;
                return false;
        default:
                return true;
        }
}

/* ---- the pods of our ReplicaSet, by its label ---- */

static bool is_stuck(const KubePod *pod) {
        static const char *const hopeless[] = {"ImagePullBackOff",           "ErrImagePull",
                                               "InvalidImageName",           "CrashLoopBackOff",
                                               "CreateContainerConfigError", "CreateContainerError"};

        for (size_t i = 0; i < ELEMENTSOF(hopeless); i++)
                if (strcmp(pod->waiting_reason, hopeless[i]) == 0)
                        return true;
        return false;
}

static void count_peers(Kube *k) {
        const FollowSet *s = &k->peer_set;

        k->peers = (Peers){.known = s->known && !s->overflow};
        for (unsigned i = 0; i < s->n; i++) {
                k->peers.ready += s->seen[i].ready;
                k->peers.unready += !s->seen[i].ready;
                k->peers.stuck |= s->seen[i].stuck;
        }
}

/* Events come in the order in which things happened: what the others were when our label went is known exactly. */
static void on_self(Kube *k, KubeWatchEvent event) {
        if (event == KUBE_WATCH_DELETED && k->peers.known && k->selected)
                k->ready_before = k->peers.ready;
        k->selected = event != KUBE_WATCH_DELETED;
}

static void on_peer(Kube *k, KubeWatchEvent event, const json_t *object) {
        KubePodLens lens = kube_pod_lens(k->client);
        KubePod pod;

        if (kube_pod_decode(object, &lens, &pod) < 0)
                return;
        if (is_self(k, pod.uid))
                on_self(k, event);
        else if (event == KUBE_WATCH_DELETED || pod.deleting)
                take_out(&k->peer_set, id_of(pod.uid));
        else
                put(&k->peer_set,
                    (FollowSeen){.id = id_of(pod.uid), .ready = pod.ready, .stuck = !pod.ready && is_stuck(&pod)});
}

static void on_peers(void *userdata, KubeWatchEvent event, const json_t *object, const KubeAnswer *why) {
        Kube *k = userdata;

        if (is_about_object(&k->peer_set, event))
                on_peer(k, event, object);
        else if (event == KUBE_WATCH_RESET)
                k->selected = false; /* the list says */
        if (why)
                look_note(k, why);
        count_peers(k);
        if (k->peers.known || event == KUBE_WATCH_LOST)
                rotate_step(k, NULL, now_boot_usec()); /* may end this watch */
}

/* While it matters: from the moment in which the slot is ours until the replacement is there. */
static bool wants_peers(const Kube *k) {
        KubeState s = k->machine.state;

        if (!k->client || k->pod_gone || !look_template_hash(k)[0] ||
            (k->access[ACCESS_LIST].known && !k->access[ACCESS_LIST].allowed))
                return false;
        return s == KUBE_STATE_SURGING || s == KUBE_STATE_WAIT_READY ||
               (s == KUBE_STATE_LEASE_WAIT && k->plan.strategy == KUBE_STRATEGY_DETACH && rotate_has_slot(k));
}

/* ---- the EndpointSlices that name us ---- */

static void count_slices(Kube *k, uint64_t now) {
        const FollowSet *s = &k->slice_set;
        bool ready = false;

        k->endpoint_known = s->known && !s->overflow;
        for (unsigned i = 0; i < s->n; i++)
                ready |= s->seen[i].ready;
        if (!k->endpoint_known)
                return;
        if (ready)
                k->endpoint_off_usec = 0;
        else if (!k->endpoint_off_usec)
                k->endpoint_off_usec = now;
}

static void on_slice(Kube *k, KubeWatchEvent event, const json_t *object) {
        const char *uid = kube_field_str(object, "metadata uid");
        KubeEndpoint e = {0};

        if (event != KUBE_WATCH_DELETED)
                kube_endpoint_add(&e, object, k->config.uid);
        if (e.present)
                put(&k->slice_set, (FollowSeen){.id = id_of(uid), .ready = e.ready});
        else
                take_out(&k->slice_set, id_of(uid));
}

static void on_slices(void *userdata, KubeWatchEvent event, const json_t *object, const KubeAnswer *why) {
        Kube *k = userdata;
        uint64_t now = now_boot_usec();

        if (is_about_object(&k->slice_set, event))
                on_slice(k, event, object);
        if (why)
                look_note(k, why);
        count_slices(k, now);
        if (k->endpoint_known || event == KUBE_WATCH_LOST)
                rotate_step(k, NULL, now);
}

static bool wants_slices(const Kube *k) {
        return k->client && !k->pod_gone && k->config.uid[0] && k->machine.state == KUBE_STATE_UNREADY &&
               (!k->access[ACCESS_ENDPOINTS].known || k->access[ACCESS_ENDPOINTS].allowed);
}

/* ---- when ---- */

static void begin(Kube *k, FollowSet *s, const KubeWatchSpec *spec, KubeWatchFn fn, uint64_t now) {
        if (s->begun_usec) /* also when it could not begin: then it does without */
                return;
        s->begun_usec = now;
        if (kube_watch_new(k->event, k->client, spec, fn, k, &s->watch) < 0)
                s->watch = NULL;
}

void follow_mind(Kube *k, uint64_t now) {
        char selector[128];

        if (wants_peers(k)) {
                snprintf(selector, sizeof(selector), "pod-template-hash=%s", look_template_hash(k));
                begin(k, &k->peer_set, &(KubeWatchSpec){KUBE_WATCH_PODS, selector, NULL}, on_peers, now);
        } else if (k->peer_set.begun_usec) {
                end(&k->peer_set);
                k->peers = (Peers){0};
                k->selected = false;
        }
        if (wants_slices(k))
                begin(k, &k->slice_set, &(KubeWatchSpec){KUBE_WATCH_ENDPOINTSLICES, NULL, NULL}, on_slices, now);
        else if (k->slice_set.begun_usec)
                end(&k->slice_set);
}

bool follow_is_settled(const Kube *k, uint64_t now) {
        const FollowSet *s = &k->peer_set;

        if (k->peers.known || !wants_peers(k))
                return true;
        return s->begun_usec && (!s->watch || kube_watch_is_over(s->watch) || now >= s->begun_usec + PATIENCE_USEC);
}

void follow_done(Kube *k) {
        end(&k->peer_set);
        end(&k->slice_set);
}
