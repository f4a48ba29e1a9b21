/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders on what a real API server said (tests/fixtures/kube), then on what none should say.
 */
#include "kube/objects.h"

#include "unit/unit.h"

static void json_decref_p(json_t **o) {
        json_decref(*o);
}

#define _cleanup_json_ _cleanup_(json_decref_p)

/* The answer's body in a recorded exchange. */
static json_t *recorded(const char *name) {
        char path[512];
        json_t *file, *body;

        snprintf(path, sizeof(path), FIXTURES "/kube/%s.json", name);
        file = json_load_file(path, 0, NULL);
        if (!file)
                fail_msg("%s cannot be read", path);
        body = json_incref(json_object_get(file, "body"));
        json_decref(file);
        return body;
}

/* JSON with ' for ", and one %s. */
static json_t *quoted(const char *format, const char *arg) {
        char text[8192];
        json_error_t error;
        const char *at = strstr(format, "%s");
        json_t *o;

        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - format), format, arg, at + 2);
        for (char *p = text; *p; p++)
                if (*p == '\'')
                        *p = '"';
        o = json_loads(text, 0, &error);
        if (!o)
                fail_msg("%s: %s", error.text, text);
        return o;
}

static const KubePodLens lens = {.main = "main", .alive_port = 9464};

static void test_pod(void **state _unused_) {
        _cleanup_json_ json_t *o = recorded("pod");
        KubePod p;

        assert_int_equal(kube_pod_decode(o, &lens, &p), 0);
        assert_memory_equal(p.name, "web-", 4);
        assert_int_equal(strlen(p.uid), 36);
        assert_true(p.resource_version[0]);
        assert_string_equal(p.phase, "Running");
        assert_string_equal(p.qos, "Guaranteed");
        assert_string_equal(p.main, "main");
        assert_string_equal(p.node, "hollow");
        assert_memory_equal(p.ip, "203.0.113.", 10);
        assert_true(p.ready && p.ready_since_real_usec >= p.created_real_usec && p.created_real_usec > 0);
        assert_true(p.has_owner && p.owner.controller);
        assert_string_equal(p.owner.kind, "ReplicaSet");
        assert_string_equal(p.owner.api_version, "apps/v1");
        assert_memory_equal(p.owner.name, "web-", 4);
        assert_string_equal(p.owner.name + 4, p.template_hash);
        assert_int_equal(p.termination_grace_s, 30);
        assert_int_equal(p.main_limit_bytes, 256 << 20);
        assert_int_equal(p.main_request_bytes, 256 << 20);
        assert_int_equal(p.status_limit_bytes, 256 << 20);
        assert_true(p.main_running && p.main_started_real_usec > 0 && p.main_restarts == 0);
        assert_true(p.main_has_liveness_alive);
        assert_false(p.deleting || p.mirror || p.has_host_port || p.has_rwo_claim_possible ||
                     p.has_hard_anti_affinity || p.has_pod_gate || p.gate_true || p.rollouts_hash ||
                     p.memory_restart_on_resize || p.resize_pending || p.resize_in_progress || p.pending_unschedulable);
        assert_string_equal(p.rotation, "");
        assert_string_equal(p.waiting_reason, "");
}

static void test_pods_in_other_states(void **state _unused_) {
        _cleanup_json_ json_t *patched = recorded("pod-patched"), *going = recorded("pod-terminating"),
                              *bare = recorded("pod-bare"), *daemon = recorded("pod-of-daemonset");
        KubePod p;

        assert_int_equal(kube_pod_decode(patched, &lens, &p), 0);
        assert_string_equal(p.rotation, "detached");
        assert_string_equal(p.template_hash, "");
        assert_int_equal(kube_pod_decode(going, &lens, &p), 0);
        assert_true(p.deleting && p.deletion_real_usec > p.created_real_usec);
        assert_int_equal(kube_pod_decode(bare, &lens, &p), 0);
        assert_false(p.has_owner);
        assert_int_equal(kube_pod_decode(daemon, &lens, &p), 0);
        assert_string_equal(p.owner.kind, "DaemonSet");
        assert_string_equal(p.phase, "Pending");
        assert_false(p.ready || p.main_running);
        assert_int_equal(p.status_limit_bytes, 0);
}

static void test_sets_and_deployments(void **state _unused_) {
        _cleanup_json_ json_t *o = recorded("replicaset"), *d = recorded("deployment");
        KubeReplicaSet set;
        KubeDeployment deployment;

        assert_int_equal(kube_replicaset_decode(o, &set), 0);
        assert_true(set.has_deployment && !set.deleting);
        assert_string_equal(set.deployment.kind, "Deployment");
        assert_string_equal(set.deployment.name, "web");
        assert_string_equal(set.revision, "1");
        assert_int_equal(set.replicas, 3);
        assert_int_equal(set.ready, 3);
        assert_string_equal(set.name + 4, set.template_hash);
        assert_string_equal(set.replicafailure, "");
        assert_int_equal(kube_deployment_decode(d, &deployment), 0);
        assert_string_equal(deployment.revision, "1");
        assert_string_equal(deployment.uid, set.deployment.uid);
        assert_int_equal(deployment.replicas, 3);
        assert_false(deployment.paused || deployment.deleting || deployment.rolling);
}

/* What stands for a rollout, each alone. */
static void test_rolling(void **state _unused_) {
        static const struct {
                const char *rest;
                bool rolling;
        } cases[] = {
                {"'spec':{'replicas':2},'status':{'updatedReplicas':2,'replicas':2,'observedGeneration':4}", false},
                {"'spec':{'replicas':2},'status':{'updatedReplicas':2,'replicas':2,'observedGeneration':3}", true},
                {"'spec':{'replicas':2},'status':{'updatedReplicas':1,'replicas':2,'observedGeneration':4}", true},
                {"'spec':{'replicas':2},'status':{'updatedReplicas':2,'replicas':3,'observedGeneration':4}", true},
                {"'spec':{'replicas':0},'status':{'observedGeneration':4}", false},
                {"'spec':{'replicas':2}", true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *o =
                        quoted("{'metadata':{'name':'a','uid':'b','generation':4},%s}", cases[i].rest);
                KubeDeployment d;

                assert_int_equal(kube_deployment_decode(o, &d), 0);
                if (d.rolling != cases[i].rolling)
                        fail_msg("%s", cases[i].rest);
        }
}

static void test_endpoints(void **state _unused_) {
        _cleanup_json_ json_t *list = recorded("endpointslice-list"), *pod = recorded("pod");
        static const struct {
                const char *endpoints;
                KubeEndpoint expected;
        } cases[] = {
                {"[]", {0}},
                {"[{'targetRef':{'uid':'other'},'conditions':{'ready':true}}]", {0}},
                {"[{'targetRef':{'uid':'u'},'conditions':{'ready':false,'serving':false}}]",
                 {.present = true, .n_slices = 1}},
                {"[{'targetRef':{'uid':'u'},'conditions':{'ready':false,'serving':true,'terminating':true}}]",
                 {.present = true, .serving = true, .terminating = true, .n_slices = 1}},
                {"[{'targetRef':{'uid':'u'},'conditions':{}}]",
                 {.present = true, .ready = true, .serving = true, .n_slices = 1}},
                /* one of a dual-stack pair is behind */
                {"[{'targetRef':{'uid':'u'},'conditions':{'ready':false,'serving':false}},"
                 "{'targetRef':{'uid':'u'},'conditions':{'ready':true,'serving':true}}]",
                 {.present = true, .ready = true, .serving = true, .n_slices = 1}},
                {"[7,null,[],{'targetRef':5}]", {0}},
                {"{'targetRef':{'uid':'u'}}", {0}},
        };
        KubeEndpoint e = {0};
        KubePod p;

        assert_int_equal(kube_pod_decode(pod, &lens, &p), 0);
        kube_endpoint_add(&e, json_array_get(json_object_get(list, "items"), 0), p.uid);
        assert_true(e.present && e.ready && e.serving && !e.terminating && e.n_slices == 1);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *slice = quoted("{'endpoints':%s}", cases[i].endpoints);

                e = (KubeEndpoint){0};
                kube_endpoint_add(&e, slice, "u");
                if (e.present != cases[i].expected.present || e.ready != cases[i].expected.ready ||
                    e.serving != cases[i].expected.serving || e.terminating != cases[i].expected.terminating ||
                    e.n_slices != cases[i].expected.n_slices)
                        fail_msg("%s", cases[i].endpoints);
        }
}

static void test_access(void **state _unused_) {
        _cleanup_json_ json_t *yes = recorded("access-review-yes"), *no = recorded("access-review-no"),
                              *odd = quoted("%s", "{'status':{'allowed':'true'}}");

        assert_true(kube_access_decode(yes).known && kube_access_decode(yes).allowed);
        assert_true(kube_access_decode(no).known && !kube_access_decode(no).allowed);
        assert_true(!kube_access_decode(odd).known && !kube_access_decode(odd).allowed);
        assert_false(kube_access_decode(NULL).known);
}

/* A pod with @rest after its name and uid. */
static KubePod pod_with(const char *rest, const KubePodLens *l) {
        _cleanup_json_ json_t *o = quoted("{'metadata':{'name':'a','uid':'b'},%s}", rest);
        KubePod p;

        assert_int_equal(kube_pod_decode(o, l, &p), 0);
        return p;
}

static void test_what_stands_in_the_way(void **state _unused_) {
        assert_true(pod_with("'spec':{'hostNetwork':true}", &lens).has_host_port);
        assert_true(pod_with("'spec':{'containers':[{'ports':[{},{'hostPort':80}]}]}", &lens).has_host_port);
        assert_true(pod_with("'spec':{'initContainers':[{'ports':[{'hostPort':80}]}]}", &lens).has_host_port);
        assert_true(pod_with("'spec':{'volumes':[{'name':'x'},{'persistentVolumeClaim':{'claimName':'y'}}]}", &lens)
                            .has_rwo_claim_possible);
        assert_true(pod_with("'spec':{'affinity':{'podAntiAffinity':"
                             "{'requiredDuringSchedulingIgnoredDuringExecution':[{}]}}}",
                             &lens)
                            .has_hard_anti_affinity);
        assert_false(pod_with("'spec':{'affinity':{'podAntiAffinity':"
                              "{'preferredDuringSchedulingIgnoredDuringExecution':[{}]}}}",
                              &lens)
                             .has_hard_anti_affinity);
        assert_true(pod_with("'status':{'conditions':[{'type':'PodScheduled','status':'False',"
                             "'reason':'Unschedulable'}]}",
                             &lens)
                            .pending_unschedulable);
        assert_string_equal(pod_with("'status':{'containerStatuses':[{'state':{'running':{}}},"
                                     "{'state':{'waiting':{'reason':'ImagePullBackOff'}}}]}",
                                     &lens)
                                    .waiting_reason,
                            "ImagePullBackOff");
}

static void test_main_container(void **state _unused_) {
        static const char *const probes[] = {
                "{'httpGet':{'path':'/alive','port':9464}}",
                "{'httpGet':{'path':'/alive','port':'9464'}}",
                "{'httpGet':{'path':'/alive','port':'ours'}}",
                "{'httpGet':{'path':'/alive','port':8080}}", /* the application's own */
                "{'httpGet':{'path':'/alive','port':'theirs'}}",
                "{'httpGet':{'path':'/alive','port':'nobody'}}",
                "{'httpGet':{'path':'/healthz','port':9464}}",
                "{'httpGet':{'path':'/alive'}}",
                "{'exec':{}}",
        };
        static const KubePodLens no_port = {.main = "m"}, unnamed = {.alive_port = 9464}, m = {"m", 9464, "g/x"};
        char rest[512];
        KubePod p;

        for (size_t i = 0; i < ELEMENTSOF(probes); i++) {
                snprintf(rest, sizeof(rest),
                         "'spec':{'containers':[{'name':'plateau'},{'name':'m','livenessProbe':%s,'ports':["
                         "{'name':'ours','containerPort':9464},{'name':'theirs','containerPort':80}]}]}",
                         probes[i]);
                assert_int_equal(pod_with(rest, &m).main_has_liveness_alive, i < 3);
                assert_false(pod_with(rest, &no_port).main_has_liveness_alive);
                assert_string_equal(pod_with(rest, &unnamed).main, "m");
                assert_string_equal(pod_with(rest, &lens).main, ""); /* asked for "main" */
        }
        p = pod_with("'spec':{'containers':[{'name':'m','resizePolicy':[{'resourceName':'memory',"
                     "'restartPolicy':'RestartContainer'}],'resources':{'limits':{'memory':'1.5Gi'}}}],"
                     "'readinessGates':[{'conditionType':'g/x'}]},"
                     "'status':{'conditions':[{'type':'g/x','status':'True'},{'type':'PodResizePending',"
                     "'status':'True','reason':'Deferred'}],'containerStatuses':[{'name':'m','restartCount':3,"
                     "'resources':{'limits':{'memory':'1Gi'}}}]}",
                     &m);
        assert_true(p.memory_restart_on_resize && p.has_pod_gate && p.gate_true && p.resize_pending);
        assert_string_equal(p.resize_reason, "Deferred");
        assert_int_equal(p.main_limit_bytes, 3ULL << 29);
        assert_int_equal(p.main_request_bytes, 0);
        assert_int_equal(p.status_limit_bytes, 1ULL << 30);
        assert_int_equal(p.main_restarts, 3);
        assert_false(p.main_running);
}

/* Wrong types everywhere, values that do not fit: absent, never another value, and never a crash. */
static void test_hostile(void **state _unused_) {
        static const char *const odd[] = {"null", "true", "7",  "-7",     "1e300",
                                          "'x'",  "[]",   "{}", "[[{}]]", "[{'name':5}]"};
        static const char *const members[] = {"metadata", "spec", "status"};
        char long_text[3000], rest[4096];

        for (size_t i = 0; i < ELEMENTSOF(odd); i++)
                for (size_t m = 0; m < ELEMENTSOF(members); m++) {
                        _cleanup_json_ json_t *o = recorded("pod"), *v = quoted("{'v':%s}", odd[i]);
                        KubePod p;

                        json_object_set(o, members[m], json_object_get(v, "v"));
                        assert_int_equal(kube_pod_decode(o, &lens, &p), m == 0 ? -EINVAL : 0);
                }
        memset(long_text, 'a', sizeof(long_text));
        long_text[2500] = '\0';
        snprintf(rest, sizeof(rest), "'spec':{'nodeName':'%s','terminationGracePeriodSeconds':-1}", long_text);
        assert_string_equal(pod_with(rest, &lens).node, "");
        assert_int_equal(pod_with(rest, &lens).termination_grace_s, 30);
        {
                _cleanup_json_ json_t *nobody = quoted("%s", "{'metadata':{'name':'a'}}");
                KubePod p;

                assert_int_equal(kube_pod_decode(nobody, &lens, &p), -EINVAL);
                assert_int_equal(kube_pod_decode(NULL, &lens, &p), -EINVAL);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pod),
                cmocka_unit_test(test_pods_in_other_states),
                cmocka_unit_test(test_sets_and_deployments),
                cmocka_unit_test(test_rolling),
                cmocka_unit_test(test_endpoints),
                cmocka_unit_test(test_access),
                cmocka_unit_test(test_what_stands_in_the_way),
                cmocka_unit_test(test_main_container),
                cmocka_unit_test(test_hostile),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
