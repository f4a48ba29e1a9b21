/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/drain.h"

#include "unit/unit.h"
#include "util/clock.h"

#define S USEC_PER_SEC

typedef struct Step {
        uint64_t at_usec;
        unsigned established;
        DrainEnd end;
        uint64_t wait_usec;
        bool unknown, dead, telling;
        uint64_t cost_usec;
} Step;

static void play(const char *name, uint64_t deadline_usec, const Step *steps, size_t n) {
        DrainJudge j = {.deadline_usec = deadline_usec};

        for (size_t i = 0; i < n; i++) {
                const Step *s = &steps[i];
                DrainLook l = {.now_usec = s->at_usec,
                               .cost_usec = s->cost_usec,
                               .alive = !s->dead,
                               .known = !s->unknown && !s->dead,
                               .telling = s->telling,
                               .established = s->established};
                uint64_t wait = 1;
                DrainEnd end = drain_judge(&j, &l, &wait);

                if (end != s->end || wait != s->wait_usec)
                        fail_msg("%s: step %zu: %s, wait %llu", name, i, drain_end_name(end), (unsigned long long)wait);
        }
}

static void test_judge(void **state _unused_) {
        static const Step two_looks[] = {{0, 3, DRAIN_GOES_ON, S / 4},
                                         {S, 0, DRAIN_GOES_ON, S / 4},
                                         {2 * S, 1, DRAIN_GOES_ON, S / 4}, /* one more came */
                                         {3 * S, 0, DRAIN_GOES_ON, S / 4},
                                         {4 * S, 0, DRAIN_EMPTY, 0}};
        static const Step deadline[] = {{0, 20000, DRAIN_GOES_ON, 5 * S},
                                        {5 * S, 5000, DRAIN_GOES_ON, 2 * S},
                                        {9 * S, 500, DRAIN_GOES_ON, S},
                                        {10 * S - 1, 50, DRAIN_GOES_ON, 1},
                                        {10 * S, 5, DRAIN_DEADLINE, 0}};
        static const Step unknown[] = {{0, 0, DRAIN_GOES_ON, S, .unknown = true},
                                       {S, 0, DRAIN_GOES_ON, S, .unknown = true},
                                       {10 * S, 0, DRAIN_DEADLINE, 0, .unknown = true}};
        static const Step dead[] = {{0, 7, DRAIN_GOES_ON, S / 4}, {S, 7, DRAIN_ENDED, 0, .dead = true}};
        static const Step telling[] = {{0, 0, DRAIN_GOES_ON, S / 4, .telling = true},
                                       {S, 0, DRAIN_GOES_ON, S / 4, .telling = true},
                                       {2 * S, 0, DRAIN_GOES_ON, S / 4},
                                       {3 * S, 0, DRAIN_EMPTY, 0}};
        static const Step dear[] = {{0, 3, DRAIN_GOES_ON, 5 * S, .cost_usec = S / 10}};

        play("two looks", 60 * S, two_looks, ELEMENTSOF(two_looks));
        play("deadline", 10 * S, deadline, ELEMENTSOF(deadline));
        play("unknown is not zero", 10 * S, unknown, ELEMENTSOF(unknown));
        play("the process ended", 10 * S, dead, ELEMENTSOF(dead));
        play("our own connection", 10 * S, telling, ELEMENTSOF(telling));
        play("a dear look", 60 * S, dear, ELEMENTSOF(dear));
}

/* Both at the deadline: nothing is left is the better news, and true. */
static void test_empty_at_the_deadline(void **state _unused_) {
        static const Step steps[] = {{9 * S, 0, DRAIN_GOES_ON, S / 4}, {10 * S, 0, DRAIN_EMPTY, 0}};

        play("empty at the deadline", 10 * S, steps, ELEMENTSOF(steps));
}

static void test_document(void **state _unused_) {
        DrainSpec spec = {.namespace_ = "shop", .pod = "web-1", .reason = "memory \"limit\" near"};
        _cleanup_buf_ Buf b = BUF_NULL;

        drain_document(&b, &spec, 90 * S + S / 2, 1767225600 * S);
        assert_string_equal(buf_str(&b),
                            "{\"type\":\"plateau.drain\",\"reason\":\"memory \\\"limit\\\" near\","
                            "\"deadline\":\"2026-01-01T00:01:30.500Z\",\"deadline_s\":90.5,\"namespace\":\"shop\","
                            "\"pod\":\"web-1\"}\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_judge),
                cmocka_unit_test(test_empty_at_the_deadline),
                cmocka_unit_test(test_document),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
