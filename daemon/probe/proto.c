/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/proto.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/cleanup.h"

static const struct {
        const char *name, *text;
} results[_PROBE_RESULT_MAX] = {
        [PROBE_OK] = {"ok", "done"},
        [PROBE_E_GONE] = {"gone", "no such process, or another one has its number by now"},
        [PROBE_E_ACCESS] = {"access", "not allowed to trace this process"},
        [PROBE_E_TRACED] = {"traced", "another tracer (a debugger, strace) is attached to it"},
        [PROBE_E_ZOMBIE] = {"zombie", "it has ended and waits for its parent"},
        [PROBE_E_STOPPED] = {"stopped", "it is stopped by job control"},
        [PROBE_E_FOREIGN_ABI] = {"foreign_abi", "it is a 32-bit process or of another architecture"},
        [PROBE_E_SHADOW_STACK] = {"shadow_stack", "user shadow stacks are on: a signal frame cannot return there"},
        [PROBE_E_SECCOMP] = {"seccomp", "a seccomp filter is on and its verdict on the calls needed is not known"},
        [PROBE_E_NO_LIBC] = {"no_libc", "no glibc was found in it"},
        [PROBE_E_OTHER_MALLOC] = {"other_malloc", "its malloc is of a library that cannot be purged from outside"},
        [PROBE_E_RAW_THREADS] = {"raw_threads", "it has threads that glibc does not know of, so its heap has no locks"},
        [PROBE_E_NO_SAFE_THREAD] = {"no_safe_thread", "no thread stood at a proven safe point within the time allowed"},
        [PROBE_E_NO_MEMORY] = {"no_memory", "it could not map the scratch memory"},
        [PROBE_E_IN_FLIGHT] = {"in_flight", "an earlier call in it has not finished yet"},
        [PROBE_E_TIMEOUT] = {"timeout", "the call did not finish in its time and was left to finish by itself"},
        [PROBE_E_PROTOCOL] = {"protocol", "the two ends do not speak the same version"},
        [PROBE_E_UNSUPPORTED] = {"unsupported", "not supported on this architecture or kernel"},
        [PROBE_E_INTERNAL] = {"internal", "a system call failed unexpectedly"},
        [PROBE_E_NO_SETTING] = {"no_setting", "its allocator has no such setting"},
        [PROBE_E_REJECTED] = {"rejected", "its allocator refused the value"},
        [PROBE_E_ONE_THREAD] = {"one_thread", "it has one thread, and must not become a process with several"},
        [PROBE_E_NO_PYTHON] = {"no_python", "there is no Python interpreter in it that can be read"},
        [PROBE_E_NO_FIGURES] = {"no_figures", "its allocator has no function that tells its figures"},
        [PROBE_E_BUDGET] = {"budget", "it would have to stand still for longer than the budget allows"},
};

const char *probe_result_name(ProbeResult r) {
        return (unsigned)r < ELEMENTSOF(results) ? results[r].name : "invalid";
}

const char *probe_result_text(ProbeResult r) {
        return (unsigned)r < ELEMENTSOF(results) ? results[r].text : "invalid";
}

socklen_t probe_lock_name(pid_t pid, uint64_t start_ticks, struct sockaddr_un *ret) {
        struct stat ns;
        int n;

        if (stat("/proc/self/ns/pid", &ns) < 0)
                ns.st_ino = 0;
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        n = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1, "plateau-call-%d-%llu-%lu", (int)pid,
                     (unsigned long long)start_ticks, (unsigned long)ns.st_ino);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}
