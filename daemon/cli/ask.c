/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"

/* What is not in here is "refused". */
static const struct {
        ProbeResult result;
        const char *name;
} results[] = {
        {PROBE_OK, "ok"},
        {PROBE_E_TIMEOUT, "timeout"},
        {PROBE_E_GONE, "error"},
        {PROBE_E_PROTOCOL, "error"},
        {PROBE_E_INTERNAL, "error"},
};

static const struct {
        const char *name;
        CliExit code;
} exits[] = {{"ok", CLI_OK}, {"refused", CLI_REFUSED}, {"timeout", CLI_TIMEOUT}, {"error", CLI_ERROR}};

static const char *result_of(ProbeResult r) {
        for (size_t i = 0; i < ELEMENTSOF(results); i++)
                if (results[i].result == r)
                        return results[i].name;
        return "refused";
}

void ask_done(Ask *a) {
        a->pid_fd = fd_close(a->pid_fd);
}

void ask_fail(Ask *a, ProbeResult result, const char *fmt, ...) {
        va_list ap;

        a->reply = (ProbeReply){.result = result};
        va_start(ap, fmt);
        vsnprintf(a->reply.detail, sizeof(a->reply.detail), fmt, ap);
        va_end(ap);
        a->result = result_of(result);
}

bool ask_identify(Ask *a, pid_t pid) {
        _cleanup_fd_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TargetSpec spec = {.match = TARGET_MATCH_PID, .pid = pid};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = -1, .pidfd = true};
        Target target = TARGET_NULL;
        Sample sample = {0};
        TargetEvent event;
        int r = proc_fd < 0 ? -errno : 0;

        a->pid = pid;
        target_init(&target, &spec, &source);
        if (r == 0)
                r = target_refresh(&target, &event);
        if (r == 0 && target.pid == 0)
                r = -ESRCH;
        if (r == 0) {
                a->start_ticks = target.start_ticks;
                a->pid_fd = take_fd(&target.pid_fd);
                memcpy(a->comm, target.comm, sizeof(a->comm));
                if (target_sample(&target, now_boot_usec(), 0, &sample) == 0 && sample.have & SAMPLE_HAVE_STATUS)
                        a->rss_bytes = sample.rss_bytes;
        }
        target_done(&target);
        if (r == -ESRCH)
                ask_fail(a, PROBE_E_GONE, "%s", "");
        else if (r < 0)
                ask_fail(a, PROBE_E_INTERNAL, "%s", strerror(-r));
        return r == 0;
}

ProbeClient *ask_start(Ask *a, const char *path) {
        ProbeClient *client = NULL;
        int r = probe_client_new(path, NULL, &client);

        if (r == -ENOENT)
                ask_fail(a, PROBE_E_INTERNAL, "there is no plateau-probe; set $PLATEAU_PROBE or give --probe PATH");
        else if (r < 0)
                ask_fail(a, PROBE_E_INTERNAL, "%s", strerror(-r));
        return r < 0 ? NULL : client;
}

void ask_probe(Ask *a, ProbeClient *client, const ProbeRequest *request, uint64_t wait_usec, int *ret_fd) {
        ProbeRequest q = *request;
        int fd = -1, r;

        q.pid = a->pid;
        q.start_ticks = a->start_ticks;
        r = probe_client_call(client, &q, &a->reply, &fd, wait_usec);
        *ret_fd = fd;
        if (r == -ETIMEDOUT)
                ask_fail(a, PROBE_E_TIMEOUT, "plateau-probe did not answer");
        else if (r == -EPIPE || r == -ECONNRESET)
                ask_fail(a, PROBE_E_INTERNAL, "plateau-probe ended without an answer");
        else if (r < 0)
                ask_fail(a, PROBE_E_INTERNAL, "%s", strerror(-r));
        else
                ask_take(a);
}

void ask_take(Ask *a) {
        a->result = result_of((ProbeResult)a->reply.result);
}

bool ask_wait(Ask *a, uint64_t deadline_usec, const char *what) {
        struct pollfd end = {.fd = a->pid_fd, .events = POLLIN}; /* of no pidfd (before Linux 5.3) poll() only waits */

        for (uint64_t now = now_mono_usec(); now < deadline_usec; now = now_mono_usec()) {
                uint64_t msec = (deadline_usec - now + 999) / 1000;

                if (poll(&end, 1, (int)min_of(msec, (uint64_t)USEC_PER_DAY / 1000)) > 0) {
                        ask_fail(a, PROBE_E_GONE, "it ended before the %s", what);
                        return false;
                }
        }
        return true;
}

CliExit ask_exit(const Ask *a) {
        for (size_t i = 0; i < ELEMENTSOF(exits); i++)
                if (strcmp(exits[i].name, a->result) == 0)
                        return exits[i].code;
        return CLI_ERROR;
}
