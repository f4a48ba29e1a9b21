/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "settings/load.h"
#include "util/rootfs.h"

#define CONFIG_DEFAULT "/etc/plateau/plateau.yaml"

typedef struct DoctorArgs {
        bool json;
        uint64_t pid;
        const char *match, *config, *probe;
} DoctorArgs;

/* The file that was named must be there; the usual one may be missing. Return: a CliExit. */
static int load(const DoctorArgs *a, Settings *s, bool *ret_has) {
        const char *env = getenv("PLATEAU_CONFIG"), *path = a->config ? a->config : env && *env ? env : CONFIG_DEFAULT;
        _cleanup_buf_ Buf problems = BUF_NULL;
        int r;

        *ret_has = false;
        if (!a->config && access(path, F_OK) < 0)
                return CLI_OK;
        r = settings_load_file(path, s, NULL, &problems);
        term_print_problems(&problems);
        *ret_has = r >= 0;
        return r < 0 ? CLI_BAD_CONFIG : CLI_OK;
}

/* Whom: as the command line says, else the configuration's first, else the main container of this pod. */
static bool choose(const DoctorArgs *a, Doctor *d) {
        if (a->pid)
                d->spec = (TargetSpec){.name = "target", .match = TARGET_MATCH_PID, .pid = (pid_t)a->pid};
        else if (a->match) {
                d->spec = (TargetSpec){.name = "target", .match = TARGET_MATCH_CMDLINE};
                snprintf(d->spec.value, sizeof(d->spec.value), "%s", a->match);
        } else if (d->settings && d->settings->n_targets > 0)
                d->spec = d->settings->targets[0];
        else if (d->in_pod)
                d->spec = (TargetSpec){.name = "main", .match = TARGET_MATCH_MAIN};
        else
                return false;
        return true;
}

static void print(const DoctorArgs *a, const Doctor *d) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Term t;

        if (a->json) {
                doctor_json(&b, d);
                puts(buf_str(&b));
                return;
        }
        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        doctor_view(&s, d);
        fputs(buf_str(&s.buf), stdout);
}

static int examine(const DoctorArgs *a, Doctor *d) {
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc"),
                         cgroup = rootfs_open_dir(AT_FDCWD, "/sys/fs/cgroup");
        TargetSource src = {.proc_fd = proc, .cgroup_fd = cgroup < 0 ? -1 : cgroup, .pidfd = true};
        int code;

        doctor_look(d, &src);
        doctor_ways(d);
        doctor_pod(d);
        doctor_reach(d);
        print(a, d);
        code = d->target.pid <= 0 ? CLI_NO_TARGET : doctor_is_well(d) ? CLI_OK : CLI_ERROR;
        target_done(&d->target);
        return code;
}

static int doctor_main(const Command *self, int argc, char **argv) {
        static Settings settings; /* 30 KiB: off the stack */
        static Doctor d;
        const char *host = getenv("KUBERNETES_SERVICE_HOST");
        DoctorArgs a = {0};
        ArgWords words;
        bool has;
        int r = args_parse(self, argc, argv, &a, 0, 0, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (a.pid && a.match) {
                args_error(self, "--pid and --match: one of them says whom");
                return CLI_USAGE;
        }
        r = load(&a, &settings, &has);
        if (r != CLI_OK)
                return r;
        d.target = TARGET_NULL;
        d.settings = has ? &settings : NULL;
        d.probe_path = a.probe;
        d.in_pod = host && *host;
        if (!choose(&a, &d)) {
                args_error(self, "no configuration and no pod: say whom, by --pid or --match");
                return CLI_USAGE;
        }
        r = examine(&a, &d);
        if (has)
                settings_done(&settings);
        return r;
}

static const ArgOption options[] = {
        {"json", 'j', ARG_FLAG, NULL, offsetof(DoctorArgs, json), 0, 0, "One JSON object instead of text."},
        {"pid", 'p', ARG_COUNT, "PID", offsetof(DoctorArgs, pid), 1, 4194304, "This process."},
        {"match", 'm', ARG_TEXT, "PATTERN", offsetof(DoctorArgs, match), 0, 0,
         "The oldest process whose arguments match this regular expression."},
        {"config", 'c', ARG_TEXT, "FILE", offsetof(DoctorArgs, config), 0, 0,
         "The configuration, for targets, method and sinks. Default: $PLATEAU_CONFIG, else " CONFIG_DEFAULT ", if "
         "there is one."},
        {"probe", 0, ARG_TEXT, "PATH", offsetof(DoctorArgs, probe), 0, 0,
         "The plateau-probe to use. Default: $PLATEAU_PROBE, the one beside this command, the installed one."},
        ARG_END,
};

const Command command_doctor = {
        .name = "doctor",
        .args = "",
        .summary = "what works here, what does not, and the line that would change it",
        .description =
                "Looks, changes nothing, and needs no daemon: as what it may reach the process (status only, reading, "
                "calling into it) and what forbids more; which sources tell its limit and use; whether its allocator "
                "can "
                "be asked to give memory back; how it could be rotated; in a pod what the manifest provides; whether "
                "sinks take connections. Under each finding that could be better stands the line to change.\n"
                "Whom: by --pid or --match, else the configuration's first target, else the main container of this "
                "pod. It "
                "runs on a host, in a sidecar, and in an ephemeral container (kubectl debug --target). A survey reads "
                "the "
                "process' memory for half a second at most; nothing is stopped or called.\n"
                "JSON: well, tier (none, status, read, call), in_pod, pid, findings [{section, name, mark (good, half, "
                "bad, none), text, change}].",
        .exits = "0\tall that is configured works\n"
                 "1\tsomething that is configured, or that everything needs, does not\n"
                 "2\twrong command line\n"
                 "6\tno such process\n"
                 "78\tthe configuration is wrong\n",
        .examples = "plateau doctor\tin a sidecar, or beside a daemon\n"
                    "plateau doctor --match 'server.py'\ton any machine\n"
                    "plateau doctor --json | jq '.findings[] | select(.change)'\twhat to change\n",
        .options = options,
        .run = doctor_main,
};
