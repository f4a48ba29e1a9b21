/* SPDX-License-Identifier: Apache-2.0
 *
 * One drain of a real process on a real event loop: tests/integration/test-drain.py reads a JSON object a line, for
 * each change and for the end; it cancels the drain by closing standard input.
 *
 *   drain-driver PID SECONDS [url=URL] [file=PATH] [signal=NUMBER] [port=NUMBER]...
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kube/drain.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/rootfs.h"

typedef struct Driver {
        sd_event *event;
        Drain *drain;
} Driver;

static void print_state(const DrainState *s) {
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        json_object_begin(&j);
        json_kv_string(&j, "end", drain_end_name(s->end));
        json_kv_u64_or_null(&j, "left", s->known, s->left);
        json_kv_double(&j, "waited_s", (double)s->waited_usec / USEC_PER_SEC);
        json_kv_u64(&j, "ports", s->connections.n_ports);
        json_kv_u64(&j, "from", s->connections.from);
        json_kv_bool(&j, "netlink", s->connections.by_netlink);
        json_kv_string(&j, "told", s->told);
        json_kv_string(&j, "trouble", s->trouble);
        json_object_end(&j);
        printf("%s\n", buf_str(&b));
        fflush(stdout);
}

static void on_state(void *userdata, const DrainState *s) {
        Driver *d = userdata;

        print_state(s);
        if (s->end == DRAIN_GOES_ON)
                return;
        d->drain = drain_free(d->drain);
        sd_event_exit(d->event, 0);
}

static int on_input(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        Driver *d = userdata;

        d->drain = drain_cancel(d->drain);
        return sd_event_exit(d->event, 0);
}

static bool set_option(KubeOptions *o, const char *arg) {
        const char *value = strchr(arg, '=');

        if (!value++)
                return false;
        if (strncmp(arg, "url=", 4) == 0)
                snprintf(o->drain_notify_url, sizeof(o->drain_notify_url), "%s", value);
        else if (strncmp(arg, "file=", 5) == 0)
                snprintf(o->drain_notify_file, sizeof(o->drain_notify_file), "%s", value);
        else if (strncmp(arg, "signal=", 7) == 0)
                o->drain_notify_signal = atoi(value);
        else if (strncmp(arg, "port=", 5) == 0 && o->drain_ports.n < KUBE_PORTS_MAX)
                o->drain_ports.port[o->drain_ports.n++] = (uint16_t)atoi(value);
        else
                return false;
        return true;
}

int main(int argc, char **argv) {
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc");
        KubeOptions options = {0};
        TargetSource source = {.proc_fd = proc, .cgroup_fd = -1, .pidfd = true};
        TargetSpec spec = {.name = "app", .match = TARGET_MATCH_PID};
        Target target = TARGET_NULL;
        TargetEvent event;
        Driver d = {0};
        char why[160] = "";
        int r;

        if (argc < 3)
                return 64;
        spec.pid = atoi(argv[1]);
        options.drain_usec = (uint64_t)(atof(argv[2]) * USEC_PER_SEC);
        for (int i = 3; i < argc; i++)
                if (!set_option(&options, argv[i]))
                        return 64;
        target_init(&target, &spec, &source);
        r = target_refresh(&target, &event);
        if (r >= 0)
                r = sd_event_default(&d.event);
        if (r >= 0)
                r = sd_event_add_io(d.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &d);
        if (r >= 0) {
                DrainSpec what = {.options = &options,
                                  .target = &target,
                                  .namespace_ = "shop",
                                  .pod = "web-1",
                                  .reason = "limit near",
                                  .deadline_usec = USEC_INFINITY};

                r = drain_new(d.event, &what, on_state, &d, &d.drain, why, sizeof(why));
        }
        if (r >= 0)
                r = sd_event_loop(d.event);
        if (r < 0)
                fprintf(stderr, "%s%s%s\n", why, why[0] ? ": " : "", strerror(-r));
        drain_free(d.drain);
        target_done(&target);
        sd_event_unref(d.event);
        return r < 0;
}
