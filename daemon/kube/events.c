/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/events.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "kube/scalars.h"
#include "util/clock.h"
#include "util/random.h"

#define CONTROLLER  "plateau.dev/plateau"
#define SERIES_USEC (6 * USEC_PER_MINUTE) /* as client-go's: after that it is news again */
#define KINDS       8u                    /* series at a time; the oldest makes room */
#define BURST       10u
#define TOKEN_USEC  USEC_PER_MINUTE
#define WORD_MAX    128 /* reason, action, reportingInstance: pkg/apis/core/validation/events.go */
#define RETRIES     1u
#define DEADLINE    USEC_PER_MINUTE

typedef struct Series {
        KubeEvents *events;
        KubeRequest *request;
        char name[254]; /* of the Event; "" = this place is free */
        char reason[WORD_MAX + 1], action[WORD_MAX + 1];
        bool warning;
        uint64_t last_usec, last_real_usec;
        unsigned count, written;
} Series;

struct KubeEvents {
        KubeClient *client;
        KubeConfig config;
        sd_event_source *timer; /* repeats that wait for the limit */
        Series series[KINDS];
        double tokens;
        uint64_t tokens_usec;
        KubeEventsCount count;
};

static void write_repeats(KubeEvents *e);

static bool may_write(KubeEvents *e) {
        uint64_t now = now_boot_usec();

        e->tokens = min_of(e->tokens + (double)(now - e->tokens_usec) / (double)TOKEN_USEC, (double)BURST);
        e->tokens_usec = now;
        if (e->tokens < 1)
                return false;
        e->tokens -= 1;
        return true;
}

static void arm(KubeEvents *e) {
        (void)sd_event_source_set_time(e->timer, now_boot_usec() + TOKEN_USEC);
        (void)sd_event_source_set_enabled(e->timer, SD_EVENT_ONESHOT);
}

static int on_timer(_unused_ sd_event_source *source, _unused_ uint64_t usec, void *userdata) {
        write_repeats(userdata);
        return 0;
}

static void written(void *userdata, const KubeAnswer *a) {
        Series *s = userdata;

        s->request = NULL;
        if (a->error == KUBE_OK) {
                s->events->count.written++;
                write_repeats(s->events);
                return;
        }
        s->events->count.failed++;
        s->name[0] = '\0'; /* also when an Event's time to live is over: the next is a new one */
}

static int send(Series *s, const char *method, const char *path, const char *type, json_t *body) {
        KubeSpec spec = {.method = method,
                         .path = path,
                         .content_type = type,
                         .body = body,
                         .retries_max = RETRIES,
                         .deadline_usec = now_boot_usec() + DEADLINE};
        int r = body ? kube_request(s->events->client, &spec, written, s, &s->request) : -ENOMEM;

        json_decref(body);
        return r;
}

/* ---- a new one ---- */

/* Valid UTF-8 of at most @most bytes: cut between characters; of what is none, only ASCII stays. */
static json_t *text(const char *from, size_t most) {
        size_t n = strnlen(from, most + 1);
        char buf[KUBE_EVENT_NOTE_MAX + 1];
        json_t *s;

        if (n > most)
                for (n = most; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80; n--)
                        ;
        s = json_stringn(from, n);
        if (s)
                return s;
        for (size_t i = 0; i < n; i++)
                buf[i] = (unsigned char)from[i] < 0x80 ? from[i] : '?';
        return json_stringn(buf, n);
}

static json_t *regarding(const KubeConfig *c) {
        json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", "v1", "kind", "Pod", "namespace", c->namespace_,
                              "name", c->pod);

        if (o && c->uid[0])
                json_object_set_new(o, "uid", json_string(c->uid));
        return o;
}

static json_t *document(const KubeEvents *e, const Series *s, const char *note) {
        char at[KUBE_TIME_MAX];

        kube_time_format(at, s->last_real_usec, true);
        return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o}", "apiVersion",
                         "events.k8s.io/v1", "kind", "Event", "metadata", "name", s->name, "namespace",
                         e->config.namespace_, "eventTime", at, "reportingController", CONTROLLER, "reportingInstance",
                         text(e->config.pod, WORD_MAX), "reason", s->reason, "action", s->action, "type",
                         s->warning ? "Warning" : "Normal", "note", text(note, KUBE_EVENT_NOTE_MAX), "regarding",
                         regarding(&e->config));
}

static Series *place(KubeEvents *e) {
        Series *oldest = e->series;

        for (unsigned i = 0; i < KINDS; i++) {
                if (!e->series[i].name[0])
                        return e->series + i;
                if (e->series[i].last_usec < oldest->last_usec)
                        oldest = e->series + i;
        }
        kube_request_cancel(oldest->request);
        return oldest;
}

static int begin(KubeEvents *e, const KubeEvent *event, uint64_t now) {
        Series *s;
        char path[256];
        int r;

        if (!may_write(e)) {
                e->count.dropped++;
                return -EBUSY;
        }
        s = place(e);
        *s = (Series){.events = e,
                      .warning = event->warning,
                      .last_usec = now,
                      .last_real_usec = now_real_usec(),
                      .count = 1,
                      .written = 1};
        snprintf(s->reason, sizeof(s->reason), "%s", event->reason);
        snprintf(s->action, sizeof(s->action), "%s", event->action);
        snprintf(s->name, sizeof(s->name), "%.230s.%016" PRIx64, e->config.pod, random_u64());
        snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%s/events", e->config.namespace_);
        r = send(s, "POST", path, NULL, document(e, s, event->note ? event->note : ""));
        if (r < 0)
                s->name[0] = '\0';
        return r;
}

/* ---- the same again ---- */

static void write_repeat(Series *s) {
        char path[600], at[KUBE_TIME_MAX];
        json_t *patch;

        kube_time_format(at, s->last_real_usec, true);
        patch = json_pack("{s:{s:i, s:s}}", "series", "count", (int)s->count, "lastObservedTime", at);
        snprintf(path, sizeof(path), "/apis/events.k8s.io/v1/namespaces/%s/events/%s", s->events->config.namespace_,
                 s->name);
        if (send(s, "PATCH", path, "application/merge-patch+json", patch) >= 0)
                s->written = s->count;
}

static void write_repeats(KubeEvents *e) {
        for (unsigned i = 0; i < KINDS; i++) {
                Series *s = e->series + i;

                if (!s->name[0] || s->count == s->written || s->request)
                        continue;
                if (!may_write(e)) {
                        arm(e);
                        return;
                }
                write_repeat(s);
        }
}

static Series *find(KubeEvents *e, const KubeEvent *event, uint64_t now) {
        for (unsigned i = 0; i < KINDS; i++) {
                Series *s = e->series + i;

                if (s->name[0] && now - s->last_usec < SERIES_USEC && s->warning == event->warning &&
                    strcmp(s->reason, event->reason) == 0 && strcmp(s->action, event->action) == 0)
                        return s;
        }
        return NULL;
}

int kube_events_tell(KubeEvents *e, const KubeEvent *event) {
        uint64_t now = now_boot_usec();
        Series *s;

        if (!event->reason || !event->action || !event->reason[0] || !event->action[0] ||
            strlen(event->reason) > WORD_MAX || strlen(event->action) > WORD_MAX)
                return -EINVAL;
        s = find(e, event, now);
        if (!s)
                return begin(e, event, now);
        s->count += s->count < INT32_MAX;
        s->last_usec = now;
        s->last_real_usec = now_real_usec();
        e->count.in_series++;
        write_repeats(e);
        return 0;
}

/* ---- the rest ---- */

int kube_events_new(sd_event *event, KubeClient *client, const KubeConfig *config, KubeEvents **ret) {
        KubeEvents *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->client = client;
        e->config = *config;
        e->tokens = BURST;
        e->tokens_usec = now_boot_usec();
        r = sd_event_add_time(event, &e->timer, CLOCK_BOOTTIME, UINT64_MAX, USEC_PER_SEC, on_timer, e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->timer, SD_EVENT_OFF);
        if (r < 0) {
                kube_events_free(e);
                return r;
        }
        *ret = e;
        return 0;
}

KubeEvents *kube_events_free(KubeEvents *e) {
        if (!e)
                return NULL;
        for (unsigned i = 0; i < KINDS; i++)
                kube_request_cancel(e->series[i].request);
        sd_event_source_disable_unref(e->timer);
        free(e);
        return NULL;
}

KubeEventsCount kube_events_count(const KubeEvents *e) {
        return e->count;
}
