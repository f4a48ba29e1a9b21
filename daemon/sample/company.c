/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/company.h"

#include <stdio.h>

#include "sample/stat.h"
#include "util/rootfs.h"

#define GENERATIONS_MAX 32
#define PIDS_TEXT_MAX   (COMPANY_MAX * 12 + 12) /* "2147483647\n" each, and one too many */

typedef struct Pids {
        pid_t pid[COMPANY_MAX];
        unsigned n;
        bool more;
} Pids;

/* A pid of 0 stands for a process that our PID namespace does not show (Linux 4.14): it is in the list, and nobody's.
 */
static int parse_pids(const char *buf, size_t len, Pids *ret) {
        uint64_t v = 0;
        bool in_number = false;

        *ret = (Pids){0};
        for (size_t i = 0; i < len; i++) {
                if (buf[i] >= '0' && buf[i] <= '9') {
                        v = v * 10 + (unsigned)(buf[i] - '0');
                        if (v > INT32_MAX)
                                return -EBADMSG;
                        in_number = true;
                } else if (buf[i] != '\n' || !in_number)
                        return -EBADMSG;
                else {
                        if (ret->n < COMPANY_MAX)
                                ret->pid[ret->n++] = (pid_t)v;
                        else
                                ret->more = true;
                        v = 0;
                        in_number = false;
                }
        }
        return 0;
}

static int read_pids(int group_fd, Pids *ret) {
        char buf[PIDS_TEXT_MAX];
        ssize_t n = rootfs_read(group_fd, "cgroup.procs", buf, sizeof(buf));

        if (n < 0 && n != -EFBIG)
                return (int)n;
        return parse_pids(buf, n < 0 ? sizeof(buf) - 1 : (size_t)n, ret);
}

/* Return: 1: @pid is @ancestor, or descends from it; 0: not; negative errno: it ended meanwhile, or cannot be read. */
static int descends(int proc_fd, pid_t pid, pid_t ancestor) {
        for (unsigned i = 0; pid > 0 && i < GENERATIONS_MAX; i++) {
                char path[32];
                ProcStat st;
                int r;

                if (pid == ancestor)
                        return 1;
                snprintf(path, sizeof(path), "%d/stat", (int)pid);
                r = stat_read(proc_fd, path, &st);
                if (r < 0)
                        return r;
                pid = st.ppid;
        }
        return 0;
}

static bool is_gone(int r) {
        return r == -ENOENT || r == -ESRCH;
}

/* Return: as descends(), either way round. */
static int is_family(int proc_fd, pid_t pid, pid_t target) {
        int r = pid > 0 ? descends(proc_fd, pid, target) : 0;

        return r == 0 && pid > 0 ? descends(proc_fd, target, pid) : r;
}

int company_look(const Target *t, Company *ret) {
        Company c = {0};
        Pids pids = {0};
        int r;

        if (t->pid <= 0 || t->cgroup.version == 0 || t->cgroup.ruling > 0)
                return -ENOENT;
        r = read_pids(t->cgroup.dir_fd, &pids);
        if (r < 0)
                return r;
        c.n_processes = pids.n + pids.more;
        for (unsigned i = 0; i < pids.n; i++) {
                r = is_family(t->source.proc_fd, pids.pid[i], t->pid);
                if (r < 0 && !is_gone(r))
                        return r;
                c.n_strangers += r == 0;
        }
        *ret = c;
        return 0;
}

bool company_is_own(const Target *t) {
        Company c;

        return company_look(t, &c) == 0 && c.n_processes <= COMPANY_MAX && c.n_strangers == 0;
}
