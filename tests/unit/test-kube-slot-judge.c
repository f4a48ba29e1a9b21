/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/slot-judge.h"

#include "slots-world.h"

static World w;

static void test_free_one(void **state _unused_) {
        world_init(&w, 1, 2, 1);
        w.pod[0].starts = true;
        run_until_held(&w, 0, 5 * S);
        assert_int_equal(w.pod[0].requests, 2); /* read, take */
        run_for(&w, 300 * S);
        assert_true(holds(&w, 0));
        assert_int_equal(w.pod[0].lost_times, 0);
        assert_in_range(w.pod[0].requests, 12, 18); /* a renewal each 20 s */
        w.pod[0].done = true;
        run_for(&w, 10 * S);
        assert_true(slot_is_quiet(&w.pod[0].mind));
        assert_true(!w.lease[0].holder[0] && !w.lease[1].holder[0]);
        assert_true(slot_judge(&w.pod[0].mind, local(&w, w.pod)).wake_usec == USEC_INFINITY);
}

static void two(uint64_t seed) {
        world_init(&w, 2, 1, seed);
        w.pod[0].starts = true;
        run_until_held(&w, 0, 5 * S);
        w.pod[1].starts = true;
        run_for(&w, 300 * S);
        assert_true(holds(&w, 0) && !holds(&w, 1));
}

static void test_released(void **state _unused_) {
        two(2);
        w.pod[0].done = true;
        assert_in_range(run_until_held(&w, 1, 60 * S), 1, 12 * S);
}

static void test_holder_pod_gone(void **state _unused_) {
        two(3);
        w.pod[0].dead = w.pod[0].gone = true;
        assert_in_range(run_until_held(&w, 1, 60 * S), 1, 30 * S);
}

static void test_holder_process_gone(void **state _unused_) {
        two(4);
        w.pod[0].dead = true;
        assert_in_range(run_until_held(&w, 1, 120 * S), 50 * S, 90 * S);
}

/* A TTL of years, or of nothing, does not hold a slot for ever. */
static void test_odd_ttl(void **state _unused_) {
        static const uint64_t odd[] = {0, 1, 10 * 365 * USEC_PER_DAY, UINT64_MAX};

        for (size_t i = 0; i < ELEMENTSOF(odd); i++) {
                world_init(&w, 2, 1, 5 + i);
                w.lease[0] = (SlotLease){.holder = "p1/u1", .renewed = "x", .version = "0", .ttl_usec = odd[i]};
                w.pod[0].starts = true;
                assert_in_range(run_until_held(&w, 0, 5000 * S), 12 * S, 4600 * S);
        }
}

static void test_stopped_but_not_robbed(void **state _unused_) {
        world_init(&w, 1, 1, 6);
        w.pod[0].starts = true;
        run_until_held(&w, 0, 5 * S);
        w.pod[0].stopped_until = w.t + 600 * S;
        run_for(&w, 50 * S);
        assert_true(slot_is_lost(&w.pod[0].mind, local(&w, w.pod))); /* before it could do anything */
        run_for(&w, 560 * S);
        assert_true(holds(&w, 0)); /* nobody took it meanwhile */
        assert_int_equal(w.pod[0].lost_times, 0);
}

static void test_stopped_and_robbed(void **state _unused_) {
        two(7);
        w.pod[0].stopped_until = w.t + 600 * S;
        assert_in_range(run_until_held(&w, 1, 200 * S), 40 * S, 100 * S);
        run_for(&w, 600 * S);
        assert_true(holds(&w, 1) && !holds(&w, 0));
        assert_true(w.pod[0].lost_times > 0);
}

static void test_split_brain(void **state _unused_) {
        two(8);
        w.pod[0].mute_until = w.t + 300 * S;
        run_for(&w, 45 * S);
        assert_true(slot_is_lost(&w.pod[0].mind, local(&w, w.pod)));
        assert_true(!holds(&w, 1)); /* between the two, nobody */
        assert_in_range(run_until_held(&w, 1, 60 * S), 1, 50 * S);
        run_for(&w, 600 * S);
        assert_true(holds(&w, 1) && !holds(&w, 0));
}

/* Every fate of a write: done or not, told or not. */
static void test_lost_answers(void **state _unused_) {
        for (uint64_t seed = 1; seed < 200; seed++) {
                world_init(&w, 1, 1, seed);
                w.loss_percent = 60;
                w.pod[0].starts = true;
                run_until_held(&w, 0, 300 * S);
                w.pod[0].done = true;
                w.loss_percent = 30;
                run_for(&w, 62 * S);
                assert_true(slot_is_quiet(&w.pod[0].mind));
                assert_true(!w.lease[0].holder[0]);
        }
}

static void test_unwanted_while_taking(void **state _unused_) {
        world_init(&w, 1, 1, 9);
        w.pod[0].starts = true;
        while (w.pod[0].move.what != SLOT_DO_TAKE)
                tick(&w);
        w.pod[0].done = true;
        run_for(&w, 10 * S);
        assert_true(!w.lease[0].holder[0] && w.lease[0].transitions == 1);
}

static void test_restarted_sidecar(void **state _unused_) {
        two(10);
        w.pod[0].dead = true;
        run_for(&w, 20 * S);
        start(&w, 0);
        run_until_held(&w, 0, 10 * S);
        assert_int_equal(w.lease[0].transitions, 1);
        run_for(&w, 100 * S);
        assert_true(!holds(&w, 1));
}

/* The most urgent is next, whoever came first. */
static void test_order(void **state _unused_) {
        static const unsigned left_s[] = {0, 6000, 900, 3000, 1800};

        for (uint64_t seed = 1; seed < 20; seed++) {
                world_init(&w, 5, 1, seed);
                w.pod[0].starts = true;
                run_until_held(&w, 0, 5 * S);
                for (unsigned i = 1; i < 5; i++) {
                        w.pod[i].starts = true;
                        w.pod[i].limit = w.t + left_s[i] * S;
                }
                run_for(&w, 60 * S);
                w.pod[0].done = true;
                run_until_held(&w, 2, 30 * S);
                run_for(&w, 60 * S);
                w.pod[2].done = true;
                run_until_held(&w, 4, 30 * S);
        }
}

static void test_urgent_passes(void **state _unused_) {
        two(11);
        w.pod[1].limit = w.t + 500 * S;
        run_for(&w, 60 * S);
        w.pod[0].done = true;
        w.pod[1].stopped_until = w.t + 20 * S; /* its bid stands still */
        w.pod[0].again_at = 0;
        run_for(&w, 5 * S);
        assert_true(!w.lease[0].holder[0]);
        w.pod[0].done = false;
        w.pod[0].urgent = true;
        run_until_held(&w, 0, 10 * S);
        assert_true(w.pod[0].mind.passed);
}

/* A bid of somebody who does not take what it bid for holds nobody up for long. */
static void test_dead_bidder(void **state _unused_) {
        two(12);
        w.pod[1].limit = w.t + 500 * S;
        run_for(&w, 60 * S);
        w.pod[1].dead = true;
        w.pod[0].done = true;
        run_for(&w, 10 * S);
        w.pod[0].done = false;
        assert_in_range(run_until_held(&w, 0, 100 * S), 1, 45 * S);
        assert_false(w.pod[0].mind.passed);
}

static void test_useless(void **state _unused_) {
        for (int denied = 0; denied < 2; denied++) {
                world_init(&w, 1, 2, 13);
                w.missing = !denied;
                w.denied = denied;
                w.pod[0].starts = true;
                run_for(&w, 10 * S);
                assert_true(slot_is_useless(&w.pod[0].mind));
                assert_in_range(w.pod[0].requests, 2, 2);
                w.missing = w.denied = false; /* made meanwhile */
                run_until_held(&w, 0, 120 * S);
        }
        two(14);
        w.missing = true; /* the namespace goes */
        run_for(&w, 45 * S);
        assert_true(!holds(&w, 0) && w.pod[0].lost_times > 0);
}

static void test_without_notes(void **state _unused_) {
        world_init(&w, 2, 1, 15);
        w.notes_denied = true;
        w.pod[0].starts = w.pod[1].starts = true;
        run_for(&w, 100 * S);
        assert_int_equal(n_holders(&w), 1);
        w.pod[holds(&w, 0) ? 0 : 1].done = true;
        run_for(&w, 20 * S);
        assert_int_equal(n_holders(&w), 1);
}

/* Told by hand, for what a world does rarely. */
static SlotMove told(SlotMind *m, SlotMove move, const SlotLease *lease, uint64_t sent, uint64_t now) {
        SlotNews news = {.move = move, .reply = SLOT_REPLY_OK, .lease = lease, .sent_usec = sent, .jitter = 0.5};

        slot_reply(m, &news, now);
        return slot_judge(m, now);
}

/* What counts is when it was asked: an answer that comes late tells of the past. */
static void test_late_answer(void **state _unused_) {
        SlotLease lease = {.version = "1"};
        SlotSeen seen = {0};
        SlotMind m;

        slot_mind_init(&m, &seen, 1, 0, "a/b", W_TTL);
        slot_want(&m, true, USEC_INFINITY, false, 100 * S);
        assert_int_equal(slot_judge(&m, 100 * S).what, SLOT_DO_READ);
        assert_int_equal(told(&m, (SlotMove){.what = SLOT_DO_READ}, &lease, 100 * S, 100 * S).what, SLOT_DO_TAKE);
        lease = (SlotLease){.version = "2", .holder = "a/b", .renewed = "x", .transitions = 1};
        told(&m, (SlotMove){.what = SLOT_DO_TAKE}, &lease, 100 * S, 130 * S);
        assert_true(slot_is_held(&m, 130 * S) && slot_is_held(&m, 140 * S - 1));
        assert_true(slot_is_lost(&m, 140 * S) && !slot_is_held(&m, 140 * S));
}

/* Ours again is not ours still: somebody had it in between, and another process of our pod took it back. */
static void test_held_in_between(void **state _unused_) {
        SlotLease lease = {.version = "2", .holder = "a/b", .renewed = "x", .transitions = 1};
        SlotSeen seen = {0};
        SlotMind m;

        slot_mind_init(&m, &seen, 1, 0, "a/b", W_TTL);
        slot_want(&m, true, USEC_INFINITY, false, 100 * S);
        assert_int_equal(told(&m, (SlotMove){.what = SLOT_DO_READ}, &lease, 100 * S, 100 * S).what, SLOT_DO_RENEW);
        told(&m, (SlotMove){.what = SLOT_DO_RENEW}, &lease, 100 * S, 100 * S);
        assert_true(slot_is_held(&m, 100 * S));
        assert_int_equal(slot_judge(&m, 150 * S).what, SLOT_DO_READ);
        lease.transitions = 3;
        assert_int_equal(told(&m, (SlotMove){.what = SLOT_DO_READ}, &lease, 150 * S, 150 * S).what, SLOT_DO_NONE);
        assert_true(slot_is_lost(&m, 150 * S));
        slot_want(&m, false, 0, false, 151 * S);
        assert_int_equal(slot_judge(&m, 151 * S).what, SLOT_DO_RELEASE);
}

static void test_bid_withdrawn(void **state _unused_) {
        two(17);
        assert_string_equal(w.lease[0].bidder, "p1/u1");
        w.pod[1].done = true;
        run_for(&w, 10 * S);
        assert_string_equal(w.lease[0].bidder, "");
        assert_true(holds(&w, 0));
}

static void test_look(void **state _unused_) {
        world_init(&w, 1, 4, 16);
        slot_look(&w.pod[0].mind);
        run_for(&w, 60 * S);
        assert_int_equal(w.pod[0].requests, 4);
        w.pod[0].mute_until = w.t + 1000 * S; /* nobody answers: given up */
        slot_look(&w.pod[0].mind);
        run_for(&w, 1000 * S);
        assert_int_equal(w.pod[0].requests, 7);
        assert_true(slot_judge(&w.pod[0].mind, local(&w, w.pod)).wake_usec == USEC_INFINITY);
}

/* ---- at random ---- */

static void disturb(void) {
        WorldPod *p = w.pod + draw(&w, w.n_pods);

        switch (draw(&w, 5)) {
        case 0:
                p->stopped_until = w.t + draw(&w, 200 * S);
                break;
        case 1:
                p->mute_until = w.t + draw(&w, 200 * S);
                break;
        case 2: /* the sidecar is started again; not in a pod that is gone */
                if (!p->gone)
                        start(&w, (unsigned)(p - w.pod));
                break;
        case 3:
                p->dead = true;
                p->gone = draw(&w, 2);
                break;
        default:
                p->urgent = draw(&w, 2);
        }
}

static bool is_over(void) {
        for (unsigned i = 0; i < w.n_pods; i++)
                if (!w.pod[i].done && !w.pod[i].dead)
                        return false;
        return true;
}

/* 30 pods, 2 slots: at no time do more than 2 believe to have one, and everybody who lives gets through. */
static void test_storm(void **state _unused_) {
        unsigned most = 0, robbed = 0;

        for (uint64_t seed = 1; seed <= 60; seed++) {
                world_init(&w, W_PODS, 2, seed);
                w.loss_percent = (unsigned)draw(&w, 30);
                for (unsigned i = 0; i < W_PODS; i++) {
                        w.pod[i].starts = true;
                        w.pod[i].again_at = w.t + draw(&w, 60 * S);
                        w.pod[i].work_left = S + draw(&w, 60 * S);
                        w.pod[i].limit = draw(&w, 4) ? w.t + draw(&w, 3600 * S) : USEC_INFINITY;
                }
                while (!is_over()) {
                        tick(&w);
                        if (w.t < 900 * S && draw(&w, 15) == 0)
                                disturb();
                        if (w.t > 4 * 3600 * S)
                                fail_msg("seed %llu: not over after 4 h", (unsigned long long)seed);
                }
                most = max_of(most, w.held_most);
                for (unsigned i = 0; i < W_PODS; i++)
                        robbed += w.pod[i].lost_times;
        }
        print_message("# at most %u at once, %u times one was lost\n", most, robbed);
        assert_int_equal(most, 2);
        assert_true(robbed > 10); /* or the storm is none */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_free_one),
                cmocka_unit_test(test_released),
                cmocka_unit_test(test_holder_pod_gone),
                cmocka_unit_test(test_holder_process_gone),
                cmocka_unit_test(test_odd_ttl),
                cmocka_unit_test(test_stopped_but_not_robbed),
                cmocka_unit_test(test_stopped_and_robbed),
                cmocka_unit_test(test_split_brain),
                cmocka_unit_test(test_lost_answers),
                cmocka_unit_test(test_unwanted_while_taking),
                cmocka_unit_test(test_restarted_sidecar),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_urgent_passes),
                cmocka_unit_test(test_dead_bidder),
                cmocka_unit_test(test_useless),
                cmocka_unit_test(test_without_notes),
                cmocka_unit_test(test_late_answer),
                cmocka_unit_test(test_held_in_between),
                cmocka_unit_test(test_bid_withdrawn),
                cmocka_unit_test(test_look),
                cmocka_unit_test(test_storm),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
