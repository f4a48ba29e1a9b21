/* SPDX-License-Identifier: Apache-2.0
 *
 * How much more a pod may ask for: one change to a pod of 256 MiB that could be resized, and what comes of it.
 */
#include "kube/headroom.h"

#include <errno.h>

#include "unit/unit.h"

#define MIB ((uint64_t)1 << 20)

typedef struct World {
        KubePod pod;
        KubeOptions options;
        uint64_t first;
} World;

static World world(void) {
        return (World){.pod = {.name = "web-0",
                               .uid = "11111111-2222-3333-4444-555555555555",
                               .main = "main",
                               .qos = "Burstable",
                               .main_limit_bytes = 256 * MIB,
                               .main_request_bytes = 128 * MIB,
                               .status_limit_bytes = 256 * MIB},
                       .options = {.headroom_ratio = 0.25, .headroom_extra_max_ratio = 0.5},
                       .first = 256 * MIB};
}

#define CHANGE(name, ...)                                                                                              \
        static void name(World *w) {                                                                                   \
                w->__VA_ARGS__;                                                                                        \
        }

CHANGE(nothing, first = 256 * MIB)
CHANGE(guaranteed, pod.main_request_bytes = 256 * MIB; strcpy(w->pod.qos, "Guaranteed"))
CHANGE(second, pod.main_limit_bytes = w->pod.status_limit_bytes = 320 * MIB)
CHANGE(third, pod.main_limit_bytes = w->pod.status_limit_bytes = 384 * MIB)
CHANGE(raised, pod.main_limit_bytes = w->pod.status_limit_bytes = 1024 * MIB)
CHANGE(shrunk, pod.main_limit_bytes = w->pod.status_limit_bytes = 100 * MIB)
CHANGE(not_told, pod.status_limit_bytes = 0)
CHANGE(a_page_less, pod.main_limit_bytes += 4095)
CHANGE(odd, pod.main_limit_bytes = w->pod.status_limit_bytes = w->first = 100000000)
CHANGE(tiny, pod.main_limit_bytes = w->pod.status_limit_bytes = w->first = 3 * MIB)
CHANGE(huge_step, options.headroom_ratio = 1e300)
CHANGE(huge_both, options.headroom_ratio = w->options.headroom_extra_max_ratio = INFINITY)
CHANGE(largest, pod.main_limit_bytes = w->pod.status_limit_bytes = w->first = (uint64_t)1 << 60)
CHANGE(too_large, pod.main_limit_bytes = w->pod.status_limit_bytes = w->first = UINT64_MAX)
CHANGE(step_off, options.headroom_ratio = 0)
CHANGE(step_odd, options.headroom_ratio = NAN)
CHANGE(step_below, options.headroom_ratio = -0.5)
CHANGE(max_off, options.headroom_extra_max_ratio = 0)
CHANGE(max_below, options.headroom_extra_max_ratio = -0.5)
CHANGE(max_odd, options.headroom_extra_max_ratio = NAN)
CHANGE(no_main, pod.main[0] = '\0')
CHANGE(no_limit, pod.main_limit_bytes = 0)
CHANGE(restarts, pod.memory_restart_on_resize = true)
CHANGE(mirror, pod.mirror = true)
CHANGE(deleting, pod.deleting = true)
CHANGE(no_first, first = 0)
CHANGE(pending, pod.resize_pending = true; strcpy(w->pod.resize_reason, "Deferred"))
CHANGE(infeasible, pod.resize_pending = true; strcpy(w->pod.resize_reason, "Infeasible"))
CHANGE(in_progress, pod.resize_in_progress = true)
CHANGE(not_given, pod.status_limit_bytes = 200 * MIB)

static const struct {
        const char *name;
        void (*change)(World *w);
        int want;
        uint64_t limit, request;
        const char *word; /* in the sentence on a refusal */
} cases[] = {
        {"the first step", nothing, 0, 320 * MIB, 0, NULL},
        {"Guaranteed stays Guaranteed", guaranteed, 0, 320 * MIB, 320 * MIB, NULL},
        {"the second step is cut by the maximum", second, 0, 384 * MIB, 0, NULL},
        {"the maximum", third, -ENOSPC, 0, 0, "kubernetes.headroom"},
        {"raised by somebody else: never less", raised, -ENOSPC, 0, 0, "1.07 GB"},
        {"made smaller by somebody else", shrunk, 0, 125 * MIB, 0, NULL},
        {"an old kubelet tells nothing", not_told, 0, 320 * MIB, 0, NULL},
        {"the kernel cuts to pages", a_page_less, 0, 320 * MIB, 0, NULL},
        {"whole MiB", odd, 0, 119 * MIB, 0, NULL},
        {"no whole MiB more", tiny, -ENOSPC, 0, 0, "MiB"},
        {"a step without bound", huge_step, 0, 384 * MIB, 0, NULL},
        {"both without bound: twice", huge_both, 0, 512 * MIB, 0, NULL},
        {"the largest", largest, 0, ((uint64_t)1 << 60) / 4 * 5, 0, NULL},
        {"no such limit", too_large, -EOPNOTSUPP, 0, 0, "1 EiB"},
        {"off", step_off, -ENOENT, 0, 0, "step"},
        {"no number", step_odd, -ENOENT, 0, 0, "step"},
        {"a step down", step_below, -ENOENT, 0, 0, "step"},
        {"no maximum", max_off, -ENOSPC, 0, 0, "kubernetes.headroom"},
        {"a maximum below", max_below, -ENOSPC, 0, 0, "kubernetes.headroom"},
        {"a maximum that is no number", max_odd, -ENOSPC, 0, 0, "kubernetes.headroom"},
        {"no main container", no_main, -EOPNOTSUPP, 0, 0, "main container"},
        {"no limit", no_limit, -EOPNOTSUPP, 0, 0, "no memory limit"},
        {"RestartContainer", restarts, -EOPNOTSUPP, 0, 0, "RestartContainer"},
        {"a static pod", mirror, -EOPNOTSUPP, 0, 0, "static pod"},
        {"going", deleting, -EOPNOTSUPP, 0, 0, "removed"},
        {"where it began is not known", no_first, -EOPNOTSUPP, 0, 0, "not known"},
        {"Deferred", pending, -EBUSY, 0, 0, "waits"},
        {"Infeasible", infeasible, -EBUSY, 0, 0, "Infeasible"},
        {"in progress", in_progress, -EBUSY, 0, 0, "under way"},
        {"asked for and not given", not_given, -EBUSY, 0, 0, "kubelet"},
};

static void test_cases(void **state _unused_) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                World w = world();
                uint64_t limit = 0, request = 0;
                char why[200] = "";
                int r;

                cases[i].change(&w);
                r = kube_headroom(&w.pod, &w.options, w.first, &limit, &request, why, sizeof(why));
                if (r != cases[i].want || limit != cases[i].limit || request != cases[i].request)
                        fail_msg("%s: %d, %llu and %llu: %s", cases[i].name, r, (unsigned long long)limit,
                                 (unsigned long long)request, why);
                if (cases[i].word && !strstr(why, cases[i].word))
                        fail_msg("%s: \"%s\" does not say %s", cases[i].name, why, cases[i].word);
        }
}

static void check_patch(uint64_t limit, uint64_t request, const char *want) {
        World w = world();
        json_t *o = kube_headroom_patch(&w.pod, limit, request);
        char *text = json_dumps(o, JSON_COMPACT);

        assert_non_null(text);
        assert_string_equal(text, want);
        free(text);
        json_decref(o);
}

#define PATCH(resources)                                                                                               \
        "{\"metadata\":{\"uid\":\"11111111-2222-3333-4444-555555555555\"},\"spec\":{\"containers\":[{\"name\":"        \
        "\"main\",\"resources\":{" resources "}}]}}"

static void test_patch(void **state _unused_) {
        check_patch(320 * MIB, 0, PATCH("\"limits\":{\"memory\":\"320Mi\"}"));
        check_patch(320 * MIB, 320 * MIB,
                    PATCH("\"limits\":{\"memory\":\"320Mi\"},\"requests\":{\"memory\":\"320Mi\"}"));
        check_patch(320 * MIB + 1, 0, PATCH("\"limits\":{\"memory\":\"335544321\"}"));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_patch)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
