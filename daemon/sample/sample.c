/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/sample.h"

#include "util/cleanup.h"

static const char *const limit_source_names[_LIMIT_MAX] = {
        [LIMIT_NONE] = "none",
        [LIMIT_CGROUP] = "cgroup",
        [LIMIT_ENVIRONMENT] = "environment",
        [LIMIT_CONFIG] = "config",
};

const char *limit_source_name(LimitSource s) {
        return (unsigned)s < _LIMIT_MAX ? limit_source_names[s] : "unknown";
}

void sample_apply_limit(Sample *s, uint64_t env_limit_bytes, uint64_t config_limit_bytes) {
        const uint32_t cgroup_bits = SAMPLE_HAVE_CGROUP | SAMPLE_HAVE_CGROUP_LIMIT;
        bool has_cgroup = (s->have & cgroup_bits) == cgroup_bits, has_status = s->have & SAMPLE_HAVE_STATUS;
        uint64_t process = 0;
        if (has_status && __builtin_add_overflow(s->rss_bytes, s->swap_bytes, &process)) {
                has_status = false;
                process = 0;
        }

        const struct {
                LimitSource source;
                uint64_t limit, usage;
        } limits[] = {
                {LIMIT_CGROUP, has_cgroup ? s->cgroup.limit_bytes : 0, s->cgroup.usage_bytes},
                {LIMIT_ENVIRONMENT, has_status ? env_limit_bytes : 0, process},
                {LIMIT_CONFIG, has_status ? config_limit_bytes : 0, process},
        };

        s->limit_source = LIMIT_NONE;
        s->limit_bytes = 0;
        s->usage_bytes = process;
        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                if (limits[i].limit == 0 || (s->limit_bytes != 0 && limits[i].limit >= s->limit_bytes))
                        continue;
                s->limit_source = limits[i].source;
                s->limit_bytes = limits[i].limit;
                s->usage_bytes = limits[i].usage;
        }
}
