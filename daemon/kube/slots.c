/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/slots.h"

#include <errno.h>
#include <string.h>

#include "kube/fields.h"
#include "kube/slot-lease.h"
#include "util/clock.h"
#include "util/random.h"

#define LEASES         "/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s-%u"
#define MERGE_PATCH    "application/merge-patch+json"
#define TIMEOUT_LEAST  USEC_PER_SEC
#define TIMEOUT_MOST   (5 * USEC_PER_SEC) /* several attempts fit between a renewal and the end of belief */
#define RELEASE_USEC   (2 * USEC_PER_SEC) /* at the end of the daemon */
#define POD_BYTES      ((size_t)1 << 20)
#define TIMER_ACCURACY (100 * USEC_PER_MSEC)

struct KubeSlots {
        sd_event *event;
        KubeClient *client;
        KubeSlotsHost host;
        KubeRequest *request;
        sd_event_source *timer;
        SlotMind mind;
        SlotSeen *seen;
        SlotMove move; /* of the request */
        bool move_notes;
        uint64_t sent_usec, since_usec, waited_usec;
        SlotNote note, tell; /* the newest that was read; what is to be written, count 0 = nothing */
        KubeSlotFact told;   /* to the host */
        char namespace_[64], prefix[254];
        char why[256]; /* of the last answer that was an error */
};

static void drive(KubeSlots *s);

static void path_of(const KubeSlots *s, unsigned index, char buf[static 512]) {
        snprintf(buf, 512, LEASES "%s", s->namespace_, s->prefix, index, "");
}

/* ---- answers ---- */

static SlotReply sort(const KubeAnswer *a) {
        switch (a->error) {
        case KUBE_OK:
                return SLOT_REPLY_OK;
        case KUBE_E_NOT_FOUND:
                return SLOT_REPLY_GONE;
        case KUBE_E_CONFLICT:
                return SLOT_REPLY_CONFLICT;
        case KUBE_E_FORBIDDEN:
        case KUBE_E_INVALID: /* also what an admission policy denies */
                return SLOT_REPLY_DENIED;
        default:
                return SLOT_REPLY_UNKNOWN;
        }
}

static SlotReply sort_pod(const KubeSlots *s, const KubeAnswer *a) {
        char pod[254], uid[64];
        const char *phase = kube_field_str(a->body, "status phase");
        const char *found = kube_field_str(a->body, "metadata uid");

        if (a->error != KUBE_OK)
                return sort(a);
        if (!found[0] || !slot_holder_split(s->seen[s->move.index].lease.holder, pod, uid))
                return SLOT_REPLY_UNKNOWN;
        return strcmp(found, uid) != 0 || strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0
                       ? SLOT_REPLY_GONE
                       : SLOT_REPLY_OK;
}

/* Return: whether the host would want to know. */
static bool learn_from(KubeSlots *s, const SlotNote *note) {
        if (note->count <= s->note.count)
                return false;
        s->note = *note;
        if (s->tell.count && s->tell.count <= note->count)
                s->tell.count = note->count + 1;
        return true;
}

static void tell_host(KubeSlots *s, bool learned) {
        KubeSlotFact fact = kube_slots_fact(s);

        if (fact == KUBE_SLOT_HELD && s->told != fact)
                s->waited_usec = now_boot_usec() - s->since_usec;
        if (fact == s->told && !learned)
                return;
        s->told = fact;
        s->host.changed(s->host.userdata); /* may free @s: the last thing done here */
}

static void answered(void *userdata, const KubeAnswer *a) {
        KubeSlots *s = userdata;
        SlotLease lease;
        SlotNote note = {0};
        SlotNews news = {.move = s->move,
                         .reply = s->move.what == SLOT_DO_CHECK ? sort_pod(s, a) : sort(a),
                         .notes = s->move_notes,
                         .sent_usec = s->sent_usec,
                         .retry_after_usec = a->retry_after_usec,
                         .jitter = (double)random_below(1000) / 1000};
        bool learned = false;

        s->request = NULL;
        if (a->error != KUBE_OK)
                memcpy(s->why, a->why, sizeof(s->why));
        if (news.reply == SLOT_REPLY_OK && s->move.what != SLOT_DO_CHECK) {
                if (slot_lease_decode(a->body, &lease, &note) < 0)
                        news.reply = SLOT_REPLY_UNKNOWN;
                else
                        news.lease = &lease;
                learned = learn_from(s, &note);
                if (s->move_notes && s->tell.count && note.count == s->tell.count)
                        s->tell.count = 0;
        }
        slot_reply(&s->mind, &news, now_boot_usec());
        drive(s);
        tell_host(s, learned);
}

/* ---- requests ---- */

static int ask(KubeSlots *s, const KubeSpec *spec) {
        KubeSpec own = *spec;
        uint64_t timeout = s->mind.ttl_usec / 12;

        own.timeout_usec = timeout < TIMEOUT_LEAST ? TIMEOUT_LEAST : min_of(timeout, (uint64_t)TIMEOUT_MOST);
        own.deadline_usec = s->sent_usec + 2 * own.timeout_usec; /* with the wait for the client's own limit */
        return kube_request(s->client, &own, answered, s, &s->request);
}

static int ask_pod(KubeSlots *s) {
        char pod[254], uid[64], path[512];

        if (!slot_holder_split(s->seen[s->move.index].lease.holder, pod, uid))
                return -ENOENT; /* not one of us: only time tells */
        snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", s->namespace_, pod);
        return ask(s, &(KubeSpec){.method = "GET", .path = path, .body_max = POD_BYTES});
}

static json_t *patch_for(KubeSlots *s, const SlotMove *move, bool *ret_notes) {
        const SlotMind *m = &s->mind;
        uint64_t now = now_boot_usec();
        bool keeps = move->what == SLOT_DO_RENEW || move->what == SLOT_DO_RELEASE;
        SlotWrite w = {.what = move->what,
                       .base = &s->seen[move->index].lease,
                       .me = m->me,
                       .ttl_usec = m->ttl_usec,
                       .left_usec = m->limit_usec == USEC_INFINITY ? USEC_INFINITY
                                    : m->limit_usec > now          ? m->limit_usec - now
                                                                   : 0,
                       .now_real_usec = now_real_usec(),
                       .beat = random_u64(),
                       .note = keeps && s->tell.count ? &s->tell : NULL,
                       .no_notes = m->no_notes};

        return slot_lease_patch(&w, ret_notes);
}

static int ask_lease(KubeSlots *s) {
        char path[512];
        json_t *patch;
        int r;

        path_of(s, s->move.index, path);
        if (s->move.what == SLOT_DO_READ)
                return ask(s, &(KubeSpec){.method = "GET", .path = path});
        patch = patch_for(s, &s->move, &s->move_notes);
        if (!patch)
                return -ENOMEM;
        r = ask(s, &(KubeSpec){.method = "PATCH", .path = path, .content_type = MERGE_PATCH, .body = patch});
        json_decref(patch);
        return r;
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        KubeSlots *s = userdata;

        drive(s);
        tell_host(s, false);
        return 0;
}

static void arm(KubeSlots *s, uint64_t at) {
        if (at == USEC_INFINITY) {
                (void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
                return;
        }
        (void)sd_event_source_set_time(s->timer, at);
        (void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* What could not even be asked is as an answer that did not come. */
static void unasked(KubeSlots *s, int error) {
        SlotNews news = {.move = s->move, .reply = SLOT_REPLY_UNKNOWN, .sent_usec = s->sent_usec, .jitter = 1};

        if (s->move.what != SLOT_DO_CHECK)
                snprintf(s->why, sizeof(s->why), "not asked: %s", strerror(-error));
        slot_reply(&s->mind, &news, s->sent_usec);
}

static void drive(KubeSlots *s) {
        /* each move that is not asked sets a time to wait for, of a slot or of all */
        for (unsigned i = 0; !s->request && i <= 2 * s->mind.n; i++) {
                int r;

                s->sent_usec = now_boot_usec();
                s->move = slot_judge(&s->mind, s->sent_usec);
                s->move_notes = false;
                if (s->move.what == SLOT_DO_NONE) {
                        arm(s, s->move.wake_usec);
                        return;
                }
                r = s->move.what == SLOT_DO_CHECK ? ask_pod(s) : ask_lease(s);
                if (r < 0)
                        unasked(s, r);
        }
        arm(s, s->request ? USEC_INFINITY : s->sent_usec + USEC_PER_SEC);
}

/* ---- the interface ---- */

static int set_up(KubeSlots *s, const KubeConfig *config, const KubeOptions *options, const char *workload) {
        char me[SLOT_HOLDER_MAX];
        int n;

        n = options->slot_prefix[0] ? snprintf(s->prefix, sizeof(s->prefix), "%s", options->slot_prefix)
                                    : snprintf(s->prefix, sizeof(s->prefix), "plateau-%s", workload);
        if (n >= (int)sizeof(s->prefix) || !slot_name_is_fit(s->prefix) || (!options->slot_prefix[0] && !workload[0]))
                return -EINVAL;
        snprintf(s->namespace_, sizeof(s->namespace_), "%s", config->namespace_);
        snprintf(me, sizeof(me), "%s%s%s", config->pod, config->uid[0] ? "/" : "", config->uid);
        n = (int)min_of(options->slots, SLOTS_MAX);
        s->seen = calloc((size_t)n + 1, sizeof(*s->seen));
        if (!s->seen)
                return -ENOMEM;
        slot_mind_init(&s->mind, s->seen, (unsigned)n, (unsigned)random_below(SLOTS_MAX), me, options->slot_ttl_usec);
        return 0;
}

static KubeSlots *destroy(KubeSlots *s) {
        kube_request_cancel(s->request);
        sd_event_source_disable_unref(s->timer);
        free(s->seen);
        free(s);
        return NULL;
}

int kube_slots_new(sd_event *event, KubeClient *client, const KubeConfig *config, const KubeOptions *options,
                   const char *workload, const KubeSlotsHost *host, KubeSlots **ret) {
        KubeSlots *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = event;
        s->client = client;
        s->host = *host;
        r = set_up(s, config, options, workload);
        if (r >= 0)
                r = sd_event_add_time(event, &s->timer, CLOCK_BOOTTIME, UINT64_MAX, TIMER_ACCURACY, on_timer, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        if (r < 0) {
                destroy(s);
                return r;
        }
        s->told = kube_slots_fact(s);
        *ret = s;
        return 0;
}

static void nothing(_unused_ void *userdata, _unused_ const KubeAnswer *a) {
}

KubeSlots *kube_slots_free(KubeSlots *s) {
        if (!s)
                return NULL;
        for (unsigned i = 0; i < s->mind.n; i++) {
                SlotMove move = {.what = SLOT_DO_RELEASE, .index = i};
                KubeSpec spec = {.method = "PATCH", .content_type = MERGE_PATCH, .timeout_usec = RELEASE_USEC};
                char path[512];
                bool notes;
                json_t *patch = s->seen[i].owner == SLOT_MINE ? patch_for(s, &move, &notes) : NULL;

                if (!patch)
                        continue;
                path_of(s, i, path);
                spec.path = path;
                spec.body = patch;
                spec.deadline_usec = now_boot_usec() + RELEASE_USEC;
                if (kube_request(s->client, &spec, nothing, NULL, NULL) < 0)
                        spec.path = NULL; /* then it is over by its duration */
                json_decref(patch);
        }
        return destroy(s);
}

void kube_slots_want(KubeSlots *s, bool want, uint64_t eta_usec, bool urgent) {
        uint64_t now = now_boot_usec();

        if (s->mind.n == 0)
                return;
        if (want && !s->mind.want) {
                s->since_usec = now;
                s->waited_usec = 0;
                s->why[0] = '\0';
        }
        if (want == s->mind.want && urgent == s->mind.urgent) {
                slot_want(&s->mind, want, eta_usec, urgent, now);
                return;
        }
        slot_want(&s->mind, want, eta_usec, urgent, now);
        drive(s);
        s->told = kube_slots_fact(s);
}

KubeSlotFact kube_slots_fact(const KubeSlots *s) {
        uint64_t now = now_boot_usec();

        if (slot_is_held(&s->mind, now))
                return KUBE_SLOT_HELD;
        if (slot_is_lost(&s->mind, now))
                return KUBE_SLOT_LOST;
        return slot_is_useless(&s->mind) ? KUBE_SLOT_NOT_NEEDED : KUBE_SLOT_WAITING;
}

void kube_slots_look(KubeSlots *s) {
        slot_look(&s->mind);
        drive(s);
}

bool kube_slots_learned(const KubeSlots *s, KubeLearned *ret) {
        const SlotNote *n = s->tell.count ? &s->tell : &s->note;

        if (n->count)
                *ret = n->learned;
        return n->count > 0;
}

void kube_slots_learn(KubeSlots *s, const KubeLearned *learned) {
        if (kube_slots_fact(s) == KUBE_SLOT_HELD)
                s->tell = (SlotNote){.count = s->note.count + 1, .learned = *learned};
}

bool kube_slots_is_quiet(const KubeSlots *s) {
        return !s->request && slot_is_quiet(&s->mind);
}

static void explain_waiting(const KubeSlots *s, KubeSlotsView *ret) {
        for (unsigned i = 0; i < s->mind.n; i++) {
                const SlotSeen *seen = s->seen + i;
                const char *who = seen->owner == SLOT_OTHERS ? seen->lease.holder : seen->lease.bidder;

                if ((seen->owner != SLOT_OTHERS && seen->owner != SLOT_FREE) || !who[0])
                        continue;
                snprintf(ret->detail, sizeof(ret->detail), "%.100s-%u is %s %.*s", s->prefix, i,
                         seen->owner == SLOT_OTHERS ? "held by" : "left to",
                         (int)min_of(strcspn(who, "/"), (size_t)100), who);
                return;
        }
        if (s->why[0])
                snprintf(ret->detail, sizeof(ret->detail), "%s", s->why);
}

void kube_slots_view(const KubeSlots *s, KubeSlotsView *ret) {
        const SlotMind *m = &s->mind;

        *ret = (KubeSlotsView){.fact = kube_slots_fact(s), .n = m->n, .passed = m->passed};
        for (unsigned i = 0; i < m->n; i++)
                ret->n_usable += m->seen[i].owner == SLOT_FREE || m->seen[i].owner == SLOT_MINE ||
                                 m->seen[i].owner == SLOT_OTHERS;
        if (ret->fact == KUBE_SLOT_HELD)
                snprintf(ret->lease, sizeof(ret->lease), "%.240s-%d", s->prefix, m->held);
        ret->waited_usec = ret->fact == KUBE_SLOT_HELD ? s->waited_usec : m->want ? now_boot_usec() - s->since_usec : 0;
        if (ret->fact == KUBE_SLOT_WAITING && m->want)
                explain_waiting(s, ret);
        else if (ret->fact == KUBE_SLOT_LOST)
                snprintf(ret->detail, sizeof(ret->detail), "%s", s->why[0] ? s->why : "it was not renewed in time");
        else if (ret->fact == KUBE_SLOT_NOT_NEEDED && m->n)
                snprintf(ret->detail, sizeof(ret->detail), "none of the %u leases %.100s-0 ... can be used: %.100s",
                         m->n, s->prefix, s->why);
}
