/* SPDX-License-Identifier: Apache-2.0
 *
 * Which pods of others may be removed, as a table; and the course of a look. The calls are stood in for: the answers
 * that matter here cannot all be had from a server at will. What a real one says to them is tests/e2e/test-reap.py.
 */
#include "kube/reap.h"

#include <errno.h>
#include <stdlib.h>

#include "kube/scalars.h"
#include "unit/unit.h"
#include "util/clock.h"

#define OWN_UID "00000000-0000-0000-0000-000000000001"
#define UID     "00000000-0000-0000-0000-000000000002"

/* ---- the stand-in: keeps what was asked for until the test answers ---- */

struct KubeCall {
        KubePodEachFn each;
        KubeDoneFn done;
        void *userdata;
        char name[KUBE_NAME_MAX], uid[KUBE_UID_MAX]; /* "" = a list */
};

static KubeCall *asked;
static unsigned n_lists, n_deletes, n_cancelled;
static int refuse; /* errno of the next call */

static int ask(KubeCall **ret, KubeCall call) {
        assert_null(asked); /* one at a time */
        if (refuse)
                return -refuse;
        *ret = asked = malloc(sizeof(*asked));
        assert_non_null(asked);
        *asked = call;
        return 0;
}

int kube_pods_list(KubeClient *c _unused_, const char *selector, KubePodEachFn each, KubeDoneFn done, void *userdata,
                   KubeCall **ret) {
        assert_string_equal(selector, "plateau.dev/rotation=detached");
        n_lists++;
        return ask(ret, (KubeCall){.each = each, .done = done, .userdata = userdata});
}

int kube_pod_delete(KubeClient *c _unused_, const char *name, const char *uid, int64_t grace_s, KubeDoneFn done,
                    void *userdata, KubeCall **ret) {
        KubeCall call = {.done = done, .userdata = userdata};

        assert_int_equal(grace_s, -1);
        n_deletes++;
        snprintf(call.name, sizeof(call.name), "%s", name);
        snprintf(call.uid, sizeof(call.uid), "%s", uid);
        return ask(ret, call);
}

KubeCall *kube_call_cancel(KubeCall *call) {
        if (call) {
                assert_ptr_equal(call, asked);
                n_cancelled++;
                free(asked);
                asked = NULL;
        }
        return NULL;
}

static void answer(KubeError error, const char *why) {
        KubeCall *call = asked;
        KubeAnswer a = {.error = error};

        assert_non_null(call);
        snprintf(a.why, sizeof(a.why), "%s", why);
        asked = NULL;
        call->done(call->userdata, &a);
        free(call);
}

/* ---- which ---- */

#define NOW ((uint64_t)1800000000 * USEC_PER_SEC) /* 2027-01-15T08:00:00Z */

static KubePod orphan(void) {
        return (KubePod){.name = "web-abc-1", .uid = UID, .rotation = "detached", .deadline = "2027-01-15T07:00:00Z"};
}

#define CHANGE(name, ...)                                                                                              \
        static void name(KubePod *p) {                                                                                 \
                p->__VA_ARGS__;                                                                                        \
        }

CHANGE(nothing, ready = false)
CHANGE(with_offset, deadline[0] = '\0'; strcpy(p->deadline, "2027-01-15T09:58:59+02:00"))
CHANGE(just_over, deadline[0] = '\0'; strcpy(p->deadline, "2027-01-15T07:58:59.999999Z"))
CHANGE(within_skew, deadline[0] = '\0'; strcpy(p->deadline, "2027-01-15T07:59:00Z"))
CHANGE(ahead, deadline[0] = '\0'; strcpy(p->deadline, "2027-01-15T08:30:00Z"))
CHANGE(far_ahead, deadline[0] = '\0'; strcpy(p->deadline, "9999-12-31T23:59:59Z"))
CHANGE(no_deadline, deadline[0] = '\0')
CHANGE(odd_deadline, deadline[0] = '\0'; strcpy(p->deadline, "yesterday"))
CHANGE(seconds, deadline[0] = '\0'; strcpy(p->deadline, "1700000000"))
CHANGE(not_detached, rotation[0] = '\0')
CHANGE(evicting, rotation[0] = '\0'; strcpy(p->rotation, "evicting"))
CHANGE(going, deleting = true)
CHANGE(owned, has_owner = true)
CHANGE(mirror, mirror = true)
CHANGE(our_uid, uid[0] = '\0'; strcpy(p->uid, OWN_UID))
CHANGE(our_name, name[0] = '\0'; strcpy(p->name, "web-own"))
CHANGE(serving, ready = true; p->main_running = true)

static const struct {
        const char *name;
        void (*change)(KubePod *p);
        bool want;
} cases[] = {
        {"an hour over", nothing, true},
        {"with an offset", with_offset, true},
        {"more than a minute over", just_over, true},
        {"over, within the skew of clocks", within_skew, false},
        {"not over", ahead, false},
        {"never over", far_ahead, false},
        {"no deadline", no_deadline, false},
        {"no time", odd_deadline, false},
        {"a time of another form", seconds, false},
        {"not detached", not_detached, false},
        {"being evicted by its own sidecar", evicting, false},
        {"going already", going, false},
        {"a controller has it again", owned, false},
        {"a static pod", mirror, false},
        {"we, by uid", our_uid, false},
        {"we, by name", our_name, false},
        {"still serving: its time is over all the same", serving, true},
};

static void test_cases(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                KubePod p = orphan();
                uint64_t deadline = 0;
                bool due;

                cases[i].change(&p);
                due = kube_reap_is_due(&p, OWN_UID, "web-own", NOW, &deadline);
                if (due != cases[i].want || (deadline != 0) != due)
                        fail_msg("%s: %s", cases[i].name, due ? "due" : "not due");
        }
}

static void test_clock_at_zero(void **state _unused_) {
        KubePod p = orphan();
        uint64_t deadline;

        snprintf(p.deadline, sizeof(p.deadline), "1970-01-01T00:00:00Z");
        assert_false(kube_reap_is_due(&p, OWN_UID, "web-own", 0, &deadline));
        assert_false(kube_reap_is_due(&p, OWN_UID, "web-own", USEC_PER_MINUTE, &deadline));
        assert_true(kube_reap_is_due(&p, OWN_UID, "web-own", USEC_PER_MINUTE + 1, &deadline));
}

static void test_wait(void **state _unused_) {
        assert_int_equal(kube_reap_wait_usec(true, false, 0), 0);
        assert_int_equal(kube_reap_wait_usec(true, false, UINT64_MAX), USEC_PER_HOUR - 1);
        assert_int_equal(kube_reap_wait_usec(false, false, 0), USEC_PER_HOUR);
        assert_int_equal(kube_reap_wait_usec(false, false, UINT64_MAX), USEC_PER_HOUR * 2 - 1);
        assert_int_equal(kube_reap_wait_usec(false, true, 0), 3 * USEC_PER_HOUR);
        assert_true(kube_reap_wait_usec(false, true, UINT64_MAX) < 9 * USEC_PER_HOUR);
}

/* ---- the course of a look ---- */

typedef struct World {
        sd_event *event;
        KubeReap *reap;
} World;

static int setup(void **state) {
        World *w = calloc(1, sizeof(*w));
        KubeConfig config = {.namespace_ = "shop", .pod = "web-own", .uid = OWN_UID};

        assert_non_null(w);
        n_lists = n_deletes = n_cancelled = 0;
        refuse = 0;
        assert_true(sd_event_new(&w->event) >= 0);
        assert_int_equal(kube_reap_new(w->event, NULL, &config, &w->reap), 0);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        w->reap = kube_reap_free(w->reap);
        assert_null(asked);
        sd_event_unref(w->event);
        free(w);
        return 0;
}

/* A pod that is due, as found by the look; the greater @age_min, the longer. */
static void found(unsigned i, unsigned age_min) {
        KubePod p = orphan();
        char when[KUBE_TIME_MAX];

        snprintf(p.name, sizeof(p.name), "web-%u", i);
        snprintf(p.deadline, sizeof(p.deadline), "%s",
                 kube_time_format(when, now_real_usec() - age_min * USEC_PER_MINUTE, false));
        asked->each(asked->userdata, &p);
}

static KubeReapView view(const World *w) {
        KubeReapView v;

        kube_reap_view(w->reap, &v);
        return v;
}

static void test_idle(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        kube_reap_look(w->reap); /* one is under way */
        assert_true(view(w).busy);
        answer(KUBE_OK, "");
        assert_false(view(w).busy);
        assert_int_equal(n_lists, 1);
        assert_int_equal(n_deletes, 0);
        assert_false(view(w).refused || view(w).removed || view(w).why[0]);
}

static void test_oldest_five(void **state) {
        static const unsigned ages[] = {10, 70, 30, 20, 60, 5, 50, 40}; /* minutes */
        static const char *const order[] = {"web-1", "web-4", "web-6", "web-7", "web-2"};
        World *w = *state;

        kube_reap_look(w->reap);
        for (unsigned i = 0; i < ELEMENTSOF(ages); i++)
                found(i, ages[i]);
        answer(KUBE_OK, "");
        for (unsigned i = 0; i < ELEMENTSOF(order); i++) {
                assert_string_equal(asked->name, order[i]);
                assert_string_equal(asked->uid, UID);
                answer(i == 1 ? KUBE_E_NOT_FOUND : i == 2 ? KUBE_E_CONFLICT : KUBE_OK, "no matter");
        }
        assert_null(asked);
        assert_int_equal(view(w).removed, 3); /* of two somebody else was faster */
        assert_int_equal(view(w).failed, 0);
        assert_string_equal(view(w).why, "");
        kube_reap_look(w->reap); /* what was found is forgotten */
        answer(KUBE_OK, "");
        assert_null(asked);
}

static void test_refused_one_goes_on(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        found(0, 30);
        found(1, 20);
        answer(KUBE_OK, "");
        answer(KUBE_E_INVALID, "the pod's plateau.dev/deadline is not over");
        assert_string_equal(asked->name, "web-1");
        answer(KUBE_OK, "");
        assert_int_equal(view(w).removed, 1);
        assert_int_equal(view(w).failed, 1);
        assert_string_equal(view(w).why, "pod web-0 cannot be removed: the pod's plateau.dev/deadline is not over");
        assert_false(view(w).refused);
        kube_reap_look(w->reap);
        answer(KUBE_OK, "");
        assert_string_equal(view(w).why, ""); /* told, and over */
}

static void test_forbidden(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        found(0, 30);
        found(1, 20);
        answer(KUBE_OK, "");
        answer(KUBE_E_FORBIDDEN, "cannot delete resource pods");
        assert_null(asked);
        assert_true(view(w).refused);
        assert_non_null(strstr(view(w).why, "cannot delete resource pods"));
        assert_int_equal(sd_event_run(w->event, 0), 0); /* no timer is due */
        kube_reap_look(w->reap); /* hours later: the right has come */
        assert_int_equal(n_lists, 2);
        found(0, 30);
        answer(KUBE_OK, "");
        answer(KUBE_OK, "");
        assert_false(view(w).refused);
        assert_int_equal(view(w).removed, 1);
}

static void test_list_forbidden(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        found(0, 30);
        answer(KUBE_E_FORBIDDEN, "cannot list resource pods");
        assert_null(asked);
        assert_true(view(w).refused);
        assert_non_null(strstr(view(w).why, "cannot list resource pods"));
}

static void test_list_fails(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        found(0, 30);
        answer(KUBE_E_NET, "connection refused"); /* the second page, say: half a list is none */
        assert_null(asked);
        assert_false(view(w).refused);
        assert_non_null(strstr(view(w).why, "connection refused"));
        refuse = ENOMEM;
        kube_reap_look(w->reap);
        assert_non_null(strstr(view(w).why, "memory"));
        refuse = 0;
        kube_reap_look(w->reap);
        assert_int_equal(n_lists, 3);
        found(0, 30);
        refuse = EINVAL; /* the removal cannot even be asked for */
        answer(KUBE_OK, "");
        assert_null(asked);
        assert_int_equal(view(w).failed, 1);
        refuse = 0;
}

static void test_freed_under_way(void **state) {
        World *w = *state;

        kube_reap_look(w->reap);
        found(0, 30);
        answer(KUBE_OK, "");
        w->reap = kube_reap_free(w->reap);
        assert_int_equal(n_cancelled, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test(test_clock_at_zero),
                cmocka_unit_test(test_wait),
                cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
                cmocka_unit_test_setup_teardown(test_oldest_five, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refused_one_goes_on, setup, teardown),
                cmocka_unit_test_setup_teardown(test_forbidden, setup, teardown),
                cmocka_unit_test_setup_teardown(test_list_forbidden, setup, teardown),
                cmocka_unit_test_setup_teardown(test_list_fails, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_under_way, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
