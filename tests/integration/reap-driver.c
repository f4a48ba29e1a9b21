/* SPDX-License-Identifier: Apache-2.0
 *
 * A sidecar that removes its peers' orphans and asks for headroom, on a real event loop and API server, when
 * tests/e2e/test-reap.py says so by a line on stdin: "look", or "resize FIRST_BYTES STEP_PERCENT". A JSON object a line
 * comes back. It ends with its stdin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "kube/headroom.h"
#include "kube/reap.h"
#include "util/clock.h"

#define LOOK_USEC (10 * USEC_PER_MSEC)

typedef struct Driver {
        sd_event *event;
        KubeConfig config;
        KubeClient *client;
        KubeReap *reap;
        sd_event_source *timer;
        KubeOptions options;
        uint64_t first_limit_bytes;
} Driver;

/* Owner: takes @o. */
static void print(json_t *o) {
        char *text = json_dumps(o, JSON_COMPACT);

        printf("%s\n", text);
        fflush(stdout);
        free(text);
        json_decref(o);
}

static void on_resized(void *userdata _unused_, const KubeAnswer *a, const KubePod *pod) {
        print(json_pack("{s:s, s:s, s:I}", "error", kube_error_name(a->error), "why", a->why, "limit",
                        (json_int_t)(pod ? pod->main_limit_bytes : 0)));
}

static void on_pod(void *userdata, const KubeAnswer *a, const KubePod *pod) {
        Driver *d = userdata;
        uint64_t limit, request;
        char why[256];
        json_t *patch;

        if (!pod) {
                on_resized(d, a, pod);
                return;
        }
        if (kube_headroom(pod, &d->options, d->first_limit_bytes, &limit, &request, why, sizeof(why)) < 0) {
                print(json_pack("{s:s, s:s}", "error", "no headroom", "why", why));
                return;
        }
        patch = kube_headroom_patch(pod, limit, request);
        if (!patch || kube_pod_resize(d->client, pod->name, patch, on_resized, d, NULL) < 0)
                print(json_pack("{s:s}", "error", "not asked"));
        json_decref(patch);
}

/* The reap tells nobody: its view is what there is. */
static int on_timer(sd_event_source *s, uint64_t usec _unused_, void *userdata) {
        Driver *d = userdata;
        KubeReapView v;

        kube_reap_view(d->reap, &v);
        if (v.busy) {
                (void)sd_event_source_set_time_relative(s, LOOK_USEC);
                return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        }
        print(json_pack("{s:b, s:s, s:I, s:I}", "refused", v.refused, "why", v.why, "removed", (json_int_t)v.removed,
                        "failed", (json_int_t)v.failed));
        return 0;
}

static int on_input(sd_event_source *s _unused_, int fd, uint32_t revents _unused_, void *userdata) {
        Driver *d = userdata;
        char line[256];
        ssize_t n = read(fd, line, sizeof(line) - 1); /* the test waits for an answer: a line at a time */
        unsigned long long first;
        unsigned percent;

        if (n <= 0)
                return sd_event_exit(d->event, 0);
        line[n] = '\0';
        if (sscanf(line, "resize %llu %u", &first, &percent) == 2) {
                d->first_limit_bytes = first;
                d->options = (KubeOptions){.headroom_ratio = percent / 100.0, .headroom_extra_max_ratio = 0.5};
                return kube_pod_get(d->client, d->config.pod, on_pod, d, NULL);
        }
        kube_reap_look(d->reap);
        (void)sd_event_source_set_time_relative(d->timer, LOOK_USEC);
        return sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

int main(void) {
        Driver d = {0};
        char why[256] = "";
        int r = sd_event_new(&d.event);

        if (r < 0 || (r = kube_config_load(&d.config, why, sizeof(why))) < 0 ||
            (r = kube_client_new(d.event, &d.config, &d.client, why, sizeof(why))) < 0 ||
            (r = kube_reap_new(d.event, d.client, &d.config, &d.reap)) < 0 ||
            (r = sd_event_add_time(d.event, &d.timer, CLOCK_BOOTTIME, USEC_INFINITY, 1, on_timer, &d)) < 0 ||
            (r = sd_event_add_io(d.event, NULL, STDIN_FILENO, EPOLLIN, on_input, &d)) < 0)
                fprintf(stderr, "%s: %s\n", why, strerror(-r));
        else
                r = sd_event_loop(d.event);
        sd_event_source_disable_unref(d.timer);
        d.reap = kube_reap_free(d.reap);
        d.client = kube_client_free(d.client);
        sd_event_unref(d.event);
        return r < 0;
}
