/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "sample/cgroup-parse.h"
#include "util/rootfs.h"
#include "util/scan.h"

/* memory.stat has 70 lines, about 2 KiB, in Linux 6.18. */
#define STAT_BUFFER_MAX 8192

typedef struct FileNames {
        const char *limit, *stat, *current, *swap, *high, *events, *failcnt, *kmem, *pressure;
} FileNames;

static const FileNames file_names[2] = {
        {
                .limit = "memory.limit_in_bytes",
                .stat = "memory.stat",
                .current = "memory.usage_in_bytes",
                .events = "memory.oom_control", /* its oom_kill: Linux 4.13 */
                .failcnt = "memory.failcnt",
                .kmem = "memory.kmem.usage_in_bytes",
        },
        {
                .limit = "memory.max",
                .stat = "memory.stat",
                .current = "memory.current",
                .swap = "memory.swap.current",
                .high = "memory.high",
                .events = "memory.events",     /* Linux 4.5; hierarchical since 5.2 */
                .pressure = "memory.pressure", /* Linux 4.20 */
        },
};

/* A directory below @base_fd that must stay below it: the tree may be a hostile process' own. openat2() is Linux 5.6;
 * where it is missing or filtered only the last component is safe from symbolic links. */
static int open_dir_beneath(int base_fd, const char *path) {
        struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
        int fd = (int)syscall(SYS_openat2, base_fd, *path ? path : ".", &how, sizeof(how));

        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
                fd = openat(base_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static int open_file(int dir_fd, const char *path) {
        int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

        return fd < 0 ? -errno : fd;
}

/* "../../NAME", the file of the ancestor @level above. Directories have no "..", symbolic links do not matter. */
static int open_above(int dir_fd, unsigned level, const char *name) {
        char path[CGROUP_DEPTH_MAX * 3 + NAME_MAX + 1];
        size_t n = 0;
        int fd;

        if (!name)
                return -1;
        for (unsigned i = 0; i < level; i++, n += 3)
                memcpy(path + n, "../", 3);
        memcpy(path + n, name, strlen(name) + 1);
        fd = open_file(dir_fd, path);
        return fd < 0 ? -1 : fd;
}

static void close_files(Cgroup *c) {
        int *fds[] = {&c->stat_fd, &c->current_fd, &c->swap_fd, &c->high_fd,
                      &c->events_fd, &c->failcnt_fd, &c->kmem_fd, &c->pressure_fd};

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                *fds[i] = fd_close(*fds[i]);
}

void cgroup_close(Cgroup *c) {
        close_files(c);
        for (unsigned i = 0; i < c->n_limits; i++)
                fd_close(c->limit_fd[i]);
        fd_close(c->dir_fd);
        *c = CGROUP_NULL;
}

/* The files of the group @level above the own one. Pressure of a v1 group lives elsewhere and stays. */
static void open_files(Cgroup *c, unsigned level) {
        const FileNames *names = &file_names[c->version - 1];
        int pressure_fd = c->version == 1 ? take_fd(&c->pressure_fd) : -1;

        close_files(c);
        c->stat_fd = open_above(c->dir_fd, level, names->stat);
        c->current_fd = open_above(c->dir_fd, level, names->current);
        c->swap_fd = open_above(c->dir_fd, level, names->swap);
        c->high_fd = open_above(c->dir_fd, level, names->high);
        c->events_fd = open_above(c->dir_fd, level, names->events);
        c->failcnt_fd = open_above(c->dir_fd, level, names->failcnt);
        c->kmem_fd = open_above(c->dir_fd, level, names->kmem);
        c->pressure_fd = c->version == 1 ? pressure_fd : open_above(c->dir_fd, level, names->pressure);
        c->ruling = level;
}

/* Whether cgroup.procs of the group lists @pid; read piece by piece, as a group may have any number of processes. */
static bool lists_pid(int dir_fd, pid_t pid) {
        _cleanup_fd_ int fd = open_file(dir_fd, "cgroup.procs");
        char buf[4096];
        uint64_t v = 0;
        bool in_number = false;
        ssize_t n;

        if (fd < 0)
                return false;
        while ((n = read(fd, buf, sizeof(buf))) > 0)
                for (ssize_t i = 0; i < n; i++) {
                        if (buf[i] >= '0' && buf[i] <= '9') {
                                v = v > INT32_MAX ? v : v * 10 + (unsigned)(buf[i] - '0');
                                in_number = true;
                                continue;
                        }
                        if (in_number && v == (uint64_t)pid)
                                return true;
                        v = 0;
                        in_number = false;
                }
        return false;
}

/* Where the process is below @base_fd: @path, else what is left of it without leading components, else "". */
static int find_leaf(int base_fd, const char *path, pid_t pid, const char **ret) {
        for (const char *p = path;;) {
                _cleanup_fd_ int fd = open_dir_beneath(base_fd, p);
                const char *slash;

                if (fd >= 0 && (pid == 0 || lists_pid(fd, pid))) {
                        *ret = p;
                        return 0;
                }
                if (*p == '\0')
                        return -ENOENT;
                slash = strchr(p, '/');
                p = slash && pid > 0 ? slash + 1 : p + strlen(p);
        }
}

/* The group that is charged: @path or the nearest ancestor with the controller. Cuts @path. Return: descriptor. */
static int open_charged(int base_fd, char *path, const char *current_name) {
        for (;;) {
                _cleanup_fd_ int fd = open_dir_beneath(base_fd, path);

                if (fd >= 0 && faccessat(fd, current_name, R_OK, 0) == 0)
                        return take_fd(&fd);
                if (*path == '\0')
                        return fd >= 0 ? -ENOENT : fd;
                char *slash = strrchr(path, '/');
                *(slash ? slash : path) = '\0';
        }
}

static unsigned count_levels(const char *path) {
        unsigned n = *path ? 2 : 1;

        for (; *path; path++)
                n += *path == '/';
        return min_of(n, (unsigned)CGROUP_DEPTH_MAX);
}

/* Before Linux 5.11 a v1 group could be outside the hierarchy: its ancestors' limits did not apply then. */
static bool is_hierarchical(const Cgroup *c) {
        uint64_t v;

        return c->version != 1 || rootfs_read_u64(c->dir_fd, "memory.use_hierarchy", &v) < 0 || v != 0;
}

static int open_at(int base_fd, const char *leaf, unsigned version, Cgroup *ret) {
        const FileNames *names = &file_names[version - 1];
        Cgroup c = CGROUP_NULL;
        char path[PATH_MAX];
        unsigned n_levels;

        memcpy(path, leaf, strlen(leaf) + 1);
        c.version = (uint8_t)version;
        c.dir_fd = open_charged(base_fd, path, names->current);
        if (c.dir_fd < 0)
                return c.dir_fd;
        n_levels = is_hierarchical(&c) ? count_levels(path) : 1;
        for (unsigned i = 0; i < n_levels; i++) {
                int fd = open_above(c.dir_fd, i, names->limit);

                if (fd < 0) /* the root of the v2 hierarchy has none */
                        break;
                c.limit_fd[c.n_limits++] = fd;
        }
        open_files(&c, 0);
        if (c.stat_fd < 0 || c.current_fd < 0) {
                cgroup_close(&c);
                return -ENOENT;
        }
        *ret = c;
        return 0;
}

static int open_below(int base_fd, const char *path, pid_t pid, unsigned version, Cgroup *ret) {
        const char *leaf;
        int r = find_leaf(base_fd, path, pid, &leaf);

        return r < 0 ? r : open_at(base_fd, leaf, version, ret);
}

/* PSI does not need the memory controller, so that on a hybrid host the group of the unified hierarchy has it; but at
 * that hierarchy's root (the only group without cgroup.events) the figure is the whole machine's. */
static int open_hybrid_pressure(int root_fd, const char *proc_cgroup, pid_t pid) {
        _cleanup_fd_ int base_fd = open_dir_beneath(root_fd, "unified"), dir_fd = -1;
        char path[PATH_MAX];
        const char *leaf;

        if (base_fd < 0 || cgroup_path_parse(proc_cgroup, "", path, NULL) < 0 ||
            find_leaf(base_fd, path, pid, &leaf) < 0)
                return -1;
        dir_fd = open_dir_beneath(base_fd, leaf);
        if (dir_fd < 0 || faccessat(dir_fd, "cgroup.events", F_OK, 0) < 0)
                return -1;
        return open_above(dir_fd, 0, "memory.pressure");
}

static int open_v1(int root_fd, const char *proc_cgroup, pid_t pid, Cgroup *ret) {
        char path[PATH_MAX], mount[NAME_MAX + 1];
        _cleanup_fd_ int base_fd = -1;
        int r = cgroup_path_parse(proc_cgroup, "memory", path, mount);

        if (r < 0)
                return r;
        base_fd = open_dir_beneath(root_fd, mount);
        if (base_fd < 0)
                base_fd = open_dir_beneath(root_fd, "memory");
        if (base_fd < 0)
                return base_fd;
        r = open_below(base_fd, path, pid, 1, ret);
        if (r >= 0)
                ret->pressure_fd = open_hybrid_pressure(root_fd, proc_cgroup, pid);
        return r;
}

static int open_v2(int root_fd, const char *proc_cgroup, pid_t pid, Cgroup *ret) {
        char path[PATH_MAX];
        _cleanup_fd_ int unified_fd = -1;
        int r = cgroup_path_parse(proc_cgroup, "", path, NULL);

        if (r < 0)
                return r;
        r = open_below(root_fd, path, pid, 2, ret);
        if (r != -ENOENT)
                return r;
        unified_fd = open_dir_beneath(root_fd, "unified");
        return unified_fd < 0 ? -ENOENT : open_below(unified_fd, path, pid, 2, ret);
}

int cgroup_open(int root_fd, const char *proc_cgroup, pid_t pid, Cgroup *ret) {
        int r = open_v1(root_fd, proc_cgroup, pid, ret);

        if (r == -ENOENT || r == -EBADMSG)
                r = open_v2(root_fd, proc_cgroup, pid, ret);
        return r == -EBADMSG ? -ENOENT : r;
}

/* A file of one number or "max" (0). Return: 0; -ENODATA: absent or not of that form; other negative errno. */
static int read_value(int fd, uint64_t *ret) {
        char buf[64];
        ssize_t n;

        if (fd < 0)
                return -ENODATA;
        n = rootfs_pread(fd, buf, sizeof(buf));
        if (n < 0)
                return (int)n;
        return cgroup_limit_parse(buf, (size_t)n, ret) ? 0 : -ENODATA;
}

/* As read_value(), for a counter: there "unlimited" is no value and 0 is one. */
static int read_count(int fd, uint64_t *ret) {
        char buf[64];
        const char *p = buf;
        ssize_t n;

        if (fd < 0)
                return -ENODATA;
        n = rootfs_pread(fd, buf, sizeof(buf));
        if (n < 0)
                return (int)n;
        return scan_u64(&p, buf + n, ret) && p + 1 == buf + n && *p == '\n' ? 0 : -ENODATA;
}

/* The smallest limit and whose it is. @ret_limit 0 = none. Return: 0; -ENODATA: one of them is unknown; -ENODEV. */
static int read_limit(Cgroup *c, uint64_t *ret_limit, unsigned *ret_level) {
        uint64_t limit = 0, v;
        unsigned level = 0;
        int r;

        if (c->n_limits == 0) /* a group that has memory.current has its limit's file too */
                return -ENODATA;
        for (unsigned i = 0; i < c->n_limits; i++) {
                r = read_value(c->limit_fd[i], &v);
                if (r < 0)
                        return r;
                if (v != 0 && (limit == 0 || v <= limit)) {
                        limit = v;
                        level = i;
                }
        }
        *ret_limit = limit;
        *ret_level = level;
        return 0;
}

/* v1's two counters: memory, and memory + swap. Takes the one with less room; between equals the second, which can only
 * be relieved by freeing. Source: cgroup-v1/memory.rst, 2.4. */
static void apply_memsw(const CgroupStat *stat, CgroupSample *s) {
        uint64_t with_swap;

        if (!(stat->have & CGROUP_STAT_SWAP) || !(stat->have & CGROUP_STAT_MEMSW_LIMIT) || stat->memsw_limit == 0)
                return;
        if (__builtin_add_overflow(s->usage_bytes, stat->swap, &with_swap))
                return;
        /* memsw >= limit always, so that the difference is the swap the group may still use before it counts */
        if (s->limit_bytes != 0 && stat->memsw_limit > s->limit_bytes &&
            stat->memsw_limit - s->limit_bytes > stat->swap)
                return;
        s->limit_bytes = stat->memsw_limit;
        s->usage_bytes = with_swap;
}

static uint64_t v1_limit(uint64_t v) {
        return v >= UINT64_C(1) << 62 ? 0 : v;
}

static bool sum_usage(const CgroupStat *stat, CgroupSample *s) {
        if (!(stat->have & CGROUP_STAT_ANON) || !(stat->have & CGROUP_STAT_SHMEM))
                return false;
        return !__builtin_add_overflow(stat->anon, stat->shmem, &s->usage_bytes) &&
               !__builtin_add_overflow(s->usage_bytes, s->kernel_bytes, &s->usage_bytes);
}

/* memory.stat into @s. @ret_usage: usage_bytes is known. Return: 0 or negative errno. */
static int read_stat(Cgroup *c, CgroupSample *s, CgroupStat *ret_stat, bool *ret_usage) {
        char buf[STAT_BUFFER_MAX];
        bool has_kernel;
        ssize_t n = rootfs_pread(c->stat_fd, buf, sizeof(buf));
        int r;

        if (n < 0 && n != -EFBIG)
                return (int)n;
        cgroup_stat_parse(buf, n < 0 ? sizeof(buf) - 1 : (size_t)n, c->version, ret_stat);
        if (c->version == 1) {
                /* no file: no kernel memory accounting in this kernel, hence none in the limit */
                r = read_count(c->kmem_fd, &s->kernel_bytes);
                has_kernel = r == 0 || c->kmem_fd < 0;
                ret_stat->limit = v1_limit(ret_stat->limit);
                ret_stat->memsw_limit = v1_limit(ret_stat->memsw_limit);
                s->swap_bytes = ret_stat->swap;
        } else
                has_kernel = cgroup_stat_kernel(ret_stat, &s->kernel_bytes);
        s->anon_bytes = ret_stat->anon;
        s->shmem_bytes = ret_stat->shmem;
        s->file_bytes = ret_stat->file > ret_stat->shmem ? ret_stat->file - ret_stat->shmem : 0;
        s->inactive_file_bytes = ret_stat->inactive_file;
        *ret_usage = has_kernel && sum_usage(ret_stat, s);
        return 0;
}

static bool read_events(Cgroup *c, CgroupSample *s) {
        char buf[512];
        ssize_t n = c->events_fd < 0 ? -ENODATA : rootfs_pread(c->events_fd, buf, sizeof(buf));
        uint64_t oom_kill, max, high = 0, oom = 0;

        if (n < 0 || !cgroup_key_parse(buf, (size_t)n, "oom_kill", &oom_kill))
                return false;
        if (c->version == 1) {
                if (read_count(c->failcnt_fd, &max) < 0)
                        return false;
        } else if (!cgroup_key_parse(buf, (size_t)n, "high", &high) || !cgroup_key_parse(buf, (size_t)n, "max", &max) ||
                   !cgroup_key_parse(buf, (size_t)n, "oom", &oom))
                return false;
        s->events_oom_kill = oom_kill;
        s->events_max = max;
        s->events_high = high;
        s->events_oom = oom;
        return true;
}

static bool read_pressure(Cgroup *c, CgroupSample *s) {
        char buf[256];
        ssize_t n = c->pressure_fd < 0 ? -ENODATA : rootfs_pread(c->pressure_fd, buf, sizeof(buf));

        /* EOPNOTSUPP: booted with psi=0 */
        return n > 0 && cgroup_pressure_parse(buf, (size_t)n, &s->pressure_some_avg10_ratio,
                                              &s->pressure_full_avg10_ratio);
}

int cgroup_read(Cgroup *c, CgroupSample *ret, uint32_t *ret_have) {
        CgroupSample s = {.version = c->version};
        CgroupStat stat;
        uint32_t have = 0;
        unsigned level;
        bool has_usage;
        int r, r_limit;

        if (c->version == 0)
                return -ENODEV;
        r_limit = read_limit(c, &s.limit_bytes, &level);
        if (r_limit == -ENODEV)
                return r_limit;
        if (r_limit == 0 && level != c->ruling)
                open_files(c, level);
        r = read_stat(c, &s, &stat, &has_usage);
        if (r < 0)
                return r == -EBADF ? -ENODEV : r; /* the ancestor's file was not there to open: look again */
        if (c->version == 1 && r_limit == 0) {
                if (stat.limit != 0 && (s.limit_bytes == 0 || stat.limit < s.limit_bytes))
                        s.limit_bytes = stat.limit;
                apply_memsw(&stat, &s);
        }
        r = read_count(c->current_fd, &s.current_bytes);
        if (r == -ENODEV)
                return r;
        if (r == 0 && has_usage)
                have |= SAMPLE_HAVE_CGROUP;
        else
                s.current_bytes = s.usage_bytes = 0;
        if (r_limit == 0)
                have |= SAMPLE_HAVE_CGROUP_LIMIT;
        have |= read_events(c, &s) ? SAMPLE_HAVE_CGROUP_EVENTS : 0;
        have |= read_pressure(c, &s) ? SAMPLE_HAVE_PRESSURE : 0;
        if (c->version == 2) {
                (void)!read_count(c->swap_fd, &s.swap_bytes); /* absent without swap: 0 */
                (void)!read_value(c->high_fd, &s.high_bytes);
        }
        *ret = s;
        *ret_have = have;
        return 0;
}
