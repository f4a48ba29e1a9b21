/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <limits.h>
#include <string.h>

#include "sample/cgroup-parse.h"

static void check_path(const char *text, const char *controller) {
        char path[PATH_MAX], mount[NAME_MAX + 1];

        if (cgroup_path_parse(text, controller, path, mount) < 0)
                return;
        /* never out of the tree, never out of the buffer */
        FUZZ_CHECK(strlen(path) < sizeof(path) && path[0] != '/' && !strchr(path, '\n') && !strchr(mount, ':'));
        FUZZ_CHECK(strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
        FUZZ_CHECK(strlen(path) < 3 || strcmp(path + strlen(path) - 3, "/..") != 0);
}

/* Every parser over the same bytes: a file of the hostile tree may hold what another one should. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = strndup((const char *)data, size); /* up to a NUL, as a reader would have it */
        const char *buf = (const char *)data;
        double some = -1, full = -1;
        CgroupStat stat;
        uint64_t v = 7;

        for (unsigned version = 1; version <= 2; version++) {
                cgroup_stat_parse(buf, size, version, &stat);
                FUZZ_CHECK((stat.have & CGROUP_STAT_ANON) || stat.anon == 0);
                (void)!cgroup_stat_kernel(&stat, &v);
        }
        (void)!cgroup_key_parse(buf, size, "oom_kill", &v);
        if (cgroup_limit_parse(buf, size, &v))
                FUZZ_CHECK(v < UINT64_C(1) << 62);
        if (cgroup_pressure_parse(buf, size, &some, &full))
                FUZZ_CHECK(some >= 0 && some <= 1 && full >= 0 && full <= 1);
        else
                FUZZ_CHECK(some == -1 && full == -1);
        FUZZ_CHECK(text);
        check_path(text, "memory");
        check_path(text, "name=systemd");
        check_path(text, "");
        return 0;
}
