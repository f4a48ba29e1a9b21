/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/param.h"

#include <limits.h>
#include <string.h>

#include "util/clock.h"
#include "util/parse.h"

#define DECAY_MAX_MSEC (366LL * 24 * 3600 * 1000)
#define DECAY_EXPECTED "a duration such as 10s, a number of milliseconds up to a year, or never"

/* mallopt() takes an int. Below a page nearly every allocation would be a mapping of its own, of which a process may
 * have some 65,000. How large an mmap threshold may be is glibc's to say (half of HEAP_MAX_SIZE, which can be tuned).
 */
static const Param params[_PROBE_PARAM_MAX] = {
        [PROBE_PARAM_ARENA_MAX] = {"arena_max", "glibc", PARAM_COUNT, 1, 65536, "a number of arenas from 1 to 65536",
                                   "Nearly always without effect at run time: glibc looks at it once, when it first "
                                   "has more than 8 arenas, and arenas that exist stay."},
        [PROBE_PARAM_MMAP_THRESHOLD] = {"mmap_threshold", "glibc", PARAM_BYTES, 4096, INT_MAX,
                                        "a size from 4KiB to 2GiB, less a byte",
                                        "For allocations from now on. It ends glibc's own adapting of the mmap and the "
                                        "trim threshold, until the process ends."},
        [PROBE_PARAM_TRIM_THRESHOLD] = {"trim_threshold", "glibc", PARAM_BYTES, 0, INT_MAX, "a size below 2GiB",
                                        "What is free at a heap's end goes back at the next free() there. It ends "
                                        "glibc's own adapting of the mmap and the trim threshold, until the process "
                                        "ends."},
        [PROBE_PARAM_BACKGROUND_THREAD] = {"background_thread", "jemalloc", PARAM_SWITCH, 0, 1, "on or off",
                                           "On: a thread of jemalloc's in the process gives back what decays, also "
                                           "while the program rests."},
        [PROBE_PARAM_DIRTY_DECAY] = {"dirty_decay_ms", "jemalloc", PARAM_MSEC, -1, DECAY_MAX_MSEC, DECAY_EXPECTED,
                                     "For all arenas that are in use, and those to come. Restarts their decay: some "
                                     "goes back at once, with 0 all of it."},
        [PROBE_PARAM_MUZZY_DECAY] = {"muzzy_decay_ms", "jemalloc", PARAM_MSEC, -1, DECAY_MAX_MSEC, DECAY_EXPECTED,
                                     "For all arenas that are in use, and those to come. Restarts their decay: some "
                                     "goes back at once, with 0 all of it."},
};

const Param *param_get(uint32_t id) {
        return id < ELEMENTSOF(params) && params[id].name ? &params[id] : NULL;
}

ProbeParam param_find(const char *name) {
        for (unsigned i = 0; i < ELEMENTSOF(params); i++)
                if (params[i].name && strcmp(params[i].name, name) == 0)
                        return (ProbeParam)i;
        return PROBE_PARAM_NONE;
}

static int parse_msec(const char *text, uint64_t *ret) {
        uint64_t usec;
        int r = parse_u64(text, ret);

        if (r != -EINVAL)
                return r;
        r = parse_duration(text, &usec);
        if (r < 0)
                return r;
        if (usec % USEC_PER_MSEC)
                return -ERANGE;
        *ret = usec / USEC_PER_MSEC;
        return 0;
}

static int parse_switch(const char *text, uint64_t *ret) {
        bool on;
        int r = parse_u64(text, ret);

        if (r != -EINVAL)
                return r;
        r = parse_bool(text, &on);
        if (r == 0)
                *ret = on;
        return r;
}

int param_parse(const Param *p, const char *text, int64_t *ret) {
        static int (*const parsers[])(const char *, uint64_t *) = {
                [PARAM_COUNT] = parse_u64,
                [PARAM_BYTES] = parse_bytes,
                [PARAM_MSEC] = parse_msec,
                [PARAM_SWITCH] = parse_switch,
        };
        uint64_t value;
        int r;

        if (p->unit == PARAM_MSEC && (strcmp(text, "never") == 0 || strcmp(text, "-1") == 0)) {
                *ret = -1;
                return 0;
        }
        r = parsers[p->unit](text, &value);
        if (r < 0)
                return r;
        if (value > INT64_MAX || (int64_t)value < p->min || (int64_t)value > p->max)
                return -ERANGE;
        *ret = (int64_t)value;
        return 0;
}

const char *param_unit_name(ParamUnit u) {
        static const char *const names[] = {
                [PARAM_COUNT] = "count",
                [PARAM_BYTES] = "bytes",
                [PARAM_MSEC] = "milliseconds",
                [PARAM_SWITCH] = "switch",
        };
        return names[u];
}
