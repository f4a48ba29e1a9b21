/* SPDX-License-Identifier: Apache-2.0 */
#include "action/run.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "action/spawn.h"
#include "util/clock.h"
#include "util/log.h"

#define OUTPUT_KEPT_BYTES 4096 /* the end of what it writes, where the error is */
#define OUTPUT_READS_MAX 16    /* in one turn of the loop: a hook that writes without end must not hold it */
#define KILL_AFTER_USEC (5 * USEC_PER_SEC)
#define POLL_USEC (100 * USEC_PER_MSEC) /* where there is no pidfd */

typedef enum HookStage { HOOK_RUNS, HOOK_TERMINATED, HOOK_KILLED } HookStage;

typedef struct HookRun {
        ActionRun run; /* first */
        Spawned child; /* pid 0 = never started */
        HookStage stage;
        uint64_t timeout_usec;
        sd_event_source *output, *ended, *poll, *deadline;
        char kept[OUTPUT_KEPT_BYTES + 1];
        size_t n_kept;
} HookRun;

static void release(ActionRun *run) {
        HookRun *h = (HookRun *)run;

        sd_event_source_disable_unref(h->output);
        sd_event_source_disable_unref(h->ended);
        sd_event_source_disable_unref(h->poll);
        sd_event_source_disable_unref(h->deadline);
        spawn_done(&h->child);
        free(h);
}

static void keep_output(HookRun *h, const char *p, size_t n) {
        size_t over;

        if (n > OUTPUT_KEPT_BYTES) {
                p += n - OUTPUT_KEPT_BYTES;
                n = OUTPUT_KEPT_BYTES;
        }
        over = h->n_kept + n > OUTPUT_KEPT_BYTES ? h->n_kept + n - OUTPUT_KEPT_BYTES : 0;
        memmove(h->kept, h->kept + over, h->n_kept - over);
        h->n_kept -= over;
        memcpy(h->kept + h->n_kept, p, n);
        h->n_kept += n;
}

/* Return: true when there may be more. */
static bool read_output(HookRun *h) {
        char buf[4096];

        for (unsigned i = 0; i < OUTPUT_READS_MAX; i++) {
                ssize_t n = read(h->child.output_fd, buf, sizeof(buf));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN;
                keep_output(h, buf, (size_t)n);
        }
        return true;
}

/* The last line that is not empty; cut in place. */
static const char *last_line(HookRun *h) {
        char *line;

        for (size_t i = 0; i < h->n_kept; i++)
                if (h->kept[i] == '\0')
                        h->kept[i] = '?';
        while (h->n_kept > 0 && strchr(" \t\r\n", h->kept[h->n_kept - 1]))
                h->n_kept--;
        h->kept[h->n_kept] = '\0';
        log_event(LOG_DEBUG, "hook.output", LOG_FIELDS(LF_S("output", h->kept)), "the hook wrote %zu bytes at the end",
                  h->n_kept);
        line = strrchr(h->kept, '\n');
        return line ? line + 1 : h->kept;
}

static void describe_end(HookRun *h, const siginfo_t *info) {
        char span[RUN_SPAN_MAX], limit[RUN_SPAN_MAX], name[RUN_SPAN_MAX], how[64];
        const char *line = last_line(h);

        if (info->si_code == CLD_EXITED)
                snprintf(how, sizeof(how), "exit status %d", info->si_status);
        else
                snprintf(how, sizeof(how), "ended by %s", run_signal_name(name, info->si_status));
        run_span(span, run_elapsed_usec(&h->run));
        if (h->stage == HOOK_RUNS)
                run_detail(&h->run, "%s after %s%s%s", how, span, *line ? ": " : "", line);
        else
                run_detail(&h->run, "over its time of %s; %s after %s%s%s", run_span(limit, h->timeout_usec), how, span,
                           *line ? ": " : "", line);
}

/* It has ended: what it left in the pipe belongs to it, what a child of it still writes does not. */
static void end_with(HookRun *h, const siginfo_t *info) {
        int error = spawn_exec_error(&h->child);
        bool ok = info->si_code == CLD_EXITED && info->si_status == 0;

        (void)read_output(h);
        if (error < 0)
                run_detail(&h->run, "the hook cannot be executed: %s%s", strerror(-error),
                           error == -ENOEXEC ? " (a script needs a #! line)" : "");
        else
                describe_end(h, info);
        run_end(&h->run, h->stage != HOOK_RUNS ? OUTCOME_TIMEOUT : ok && error == 0 ? OUTCOME_OK : OUTCOME_ERROR);
}

/* Return: true when it has ended; @h is gone then. */
static bool reap(HookRun *h) {
        siginfo_t info = {0};
        pid_t pid = h->child.pid;
        int r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);

        if (r < 0 && errno == EINTR)
                return false;
        if (r < 0) { /* somebody else waited for it, or SIGCHLD is ignored */
                run_detail(&h->run, "how the hook ended cannot be known: %s", strerror(errno));
                run_end(&h->run, OUTCOME_ERROR);
                return true;
        }
        if (info.si_pid == 0)
                return false;
        /* its zombie still holds the number of the group: what is left of the group after a timeout goes as well */
        if (h->stage != HOOK_RUNS)
                spawn_kill(pid, SIGKILL);
        (void)waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOHANG);
        end_with(h, &info);
        return true;
}

static int on_output(sd_event_source *source, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        return read_output(userdata) ? 0 : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

static int on_ended(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        (void)reap(userdata);
        return 0;
}

static int on_poll(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        int r;

        if (reap(userdata))
                return 0;
        r = sd_event_source_set_time_relative(source, POLL_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* SIGTERM, 5 s later SIGKILL, and 5 s after that we do not wait any longer for a process that cannot end. */
static int on_deadline(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        HookRun *h = userdata;
        int r;

        if (reap(h))
                return 0;
        if (h->stage == HOOK_KILLED) {
                (void)spawn_abandon(h->run.event, h->child.pid, 0);
                run_detail(&h->run, "the hook does not end, not even by SIGKILL");
                run_end(&h->run, OUTCOME_TIMEOUT);
                return 0;
        }
        spawn_kill(h->child.pid, h->stage == HOOK_RUNS ? SIGTERM : SIGKILL);
        h->stage++;
        r = sd_event_source_set_time_relative(source, KILL_AFTER_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int watch(HookRun *h) {
        sd_event *e = h->run.event;
        int r = sd_event_add_io(e, &h->output, h->child.output_fd, EPOLLIN, on_output, h);

        if (r < 0)
                return r;
        if (h->child.pid_fd >= 0)
                r = sd_event_add_io(e, &h->ended, h->child.pid_fd, EPOLLIN, on_ended, h);
        else
                r = run_timer(&h->run, &h->poll, POLL_USEC, on_poll);
        return r < 0 ? r : run_timer(&h->run, &h->deadline, h->timeout_usec, on_deadline);
}

static int find_program(const ActionOptions *o, char path[static PATH_MAX], char *why, size_t why_size) {
        const char *name = o->hook_argv[0];
        int r;

        if (!name)
                return run_why(-EINVAL, why, why_size, "no hook is configured");
        r = spawn_find(name, path);
        if (r == -EACCES)
                return run_why(r, why, why_size, "%s: no file that uid %u may execute", name, (unsigned)geteuid());
        return r < 0 ? run_why(r, why, why_size, "%s: %s", name, strerror(-r)) : 0;
}

static int check(const ActionContext *c, char *why, size_t why_size) {
        char path[PATH_MAX];
        int r = run_check_target(c, why, why_size);

        return r < 0 ? r : find_program(c->options, path, why, why_size);
}

enum { ENV_PATH, ENV_TARGET, ENV_PID, ENV_RUNG, ENV_REASON, _ENV_MAX };

static int launch(HookRun *h, const ActionContext *c, const Decision *d, const char *path) {
        char text[_ENV_MAX][4096], *env[_ENV_MAX + 1] = {NULL};
        const char *search = getenv("PATH");
        _cleanup_fd_ int stdin_fd = spawn_text_fd(c->evidence_json ? c->evidence_json : "");

        if (stdin_fd < 0)
                return stdin_fd;
        snprintf(text[ENV_PATH], sizeof(text[0]), "PATH=%s", search ? search : "/usr/sbin:/usr/bin:/sbin:/bin");
        snprintf(text[ENV_TARGET], sizeof(text[0]), "PLATEAU_TARGET=%s", c->target->spec.name);
        snprintf(text[ENV_PID], sizeof(text[0]), "PLATEAU_PID=%d", (int)c->target->pid);
        snprintf(text[ENV_RUNG], sizeof(text[0]), "PLATEAU_RUNG=%s", rung_name(d->rung));
        snprintf(text[ENV_REASON], sizeof(text[0]), "PLATEAU_REASON=%s", reason_name(d->reason));
        for (int i = 0; i < _ENV_MAX; i++)
                env[i] = text[i];
        return spawn_start(path, c->options->hook_argv, env, stdin_fd, &h->child);
}

static int start(const ActionContext *c, const Decision *d, ActionDoneFn done, void *userdata, ActionRun **ret) {
        char path[PATH_MAX], why[256];
        HookRun *h;
        int r;

        if (!target_is_same(c->target))
                return -ESRCH;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        run_init(&h->run, c, RUNG_ROTATE, "hook", done, userdata, release);
        h->child = SPAWNED_NULL;
        h->timeout_usec = c->options->hook_timeout_usec;
        r = find_program(c->options, path, why, sizeof(why));
        if (r < 0) {
                run_detail(&h->run, "%s", why);
                r = run_end_later(&h->run, OUTCOME_ERROR);
        } else {
                r = launch(h, c, d, path);
                if (r >= 0)
                        r = watch(h);
                if (r < 0 && h->child.pid > 0)
                        (void)spawn_abandon(h->run.event, h->child.pid, KILL_AFTER_USEC);
        }
        if (r < 0) {
                run_free(&h->run);
                return r;
        }
        *ret = &h->run;
        return 0;
}

/* The hook is ours, so it does not stay behind: SIGTERM now, and what happens then does not hold up the caller. */
static void cancel(ActionRun *run) {
        HookRun *h = (HookRun *)run;

        if (h && h->child.pid > 0)
                (void)spawn_abandon(h->run.event, h->child.pid, KILL_AFTER_USEC);
        run_cancel(run);
}

const Action action_rotate_hook = {
        .name = "rotate-hook",
        .rung = RUNG_ROTATE,
        .check = check,
        .start = start,
        .cancel = cancel,
};
