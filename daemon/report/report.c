/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <string.h>

#include "http/server.h"
#include "report/accept.h"
#include "report/alert.h"
#include "report/pushgateway.h"
#include "report/webhook.h"
#include "util/clock.h"
#include "util/random.h"
#include "util/version.h"

struct Report {
        sd_event *event;
        ReportOptions options;
        ReportHost host;
        HttpClient *client; /* made when the first sink is configured, then kept */
        HttpServer *server;
        Pushgateway *pushgateway;
        Webhook *webhook;
        AlertBook book;
        Buf note; /* reused */

        sd_event_source *flush_timer;
        ReportFlushedFn flushed;
        void *flushed_userdata;
        unsigned n_flushing;
};

/* ---- what is served ---- */

static void get_view(Report *r, View *v) {
        *v = (View){0};
        r->host.view(r->host.userdata, v);
        if (v->n_sinks == 0)
                report_sinks(r, v->sinks, VIEW_SINKS_MAX, &v->n_sinks);
}

static int serve_metrics(Report *r, const char *accept, Buf *body, const char **ret_type) {
        bool openmetrics = accept_openmetrics(accept);
        View v;

        get_view(r, &v);
        metrics_encode(body, &v, &r->options, openmetrics);
        *ret_type = openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                : "text/plain; version=0.0.4; charset=utf-8";
        return 200;
}

/* The daemon's own word alone: a collector that is down is no reason to restart a daemon that samples well. */
static int serve_health(Report *r, const char *accept _unused_, Buf *body, const char **ret_type _unused_) {
        char text[256] = "";
        int status = r->host.health ? r->host.health(r->host.userdata, text, sizeof(text)) : 200;

        buf_adds(body, text[0] ? text : status == 200 ? "ok" : "not healthy");
        buf_addc(body, '\n');
        return status;
}

static int serve_probe(Report *r, ReportHealthFn fn, Buf *body) {
        char text[256] = "";
        int status = fn ? fn(r->host.userdata, text, sizeof(text)) : 200;

        buf_adds(body, text[0] ? text : "no rotation");
        buf_addc(body, '\n');
        return status;
}

static int serve_ready(Report *r, const char *accept _unused_, Buf *body, const char **ret_type _unused_) {
        return serve_probe(r, r->host.ready, body);
}

static int serve_alive(Report *r, const char *accept _unused_, Buf *body, const char **ret_type _unused_) {
        return serve_probe(r, r->host.alive, body);
}

static int serve_status(Report *r, const char *accept _unused_, Buf *body, const char **ret_type) {
        View v;

        get_view(r, &v);
        status_encode(body, &v, &r->options);
        buf_addc(body, '\n');
        *ret_type = "application/json";
        return 200;
}

static int serve_index(Report *r, const char *accept, Buf *body, const char **ret_type);

static const struct {
        const char *path, *help;
        int (*serve)(Report *r, const char *accept, Buf *body, const char **ret_type);
} routes[] = {
        {"/", NULL, serve_index},
        {"/metrics", "metrics for Prometheus: text 0.0.4, or OpenMetrics 1.0.0 by Accept", serve_metrics},
        {"/api/v1/status", "everything known, as JSON", serve_status},
        {"/healthz", "200 while sampling works, else 503; no sink is asked", serve_health},
        {"/ready", "503 while a rotation takes the pod out of its Services: readinessProbe of this container",
         serve_ready},
        {"/alive", "503 while the main container is to be restarted: livenessProbe of that one", serve_alive},
        {"/livez", "as /healthz", serve_health},
        {"/readyz", "as /healthz", serve_health},
};

static int serve_index(Report *r _unused_, const char *accept _unused_, Buf *body, const char **ret_type _unused_) {
        buf_addf(body, "plateau %s: forecasts a memory limit and acts before the kernel does\n\n", plateau_version());
        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                if (routes[i].help)
                        buf_addf(body, "%-16s %s\n", routes[i].path, routes[i].help);
        return 200;
}

static int on_request(void *userdata, const char *path, const char *accept, Buf *body, const char **ret_content_type) {
        for (size_t i = 0; i < ELEMENTSOF(routes); i++)
                if (strcmp(path, routes[i].path) == 0)
                        return routes[i].serve(userdata, accept, body, ret_content_type);
        buf_adds(body, "no such page; see /\n");
        return 404;
}

/* ---- sinks ---- */

static void encode_page(void *userdata, Buf *b) {
        Report *r = userdata;
        View v;

        get_view(r, &v);
        metrics_encode(b, &v, &r->options, false);
}

static void on_sink_changed(void *userdata, const SinkCounters *s) {
        Report *r = userdata;

        if (r->host.sink_changed)
                r->host.sink_changed(r->host.userdata, s);
}

void report_sinks(const Report *r, SinkCounters *ret, unsigned max, unsigned *ret_n) {
        unsigned n = 0;

        if (r->pushgateway && n < max)
                pushgateway_counters(r->pushgateway, &ret[n++]);
        if (r->webhook && n < max)
                webhook_counters(r->webhook, &ret[n++]);
        *ret_n = n;
}

void report_alert(Report *r, const TargetView *t, const Decision *d) {
        NoteHead head;

        if (!r->webhook)
                return;
        buf_reset(&r->note);
        if (alert_write_decision(&r->book, t, d, &r->options, now_real_usec(), &r->note, &head) && !r->note.failed)
                webhook_send(r->webhook, &head, buf_str(&r->note), r->note.len);
}

void report_action(Report *r, const TargetView *t, const Outcome *o, const Decision *d) {
        NoteHead head;

        if (!r->webhook)
                return;
        buf_reset(&r->note);
        alert_write_outcome(&r->book, t, o, d, &r->options, now_real_usec(), &r->note, &head);
        if (!r->note.failed)
                webhook_send(r->webhook, &head, buf_str(&r->note), r->note.len);
}

/* ---- options ---- */

/* The new listener, before the old one goes where both can be: an address that overlaps the old one (":80" and
 * "127.0.0.1:80") is in use by ourselves, so then the old one has to go first and comes back when the new one fails. */
static int swap_server(Report *r, const ReportOptions *o, char *why, size_t why_size) {
        HttpServer *fresh = NULL;
        int e = 0;

        if (strcmp(r->options.http_listen, o->http_listen) == 0 && (r->server || !o->http_listen[0]))
                return 0;
        if (o->http_listen[0])
                e = http_server_new(r->event, o->http_listen, on_request, r, &fresh, why, why_size);
        if (e == -EADDRINUSE && r->server) {
                r->server = http_server_free(r->server);
                e = http_server_new(r->event, o->http_listen, on_request, r, &fresh, why, why_size);
                if (e < 0) {
                        char ignored[256];

                        (void)!http_server_new(r->event, r->options.http_listen, on_request, r, &r->server, ignored,
                                               sizeof(ignored));
                }
        }
        if (e < 0)
                return e;
        http_server_free(r->server);
        r->server = fresh;
        return 0;
}

/* Sinks that are new in @o. */
static int make_sinks(Report *r, const ReportOptions *o, Pushgateway **ret_pushgateway, Webhook **ret_webhook,
                      char *why, size_t why_size) {
        int e;

        if (!o->pushgateway_url[0] && !o->webhook_url[0])
                return 0;
        if (!r->client) {
                e = http_client_new(r->event, &r->client, why, why_size);
                if (e < 0)
                        return e;
        }
        if (o->pushgateway_url[0] && !r->pushgateway) {
                e = pushgateway_new(r->event, r->client, o, encode_page, on_sink_changed, r, ret_pushgateway);
                if (e < 0) {
                        snprintf(why, why_size, "cannot set the push to a Pushgateway up: %s", strerror(-e));
                        return e;
                }
        }
        if (o->webhook_url[0] && !r->webhook) {
                e = webhook_new(r->event, r->client, o, on_sink_changed, r, ret_webhook);
                if (e < 0) {
                        *ret_pushgateway = pushgateway_free(*ret_pushgateway);
                        snprintf(why, why_size, "cannot set the webhook up: %s", strerror(-e));
                        return e;
                }
        }
        return 0;
}

/* Those that were there before. Never fails, so it can come last. */
static void keep_or_drop_sinks(Report *r, const ReportOptions *o) {
        if (r->pushgateway && o->pushgateway_url[0])
                pushgateway_set_options(r->pushgateway, o);
        else
                r->pushgateway = pushgateway_abandon(r->pushgateway);
        if (r->webhook && o->webhook_url[0])
                webhook_set_options(r->webhook, o);
        else
                r->webhook = webhook_free(r->webhook);
}

int report_set_options(Report *r, const ReportOptions *options, char *why, size_t why_size) {
        Pushgateway *pushgateway = NULL;
        Webhook *webhook = NULL;
        int e = make_sinks(r, options, &pushgateway, &webhook, why, why_size);

        if (e < 0)
                return e;
        e = swap_server(r, options, why, why_size);
        if (e < 0) {
                pushgateway_free(pushgateway);
                webhook_free(webhook);
                return e;
        }
        keep_or_drop_sinks(r, options);
        if (pushgateway)
                r->pushgateway = pushgateway;
        if (webhook)
                r->webhook = webhook;
        r->options = *options;
        return 0;
}

void report_set_place(Report *r, const ReportPlace *place) {
        r->options.place = *place;
}

/* ---- life ---- */

int report_new(sd_event *event, const ReportOptions *options, const ReportHost *host, Report **ret, char *why,
               size_t why_size) {
        Report *r = calloc(1, sizeof(*r));
        int e;

        if (!r) {
                snprintf(why, why_size, "out of memory");
                return -ENOMEM;
        }
        r->event = sd_event_ref(event);
        r->host = *host;
        r->book.instance = random_u64();
        r->note.max = 64 * 1024;
        e = report_set_options(r, options, why, why_size);
        if (e < 0) {
                report_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

Report *report_free(Report *r) {
        if (!r)
                return NULL;
        sd_event_source_disable_unref(r->flush_timer);
        http_server_free(r->server);
        pushgateway_free(r->pushgateway);
        webhook_free(r->webhook);
        http_client_free(r->client);
        buf_done(&r->note);
        sd_event_unref(r->event);
        free(r);
        return NULL;
}

static void flush_finish(Report *r) {
        ReportFlushedFn done = r->flushed;

        r->flush_timer = sd_event_source_disable_unref(r->flush_timer);
        r->flushed = NULL;
        if (done)
                done(r->flushed_userdata);
}

static void on_sink_flushed(void *userdata) {
        Report *r = userdata;

        if (r->n_flushing > 0 && --r->n_flushing == 0)
                flush_finish(r);
}

static int on_flush_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        flush_finish(userdata);
        return 0;
}

void report_flush_begin(Report *r, uint64_t deadline_usec, ReportFlushedFn done, void *userdata) {
        r->flushed = done;
        r->flushed_userdata = userdata;
        r->n_flushing = (r->pushgateway != NULL) + (r->webhook != NULL);
        sd_event_source_disable_unref(r->flush_timer);
        r->flush_timer = NULL;
        if (sd_event_add_time_relative(r->event, &r->flush_timer, CLOCK_MONOTONIC, r->n_flushing ? deadline_usec : 0,
                                       USEC_PER_MSEC, on_flush_timer, r) < 0) {
                flush_finish(r); /* without a deadline it could last for ever */
                return;
        }
        if (r->pushgateway)
                pushgateway_stop(r->pushgateway, on_sink_flushed, r);
        if (r->webhook)
                webhook_flush(r->webhook, on_sink_flushed, r);
}
