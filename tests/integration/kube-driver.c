/* SPDX-License-Identifier: Apache-2.0
 *
 * The API client alone on a real event loop, configured as in a pod: tests steer it by lines on stdin, "COMMAND
 * ARG...", and read one JSON object a line on stdout. A command is a row of the table below; "-" stands for an argument
 * that is not given, and a patch is the rest of the line.
 */
#include <systemd/sd-event.h>

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "kube/calls.h"
#include "kube/scalars.h"
#include "kube/watch.h"
#include "util/clock.h"

typedef struct Driver {
        sd_event *event;
        KubeClient *client;
        KubeConfig config;
        unsigned n_pods;
        KubeWatch *watch;
        bool free_at_first; /* the watch, from inside its callback */
        char line[8192];
        size_t line_len;
} Driver;

/* Owner: takes @o. */
static void print(json_t *o) {
        char *text = json_dumps(o, JSON_COMPACT);

        printf("%s\n", text);
        fflush(stdout);
        free(text);
        json_decref(o);
}

static json_t *of_answer(const char *what, const KubeAnswer *a) {
        return json_pack("{s:s, s:s, s:i, s:s, s:I}", "event", what, "error", kube_error_name(a->error), "status",
                         (int)a->status, "why", a->why, "retry_after_ms",
                         (json_int_t)(a->retry_after_usec / USEC_PER_MSEC));
}

static void add(json_t *o, const char *key, json_t *v) {
        json_object_set_new(o, key, v);
}

static json_t *of_pod(json_t *o, const KubePod *p) {
        add(o, "name", json_string(p->name));
        add(o, "uid", json_string(p->uid));
        add(o, "ready", json_boolean(p->ready));
        add(o, "deleting", json_boolean(p->deleting));
        add(o, "owner", json_string(p->owner.name));
        add(o, "hash", json_string(p->template_hash));
        add(o, "rotation", json_string(p->rotation));
        add(o, "state", json_string(p->state_json));
        add(o, "deadline", json_string(p->deadline));
        add(o, "limit", json_integer((json_int_t)p->main_limit_bytes));
        add(o, "alive", json_boolean(p->main_has_liveness_alive));
        return o;
}

static void on_pod(void *userdata _unused_, const KubeAnswer *a, const KubePod *p) {
        json_t *o = of_answer("pod", a);

        print(p ? of_pod(o, p) : o);
}

static void on_each(void *userdata, const KubePod *p) {
        Driver *d = userdata;

        d->n_pods++;
        print(of_pod(json_pack("{s:s}", "event", "each"), p));
}

static void on_plain(void *userdata, const KubeAnswer *a) {
        Driver *d = userdata;
        json_t *o = of_answer("done", a);

        add(o, "n_pods", json_integer(d->n_pods));
        d->n_pods = 0;
        print(o);
}

static void on_set(void *userdata _unused_, const KubeAnswer *a, const KubeReplicaSet *set) {
        json_t *o = of_answer("replicaset", a);

        if (set) {
                add(o, "deployment", json_string(set->deployment.name));
                add(o, "replicas", json_integer(set->replicas));
                add(o, "ready", json_integer(set->ready));
                add(o, "revision", json_string(set->revision));
        }
        print(o);
}

static void on_deployment(void *userdata _unused_, const KubeAnswer *a, const KubeDeployment *dep) {
        json_t *o = of_answer("deployment", a);

        if (dep) {
                add(o, "paused", json_boolean(dep->paused));
                add(o, "rolling", json_boolean(dep->rolling));
                add(o, "revision", json_string(dep->revision));
        }
        print(o);
}

static void on_access(void *userdata _unused_, const KubeAnswer *a, KubeAccess access) {
        json_t *o = of_answer("access", a);

        add(o, "allowed", json_boolean(access.allowed));
        print(o);
}

/* ---- commands ---- */

typedef struct Words {
        char *arg[6]; /* "-" is NULL */
        char *rest;   /* behind the first argument */
} Words;

static int pod_get(Driver *d, const Words *w) {
        return kube_pod_get(d->client, w->arg[0], on_pod, d, NULL);
}

static int pods_list(Driver *d, const Words *w) {
        return kube_pods_list(d->client, w->arg[0], on_each, on_plain, d, NULL);
}

typedef int (*PatchFn)(KubeClient *c, const char *name, KubePatch type, const json_t *patch, KubePodFn done,
                       void *userdata, KubeCall **ret);

static int patch(Driver *d, const Words *w, KubePatch type, PatchFn fn) {
        json_t *p = json_loads(w->rest, 0, NULL);
        int r = p ? fn(d->client, w->arg[0], type, p, on_pod, d, NULL) : -EBADMSG;

        json_decref(p);
        return r;
}

static int json_patch(Driver *d, const Words *w) {
        return patch(d, w, KUBE_PATCH_JSON, kube_pod_patch);
}

static int merge_patch(Driver *d, const Words *w) {
        return patch(d, w, KUBE_PATCH_MERGE, kube_pod_patch);
}

static int status_patch(Driver *d, const Words *w) {
        return patch(d, w, KUBE_PATCH_STRATEGIC, kube_pod_status_patch);
}

static int resize(Driver *d, const Words *w) {
        json_t *p = json_loads(w->rest, 0, NULL);
        int r = p ? kube_pod_resize(d->client, w->arg[0], p, on_pod, d, NULL) : -EBADMSG;

        json_decref(p);
        return r;
}

static int evict(Driver *d, const Words *w) {
        return kube_pod_evict(d->client, w->arg[0], w->arg[1], atoi(w->arg[2]), w->arg[3], on_plain, d, NULL);
}

static int delete_pod(Driver *d, const Words *w) {
        return kube_pod_delete(d->client, w->arg[0], w->arg[1], atoi(w->arg[2]), on_plain, d, NULL);
}

static int set_get(Driver *d, const Words *w) {
        return kube_replicaset_get(d->client, w->arg[0], on_set, d, NULL);
}

static int deployment_get(Driver *d, const Words *w) {
        return kube_deployment_get(d->client, w->arg[0], on_deployment, d, NULL);
}

static int event_create(Driver *d, const Words *w) {
        json_t *o = json_loads(w->rest, 0, NULL);
        int r = o ? kube_event_create(d->client, o, on_plain, d, NULL) : -EBADMSG;

        json_decref(o);
        return r;
}

static int event_patch(Driver *d, const Words *w) {
        json_t *o = json_loads(w->rest, 0, NULL);
        int r = o ? kube_event_patch(d->client, w->arg[0], o, on_plain, d, NULL) : -EBADMSG;

        json_decref(o);
        return r;
}

static int access_review(Driver *d, const Words *w) {
        return kube_access(d->client, w->arg[0], w->arg[1] ? w->arg[1] : "", w->arg[2], w->arg[3], w->arg[4], on_access,
                           d, NULL);
}

static void on_watch(void *userdata, KubeWatchEvent event, const json_t *object, const KubeAnswer *why) {
        static const char *const names[_KUBE_WATCH_EVENT_MAX] = {
                [KUBE_WATCH_RESET] = "reset",     [KUBE_WATCH_ADDED] = "added",   [KUBE_WATCH_CHANGED] = "changed",
                [KUBE_WATCH_DELETED] = "deleted", [KUBE_WATCH_SYNCED] = "synced", [KUBE_WATCH_LOST] = "lost",
        };
        const KubePodLens lens = {.main = "main"};
        Driver *d = userdata;
        json_t *o = why ? of_answer("watch", why) : json_pack("{s:s}", "event", "watch");
        KubePod p;

        add(o, "watch", json_string(names[event]));
        if (object && kube_pod_decode(object, &lens, &p) == 0)
                of_pod(o, &p);
        if (d->free_at_first)
                d->watch = kube_watch_free(d->watch);
        else
                add(o, "over", json_boolean(kube_watch_is_over(d->watch)));
        print(o);
}

/* watch KIND SELECTOR NAME: follows these from now on, and nothing else. */
static int watch(Driver *d, const Words *w) {
        const KubeWatchSpec spec = {
                .kind = (KubeWatchKind)atoi(w->arg[0]), .label_selector = w->arg[1], .name = w->arg[2]};

        d->watch = kube_watch_free(d->watch);
        d->free_at_first = false;
        return kube_watch_new(d->event, d->client, &spec, on_watch, d, &d->watch);
}

static int unwatch(Driver *d, const Words *w) {
        d->free_at_first = w->arg[0];
        if (!w->arg[0])
                d->watch = kube_watch_free(d->watch);
        return 0;
}

/* What is over, by verb and outcome: {"get ok": 1}. */
static int counters(Driver *d, const Words *w _unused_) {
        const KubeCounters *c = kube_client_counters(d->client);
        json_t *o = json_object(), *ended = json_object();

        for (KubeVerb v = 0; v < _KUBE_VERB_MAX; v++)
                for (unsigned i = 0; i < KUBE_OUTCOME_MAX; i++) {
                        char key[64];

                        if (c->ended[v][i] == 0)
                                continue;
                        snprintf(key, sizeof(key), "%s %s", kube_verb_name(v), kube_outcome_name(i));
                        add(ended, key, json_integer((json_int_t)c->ended[v][i]));
                }
        add(o, "event", json_string("counters"));
        add(o, "requests", json_integer((json_int_t)c->requests));
        add(o, "ended", ended);
        print(o);
        return 0;
}

static int quit(Driver *d, const Words *w _unused_) {
        return sd_event_exit(d->event, 0);
}

static const struct {
        const char *name;
        int (*run)(Driver *d, const Words *w);
        unsigned n_args; /* that must be there */
} commands[] = {
        {"pod", pod_get, 1},
        {"pods", pods_list, 0},
        {"json-patch", json_patch, 1},
        {"merge-patch", merge_patch, 1},
        {"status-patch", status_patch, 1},
        {"resize", resize, 1},
        {"evict", evict, 3},
        {"delete", delete_pod, 3},
        {"replicaset", set_get, 1},
        {"deployment", deployment_get, 1},
        {"event", event_create, 1},
        {"event-patch", event_patch, 1},
        {"access", access_review, 3},
        {"watch", watch, 1},
        {"unwatch", unwatch, 0},
        {"counters", counters, 0},
        {"quit", quit, 0},
};

static int run_line(Driver *d, char *line) {
        char *save = NULL, *name, *rest = strchr(line, ' ');
        char copy[sizeof(d->line)];
        Words w = {.rest = (char *)""};

        snprintf(copy, sizeof(copy), "%s", line);
        if (rest && (rest = strchr(rest + 1, ' ')))
                w.rest = copy + (rest + 1 - line);
        name = strtok_r(line, " ", &save);
        for (size_t i = 0; i < ELEMENTSOF(w.arg); i++) {
                w.arg[i] = strtok_r(NULL, " ", &save);
                if (w.arg[i] && strcmp(w.arg[i], "-") == 0)
                        w.arg[i] = NULL;
        }
        for (size_t i = 0; name && i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].name, name) == 0) {
                        for (unsigned k = 0; k < commands[i].n_args; k++)
                                if (!w.arg[k] && k == 0)
                                        return -EINVAL;
                        return commands[i].run(d, &w);
                }
        return -ENOSYS;
}

static void feed(Driver *d) {
        char *end;

        while ((end = memchr(d->line, '\n', d->line_len))) {
                size_t n = (size_t)(end + 1 - d->line);
                char line[sizeof(d->line)];
                int r;

                memcpy(line, d->line, n);
                line[n - 1] = '\0';
                memmove(d->line, end + 1, d->line_len - n);
                d->line_len -= n;
                r = run_line(d, line);
                if (r < 0)
                        print(json_pack("{s:s, s:s}", "event", "refused", "why", strerror(-r)));
        }
}

static int on_stdin(sd_event_source *s _unused_, int fd, uint32_t revents _unused_, void *userdata) {
        Driver *d = userdata;
        ssize_t n = read(fd, d->line + d->line_len, sizeof(d->line) - d->line_len);

        if (n <= 0)
                return sd_event_exit(d->event, 0);
        d->line_len += (size_t)n;
        feed(d);
        return 0;
}

int main(void) {
        Driver d = {0};
        char why[300] = "";
        int r = kube_config_load(&d.config, why, sizeof(why));

        d.config.port = 9464;
        if (r < 0 || sd_event_default(&d.event) < 0 ||
            kube_client_new(d.event, &d.config, &d.client, why, sizeof(why)) < 0 ||
            sd_event_add_io(d.event, NULL, STDIN_FILENO, EPOLLIN, on_stdin, &d) < 0) {
                fprintf(stderr, "kube-driver: %s\n", why);
                return EXIT_FAILURE;
        }
        print(json_pack("{s:s}", "event", "begun"));
        r = sd_event_loop(d.event);
        kube_watch_free(d.watch);
        kube_client_free(d.client);
        sd_event_unref(d.event);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
