/* SPDX-License-Identifier: Apache-2.0
 *
 * Restart of a unit over a real bus: a dbus-daemon of our own, with our own policy, and sd-bus on both ends. Who
 * answers there as org.freedesktop.systemd1 is a stand-in, because no systemd runs as process 1 where tests run; it
 * speaks the part of the manager's interface that is used (org.freedesktop.systemd1(5)) and does as the name says.
 */
#include "systemd/unit.h"

#include <poll.h>
#include <sys/syscall.h>
#include <systemd/sd-bus.h>

#include "unit/act.h"
#include "unit/folder.h"

static char dir[] = "/tmp/plateau-bus-XXXXXX";
static char address[128];
static pid_t bus_pid, manager_pid;

/* ---- the stand-in ---- */

static void removed(sd_bus *bus, const char *job, const char *unit, const char *result) {
        (void)sd_bus_emit_signal(bus, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved",
                                 "uoss", 17u, job, unit, result);
}

/* "kill-PID.service", "failed.service", "NAME-job.service": as the name says. */
static int on_restart(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error) {
        static const char job[] = "/org/freedesktop/systemd1/job/17", other[] = "/org/freedesktop/systemd1/job/18";
        sd_bus *bus = sd_bus_message_get_bus(m);
        const char *unit, *mode;
        char result[64], result_path[1000] = "";
        int pid = 0;

        if (sd_bus_message_read(m, "ss", &unit, &mode) < 0 || strcmp(mode, "replace") != 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "bad arguments");
        if (strcmp(unit, "nosuch.service") == 0)
                return sd_bus_error_setf(error, "org.freedesktop.systemd1.NoSuchUnit", "Unit %s not found.", unit);
        if (strcmp(unit, "denied.service") == 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Permission denied");
        if (strcmp(unit, "ask.service") == 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "authenticate");
        if (strcmp(unit, "odd.service") == 0)
                return sd_bus_error_set(error, "org.example.Odd", "odd \x01 thing");
        if (strcmp(unit, "mute.service") == 0)
                return 1;
        if (strcmp(unit, "long.service") == 0) {
                memset(result_path, 'a', sizeof(result_path) - 1);
                result_path[0] = '/';
                return sd_bus_reply_method_return(m, "o", result_path);
        }
        if (sd_bus_reply_method_return(m, "o", job) < 0)
                _exit(4);
        removed(bus, other, "other.service", "failed"); /* somebody else's */
        if (sscanf(unit, "kill-%d.service", &pid) == 1) {
                struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

                kill(pid, SIGKILL);
                if (poll(&pfd, 1, -1) != 1) /* a restart is over when the old process is */
                        _exit(5);
                fd_close(pfd.fd);
                removed(bus, job, unit, "done");
        } else if (sscanf(unit, "result-%63[a-z].service", result) == 1)
                removed(bus, job, unit, result);
        return 1; /* "slow.service": its job does not end */
}

static int on_subscribe(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_) {
        return sd_bus_reply_method_return(m, "");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("TryRestartUnit", "ss", "o", on_restart, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

_Noreturn static void play_manager(int ready_fd) {
        sd_bus *bus;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sd_bus_open_system(&bus) < 0 ||
            sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                                     manager_vtable, NULL) < 0 ||
            sd_bus_request_name(bus, "org.freedesktop.systemd1", 0) < 0)
                _exit(1);
        if (write(ready_fd, "r", 1) != 1)
                _exit(2);
        for (;;) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0)
                        _exit(3);
                if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
                        _exit(3);
        }
}

/* ---- the bus ---- */

static void write_config(const char *path) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        fprintf(f,
                "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><policy context=\"default\">"
                "<allow user=\"*\"/><allow own=\"*\"/><allow send_destination=\"*\"/>"
                "<allow send_type=\"signal\"/><allow receive_sender=\"*\"/></policy></busconfig>\n",
                dir);
        assert_int_equal(fclose(f), 0);
}

/* The bus says its address when it listens. */
static pid_t start_bus(void) {
        char config[64], option[128], got[256];
        int ready[2];
        pid_t pid;

        snprintf(config, sizeof(config), "%s/config", dir);
        snprintf(option, sizeof(option), "--config-file=%s", config);
        write_config(config);
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                char print[32];

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fd_close(ready[0]);
                snprintf(print, sizeof(print), "--print-address=%d", ready[1]);
                execlp("dbus-daemon", "dbus-daemon", option, "--nofork", "--nopidfile", print, NULL);
                _exit(127);
        }
        fd_close(ready[1]);
        assert_true(read(ready[0], got, sizeof(got)) > 0);
        fd_close(ready[0]);
        return pid;
}

static pid_t start_manager(void) {
        int ready[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0)
                play_manager(ready[1]);
        fd_close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        fd_close(ready[0]);
        return pid;
}

static bool has_bus;

static int set_up(void **state _unused_) {
        if (folder_make(dir) < 0)
                return -1;
        snprintf(address, sizeof(address), "unix:path=%s/bus", dir);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
        has_bus = system("command -v dbus-daemon >/dev/null") == 0;
        return 0;
}

static int tear_down(void **state _unused_) {
        return folder_remove(dir);
}

static int with_bus(void **state _unused_) {
        if (has_bus)
                bus_pid = start_bus();
        return 0;
}

static int with_manager(void **state) {
        with_bus(state);
        if (has_bus)
                manager_pid = start_manager();
        return 0;
}

static int stop(void **state _unused_) {
        act_reap(manager_pid);
        act_reap(bus_pid);
        manager_pid = bus_pid = 0;
        return 0;
}

static void need_bus(void) {
        if (!has_bus) {
                print_message("# skipped: dbus-daemon is not installed\n");
                skip();
        }
}

/* ---- tests ---- */

static void unit_rig_init(Rig *r, const char *unit) {
        rig_init(r, act_child(NULL), true);
        snprintf(r->options.unit, sizeof(r->options.unit), "%s", unit);
}

static void test_restarts(void **state _unused_) {
        char why[160], unit[64];
        Rig r;

        need_bus();
        unit_rig_init(&r, "");
        snprintf(unit, sizeof(unit), "kill-%d", (int)r.child); /* ".service" is added */
        strcpy(r.options.unit, unit);
        assert_int_equal(action_rotate_unit.check(&r.context, why, sizeof(why)), 0);
        rig_finish(&r, &action_rotate_unit);
        assert_outcome(&r, OUTCOME_OK, "unit", ".service: restarted after ");
        assert_int_equal(r.outcome.rung, RUNG_ROTATE);
        rig_done(&r);
}

static void test_answers(void **state _unused_) {
        static const struct {
                const char *unit;
                OutcomeResult result;
                const char *detail;
        } cases[] = {
                {"result-done.service", OUTCOME_PARTIAL, "goes on: it is of another unit"},
                {"result-failed.service", OUTCOME_ERROR, "result-failed.service: the restart failed"},
                {"result-canceled.service", OUTCOME_ERROR, "cancelled by another job"},
                {"result-timeout.service", OUTCOME_TIMEOUT, "the unit's own time limit"},
                {"result-dependency.service", OUTCOME_ERROR, "a unit that it needs did not start"},
                {"result-skipped.service", OUTCOME_PARTIAL, "the unit is not running"},
                {"result-unheard.service", OUTCOME_ERROR, "the restart ended as \"unheard\""},
                {"nosuch.service", OUTCOME_ERROR, "there is no such unit"},
                {"denied.service", OUTCOME_ERROR, "polkit has to grant org.freedesktop.systemd1.manage-units"},
                {"ask.service", OUTCOME_ERROR, "not allowed without a person to ask"},
                {"odd.service", OUTCOME_ERROR, "odd.service: odd \\u0001 thing"},
                {"long.service", OUTCOME_ERROR, "answer cannot be read"},
        };

        need_bus();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Rig r;

                unit_rig_init(&r, cases[i].unit);
                rig_finish(&r, &action_rotate_unit);
                assert_outcome(&r, cases[i].result, "unit", cases[i].detail);
                assert_int_equal(waitpid(r.child, NULL, WNOHANG), 0);
                rig_done(&r);
        }
}

static void test_takes_too_long(void **state _unused_) {
        static const struct {
                const char *unit, *detail;
        } cases[] = {
                {"slow.service", "slow.service: still restarting, systemd goes on with it after 300 ms"},
                {"mute.service", "mute.service: no answer from systemd after 300 ms"},
        };

        need_bus();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Rig r;

                unit_rig_init(&r, cases[i].unit);
                r.options.rotate_wait_usec = 300 * USEC_PER_MSEC;
                rig_finish(&r, &action_rotate_unit);
                assert_outcome(&r, OUTCOME_TIMEOUT, "unit", cases[i].detail);
                rig_done(&r);
        }
}

/* sd-bus gives up on a call by itself, too (25 s unless told otherwise), and tells it from its own time-out. */
static void test_call_times_out(void **state _unused_) {
        Rig r;

        need_bus();
        setenv("SYSTEMD_BUS_TIMEOUT", "300ms", 1);
        unit_rig_init(&r, "mute.service");
        rig_finish(&r, &action_rotate_unit);
        unsetenv("SYSTEMD_BUS_TIMEOUT");
        assert_outcome(&r, OUTCOME_ERROR, "unit", "mute.service (uid ");
        assert_outcome(&r, OUTCOME_ERROR, "unit", "systemd did not answer");
        rig_done(&r);
}

static void test_cancel(void **state _unused_) {
        Rig r;

        need_bus();
        for (unsigned turns = 0; turns < 12; turns++) { /* at each step of connecting and asking */
                unit_rig_init(&r, "slow.service");
                assert_int_equal(rig_start(&r, &action_rotate_unit), 0);
                for (unsigned i = 0; i < turns; i++)
                        assert_true(sd_event_run(r.event, 20 * USEC_PER_MSEC) >= 0);
                assert_int_equal(r.n_done, 0);
                action_rotate_unit.cancel(r.run);
                assert_int_equal(r.n_done, 1);
                assert_outcome(&r, OUTCOME_CANCELLED, "unit", "given up after ");
                rig_done(&r);
        }
        action_rotate_unit.cancel(NULL);
}

/* The bus goes away, as it does when the machine goes down. */
static void test_bus_goes_away(void **state _unused_) {
        Rig r;

        need_bus();
        unit_rig_init(&r, "slow.service");
        assert_int_equal(rig_start(&r, &action_rotate_unit), 0);
        for (unsigned i = 0; i < 50; i++)
                assert_true(sd_event_run(r.event, 20 * USEC_PER_MSEC) >= 0);
        act_reap(bus_pid);
        bus_pid = 0;
        rig_until(&r, rig_has_outcome);
        assert_outcome(&r, OUTCOME_ERROR, "unit", "slow.service: the bus closed the connection");
        rig_done(&r);
}

static void test_no_systemd_on_the_bus(void **state _unused_) {
        Rig r;

        need_bus();
        unit_rig_init(&r, "pusher.service");
        rig_finish(&r, &action_rotate_unit);
        assert_outcome(&r, OUTCOME_ERROR, "unit", "no systemd answers on this bus");
        rig_done(&r);
}

static void test_no_bus(void **state _unused_) {
        Rig r;

        setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
        unit_rig_init(&r, "pusher.service");
        rig_finish(&r, &action_rotate_unit);
        assert_outcome(&r, OUTCOME_ERROR, "unit", "pusher.service: the system bus cannot be used: No such file");
        rig_done(&r);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

static void test_not_even_asked(void **state _unused_) {
        char why[160];
        Rig r;

        unit_rig_init(&r, "no/such name");
        assert_int_equal(action_rotate_unit.check(&r.context, why, sizeof(why)), -EINVAL);
        assert_string_equal(why, "no/such name: no valid unit name");
        rig_finish(&r, &action_rotate_unit);
        assert_outcome(&r, OUTCOME_ERROR, "unit", "no valid unit name");
        r.n_done = 0;
        strcpy(r.options.unit, "pusher.service");
        r.target.start_ticks++;
        assert_int_equal(action_rotate_unit.check(&r.context, why, sizeof(why)), -ESRCH);
        assert_int_equal(rig_start(&r, &action_rotate_unit), -ESRCH);
        rig_done(&r);
}

static void test_unit_of_a_group(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
                const char *name;
                int uid; /* -1 = the system's */
        } cases[] = {
                {"0::/system.slice/pusher.service\n", 0, "pusher.service", -1},
                {"0::/system.slice/pusher.service", 0, "pusher.service", -1},
                {"0::/system.slice/system-pusher.slice/pusher@a\\x2db.service\n", 0, "pusher@a\\x2db.service", -1},
                {"0::/system.slice/pusher.service/workers\n", 0, "pusher.service", -1},
                {"0::/system.slice/_cgroup.service\n", 0, "cgroup.service", -1},
                {"12:memory:/x\n1:name=systemd:/system.slice/pusher.service\n0::/\n", 0, "pusher.service", -1},
                {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", 0, "a.service", 1000},
                {"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", -ENXIO, NULL, 0},
                {"0::/user.slice/user-1000.slice/user@1000.service\n", -ENXIO, NULL, 0},
                {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n", -ENXIO, NULL, 0},
                {"0::/user.slice/user-1000.slice/session-2.scope\n", -ENXIO, NULL, 0},
                {"0::/user.slice/user-1000.slice/session-2.scope/nested.service\n", -ENXIO, NULL, 0},
                {"0::/a.service/user@1000.service/init\n", -ENXIO, NULL, 0},
                /* below a runtime: its service is not the container's, and neither is one of the container's own */
                {"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:ab\n", -ENXIO, NULL, 0},
                {"0::/system.slice/docker-ab.scope/system.slice/nginx.service\n", -ENXIO, NULL, 0},
                {"0::/docker/ab/system.slice/nginx.service\n", -ENXIO, NULL, 0},
                {"0::/lxc.payload.c1/system.slice/nginx.service\n", -ENXIO, NULL, 0},
                {"0::/machine.slice/systemd-nspawn@c.service/payload/system.slice/nginx.service\n", -ENXIO, NULL, 0},
                {"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-ab.scope\n", -ENXIO, NULL, 0},
                {"0::/system.slice/docker.service\n", 0, "docker.service", -1},
                {"0::/../pusher.service\n", 0, "pusher.service", -1},
                {"0::/\n", -ENXIO, NULL, 0},
                {"", -ENXIO, NULL, 0},
                {"0::", -ENXIO, NULL, 0},
                {"nonsense", -ENXIO, NULL, 0},
                {"0::/.service\n", -ENXIO, NULL, 0},
                {"0::/a b.service\n", -EINVAL, NULL, 0},
                {"0::/user@99999999999.service/x.service\n", 0, "x.service", -1},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                UnitName u = {.name = "untouched"};
                int r = unit_from_cgroup(cases[i].text, &u);

                if (r != cases[i].r || strcmp(u.name, r < 0 ? "untouched" : cases[i].name) != 0)
                        print_message("# %s: %d %s\n", cases[i].text, r, u.name);
                assert_int_equal(r, cases[i].r);
                assert_string_equal(u.name, r < 0 ? "untouched" : cases[i].name);
                if (r == 0) {
                        assert_int_equal(u.is_user, cases[i].uid >= 0);
                        if (u.is_user)
                                assert_int_equal(u.uid, cases[i].uid);
                }
        }
}

static void test_longest_names(void **state _unused_) {
        char text[600] = "0::/", name[300];
        UnitName u;

        memset(name, 'n', sizeof(name));
        strcpy(name + UNIT_NAME_MAX - 9, ".service"); /* 255 characters */
        assert_true(unit_name_is_valid(name));
        strcat(text, name);
        assert_int_equal(unit_from_cgroup(text, &u), 0);
        assert_string_equal(u.name, name);
        memset(name, 'n', sizeof(name));
        strcpy(name + UNIT_NAME_MAX - 8, ".service");
        assert_false(unit_name_is_valid(name));
        strcpy(text + 4, name);
        assert_int_equal(unit_from_cgroup(text, &u), -EINVAL);
        assert_false(unit_name_is_valid(""));
        assert_false(unit_name_is_valid(".service"));
        assert_false(unit_name_is_valid("a.exe"));
        assert_false(unit_name_is_valid("../a.service"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unit_of_a_group),
                cmocka_unit_test(test_longest_names),
                cmocka_unit_test_setup_teardown(test_restarts, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_answers, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_takes_too_long, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_call_times_out, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_cancel, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_bus_goes_away, with_manager, stop),
                cmocka_unit_test_setup_teardown(test_no_systemd_on_the_bus, with_bus, stop),
                cmocka_unit_test(test_no_bus),
                cmocka_unit_test(test_not_even_asked),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
