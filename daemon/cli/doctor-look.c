/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/survey/reader.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/rootfs.h"

#define ANSWER_USEC        (10 * USEC_PER_SEC)
#define SURVEY_BUDGET      500u /* milliseconds of looking at a heap are enough to know that it can be done */
#define CAP_SYS_PTRACE_BIT 19   /* include/uapi/linux/capability.h */
#define YAMA               "/proc/sys/kernel/yama/ptrace_scope"

/* Any user but root loses at exec what "add" gives. */
#define ADD_CAPABILITY "in the sidecar: securityContext: {runAsUser: 0, capabilities: {add: [SYS_PTRACE]}}"

static bool ask(Doctor *d, ProbeClient *c, ProbeOp op, ProbeReply *r, int *ret_fd) {
        ProbeRequest q = {.op = op,
                          .pid = d->target.pid,
                          .start_ticks = d->target.start_ticks,
                          .budget_msec = op == PROBE_OP_SURVEY ? SURVEY_BUDGET : 0};
        int e = probe_client_call(c, &q, r, ret_fd, ANSWER_USEC);

        if (e < 0) {
                *r = (ProbeReply){.result = PROBE_E_INTERNAL};
                snprintf(r->detail, sizeof(r->detail), "%s", strerror(-e));
        }
        return e >= 0 && r->result == PROBE_OK;
}

/* ---- the process ---- */

static bool find_target(Doctor *d, const TargetSource *src) {
        TargetEvent event;
        int r;

        target_init(&d->target, &d->spec, src);
        r = target_refresh(&d->target, &event);
        if (r < 0 || d->target.pid <= 0) {
                doctor_find(d, "target", "process", DOCTOR_BAD, "no process: %s",
                            r < 0 ? strerror(-r) : target_absent_reason(&d->target));
                if (d->spec.match == TARGET_MATCH_MAIN)
                        doctor_change(d, "in the pod's spec: shareProcessNamespace: true");
                else
                        doctor_change(d, "name another one: plateau doctor --pid PID, or targets[].match");
                return false;
        }
        doctor_find(d, "target", "process", DOCTOR_GOOD, "%s, pid %d, uid %u", d->target.comm, (int)d->target.pid,
                    (unsigned)d->target.uid);
        return true;
}

/* ---- what we may do to it ---- */

static int yama_scope(void) {
        uint64_t v;

        return rootfs_read_u64(AT_FDCWD, YAMA, &v) == 0 ? (int)v : 0;
}

/* The line that opens the next tier, by what stands in the way of this one. */
static void change_access(Doctor *d, const ProbeHello *hello) {
        bool capable = hello->cap_effective >> CAP_SYS_PTRACE_BIT & 1, same = d->target.uid == hello->uid;
        int scope = yama_scope();

        if (scope >= 3)
                doctor_change(d, "on the node: sysctl kernel.yama.ptrace_scope=1 (3 stays until it boots anew)");
        else if (capable)
                doctor_change(d, "the capability is there, so a security module or a user namespace says no: "
                                 "run both in one user namespace");
        else if (!same && d->in_pod)
                doctor_change(d,
                              "in the sidecar: securityContext: {runAsUser: %u}; or {runAsUser: 0, capabilities: {add: "
                              "[SYS_PTRACE]}}",
                              (unsigned)d->target.uid);
        else if (!same)
                doctor_change(d, "run it as root%s; or: setcap cap_sys_ptrace=ep plateau-probe",
                              d->target.uid ? ", or as the program's own user" : "");
        else if (scope >= 1)
                doctor_change(d, d->in_pod ? ADD_CAPABILITY "; or on the node: sysctl kernel.yama.ptrace_scope=0"
                                           : "setcap cap_sys_ptrace=ep plateau-probe; or: sysctl "
                                             "kernel.yama.ptrace_scope=0");
        else
                doctor_change(d, d->in_pod ? ADD_CAPABILITY : "setcap cap_sys_ptrace=ep plateau-probe");
}

static void find_refusal(Doctor *d, const char *name, const char *what, const ProbeReply *r, const ProbeHello *hello) {
        doctor_find(d, "access", name, DOCTOR_HALF, "no %s: %s%s%s", what, probe_result_text(r->result),
                    r->detail[0] ? ": " : "", r->detail);
        if (r->result == PROBE_E_ACCESS)
                change_access(d, hello);
}

static void find_allocator(Doctor *d, const Survey *s) {
        if (!s->allocator[0])
                doctor_find(d, "reclaim", "allocator", DOCTOR_HALF, "its allocator is not known: reclaim may refuse");
        else if (s->flags & SURVEY_HAVE_TRIM)
                doctor_find(d, "reclaim", "allocator", DOCTOR_GOOD,
                            "%.30s: can be trimmed, and what that gives is known", s->allocator);
        else if (strncmp(s->allocator, "glibc", 5) == 0 || strncmp(s->allocator, "jemalloc", 8) == 0 ||
                 strstr(s->allocator, "malloc"))
                doctor_find(d, "reclaim", "allocator", DOCTOR_GOOD,
                            "%.30s: can be asked to give memory back; how much, is known after it", s->allocator);
        else
                doctor_find(d, "reclaim", "allocator", DOCTOR_HALF, "%.30s cannot be asked to give memory back",
                            s->allocator);
        if (s->flags & SURVEY_HAVE_PYTHON)
                doctor_find(d, "reclaim", "python", DOCTOR_GOOD, "Python: plateau inspect %d counts its objects",
                            (int)d->target.pid);
        if (s->flags & SURVEY_HAVE_JAVA)
                doctor_find(d, "reclaim", "java", DOCTOR_GOOD, "a JVM: asked through its attach socket first");
}

/* Of the process, or of ourselves. Return: how many; 0 = none, or not told (before Linux 5.9). */
static unsigned filters_of(const Doctor *d, const char *pid, unsigned *ret_mode) {
        char path[32], text[8192];
        const char *mode, *filters;

        *ret_mode = 0;
        snprintf(path, sizeof(path), "%s/status", pid);
        if (rootfs_read(d->target.source.proc_fd, path, text, sizeof(text)) <= 0)
                return 0;
        mode = strstr(text, "\nSeccomp:");
        filters = strstr(text, "\nSeccomp_filters:");
        *ret_mode = mode ? (unsigned)strtoul(strchr(mode, ':') + 1, NULL, 10) : 0;
        return filters ? (unsigned)strtoul(strchr(filters, ':') + 1, NULL, 10) : 0;
}

/* As the probe judges it before a call (probe/inject/access.h), which is the judgement that counts. */
static void find_seccomp(Doctor *d) {
        const ActionOptions *o = d->settings ? &d->settings->action : NULL;
        unsigned mode, our_mode, n, ours = filters_of(d, "self", &our_mode);
        char pid[16];

        snprintf(pid, sizeof(pid), "%d", (int)d->target.pid);
        n = filters_of(d, pid, &mode);
        if (mode == 2 && o && (o->allow_seccomp || (o->allow_runtime_seccomp && n > 0 && n == ours))) {
                doctor_find(d, "reclaim", "seccomp", DOCTOR_GOOD, "may be called into under its seccomp filter, by %s",
                            o->allow_seccomp ? "allow_seccomp" : "allow_runtime_seccomp");
        } else if (mode == 2 && n > 0 && n == ours) {
                doctor_find(
                        d, "reclaim", "seccomp", DOCTOR_HALF,
                        "nothing is called: it is under a seccomp filter, most likely the container runtime's, since "
                        "we have as many");
                doctor_change(d, "policy: {reclaim: {allow_runtime_seccomp: true}}");
        } else if (mode == 2) {
                doctor_find(d, "reclaim", "seccomp", DOCTOR_HALF,
                            "nothing is called: it is under %u seccomp filter%s, we are under %u, and what they forbid "
                            "cannot be read",
                            n, n == 1 ? "" : "s", ours);
                doctor_change(d, "policy: {reclaim: {allow_seccomp: true}}, if you know that they let mmap, munmap, "
                                 "madvise, brk and futex pass");
        } else if (mode == 1)
                doctor_find(d, "reclaim", "seccomp", DOCTOR_HALF,
                            "nothing is called: in seccomp's strict mode that would kill it");
}

/* A survey reads /proc/PID/mem, which takes the access that attaching takes (mm/ptrace: PTRACE_MODE_ATTACH), and
 * neither stops nor calls anything. */
static bool try_survey(Doctor *d, ProbeClient *c, const ProbeHello *hello) {
        _cleanup_fd_ int fd = -1;
        Survey *s = NULL;
        const char *why = "";
        ProbeReply r;

        if (!ask(d, c, PROBE_OP_SURVEY, &r, &fd)) {
                find_refusal(d, "call", "surveys, no reclaim", &r, hello);
                return false;
        }
        d->tier = DOCTOR_TIER_CALL;
        doctor_find(d, "access", "call", DOCTOR_GOOD, "may read its memory and call into it: surveys, reclaim");
        if (survey_read(fd, &s, &why) < 0)
                doctor_find(d, "reclaim", "allocator", DOCTOR_HALF, "the survey is refused: %s", why);
        else
                find_allocator(d, s);
        free(s);
        find_seccomp(d);
        return true;
}

static void try_access(Doctor *d, ProbeClient *c) {
        ProbeReply r, smaps;
        ProbeHello hello = {.uid = (uint32_t)geteuid()};
        _cleanup_fd_ int fd = -1;

        if (ask(d, c, PROBE_OP_HELLO, &r, NULL))
                hello = r.hello;
        if (target_wants_cgroup_dir(&d->target) && ask(d, c, PROBE_OP_CGROUP_DIR, &r, &fd) && fd >= 0)
                (void)!target_set_cgroup_dir(&d->target, take_fd(&fd));
        if (!ask(d, c, PROBE_OP_SMAPS_ROLLUP, &smaps, NULL)) {
                find_refusal(d, "read", "PSS, no surveys, no reclaim", &smaps, &hello);
                return;
        }
        d->tier = DOCTOR_TIER_READ;
        doctor_find(d, "access", "read", DOCTOR_GOOD, "may read smaps_rollup: PSS and USS are known%s",
                    hello.cap_effective >> CAP_SYS_PTRACE_BIT & 1 ? ", by CAP_SYS_PTRACE" : "");
        (void)try_survey(d, c, &hello);
}

static void look_at_access(Doctor *d) {
        ProbeClient *c = NULL;
        int r = probe_client_new(d->probe_path, NULL, &c);

        d->tier = DOCTOR_TIER_STATUS;
        if (r < 0) {
                doctor_find(d, "access", "probe", DOCTOR_HALF,
                            "plateau-probe cannot be started: %s: figures of "
                            "status alone",
                            strerror(-r));
                doctor_change(d, "install plateau-probe beside plateaud, or say where it is: PLATEAU_PROBE=PATH");
                return;
        }
        try_access(d, c);
        probe_client_free(c);
}

/* ---- where figures come from ---- */

static void look_at_limit(Doctor *d) {
        static const char *const froms[_LIMIT_MAX] = {[LIMIT_CGROUP] = "of its cgroup",
                                                      [LIMIT_ENVIRONMENT] = "by PLATEAU_LIMIT_BYTES",
                                                      [LIMIT_CONFIG] = "by targets[].limit"};
        char used[FORMAT_MAX], limit[FORMAT_MAX];

        if (d->sample.limit_bytes) {
                doctor_find(d, "sources", "limit", DOCTOR_GOOD, "limit %s %s, %s used",
                            format_bytes(limit, d->sample.limit_bytes), froms[d->sample.limit_source],
                            format_bytes(used, d->sample.usage_bytes));
                return;
        }
        doctor_find(d, "sources", "limit", d->in_pod ? DOCTOR_BAD : DOCTOR_HALF,
                    "no limit is known: nothing can be forecast but growth");
        if (d->in_pod)
                doctor_change(d, "in the sidecar: env PLATEAU_LIMIT_BYTES, valueFrom: {resourceFieldRef: "
                                 "{containerName: MAIN, resource: limits.memory}}");
        else
                doctor_change(d, "say one: targets: [{limit: 4GiB}]; or set MemoryMax= for its unit");
}

static void look_at_cgroup(Doctor *d) {
        const Sample *s = &d->sample;

        if (!(s->have & SAMPLE_HAVE_CGROUP)) {
                doctor_find(d, "sources", "cgroup", DOCTOR_HALF, "its cgroup is not seen: RSS stands for what is used");
                if (d->tier < DOCTOR_TIER_READ)
                        doctor_change(d, "see access: reading its view of /sys/fs/cgroup takes the same rights");
                return;
        }
        doctor_find(d, "sources", "cgroup", DOCTOR_GOOD, "cgroup v%u%s%s", s->cgroup.version,
                    s->have & SAMPLE_HAVE_CGROUP_EVENTS ? ", its OOM events" : "",
                    s->have & SAMPLE_HAVE_PRESSURE ? ", its pressure (PSI)" : "");
        if (s->cgroup.version == 2 && !(s->have & SAMPLE_HAVE_PRESSURE)) {
                doctor_find(d, "sources", "pressure", DOCTOR_NONE, "no pressure figures (PSI)");
                doctor_change(d, "on the node's kernel command line: psi=1");
        }
}

void doctor_look(Doctor *d, const TargetSource *src) {
        const char *env = getenv("PLATEAU_LIMIT_BYTES");
        uint64_t limit = env ? strtoull(env, NULL, 10) : 0;
        int r;

        if (!find_target(d, src))
                return;
        look_at_access(d);
        r = target_sample(&d->target, now_boot_usec(), limit, &d->sample);
        if (r < 0) {
                doctor_find(d, "sources", "status", DOCTOR_BAD, "its status cannot be read: %s", strerror(-r));
                return;
        }
        d->has_sample = true;
        look_at_limit(d);
        look_at_cgroup(d);
}
