/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "daemon.h"
#include "privileges.h"
#include "systemd/journal.h"
#include "util/parse.h"
#include "util/version.h"

#define CONFIG_DEFAULT "/etc/plateau/plateau.yaml"

static const char help_text[] =
        "plateaud " PLATEAU_VERSION " - watches a process's memory, reclaims and rotates before the OOM kill\n"
        "\n"
        "usage: plateaud [--config FILE] [--check-config | --dump-config]\n"
        "\n"
        "  -c, --config FILE   YAML configuration; default $PLATEAU_CONFIG, then " CONFIG_DEFAULT
        "; - is standard input\n"
        "  -n, --check-config  say what is wrong with it and end\n"
        "      --dump-config   print the effective values, each with its origin, and end\n"
        "      --schema        print the JSON Schema of the configuration and end\n"
        "      --keys          print every key with type, range, default and meaning, and end\n"
        "      --no-probe      start no plateau-probe: watch and alert only\n"
        "      --version, --help\n"
        "\n"
        "signals: SIGHUP reloads, all or nothing; SIGTERM and SIGINT stop within a second\n"
        "exit status: 0 fine, 64 wrong usage, 66 no configuration file, 69 an address or socket is in use,\n"
        "             70 internal failure, 71 out of memory or descriptors, 78 wrong configuration\n";

typedef enum Mode { MODE_RUN, MODE_CHECK, MODE_DUMP } Mode;

typedef struct Arguments {
        const char *config;
        Mode mode;
        bool no_probe;
} Arguments;

enum { OPT_DUMP = 256, OPT_SCHEMA, OPT_KEYS, OPT_NO_PROBE, OPT_VERSION };

static int print_buf(void (*fill)(Buf *)) {
        _cleanup_buf_ Buf b = BUF_NULL;

        fill(&b);
        fputs(buf_str(&b), stdout);
        return b.failed ? EX_OSERR : -1;
}

/* Return: -1 to go on after it (or end with 0 when *ret_done), else the exit status. */
static int parse_arguments(int argc, char **argv, Arguments *ret, bool *ret_done) {
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},     {"check-config", no_argument, NULL, 'n'},
                {"dump-config", no_argument, NULL, OPT_DUMP}, {"schema", no_argument, NULL, OPT_SCHEMA},
                {"keys", no_argument, NULL, OPT_KEYS},        {"no-probe", no_argument, NULL, OPT_NO_PROBE},
                {"version", no_argument, NULL, OPT_VERSION},  {"help", no_argument, NULL, 'h'},
                {0},
        };
        const char *env = getenv("PLATEAU_CONFIG");
        int c;

        *ret = (Arguments){.config = env && *env ? env : CONFIG_DEFAULT};
        *ret_done = true;
        while ((c = getopt_long(argc, argv, "c:nh", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        ret->config = optarg;
                        break;
                case 'n':
                        ret->mode = MODE_CHECK;
                        break;
                case OPT_DUMP:
                        ret->mode = MODE_DUMP;
                        break;
                case OPT_NO_PROBE:
                        ret->no_probe = true;
                        break;
                case OPT_SCHEMA:
                        return print_buf(settings_schema_json);
                case OPT_KEYS:
                        return print_buf(settings_help);
                case OPT_VERSION:
                        printf("plateaud %s\n", plateau_version());
                        return -1;
                case 'h':
                        fputs(help_text, stdout);
                        return -1;
                default:
                        return EX_USAGE;
                }
        if (optind < argc) {
                fprintf(stderr, "plateaud: unexpected argument '%s'; see --help\n", argv[optind]);
                return EX_USAGE;
        }
        *ret_done = false;
        return -1;
}

static int load(const Arguments *a, Settings *ret) {
        _cleanup_buf_ Buf problems = BUF_NULL, dump = BUF_NULL;
        SettingsOrigins *origins = NULL;
        int r = settings_load_file(a->config, ret, &origins, &problems);

        fputs(buf_str(&problems), stderr);
        if (r == -ENOENT || r == -EACCES || r == -EISDIR)
                return EX_NOINPUT;
        if (r < 0)
                return r == -ENOMEM ? EX_OSERR : EX_CONFIG;
        if (a->mode == MODE_DUMP) {
                settings_dump(&dump, ret, origins);
                fputs(buf_str(&dump), stdout);
        }
        settings_origins_free(origins);
        if (a->mode == MODE_CHECK)
                printf("%s: fine, %u target%s\n", a->config, ret->n_targets, ret->n_targets == 1 ? "" : "s");
        return EX_OK;
}

static void setup_log(const Settings *s) {
        bool journal = s->log_format == LOG_CHOICE_JOURNAL || (s->log_format == LOG_CHOICE_AUTO && journal_is_stderr());
        bool plain = s->log_format == LOG_CHOICE_PLAIN || (s->log_format == LOG_CHOICE_AUTO && isatty(STDERR_FILENO));

        log_setup(plain ? LOG_FORMAT_PLAIN : LOG_FORMAT_JSON, s->log_level);
        if (journal && journal_open(NULL, "plateaud") < 0) {
                journal = false;
                log_line(LOG_WARNING, "log.no_journal", "journald cannot be reached: logging to stderr");
        }
        log_set_sink(journal ? journal_sink : NULL);
}

static uint64_t limit_from_environment(void) {
        const char *env = getenv("PLATEAU_LIMIT_BYTES");
        uint64_t v;

        if (!env || !*env)
                return 0;
        if (parse_bytes(env, &v) < 0) {
                log_event(LOG_WARNING, "config.environment", LOG_FIELDS(LF_S("value", env)),
                          "PLATEAU_LIMIT_BYTES is '%s', not a number of bytes: ignored", env);
                return 0;
        }
        return v;
}

static ProbeClient *start_probe(sd_event *event, const Arguments *a) {
        ProbeClient *probe = NULL;
        int r;

        if (a->no_probe)
                return NULL;
        r = probe_client_new(NULL, event, &probe);
        if (r < 0)
                log_event(LOG_WARNING, "probe.missing", NULL,
                          "plateau-probe could not be started: %s; no PSS, no reclaim, but watching goes on",
                          strerror(-r));
        return r < 0 ? NULL : probe;
}

static int run(const Arguments *a, Settings *settings) {
        sd_event *event = NULL;
        Daemon *daemon = NULL;
        DaemonSetup setup;
        char why[256] = "";
        sigset_t set;
        int r;

        setup_log(settings);
        /* blocked for the loop's signalfd; the probe gets a clean mask of its own */
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);

        r = sd_event_default(&event);
        if (r < 0)
                return EX_OSERR;
        setup = (DaemonSetup){.event = event, .config_path = a->config, .settings = settings,
                              .env_limit_bytes = limit_from_environment(), .probe = start_probe(event, a)};
        r = privileges_drop();
        if (r < 0) {
                log_line(LOG_ERR, "daemon.privileges", "capabilities cannot be dropped: %s", strerror(-r));
                probe_client_free(setup.probe);
                sd_event_unref(event);
                return EX_SOFTWARE;
        }
        r = daemon_new(&setup, &daemon, why, sizeof(why));
        if (r < 0) {
                log_event(LOG_ERR, "daemon.failed", LOG_FIELDS(LF_I("error", r)), "cannot start: %s", why);
                probe_client_free(setup.probe);
        } else
                r = daemon_run(daemon);
        daemon_free(daemon);
        sd_event_unref(event);
        return r >= 0                             ? EX_OK
               : r == -EADDRINUSE || r == -ENOENT ? EX_UNAVAILABLE
               : r == -ENOMEM                     ? EX_OSERR
                                                  : EX_SOFTWARE;
}

int main(int argc, char **argv) {
        Settings *settings = calloc(1, sizeof(*settings)); /* 60 KiB: the stack would keep them */
        Arguments a;
        bool done;
        int r = parse_arguments(argc, argv, &a, &done);

        if (r < 0 && !done)
                r = settings ? load(&a, settings) : EX_OSERR;
        else if (r < 0)
                a.mode = MODE_CHECK; /* said what was asked for */
        if (r == EX_OK && a.mode == MODE_RUN)
                r = run(&a, settings);
        if (settings)
                settings_done(settings);
        free(settings);
        return r < 0 ? EX_OK : r;
}
