/* SPDX-License-Identifier: Apache-2.0
 *
 * A cluster of one workload in a few lines, for the tests of the rotation's state machine: a ReplicaSet controller that
 * releases, adopts, replaces and removes what is too much; a kubelet that restarts main; a budget; an API that may be
 * away, refuse, or lose an answer; a leak. One step is one second. It is a model of what the real ones are documented
 * to do, no substitute for them.
 */
#pragma once

#include <stdio.h>

#include "kube/machine.h"
#include "unit/unit.h"
#include "util/clock.h"

#define WORLD_PODS_MAX 16u
#define NEVER          100000u

typedef enum Api { API_UP, API_DOWN, API_LOSES /* does it, and the answer is lost */ } Api;

typedef struct Peer {
        bool there;
        unsigned born, ready_at;
} Peer;

typedef struct World {
        /* how it is; may be changed by a test at any second */
        unsigned replicas, startup_s, slot_s, drain_s, restart_s, eta_s;
        Api api;
        bool no_detach, no_restore, no_evict, budget, fails /* replacements never start */, rolled, no_rs,
                no_slot_needed, blind;
        bool other /* our name is another pod's */, probe, calm, headroom, deaf /* main ignores SIGTERM */, slot_lost,
                stays_deleting;
        KubeStrategy strategy;
        KubeOptions o;
        unsigned age_s, young;

        /* what came of it */
        unsigned t;
        KubeMachine m, disk; /* in memory; as written down last */
        Peer peers[WORLD_PODS_MAX];
        bool gone, deleting, detached, seen_detached, fresh;
        unsigned deleting_at, main_born, main_at /* 0 = runs */, waiting_since, off_since, drain_since, full_at;
        uint64_t main_id;
        KubeReply reply;
        unsigned n_evict, n_signal, n_detach, n_restore, n_delete, n_resize, n_steps, lowest;
        bool killed_before, killed_after; /* the sidecar dies around its next command */
        char log[4096];
} World;

static inline World world_of(unsigned replicas) {
        World w = {.replicas = replicas,
                   .startup_s = 20,
                   .slot_s = 2,
                   .drain_s = 15,
                   .restart_s = 3,
                   .eta_s = 3600,
                   .strategy = KUBE_STRATEGY_DETACH,
                   .age_s = 7200,
                   .main_id = 1000,
                   .lowest = 99,
                   .fresh = true};

        w.o = (KubeOptions){.slots = 1,
                            .replace_timeout_usec = 300 * USEC_PER_SEC,
                            .soak_usec = 10 * USEC_PER_SEC,
                            .propagate_usec = 5 * USEC_PER_SEC,
                            .drain_usec = 300 * USEC_PER_SEC,
                            .margin_usec = 10 * USEC_PER_SEC,
                            .min_pod_age_usec = 600 * USEC_PER_SEC};
        for (unsigned i = 0; i + 1 < replicas; i++)
                w.peers[i] = (Peer){true, 0, 0};
        return w;
}

static inline bool world_ready(const Peer *p, unsigned t) {
        return p->there && p->ready_at <= t;
}

static inline unsigned world_count(const World *w, bool only_ready) {
        unsigned n = 0;

        for (unsigned i = 0; i < WORLD_PODS_MAX; i++)
                n += only_ready ? world_ready(&w->peers[i], w->t) : w->peers[i].there;
        return n;
}

static inline bool world_serves(const World *w) {
        return !w->gone && !w->deleting && kube_state_is_ready(w->m.state) && !w->main_at;
}

/* What the ReplicaSet controller does in a second. */
static inline void world_control(World *w) {
        bool counts = !w->gone && !w->deleting && !w->detached;
        unsigned want = w->replicas, have = world_count(w, false) + counts;

        if (w->no_rs)
                return;
        for (; have < want; have++)
                for (unsigned i = 0; i < WORLD_PODS_MAX; i++)
                        if (!w->peers[i].there) {
                                w->peers[i] = (Peer){true, w->t, w->fails ? NEVER : w->t + w->startup_s};
                                break;
                        }
        for (; have > want; have--) {
                Peer *worst = NULL; /* not ready first, then the youngest */

                for (unsigned i = 0; i < WORLD_PODS_MAX; i++) {
                        Peer *p = &w->peers[i];

                        if (p->there && (!worst || world_ready(p, w->t) < world_ready(worst, w->t) ||
                                         (world_ready(p, w->t) == world_ready(worst, w->t) && p->born > worst->born)))
                                worst = p;
                }
                if (worst)
                        worst->there = false;
                else {
                        w->deleting = counts;
                        w->deleting_at = w->t;
                        break;
                }
        }
}

/* The youngest peer born since the detachment, when Ready; 0 = none. */
static inline unsigned world_replacement(const World *w) {
        for (unsigned i = 0; i < WORLD_PODS_MAX; i++)
                if (world_ready(&w->peers[i], w->t) && w->peers[i].born > 0)
                        return w->peers[i].ready_at ? w->peers[i].ready_at : 1;
        return 0;
}

static inline uint64_t world_eta(const World *w) {
        unsigned age = w->t - w->main_born;

        if (w->main_at || w->calm)
                return USEC_INFINITY;
        return (uint64_t)(age < w->eta_s ? w->eta_s - age : 0) * USEC_PER_SEC;
}

static inline uint64_t world_now(unsigned t) {
        return (uint64_t)(t + 1) * USEC_PER_SEC;
}

static inline KubeFacts world_facts(World *w) {
        bool waiting = kube_state_wants_slot(w->m.state), off = !kube_state_is_ready(w->m.state);
        unsigned replacement = w->api == API_DOWN ? 0 : world_replacement(w);
        KubeFacts f = {.rotate = !w->calm && !w->main_at && w->main_born == 0,
                       .eta_usec = world_eta(w),
                       .main_id = w->main_at ? 0 : w->main_id,
                       .pod_age_usec = (uint64_t)w->age_s * USEC_PER_SEC,
                       .young = w->young,
                       .api = w->api != API_DOWN,
                       .strategy = w->strategy,
                       .rolled = w->rolled,
                       .unwanted = w->replicas == 0,
                       .replacement_failed = w->fails && world_count(w, false) > 0,
                       .replacement_ready_usec = replacement ? world_now(replacement) : 0,
                       .endpoint_known = w->api == API_UP && !w->blind,
                       .may_evict = !w->no_evict,
                       .evict_instead = !w->no_evict,
                       .may_delete = true,
                       .alive_probe = w->probe,
                       .headroom = w->headroom,
                       .grace_usec = 30 * USEC_PER_SEC,
                       .reply = w->reply,
                       .jitter = 0.5};

        w->waiting_since = !waiting ? 0 : w->waiting_since ? w->waiting_since : w->t + 1;
        w->off_since = !off ? 0 : w->off_since ? w->off_since : w->t + 1;
        w->drain_since = !kube_state_wants_drain(w->m.state) ? 0 : w->drain_since ? w->drain_since : w->t + 1;
        f.slot = w->no_slot_needed                          ? KUBE_SLOT_NOT_NEEDED
                 : !w->waiting_since                        ? KUBE_SLOT_WAITING
                 : w->slot_lost                             ? KUBE_SLOT_LOST
                 : w->t + 1 - w->waiting_since >= w->slot_s ? KUBE_SLOT_HELD
                                                            : KUBE_SLOT_WAITING;
        f.endpoint_off_usec = w->off_since && w->t + 1 - w->off_since >= 2 ? world_now(w->off_since + 1) : 0;
        f.drain_done = w->drain_since && w->t + 1 - w->drain_since >= w->drain_s;
        if (w->api != API_DOWN) { /* read again after whatever was lost */
                w->fresh = true;
                w->seen_detached = w->detached;
        }
        f.pod_known = w->fresh;
        f.pod_gone = w->other && w->fresh;
        f.pod_deleting = w->deleting && w->fresh && w->api != API_DOWN;
        f.detached = w->seen_detached;
        return f;
}

static inline void world_kill_main(World *w) {
        if (!w->main_at && !w->deaf) {
                w->main_at = w->t + w->restart_s;
                w->main_id++;
        }
}

static inline KubeReply world_obey_api(World *w, KubeCommand c) {
        switch (c) {
        case KUBE_COMMAND_DETACH:
                if (w->no_detach)
                        return KUBE_REPLY_REFUSED;
                if (w->detached)
                        return KUBE_REPLY_STALE;
                w->detached = true;
                return KUBE_REPLY_OK;
        case KUBE_COMMAND_RESTORE:
                if (w->no_restore)
                        return KUBE_REPLY_REFUSED;
                w->detached = false;
                return KUBE_REPLY_OK;
        case KUBE_COMMAND_EVICT:
        case KUBE_COMMAND_HINT:
                if (w->no_evict)
                        return KUBE_REPLY_REFUSED;
                if (w->budget)
                        return KUBE_REPLY_BUDGET;
                /* fallthrough */
        case KUBE_COMMAND_DELETE:
                if (!w->deleting)
                        w->deleting_at = w->t;
                w->deleting = true;
                return KUBE_REPLY_OK;
        default:
                return KUBE_REPLY_OK;
        }
}

static inline void world_obey(World *w, KubeCommand c) {
        unsigned *counts[] = {[KUBE_COMMAND_DETACH] = &w->n_detach, [KUBE_COMMAND_RESTORE] = &w->n_restore,
                              [KUBE_COMMAND_EVICT] = &w->n_evict,   [KUBE_COMMAND_DELETE] = &w->n_delete,
                              [KUBE_COMMAND_RESIZE] = &w->n_resize, [KUBE_COMMAND_SIGNAL] = &w->n_signal};

        if (c < ELEMENTSOF(counts) && counts[c])
                ++*counts[c];
        if (c == KUBE_COMMAND_SIGNAL) {
                world_kill_main(w);
                w->reply = KUBE_REPLY_OK;
                return;
        }
        if (c == KUBE_COMMAND_RESIZE) {
                w->eta_s += 600;
                return;
        }
        if (w->api == API_DOWN) {
                w->reply = KUBE_REPLY_LOST;
                w->fresh = false; /* may have been done, as far as we know */
                return;
        }
        w->reply = world_obey_api(w, c);
        if (w->api == API_LOSES)
                w->reply = KUBE_REPLY_LOST;
}

static inline void world_write(World *w, const char *what, const char *why) {
        size_t n = strlen(w->log);

        snprintf(w->log + n, sizeof(w->log) - n, "%s%u:%02u %s %s", n ? ", " : "", w->t / 60, w->t % 60, what, why);
}

/* The sidecar starts anew with what it had written down. */
static inline void world_restart_sidecar(World *w) {
        w->m = w->disk;
        w->reply = KUBE_REPLY_NONE;
        w->waiting_since = w->drain_since = w->off_since = 0;
}

static inline void world_sidecar(World *w) {
        for (unsigned i = 0; i < 4 && !w->gone; i++) {
                KubeFacts f = world_facts(w);
                KubeStep s = kube_machine_step(&w->m, &f, &w->o, world_now(w->t));

                if (!s.changed)
                        return;
                w->n_steps++;
                if (w->m.state != s.from) {
                        w->reply = KUBE_REPLY_NONE;
                        world_write(w, kube_state_name(w->m.state), kube_reason_name(w->m.reason));
                }
                w->disk = w->m; /* before the command */
                if (w->killed_before) {
                        w->killed_before = false;
                        world_restart_sidecar(w);
                        return;
                }
                if (s.command)
                        world_obey(w, s.command);
                if (w->killed_after) {
                        w->killed_after = false;
                        world_restart_sidecar(w);
                        return;
                }
        }
}

static inline void world_second(World *w) {
        unsigned serving;

        if (w->main_at && w->t >= w->main_at) {
                w->main_at = 0;
                w->main_born = w->t;
                w->eta_s = 3600;
        }
        if (w->deleting && w->t >= w->deleting_at + 5 && !w->stays_deleting)
                w->gone = true;
        if (!w->gone && !w->deleting && !w->main_at && world_eta(w) == 0 && !w->full_at) {
                w->full_at = w->t + 1; /* the kernel's */
                world_write(w, "KILLED", "oom");
                w->main_at = w->t + w->restart_s;
                w->main_id++;
        }
        if (!kube_state_may_live(w->m.state) && w->t >= w->m.since_usec / USEC_PER_SEC + 30)
                world_kill_main(w);
        world_control(w);
        if (!w->gone)
                world_sidecar(w);
        world_control(w);
        serving = world_count(w, true) + world_serves(w);
        w->lowest = min_of(w->lowest, serving);
        w->t++;
}

static inline void world_run(World *w, unsigned until_s) {
        while (w->t < until_s)
                world_second(w);
}

static inline bool world_is_over(const World *w) {
        return w->gone || w->m.state == KUBE_STATE_DONE || w->m.state == KUBE_STATE_NORMAL;
}
