/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/schema.h"

#include <signal.h>
#include <string.h>

#include "diagnose/diagnose.h"
#include "settings/value.h"

#define IN(field) offsetof(Settings, field), sizeof(((Settings *)NULL)->field)
#define IN_TARGET(field) offsetof(TargetSpec, field), sizeof(((TargetSpec *)NULL)->field)
#define RUNG(r, field) IN(policy.rung[RUNG_##r].field)

static const EnumName verdict_names[] = {{"live_growth", VERDICT_LIVE_GROWTH},
                                         {"trimmable", VERDICT_TRIMMABLE},
                                         {"pinned_fragmentation", VERDICT_PINNED},
                                         {"files", VERDICT_FILES},
                                         {"shared_memory", VERDICT_SHARED},
                                         {"stacks", VERDICT_STACKS},
                                         {"warm_up", VERDICT_WARM_UP},
                                         {"copy_on_write", VERDICT_COPY_ON_WRITE},
                                         {0}};
static const EnumName zone_names[] = {{"UTC", ZONE_UTC}, {"local", ZONE_LOCAL}, {0}};
static const EnumName pick_names[] = {
        {"oldest", TARGET_PICK_OLDEST}, {"newest", TARGET_PICK_NEWEST}, {"largest", TARGET_PICK_LARGEST}, {0}};
static const EnumName method_names[] = {{"none", ROTATE_NONE}, {"signal", ROTATE_SIGNAL},         {"hook", ROTATE_HOOK},
                                        {"unit", ROTATE_UNIT}, {"kubernetes", ROTATE_KUBERNETES}, {0}};
static const EnumName strategy_names[] = {{"auto", KUBE_STRATEGY_AUTO},
                                          {"detach", KUBE_STRATEGY_DETACH},
                                          {"evict", KUBE_STRATEGY_EVICT},
                                          {"hint", KUBE_STRATEGY_HINT},
                                          {"in_place", KUBE_STRATEGY_IN_PLACE},
                                          {"signal", KUBE_STRATEGY_SIGNAL},
                                          {0}};
static const EnumName signal_names[] = {{"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT},
                                        {"SIGHUP", SIGHUP},   {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2},
                                        {"SIGWINCH", SIGWINCH}, {0}};
static const EnumName format_names[] = {{"auto", LOG_CHOICE_AUTO}, {"journal", LOG_CHOICE_JOURNAL},
                                        {"json", LOG_CHOICE_JSON}, {"plain", LOG_CHOICE_PLAIN}, {0}};
static const EnumName level_names[] = {{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"notice", LOG_NOTICE},
                                       {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {0}};

const SchemaSection schema_sections[] = {
        {"targets", "The processes to watch, at least one"},
        {"targets[]", "One process"},
        {"targets[].match", "How to find it: exactly one of these keys"},
        {"sample", "How often to look"},
        {"trend", "When the limit is reached"},
        {"policy", "When to do what: a ladder of alert, reclaim, rotate"},
        {"policy.maintenance", "When reclaim and rotate may be done that are not urgent; what is urgent never waits"},
        {"policy.alert", "First rung: say so. Any of the triggers is enough"},
        {"policy.reclaim", "Second rung: give free heap back to the kernel by a call inside the live process"},
        {"policy.rotate", "Last rung: replace the process before the kernel kills it. Off until method says how"},
        {"policy.rotate.needs",
         "What a rotation takes, for eta: auto; each the longer of this and of nine in ten before"},
        {"kubernetes",
         "In a pod: rotate with no capacity lost, by method kubernetes, and leave Events and an annotation"},
        {"kubernetes.slots", "How many pods of a workload rotate at once: Leases that stand ready, PREFIX-0 and so on"},
        {"kubernetes.drain", "How connections come to an end before the pod goes"},
        {"kubernetes.headroom", "More memory by pods/resize, where a rotation cannot be in time any more"},
        {"report", "Where figures and alerts go"},
        {"report.pushgateway", "Push metrics to a Prometheus Pushgateway"},
        {"report.webhook", "Post alerts as JSON"},
        {"log", "The daemon's own log"},
};
const unsigned schema_n_sections = ELEMENTSOF(schema_sections);

/* What the three rungs share; thresholds differ by default only. */
#define RUNG_ROWS(R, r, ratio, eta_type, eta, eta_help)                                                                \
        {"policy." r ".enabled", &value_bool, RUNG(R, enabled), "true", .help = "Whether this rung does anything"},    \
                {"policy." r ".used",                                                                                  \
                 &value_ratio,                                                                                         \
                 RUNG(R, used_ratio),                                                                                  \
                 ratio,                                                                                                \
                 "1%",                                                                                                 \
                 "100%",                                                                                               \
                 "none",                                                                                               \
                 .help = "Trigger: this share of the limit is used"},                                                  \
                {"policy." r ".bytes",                                                                                 \
                 &value_bytes,                                                                                         \
                 RUNG(R, used_bytes),                                                                                  \
                 "none",                                                                                               \
                 "1MiB",                                                                                               \
                 "1PiB",                                                                                               \
                 "none",                                                                                               \
                 .help = "Trigger: so much is used; works without a known limit"},                                     \
                {"policy." r ".eta", eta_type, RUNG(R, eta_usec), eta, "1s", "30d", "none", .help = eta_help},         \
                {"policy." r ".growth",                                                                                \
                 &value_growth,                                                                                        \
                 RUNG(R, growth_bytes_per_hour),                                                                       \
                 "none",                                                                                               \
                 "1MiB/h",                                                                                             \
                 "1TiB/h",                                                                                             \
                 "none",                                                                                               \
                 .help = "Trigger: it surely grows as fast; works without a known limit"},                             \
        {                                                                                                              \
                "policy." r ".verdict", &value_set, RUNG(R, verdicts),                                                 \
                        .names = verdict_names, .help = "Trigger: the diagnosis is one of these"                       \
        }
#define ETA_HELP "Trigger: the forecast's earliest time of reaching the limit is nearer than this"

const SchemaRow schema_rows[] = {
        /* clang-format off */
        {"targets[].match.pid", &value_uint, IN_TARGET(pid), NULL, "1", "4194304", .match = TARGET_MATCH_PID,
         .help = "Process id; not found again after a restart"},
        {"targets[].match.pidfile", &value_path, IN_TARGET(value), .match = TARGET_MATCH_PIDFILE,
         .help = "File that holds the process id"},
        {"targets[].match.exe", &value_exe, IN_TARGET(value), .match = TARGET_MATCH_EXE,
         .help = "The executable, by absolute path or bare name"},
        {"targets[].match.cmdline", &value_regex, IN_TARGET(value), .match = TARGET_MATCH_CMDLINE,
         .help = "Regular expression found in the arguments joined by blanks"},
        {"targets[].match.unit", &value_unit, IN_TARGET(value), .match = TARGET_MATCH_UNIT,
         .help = "The main process of a systemd unit or of a cgroup"},
        {"targets[].match.main", &value_true, IN_TARGET(match), .match = TARGET_MATCH_MAIN,
         .help = "The main container's process, from a sidecar that shares its PID namespace"},
        {"targets[].name", &value_text, IN_TARGET(name), .zero_word = "auto",
         .help = "Label in metrics, logs and alerts; auto: made from the match"},
        {"targets[].pick", &value_enum, IN_TARGET(pick), "oldest", .names = pick_names,
         .help = "Which one, when several processes match"},
        {"targets[].limit", &value_bytes, IN_TARGET(limit_bytes), "auto", "1MiB", "1PiB", "auto",
         .help = "The memory limit when no cgroup tells one; auto: from the cgroup"},

        {"sample.interval", &value_duration, IN(sample.pace.fixed_usec), "auto", "100ms", "10m", "auto",
         .help = "Between two samples; auto: often near the limit and in a burst, rarely while nothing moves"},
        {"sample.interval_min", &value_duration, IN(sample.pace.min_usec), "200ms", "50ms", "10m",
         .help = "The shortest interval: auto"},
        {"sample.interval_max", &value_duration, IN(sample.pace.max_usec), "30s", "100ms", "10m",
         .help = "The longest interval: auto"},
        {"sample.budget", &value_ratio, IN(sample.pace.budget_ratio), "0.2%", "0", "100%",
         .help = "Share of one core that sampling may take, with interval: auto; 0: never mind"},
        {"sample.burst", &value_bytes, IN(sample.pace.burst_bytes_per_s), "500MB", "1MB", "1TB", "none",
         .help = "Growth a second to be met in time although nothing moved before; none: let interval_max rule alone"},
        {"sample.search_interval", &value_duration, IN(sample.search_interval_usec), "2s", "100ms", "10m",
         .help = "Between two looks for a target that is not there"},
        {"sample.smaps_budget", &value_ratio, IN(sample.smaps_budget_ratio), "0.1%", "0", "10%",
         .help = "Share of one core that reading smaps_rollup may take; 0: never read it"},
        {"sample.smaps_stall_max", &value_duration, IN(sample.smaps_stall_max_usec), "50ms", "1ms", "10s",
         .help = "Do not read smaps_rollup when it would hold the target's memory map for longer"},
        {"sample.survey_interval", &value_duration, IN(sample.survey_interval_usec), "10m", "100ms", "7d",
         .help = "Between two surveys of the heap, from outside: where memory is, and what a trim would give back"},
        {"sample.survey_interval_min", &value_duration, IN(sample.survey_interval_min_usec), "1m", "100ms", "7d",
         .help = "The same while it grows and reaches the limit within two hours, or an alert fires"},
        {"sample.survey_budget", &value_ratio, IN(sample.survey_budget_ratio), "0.1%", "0", "10%",
         .help = "Share of one core that surveys may take; 0: none"},

        {"trend.min_span", &value_duration, IN(trend.min_span_usec), "30s", "1s", "1d",
         .help = "No forecast before so much time is covered"},
        {"trend.min_samples", &value_uint, IN(trend.min_samples), "10", "10", "512",
         .help = "Nor before so many samples"},

        {"policy.dry_run", &value_bool, IN(policy.dry_run), "false", .environment = "PLATEAU_DRY_RUN",
         .help = "Decide, log and count, but act on alert only"},
        {"policy.startup_grace", &value_duration, IN(policy.startup_grace_usec), "2m", "0", "1d",
         .help = "After the target's start: no reclaim, no rotate, no alert by forecast"},
        {"policy.hysteresis", &value_ratio, IN(policy.hysteresis_ratio), "5%", "0", "50%",
         .help = "How far back below its threshold an alert must fall to end"},

        {"policy.last_moment", &value_duration, IN(policy.last_moment_usec), "2s", "100ms", "1m", "none",
         .help = "Of alert and rotate: at the rate of the last samples the limit is nearer, so nothing is waited for"},
        {"policy.maintenance.allow", &value_windows, IN(policy.allow),
         .help = "Only then, if any is given"},
        {"policy.maintenance.forbid", &value_windows, IN(policy.forbid), .help = "Not then"},
        {"policy.maintenance.timezone", &value_enum, IN(policy.windows_zone), "UTC", .names = zone_names,
         .help = "What clock the windows are of; local: the machine's, or the container's"},

        RUNG_ROWS(ALERT, "alert", "80%", &value_duration, "30m", ETA_HELP),
        {"policy.alert.for", &value_duration, RUNG(ALERT, hold_usec), "10s", "0", "1d",
         .help = "A threshold must be crossed for so long without a break"},
        {"policy.alert.repeat", &value_duration, RUNG(ALERT, cooldown_usec), "1h", "1m", "30d",
         .help = "Tell again while it lasts"},

        RUNG_ROWS(RECLAIM, "reclaim", "85%", &value_duration, "15m", ETA_HELP),
        {"policy.reclaim.for", &value_duration, RUNG(RECLAIM, hold_usec), "10s", "0", "1d",
         .help = "A threshold must be crossed for so long without a break"},
        {"policy.reclaim.cooldown", &value_duration, RUNG(RECLAIM, cooldown_usec), "10m", "10s", "30d",
         .help = "Between two reclaims"},
        {"policy.reclaim.min_yield_bytes", &value_bytes, IN(policy.reclaim_min_yield_bytes), "16MiB", "0", "1PiB",
         .help = "A reclaim that releases less is fruitless"},
        {"policy.reclaim.min_yield", &value_ratio, IN(policy.reclaim_min_yield_ratio), "2%", "0", "100%",
         .help = "So is one that releases a smaller share of the resident set"},
        {"policy.reclaim.strikes", &value_uint, IN(policy.reclaim_strikes), "2", "1", "1000", "none",
         .help = "After so many fruitless ones in a row reclaim rests for six cool-downs; none: never"},
        {"policy.reclaim.lasts", &value_duration, IN(policy.reclaim_lasts_usec), "auto", "1s", "7d", "auto",
         .help = "What it gave, back sooner, doubles the next cooldown, up to eight times; auto: half a cooldown"},
        {"policy.reclaim.settle", &value_duration, IN(policy.reclaim_settle_usec), "10s", "0", "1h",
         .help = "After a reclaim, measure again before rotating"},
        {"policy.reclaim.survey", &value_duration, IN(action.reclaim_survey_usec), "1s", "0", "10s",
         .help = "How long to look beforehand, from outside, what a reclaim would give back; 0: do not look"},
        {"policy.reclaim.min_gain_bytes", &value_bytes, IN(action.reclaim_min_gain_bytes), "8MiB", "0", "1PiB",
         .help = "When that is known and less, nothing is called: rotate need not wait"},
        {"policy.reclaim.min_gain", &value_ratio, IN(action.reclaim_min_gain_ratio), "1%", "0", "100%",
         .help = "Likewise when it is a smaller share of the resident set"},
        {"policy.reclaim.find_timeout", &value_duration, IN(action.reclaim_find_timeout_usec), "2s", "10ms", "1m",
         .help = "How long to look for a moment when the call is safe"},
        {"policy.reclaim.finish_timeout", &value_duration, IN(action.reclaim_finish_timeout_usec), "10s", "100ms",
         "10m", .help = "How long to wait for the call to finish; the target runs meanwhile"},
        {"policy.reclaim.allow_seccomp", &value_bool, IN(action.allow_seccomp), "false",
         .help = "Reclaim although the target has a seccomp filter whose verdict is not known"},
        {"policy.reclaim.allow_runtime_seccomp", &value_bool, IN(action.allow_runtime_seccomp), "false",
         .help = "Likewise where it has as many filters as plateaud: in a pod the runtime's, and none of its own"},
        {"policy.reclaim.jvm_attach", &value_bool, IN(action.reclaim_attach), "true",
         .help = "Ask a JVM to trim its own heap, through its attach socket; false: call into it as into any process"},

        RUNG_ROWS(ROTATE, "rotate", "92%", &value_eta, "auto", ETA_HELP "; auto: than what a rotation needs"),
        {"policy.rotate.needs.drain", &value_duration, IN(policy.rotate_needs_usec[NEED_DRAIN]), "30s", "0", "30d",
         .help = "From its start until the process has ended; when not given, no less than the method may take"},
        {"policy.rotate.needs.startup", &value_duration, IN(policy.rotate_needs_usec[NEED_STARTUP]), "2m", "0", "30d",
         .help = "From there until another one works"},
        {"policy.rotate.needs.retries", &value_duration, IN(policy.rotate_needs_usec[NEED_RETRIES]), "1m30s", "0",
         "30d", .help = "Attempts that fail before one succeeds"},
        {"policy.rotate.needs.margin", &value_duration, IN(policy.rotate_margin_usec), "1m", "0", "30d",
         .help = "On top of that: it is also the time in which reclaim may go first"},
        {"policy.rotate.for", &value_duration, RUNG(ROTATE, hold_usec), "5s", "0", "1d",
         .help = "A threshold must be crossed for so long without a break; not waited for when the limit is near"},
        {"policy.rotate.cooldown", &value_duration, RUNG(ROTATE, cooldown_usec), "30m", "10s", "30d",
         .help = "Between two rotations"},
        {"policy.rotate.max", &value_uint, IN(policy.rotate_max), "3", "1", "64", "unlimited",
         .help = "So many rotations and no more within window: a leak that restarts cannot cure needs a person"},
        {"policy.rotate.window", &value_duration, IN(policy.rotate_window_usec), "24h", "1m", "30d",
         .help = "The time that max counts in"},
        {"policy.rotate.method", &value_enum, IN(action.rotate_method), "none", .names = method_names,
         .help = "How: signal, command (hook), restart of a systemd unit, kubernetes by its API; none: never rotate"},
        {"policy.rotate.signal", &value_signal, IN(action.rotate_signal), "SIGTERM", .names = signal_names,
         .help = "Sent by method signal"},
        {"policy.rotate.wait", &value_duration, IN(action.rotate_wait_usec), "30s", "1s", "1h",
         .help = "How long the target may take to end; it is never killed"},
        {"policy.rotate.hook", &value_argv, IN(action.hook_argv), "[]",
         .help = "Run by method hook, without a shell; reads the decision as JSON from its standard input"},
        {"policy.rotate.hook_timeout", &value_duration, IN(action.hook_timeout_usec), "30s", "1s", "1h",
         .help = "Then the hook (not the target) gets SIGTERM, and SIGKILL 5s later"},
        {"policy.rotate.unit", &value_service, IN(action.unit), "auto", .zero_word = "auto",
         .help = "Restarted by method unit; auto: the unit that the target was matched by"},

        {"kubernetes.enabled", &value_bool, IN(kube.enabled), "false",
         .help = "Events and the annotation with the forecast, whatever rotates; always with method kubernetes"},
        {"kubernetes.strategy", &value_enum, IN(kube.strategy), "auto", .names = strategy_names,
         .help = "How a pod is replaced; auto: by its owner, what we may do, and the time left"},
        {"kubernetes.replace_timeout", &value_duration, IN(kube.replace_timeout_usec), "5m", "10s", "1d",
         .help = "A replacement that is not Ready by then is given up"},
        {"kubernetes.soak", &value_duration, IN(kube.soak_usec), "10s", "0", "1h",
         .help = "A replacement stays Ready for so long before this pod goes"},
        {"kubernetes.margin", &value_duration, IN(kube.margin_usec), "10s", "0", "1h",
         .help = "Of the time to the limit so much is kept"},
        {"kubernetes.min_age", &value_duration, IN(kube.min_pod_age_usec), "10m", "0", "30d",
         .help = "A younger pod rotates only when the limit is near; doubles while replacements leak at once"},
        {"kubernetes.last_resort", &value_bool, IN(kube.evict_past_budget), "false",
         .help = "Delete the pod, whatever a disruption budget says, once the limit is near and the eviction refused"},
        {"kubernetes.reap", &value_bool, IN(kube.reap), "true",
         .help = "Remove peers that detached themselves and are past their deadline"},
        {"kubernetes.readiness_gate", &value_condition, IN(kube.readiness_gate), "none", .zero_word = "none",
         .help = "A condition type of the pod's readinessGates to set; none: this container's readiness probe does it"},
        {"kubernetes.slots.max", &value_uint, IN(kube.slots), "1", "0", "64",
         .help = "So many pods of the workload at once; 0: each for itself"},
        {"kubernetes.slots.prefix", &value_object, IN(kube.slot_prefix), "auto", .zero_word = "auto",
         .help = "The Leases' names before -0, -1 ...; auto: plateau-WORKLOAD"},
        {"kubernetes.slots.ttl", &value_duration, IN(kube.slot_ttl_usec), "1m", "10s", "1h",
         .help = "A slot whose holder does not renew it for so long is free"},
        {"kubernetes.drain.propagate", &value_duration, IN(kube.propagate_usec), "5s", "0", "10m",
         .help = "After the pod has left its Services, for load balancers to notice"},
        {"kubernetes.drain.max", &value_duration, IN(kube.drain_usec), "5m", "0", "1d",
         .help = "Wait for connections to end for so long at most, and never past the limit"},
        {"kubernetes.drain.url", &value_url, IN(kube.drain_notify_url), "none", .zero_word = "none",
         .help = "POSTed when the drain begins, to localhost or an address, as JSON: reason, deadline, pod"},
        {"kubernetes.drain.signal", &value_signal, IN(kube.drain_notify_signal), "none", .zero_word = "none",
         .names = signal_names, .help = "Sent to the target when the drain begins"},
        {"kubernetes.drain.file", &value_path, IN(kube.drain_notify_file), "none", .zero_word = "none",
         .help = "Created when the drain begins, with the same JSON: in a volume that the application sees"},
        {"kubernetes.drain.ports", &value_ports, IN(kube.drain_ports), "[]",
         .help = "Whose connections are waited for; []: all that the target listens on"},
        {"kubernetes.headroom.step", &value_ratio, IN(kube.headroom_ratio), "0", "0", "100%",
         .help = "So much more of the limit at once; 0: the pod is never resized"},
        {"kubernetes.headroom.max", &value_ratio, IN(kube.headroom_extra_max_ratio), "50%", "0", "100%",
         .help = "All steps together, on top of the limit that the pod began with"},
        {"kubernetes.events", &value_bool, IN(kube.events), "true",
         .help = "Alerts, reclaims and rotations as Events of the pod"},
        {"kubernetes.forecast_interval", &value_duration, IN(kube.forecast_interval_usec), "1h", "1m", "7d", "never",
         .help = "The last forecast as an annotation of the pod, at most so often; never: not at all"},

        {"report.listen", &value_listen, IN(report.http_listen), "none", .zero_word = "none",
         .environment = "PLATEAU_LISTEN", .help = "Address for /metrics and /healthz"},
        {"report.labels", &value_labels, IN(report), "{}",
         .help = "Added to every metric and alert"},

        {"report.pushgateway.url", &value_url, IN(report.pushgateway_url), "none", .zero_word = "none",
         .environment = "PLATEAU_PUSHGATEWAY_URL", .help = "Base URL; none: no push"},
        {"report.pushgateway.job", &value_text, IN(report.pushgateway_job), "plateau",
         .help = "Grouping label job"},
        {"report.pushgateway.instance", &value_text, IN(report.pushgateway_instance), "auto", .zero_word = "auto",
         .environment = "PLATEAU_INSTANCE", .help = "Grouping label instance; auto: the host name"},
        {"report.pushgateway.interval", &value_duration, IN(report.pushgateway_interval_usec), "15s", "1s", "1h",
         .help = "Between two pushes"},
        {"report.pushgateway.timeout", &value_duration, IN(report.pushgateway_timeout_usec), "10s", "100ms", "5m",
         .help = "Of one push"},
        {"report.pushgateway.bearer_file", &value_path, IN(report.pushgateway_bearer_file), "none", .zero_word = "none",
         .help = "File with a token for the Authorization header, read anew for each request"},
        {"report.pushgateway.delete_on_exit", &value_bool, IN(report.pushgateway_delete_on_exit), "true",
         .help = "Delete the group at a clean stop, so that no stale figures stay"},

        {"report.webhook.url", &value_url, IN(report.webhook_url), "none", .zero_word = "none",
         .environment = "PLATEAU_WEBHOOK_URL", .help = "Where alerts are posted; none: nowhere"},
        {"report.webhook.bearer_file", &value_path, IN(report.webhook_bearer_file), "none", .zero_word = "none",
         .help = "File with a token for the Authorization header, read anew for each request"},
        {"report.webhook.timeout", &value_duration, IN(report.webhook_timeout_usec), "10s", "100ms", "5m",
         .help = "Of one delivery"},
        {"report.webhook.retry_max", &value_duration, IN(report.webhook_retry_max_usec), "24h", "1s", "7d",
         .help = "Give an alert up after trying for so long"},
        {"report.webhook.queue_max", &value_uint, IN(report.webhook_queue_max), "256", "1", "10000",
         .help = "Undelivered alerts kept; beyond it the oldest is dropped"},

        {"log.format", &value_enum, IN(log_format), "auto", .names = format_names, .environment = "PLATEAU_LOG_FORMAT",
         .help = "auto: journal under systemd, plain on a terminal, json elsewhere"},
        {"log.level", &value_enum, IN(log_level), "info", .names = level_names, .environment = "PLATEAU_LOG_LEVEL",
         .help = "The least important line that is still written"},

        {"socket", &value_path, IN(socket_path), "/run/plateau/plateau.sock", .zero_word = "none",
         .environment = "PLATEAU_SOCKET", .help = "Where the plateau command asks for the status"},
        /* clang-format on */
};
const unsigned schema_n_rows = ELEMENTSOF(schema_rows);

const SchemaRow *schema_find(const char *key) {
        for (unsigned i = 0; i < schema_n_rows; i++)
                if (strcmp(schema_rows[i].key, key) == 0)
                        return &schema_rows[i];
        return NULL;
}

const SchemaSection *schema_find_section(const char *key) {
        for (unsigned i = 0; i < schema_n_sections; i++)
                if (strcmp(schema_sections[i].key, key) == 0)
                        return &schema_sections[i];
        return NULL;
}

bool schema_is_target(const SchemaRow *row) {
        return strncmp(row->key, SCHEMA_TARGET, strlen(SCHEMA_TARGET)) == 0;
}

void *schema_field(const SchemaRow *row, Settings *s, unsigned target) {
        return (char *)(schema_is_target(row) ? (void *)&s->targets[target] : (void *)s) + row->offset;
}

const void *schema_field_const(const SchemaRow *row, const Settings *s, unsigned target) {
        return (const char *)(schema_is_target(row) ? (const void *)&s->targets[target] : s) + row->offset;
}

int schema_defaults(Settings *s, bool targets, unsigned target) {
        for (unsigned i = 0; i < schema_n_rows; i++) {
                const SchemaRow *row = &schema_rows[i];
                _cleanup_buf_ Buf why = BUF_NULL;
                int r;

                /* Lists and mappings begin empty, and words for zero are zero: as the struct is already. */
                if (schema_is_target(row) != targets || !row->initial || row->type->node != NODE_TEXT ||
                    (row->zero_word && strcmp(row->initial, row->zero_word) == 0))
                        continue;
                r = row->type->read(row, row->initial, schema_field(row, s, target), &why);
                if (r < 0)
                        return r;
        }
        return 0;
}

const char *schema_is_child(const char *key, const char *section) {
        size_t n = strlen(section);

        if (n > 0) {
                if (strncmp(key, section, n) != 0 || key[n] != '.')
                        return NULL;
                key += n + 1;
        }
        return *key && !strpbrk(key, ".[") ? key : NULL;
}
