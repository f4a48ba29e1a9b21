/* SPDX-License-Identifier: Apache-2.0
 *
 * The rotation's state machine in a small world: what is known to go wrong, each with its time line.
 */
#include "unit/kube-world.h"

typedef struct Scenario {
        const char *name;
        unsigned replicas, until_s;
        void (*set)(World *w); /* before the first second */
        unsigned at_s;         /* when @then comes; 0 = never */
        void (*then)(World *w);
        unsigned lowest; /* how many pods served at the least */
        const char *want;
} Scenario;
#define SET(name, ...)                                                                                                 \
        static void name(World *w) {                                                                                   \
                w->__VA_ARGS__;                                                                                        \
        }

SET(calm, calm = true)
SET(fails, fails = true)
SET(api_down, api = API_DOWN)
SET(loses, api = API_LOSES)
SET(no_detach, no_detach = true)
SET(by_evict, strategy = KUBE_STRATEGY_EVICT)
SET(young, age_s = 60)
SET(waits, slot_s = NEVER)
SET(slow_drain, drain_s = NEVER)
SET(scaled_to_zero, replicas = 0)
SET(slot_lost, slot_lost = true)
SET(spike, eta_s = w->t + 5)
SET(gone, other = true)

static void no_rights(World *w) {
        w->no_detach = w->no_evict = true;
}
static void budget(World *w) {
        w->budget = true;
        w->strategy = KUBE_STRATEGY_EVICT;
        w->eta_s = 130;
}
static void budget_for_days(World *w) {
        by_evict(w);
        w->budget = true;
}
static void past_budget(World *w) {
        budget(w);
        w->eta_s = 200;
        w->o.evict_past_budget = true;
}
static void webhook(World *w) {
        w->no_evict = true;
        w->strategy = KUBE_STRATEGY_EVICT;
}
static void in_place(World *w) {
        w->strategy = KUBE_STRATEGY_IN_PLACE;
        w->no_slot_needed = true;
        w->api = API_DOWN;
        w->blind = true;
}
static void in_place_probe(World *w) {
        in_place(w);
        w->probe = true;
}
static void main_restarts(World *w) {
        world_kill_main(w);
}
static void rolled(World *w) {
        w->rolled = true;
        for (unsigned i = 0; i < WORLD_PODS_MAX; i++) /* what came up last will not be Ready */
                if (w->peers[i].there && w->peers[i].ready_at > w->t)
                        w->peers[i].ready_at = NEVER;
}
static void deleted(World *w) {
        w->deleting = true;
        w->deleting_at = w->t;
}
static void storm(World *w) { /* no slot ever, and the limit comes */
        w->slot_s = NEVER;
        w->eta_s = 400;
        w->api = API_DOWN;
}
static void leaks_at_once(World *w) {
        w->young = 3;
        w->age_s = 1800;
}
static void breaker(World *w) {
        w->young = 6;
        w->age_s = 7200;
}
static void short_headroom(World *w) {
        w->headroom = true;
        w->startup_s = NEVER;
        w->eta_s = 380;
}
static void deaf(World *w) {
        w->deaf = true;
        in_place(w);
}
static void late(World *w) {
        w->startup_s = NEVER;
}
static void orphan(World *w) {
        w->detached = true;
        w->calm = true;
}
static void lost_orphan(World *w) { /* neither file nor annotation: nobody knows the label's value */
        orphan(w);
        w->no_restore = true;
        w->strategy = KUBE_STRATEGY_IN_PLACE;
}
static void late_orphan(World *w) { /* seen as one only when it waits already */
        lost_orphan(w);
        waits(w);
        w->calm = false;
        w->api = API_DOWN;
}
SET(api_up, api = API_UP)
static void stuck_orphan(World *w) {
        lost_orphan(w);
        w->no_evict = true;
}

static const Scenario scenarios[] = {
        {"a leak in a Deployment: no dip", 3, 120, NULL, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:32 unready replaced, "
         "0:39 draining out_of_traffic, 0:54 terminating drained, 0:54 done removed"},
        {"one replica: no dip either", 1, 120, NULL, 0, NULL, 1,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:32 unready replaced, "
         "0:39 draining out_of_traffic, 0:54 terminating drained, 0:54 done removed"},
        {"a StatefulSet: drained before it goes", 3, 120, by_evict, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 unready slot, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 0:24 done removed"},
        {"growth stops while it waits for a slot", 3, 60, waits, 20, calm, 3,
         "0:00 lease_wait armed, 0:20 normal growth_stopped"},
        {"growth stops before the replacement is there", 3, 60, NULL, 12, calm, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "0:12 aborting growth_stopped, 0:12 normal reattached"},
        {"growth stops after it: the rotation goes on", 3, 120, NULL, 40, calm, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:32 unready replaced, "
         "0:39 draining out_of_traffic, 0:54 terminating drained, 0:54 done removed"},
        {"the replacement cannot start: label back, and then it waits", 3, 900, fails, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "0:02 aborting replacement_failed, 0:02 normal reattached, 5:02 lease_wait armed, "
         "5:04 surging slot, 5:04 wait_ready detached, 5:04 aborting replacement_failed, "
         "5:04 normal reattached"},
        {"the replacement is not Ready in time", 3, 400, late, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "5:02 aborting replacement_late, 5:02 normal reattached"},
        {"a spike while the replacement comes up: SIGTERM", 3, 60, NULL, 10, spike, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "0:10 signalled last_moment, 0:13 aborting main_restarted, 0:13 normal reattached"},
        {"a spike that no plan is for", 3, 30, waits, 10, spike, 2,
         "0:00 lease_wait armed, 0:10 signalled last_moment, 0:13 normal main_restarted"},
        {"deployment rolled while detached: never back to a ReplicaSet that goes", 3, 800, NULL, 10, rolled, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "10:02 unready replacement_late, 10:09 draining out_of_traffic, 10:24 terminating drained, "
         "10:24 done removed"},
        {"scaled to zero while detached", 3, 80, NULL, 10, scaled_to_zero, 0,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:10 unready unwanted, "
         "0:17 draining out_of_traffic, 0:32 terminating drained, 0:32 done removed"},
        {"the pod is deleted by somebody else", 3, 30, NULL, 10, deleted, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:10 done deleted"},
        {"its name is another pod's", 3, 30, NULL, 10, gone, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:10 done gone"},
        {"main restarted while the replacement comes up: label back", 3, 60, NULL, 10, main_restarts, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "0:10 aborting growth_stopped, 0:10 normal reattached"},
        {"main restarted while it waits", 3, 60, waits, 10, main_restarts, 2,
         "0:00 lease_wait armed, 0:10 normal growth_stopped"},
        {"every answer is lost: it is done all the same", 3, 120, loses, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:32 unready replaced, "
         "0:42 draining out_of_traffic, 0:57 terminating drained, 0:57 done removed"},
        {"403 on the patch: evict instead", 3, 120, no_detach, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 unready refused, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 0:24 done removed"},
        {"403 on all: main restarts in place, once", 3, 900, no_rights, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 unready refused, 0:09 draining out_of_traffic, "
         "0:24 signalled drained, 0:27 normal main_restarted"},
        {"a webhook denies the eviction", 3, 900, webhook, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 unready slot, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 0:27 signalled refused, 0:30 normal main_restarted"},
        {"the budget is used up until the limit is near: SIGTERM", 3, 300, budget, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 unready slot, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 1:50 signalled refused, 1:53 normal main_restarted"},
        {"the budget is used up, and the limit far away: out of its Services for minutes, not for hours", 3, 300,
         budget_for_days, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 unready slot, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 2:24 signalled refused, 2:27 normal main_restarted"},
        {"the same, and deleting is allowed", 3, 300, past_budget, 0, NULL, 2,
         "0:00 lease_wait armed, 0:02 unready slot, 0:09 draining out_of_traffic, "
         "0:24 terminating drained, 3:00 done removed"},
        {"the API goes while the replacement comes up", 3, 1200, NULL, 6, api_down, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, "
         "5:02 aborting replacement_late"},
        {"the API goes before the patch", 3, 400, NULL, 2, api_down, 2,
         "0:00 lease_wait armed, 0:02 surging slot, 1:02 unready api_down, 1:12 draining out_of_traffic, "
         "1:27 signalled drained, 1:30 aborting main_restarted"},
        {"no slot, no API, the limit comes: in place before it is too late", 3, 400, storm, 0, NULL, 2,
         "0:00 lease_wait armed, 0:50 unready api_down, 1:00 draining out_of_traffic, "
         "1:15 signalled drained, 1:18 normal main_restarted"},
        {"no API at all: drained, SIGTERM", 3, 120, in_place, 0, NULL, 2,
         "0:00 lease_wait armed, 0:00 unready slot, 0:10 draining out_of_traffic, "
         "0:25 signalled drained, 0:28 normal main_restarted"},
        {"no API at all, the kubelet's probe", 3, 120, in_place_probe, 0, NULL, 2,
         "0:00 lease_wait armed, 0:00 unready slot, 0:10 draining out_of_traffic, 0:25 in_place drained, "
         "1:25 normal main_restarted"},
        {"main ignores SIGTERM: one signal, then it waits", 3, 300, deaf, 0, NULL, 2,
         "0:00 lease_wait armed, 0:00 unready slot, 0:10 draining out_of_traffic, "
         "0:25 signalled drained, 1:25 normal no_effect"},
        {"a slot lost while the replacement comes up: label back", 3, 60, NULL, 10, slot_lost, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:10 aborting slot_lost, "
         "0:10 normal reattached"},
        {"a slow drain does not hold the slot for ever", 3, 500, slow_drain, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached, 0:32 unready replaced, "
         "0:39 draining out_of_traffic, 5:39 terminating drain_late, 5:39 done removed"},
        {"too young", 3, 60, young, 0, NULL, 3, ""},
        {"replacements leak at once: the age it must have doubles", 3, 60, leaks_at_once, 0, NULL, 3, ""},
        {"and doubles: the breaker", 3, 60, breaker, 0, NULL, 3, ""},
        {"headroom once, when a rotation will not be in time", 3, 300, short_headroom, 0, NULL, 3,
         "0:00 lease_wait armed, 0:02 surging slot, 0:02 wait_ready detached"},
        {"found detached without a rotation: label back", 3, 30, orphan, 0, NULL, 3,
         "0:00 aborting orphan, 0:00 normal reattached"},
        {"and its label's value is lost: it goes, main is not restarted over and over", 3, 300, lost_orphan, 0, NULL, 2,
         "0:00 aborting orphan, 0:03 unready refused, 0:10 draining out_of_traffic, 0:25 terminating drained, "
         "0:25 done removed"},
        {"and it was armed before it was read", 3, 300, late_orphan, 5, api_up, 2,
         "0:00 lease_wait armed, 0:05 aborting orphan, 0:08 unready refused, 0:15 draining out_of_traffic, "
         "0:30 terminating drained, 0:30 done removed"},
        {"without the right to: it serves on until a peer removes it", 3, 900, stuck_orphan, 0, NULL, 3,
         "0:00 aborting orphan"},
};

static void test_scenarios(void **state _unused_) {
        unsigned failed = 0;

        for (size_t i = 0; i < ELEMENTSOF(scenarios); i++) {
                const Scenario *s = &scenarios[i];
                World w = world_of(s->replicas);

                if (s->set)
                        s->set(&w);
                if (s->then) {
                        world_run(&w, s->at_s);
                        s->then(&w);
                }
                world_run(&w, s->until_s);
                if (strcmp(w.log, s->want) != 0 || w.lowest != s->lowest) {
                        print_message("# %s: lowest %u\n  want: \"%s\"\n   got: \"%s\"\n", s->name, w.lowest, s->want,
                                      w.log);
                        failed++;
                }
        }
        assert_int_equal(failed, 0);
}

/* ---- what has the time ---- */

/* With 5 min of drain at most and 336 s left: a drain of half of that is better than SIGTERM at the last moment. */
static void test_least(void **state _unused_) {
        static const struct {
                unsigned eta_s, learned_drain_s;
                KubeStrategy best; /* of those by the API, AUTO: none has the time */
        } cases[] = {
                {3600, 0, KUBE_STRATEGY_DETACH}, {336, 0, KUBE_STRATEGY_DETACH},  {260, 0, KUBE_STRATEGY_DETACH},
                {230, 0, KUBE_STRATEGY_EVICT},   {120, 0, KUBE_STRATEGY_EVICT},   {90, 0, KUBE_STRATEGY_AUTO},
                {160, 20, KUBE_STRATEGY_DETACH}, {140, 20, KUBE_STRATEGY_EVICT},  {60, 0, KUBE_STRATEGY_AUTO},
        };
        World w = world_of(3);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                KubeFacts f = {.eta_usec = cases[i].eta_s * USEC_PER_SEC,
                               .drain_usec = cases[i].learned_drain_s * USEC_PER_SEC,
                               .grace_usec = 30 * USEC_PER_SEC};
                KubeStrategy best = KUBE_STRATEGY_AUTO;

                if (f.eta_usec > kube_machine_least_usec(KUBE_STRATEGY_DETACH, &f, &w.o))
                        best = KUBE_STRATEGY_DETACH;
                else if (f.eta_usec > kube_machine_least_usec(KUBE_STRATEGY_EVICT, &f, &w.o))
                        best = KUBE_STRATEGY_EVICT;
                if (best != cases[i].best)
                        fail_msg("%u s left: %s", cases[i].eta_s, kube_strategy_name(best));
        }
}

/* ---- the sidecar is killed at each step, before and after its command ---- */

static void check_end(const World *w, const char *what) {
        if (!world_is_over(w) || (w->detached && !w->gone && !w->deleting) || w->n_evict > 3 || w->n_signal > 1)
                fail_msg("%s: ends in %s, detached %d, %u evictions, %u signals: %s", what, kube_state_name(w->m.state),
                         w->detached, w->n_evict, w->n_signal, w->log);
}

static void test_killed_at_each_step(void **state _unused_) {
        static const KubeStrategy strategies[] = {KUBE_STRATEGY_DETACH, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_HINT,
                                                  KUBE_STRATEGY_IN_PLACE};

        for (size_t i = 0; i < ELEMENTSOF(strategies); i++)
                for (unsigned how = 0; how < 4; how++)
                        for (unsigned step = 0; step < 9; step++) {
                                World w = world_of(3);
                                char what[80];

                                w.strategy = strategies[i];
                                w.probe = how == 3;
                                w.fails = how == 2;
                                for (; w.n_steps < step && w.t < 600; world_second(&w))
                                        ;
                                *(how & 1 ? &w.killed_after : &w.killed_before) = true;
                                if (w.fails) /* it comes up at last, or not: then it ends with the label back */
                                        w.o.min_pod_age_usec = 24 * USEC_PER_HOUR;
                                world_run(&w, 900);
                                snprintf(what, sizeof(what), "%s, step %u, %u", kube_strategy_name(strategies[i]), step,
                                         how);
                                check_end(&w, what);
                                if (how != 2 && strategies[i] == KUBE_STRATEGY_DETACH)
                                        assert_int_equal(w.lowest, 3);
                        }
}

/* ---- random walks ---- */

static uint64_t draw(uint64_t *seed) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        return *seed ^= *seed << 17;
}

static bool chance(uint64_t *seed, unsigned one_in) {
        return draw(seed) % one_in == 0;
}

/* Something happens to the world. What dips it by itself (main ends, the pod is deleted) is told. */
static bool trouble(World *w, uint64_t *seed) {
        switch (draw(seed) % 14) {
        case 0:
        case 1:
                w->api = (Api)(draw(seed) % 3);
                return false;
        case 2:
                w->api = API_UP;
                return false;
        case 3:
                w->no_detach = chance(seed, 2);
                return w->no_detach; /* then it is evicted */
        case 4:
                w->no_evict = chance(seed, 2);
                return w->no_evict; /* then main is restarted */
        case 5:
                w->budget = chance(seed, 2);
                return w->budget;
        case 6:
                w->fails = chance(seed, 2);
                return false;
        case 7:
                w->calm = chance(seed, 2);
                return false;
        case 8:
                w->slot_lost = chance(seed, 2);
                return false;
        case 9:
                world_kill_main(w);
                return true;
        case 10:
                w->killed_before = true;
                return false;
        case 11:
                w->killed_after = true;
                return false;
        case 12:
                w->drain_s = (unsigned)(draw(seed) % 400);
                return false;
        default:
                w->startup_s = (unsigned)(draw(seed) % 400);
                return false;
        }
}

static void walk(uint64_t seed) {
        World w = world_of(1 + (unsigned)(draw(&seed) % 4));
        bool dips = false;
        unsigned replicas = w.replicas, one_in = 5 + (unsigned)(draw(&seed) % 60);

        w.eta_s = chance(&seed, 3) ? 60 + (unsigned)(draw(&seed) % 600) : 100000;
        dips |= w.eta_s < 100000; /* the limit comes: what is left is to restart */
        while (w.t < 1500 && !w.gone) {
                if (chance(&seed, one_in))
                        dips |= trouble(&w, &seed);
                dips |= w.api != API_UP; /* degraded to a restart in place, or without a view of the replacement */
                world_second(&w);
                if (!dips && w.lowest < replicas)
                        fail_msg("a dip to %u of %u: %s", w.lowest, replicas, w.log);
                if (kube_state_wants_slot(w.m.state) && w.m.state != KUBE_STATE_LEASE_WAIT)
                        assert_true(w.m.deadline_usec > 0); /* never detached without one */
        }
        /* the world comes to rest: so does the rotation */
        w.api = API_UP;
        w.no_detach = w.no_evict = w.budget = w.slot_lost = w.fails = false;
        w.calm = true;
        w.startup_s = 5;
        for (unsigned i = 0; i < WORLD_PODS_MAX; i++)
                if (w.peers[i].ready_at == NEVER)
                        w.peers[i].ready_at = w.t;
        world_run(&w, w.t + 2500);
        if (!world_is_over(&w) || (w.detached && !w.gone && !w.deleting))
                fail_msg("does not come to rest: %s, detached %d, %s", kube_state_name(w.m.state), w.detached, w.log);
        assert_true(world_count(&w, true) + world_serves(&w) >= replicas);
}

static void test_walks(void **state _unused_) {
        for (uint64_t seed = 1; seed <= 3000; seed++)
                walk(seed * 0x9e3779b97f4a7c15ULL);
}

static void test_headroom_once(void **state _unused_) {
        World w = world_of(3);

        short_headroom(&w);
        world_run(&w, 600);
        assert_int_equal(w.n_resize, 1);
}

/* A Job's pod: it is given room, step by step, and is let be at the last moment. */
static void test_one_shot(void **state _unused_) {
        KubeOptions o = {.margin_usec = 10 * USEC_PER_SEC};
        KubeMachine m = {0};
        KubeFacts f = {.rotate = true,
                       .eta_usec = 60 * USEC_PER_SEC,
                       .main_id = 1,
                       .pod_known = true,
                       .api = true,
                       .headroom = true,
                       .one_shot = true,
                       .strategy = KUBE_STRATEGY_SIGNAL};
        uint64_t now = 1000 * USEC_PER_SEC;

        assert_int_equal(kube_machine_step(&m, &f, &o, now).command, KUBE_COMMAND_RESIZE);
        f.reply = KUBE_REPLY_PENDING;
        assert_int_equal(kube_machine_step(&m, &f, &o, now).command, KUBE_COMMAND_NONE);
        f.reply = KUBE_REPLY_OK; /* and the node has given it: there is more to ask for */
        assert_int_equal(kube_machine_step(&m, &f, &o, now).command, KUBE_COMMAND_RESIZE);
        f.reply = KUBE_REPLY_REFUSED;
        assert_int_equal(kube_machine_step(&m, &f, &o, now).command, KUBE_COMMAND_NONE);
        f.headroom = false;
        f.eta_usec = 0;
        assert_int_equal(kube_machine_step(&m, &f, &o, now).reason, KUBE_REASON_NO_TIME);
        assert_int_equal(m.state, KUBE_STATE_NORMAL);
        f.one_shot = false;
        assert_int_equal(kube_machine_step(&m, &f, &o, now).command, KUBE_COMMAND_SIGNAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scenarios),
                cmocka_unit_test(test_least), cmocka_unit_test(test_killed_at_each_step),
                cmocka_unit_test(test_walks),     cmocka_unit_test(test_headroom_once),
                cmocka_unit_test(test_one_shot),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
