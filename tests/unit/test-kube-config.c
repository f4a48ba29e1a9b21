/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <string.h>

#include "unit/unit.h"

static char dir[] = "/tmp/kube-config-XXXXXX";

static void put(const char *name, const char *text) {
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
}

static int set_up(void **state _unused_) {
        put("token", "t");
        put("ca.crt", "c");
        put("namespace", "shop\n");
        setenv("PLATEAU_SERVICEACCOUNT_DIR", dir, 1);
        setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1", 1);
        setenv("KUBERNETES_SERVICE_PORT", "443", 1);
        setenv("PLATEAU_POD_NAME", "web-5c-x", 1);
        unsetenv("PLATEAU_NAMESPACE");
        return 0;
}

static int remove_all(void **state _unused_) {
        static const char *const names[] = {"token", "ca.crt", "namespace"};
        char path[64];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
                unlink(path);
        }
        return rmdir(dir);
}

static void test_cluster(void **state _unused_) {
        KubeConfig c;
        char why[256];

        assert_int_equal(kube_config_load(&c, why, sizeof(why)), 0);
        assert_string_equal(c.base_url, "https://192.0.2.1:443");
        assert_string_equal(c.namespace_, "shop");
        assert_string_equal(c.pod, "web-5c-x");
        setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1", 1);
        setenv("PLATEAU_NAMESPACE", "till", 1);
        assert_int_equal(kube_config_load(&c, why, sizeof(why)), 0);
        assert_string_equal(c.base_url, "https://[2001:db8::1]:443");
        assert_string_equal(c.namespace_, "till");
}

static void test_refused(void **state _unused_) {
        static const struct {
                const char *name, *value; /* NULL: unset */
                int error;
        } cases[] = {
                {"KUBERNETES_SERVICE_HOST", NULL, -ENOENT},  {"KUBERNETES_SERVICE_HOST", "a@b", -EINVAL},
                {"KUBERNETES_SERVICE_HOST", "a/b", -EINVAL}, {"KUBERNETES_SERVICE_PORT", "65536", -EINVAL},
                {"KUBERNETES_SERVICE_PORT", "0", -EINVAL},   {"PLATEAU_POD_NAME", NULL, -ENOENT},
                {"PLATEAU_POD_NAME", "../x", -EINVAL},       {"PLATEAU_POD_NAME", "a?b", -EINVAL},
                {"PLATEAU_NAMESPACE", "UPPER", -EINVAL},     {"PLATEAU_SERVICEACCOUNT_DIR", "/nonexistent", -ENOENT},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                KubeConfig c = {.pod = "untouched"};
                char why[256] = "";

                set_up(NULL);
                if (cases[i].value)
                        setenv(cases[i].name, cases[i].value, 1);
                else
                        unsetenv(cases[i].name);
                assert_int_equal(kube_config_load(&c, why, sizeof(why)), cases[i].error);
                assert_string_equal(c.pod, "untouched");
                assert_true(why[0] != '\0');
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_cluster, set_up),
                cmocka_unit_test_setup(test_refused, set_up),
        };

        if (!mkdtemp(dir))
                return 1;
        return cmocka_run_group_tests(tests, NULL, remove_all);
}
