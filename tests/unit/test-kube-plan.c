/* SPDX-License-Identifier: Apache-2.0
 *
 * Which strategy is chosen: one change to a Deployment's pod that could be detached, and what comes of it.
 */
#include "kube/plan.h"
#include "unit/unit.h"
#include "util/clock.h"

static KubePlanInput deployment(void) {
        return (KubePlanInput){.api = true,
                               .pod_known = true,
                               .owner = "ReplicaSet",
                               .owner_api = "apps/v1",
                               .template_hash = true,
                               .owner_known = true,
                               .deployment = true,
                               .current = true,
                               .patch = KUBE_RIGHT_YES,
                               .evict = KUBE_RIGHT_YES,
                               .list = KUBE_RIGHT_YES,
                               .may_signal = true,
                               .eta_usec = USEC_INFINITY,
                               .need_usec = {[KUBE_STRATEGY_DETACH] = 180 * USEC_PER_SEC,
                                             [KUBE_STRATEGY_HINT] = 90 * USEC_PER_SEC,
                                             [KUBE_STRATEGY_EVICT] = 90 * USEC_PER_SEC,
                                             [KUBE_STRATEGY_IN_PLACE] = 80 * USEC_PER_SEC}};
}

typedef struct Case {
        const char *name;
        void (*change)(KubePlanInput *in);
        KubeStrategy want, refused;
        const char *word; /* in the sentence on @refused */
} Case;

#define CHANGE(name, ...)                                                                                              \
        static void name(KubePlanInput *in) {                                                                          \
                in->__VA_ARGS__;                                                                                       \
        }

CHANGE(nothing, api = true)
CHANGE(no_api, api = false; in->api_why = "no token")
CHANGE(bare, owner = "")
CHANGE(mirror, mirror = true)
CHANGE(stateful, owner = "StatefulSet")
CHANGE(daemon_set, owner = "DaemonSet")
CHANGE(job, owner = "Job")
CHANGE(unknown_owner, owner = "Database")
CHANGE(clone_set, owner = "CloneSet"; in->owner_api = "apps.kruise.io/v1alpha1")
CHANGE(other_clone_set, owner = "CloneSet"; in->owner_api = "example.org/v1")
CHANGE(paused, paused = true)
CHANGE(rolling, rolling = true)
CHANGE(old, current = false)
CHANGE(claim, rwo_claim = true)
CHANGE(host_port, host_port = true)
CHANGE(anti_affinity, hard_anti_affinity = true)
CHANGE(argo, argo = true)
CHANGE(no_patch, patch = KUBE_RIGHT_NO)
CHANGE(no_evict, evict = KUBE_RIGHT_NO)
CHANGE(two_budgets, evict_refused = "more than one PodDisruptionBudget")
CHANGE(not_asked, evict = in->patch = in->list = KUBE_RIGHT_UNKNOWN)
CHANGE(minutes, eta_usec = 100 * USEC_PER_SEC)
CHANGE(seconds, eta_usec = 85 * USEC_PER_SEC)
CHANGE(moments, eta_usec = 20 * USEC_PER_SEC)
CHANGE(breaker, breaker = true)
CHANGE(unread, pod_known = false)
CHANGE(owner_unread, owner_known = false)

static const Case cases[] = {
        {"a Deployment's pod", nothing, KUBE_STRATEGY_DETACH, KUBE_STRATEGY_HINT, "CloneSet"},
        {"no API", no_api, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_DETACH, "cannot be used: no token"},
        {"a bare pod", bare, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "no controller"},
        {"a mirror pod", mirror, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "static pod"},
        {"a StatefulSet's", stateful, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "only a ReplicaSet"},
        {"a DaemonSet's", daemon_set, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "only a ReplicaSet"},
        {"a Job's", job, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "failed"},
        {"an operator's", unknown_owner, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "not known to recreate"},
        {"a CloneSet's", clone_set, KUBE_STRATEGY_HINT, KUBE_STRATEGY_DETACH, "only a ReplicaSet"},
        {"somebody else's CloneSet", other_clone_set, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_HINT, "OpenKruise"},
        {"paused", paused, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "paused"},
        {"mid-rollout", rolling, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "rolled out"},
        {"an old ReplicaSet", old, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "current one"},
        {"a claim", claim, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "ReadWriteOnce"},
        {"a hostPort", host_port, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "hostPort"},
        {"anti-affinity", anti_affinity, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "anti-affinity"},
        {"Argo", argo, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "Argo"},
        {"may not patch", no_patch, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "patch pods"},
        {"may not evict", no_evict, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_DETACH, "pods/eviction"},
        {"two budgets", two_budgets, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_DETACH, "refused: more than one"},
        {"rights not asked for yet", not_asked, KUBE_STRATEGY_DETACH, KUBE_STRATEGY_HINT, "CloneSet"},
        {"no time for a replacement", minutes, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "3 min 00 s"},
        {"no time for the pod", seconds, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "85 s"},
        {"no time at all", moments, KUBE_STRATEGY_SIGNAL, KUBE_STRATEGY_IN_PLACE, "20 s"},
        {"replacements leak at once", breaker, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_DETACH, "leak at once"},
        {"the pod was not read", unread, KUBE_STRATEGY_IN_PLACE, KUBE_STRATEGY_EVICT, "could not be read"},
        {"its owner was not", owner_unread, KUBE_STRATEGY_EVICT, KUBE_STRATEGY_DETACH, "get replicasets"},
};

static void test_choice(void **state _unused_) {
        unsigned failed = 0;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                KubePlanInput in = deployment();
                KubePlan plan;

                c->change(&in);
                kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
                if (plan.strategy != c->want || !plan.works || !strstr(plan.why[c->refused], c->word)) {
                        print_message("# %s: %u, \"%s\"\n", c->name, plan.strategy, plan.why[c->refused]);
                        failed++;
                }
        }
        assert_int_equal(failed, 0);
}

static void test_forced(void **state _unused_) {
        KubePlanInput in = deployment();
        KubePlan plan;

        kube_plan(&in, KUBE_STRATEGY_EVICT, &plan);
        assert_int_equal(plan.strategy, KUBE_STRATEGY_EVICT);
        in.owner = "";
        kube_plan(&in, KUBE_STRATEGY_EVICT, &plan); /* nothing would recreate it: not even if asked to */
        assert_int_equal(plan.strategy, KUBE_STRATEGY_IN_PLACE);
        in = deployment();
        kube_plan(&in, KUBE_STRATEGY_IN_PLACE, &plan); /* not a better one than asked for */
        assert_int_equal(plan.strategy, KUBE_STRATEGY_IN_PLACE);
}

/* A Job's pod: ended, it would count as done. */
static void test_one_shot(void **state _unused_) {
        KubePlanInput in = deployment();
        KubePlan plan;

        in.owner = "Job";
        in.one_shot = in.alive_probe = true;
        kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
        assert_false(plan.works);
        assert_non_null(strstr(plan.why[KUBE_STRATEGY_IN_PLACE], "restartPolicy"));
        assert_non_null(strstr(plan.why[KUBE_STRATEGY_SIGNAL], "restartPolicy"));
}

static void test_nothing_works(void **state _unused_) {
        KubePlanInput in = deployment();
        KubePlan plan;

        in.api = in.may_signal = false;
        kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
        assert_false(plan.works);
        assert_int_equal(plan.strategy, KUBE_STRATEGY_SIGNAL);
        assert_non_null(strstr(plan.why[KUBE_STRATEGY_SIGNAL], "another user"));
        in.alive_probe = true; /* the kubelet does it */
        kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
        assert_int_equal(plan.strategy, KUBE_STRATEGY_IN_PLACE);
}

static void test_instead(void **state _unused_) {
        KubePlanInput in = deployment();
        KubePlan plan;

        kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
        assert_true(plan.evict_instead);
        in.evict = KUBE_RIGHT_NO;
        kube_plan(&in, KUBE_STRATEGY_AUTO, &plan);
        assert_false(plan.evict_instead);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice), cmocka_unit_test(test_forced),
                                           cmocka_unit_test(test_one_shot), cmocka_unit_test(test_nothing_works),
                                           cmocka_unit_test(test_instead)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
