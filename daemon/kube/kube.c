/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kube/kube-internal.h"
#include "util/rootfs.h"

#define STATE_DIR_DEFAULT "/var/lib/plateau"
#define STOP_LOOK_USEC    (50 * USEC_PER_MSEC)

/* ---- the host is told from the loop ---- */

static int on_tell(sd_event_source *s, void *userdata) {
        Kube *k = userdata;

        sd_event_source_set_enabled(s, SD_EVENT_OFF);
        k->host.changed(k->host.userdata);
        return 0;
}

void kube_changed(Kube *k) {
        if (k->tell_io)
                sd_event_source_set_enabled(k->tell_io, SD_EVENT_ONESHOT);
}

/* ---- what the daemon tells ---- */

static void take_main(Kube *k, const KubeNeed *need) {
        if (need->pid == k->need.pid && need->start_ticks == k->need.start_ticks)
                return;
        k->main_fd = fd_close(k->main_fd);
        if (need->target && need->target->pid_fd >= 0)
                k->main_fd = fcntl(need->target->pid_fd, F_DUPFD_CLOEXEC, 0);
}

/* ---- the action: an observer ---- */

static ActionRun *run_free(ActionRun *run) {
        if (run->kube && run->kube->run == run)
                run->kube->run = NULL;
        sd_event_source_disable_unref(run->timer);
        free(run);
        return NULL;
}

static void run_end(ActionRun *run) {
        ActionDoneFn done = run->done;
        void *userdata = run->userdata;
        uint64_t now = now_boot_usec();
        Outcome o = {
                .rung = RUNG_ROTATE, .result = run->result, .time_usec = now, .duration_usec = now - run->begin_usec};

        snprintf(o.method, sizeof(o.method), "kubernetes");
        snprintf(o.detail, sizeof(o.detail), "%s", run->detail);
        run_free(run);
        done(userdata, &o);
}

static int on_run_over(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        run_end(userdata);
        return 0;
}

/* What a rotation came to, once it is over. It may also never begin: its trigger is gone, it has to wait. */
static void run_mind(Kube *k, uint64_t now) {
        const KubeMachine *m = &k->machine;
        ActionRun *run = k->run;
        bool rotating = kube_state_is_rotating(m->state), good;

        if (!run || run->timer)
                return;
        run->seen_rotating |= rotating;
        if (rotating || (!run->seen_rotating && k->need.rotate && m->state == KUBE_STATE_NORMAL))
                return;
        good = m->state == KUBE_STATE_DONE || (run->seen_rotating && m->reason == KUBE_REASON_MAIN_RESTARTED);
        run->result = good ? OUTCOME_OK : m->reason == KUBE_REASON_GROWTH_STOPPED ? OUTCOME_CANCELLED : OUTCOME_ERROR;
        snprintf(run->detail, sizeof(run->detail), "%s: %s", kube_strategy_name(m->strategy),
                 kube_reason_name(m->reason));
        if (sd_event_add_time(k->event, &run->timer, CLOCK_BOOTTIME, now, 1, on_run_over, run) < 0)
                run->timer = NULL; /* tried again at the next tick */
}

void kube_mind(Kube *k, const KubeNeed *need, uint64_t now_usec) {
        const Target *target = need->target;

        take_main(k, need);
        k->need = *need;
        k->need.target = NULL;
        rotate_step(k, target, now_usec);
        run_mind(k, now_usec);
}

static int check(const ActionContext *c, char *why, size_t why_size) {
        const Kube *k = c->kube;

        if (!k) {
                snprintf(why, why_size, "kubernetes is switched off");
                return -EOPNOTSUPP;
        }
        if (k->plan.strategy != KUBE_STRATEGY_AUTO && !k->plan.works && k->looks[LOOK_POD].answered_usec &&
            !(k->options.headroom_ratio > 0 &&
              k->access[ACCESS_RESIZE].allowed)) { /* what cannot go may still be given room */
                snprintf(why, why_size, "no strategy works here: %s", k->plan.why[KUBE_STRATEGY_SIGNAL]);
                return -EOPNOTSUPP;
        }
        return 0;
}

static int start(const ActionContext *c, const Decision *d _unused_, ActionDoneFn done, void *userdata,
                 ActionRun **ret) {
        ActionRun *run;

        if (!c->kube)
                return -EOPNOTSUPP;
        if (c->kube->run)
                return -EBUSY;
        run = calloc(1, sizeof(*run));
        if (!run)
                return -ENOMEM;
        *run = (ActionRun){.kube = c->kube, .done = done, .userdata = userdata, .begin_usec = now_boot_usec()};
        c->kube->run = run;
        *ret = run;
        return 0;
}

/* The rotation itself goes on: it is the pod's, and what has begun is ended in order. */
static void cancel(ActionRun *run) {
        if (!run)
                return;
        run->result = OUTCOME_CANCELLED;
        snprintf(run->detail, sizeof(run->detail), "not waited for any more");
        run_end(run);
}

const Action action_rotate_kubernetes = {
        .name = "kubernetes", .rung = RUNG_ROTATE, .check = check, .start = start, .cancel = cancel};

/* ---- what is seen of it ---- */

bool kube_is_ready(const Kube *k) {
        return kube_state_is_ready(k->machine.state);
}

bool kube_main_may_live(const Kube *k) {
        return kube_state_may_live(k->machine.state);
}

void kube_alive_asked(Kube *k, uint64_t now_usec) {
        k->alive_asked_usec = now_usec;
}

static void view_owner(const Kube *k, KubeView *v) {
        const KubeOwner *o = k->set_known && k->set.has_deployment ? &k->set.deployment : &k->pod.owner;

        if (!k->pod_known || (!k->pod.has_owner && !k->set_known))
                return;
        snprintf(v->owner_kind, sizeof(v->owner_kind), "%s", o->kind);
        snprintf(v->owner_name, sizeof(v->owner_name), "%s", o->name);
}

/* What stands in the way of something better, or what is waited for. */
static void view_detail(const Kube *k, KubeView *v) {
        KubeSlotsView slots = {0};

        if (k->slots)
                kube_slots_view(k->slots, &slots);
        v->slot_held = k->slots && kube_slots_fact(k->slots) == KUBE_SLOT_HELD;
        v->slot_waited_usec = slots.waited_usec;
        if (k->machine.state == KUBE_STATE_LEASE_WAIT && slots.detail[0])
                snprintf(v->detail, sizeof(v->detail), "%.199s", slots.detail);
        else if (k->machine.state == KUBE_STATE_NORMAL && k->need.rotate && k->held_reason)
                snprintf(v->detail, sizeof(v->detail), "held: %s", k->held_reason);
        else if (k->machine.state == KUBE_STATE_WAIT_READY)
                snprintf(v->detail, sizeof(v->detail), "%u of the others are ready, %u not", k->peers.ready,
                         k->peers.unready);
        else if (k->drain && k->drained.told[0])
                snprintf(v->detail, sizeof(v->detail), "%s", k->drained.told);
        else if (k->last_error[0])
                snprintf(v->detail, sizeof(v->detail), "%.150s", k->last_error);
        else if (k->machine.state == KUBE_STATE_NORMAL && k->foresight.why[0] &&
                 (k->foresight.refused || k->plan.strategy == KUBE_STRATEGY_EVICT))
                snprintf(v->detail, sizeof(v->detail), "an eviction would be refused%s: %.140s",
                         k->foresight.refused ? "" : " while the pod is ready", k->foresight.why);
        else if (k->machine.state == KUBE_STATE_NORMAL && k->plan.strategy != KUBE_STRATEGY_DETACH &&
                 k->plan.why[KUBE_STRATEGY_DETACH][0])
                snprintf(v->detail, sizeof(v->detail), "not detach: %s", k->plan.why[KUBE_STRATEGY_DETACH]);
}

static void view_requests(const Kube *k, KubeView *v) {
        const KubeCounters *c;

        _Static_assert((unsigned)_KUBE_VERB_MAX * (unsigned)KUBE_OUTCOME_MAX <= KUBE_REQUESTS_MAX, "all have room");

        if (!k->client)
                return;
        c = kube_client_counters(k->client);
        for (KubeVerb verb = 0; verb < _KUBE_VERB_MAX; verb++)
                for (unsigned i = 0; i < KUBE_OUTCOME_MAX; i++)
                        if (c->ended[verb][i])
                                v->requests[v->n_requests++] = (KubeRequestCount){
                                        kube_verb_name(verb), kube_outcome_name(i), c->ended[verb][i]};
}

void kube_view(const Kube *k, KubeView *ret) {
        const KubeMachine *m = &k->machine;
        KubeView v = {
                .in_cluster = k->in_cluster,
                .api = look_api(k),
                .state = kube_state_name(m->state),
                .strategy = kube_strategy_name(m->state == KUBE_STATE_NORMAL ? k->plan.strategy : m->strategy),
                .reason = kube_reason_name(m->reason),
                .state_since_usec = m->since_usec,
                .deadline_usec = m->deadline_usec,
                .ready = kube_is_ready(k),
                .main_may_live = kube_main_may_live(k),
                .draining = k->drain != NULL,
                .connections_known = k->drain && k->drained.known,
                .connections = k->drain && k->drained.known ? k->drained.left : 0,
                .replace_learned_usec = k->learned.replace_usec,
                .drain_learned_usec = k->learned.drain_usec,
        };

        snprintf(v.why, sizeof(v.why), "%s", k->why[0] ? k->why : look_api(k) ? "" : k->last_error);
        snprintf(v.namespace_, sizeof(v.namespace_), "%s", k->config.namespace_);
        snprintf(v.pod, sizeof(v.pod), "%s", k->config.pod);
        snprintf(v.node, sizeof(v.node), "%s", k->config.node);
        view_owner(k, &v);
        view_detail(k, &v);
        view_requests(k, &v);
        *ret = v;
}

/* ---- evidence ---- */

void kube_tell(Kube *k, KubeNews news, bool warning, const char *note) {
        static const struct {
                const char *reason, *action;
        } rows[_KUBE_NEWS_MAX] = {
                [KUBE_NEWS_ALERT] = {"MemoryAlert", "Alert"},
                [KUBE_NEWS_RESOLVED] = {"MemoryAlertResolved", "Alert"},
                [KUBE_NEWS_RECLAIM] = {"MemoryReclaim", "Reclaim"},
                [KUBE_NEWS_ROTATION] = {"PodRotation", "Rotate"},
        };
        KubeEvent e = {.warning = warning, .note = note};

        if (!k->options.events || !k->client || (unsigned)news >= _KUBE_NEWS_MAX)
                return;
        if (!k->events && kube_events_new(k->event, k->client, &k->config, &k->events) < 0)
                return;
        e.reason = rows[news].reason;
        e.action = news == KUBE_NEWS_ROTATION ? kube_state_name(k->machine.state) : rows[news].action;
        (void)kube_events_tell(k->events, &e); /* evidence: nothing waits for it */
}

static void on_forecast(void *userdata, const KubeAnswer *a, const KubePod *pod _unused_) {
        Kube *k = userdata;

        k->note_call = NULL;
        look_note(k, a);
}

/* The digits are others at each look, so the interval alone keeps it rare. */
void kube_tell_forecast(Kube *k, const char *json) {
        uint64_t now = now_boot_usec();
        json_t *p;

        if (!k->options.forecast_interval_usec || !k->client || !k->pod_known || k->pod_gone || k->note_call ||
            now < k->forecast_next_usec || !k->access[ACCESS_PATCH].allowed)
                return;
        k->forecast_next_usec = now + k->options.forecast_interval_usec;
        p = json_pack("{s:{s:s,s:{s:s}}}", "metadata", "uid", k->config.uid, "annotations", "plateau.dev/forecast",
                      json);
        if (p && kube_pod_patch(k->client, k->config.pod, KUBE_PATCH_MERGE, p, on_forecast, k, &k->note_call) < 0)
                k->note_call = NULL;
        json_decref(p);
}

/* ---- life ---- */

static void read_boot_id(Kube *k) {
        ssize_t n = rootfs_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", k->boot_id, sizeof(k->boot_id));

        if (n < 0)
                k->boot_id[0] = '\0';
        k->boot_id[strcspn(k->boot_id, "\n")] = '\0';
}

static void read_state_dir(Kube *k) {
        const char *dir = getenv("PLATEAU_STATE_DIR");

        if (!dir || !*dir)
                dir = STATE_DIR_DEFAULT;
        if (strlen(dir) < sizeof(k->state_dir) && access(dir, W_OK) == 0)
                strcpy(k->state_dir, dir);
}

/* Outside of a cluster, or without its library: what needs none is left. */
static int connect_api(Kube *k) {
        int r = kube_config_load(&k->config, k->why, sizeof(k->why));

        k->in_cluster = r == 0;
        if (r < 0)
                return r == -ENOENT || r == -EINVAL ? 0 : r;
        k->config.port = k->options.port;
        snprintf(k->config.gate, sizeof(k->config.gate), "%s", k->options.readiness_gate);
        r = kube_client_new(k->event, &k->config, &k->client, k->why, sizeof(k->why));
        if (r == 0)
                k->why[0] = '\0';
        return r == -ENOENT ? 0 : r;
}

int kube_new(sd_event *event, const KubeOptions *options, const KubeHost *host, Kube **ret, char *why,
             size_t why_size) {
        Kube *k = calloc(1, sizeof(*k));
        int r;

        snprintf(why, why_size, "out of memory");
        if (!k)
                return -ENOMEM;
        k->event = sd_event_ref(event);
        k->options = *options;
        k->host = *host;
        k->main_fd = -1;
        k->ready_before = UINT_MAX;
        k->need.eta_lo_usec = USEC_INFINITY;
        k->turn_usec = TURN_NEVER;
        read_boot_id(k);
        read_state_dir(k);
        r = sd_event_add_defer(event, &k->tell_io, on_tell, k);
        if (r >= 0)
                r = sd_event_source_set_enabled(k->tell_io, SD_EVENT_OFF);
        if (r >= 0)
                r = connect_api(k);
        if (r < 0) {
                if (k->why[0])
                        snprintf(why, why_size, "%s", k->why);
                kube_free(k);
                return r;
        }
        rotate_resume(k, NULL, now_boot_usec());
        *ret = k;
        return 0;
}

int kube_set_options(Kube *k, const KubeOptions *options) {
        bool slots = options->slots != k->options.slots || strcmp(options->slot_prefix, k->options.slot_prefix) != 0 ||
                     options->slot_ttl_usec != k->options.slot_ttl_usec;

        k->options = *options;
        if (k->client)
                kube_client_look_for(k->client, options->port, options->readiness_gate);
        if (slots && k->slots && !kube_state_is_rotating(k->machine.state))
                k->slots = kube_slots_free(k->slots); /* made anew at the next step */
        return 0;
}

static void stop_over(Kube *k) {
        void (*done)(void *userdata) = k->stopped;

        k->stopped = NULL;
        if (done)
                done(k->stopped_userdata);
}

static int on_stop_look(sd_event_source *s, uint64_t usec _unused_, void *userdata) {
        Kube *k = userdata;
        uint64_t now = now_boot_usec();

        if (!k->slots || kube_slots_is_quiet(k->slots) || now >= k->stop_until_usec) {
                stop_over(k);
                return 0;
        }
        if (sd_event_source_set_time(s, now + STOP_LOOK_USEC) < 0)
                return -ENOMEM;
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* A rotation under way keeps its slot: a restarted sidecar goes on with it, and of a pod that ends the others see it.
 */
void kube_stop_begin(Kube *k, uint64_t deadline_usec, void (*done)(void *userdata), void *userdata) {
        KubeState s = k->machine.state;
        uint64_t now = now_boot_usec();

        k->stopped = done;
        k->stopped_userdata = userdata;
        k->stop_until_usec = now + deadline_usec;
        if (k->beat)
                sd_event_source_set_enabled(k->beat, SD_EVENT_OFF);
        if (k->slots && (!kube_state_is_rotating(s) || s == KUBE_STATE_LEASE_WAIT || s == KUBE_STATE_TERMINATING))
                kube_slots_want(k->slots, false, USEC_INFINITY, false);
        if (sd_event_add_time(k->event, &k->stop_timer, CLOCK_BOOTTIME, now, 1, on_stop_look, k) < 0)
                stop_over(k);
}

Kube *kube_free(Kube *k) {
        if (!k)
                return NULL;
        if (k->run)
                cancel(k->run);
        look_done(k);
        rotate_done(k);
        kube_slots_free(k->slots);
        kube_reap_free(k->reap);
        kube_events_free(k->events);
        kube_client_free(k->client);
        fd_close(k->main_fd);
        sd_event_source_disable_unref(k->stop_timer);
        sd_event_source_disable_unref(k->tell_io);
        sd_event_unref(k->event);
        free(k);
        return NULL;
}
