/* SPDX-License-Identifier: Apache-2.0
 *
 * One reading of one target: plain data that flows down (sample -> trend -> policy -> report). Nothing here is a
 * guess: a figure that could not be read is absent, i.e. its bit in `have` is clear and the field is 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/smaps.h" /* SmapsRollup, which the probe shares */

typedef enum SampleHave {
        SAMPLE_HAVE_STATUS = 1 << 0,   /* rss_bytes, peak, vsize, page_table, swap, n_threads */
        SAMPLE_HAVE_RSS_KIND = 1 << 1, /* rss_{anon,file,shmem}_bytes; status has them since Linux 4.5 */
        SAMPLE_HAVE_CGROUP = 1 << 2,   /* cgroup.usage_bytes and cgroup.current_bytes */
        SAMPLE_HAVE_CGROUP_LIMIT = 1 << 3,
        SAMPLE_HAVE_CGROUP_EVENTS = 1 << 4,
        SAMPLE_HAVE_PRESSURE = 1 << 5,
} SampleHave;

/* Where the limit that rules comes from; see sample_apply_limit(). */
typedef enum LimitSource {
        LIMIT_NONE,
        LIMIT_CGROUP,      /* min over visible ancestors of memory.max; judged on the cgroup's usage */
        LIMIT_ENVIRONMENT, /* PLATEAU_LIMIT_BYTES, the Downward API's value; judged on RSS + swap */
        LIMIT_CONFIG,      /* targets[].limit; judged on RSS + swap */
        _LIMIT_MAX,
} LimitSource;

/* All figures are of one group: the one whose limit rules (the target's own or an ancestor), else the target's own. */
typedef struct CgroupSample {
        uint8_t version;        /* 1 or 2; 0 = not seen */
        uint64_t current_bytes; /* memory.current / usage_in_bytes, page cache included: shown, never forecast */
        uint64_t usage_bytes;   /* anon + shmem + kernel (+ swap): what reclaim cannot free; see cgroup.h */
        uint64_t limit_bytes;   /* min over visible ancestors; 0 = none ("max") */
        uint64_t high_bytes;    /* memory.high; 0 = none */
        uint64_t anon_bytes;
        uint64_t file_bytes;    /* page cache without shmem */
        uint64_t shmem_bytes;
        uint64_t kernel_bytes;  /* what reclaim cannot free (v2); all of it (v1, which does not tell them apart) */
        uint64_t inactive_file_bytes;
        uint64_t swap_bytes;    /* 0 also where swap is not accounted */
        uint64_t events_high, events_max, events_oom, events_oom_kill; /* cumulative; v1 has no high and no oom */
        double pressure_some_avg10_ratio, pressure_full_avg10_ratio;   /* 0..1 */
} CgroupSample;

typedef struct Sample {
        uint64_t time_usec; /* CLOCK_BOOTTIME */
        uint32_t have;      /* SampleHave bits */

        uint64_t rss_bytes; /* VmRSS; exact kinds below add up to it */
        uint64_t rss_anon_bytes, rss_file_bytes, rss_shmem_bytes;
        uint64_t rss_peak_bytes; /* VmHWM */
        uint64_t virtual_bytes, page_table_bytes, swap_bytes;
        uint32_t n_threads;

        CgroupSample cgroup;

        uint64_t usage_bytes; /* what is compared with limit_bytes: cgroup.usage_bytes or rss + swap, by limit_source */
        uint64_t limit_bytes; /* 0 = no limit known */
        LimitSource limit_source;
} Sample;

#define SAMPLE_NULL ((Sample){0})

/* limit_source_name() - "cgroup", "environment", "config", "none". */
const char *limit_source_name(LimitSource s);

/**
 * sample_apply_limit() - choose the limit that rules and the usage that is compared with it
 * @s:                  the limit and usage fields are set; everything else is input
 * @env_limit_bytes:    PLATEAU_LIMIT_BYTES; 0 = none
 * @config_limit_bytes: targets[].limit; 0 = none
 *
 * The smallest limit rules, since it is hit first; between equals the cgroup's goes first, as it is the one that kills,
 * then the environment's. The cgroup's is judged on the group's usage, the others on RSS + swap. A limit whose usage is
 * not known cannot be judged and does not take part. Without a limit usage is RSS + swap, or 0 without status.
 * Test: tests/unit/test-sample.c
 */
void sample_apply_limit(Sample *s, uint64_t env_limit_bytes, uint64_t config_limit_bytes);
