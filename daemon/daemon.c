/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "pod.h"
#include "report/report.h"
#include "status-socket.h"
#include "systemd/notify.h"
#include "util/footprint.h"
#include "util/format.h"
#include "util/rootfs.h"
#include "watch.h"

#define FLUSH_USEC (700 * USEC_PER_MSEC)              /* of the second that a clean stop may take */
#define STAND_DOWN_USEC    (2 * USEC_PER_SEC) /* a slot that is not given back blocks others until it expires */
#define PROBE_RESTART_USEC (30 * USEC_PER_SEC)
#define TICK_MIN_USEC      (10 * USEC_PER_MSEC)        /* however soon a watch wants to look */
#define TICK_LATE_USEC     USEC_PER_SEC                /* a tick that comes so much too late is told, however short */
#define HEALTH_TICKS_LATE 3                           /* so many intervals without a tick and /healthz says 503 */

struct Daemon {
        sd_event *event;
        sd_event_source *tick, *sighup, *sigterm, *sigint;
        char *config_path;
        Settings settings;
        WatchHost host;
        Watch *watches[SETTINGS_TARGETS_MAX];
        unsigned n_watches, turn;
        Report *report;
        Pod *pod;
        unsigned n_stopping; /* that a clean stop waits for */
        StatusSocket *socket;
        int proc_fd, cgroup_fd;

        uint64_t start_real_usec;
        uint64_t interval_usec;                      /* from the last tick to the next, as planned */
        uint64_t last_tick_usec, last_progress_usec; /* CLOCK_BOOTTIME */
        uint64_t ticks, ticks_late;
        uint64_t reload_real_usec;
        bool reload_ok, stopping;
        uint64_t probe_retry_usec, probe_capabilities;
        Notify notify;
};

/* Until the next tick; never longer than the service manager's watchdog lets us. */
static uint64_t interval_of(const Daemon *d, uint64_t now_usec) {
        uint64_t interval = USEC_PER_HOUR, watchdog = notify_watchdog_interval_usec(&d->notify);

        for (unsigned i = 0; i < d->n_watches; i++)
                interval = min_of(interval, watch_wait(d->watches[i], now_usec));
        interval = max_of(interval, (uint64_t)TICK_MIN_USEC);
        return watchdog ? min_of(interval, watchdog) : interval;
}

/* ---- what is told ---- */

static void fill_self(View *v) {
        struct rusage ru;
        char buf[128];
        unsigned long long size, resident;

        if (getrusage(RUSAGE_SELF, &ru) == 0)
                v->self_cpu_usec = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * USEC_PER_SEC +
                                   (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
        if (rootfs_read(AT_FDCWD, "/proc/self/statm", buf, sizeof(buf)) > 0 &&
            sscanf(buf, "%llu %llu", &size, &resident) == 2)
                v->self_rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill_view(void *userdata, View *v) {
        static TargetView
                targets[SETTINGS_TARGETS_MAX]; /* 16 of them are 30 KiB: off the stack, and one loop has one view */
        Daemon *d = userdata;

        for (unsigned i = 0; i < d->n_watches; i++)
                watch_view(d->watches[i], &targets[i]);
        *v = (View){
                .now_boot_usec = now_boot_usec(),
                .now_real_usec = now_real_usec(),
                .start_real_usec = d->start_real_usec,
                .targets = targets,
                .n_targets = d->n_watches,
                .probe_alive = d->host.probe && !probe_client_dead(d->host.probe),
                .probe_capabilities = d->probe_capabilities,
                .config_reload_real_usec = d->reload_real_usec,
                .config_reload_ok = d->reload_ok,
                .ticks_total = d->ticks,
                .ticks_late_total = d->ticks_late,
                .log_dropped_total = log_dropped(),
        };
        v->pod = pod_view(d->pod);
        if (d->report)
                report_sinks(d->report, v->sinks, VIEW_SINKS_MAX, &v->n_sinks);
        fill_self(v);
}

static void fill_status(void *userdata, Buf *b) {
        Daemon *d = userdata;
        View v;

        fill_view(d, &v);
        status_encode(b, &v, &d->settings.report);
}

static int health(void *userdata, char *text, size_t size) {
        Daemon *d = userdata;
        uint64_t age = now_boot_usec() - d->last_progress_usec,
                 allowed = HEALTH_TICKS_LATE * d->interval_usec + USEC_PER_SEC;
        char ago[FORMAT_MAX];

        snprintf(text, size, "last sampling progress %s ago", format_usec(ago, age));
        return age <= allowed ? 200 : 503;
}

static int ready(void *userdata, char *text, size_t size) {
        const Daemon *d = userdata;

        return pod_ready(d->pod, text, size);
}

static int alive(void *userdata, char *text, size_t size) {
        const Daemon *d = userdata;

        return pod_alive(d->pod, text, size);
}

static const char *one_line(const Daemon *d, char *buf, size_t size) {
        unsigned present = 0, firing = 0;
        TargetView v;

        for (unsigned i = 0; i < d->n_watches; i++) {
                watch_view(d->watches[i], &v);
                present += v.present;
                firing += v.alert_firing;
        }
        snprintf(buf, size, "watching %u of %u processes, %u alert%s", present, d->n_watches, firing,
                 firing == 1 ? "" : "s");
        return buf;
}

static void tell_ready(Daemon *d) {
        char text[128];

        if (notify_ready(&d->notify, now_mono_usec(), one_line(d, text, sizeof(text))) < 0)
                log_line(LOG_DEBUG, "notify.failed", "the service manager could not be told");
}

/* Being late with these is no reason to do anything: the watchdog is there for whoever is. */
static void tell_service_manager(Daemon *d, bool progressed) {
        uint64_t now = now_mono_usec();
        char text[128];
        int r = notify_status(&d->notify, now, one_line(d, text, sizeof(text)));

        if (progressed && notify_watchdog_due(&d->notify, now))
                r = min_of(r, notify_watchdog(&d->notify, now));
        if (r < 0)
                log_line(LOG_DEBUG, "notify.failed", "the service manager could not be told: %s", strerror(-r));
}

static void on_sink_changed(void *userdata _unused_, const SinkCounters *s) {
        bool broken = s->last_error[0] != '\0';

        log_event(broken ? LOG_WARNING : LOG_NOTICE, broken ? "sink.failing" : "sink.recovered",
                  LOG_FIELDS(LF_S("sink", s->name), LF_U("queued", s->queued), LF_S("error", s->last_error)),
                  broken ? "%s: cannot deliver: %s" : "%s: delivers again%s", s->name, s->last_error);
}

/* ---- the probe ---- */

static void on_hello(void *userdata, const ProbeReply *r, int fd, int error) {
        Daemon *d = userdata;

        fd_close(fd);
        if (error < 0 || r->result != PROBE_OK)
                return;
        d->probe_capabilities = r->hello.cap_effective;
        log_event(LOG_INFO, "probe.ready",
                  LOG_FIELDS(LF_U("pid", r->hello.pid), LF_U("uid", r->hello.uid),
                             LF_U("cap_effective", r->hello.cap_effective)),
                  "probe is ready, pid %u, uid %u, %s", r->hello.pid, r->hello.uid,
                  r->hello.cap_effective ? "with CAP_SYS_PTRACE"
                                         : "without capabilities: processes of its own user only");
}

static void greet_probe(Daemon *d) {
        ProbeRequest hello = {.op = PROBE_OP_HELLO};

        if (d->host.probe && probe_client_send(d->host.probe, &hello, on_hello, d) < 0)
                log_line(LOG_WARNING, "probe.silent", "the probe does not answer");
}

/* A new one has whatever its file and user give it: the capability that we handed the first one is gone with ours. */
static void mind_probe(Daemon *d, uint64_t now_usec) {
        int r;

        if (!d->host.probe || !probe_client_dead(d->host.probe) || now_usec < d->probe_retry_usec)
                return;
        d->probe_retry_usec = now_usec + PROBE_RESTART_USEC;
        log_line(LOG_WARNING, "probe.died", "the probe ended; starting another one");
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_cancel_reclaim(d->watches[i]);
        d->host.probe = probe_client_free(d->host.probe);
        r = probe_client_new(NULL, d->event, &d->host.probe);
        if (r < 0) {
                d->host.probe = NULL;
                log_line(LOG_ERR, "probe.failed", "no probe any more: %s; watching goes on without reclaim",
                         strerror(-r));
                return;
        }
        greet_probe(d);
}

/* ---- the tick ---- */

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        Daemon *d = userdata;
        uint64_t now = now_boot_usec();
        bool progressed = true;
        int r;

        d->ticks++;
        if (now > usec + max_of(d->interval_usec, (uint64_t)TICK_LATE_USEC))
                d->ticks_late++;
        d->last_tick_usec = now;
        mind_probe(d, now);
        for (unsigned i = 0; i < d->n_watches; i++)
                progressed = watch_tick(d->watches[i], now) && progressed;
        if (progressed)
                d->last_progress_usec = now;
        pod_tick(d->pod, d->watches, d->n_watches, now);
        tell_service_manager(d, progressed);

        d->interval_usec = interval_of(d, now);
        r = sd_event_source_set_time(s, now + d->interval_usec);
        return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void wake(void *userdata) {
        Daemon *d = userdata;

        if (!d->stopping && sd_event_source_set_time(d->tick, now_boot_usec()) >= 0)
                sd_event_source_set_enabled(d->tick, SD_EVENT_ONESHOT);
}

static void on_pod_changed(void *userdata) {
        Daemon *d = userdata;

        pod_place(d->pod, &d->settings.report.place);
        report_set_place(d->report, &d->settings.report.place);
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_needs_changed(d->watches[i]);
        wake(d);
}

/* In turn, so that no target stands behind the others for ever. An action that waits for the probe goes first. */
static void ask_next(void *userdata) {
        Daemon *d = userdata;
        uint64_t now = now_boot_usec();

        for (unsigned i = 0; i < d->n_watches; i++)
                if (d->stopping || watch_is_acting(d->watches[i]))
                        return;
        d->turn++;
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_ask(d->watches[(d->turn + i) % d->n_watches], now);
}

/* ---- reload: all or nothing ---- */

static void log_problems(int level, const Buf *problems) {
        const char *p = buf_str(problems);

        while (*p) {
                size_t n = strcspn(p, "\n");

                log_line(level, "config.problem", "%.*s", (int)n, p);
                p += n + (p[n] == '\n');
        }
}

static bool spec_equal(const TargetSpec *a, const TargetSpec *b) {
        return strcmp(a->name, b->name) == 0 && a->match == b->match && a->pid == b->pid && a->pick == b->pick &&
               a->limit_bytes == b->limit_bytes && strcmp(a->value, b->value) == 0;
}

/* The watches for @s: those whose target stays are kept, with all they know. Return: 0 or -ENOMEM, then nothing is
 * made. */
static int plan_watches(Daemon *d, const Settings *s, Watch *plan[static SETTINGS_TARGETS_MAX],
                        bool fresh[static SETTINGS_TARGETS_MAX]) {
        for (unsigned i = 0; i < s->n_targets; i++) {
                plan[i] = NULL;
                for (unsigned k = 0; k < d->n_watches && !plan[i]; k++)
                        if (spec_equal(watch_spec(d->watches[k]), &s->targets[i]))
                                plan[i] = d->watches[k];
                fresh[i] = !plan[i];
                if (fresh[i] && watch_new(&d->host, &s->targets[i], &plan[i]) < 0) {
                        while (i-- > 0)
                                if (fresh[i])
                                        watch_free(plan[i]);
                        return -ENOMEM;
                }
        }
        return 0;
}

static bool is_kept(Watch *w, Watch *const *plan, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (plan[i] == w)
                        return true;
        return false;
}

static void apply_settings(Daemon *d, Settings *s, Watch **plan) {
        for (unsigned k = 0; k < d->n_watches; k++)
                if (!is_kept(d->watches[k], plan, s->n_targets))
                        watch_free(d->watches[k]);
        memcpy(d->watches, plan, s->n_targets * sizeof(plan[0]));
        d->n_watches = s->n_targets;
        settings_done(&d->settings);
        d->settings = *s;
        *s = (Settings){0};
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_settings_changed(d->watches[i]);
}

/* Everything that can fail comes before anything that changes. */
static int reload(Daemon *d, char *why, size_t why_size) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        _cleanup_(settings_done) Settings s = {0};
        Watch *plan[SETTINGS_TARGETS_MAX];
        bool fresh[SETTINGS_TARGETS_MAX], move_socket;
        StatusSocket *socket = NULL;
        Kube *kube = NULL;
        int r = settings_load_file(d->config_path, &s, NULL, &problems);

        log_problems(r < 0 ? LOG_ERR : LOG_WARNING, &problems);
        if (r < 0) {
                snprintf(why, why_size, "%s is wrong", d->config_path);
                return r;
        }
        move_socket = strcmp(s.socket_path, d->settings.socket_path) != 0;
        if (move_socket && s.socket_path[0]) {
                r = status_socket_new(d->event, s.socket_path, fill_status, d, &socket);
                if (r < 0) {
                        snprintf(why, why_size, "socket %s: %s", s.socket_path, strerror(-r));
                        return r;
                }
        }
        pod_place(d->pod, &s.report.place);
        r = pod_prepare(d->pod, &s.kube, &kube, why, why_size);
        if (r < 0) {
                status_socket_free(socket);
                return r;
        }
        r = plan_watches(d, &s, plan, fresh);
        if (r < 0)
                snprintf(why, why_size, "out of memory");
        else if ((r = report_set_options(d->report, &s.report, why, why_size)) < 0)
                for (unsigned i = 0; i < s.n_targets; i++)
                        if (fresh[i])
                                watch_free(plan[i]);
        if (r < 0) {
                kube_free(kube);
                status_socket_free(socket);
                return r;
        }
        pod_commit(d->pod, &s.kube, kube);
        if (move_socket) {
                status_socket_free(d->socket);
                d->socket = socket;
        }
        apply_settings(d, &s, plan);
        return 0;
}

static int on_sighup(sd_event_source *s _unused_, const struct signalfd_siginfo *si _unused_, void *userdata) {
        Daemon *d = userdata;
        char why[256] = "";
        int r;

        (void)notify_reloading(&d->notify);
        r = reload(d, why, sizeof(why));
        d->reload_ok = r >= 0;
        d->reload_real_usec = now_real_usec();
        if (r < 0)
                log_event(LOG_ERR, "config.kept", LOG_FIELDS(LF_S("path", d->config_path)),
                          "reload failed, the old configuration stays: %s", why);
        else
                log_event(LOG_NOTICE, "config.reloaded", LOG_FIELDS(LF_S("path", d->config_path)), "reloaded %s",
                          d->config_path);
        tell_ready(d);
        wake(d);
        return 0;
}

/* ---- the end ---- */

static void on_stopped(void *userdata) {
        Daemon *d = userdata;

        if (--d->n_stopping == 0)
                sd_event_exit(d->event, 0);
}

static int on_stop(sd_event_source *s _unused_, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *d = userdata;

        if (d->stopping)
                return sd_event_exit(d->event, 0); /* asked twice */
        d->stopping = true;
        log_event(LOG_NOTICE, "daemon.stopping", LOG_FIELDS(LF_U("signal", si->ssi_signo)), "stopping: %s",
                  strsignal((int)si->ssi_signo));
        (void)notify_stopping(&d->notify, "stopping");
        sd_event_source_set_enabled(d->tick, SD_EVENT_OFF);
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_cancel_action(d->watches[i]);
        d->n_stopping = 1 + (pod_kube(d->pod) != NULL);
        if (pod_kube(d->pod))
                kube_stop_begin(pod_kube(d->pod), STAND_DOWN_USEC, on_stopped, d);
        report_flush_begin(d->report, FLUSH_USEC, on_stopped, d);
        return 0;
}

/* ---- life ---- */

static int add_sources(Daemon *d) {
        static const struct {
                int sig;
                sd_event_signal_handler_t fn;
                const char *name;
                size_t at;
        } signals[] = {
                {SIGHUP, on_sighup, "reload", offsetof(Daemon, sighup)},
                {SIGTERM, on_stop, "stop", offsetof(Daemon, sigterm)},
                {SIGINT, on_stop, "interrupt", offsetof(Daemon, sigint)},
        };
        int r = sd_event_add_time(d->event, &d->tick, CLOCK_BOOTTIME, now_boot_usec(), 10 * USEC_PER_MSEC, on_tick, d);

        if (r < 0)
                return r;
        sd_event_source_set_description(d->tick, "tick");
        /* a tick that fails is a programming error: better to end and be started again than to watch nothing */
        sd_event_source_set_exit_on_failure(d->tick, true);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                sd_event_source **at = (sd_event_source **)((char *)d + signals[i].at);

                r = sd_event_add_signal(d->event, at, signals[i].sig, signals[i].fn, d);
                if (r < 0)
                        return r;
                sd_event_source_set_description(*at, signals[i].name);
        }
        return 0;
}

static int open_sources(Daemon *d, const DaemonSetup *setup, char *why, size_t why_size) {
        d->proc_fd = rootfs_open_dir(AT_FDCWD, "/proc");
        if (d->proc_fd < 0) {
                snprintf(why, why_size, "/proc: %s", strerror(-d->proc_fd));
                return d->proc_fd;
        }
        d->cgroup_fd =
                rootfs_open_dir(AT_FDCWD, "/sys/fs/cgroup"); /* -1 and less: only the target's own view is tried */
        d->host = (WatchHost){
                .event = d->event,
                .settings = &d->settings,
                .source = {.proc_fd = d->proc_fd, .cgroup_fd = d->cgroup_fd < 0 ? -1 : d->cgroup_fd, .pidfd = true},
                .env_limit_bytes = setup->env_limit_bytes,
                .start_usec = now_boot_usec(),
                .wake = wake,
                .answered = ask_next,
                .userdata = d,
        };
        return 0;
}

static int start(Daemon *d, const DaemonSetup *setup, char *why, size_t why_size) {
        ReportHost host = {.view = fill_view,
                           .health = health,
                           .ready = ready,
                           .alive = alive,
                           .sink_changed = on_sink_changed,
                           .userdata = d};
        Kube *kube = NULL;
        Watch *plan[SETTINGS_TARGETS_MAX];
        bool fresh[SETTINGS_TARGETS_MAX];
        int r = open_sources(d, setup, why, why_size);

        if (r < 0)
                return r;
        r = pod_new(d->event, on_pod_changed, d, &d->pod);
        if (r < 0) {
                snprintf(why, why_size, "out of memory");
                return r;
        }
        d->host.pod = d->pod;
        pod_place(d->pod, &setup->settings->report.place);
        r = report_new(d->event, &setup->settings->report, &host, &d->report, why, why_size);
        if (r < 0)
                return r;
        d->host.report = d->report;
        if (setup->settings->socket_path[0]) {
                r = status_socket_new(d->event, setup->settings->socket_path, fill_status, d, &d->socket);
                if (r < 0) {
                        snprintf(why, why_size, "socket %s: %s%s", setup->settings->socket_path, strerror(-r),
                                 r == -EADDRINUSE ? " by another plateaud (set `socket`)" : "");
                        return r;
                }
        }
        r = pod_prepare(d->pod, &setup->settings->kube, &kube, why, why_size);
        if (r < 0)
                return r;
        pod_commit(d->pod, &setup->settings->kube, kube);
        d->host.settings = setup->settings; /* watches are made with the new ones, which move in right below */
        r = plan_watches(d, setup->settings, plan, fresh);
        d->host.settings = &d->settings;
        if (r < 0) {
                snprintf(why, why_size, "out of memory");
                return r;
        }
        apply_settings(d, setup->settings, plan);
        r = add_sources(d);
        if (r < 0)
                snprintf(why, why_size, "event loop: %s", strerror(-r));
        return r;
}

int daemon_new(const DaemonSetup *setup, Daemon **ret, char *why, size_t why_size) {
        Daemon *d = calloc(1, sizeof(*d));
        int r;

        snprintf(why, why_size, "out of memory");
        if (!d)
                return -ENOMEM;
        d->event = setup->event;
        d->proc_fd = d->cgroup_fd = -1;
        d->start_real_usec = d->reload_real_usec = now_real_usec();
        d->last_progress_usec = now_boot_usec();
        d->reload_ok = true;
        notify_init(&d->notify);
        d->config_path = strdup(setup->config_path);
        r = d->config_path ? start(d, setup, why, why_size) : -ENOMEM;
        if (r < 0) {
                daemon_free(d);
                return r;
        }
        d->host.probe = setup->probe;
        greet_probe(d);
        *ret = d;
        return 0;
}

Daemon *daemon_free(Daemon *d) {
        if (!d)
                return NULL;
        for (unsigned i = 0; i < d->n_watches; i++)
                watch_free(d->watches[i]);
        d->n_watches = 0;
        pod_free(d->pod);
        probe_client_free(d->host.probe);
        status_socket_free(d->socket);
        report_free(d->report);
        sd_event_source_disable_unref(d->tick);
        sd_event_source_disable_unref(d->sighup);
        sd_event_source_disable_unref(d->sigterm);
        sd_event_source_disable_unref(d->sigint);
        settings_done(&d->settings);
        fd_close(d->proc_fd);
        fd_close(d->cgroup_fd);
        free(d->config_path);
        free(d);
        return NULL;
}

int daemon_run(Daemon *d) {
        footprint_shrink();
        tell_ready(d);
        log_event(LOG_NOTICE, "daemon.ready", LOG_FIELDS(LF_U("targets", d->n_watches)), "watching %u target%s",
                  d->n_watches, d->n_watches == 1 ? "" : "s");
        return sd_event_loop(d->event);
}
