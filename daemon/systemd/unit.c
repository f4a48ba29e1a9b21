/* SPDX-License-Identifier: Apache-2.0 */
#include "systemd/unit.h"

#include <string.h>
#include <systemd/sd-bus.h>

#include "action/run.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE MANAGER ".Manager"
#define CGROUP_TEXT_MAX 8192

typedef struct UnitRun {
        ActionRun run; /* first */
        Subject subject;
        UnitName unit;
        uint64_t wait_usec;
        sd_bus *bus;
        sd_bus_slot *removed, *gone, *call;
        sd_event_source *deadline;
        char job[128]; /* object path of the restart; "" until the manager has answered */
} UnitRun;

static void release(ActionRun *run) {
        UnitRun *u = (UnitRun *)run;

        sd_event_source_disable_unref(u->deadline);
        sd_bus_slot_unref(u->call);
        sd_bus_slot_unref(u->removed);
        sd_bus_slot_unref(u->gone);
        sd_bus_close_unref(u->bus);
        subject_done(&u->subject);
        free(u);
}

/* Not from within a callback of the bus: closing it there makes sd-bus abort in what it does next (dispatch_wqueue()
 * asserts an open connection; seen with libsystemd 252 after the time-out of a call). */
static int end_after_callback(UnitRun *u, OutcomeResult result) {
        return run_end_later(&u->run, result);
}

static bool is_ending(const UnitRun *u) {
        return u->run.later;
}

/* What the errors of the bus and of the manager mean to an operator. */
static const struct {
        const char *name, *text;
} explanations[] = {
        {MANAGER ".NoSuchUnit", "there is no such unit"},
        {MANAGER ".UnitMasked", "the unit is masked"},
        {MANAGER ".LoadFailed", "the unit's file cannot be loaded"},
        {MANAGER ".BadUnitSetting", "the unit's file has a bad setting"},
        {MANAGER ".OnlyByDependency", "the unit may only be started by another one (RefuseManualStart)"},
        {MANAGER ".TransactionIsDestructive", "another job for the unit is under way that may not be replaced"},
        {MANAGER ".ShuttingDown", "the machine is going down"},
        {SD_BUS_ERROR_ACCESS_DENIED, "not allowed: polkit has to grant org.freedesktop.systemd1.manage-units"},
        {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
         "not allowed without a person to ask: polkit has to grant org.freedesktop.systemd1.manage-units"},
        {SD_BUS_ERROR_SERVICE_UNKNOWN, "no systemd answers on this bus"},
        {SD_BUS_ERROR_NAME_HAS_NO_OWNER, "no systemd answers on this bus"},
        {SD_BUS_ERROR_NO_REPLY, "systemd did not answer"},
        {SD_BUS_ERROR_TIMEOUT, "systemd did not answer"},
        {"System.Error.ETIMEDOUT", "systemd did not answer"},
        {SD_BUS_ERROR_DISCONNECTED, "the bus closed the connection"},
};

static void describe_error(UnitRun *u, const sd_bus_error *e) {
        for (size_t i = 0; i < ELEMENTSOF(explanations); i++)
                if (strcmp(e->name, explanations[i].name) == 0) {
                        run_detail(&u->run, "%s (uid %u): %s", u->unit.name, (unsigned)geteuid(), explanations[i].text);
                        return;
                }
        run_detail(&u->run, "%s: %s", u->unit.name, e->message && *e->message ? e->message : e->name);
}

/* systemd's own words for the end of a job: job_result_to_string(), src/core/job.c, documented with JobRemoved in
 * org.freedesktop.systemd1(5). What is not listed here is an error. */
static const struct {
        const char *name, *text;
        OutcomeResult result;
} job_results[] = {
        {"done", "restarted", OUTCOME_OK},
        {"skipped", "systemd skipped the restart: the unit is not running", OUTCOME_PARTIAL},
        {"canceled", "the restart was cancelled by another job", OUTCOME_ERROR},
        {"timeout", "the restart ran into the unit's own time limit", OUTCOME_TIMEOUT},
        {"failed", "the restart failed: the unit did not start again", OUTCOME_ERROR},
        {"dependency", "a unit that it needs did not start", OUTCOME_ERROR},
        {"invalid", "the unit cannot be restarted", OUTCOME_ERROR},
        {"assert", "an assertion of the unit does not hold", OUTCOME_ERROR},
        {"unsupported", "the unit's type is not supported here", OUTCOME_ERROR},
};

static int end_with_job(UnitRun *u, const char *result) {
        char span[RUN_SPAN_MAX];

        run_span(span, run_elapsed_usec(&u->run));
        for (size_t i = 0; i < ELEMENTSOF(job_results); i++) {
                if (strcmp(result, job_results[i].name) != 0)
                        continue;
                if (job_results[i].result == OUTCOME_OK && subject_is_alive(&u->subject)) {
                        run_detail(&u->run, "%s: restarted after %s, but process %d goes on: it is of another unit",
                                   u->unit.name, span, (int)u->subject.pid);
                        return end_after_callback(u, OUTCOME_PARTIAL);
                }
                run_detail(&u->run, "%s: %s after %s", u->unit.name, job_results[i].text, span);
                return end_after_callback(u, job_results[i].result);
        }
        run_detail(&u->run, "%s: the restart ended as \"%s\" after %s", u->unit.name, result, span);
        return end_after_callback(u, OUTCOME_ERROR);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        UnitRun *u = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        /* the answer, with the job's path, is on the wire before the job's end: nothing is missed by not knowing it */
        if (is_ending(u) || !u->job[0] || sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 ||
            strcmp(path, u->job) != 0)
                return 0;
        return end_with_job(u, result);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error _unused_) {
        UnitRun *u = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *path = NULL;

        if (is_ending(u))
                return 0;
        if (!e && sd_bus_message_read(m, "o", &path) >= 0 && strlen(path) < sizeof(u->job)) {
                strcpy(u->job, path);
                return 0;
        }
        if (e)
                describe_error(u, e);
        else
                run_detail(&u->run, "%s: systemd's answer cannot be read", u->unit.name);
        return end_after_callback(u, OUTCOME_ERROR);
}

/* A connection that breaks answers the call in flight itself; afterwards only this tells it. */
static int on_disconnected(sd_bus_message *m _unused_, void *userdata, sd_bus_error *ret_error _unused_) {
        UnitRun *u = userdata;

        if (is_ending(u))
                return 0;
        run_detail(&u->run, "%s: the bus closed the connection; the restart goes on without us", u->unit.name);
        return end_after_callback(u, OUTCOME_ERROR);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        UnitRun *u = userdata;
        char span[RUN_SPAN_MAX];

        if (is_ending(u))
                return 0;
        run_detail(&u->run, "%s: %s after %s", u->unit.name,
                   u->job[0] ? "still restarting, systemd goes on with it" : "no answer from systemd",
                   run_span(span, u->wait_usec));
        run_end(&u->run, OUTCOME_TIMEOUT);
        return 0;
}

/* Connects without waiting: names, matches and calls are queued until the bus has let us in. */
static int open_bus(UnitRun *u) {
        int r = u->unit.is_user ? sd_bus_open_user(&u->bus) : sd_bus_open_system(&u->bus);

        return r < 0 ? r : sd_bus_attach_event(u->bus, u->run.event, SD_EVENT_PRIORITY_NORMAL);
}

/* TryRestartUnit: an administrator's stop that came in between stays a stop. Subscribe: the manager's signals go to
 * those who asked (the owner of a job hears of it anyway since systemd 230); a refusal of it changes nothing. */
static int request(UnitRun *u) {
        int r = sd_bus_match_signal_async(u->bus, &u->removed, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved",
                                          on_job_removed, NULL, u);

        if (r >= 0)
                r = sd_bus_match_signal(u->bus, &u->gone, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, u);
        if (r >= 0)
                r = sd_bus_call_method_async(u->bus, NULL, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "Subscribe", NULL,
                                             NULL, NULL);
        if (r >= 0)
                r = sd_bus_call_method_async(u->bus, &u->call, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
                                             "TryRestartUnit", on_answer, u, "ss", u->unit.name, "replace");
        return r;
}

/* A name from the options is of the manager that runs the target: "pusher" is "pusher.service". */
static int named_unit(const char *name, UnitName *u) {
        if (snprintf(u->name, sizeof(u->name), "%s", name) >= (int)sizeof(u->name))
                return -EINVAL;
        if (unit_name_is_valid(u->name))
                return 0;
        if (snprintf(u->name, sizeof(u->name), "%s.service", name) >= (int)sizeof(u->name))
                return -EINVAL;
        return unit_name_is_valid(u->name) ? 0 : -EINVAL;
}

static int find_unit(const ActionContext *c, UnitName *ret, char *why, size_t why_size) {
        const char *name = c->options->unit;
        char text[CGROUP_TEXT_MAX];
        UnitName u = {0};
        ssize_t n = rootfs_read(c->target->dir_fd, "cgroup", text, sizeof(text));
        int r = n < 0 ? (int)n : unit_from_cgroup(text, &u);

        if (name[0]) /* the target's group only says whose manager it is */
                r = named_unit(name, &u);
        if (r == -ENXIO)
                return run_why(r, why, why_size, "process %d is in no service: name the unit in the configuration",
                               (int)c->target->pid);
        if (r < 0)
                return run_why(r, why, why_size, "%s: %s", name[0] ? name : "unit of the target",
                               r == -EINVAL ? "no valid unit name" : strerror(-r));
        if (u.is_user && u.uid != geteuid())
                return run_why(-EPERM, why, why_size, "%s is of the service manager of uid %u, we are uid %u", u.name,
                               (unsigned)u.uid, (unsigned)geteuid());
        *ret = u;
        return 0;
}

/* Is there a bus to connect to? Where the address is given by the environment, connecting will tell. */
static int check_bus(const UnitName *u, char *why, size_t why_size) {
        static const char socket_path[] = "/run/dbus/system_bus_socket";

        if (!u->is_user && !secure_getenv("DBUS_SYSTEM_BUS_ADDRESS") && access(socket_path, F_OK) < 0)
                return run_why(-errno, why, why_size, "no system bus: %s: %s", socket_path, strerror(errno));
        return 0;
}

static int check(const ActionContext *c, char *why, size_t why_size) {
        UnitName u;
        int r = run_check_target(c, why, why_size);

        if (r >= 0)
                r = find_unit(c, &u, why, why_size);
        return r < 0 ? r : check_bus(&u, why, why_size);
}

static int begin(UnitRun *u, const ActionContext *c) {
        char why[256];
        int r = find_unit(c, &u->unit, why, sizeof(why));

        if (r < 0) {
                run_detail(&u->run, "%s", why);
                return run_end_later(&u->run, OUTCOME_ERROR);
        }
        r = open_bus(u);
        if (r >= 0)
                r = request(u);
        if (r < 0) {
                run_detail(&u->run, "%s: the %s bus cannot be used: %s", u->unit.name,
                           u->unit.is_user ? "user" : "system", strerror(-r));
                return run_end_later(&u->run, OUTCOME_ERROR);
        }
        return run_timer(&u->run, &u->deadline, u->wait_usec, on_deadline);
}

static int start(const ActionContext *c, const Decision *d _unused_, ActionDoneFn done, void *userdata,
                 ActionRun **ret) {
        UnitRun *u = calloc(1, sizeof(*u));
        int r;

        if (!u)
                return -ENOMEM;
        run_init(&u->run, c, RUNG_ROTATE, "unit", done, userdata, release);
        u->subject = SUBJECT_NULL;
        u->wait_usec = c->options->rotate_wait_usec;
        r = subject_take(c->target, &u->subject);
        if (r >= 0)
                r = begin(u, c);
        if (r < 0) {
                run_free(&u->run);
                return r;
        }
        *ret = &u->run;
        return 0;
}

const Action action_rotate_unit = {
        .name = "rotate-unit",
        .rung = RUNG_ROTATE,
        .check = check,
        .start = start,
        .cancel = run_cancel,
};
