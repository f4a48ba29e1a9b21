/* SPDX-License-Identifier: Apache-2.0
 *
 * One reading of one target: plain data that flows down (sample -> trend -> policy -> report). Nothing here is a
 * guess: a figure that could not be read is absent, i.e. its bit in `have` is clear and the field is 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum SampleHave {
        SAMPLE_HAVE_STATUS = 1 << 0,   /* rss_bytes, peak, vsize, page_table, swap, n_threads */
        SAMPLE_HAVE_RSS_KIND = 1 << 1, /* rss_{anon,file,shmem}_bytes; status has them since Linux 4.5 */
        SAMPLE_HAVE_CGROUP = 1 << 2,   /* cgroup.usage_bytes and cgroup.current_bytes */
        SAMPLE_HAVE_CGROUP_LIMIT = 1 << 3,
        SAMPLE_HAVE_CGROUP_EVENTS = 1 << 4,
        SAMPLE_HAVE_PRESSURE = 1 << 5,
} SampleHave;

/* Where the limit that rules comes from; see sample_apply_limit() in sample/target.h. */
typedef enum LimitSource {
        LIMIT_NONE,
        LIMIT_CGROUP,      /* min over visible ancestors of memory.max; judged on the cgroup's usage */
        LIMIT_ENVIRONMENT, /* PLATEAU_LIMIT_BYTES, the Downward API's value; judged on RSS + swap */
        LIMIT_CONFIG,      /* targets[].limit; judged on RSS + swap */
        _LIMIT_MAX,
} LimitSource;

typedef struct CgroupSample {
        uint8_t version;        /* 1 or 2; 0 = not seen */
        uint64_t current_bytes; /* memory.current / usage_in_bytes, page cache included: shown, never forecast */
        uint64_t usage_bytes;   /* anon + shmem + unreclaimable kernel + swap where it counts: cannot be reclaimed */
        uint64_t limit_bytes;   /* min over visible ancestors; 0 = none ("max") */
        uint64_t high_bytes;    /* memory.high; 0 = none */
        uint64_t anon_bytes, file_bytes, shmem_bytes, kernel_bytes, inactive_file_bytes, swap_bytes;
        uint64_t events_high, events_max, events_oom, events_oom_kill; /* cumulative */
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

/* /proc/PID/smaps_rollup, read by the probe on a time budget (it walks page tables under the target's mmap lock). */
typedef struct SmapsRollup {
        uint64_t time_usec; /* CLOCK_BOOTTIME; 0 = never read */
        uint64_t rss_bytes, pss_bytes, pss_anon_bytes, pss_file_bytes, pss_shmem_bytes;
        uint64_t private_clean_bytes, private_dirty_bytes, shared_clean_bytes, shared_dirty_bytes;
        uint64_t anonymous_bytes, anon_huge_bytes, swap_bytes, swap_pss_bytes, locked_bytes;
        uint64_t cost_usec; /* what the read took: its own price */
} SmapsRollup;

#define SMAPS_ROLLUP_NULL ((SmapsRollup){0})

/* limit_source_name() - "cgroup", "environment", "config", "none". */
const char *limit_source_name(LimitSource s);
