/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kube-internal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util/random.h"

#define STEPS_MAX 6u /* in one go: a state entered may be left at once */
#define BEAT_USEC USEC_PER_SEC
#define ALIVE_ASKED_USEC (2 * USEC_PER_MINUTE)

/* ---- facts ---- */

static bool is_detached(const KubePod *p) {
        return strcmp(p->rotation, "detached") == 0 && !p->template_hash[0];
}

static bool may(const Kube *k, AccessKind a) {
        return !k->access[a].known || k->access[a].allowed;
}

static KubeRight right(const Kube *k, AccessKind a) {
        if (!k->access[a].known)
                return KUBE_RIGHT_UNKNOWN;
        return k->access[a].allowed ? KUBE_RIGHT_YES : KUBE_RIGHT_NO;
}

static bool is_alone(const Kube *k) {
        const Look1 *l = &k->looks[LOOK_POD];

        return k->pod_known ? !k->pod.has_owner && !k->set_known : l->answered_usec && l->failed;
}

static KubeSlotFact slot_told(const Kube *k) {
        if (k->options.slots == 0 || !k->client)
                return KUBE_SLOT_NOT_NEEDED;
        if (!k->slots) /* whose workload we are has not been read; whoever has none, or may not know, is alone */
                return is_alone(k) ? KUBE_SLOT_NOT_NEEDED : KUBE_SLOT_WAITING;
        return kube_slots_fact(k->slots);
}

bool rotate_has_slot(const Kube *k) {
        KubeSlotFact f = slot_told(k);

        return f == KUBE_SLOT_HELD || f == KUBE_SLOT_NOT_NEEDED;
}

/* Whoever has got it looks at everything once more before it begins, since it may have waited for hours. */
static KubeSlotFact slot(const Kube *k, uint64_t now) {
        KubeSlotFact f = slot_told(k);

        if (k->machine.state != KUBE_STATE_LEASE_WAIT || !rotate_has_slot(k) || !look_api(k) ||
            now >= k->turn_usec + TURN_USEC)
                return f;
        return look_is_fresh(k, now) && follow_is_settled(k, now) ? f : KUBE_SLOT_WAITING;
}

static bool is_unwanted(const Kube *k) {
        if (k->deployment_known)
                return k->deployment.replicas == 0 || k->deployment.deleting;
        return k->set_known && (k->set.replicas == 0 || k->set.deleting);
}

static bool is_rolled(const Kube *k) {
        return k->deployment_known && k->revision[0] && strcmp(k->revision, k->deployment.revision) != 0;
}

/* As many as served beside us when we left, and one more; never more than are wanted at all. */
static unsigned replicas_needed(const Kube *k) {
        unsigned wanted = k->set_known && k->set.replicas > 0 ? (unsigned)k->set.replicas : 1;

        return k->ready_before == UINT_MAX ? wanted : min_of(wanted, k->ready_before + 1);
}

/* A new template's pods have another hash: then the rollout's end is the replacement. */
static bool is_replaced(const Kube *k) {
        const KubeDeployment *d = &k->deployment;

        if (is_rolled(k))
                return !d->rolling && d->available >= d->replicas;
        return k->peers.known && !k->selected && k->peers.ready >= replicas_needed(k);
}

/* By counting and not by time stamps: those of the API server are of another clock. */
static void look_for_replacement(Kube *k, uint64_t now) {
        if (k->machine.state != KUBE_STATE_WAIT_READY)
                return;
        if (!is_replaced(k))
                k->replacement_ready_usec = 0;
        else if (!k->replacement_ready_usec)
                k->replacement_ready_usec = now;
}

/* Where we may not read the manifest, whoever asks for /alive again and again is taken for the kubelet: if it is not,
 * the restart does not come, and SIGTERM is next. */
static bool has_alive_probe(const Kube *k, uint64_t now) {
        if (k->pod_known)
                return k->pod.main_has_liveness_alive;
        return k->alive_asked_usec && now < k->alive_asked_usec + ALIVE_ASKED_USEC;
}

static bool may_signal(const Kube *k) {
        return k->need.pid > 0 && kill(k->need.pid, 0) == 0;
}

static uint64_t pod_age(const Kube *k) {
        uint64_t real = now_real_usec();

        return real - min_of(real, k->pod.created_real_usec);
}

static bool has_headroom(const Kube *k) {
        uint64_t limit, request;
        char why[160];

        return k->options.headroom_ratio > 0 && k->pod_known && k->access[ACCESS_RESIZE].allowed &&
               kube_headroom(&k->pod, &k->options, k->limit_first_bytes, &limit, &request, why, sizeof(why)) == 0;
}

static void plan(Kube *k, KubeFacts *f) {
        KubePlanInput in = {
                .api = look_api(k),
                .api_why = k->why[0]          ? k->why
                           : k->last_error[0] ? k->last_error
                                              : NULL,
                .pod_known = k->pod_known,
                .owner = k->pod.has_owner ? k->pod.owner.kind : "",
                .owner_api = k->pod.has_owner ? k->pod.owner.api_version : "",
                .mirror = k->pod.mirror,
                .template_hash = k->pod.template_hash[0] || k->hash[0],
                .rwo_claim = k->pod.has_rwo_claim_possible,
                .host_port = k->pod.has_host_port,
                .hard_anti_affinity = k->pod.has_hard_anti_affinity,
                .argo = k->pod.rollouts_hash,
                .owner_known = k->set_known,
                .deployment = k->set_known && k->set.has_deployment && k->deployment_known,
                .paused = k->deployment_known && k->deployment.paused,
                .rolling = k->deployment_known && k->deployment.rolling && !k->pod.rotation[0],
                .current = !k->deployment_known || strcmp(k->set.revision, k->deployment.revision) == 0,
                .going = is_unwanted(k),
                .patch = right(k, ACCESS_PATCH),
                .evict = right(k, ACCESS_EVICT),
                .list = right(k, ACCESS_LIST),
                .evict_refused = k->foresight.refused && !(k->options.evict_past_budget && may(k, ACCESS_DELETE))
                                         ? k->foresight.why
                                         : NULL,
                .one_shot = k->pod_known && k->pod.one_shot,
                .alive_probe = f->alive_probe,
                .may_signal = may_signal(k),
                .breaker = k->learned.young >= 5 && f->pod_age_usec < k->options.min_pod_age_usec,
                .eta_usec = f->eta_usec,
        };

        for (KubeStrategy s = 0; s < _KUBE_STRATEGY_MAX; s++)
                in.need_usec[s] = kube_machine_least_usec(s, f, &k->options);
        kube_plan(&in, k->options.strategy, &k->plan);
        f->strategy = k->plan.strategy;
        f->evict_instead = k->plan.evict_instead;
}

void rotate_facts(Kube *k, uint64_t now, KubeFacts *ret) {
        KubeFacts f = {
                .rotate = k->need.rotate,
                .eta_usec = k->need.eta_lo_usec,
                .main_id = k->need.pid ? k->need.start_ticks : 0,
                .pod_known = k->pod_known && !k->pod_in_doubt && k->reply_next == KUBE_REPLY_NONE,
                .pod_gone = k->pod_gone,
                .pod_deleting = k->pod_known && k->pod.deleting,
                .detached = k->pod_known && is_detached(&k->pod),
                .pod_age_usec = k->pod_known ? pod_age(k) : 0,
                .young = k->learned.young,
                .api = look_api(k),
                .slot = slot(k, now),
                .unwanted = is_unwanted(k),
                .rolled = is_rolled(k),
                .replacement_failed = (k->set_known && k->set.replicafailure[0]) || (k->peers.known && k->peers.stuck),
                .endpoint_off_usec = k->endpoint_off_usec,
                .endpoint_known = k->endpoint_known,
                .drain_done = k->drain && k->drained.end != DRAIN_GOES_ON,
                .headroom = has_headroom(k),
                .may_evict = may(k, ACCESS_EVICT),
                .may_delete = may(k, ACCESS_DELETE),
                .one_shot = k->pod_known && k->pod.one_shot,
                .alive_probe = has_alive_probe(k, now),
                .reply = k->reply,
                .replace_usec = k->learned.replace_usec,
                .drain_usec = k->learned.drain_usec,
                .grace_usec = (k->pod_known ? k->pod.termination_grace_s : 30) * USEC_PER_SEC,
                .jitter = (double)random_below(1 << 20) / (1 << 20),
        };

        look_for_replacement(k, now);
        f.replacement_ready_usec = k->replacement_ready_usec;
        plan(k, &f);
        *ret = f;
}

/* ---- written down ---- */

void rotate_saved(const Kube *k, KubeSaved *ret) {
        *ret = (KubeSaved){.seq = k->seq, .machine = k->machine, .ready_before = k->ready_before};
        snprintf(ret->uid, sizeof(ret->uid), "%s", k->config.uid);
        snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", k->boot_id);
        snprintf(ret->hash, sizeof(ret->hash), "%s", k->hash);
        snprintf(ret->owner, sizeof(ret->owner), "%s", k->owner);
        snprintf(ret->revision, sizeof(ret->revision), "%s", k->revision);
}

void rotate_write_down(Kube *k) {
        KubeSaved s;
        int r;

        k->seq++;
        if (!k->state_dir[0])
                return;
        rotate_saved(k, &s);
        if (k->machine.state == KUBE_STATE_NORMAL && k->machine.cool_until_usec == 0)
                r = kube_saved_remove(k->state_dir);
        else
                r = kube_saved_store(k->state_dir, &s);
        if (r < 0) /* a full emptyDir: the annotation is left */
                snprintf(k->last_error, sizeof(k->last_error), "%.150s: %s", k->state_dir, strerror(-r));
}

static void take_saved(Kube *k, const KubeSaved *s) {
        k->machine = s->machine;
        k->seq = s->seq;
        snprintf(k->hash, sizeof(k->hash), "%s", s->hash);
        snprintf(k->owner, sizeof(k->owner), "%s", s->owner);
        snprintf(k->revision, sizeof(k->revision), "%s", s->revision);
        k->detached_usec = s->machine.since_usec;
        k->ready_before = s->ready_before;
        kube_changed(k);
}

void rotate_resume(Kube *k, const char *text, uint64_t now) {
        KubeSaved s;
        int r;

        if (!k->config.uid[0])
                return;
        if (text) {
                k->resumed = true;
                r = text[0] ? kube_saved_parse(text, strlen(text), k->config.uid, k->boot_id, now, &s) : -ENOENT;
        } else
                r = k->state_dir[0] ? kube_saved_load(k->state_dir, k->config.uid, k->boot_id, now, &s) : -ENOENT;
        if (r == 0 && s.seq > k->seq)
                take_saved(k, &s);
}

/* ---- levels ---- */

static void on_drain(void *userdata, const DrainState *s) {
        Kube *k = userdata;

        k->drained = *s;
        if (s->end != DRAIN_GOES_ON)
                rotate_step(k, NULL, now_boot_usec());
}

static void begin_drain(Kube *k, const Target *target, uint64_t now) {
        char why[160] = "";
        uint64_t eta = k->need.eta_lo_usec, margin = k->options.margin_usec;
        DrainSpec spec = {.options = &k->options,
                          .target = target,
                          .namespace_ = k->config.namespace_,
                          .pod = k->config.pod,
                          .reason = "memory",
                          .deadline_usec =
                                  eta == USEC_INFINITY ? USEC_INFINITY : now + (eta > margin ? eta - margin : 0)};

        k->drained = (DrainState){0};
        k->drain_begin_usec = now;
        if (drain_new(k->event, &spec, on_drain, k, &k->drain, why, sizeof(why)) < 0)
                k->drain = NULL; /* tried again at the next tick; the machine's own bound ends it */
}

static void mind_drain(Kube *k, const Target *target, uint64_t now) {
        KubeState s = k->machine.state;

        if (kube_state_wants_drain(s)) {
                if (!k->drain && target && target->pid)
                        begin_drain(k, target, now);
                else if (!k->drain)
                        kube_changed(k); /* the next tick brings the target */
        } else if (k->drain)
                k->drain = s == KUBE_STATE_NORMAL || s == KUBE_STATE_ABORTING ? drain_cancel(k->drain)
                                                                              : drain_free(k->drain);
}

static void on_slots_changed(void *userdata) {
        Kube *k = userdata;
        KubeLearned l;

        if (kube_slots_fact(k->slots) == KUBE_SLOT_HELD)
                k->net_failures = 0; /* who granted it is there */
        if (kube_slots_learned(k->slots, &l)) {
                k->learned.replace_usec = l.replace_usec;
                k->learned.drain_usec = l.drain_usec;
                if (!kube_state_is_rotating(k->machine.state)) /* then this rotation is counted in it already */
                        k->learned.young = l.young;
        }
        rotate_step(k, NULL, now_boot_usec());
}

static void mind_slots(Kube *k, const KubeFacts *f) {
        const KubeSlotsHost host = {.changed = on_slots_changed, .userdata = k};
        const char *workload = look_workload(k);

        if (!k->slots && k->client && k->options.slots > 0 && (workload[0] || k->options.slot_prefix[0])) {
                if (kube_slots_new(k->event, k->client, &k->config, &k->options, workload, &host, &k->slots) < 0) {
                        k->slots = NULL;
                        return;
                }
                kube_slots_look(k->slots);
        }
        if (k->slots)
                kube_slots_want(k->slots, kube_state_wants_slot(k->machine.state), f->eta_usec,
                                f->eta_usec <= kube_machine_need_usec(f->strategy, f, &k->options));
}

/* Peers' orphans: where there are detached pods at all, by whoever may list and delete them. */
static void mind_reap(Kube *k) {
        bool want = k->options.reap && k->client && k->pod_known && k->set_known && may(k, ACCESS_LIST);

        if (want && !k->reap && kube_reap_new(k->event, k->client, &k->config, &k->reap) < 0)
                k->reap = NULL;
        else if (!want && k->reap)
                k->reap = kube_reap_free(k->reap);
}

static void on_gate(void *userdata, const KubeAnswer *a, const KubePod *pod) {
        Kube *k = userdata;

        k->note_call = NULL;
        look_note(k, a);
        if (pod)
                look_take_pod(k, pod, now_boot_usec());
}

/* Absent counts as False: it has to be set at the start, too. */
static void mind_gate(Kube *k) {
        bool want = kube_state_is_ready(k->machine.state);
        json_t *p;

        if (!k->options.readiness_gate[0] || !k->client || !k->pod_known || !k->pod.has_pod_gate || k->note_call ||
            k->pod.gate_true == want || !may(k, ACCESS_GATE))
                return;
        p = json_pack("{s:{s:[{s:s,s:s,s:s}]}}", "status", "conditions", "type", k->options.readiness_gate, "status",
                      want ? "True" : "False", "reason", want ? "Serving" : "Rotating");
        if (p &&
            kube_pod_status_patch(k->client, k->config.pod, KUBE_PATCH_STRATEGIC, p, on_gate, k, &k->note_call) < 0)
                k->note_call = NULL;
        json_decref(p);
}

/* ---- one step ---- */

static void on_entered(Kube *k, const KubeStep *step, const KubeFacts *f, uint64_t now) {
        KubeState s = k->machine.state;

        if (s == KUBE_STATE_LEASE_WAIT) {
                snprintf(k->revision, sizeof(k->revision), "%s", k->deployment_known ? k->deployment.revision : "");
                k->learned.young = f->pod_age_usec < k->options.min_pod_age_usec ? k->learned.young + 1 : 0;
                k->replacement_ready_usec = 0;
                k->ready_before = UINT_MAX;
        }
        if (s == KUBE_STATE_UNREADY) {
                k->endpoint_known = false;
                k->endpoint_off_usec = 0;
        }
        if (step->reason == KUBE_REASON_REPLACED)
                k->learned.replace_usec =
                        k->replacement_ready_usec - min_of(k->replacement_ready_usec, k->detached_usec);
        if (step->from == KUBE_STATE_DRAINING)
                k->learned.drain_usec = now - min_of(now, k->drain_begin_usec);
        if (k->slots && kube_state_wants_slot(s))
                kube_slots_learn(k->slots, &k->learned);
        if (s == KUBE_STATE_NORMAL)
                k->hash[0] = k->owner[0] = '\0';
        k->reply = KUBE_REPLY_NONE;
        k->reply_next = KUBE_REPLY_NONE;
}

/* That the pods of a workload are replaced no more is for a person to know. */
static void note_hold(Kube *k, KubeReason reason) {
        const char *why = kube_reason_name(reason);
        char note[160];

        if (reason == KUBE_REASON_BREAKER && k->held_reason != why) {
                snprintf(note, sizeof(note),
                         "rotation: held: %s: the last %u pods of this workload leaked soon after their start", why,
                         k->learned.young);
                kube_tell(k, KUBE_NEWS_ROTATION, true, note);
        }
        k->held_reason = why;
}

/* Return: whether there was anything to do. */
static bool step_once(Kube *k, KubeFacts *f, uint64_t now) {
        KubeStep step = kube_machine_step(&k->machine, f, &k->options, now);

        note_hold(k, step.reason);
        if (!step.changed)
                return false;
        if (step.from != k->machine.state)
                on_entered(k, &step, f, now);
        rotate_write_down(k);
        if (step.command != KUBE_COMMAND_NONE)
                command_give(k, step.command, now);
        if (step.command != KUBE_COMMAND_DETACH && step.command != KUBE_COMMAND_RESTORE &&
            step.from != k->machine.state && k->machine.state != KUBE_STATE_DONE &&
            k->machine.state != KUBE_STATE_LEASE_WAIT && step.from != KUBE_STATE_LEASE_WAIT)
                command_annotate(k);
        if (step.from != k->machine.state)
                kube_changed(k);
        return true;
}

static int on_beat(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Kube *k = userdata;

        rotate_step(k, NULL, now_boot_usec());
        return 0;
}

/* Once a second while there is anything to wait for; never at rest. */
static void mind_beat(Kube *k, uint64_t now) {
        bool starting = k->client && !k->pod_gone && (!k->looks[LOOK_POD].answered_usec || k->access_next == 0);
        bool wanted = kube_state_is_rotating(k->machine.state) || k->need.rotate || starting;

        if (!k->beat && wanted &&
            sd_event_add_time(k->event, &k->beat, CLOCK_BOOTTIME, now + BEAT_USEC, BEAT_USEC / 4, on_beat, k) >= 0) {
                sd_event_source_set_description(k->beat, "kube-beat");
                return;
        }
        if (!k->beat)
                return;
        if (!wanted)
                sd_event_source_set_enabled(k->beat, SD_EVENT_OFF);
        else if (sd_event_source_set_time(k->beat, now + BEAT_USEC) >= 0)
                sd_event_source_set_enabled(k->beat, SD_EVENT_ONESHOT);
}

/* From the moment in which the slot is ours. */
static void mind_turn(Kube *k, uint64_t now) {
        if (k->machine.state != KUBE_STATE_LEASE_WAIT || !rotate_has_slot(k))
                k->turn_usec = TURN_NEVER;
        else {
                k->turn_usec = min_of(k->turn_usec, now);
                look_refresh(k, now);
        }
}

void rotate_step(Kube *k, const Target *target, uint64_t now) {
        KubeFacts f;

        look_mind(k, now);
        rotate_facts(k, now, &f);
        /* in no hurry: first what there is to know */
        if (k->machine.state == KUBE_STATE_NORMAL && f.rotate && !look_is_known(k) &&
            f.eta_usec > kube_machine_need_usec(KUBE_STRATEGY_SIGNAL, &f, &k->options))
                f.rotate = false;
        for (unsigned i = 0; i < STEPS_MAX && step_once(k, &f, now); i++)
                rotate_facts(k, now, &f);
        mind_turn(k, now);
        foresee_mind(k, now);
        follow_mind(k, now);
        mind_slots(k, &f);
        mind_drain(k, target, now);
        mind_gate(k);
        mind_reap(k);
        mind_beat(k, now);
}

void rotate_done(Kube *k) {
        if (k->command_call)
                k->command_call = kube_call_cancel(k->command_call);
        if (k->note_call)
                k->note_call = kube_call_cancel(k->note_call);
        k->drain = drain_free(k->drain);
        follow_done(k);
        sd_event_source_disable_unref(k->beat);
}
