/* SPDX-License-Identifier: Apache-2.0 */
#include "settings/check.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "settings/value.h"

typedef struct Checker {
        const Settings *s, *defaults;
        const SettingsOrigins *origins;
        Problems *problems;
} Checker;

static const Origin *origin(const Checker *c, const char *key) {
        return origins_find(c->origins, key, 0);
}

static bool is_given(const Checker *c, const char *key) {
        return origin(c, key)->origin != ORIGIN_DEFAULT;
}

static bool is_broken(const Checker *c, const char *key) {
        return origin(c, key)->broken;
}

/* ---- two numbers in order ---- */

typedef struct OrderRule {
        const char *low, *high;
        bool strict; /* low < high; otherwise low <= high */
        bool warn;
        const char *why;
} OrderRule;

#define RECLAIM_FIRST "reclaim is tried before rotate"
#define ALERT_FIRST   "people would hear of it only after the action"
#define HELD_TOO_LONG "the limit could be reached while it waits"

static const OrderRule order_rules[] = {
        {"sample.interval_min", "sample.interval_max", .why = "the shortest is at most the longest"},
        {"policy.reclaim.used", "policy.rotate.used", .why = RECLAIM_FIRST},
        {"policy.reclaim.bytes", "policy.rotate.bytes", .why = RECLAIM_FIRST},
        {"policy.rotate.eta", "policy.reclaim.eta", .why = RECLAIM_FIRST},
        {"policy.alert.used", "policy.reclaim.used", .warn = true, .why = ALERT_FIRST},
        {"policy.alert.used", "policy.rotate.used", .warn = true, .why = ALERT_FIRST},
        {"policy.alert.bytes", "policy.reclaim.bytes", .warn = true, .why = ALERT_FIRST},
        {"policy.alert.bytes", "policy.rotate.bytes", .warn = true, .why = ALERT_FIRST},
        {"policy.reclaim.eta", "policy.alert.eta", .warn = true, .why = ALERT_FIRST},
        {"policy.rotate.eta", "policy.alert.eta", .warn = true, .why = ALERT_FIRST},
        {"policy.reclaim.growth", "policy.rotate.growth", .why = RECLAIM_FIRST},
        {"policy.alert.growth", "policy.reclaim.growth", .warn = true, .why = ALERT_FIRST},
        {"policy.alert.growth", "policy.rotate.growth", .warn = true, .why = ALERT_FIRST},
        {"policy.alert.for", "policy.alert.eta", .strict = true, .why = HELD_TOO_LONG},
        {"policy.reclaim.for", "policy.reclaim.eta", .strict = true, .why = HELD_TOO_LONG},
        {"policy.rotate.for", "policy.rotate.eta", .strict = true, .why = HELD_TOO_LONG},
        {"policy.rotate.wait", "policy.rotate.eta", .warn = true,
         .why = "the limit could be reached while the target is ending"},
        {"policy.rotate.wait", "policy.rotate.needs.drain", .warn = true,
         .why = "the deadline would not leave it this time"},
        {"kubernetes.headroom.step", "kubernetes.headroom.max", .why = "a step must fit into what is allowed in all"},
        {"report.pushgateway.timeout", "report.pushgateway.interval", .warn = true,
         .why = "a slow push would skip the next one"},
};

static bool is_by_kube(const Settings *s) {
        return s->action.rotate_method == ROTATE_KUBERNETES;
}

/* Rows that do nothing in this configuration contradict nothing: of a rung or a sink that is off. */
static bool is_active(const Checker *c, const char *key) {
        static const struct {
                const char *prefix;
                size_t enabled;
        } rungs[] = {
                {"policy.alert.", offsetof(Settings, policy.rung[RUNG_ALERT].enabled)},
                {"policy.reclaim.", offsetof(Settings, policy.rung[RUNG_RECLAIM].enabled)},
                {"policy.rotate.", offsetof(Settings, policy.rung[RUNG_ROTATE].enabled)},
        };

        for (size_t i = 0; i < ELEMENTSOF(rungs); i++)
                if (strncmp(key, rungs[i].prefix, strlen(rungs[i].prefix)) == 0)
                        return *(const bool *)((const char *)c->s + rungs[i].enabled);
        if (strncmp(key, "kubernetes.", strlen("kubernetes.")) == 0)
                return is_by_kube(c->s);
        if (strncmp(key, "report.pushgateway.", strlen("report.pushgateway.")) == 0)
                return c->s->report.pushgateway_url[0];
        return true;
}

static double number_of(const Checker *c, const char *key) {
        const SchemaRow *row = schema_find(key);

        return value_number(row, schema_field_const(row, c->s, 0));
}

static void add_value(const Checker *c, const char *key, Buf *b) {
        const SchemaRow *row = schema_find(key);

        row->type->write(row, schema_field_const(row, c->s, 0), b);
}

/* Where a person can mend it: of two places the one further down, of a default and a place the place. */
static bool is_later(const Origin *a, const Origin *b) {
        return a->mark.line != b->mark.line ? a->mark.line > b->mark.line : a->mark.col >= b->mark.col;
}

static void check_order(const Checker *c, const OrderRule *rule) {
        double low = number_of(c, rule->low), high = number_of(c, rule->high);
        const Origin *of_low = origin(c, rule->low), *of_high = origin(c, rule->high);
        const char *key, *other, *must;
        _cleanup_buf_ Buf mine = BUF_NULL, theirs = BUF_NULL;

        if (of_low->broken || of_high->broken || !is_active(c, rule->low) || !is_active(c, rule->high))
                return;
        if (low <= 0 || high <= 0) /* a threshold that is not set */
                return;
        if (low < high || (low <= high && !rule->strict))
                return;
        key = is_later(of_high, of_low) ? rule->high : rule->low;
        other = key == rule->high ? rule->low : rule->high;
        must = key == rule->high ? (rule->strict ? "more than" : "at least") : (rule->strict ? "less than" : "at most");
        add_value(c, key, &mine);
        add_value(c, other, &theirs);
        if (rule->warn)
                problem_warning(c->problems, origin(c, key)->mark, "%s: %s should be %s %s (%s%s): %s", key,
                                buf_str(&mine), must, other, buf_str(&theirs), is_given(c, other) ? "" : " by default",
                                rule->why);
        else
                problem_error(c->problems, origin(c, key)->mark, "%s: %s must be %s %s (%s%s): %s", key, buf_str(&mine),
                              must, other, buf_str(&theirs), is_given(c, other) ? "" : " by default", rule->why);
}

/* ---- settings that do nothing without another ---- */

static bool has_push(const Settings *s) {
        return s->report.pushgateway_url[0];
}

static bool has_webhook(const Settings *s) {
        return s->report.webhook_url[0];
}

static bool has_method(const Settings *s) {
        return s->action.rotate_method != ROTATE_NONE;
}

static bool is_by_needs(const Settings *s) {
        return s->policy.rung[RUNG_ROTATE].eta_usec == POLICY_ETA_NEEDS;
}

static bool is_signal(const Settings *s) {
        return s->action.rotate_method == ROTATE_SIGNAL;
}

static bool is_hook(const Settings *s) {
        return s->action.rotate_method == ROTATE_HOOK;
}

static bool is_unit(const Settings *s) {
        return s->action.rotate_method == ROTATE_UNIT;
}

static bool is_kube(const Settings *s) {
        return s->kube.enabled;
}

static bool has_headroom(const Settings *s) {
        return s->kube.headroom_ratio > 0;
}

static bool has_slots(const Settings *s) {
        return s->kube.slots > 0;
}

#define BY_KUBE(key)                                                                                                   \
        { "kubernetes." key, "policy.rotate.method", is_by_kube, "policy.rotate.method is not kubernetes" }

static const struct {
        const char *key; /* a whole key, or a prefix that ends in a dot: then told once */
        const char *needs;
        bool (*is_used)(const Settings *s);
        const char *why;
} idle_rules[] = {
        {"report.pushgateway.", "report.pushgateway.url", has_push, "report.pushgateway.url is none"},
        {"report.webhook.", "report.webhook.url", has_webhook, "report.webhook.url is none"},
        {"policy.rotate.signal", "policy.rotate.method", is_signal, "policy.rotate.method is not signal"},
        {"policy.rotate.hook", "policy.rotate.method", is_hook, "policy.rotate.method is not hook"},
        {"policy.rotate.hook_timeout", "policy.rotate.method", is_hook, "policy.rotate.method is not hook"},
        {"policy.rotate.unit", "policy.rotate.method", is_unit, "policy.rotate.method is not unit"},
        {"policy.rotate.used", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.bytes", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.eta", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.growth", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.verdict", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.needs.", "policy.rotate.method", has_method,
         "policy.rotate.method is none, so nothing is rotated"},
        {"policy.rotate.needs.", "policy.rotate.eta", is_by_needs, "policy.rotate.eta is not auto"},
        {"kubernetes.events", "kubernetes.enabled", is_kube, "kubernetes.enabled is false"},
        {"kubernetes.forecast_interval", "kubernetes.enabled", is_kube, "kubernetes.enabled is false"},
        BY_KUBE("strategy"),
        BY_KUBE("replace_timeout"),
        BY_KUBE("soak"),
        BY_KUBE("margin"),
        BY_KUBE("min_age"),
        BY_KUBE("last_resort"),
        BY_KUBE("readiness_gate"),
        BY_KUBE("slots."),
        BY_KUBE("drain."),
        BY_KUBE("headroom."),
        {"kubernetes.slots.prefix", "kubernetes.slots.max", has_slots, "kubernetes.slots.max is 0"},
        {"kubernetes.slots.ttl", "kubernetes.slots.max", has_slots, "kubernetes.slots.max is 0"},
        {"kubernetes.headroom.max", "kubernetes.headroom.step", has_headroom, "kubernetes.headroom.step is 0"},
};

/* A dumped configuration spells every default out; saying the default of something idle is no mistake. */
static bool differs_from_default(const Checker *c, const SchemaRow *row) {
        return memcmp(schema_field_const(row, c->s, 0), schema_field_const(row, c->defaults, 0), row->size) != 0;
}

static void check_idle(const Checker *c) {
        for (size_t i = 0; i < ELEMENTSOF(idle_rules); i++) {
                const char *key = idle_rules[i].key;
                size_t n = strlen(key);
                bool is_prefix = key[n - 1] == '.';

                if (is_broken(c, idle_rules[i].needs) || idle_rules[i].is_used(c->s))
                        continue;
                for (unsigned k = 0; k < schema_n_rows; k++) {
                        const SchemaRow *row = &schema_rows[k];

                        if (is_prefix ? strncmp(row->key, key, n) != 0 : strcmp(row->key, key) != 0)
                                continue;
                        if (origin(c, row->key)->origin != ORIGIN_FILE || is_broken(c, row->key) ||
                            !differs_from_default(c, row))
                                continue;
                        problem_warning(c->problems, origin(c, row->key)->mark, "%s: has no effect: %s", row->key,
                                        idle_rules[i].why);
                        break;
                }
        }
}

/* ---- targets ---- */

static const Origin *target_origin(const Checker *c, const char *key, unsigned i) {
        return origins_find(c->origins, key, i);
}

static Mark name_mark(const Checker *c, unsigned i) {
        const Origin *o = target_origin(c, "targets[].name", i);

        return o->origin == ORIGIN_FILE ? o->mark : c->origins->targets[i];
}

static bool is_same_match(const TargetSpec *a, const TargetSpec *b) {
        return a->match != TARGET_MATCH_NONE && a->match == b->match && a->pid == b->pid &&
               strcmp(a->value, b->value) == 0 && a->pick == b->pick;
}

/* Two targets of one name would be one series in the metrics; two of one match are two watchers on one process. */
static void check_twins(const Checker *c, unsigned i) {
        const TargetSpec *mine = &c->s->targets[i];

        for (unsigned k = 0; k < i; k++) {
                const TargetSpec *other = &c->s->targets[k];
                Mark first = name_mark(c, k);
                _cleanup_buf_ Buf quoted = BUF_NULL;

                if (is_same_match(mine, other)) {
                        problem_error(c->problems, c->origins->targets[i],
                                      "targets[%u]: watches the same as targets[%u]", i, k);
                        return;
                }
                if (!mine->name[0] || strcmp(mine->name, other->name) != 0)
                        continue;
                quote_text(&quoted, mine->name, strlen(mine->name));
                problem_error(c->problems, name_mark(c, i),
                              "targets[%u].name: %s is the name of targets[%u] too (line %u, column %u)", i,
                              buf_str(&quoted), k, first.line, first.col);
                return;
        }
}

static void check_pick(const Checker *c, unsigned i) {
        const TargetSpec *spec = &c->s->targets[i];
        const Origin *o = target_origin(c, "targets[].pick", i);

        if (o->origin != ORIGIN_DEFAULT && !o->broken && spec->pick != TARGET_PICK_OLDEST &&
            spec->match != TARGET_MATCH_NONE && spec->match != TARGET_MATCH_EXE && spec->match != TARGET_MATCH_CMDLINE)
                problem_warning(c->problems, o->mark,
                                "targets[%u].pick: has no effect: only exe and cmdline find several", i);
}

static void check_targets(const Checker *c) {
        Mark m = c->origins->targets_mark;

        if (c->s->n_targets == 0 && m.line == 0)
                problem_error(c->problems, c->origins->root,
                              "no targets: the key \"targets\" must say which process to watch");
        else if (c->s->n_targets == 0 && c->origins->targets_are_list)
                problem_error(c->problems, m, "targets: the list is empty; at least one process is needed");
        for (unsigned i = 0; i < c->s->n_targets; i++) {
                check_twins(c, i);
                check_pick(c, i);
        }
}

/* ---- the ladder ---- */

#define RUNG_KEYS(r)                                                                                                   \
        {                                                                                                              \
                "policy." r ".enabled", "policy." r ".used", "policy." r ".bytes", "policy." r ".eta",                 \
                        "policy." r ".growth", "policy." r ".verdict"                                                  \
        }

static const char *const rung_keys[_RUNG_MAX][6] = {
        [RUNG_ALERT] = RUNG_KEYS("alert"),
        [RUNG_RECLAIM] = RUNG_KEYS("reclaim"),
        [RUNG_ROTATE] = RUNG_KEYS("rotate"),
};

/* A rung that nothing triggers looks like protection and is none. */
static void check_triggers(const Checker *c, Rung r) {
        const RungOptions *o = &c->s->policy.rung[r];
        const Origin *last = NULL;

        if (!o->enabled || o->used_ratio > 0 || o->used_bytes > 0 || o->eta_usec > 0 || o->growth_bytes_per_hour > 0 ||
            o->verdicts)
                return;
        for (size_t i = 1; i < ELEMENTSOF(rung_keys[r]); i++) {
                const Origin *given = origin(c, rung_keys[r][i]);

                if (given->broken)
                        return;
                if (given->origin != ORIGIN_DEFAULT && (!last || is_later(given, last)))
                        last = given;
        }
        problem_error(c->problems, last ? last->mark : c->origins->root,
                      "policy.%s: no trigger is left: set used, bytes, eta, growth or verdict, or enabled: false",
                      rung_name(r));
}

/* What a rotation needs, where that is its trigger: reclaim and alert come before, and the target may take its time. */
static void check_needs(const Checker *c) {
        static const char *const keys[] = {"policy.rotate.needs.drain", "policy.rotate.needs.startup",
                                           "policy.rotate.needs.retries", "policy.rotate.needs.margin"};
        static const Rung before[] = {RUNG_RECLAIM, RUNG_ALERT};
        const RungOptions *rung = c->s->policy.rung;
        const Origin *last = NULL;
        uint64_t total = 0;

        if (!rung[RUNG_ROTATE].enabled || !is_by_needs(c->s) || is_broken(c, "policy.rotate.eta"))
                return;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (is_broken(c, keys[i]))
                        return;
                if (is_given(c, keys[i]) && (!last || is_later(origin(c, keys[i]), last)))
                        last = origin(c, keys[i]);
                total += (uint64_t)number_of(c, keys[i]);
        }
        if (total == 0)
                problem_error(c->problems, last ? last->mark : c->origins->root,
                              "policy.rotate.needs: is 0 in sum, so eta: auto would never come; say eta: none");
        for (size_t i = 0; i < ELEMENTSOF(before); i++) {
                const char *key = rung_keys[before[i]][3];
                const Origin *other = origin(c, key), *at = !last || is_later(other, last) ? other : last;
                _cleanup_buf_ Buf needs = BUF_NULL, eta = BUF_NULL;
                uint64_t theirs = rung[before[i]].eta_usec;

                if (!rung[before[i]].enabled || theirs == 0 || theirs >= total || other->broken)
                        continue;
                value_duration.write(NULL, &total, &needs);
                add_value(c, key, &eta);
                problem_warning(c->problems, at->mark, "policy.rotate.needs: %s in sum should be at most %s (%s%s): %s",
                                buf_str(&needs), key, buf_str(&eta), is_given(c, key) ? "" : " by default",
                                before[i] == RUNG_RECLAIM ? RECLAIM_FIRST : ALERT_FIRST);
        }
}

/* Windows that leave no minute of the week. */
static void check_windows(const Checker *c) {
        const Origin *forbid = origin(c, "policy.maintenance.forbid");

        if (forbid->broken || is_broken(c, "policy.maintenance.allow"))
                return;
        if (policy_windows_wait(&c->s->policy.allow, &c->s->policy.forbid, 0) == MINUTES_PER_WEEK)
                problem_error(c->problems, forbid->mark,
                              "policy.maintenance: leaves no minute of the week; to switch a rung off, say enabled: "
                              "false");
}

/* Against limits that are written down; a cgroup's is not known here. */
static void check_used_bytes(const Checker *c, Rung r) {
        const char *key = rung_keys[r][2];
        uint64_t used = c->s->policy.rung[r].used_bytes;

        if (used == 0 || !c->s->policy.rung[r].enabled || is_broken(c, key))
                return;
        for (unsigned i = 0; i < c->s->n_targets; i++) {
                _cleanup_buf_ Buf mine = BUF_NULL, limit = BUF_NULL;
                const SchemaRow *row = schema_find("targets[].limit");

                if (c->s->targets[i].limit_bytes == 0 || used < c->s->targets[i].limit_bytes)
                        continue;
                add_value(c, key, &mine);
                row->type->write(row, schema_field_const(row, c->s, i), &limit);
                problem_warning(c->problems, origin(c, key)->mark, "%s: %s is never reached: targets[%u].limit is %s",
                                key, buf_str(&mine), i, buf_str(&limit));
                return;
        }
}

static bool ends_with(const char *s, const char *end) {
        size_t n = strlen(s), k = strlen(end);

        return n >= k && strcmp(s + n - k, end) == 0;
}

static void check_unit(const Checker *c, Mark m) {
        const char *unit = c->s->action.unit;

        if (unit[0] && c->s->n_targets > 1)
                problem_warning(c->problems, origin(c, "policy.rotate.unit")->mark,
                                "policy.rotate.unit: is restarted whichever of the %u targets needs it",
                                c->s->n_targets);
        for (unsigned i = 0; !unit[0] && i < c->s->n_targets; i++) {
                const TargetSpec *spec = &c->s->targets[i];

                if (spec->match == TARGET_MATCH_NONE ||
                    (spec->match == TARGET_MATCH_UNIT && ends_with(spec->value, ".service")))
                        continue;
                problem_error(c->problems, m,
                              "policy.rotate.method: unit, but policy.rotate.unit is not set and targets[%u] is not "
                              "matched by a service unit",
                              i);
                return;
        }
}

static void check_rotate(const Checker *c) {
        Mark m = origin(c, "policy.rotate.method")->mark;
        const Origin *enabled = origin(c, "policy.rotate.enabled");

        if (is_broken(c, "policy.rotate.method"))
                return;
        if (c->s->action.rotate_method == ROTATE_NONE && c->s->policy.rung[RUNG_ROTATE].enabled && !enabled->broken)
                problem_error(c->problems, enabled->mark,
                              "policy.rotate.enabled: true, but policy.rotate.method is none: say how to rotate");
        if (c->s->action.rotate_method == ROTATE_HOOK && !c->s->action.hook_argv[0] &&
            !is_broken(c, "policy.rotate.hook"))
                problem_error(c->problems, m, "policy.rotate.method: hook, but policy.rotate.hook names no command");
        if (c->s->action.rotate_method == ROTATE_UNIT && !is_broken(c, "policy.rotate.unit"))
                check_unit(c, m);
}

/* ---- Kubernetes ---- */

/* What is posted names the pod and goes to the application alone: so an address of this machine or pod, no name that
 * somebody else's DNS answers for, and never through TLS that nobody could check. */
static bool is_local_url(const char *url) {
        char host[INET6_ADDRSTRLEN];
        struct in6_addr ignored;
        const char *p;
        size_t n;

        if (strncasecmp(url, "http://", 7) != 0)
                return false;
        p = url + 7;
        n = *p == '[' ? strcspn(++p, "]") : strcspn(p, ":/?#");
        if (n == 0 || n >= sizeof(host))
                return false;
        memcpy(host, p, n);
        host[n] = '\0';
        return strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &ignored) == 1 ||
               inet_pton(AF_INET6, host, &ignored) == 1;
}

static void check_kube(const Checker *c) {
        const Origin *enabled = origin(c, "kubernetes.enabled"), *url = origin(c, "kubernetes.drain.url");
        const KubeOptions *k = &c->s->kube;

        if (is_by_kube(c->s) && !k->enabled && !enabled->broken && !is_broken(c, "policy.rotate.method"))
                problem_error(c->problems, enabled->mark,
                              "kubernetes.enabled: false, but policy.rotate.method is kubernetes");
        if (k->drain_notify_url[0] && !url->broken && !is_local_url(k->drain_notify_url))
                problem_error(c->problems, url->mark,
                              "kubernetes.drain.url: must be http:// with localhost or an address: it is for the "
                              "application in this pod alone");
}

/* ---- sinks ---- */

static bool is_loopback(const char *host) {
        static const char *const local[] = {"localhost", "127.", "[::1]"};

        for (size_t i = 0; i < ELEMENTSOF(local); i++)
                if (strncasecmp(host, local[i], strlen(local[i])) == 0)
                        return true;
        return false;
}

static void check_bearer(const Checker *c, const char *url, const char *file, const char *url_key,
                         const char *file_key) {
        if (!file[0] || strncasecmp(url, "http://", 7) != 0 || is_loopback(url + 7) || is_broken(c, file_key) ||
            is_broken(c, url_key))
                return;
        problem_warning(c->problems, origin(c, url_key)->mark, "%s: the token of %s is sent unencrypted; use https",
                        url_key, file_key);
}

int settings_check(const Settings *s, const SettingsOrigins *o, Problems *problems) {
        _cleanup_free_ Settings *defaults = calloc(1, sizeof(*defaults));
        Checker c = {.s = s, .origins = o, .problems = problems, .defaults = defaults};
        int r;

        if (!defaults)
                return -ENOMEM;
        r = schema_defaults(defaults, false, 0);
        if (r < 0)
                return r;
        check_targets(&c);
        for (size_t i = 0; i < ELEMENTSOF(order_rules); i++)
                check_order(&c, &order_rules[i]);
        check_idle(&c);
        for (Rung rung = 0; rung < _RUNG_MAX; rung++) {
                check_triggers(&c, rung);
                check_used_bytes(&c, rung);
        }
        check_needs(&c);
        check_windows(&c);
        check_rotate(&c);
        check_kube(&c);
        check_bearer(&c, s->report.pushgateway_url, s->report.pushgateway_bearer_file, "report.pushgateway.url",
                     "report.pushgateway.bearer_file");
        check_bearer(&c, s->report.webhook_url, s->report.webhook_bearer_file, "report.webhook.url",
                     "report.webhook.bearer_file");
        return 0;
}
