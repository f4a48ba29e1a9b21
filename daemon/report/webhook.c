/* SPDX-License-Identifier: Apache-2.0 */
#include "report/webhook.h"

#include "util/clock.h"
#include "util/random.h"

#define IN_FLIGHT_MAX 4u

struct Webhook {
        HttpClient *client;
        ReportOptions options;
        Queue queue;
        Sink sink;
        sd_event_source *timer;
        void (*flushed)(void *userdata);
        void *flushed_userdata;
};

static void pump(Webhook *w);

static QueueOptions queue_options(const ReportOptions *o) {
        return (QueueOptions){
                .max = max_of(o->webhook_queue_max, 1u),
                .in_flight_max = IN_FLIGHT_MAX,
                .expire_usec = o->webhook_retry_max_usec ? o->webhook_retry_max_usec : USEC_PER_DAY,
                .retry_min_usec = USEC_PER_SEC,
                .retry_max_usec = 5 * USEC_PER_MINUTE,
                .retry_after_max_usec = USEC_PER_HOUR,
        };
}

static void on_done(void *userdata, const HttpResponse *r) {
        Note *n = userdata;
        Webhook *w = n->owner;

        n->request = NULL;
        if (queue_end(&w->queue, n, r->error, r->status, r->retry_after_usec, now_boot_usec(), random_u64()) ==
            NOTE_DELIVERED)
                sink_succeeded(&w->sink, now_real_usec());
        else
                sink_failed(&w->sink, r);
        pump(w);
}

static int attempt(Webhook *w, Note *n) {
        char id[sizeof(n->head.id) + 16], timestamp[48];
        const char *const headers[] = {"Content-Type: application/json", id, timestamp, NULL};
        HttpRequest *request;
        int r;

        snprintf(id, sizeof(id), "webhook-id: %s", n->head.id);
        snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %llu",
                 (unsigned long long)(now_real_usec() / USEC_PER_SEC));
        n->owner = w;
        r = http_request(w->client,
                         &(HttpSpec){.method = "POST",
                                     .url = w->options.webhook_url,
                                     .headers = headers,
                                     .body = n->body,
                                     .body_len = n->body_len,
                                     .timeout_usec = w->options.webhook_timeout_usec,
                                     .bearer_file = w->options.webhook_bearer_file},
                         on_done, n, &request);
        if (r < 0)
                return r;
        n->request = request;
        return 0;
}

static void arm(Webhook *w, uint64_t when_usec) {
        if (when_usec == USEC_INFINITY || sd_event_source_set_time(w->timer, when_usec) < 0)
                (void)sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        else
                (void)sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/* Starts every attempt that is due, then sleeps until the next one is. */
static void pump(Webhook *w) {
        uint64_t when, now = now_boot_usec();
        Note *n;

        while ((n = queue_next(&w->queue, now, &when))) {
                int r;

                queue_begin(&w->queue, n);
                w->sink.counters.attempts_total++;
                r = attempt(w, n);
                if (r < 0) { /* out of memory: like any other failure, later again */
                        HttpResponse response = {.error = r, .body = "", .error_text = "out of memory"};

                        (void)queue_end(&w->queue, n, r, 0, 0, now, random_u64());
                        sink_failed(&w->sink, &response);
                }
        }
        if (w->flushed && w->queue.n_in_flight == 0)
                when = now; /* told from the timer, so that the owner may free us there */
        arm(w, when);
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Webhook *w = userdata;
        void (*flushed)(void *) = w->flushed;

        if (flushed && w->queue.n_in_flight == 0) {
                w->flushed = NULL;
                flushed(w->flushed_userdata);
                return 0;
        }
        pump(w);
        return 0;
}

int webhook_new(sd_event *event, HttpClient *client, const ReportOptions *o, ReportSinkFn changed, void *userdata,
                Webhook **ret) {
        Webhook *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->client = client;
        w->options = *o;
        w->sink = (Sink){.counters.name = "webhook", .changed = changed, .userdata = userdata};
        queue_init(&w->queue, &(QueueOptions){0});
        webhook_set_options(w, o);
        r = sd_event_add_time(event, &w->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, w);
        if (r < 0) {
                free(w);
                return r;
        }
        (void)sd_event_source_set_description(w->timer, "webhook-timer");
        arm(w, USEC_INFINITY);
        *ret = w;
        return 0;
}

Webhook *webhook_free(Webhook *w) {
        if (!w)
                return NULL;
        for (Note *n = w->queue.first; n; n = n->next)
                n->request = http_request_cancel(n->request);
        queue_done(&w->queue);
        sd_event_source_disable_unref(w->timer);
        free(w);
        return NULL;
}

void webhook_set_options(Webhook *w, const ReportOptions *o) {
        QueueOptions q = queue_options(o);

        w->options = *o;
        queue_set_options(&w->queue, &q);
        queue_enable(&w->queue);
        if (w->timer)
                pump(w);
}

void webhook_send(Webhook *w, const NoteHead *head, const char *body, size_t len) {
        (void)!queue_push(&w->queue, head, body, len, now_boot_usec()); /* counted there */
        pump(w);
}

void webhook_counters(const Webhook *w, SinkCounters *ret) {
        *ret = w->sink.counters;
        ret->dropped_total = w->queue.dropped_total + w->queue.folded_total;
        ret->queued = w->queue.n;
}

void webhook_flush(Webhook *w, void (*done)(void *userdata), void *userdata) {
        w->flushed = done;
        w->flushed_userdata = userdata;
        queue_hurry(&w->queue, now_boot_usec());
        pump(w);
}
