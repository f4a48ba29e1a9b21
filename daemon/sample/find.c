/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/find.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sample/stat.h"
#include "util/parse.h"
#include "util/rootfs.h"

#define PID_PATH_MAX 32 /* "2147483647/cmdline" */
#define ANCESTORS_MAX 32
#define ROOTS_MAX 32
#define CMDLINE_SEARCH_MAX 4096
#define CGROUP_TEXT_MAX 8192

/* The best candidate up to now. */
typedef struct Best {
        TargetPick pick;
        pid_t pid; /* 0 = none */
        uint64_t start_ticks, resident_pages;
} Best;

typedef struct Search {
        const TargetSpec *spec;
        const regex_t *regex;
        int proc_fd;
        pid_t self;                     /* our pid as this /proc counts; 0 = not in it */
        pid_t ancestors[ANCESTORS_MAX]; /* of ours, parent first */
        unsigned n_ancestors;
        bool denied; /* a process could not be looked at for want of access */
        Best best;
} Search;

/* Called for each process. Return: 0 to go on; negative errno ends the walk. */
typedef int (*VisitFn)(Search *s, pid_t pid, void *arg);

static const char *const own_programs[] = {"plateau", "plateaud", "plateau-probe"};
static const char *const init_programs[] = {"tini", "tini-static", "dumb-init", "docker-init", "catatonit"};

static bool is_one_of(const char *name, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(name, list[i]) == 0)
                        return true;
        return false;
}

static const char *pid_path(char buf[static PID_PATH_MAX], pid_t pid, const char *name) {
        snprintf(buf, PID_PATH_MAX, "%d/%s", (int)pid, name);
        return buf;
}

bool find_is_own_trouble(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EBADF;
}

static int read_stat(const Search *s, pid_t pid, ProcStat *ret) {
        char path[PID_PATH_MAX];

        return stat_read(s->proc_fd, pid_path(path, pid, "stat"), ret);
}

static bool is_alive(const ProcStat *st) {
        return !st->is_kernel_thread && st->state != 'Z' && st->state != 'X' && st->state != 'x';
}

ssize_t find_read_cmdline(int dir_fd, const char *path, char *buf, size_t size) {
        ssize_t n = rootfs_read(dir_fd, path, buf, size);

        if (n == -EFBIG)
                n = (ssize_t)size - 1;
        if (n < 0)
                return n;
        while (n > 0 && buf[n - 1] == '\0')
                n--;
        for (ssize_t i = 0; i < n; i++)
                if (buf[i] == '\0')
                        buf[i] = ' ';
        buf[n] = '\0';
        return n;
}

/* Parse a directory name of /proc that is a pid. */
static pid_t pid_of_name(const char *name) {
        uint64_t v;

        return *name >= '1' && *name <= '9' && parse_u64(name, &v) == 0 && v <= INT32_MAX ? (pid_t)v : 0;
}

static int for_each_process(Search *s, VisitFn visit, void *arg) {
        _cleanup_fd_ int fd = rootfs_open_dir(s->proc_fd, "."); /* a position of its own, from the start */
        _Alignas(struct dirent64) char buf[8192];
        ssize_t n;

        if (fd < 0)
                return fd;
        while ((n = getdents64(fd, buf, sizeof(buf))) > 0)
                for (ssize_t at = 0; at < n;) {
                        const struct dirent64 *d = (const struct dirent64 *)(buf + at);
                        pid_t pid = pid_of_name(d->d_name);
                        int r = pid > 0 ? visit(s, pid, arg) : 0;

                        if (find_is_own_trouble(r))
                                return r;
                        s->denied |= r == -EACCES || r == -EPERM;
                        at += d->d_reclen;
                }
        return n < 0 ? -errno : 0;
}

/* Who we are in this /proc: its own "self" link, since ours may be another PID namespace than the one mounted there. */
static void find_self(Search *s) {
        char link[PID_PATH_MAX];
        ssize_t n = readlinkat(s->proc_fd, "self", link, sizeof(link) - 1);
        ProcStat st;

        if (n <= 0)
                return;
        link[n] = '\0';
        s->self = pid_of_name(link);
        for (pid_t pid = s->self; pid > 0 && s->n_ancestors < ANCESTORS_MAX; pid = st.ppid) {
                if (read_stat(s, pid, &st) < 0 || st.ppid <= 0)
                        return;
                s->ancestors[s->n_ancestors++] = st.ppid;
        }
}

static bool is_ancestor(const Search *s, pid_t pid) {
        for (unsigned i = 0; i < s->n_ancestors; i++)
                if (s->ancestors[i] == pid)
                        return true;
        return false;
}

static bool is_descendant(const Search *s, const ProcStat *st) {
        ProcStat up = *st;

        for (unsigned i = 0; i < ANCESTORS_MAX && up.ppid > 0; i++) {
                if (up.ppid == s->self)
                        return true;
                if (read_stat(s, up.ppid, &up) < 0)
                        return false;
        }
        return false;
}

static bool is_ours(const Search *s, const ProcStat *st) {
        return st->pid == s->self || is_one_of(st->comm, own_programs, ELEMENTSOF(own_programs)) ||
               is_ancestor(s, st->pid) || (s->self > 0 && is_descendant(s, st));
}

static uint64_t resident_pages(const Search *s, pid_t pid) {
        char path[PID_PATH_MAX];
        _cleanup_fd_ int fd = rootfs_open(s->proc_fd, pid_path(path, pid, "statm"));
        ProcStatm statm;

        return fd >= 0 && statm_read(fd, &statm) == 0 ? statm.resident_pages : 0;
}

static void offer(const Search *s, Best *best, const ProcStat *st) {
        uint64_t pages = best->pick == TARGET_PICK_LARGEST ? resident_pages(s, st->pid) : 0;
        bool better;

        if (best->pid == 0)
                better = true;
        else if (best->pick == TARGET_PICK_LARGEST && pages != best->resident_pages)
                better = pages > best->resident_pages;
        else if (best->pick == TARGET_PICK_NEWEST)
                better = st->start_ticks > best->start_ticks ||
                         (st->start_ticks == best->start_ticks && st->pid > best->pid);
        else /* one tick is 10 ms; within it the smaller pid is the older but when numbers wrapped around */
                better = st->start_ticks < best->start_ticks ||
                         (st->start_ticks == best->start_ticks && st->pid < best->pid);
        if (better) {
                best->pid = st->pid;
                best->start_ticks = st->start_ticks;
                best->resident_pages = pages;
        }
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static bool is_same_exe(const char *value, const char *path) {
        return strcmp(value, strchr(value, '/') ? path : base_name(path)) == 0;
}

/* The link needs ptrace-read access; without it argv[0] has to do. A replaced file's link ends in " (deleted)". */
static int match_exe(Search *s, pid_t pid) {
        static const char deleted[] = " (deleted)";
        char path[PID_PATH_MAX], buf[PATH_MAX];
        ssize_t n = readlinkat(s->proc_fd, pid_path(path, pid, "exe"), buf, sizeof(buf) - 1);

        if (n >= 0) {
                buf[n] = '\0';
                if ((size_t)n >= sizeof(deleted) && strcmp(buf + n - (sizeof(deleted) - 1), deleted) == 0)
                        buf[n - (ssize_t)(sizeof(deleted) - 1)] = '\0';
                return is_same_exe(s->spec->value, buf);
        }
        if (errno != EACCES && errno != EPERM)
                return -errno;
        n = rootfs_read(s->proc_fd, pid_path(path, pid, "cmdline"), buf, sizeof(buf));
        if (n < 0 && n != -EFBIG)
                return (int)n;
        return *buf && is_same_exe(s->spec->value, buf);
}

static int match_cmdline(Search *s, pid_t pid) {
        char path[PID_PATH_MAX], buf[CMDLINE_SEARCH_MAX];
        ssize_t n = find_read_cmdline(s->proc_fd, pid_path(path, pid, "cmdline"), buf, sizeof(buf));

        if (n <= 0)
                return (int)n;
        switch (regexec(s->regex, buf, 0, NULL, 0)) {
        case 0:
                return 1;
        case REG_ESPACE:
                return -ENOMEM;
        default:
                return 0;
        }
}

static int visit_pattern(Search *s, pid_t pid, void *arg _unused_) {
        ProcStat st;
        int r = s->spec->match == TARGET_MATCH_EXE ? match_exe(s, pid) : match_cmdline(s, pid);

        if (r <= 0)
                return r;
        r = read_stat(s, pid, &st);
        if (r < 0)
                return r;
        if (is_alive(&st) && !is_ours(s, &st))
                offer(s, &s->best, &st);
        return 0;
}

/* Whether one path of /proc/PID/cgroup is inside @unit. A bare name must be the first service or scope of the path:
 * below it somebody else, e.g. any user in user@1000.service, chooses the names. */
static bool path_is_in_unit(const char *path, const char *end, const char *unit) {
        size_t n = strlen(unit);

        if (*unit == '/') {
                while (n > 1 && unit[n - 1] == '/')
                        n--;
                return (size_t)(end - path) >= n && memcmp(path, unit, n) == 0 && (path + n == end || path[n] == '/');
        }
        while (path < end && *path == '/') {
                const char *name = path + 1, *stop = memchr(name, '/', (size_t)(end - name));
                size_t len;

                if (!stop)
                        stop = end;
                len = (size_t)(stop - name);
                if (len == n && memcmp(name, unit, n) == 0)
                        return true;
                if ((len > 8 && memcmp(stop - 8, ".service", 8) == 0) ||
                    (len > 6 && memcmp(stop - 6, ".scope", 6) == 0))
                        return false;
                path = stop;
        }
        return false;
}

/* Only systemd's own hierarchy: "name=systemd" or the unified one. Return: 1, 0 or negative errno. */
static int is_in_unit(Search *s, pid_t pid) {
        char path[PID_PATH_MAX], text[CGROUP_TEXT_MAX];
        ssize_t n = rootfs_read(s->proc_fd, pid_path(path, pid, "cgroup"), text, sizeof(text));

        if (n < 0)
                return (int)n;
        for (char *line = text, *next; (next = memchr(line, '\n', (size_t)(text + n - line))); line = next + 1) {
                *next = '\0';
                const char *colon = strchr(line, ':'), *group = colon ? strchr(colon + 1, ':') : NULL;

                if (!group || (strncmp(colon, ":name=systemd:", 14) != 0 && strncmp(line, "0::", 3) != 0))
                        continue;
                if (path_is_in_unit(group + 1, next, s->spec->value))
                        return 1;
        }
        return 0;
}

static int visit_unit(Search *s, pid_t pid, void *arg _unused_) {
        ProcStat st;
        int r = is_in_unit(s, pid);

        if (r <= 0)
                return r;
        r = read_stat(s, pid, &st);
        if (r < 0)
                return r;
        if (is_alive(&st) && (st.ppid <= 0 || is_in_unit(s, st.ppid) <= 0))
                offer(s, &s->best, &st);
        return 0;
}

typedef struct Root {
        pid_t pid;
        Best child; /* the oldest */
} Root;

/* State of the search for the main process: the inits found, whose children a second walk looks at. */
typedef struct MainSearch {
        Root inits[ROOTS_MAX];
        unsigned n_inits;
} MainSearch;

/* The pod's own process, and a container runtime that is about to become another program: "runc:[2:INIT]" starts a
 * container, and each `kubectl exec` too. */
static bool is_pod_infra(Search *s, const ProcStat *st) {
        char path[PID_PATH_MAX], cmdline[128];

        if (strcmp(st->comm, "pause") == 0 || strncmp(st->comm, "runc:[", 6) == 0)
                return true;
        return strcmp(st->comm, "catatonit") == 0 &&
               find_read_cmdline(s->proc_fd, pid_path(path, st->pid, "cmdline"), cmdline, sizeof(cmdline)) > 0 &&
               strstr(cmdline, " -P") != NULL;
}

static int visit_roots(Search *s, pid_t pid, void *arg) {
        MainSearch *m = arg;
        ProcStat st;
        int r = read_stat(s, pid, &st);
        bool is_init;

        if (r < 0)
                return r;
        if (st.ppid != 0 || !is_alive(&st) || is_pod_infra(s, &st) ||
            is_one_of(st.comm, own_programs, ELEMENTSOF(own_programs))) /* a command beside the daemon, by exec */
                return 0;
        is_init = is_one_of(st.comm, init_programs, ELEMENTSOF(init_programs));
        if (is_init && (pid == 1 || !is_ancestor(s, pid)) && m->n_inits < ROOTS_MAX)
                m->inits[m->n_inits++] = (Root){.pid = pid};
        else if (!is_init && pid != s->self && !is_ancestor(s, pid))
                offer(s, &s->best, &st);
        return 0;
}

static int visit_children(Search *s, pid_t pid, void *arg) {
        MainSearch *m = arg;
        ProcStat st;
        int r = read_stat(s, pid, &st);

        if (r < 0)
                return r;
        if (!is_alive(&st) || pid == s->self || is_ancestor(s, pid) ||
            is_one_of(st.comm, own_programs, ELEMENTSOF(own_programs)))
                return 0;
        for (unsigned i = 0; i < m->n_inits; i++)
                if (m->inits[i].pid == st.ppid)
                        offer(s, &m->inits[i].child, &st);
        return 0;
}

/* An init's child takes its place; one of process 1 only where there is nobody else, since in a pod orphans of every
 * container end up there. */
static int offer_children(Search *s, const MainSearch *m, bool of_first) {
        for (unsigned i = 0; i < m->n_inits; i++) {
                ProcStat st;
                int r;

                if (m->inits[i].child.pid == 0 || (m->inits[i].pid == 1) != of_first)
                        continue;
                r = read_stat(s, m->inits[i].child.pid, &st);
                if (r == 0)
                        offer(s, &s->best, &st);
                else if (find_is_own_trouble(r))
                        return r;
        }
        return 0;
}

static int find_main(Search *s, const char **ret_reason) {
        MainSearch m = {0};
        int r = for_each_process(s, visit_roots, &m);

        if (r == 0 && m.n_inits > 0)
                r = for_each_process(s, visit_children, &m);
        if (r == 0)
                r = offer_children(s, &m, false);
        if (r == 0 && s->best.pid == 0)
                r = offer_children(s, &m, true);
        if (s->self == 1 || is_ancestor(s, 1))
                *ret_reason = "process 1 is our own: the PID namespace is not shared with another container "
                              "(shareProcessNamespace: true, or --pid=container:NAME)";
        else
                *ret_reason = "no process of another container is there";
        return r;
}

static int find_pidfile(Search *s, const char **ret_reason) {
        char buf[64];
        uint64_t v;
        ssize_t n = rootfs_read(AT_FDCWD, s->spec->value, buf, sizeof(buf));

        *ret_reason = "the pid file does not exist or cannot be read";
        if (n < 0)
                return find_is_own_trouble((int)n) ? (int)n : 0;
        buf[strcspn(buf, " \t\r\n")] = '\0';
        *ret_reason = "the pid file holds no pid";
        if (n == 0 || parse_u64(buf, &v) < 0 || v == 0 || v > INT32_MAX)
                return 0;
        *ret_reason = "the process in the pid file is not there";
        s->best.pid = (pid_t)v;
        return 0;
}

/* Whether a pid that was given, not found, is a process: not a thread, which /proc has too but does not list. */
static int check_given(Search *s) {
        ProcStat st;
        int r = read_stat(s, s->best.pid, &st);

        if (r < 0) {
                s->denied |= r == -EACCES || r == -EPERM;
                s->best.pid = 0;
                return find_is_own_trouble(r) ? r : 0;
        }
        if (!is_alive(&st))
                s->best.pid = 0;
        return 0;
}

static int run_search(Search *s, const char **ret_reason) {
        switch (s->spec->match) {
        case TARGET_MATCH_PID:
                *ret_reason = "there is no process of this pid";
                s->best.pid = s->spec->pid;
                return check_given(s);
        case TARGET_MATCH_PIDFILE: {
                int r = find_pidfile(s, ret_reason);
                return r < 0 || s->best.pid == 0 ? r : check_given(s);
        }
        case TARGET_MATCH_EXE:
        case TARGET_MATCH_CMDLINE:
                *ret_reason = "no process matches";
                return for_each_process(s, visit_pattern, NULL);
        case TARGET_MATCH_UNIT:
                *ret_reason = "the unit has no process";
                s->best.pick = TARGET_PICK_OLDEST;
                return for_each_process(s, visit_unit, NULL);
        case TARGET_MATCH_MAIN:
                return find_main(s, ret_reason);
        default:
                *ret_reason = "nothing says which process is meant";
                return 0;
        }
}

int find_process(const TargetSpec *spec, const regex_t *regex, const TargetSource *src, pid_t *ret_pid,
                 const char **ret_reason) {
        Search s = {.spec = spec, .regex = regex, .proc_fd = src->proc_fd, .best.pick = spec->pick};
        const char *reason = "";
        int r;

        find_self(&s);
        r = run_search(&s, &reason);
        if (r < 0)
                return r;
        if (s.best.pid <= 0) {
                *ret_reason = s.denied && spec->match != TARGET_MATCH_MAIN
                                      ? "no process matches, but some could not be looked at (hidepid=, or no access)"
                                      : reason;
                return -ENOENT;
        }
        *ret_pid = s.best.pid;
        return 0;
}
