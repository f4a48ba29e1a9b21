/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/access.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/rootfs.h"

static uint64_t effective_capabilities(void) {
        char buf[8192];
        const char *p;

        if (rootfs_read(AT_FDCWD, "/proc/self/status", buf, sizeof(buf)) < 0 || !(p = strstr(buf, "\nCapEff:")))
                return 0;
        return strtoull(p + 8, NULL, 16);
}

void access_explain(int proc_pid_fd, const Facts *f, char *buf, size_t size) {
        uint64_t yama = 0;
        struct stat st;

        if (effective_capabilities() >> CAP_SYS_PTRACE & 1)
                snprintf(buf, size,
                         "denied in spite of CAP_SYS_PTRACE: another user namespace, or a security module forbids it");
        else if (f->uid != geteuid() || f->euid != geteuid())
                snprintf(buf, size,
                         "it runs as uid %u, the probe as uid %u: run the probe as that user or give it CAP_SYS_PTRACE",
                         f->uid, geteuid());
        else if (rootfs_read_u64(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", &yama) == 0 && yama >= 1)
                snprintf(buf, size, "kernel.yama.ptrace_scope is %u: the probe needs CAP_SYS_PTRACE%s", (unsigned)yama,
                         yama >= 3 ? ", and 3 forbids even that" : "");
        /* /proc/PID belongs to root when the process is not dumpable (fs/proc/base.c, task_dump_owner()) */
        else if (fstat(proc_pid_fd, &st) == 0 && st.st_uid != f->euid)
                snprintf(buf, size,
                         "it is not dumpable (it changed its user or capabilities): the probe needs CAP_SYS_PTRACE");
        else
                snprintf(buf, size, "it has capabilities that the probe lacks: give the probe CAP_SYS_PTRACE");
}
