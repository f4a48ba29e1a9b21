/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/cgroup-parse.h"

#include <limits.h>

#include "util/scan.h"

/* v1 has no "none": an unset limit is PAGE_COUNTER_MAX pages, which prints as 0x7ffffffffffff000 with 4 KiB pages and
 * as less with larger ones; 2^63 - 1 before Linux 3.19. Nobody has 2^62 bytes. */
#define V1_UNLIMITED (UINT64_C(1) << 62)

typedef struct StatKey {
        const char *key[2]; /* by version - 1; NULL = not in that version */
        size_t offset;
} StatKey;

#define KEY(v1, v2, field) {{v1, v2}, offsetof(CgroupStat, field)}

/* The index is the bit of CgroupStatField. */
static const StatKey stat_keys[] = {
        KEY("total_rss", "anon", anon),
        KEY("total_cache", "file", file),
        KEY("total_shmem", "shmem", shmem),
        KEY(NULL, "kernel", kernel),
        KEY(NULL, "kernel_stack", kernel_stack),
        KEY(NULL, "pagetables", page_tables),
        KEY(NULL, "percpu", percpu),
        KEY(NULL, "sock", sock),
        KEY(NULL, "vmalloc", vmalloc),
        KEY(NULL, "slab_reclaimable", slab_reclaimable),
        KEY(NULL, "slab_unreclaimable", slab_unreclaimable),
        KEY("total_inactive_file", "inactive_file", inactive_file),
        KEY("total_swap", NULL, swap),
        KEY("hierarchical_memory_limit", NULL, limit),
        KEY("hierarchical_memsw_limit", NULL, memsw_limit),
        KEY("total_active_file", "active_file", active_file),
};

_Static_assert(1 << (ELEMENTSOF(stat_keys) - 1) == CGROUP_STAT_ACTIVE_FILE, "stat_keys follows CgroupStatField");

/* "key value" up to @end. Return: false when it is not this key or no number. */
static bool take_pair(const char *line, const char *end, const char *key, uint64_t *ret) {
        const char *p = line;
        uint64_t v;

        while (*key && p < end && *p == *key)
                p++, key++;
        if (*key || p == end || *p != ' ')
                return false;
        p++;
        if (!scan_u64(&p, end, &v) || p != end)
                return false;
        *ret = v;
        return true;
}

void cgroup_stat_parse(const char *buf, size_t len, unsigned version, CgroupStat *ret) {
        const char *end = buf + len, *next;

        *ret = (CgroupStat){0};
        for (const char *line = buf; line < end && (next = scan_line_end(line, end)); line = next + 1) {
                for (size_t i = 0; i < ELEMENTSOF(stat_keys); i++) {
                        const char *key = stat_keys[i].key[version == 1 ? 0 : 1];

                        if (!key || *key != *line || (ret->have & (1U << i)))
                                continue;
                        if (take_pair(line, next, key, (uint64_t *)((char *)ret + stat_keys[i].offset))) {
                                ret->have |= 1U << i;
                                break;
                        }
                }
        }
}

bool cgroup_stat_kernel(const CgroupStat *s, uint64_t *ret_bytes) {
        const uint64_t parts[] = {s->kernel_stack, s->page_tables, s->percpu, s->vmalloc, s->slab_unreclaimable};
        const uint32_t old = CGROUP_STAT_KERNEL_STACK | CGROUP_STAT_SLAB_UNRECLAIMABLE;
        uint64_t sum = 0;

        if ((s->have & CGROUP_STAT_KERNEL) && (s->have & CGROUP_STAT_SLAB_RECLAIMABLE)) {
                /* The two are not read at one instant (rstat); never below zero. */
                sum = s->kernel > s->slab_reclaimable ? s->kernel - s->slab_reclaimable : 0;
        } else if ((s->have & old) == old) {
                for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                        if (__builtin_add_overflow(sum, parts[i], &sum))
                                return false;
        } else
                return false;
        return !__builtin_add_overflow(sum, s->sock, ret_bytes);
}

bool cgroup_key_parse(const char *buf, size_t len, const char *key, uint64_t *ret) {
        const char *end = buf + len, *next;

        for (const char *line = buf; line < end && (next = scan_line_end(line, end)); line = next + 1)
                if (take_pair(line, next, key, ret))
                        return true;
        return false;
}

bool cgroup_limit_parse(const char *buf, size_t len, uint64_t *ret) {
        const char *p = buf, *end = buf + len;
        uint64_t v = 0;

        if (len == 0 || end[-1] != '\n')
                return false;
        end--;
        if (end - p == 3 && memcmp(p, "max", 3) == 0) {
                *ret = 0;
                return true;
        }
        if (!scan_u64(&p, end, &v) || p != end)
                return false;
        /* A v2 limit of 0 is a limit, but one under which nothing lives: the smallest is one byte here. */
        *ret = v >= V1_UNLIMITED ? 0 : max_of(v, UINT64_C(1));
        return true;
}

/* "some avg10=1.23 ..." as 0.0123. */
static bool take_avg10(const char *line, const char *end, const char *key, double *ret) {
        static const char avg10[] = " avg10=";
        size_t n = strlen(key);
        uint64_t whole, cents;
        const char *p;

        if ((size_t)(end - line) < n + sizeof(avg10) - 1 || memcmp(line, key, n) != 0 ||
            memcmp(line + n, avg10, sizeof(avg10) - 1) != 0)
                return false;
        p = line + n + sizeof(avg10) - 1;
        if (!scan_u64(&p, end, &whole) || end - p < 3 || *p++ != '.')
                return false;
        end = p + 2; /* the kernel prints two digits (LOAD_FRAC) */
        if (!scan_u64(&p, end, &cents) || p != end || whole > 100 || (whole == 100 && cents > 0))
                return false;
        *ret = (double)(whole * 100 + cents) / 10000.0;
        return true;
}

bool cgroup_pressure_parse(const char *buf, size_t len, double *ret_some, double *ret_full) {
        const char *end = buf + len, *next;
        bool has_some = false, has_full = false;
        double some = 0, full = 0;

        for (const char *line = buf; line < end && (next = scan_line_end(line, end)); line = next + 1) {
                has_some = has_some || take_avg10(line, next, "some", &some);
                has_full = has_full || take_avg10(line, next, "full", &full);
        }
        if (!has_some || !has_full)
                return false;
        *ret_some = some;
        *ret_full = full;
        return true;
}

/* @list is "cpu,memory". */
static bool list_has(const char *list, size_t len, const char *controller) {
        size_t want = strlen(controller);

        for (;;) {
                const char *comma = memchr(list, ',', len);
                size_t n = comma ? (size_t)(comma - list) : len;

                if (n == want && memcmp(list, controller, n) == 0)
                        return true;
                if (!comma)
                        return false;
                list += n + 1;
                len -= n + 1;
        }
}

/* A path seen from another cgroup namespace starts with as many "/.." as it is outside of ours. */
static const char *skip_to_group(const char *p, const char *end) {
        for (;;) {
                if (p < end && *p == '/')
                        p++;
                else if (end - p >= 2 && p[0] == '.' && p[1] == '.' && (end - p == 2 || p[2] == '/'))
                        p += 2;
                else
                        return p;
        }
}

static bool has_dotdot(const char *p, const char *end) {
        for (const char *at = p; end - at >= 2; at++)
                if (at[0] == '.' && at[1] == '.' && (at == p || at[-1] == '/') && (end - at == 2 || at[2] == '/'))
                        return true;
        return false;
}

int cgroup_path_parse(const char *text, const char *controller, char *ret, char *ret_mount) {
        const char *end = text + strlen(text), *next;

        for (const char *line = text; line < end && (next = scan_line_end(line, end)); line = next + 1) {
                const char *p = line, *list;
                uint64_t id;

                if (!scan_u64(&p, next, &id) || p == next || *p++ != ':')
                        continue;
                list = p;
                p = memchr(p, ':', (size_t)(next - p));
                if (!p || !list_has(list, (size_t)(p - list), controller) || (id == 0) != (*controller == '\0'))
                        continue;
                const char *path = skip_to_group(p + 1, next);
                size_t n = (size_t)(next - path), n_list = (size_t)(p - list);

                if (p + 1 == next || p[1] != '/' || n >= PATH_MAX || n_list > NAME_MAX || has_dotdot(path, next))
                        return -EBADMSG;
                memcpy(ret, path, n);
                ret[n] = '\0';
                if (ret_mount) {
                        memcpy(ret_mount, list, n_list);
                        ret_mount[n_list] = '\0';
                }
                return 0;
        }
        return -ENOENT;
}
