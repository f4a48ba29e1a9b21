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

/* The file is readable without ptrace access, and tells the maps of two namespaces apart; the link in ns/ is not. */
static bool is_in_our_user_namespace(int proc_pid_fd) {
        char theirs[4096], ours[4096];

        return rootfs_read(proc_pid_fd, "uid_map", theirs, sizeof(theirs)) < 0 ||
               rootfs_read(AT_FDCWD, "/proc/self/uid_map", ours, sizeof(ours)) < 0 || strcmp(theirs, ours) == 0;
}

/* What a security module calls it: "unconfined", "system_u:system_r:httpd_t:s0". */
static bool read_label(int proc_pid_fd, char *buf, size_t size) {
        if (rootfs_read(proc_pid_fd, "attr/current", buf, size) <= 0)
                return false;
        for (char *p = buf; *p; p++)
                if (*p < ' ' || *p > '~') {
                        *p = '\0';
                        break;
                }
        return *buf && strcmp(buf, "unconfined") != 0;
}

static void explain_with_capability(int proc_pid_fd, uint64_t yama, char *buf, size_t size) {
        char label[80];

        if (yama >= 3)
                snprintf(buf, size, "kernel.yama.ptrace_scope is 3: nobody may trace, and it stays so until a reboot");
        else if (!is_in_our_user_namespace(proc_pid_fd))
                snprintf(buf, size,
                         "it is in another user namespace, over which the probe's CAP_SYS_PTRACE has no power");
        else if (read_label(proc_pid_fd, label, sizeof(label)))
                snprintf(buf, size,
                         "denied in spite of CAP_SYS_PTRACE: a security module forbids it, its label is \"%s\"", label);
        else
                snprintf(buf, size, "denied in spite of CAP_SYS_PTRACE: a security module forbids it");
}

void access_explain(int proc_pid_fd, const Facts *f, char *buf, size_t size) {
        uint64_t yama = 0;
        struct stat st;

        if (rootfs_read_u64(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", &yama) < 0)
                yama = 0; /* no Yama */
        if (effective_capabilities() >> CAP_SYS_PTRACE & 1)
                explain_with_capability(proc_pid_fd, yama, buf, size);
        else if (f->uid != geteuid() || f->euid != geteuid())
                snprintf(buf, size,
                         "it runs as uid %u, the probe as uid %u: run the probe as that user or give it CAP_SYS_PTRACE",
                         f->uid != geteuid() ? f->uid : f->euid, geteuid());
        /* its files, but not the directory, are root's when it is not dumpable (fs/proc/base.c, task_dump_owner()) */
        else if (fstatat(proc_pid_fd, "maps", &st, 0) == 0 && st.st_uid != f->euid)
                snprintf(buf, size,
                         "it is not dumpable (it changed its user or capabilities): the probe needs CAP_SYS_PTRACE");
        else if (yama >= 1)
                snprintf(buf, size, "kernel.yama.ptrace_scope is %u: the probe needs CAP_SYS_PTRACE%s", (unsigned)yama,
                         yama >= 3 ? ", and 3 forbids even that" : "");
        else if (!is_in_our_user_namespace(proc_pid_fd))
                snprintf(buf, size, "it is in another user namespace: the probe needs CAP_SYS_PTRACE in that one");
        else
                snprintf(buf, size, "it has capabilities that the probe lacks: give the probe CAP_SYS_PTRACE");
}

/* A filter can be read by PTRACE_SECCOMP_GET_FILTER, with CAP_SYS_ADMIN and by a tracer without a filter of its own:
 * neither is the probe's. And nothing can be tried in the target: what a filter forbids may kill it. */
static void explain_seccomp(const Facts *f, char *buf, size_t size) {
        if (f->seccomp == 1)
                snprintf(buf, size, "strict mode: it may read, write and exit, and a call would kill it");
        else if (f->seccomp_filters == 0) /* not told before Linux 5.9 */
                snprintf(buf, size,
                         "under a filter, which the probe may not read; allow_seccomp if it is a container runtime's "
                         "default, which lets these calls pass");
        else
                snprintf(buf, size,
                         "under %u filter%s, which the probe may not read; allow_seccomp if %s a container runtime's "
                         "default, which lets these calls pass",
                         f->seccomp_filters, f->seccomp_filters == 1 ? "" : "s",
                         f->seccomp_filters == 1 ? "it is" : "each is");
}

bool access_filters_ok(const Facts *f, unsigned filters_ok) {
        if (f->seccomp == 0)
                return true;
        return f->seccomp == 2 &&
               (filters_ok == ACCESS_ANY_FILTERS || (filters_ok > 0 && f->seccomp_filters == filters_ok));
}

unsigned access_filters_here(void) {
        _cleanup_fd_ int self = rootfs_open_dir(AT_FDCWD, "/proc/self");
        Facts f;

        if (self < 0 || facts_read(self, &f) < 0 || f.seccomp_filters == 0)
                return 0;
        return f.seccomp_filters - 1; /* server_harden() */
}

ProbeResult access_judge(const Facts *f, unsigned filters_ok, char *buf, size_t size) {
        if (f->state == 'Z' || f->state == 'X')
                return PROBE_E_ZOMBIE;
        if (f->tracer != 0) {
                snprintf(buf, size, "process %d traces it", f->tracer);
                return PROBE_E_TRACED;
        }
        if (f->state == 'T')
                return PROBE_E_STOPPED;
        if (f->shadow_stack)
                return PROBE_E_SHADOW_STACK;
        if (!access_filters_ok(f, filters_ok)) {
                explain_seccomp(f, buf, size);
                return PROBE_E_SECCOMP;
        }
        return PROBE_OK;
}
