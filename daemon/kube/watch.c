/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/watch.h"

#include <string.h>

#include "kube/fields.h"
#include "kube/lines.h"
#include "kube/path.h"
#include "util/clock.h"
#include "util/random.h"

/* The server ends a watch after so many seconds, and an hour would do: but a request has one TLS connection and one
 * token, and both should be young. */
#define WATCH_S          290u
#define WATCH_SPREAD_S   20u
#define LIST_USEC        (10 * USEC_PER_SEC)
#define PAGE_MAX         ((size_t)4 << 20)
#define PAGE_ITEMS       50u
#define PAGES_MAX        500u
#define PAUSE_FIRST_USEC (200 * USEC_PER_MSEC)
#define PAUSE_MAX_USEC   (30 * USEC_PER_SEC)
#define BASE_SIZE        1200
#define PATH_SIZE        1900

typedef enum Stage {
        STAGE_PAUSE,
        STAGE_LIST,
        STAGE_WATCH,
        STAGE_OVER,
} Stage;

struct KubeWatch {
        KubeClient *client;
        KubeWatchFn fn;
        void *userdata;
        KubeRequest *request;
        sd_event_source *timer, *defer; /* next try; lines are there */
        Stage stage;
        KubeLines lines;
        bool broken; /* a line is none: nothing behind it is believed */
        bool relist; /* the next try is a list */
        bool told;   /* LOST, since it was last synced */
        unsigned n_failures, n_pages;
        unsigned depth; /* of callbacks: freed at their end */
        bool closed;
        char version[32];
        char base[BASE_SIZE]; /* path and selectors */
};

/* ---- callbacks, in which the watch may be freed ---- */

static void watch_destroy(KubeWatch *w) {
        kube_request_cancel(w->request);
        sd_event_source_disable_unref(w->timer);
        sd_event_source_disable_unref(w->defer);
        kube_lines_done(&w->lines);
        free(w);
}

static void enter(KubeWatch *w) {
        w->depth++;
}

static void leave(KubeWatch *w) {
        if (--w->depth == 0 && w->closed)
                watch_destroy(w);
}

/* Return: whether the watch is still wanted. */
static bool tell(KubeWatch *w, KubeWatchEvent event, const json_t *object, const KubeAnswer *why) {
        if (!w->closed)
                w->fn(w->userdata, event, object, why);
        return !w->closed;
}

KubeWatch *kube_watch_free(KubeWatch *w) {
        if (!w)
                return NULL;
        w->closed = true;
        w->request = kube_request_cancel(w->request);
        (void)sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(w->defer, SD_EVENT_OFF);
        if (w->depth == 0)
                watch_destroy(w);
        return NULL;
}

bool kube_watch_is_synced(const KubeWatch *w) {
        return w->stage == STAGE_WATCH && !w->told;
}

bool kube_watch_is_over(const KubeWatch *w) {
        return w->stage == STAGE_OVER;
}

/* ---- the next try ---- */

static void pause_for(KubeWatch *w, uint64_t usec) {
        w->stage = STAGE_PAUSE;
        if (sd_event_source_set_time_relative(w->timer, usec) < 0 ||
            sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT) < 0)
                w->stage = STAGE_OVER;
}

/* Full jitter, doubling: a fleet's watches all break when the API server restarts. */
static void try_later(KubeWatch *w, uint64_t at_least_usec) {
        unsigned doublings = min_of(w->n_failures, 8u);
        uint64_t ceiling = min_of((uint64_t)(PAUSE_FIRST_USEC << doublings), (uint64_t)PAUSE_MAX_USEC);

        w->n_failures++;
        pause_for(w, min_of(at_least_usec, (uint64_t)PAUSE_MAX_USEC) + PAUSE_FIRST_USEC + random_below(ceiling));
}

/* Until it worked once: an API server that has just started refuses what it allows a moment later. */
static bool is_final(const KubeWatch *w, KubeError e) {
        if (w->version[0])
                return false;
        return e == KUBE_E_FORBIDDEN || e == KUBE_E_UNAUTHORIZED || e == KUBE_E_NOT_FOUND || e == KUBE_E_INVALID;
}

static void lost(KubeWatch *w, const KubeAnswer *a) {
        bool first = !w->told;

        w->told = true;
        if (is_final(w, a->error))
                w->stage = STAGE_OVER;
        else
                try_later(w, a->retry_after_usec);
        if (first || w->stage == STAGE_OVER)
                (void)tell(w, KUBE_WATCH_LOST, NULL, a);
}

static void lost_because(KubeWatch *w, KubeError e, const char *why) {
        KubeAnswer a = {.error = e};

        snprintf(a.why, sizeof(a.why), "%s", why);
        lost(w, &a);
}

static int send_list(KubeWatch *w, const char *token);
static int send_watch(KubeWatch *w);

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        KubeWatch *w = userdata;
        int r;

        enter(w);
        w->broken = false;
        kube_lines_done(&w->lines);
        if (w->relist || !w->version[0]) {
                w->n_pages = 0;
                r = send_list(w, "");
        } else
                r = send_watch(w);
        if (r < 0 && !w->closed)
                lost_because(w, KUBE_E_NET, "out of memory");
        leave(w);
        return 0;
}

/* ---- the list ---- */

static void on_list(void *userdata, const KubeAnswer *a) {
        KubeWatch *w = userdata;
        const json_t *items = kube_field(a->body, "items");
        const char *token = kube_field_str(a->body, "metadata continue");
        size_t n = json_array_size(items);

        w->request = NULL;
        enter(w);
        if (a->error != KUBE_OK) {
                w->relist = true; /* also 410: the rest of this list is forgotten */
                lost(w, a);
        } else if (!json_is_array(items) ||
                   !kube_field_text(a->body, "metadata resourceVersion", w->version, sizeof(w->version)))
                lost_because(w, KUBE_E_ANSWER, "the API server's answer is no list with a resourceVersion");
        else {
                if (w->n_pages == 0) /* only now: what was known is better than nothing */
                        (void)tell(w, KUBE_WATCH_RESET, NULL, NULL);
                for (size_t i = 0; i < n && !w->closed; i++)
                        (void)tell(w, KUBE_WATCH_ADDED, json_array_get(items, i), NULL);
                if (w->closed)
                        ;
                else if (*token && (++w->n_pages >= PAGES_MAX || send_list(w, token) < 0))
                        lost_because(w, KUBE_E_ANSWER, "the API server's list does not end");
                else if (!*token) {
                        w->relist = w->told = false;
                        if (send_watch(w) < 0)
                                lost_because(w, KUBE_E_NET, "out of memory");
                        else
                                (void)tell(w, KUBE_WATCH_SYNCED, NULL, NULL);
                }
        }
        leave(w);
}

static int send_list(KubeWatch *w, const char *token) {
        char path[PATH_SIZE];
        KubeSpec spec = {.method = "GET", .path = path, .timeout_usec = LIST_USEC, .body_max = PAGE_MAX};

        snprintf(path, sizeof(path), "%slimit=%u", w->base, PAGE_ITEMS);
        if (*token) {
                strcat(path, "&continue=");
                if (!kube_path_append(path, sizeof(path), token))
                        return -EINVAL;
        }
        w->stage = STAGE_LIST;
        return kube_request(w->client, &spec, on_list, w, &w->request);
}

/* ---- the watch ---- */

/* The error that a watch is told on its own way. */
static void on_error_line(KubeWatch *w, const KubeLine *line) {
        w->broken = true; /* nothing comes behind it */
        w->relist = true;
        if (line->code != 410)
                w->n_failures++;
}

static void take_line(KubeWatch *w, const char *text, size_t len) {
        static const KubeWatchEvent events[_KUBE_LINE_TYPE_MAX] = {
                [KUBE_LINE_ADDED] = KUBE_WATCH_ADDED,
                [KUBE_LINE_MODIFIED] = KUBE_WATCH_CHANGED,
                [KUBE_LINE_DELETED] = KUBE_WATCH_DELETED,
        };
        KubeLine line;

        if (kube_line_parse(text, len, &line) < 0) {
                w->broken = w->relist = true;
                return;
        }
        if (line.type == KUBE_LINE_ERROR)
                on_error_line(w, &line);
        else {
                w->n_failures = 0;
                snprintf(w->version, sizeof(w->version), "%s", line.version);
                if (line.type != KUBE_LINE_BOOKMARK)
                        (void)tell(w, events[line.type], line.object, NULL);
        }
        json_decref(line.object);
}

/* Return: false when the watch was freed by its owner or there is nothing to believe any more. */
static bool take_lines(KubeWatch *w) {
        const char *text;
        size_t len;

        while (!w->closed && !w->broken && kube_lines_next(&w->lines, &text, &len))
                if (len > 0)
                        take_line(w, text, len);
        return !w->closed && !w->broken;
}

static void start_over(KubeWatch *w) {
        w->request = kube_request_cancel(w->request);
        w->told = w->relist = true; /* not synced until the next list */
        try_later(w, 0);
}

static int on_defer(sd_event_source *s _unused_, void *userdata) {
        KubeWatch *w = userdata;

        enter(w);
        if (!take_lines(w) && !w->closed)
                start_over(w);
        leave(w);
        return 0;
}

/* Inside libcurl: bytes are kept, and looked at when it is out of the way. */
static bool on_stream(void *userdata, const char *data, size_t len) {
        KubeWatch *w = userdata;

        if (kube_lines_feed(&w->lines, data, len) < 0) {
                w->relist = true;
                return false;
        }
        return sd_event_source_set_enabled(w->defer, SD_EVENT_ONESHOT) >= 0;
}

static void on_watch_end(void *userdata, const KubeAnswer *a) {
        KubeWatch *w = userdata;

        w->request = NULL;
        (void)sd_event_source_set_enabled(w->defer, SD_EVENT_OFF);
        enter(w);
        if (take_lines(w)) { /* what came with the end; half a line is dropped */
                if (a->error == KUBE_OK)
                        pause_for(w, random_below(PAUSE_FIRST_USEC)); /* its time was over: from here on */
                else {
                        w->relist = true; /* what was missed is known to be told only by a list */
                        lost(w, a);
                }
        } else if (!w->closed)
                start_over(w);
        leave(w);
}

static int send_watch(KubeWatch *w) {
        char path[PATH_SIZE];
        unsigned seconds = WATCH_S + (unsigned)random_below(WATCH_SPREAD_S);
        KubeSpec spec = {
                .method = "GET", .path = path, .timeout_usec = (seconds + 15) * USEC_PER_SEC, .stream = on_stream};

        snprintf(path, sizeof(path), "%swatch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=", w->base,
                 seconds);
        if (!kube_path_append(path, sizeof(path), w->version))
                return -EINVAL;
        w->stage = STAGE_WATCH;
        return kube_request(w->client, &spec, on_watch_end, w, &w->request);
}

/* ---- life ---- */

static int base_make(KubeWatch *w, const KubeWatchSpec *spec) {
        static const char *const paths[_KUBE_WATCH_KIND_MAX][2] = {
                [KUBE_WATCH_PODS] = {"/api/v1", "pods"},
                [KUBE_WATCH_REPLICASETS] = {"/apis/apps/v1", "replicasets"},
                [KUBE_WATCH_ENDPOINTSLICES] = {"/apis/discovery.k8s.io/v1", "endpointslices"},
        };

        if ((unsigned)spec->kind >= _KUBE_WATCH_KIND_MAX || (spec->name && !kube_is_name(spec->name)))
                return -EINVAL;
        snprintf(w->base, sizeof(w->base), "%s/namespaces/%s/%s?", paths[spec->kind][0],
                 kube_client_config(w->client)->namespace_, paths[spec->kind][1]);
        if (spec->name)
                snprintf(w->base + strlen(w->base), sizeof(w->base) - strlen(w->base),
                         "fieldSelector=metadata.name%%3D%s&", spec->name);
        if (!spec->label_selector)
                return 0;
        strcat(w->base, "labelSelector=");
        if (!kube_path_append(w->base, sizeof(w->base) - 1, spec->label_selector))
                return -EINVAL;
        strcat(w->base, "&");
        return 0;
}

int kube_watch_new(sd_event *event, KubeClient *c, const KubeWatchSpec *spec, KubeWatchFn fn, void *userdata,
                   KubeWatch **ret) {
        KubeWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (KubeWatch){.client = c, .fn = fn, .userdata = userdata};
        r = base_make(w, spec);
        if (r == 0)
                r = sd_event_add_time_relative(event, &w->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, w);
        if (r >= 0)
                r = sd_event_add_defer(event, &w->defer, on_defer, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->defer, SD_EVENT_OFF);
        if (r < 0) {
                watch_destroy(w);
                return r;
        }
        (void)sd_event_source_set_description(w->timer, "kube-watch-timer");
        (void)sd_event_source_set_description(w->defer, "kube-watch-lines");
        *ret = w;
        return 0;
}
