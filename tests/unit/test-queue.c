/* SPDX-License-Identifier: Apache-2.0 */
#include "report/queue.h"

#include "unit/unit.h"
#include "util/clock.h"

#define S          USEC_PER_SEC
#define RANDOM_MAX UINT64_MAX /* the longest draw */

static const QueueOptions defaults = {
        .max = 4,
        .in_flight_max = 2,
        .expire_usec = 24 * USEC_PER_HOUR,
        .retry_min_usec = S,
        .retry_max_usec = 5 * USEC_PER_MINUTE,
        .retry_after_max_usec = USEC_PER_HOUR,
};

static void push(Queue *q, const char *key, const char *id, NoteKind kind, uint64_t now) {
        NoteHead h = {.kind = kind};

        snprintf(h.key, sizeof(h.key), "%s", key);
        snprintf(h.id, sizeof(h.id), "%s", id);
        assert_int_equal(queue_push(q, &h, id, strlen(id), now), 0);
}

/* Takes the note @id, which must be next. */
static Note *take(Queue *q, const char *id, uint64_t now) {
        uint64_t when;
        Note *n = queue_next(q, now, &when);

        if (!n)
                fail_msg("%s is not due", id);
        assert_string_equal(n->head.id, id);
        assert_string_equal(n->body, id);
        queue_begin(q, n);
        return n;
}

/* Return: when to ask again. */
static uint64_t nothing(Queue *q, uint64_t now) {
        uint64_t when = 0;
        Note *n = queue_next(q, now, &when);

        if (n)
                fail_msg("%s is due", n->head.id);
        return when;
}

static void test_resolved_waits_for_its_firing(void **state _unused_) {
        Queue q;
        Note *n;

        queue_init(&q, &defaults);
        push(&q, "a", "a-firing", NOTE_FIRING, 0);
        push(&q, "a", "a-resolved", NOTE_RESOLVED, 0);
        push(&q, "b", "b-firing", NOTE_FIRING, 0);
        n = take(&q, "a-firing", 0);
        /* the other key does not wait */
        assert_int_equal(queue_end(&q, take(&q, "b-firing", 0), 0, 200, 0, 0, 0), NOTE_DELIVERED);
        nothing(&q, 0);
        assert_int_equal(queue_end(&q, n, -ECONNREFUSED, 0, 0, 0, RANDOM_MAX), NOTE_RETRY);
        assert_true(nothing(&q, 0) <= S);
        assert_int_equal(queue_end(&q, take(&q, "a-firing", S), 0, 204, 0, S, 0), NOTE_DELIVERED);
        assert_int_equal(queue_end(&q, take(&q, "a-resolved", S), 0, 200, 0, S, 0), NOTE_DELIVERED);
        assert_int_equal(q.n, 0);
        assert_int_equal(nothing(&q, S), USEC_INFINITY);
        assert_int_equal(q.dropped_total, 0);
        queue_done(&q);
}

static void test_verdicts(void **state _unused_) {
        static const struct {
                const char *name;
                int error;
                long status;
                NoteVerdict verdict;
        } cases[] = {
                {"ok", 0, 200, NOTE_DELIVERED},
                {"no content", 0, 204, NOTE_DELIVERED},
                {"network", -ECONNRESET, 0, NOTE_RETRY},
                {"request timeout", 0, 408, NOTE_RETRY},
                {"too many", 0, 429, NOTE_RETRY},
                {"internal", 0, 500, NOTE_RETRY},
                {"unavailable", 0, 503, NOTE_RETRY},
                {"redirect", 0, 302, NOTE_REFUSED},
                {"bad request", 0, 400, NOTE_REFUSED},
                {"too large", 0, 413, NOTE_REFUSED},
                {"gone", 0, 410, NOTE_GONE},
                {"nonsense", 0, 0, NOTE_REFUSED},
                {"beyond", 0, 999, NOTE_REFUSED},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NoteVerdict v;
                Queue q;

                queue_init(&q, &defaults);
                push(&q, "a", "x", NOTE_EVENT, 0);
                v = queue_end(&q, take(&q, "x", 0), cases[i].error, cases[i].status, 0, 0, 0);
                if (v != cases[i].verdict)
                        fail_msg("%s: verdict %d", cases[i].name, v);
                assert_int_equal(q.n, v == NOTE_RETRY);
                assert_int_equal(q.n_in_flight, 0);
                assert_int_equal(q.dropped_total, v == NOTE_REFUSED || v == NOTE_GONE);
                assert_int_equal(q.disabled, v == NOTE_GONE);
                queue_done(&q);
        }
}

static void test_backoff_doubles_up_to_its_bound(void **state _unused_) {
        static const uint64_t bounds_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
        uint64_t now = 0;
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "x", NOTE_EVENT, now);
        for (size_t i = 0; i < ELEMENTSOF(bounds_s); i++) {
                Note *n = take(&q, "x", now);

                assert_int_equal(queue_end(&q, n, 0, 500, 0, now, RANDOM_MAX), NOTE_RETRY);
                assert_int_equal(nothing(&q, now), now + bounds_s[i] * S - 1);
                now += bounds_s[i] * S;
        }
        /* full jitter: a low draw is short, but never a hot loop */
        assert_int_equal(queue_end(&q, take(&q, "x", now), 0, 500, 0, now, 0), NOTE_RETRY);
        assert_int_equal(nothing(&q, now), now + 100 * USEC_PER_MSEC);
        queue_done(&q);
}

static void test_retry_after_holds_everything(void **state _unused_) {
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "a", NOTE_EVENT, 0);
        assert_int_equal(queue_end(&q, take(&q, "a", 0), 0, 429, 60 * S, 0, 0), NOTE_RETRY);
        push(&q, "b", "b", NOTE_EVENT, 0);
        assert_int_equal(nothing(&q, 0), 60 * S);
        queue_hurry(&q, 0); /* also at a clean stop */
        assert_int_equal(nothing(&q, 59 * S), 60 * S);
        assert_int_equal(queue_end(&q, take(&q, "a", 60 * S), 0, 503, 100 * USEC_PER_DAY, 60 * S, 0), NOTE_RETRY);
        assert_int_equal(nothing(&q, 60 * S), 60 * S + USEC_PER_HOUR); /* no receiver silences us for ever */
        queue_enable(&q);
        take(&q, "b", 60 * S);
        queue_done(&q);
}

static void test_gone_disables_until_enabled(void **state _unused_) {
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "a", NOTE_EVENT, 0);
        assert_int_equal(queue_end(&q, take(&q, "a", 0), 0, 410, 0, 0, 0), NOTE_GONE);
        push(&q, "b", "b", NOTE_EVENT, 0);
        assert_int_equal(nothing(&q, S), defaults.expire_usec);
        queue_enable(&q);
        take(&q, "b", S);
        queue_done(&q);
}

static void test_full_drops_the_oldest(void **state _unused_) {
        NoteHead late = {.key = "late", .id = "late"};
        Note *busy, *busy2;
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "1", NOTE_EVENT, 0);
        busy = take(&q, "1", 0);
        push(&q, "b", "2", NOTE_EVENT, 0);
        push(&q, "c", "3", NOTE_EVENT, 0);
        push(&q, "d", "4", NOTE_EVENT, 0);
        push(&q, "e", "5", NOTE_EVENT, 0); /* 1 is in flight, so 2 goes */
        assert_int_equal(q.n, 4);
        assert_int_equal(q.dropped_total, 1);
        busy2 = take(&q, "3", 0);
        assert_int_equal(queue_end(&q, busy, 0, 200, 0, 0, 0), NOTE_DELIVERED);
        assert_int_equal(queue_end(&q, busy2, 0, 200, 0, 0, 0), NOTE_DELIVERED);

        queue_set_options(&q, &(QueueOptions){.max = 1, .in_flight_max = 2, .expire_usec = S});
        assert_int_equal(q.n, 1);
        assert_int_equal(q.dropped_total, 2);
        take(&q, "5", 0);
        assert_int_equal(queue_push(&q, &late, "", 0, 0), -ENOBUFS);
        assert_int_equal(q.dropped_total, 3);
        queue_done(&q);
}

static void test_repeat_takes_the_place_of_an_undelivered_one(void **state _unused_) {
        Note *n;
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "firing 1", NOTE_FIRING, 0);
        n = take(&q, "firing 1", 0);
        push(&q, "a", "firing 2", NOTE_FIRING, 0); /* 1 is on its way: stays */
        assert_int_equal(q.n, 2);
        assert_int_equal(queue_end(&q, n, 0, 500, 0, 0, RANDOM_MAX), NOTE_RETRY);
        push(&q, "a", "firing 3", NOTE_FIRING, 0); /* takes the place of 2 */
        assert_int_equal(q.n, 2);
        assert_int_equal(q.folded_total, 1);
        push(&q, "a", "resolved", NOTE_RESOLVED, 0);
        push(&q, "a", "firing 4", NOTE_FIRING, 0); /* a new episode: nothing of the old one is lost */
        assert_int_equal(q.n, 4);
        assert_int_equal(queue_end(&q, take(&q, "firing 1", S), 0, 200, 0, S, 0), NOTE_DELIVERED);
        assert_int_equal(queue_end(&q, take(&q, "firing 3", S), 0, 200, 0, S, 0), NOTE_DELIVERED);
        assert_int_equal(queue_end(&q, take(&q, "resolved", S), 0, 200, 0, S, 0), NOTE_DELIVERED);
        assert_int_equal(queue_end(&q, take(&q, "firing 4", S), 0, 200, 0, S, 0), NOTE_DELIVERED);
        queue_done(&q);
}

static void test_old_notes_expire(void **state _unused_) {
        Note *n;
        Queue q;

        queue_init(&q, &defaults);
        push(&q, "a", "a", NOTE_EVENT, 0);
        push(&q, "b", "b", NOTE_EVENT, S);
        n = take(&q, "a", 0);
        assert_int_equal(queue_end(&q, n, 0, 500, 0, 24 * USEC_PER_HOUR - S, RANDOM_MAX), NOTE_RETRY);
        take(&q, "b", 24 * USEC_PER_HOUR);
        assert_int_equal(q.dropped_total, 1);
        assert_int_equal(q.n, 1);
        queue_done(&q);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resolved_waits_for_its_firing),
                cmocka_unit_test(test_verdicts),
                cmocka_unit_test(test_backoff_doubles_up_to_its_bound),
                cmocka_unit_test(test_retry_after_holds_everything),
                cmocka_unit_test(test_gone_disables_until_enabled),
                cmocka_unit_test(test_full_drops_the_oldest),
                cmocka_unit_test(test_repeat_takes_the_place_of_an_undelivered_one),
                cmocka_unit_test(test_old_notes_expire),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
