/* SPDX-License-Identifier: Apache-2.0 */
#include "report/pushgateway.h"

#include <string.h>

#include "util/clock.h"
#include "util/random.h"

#define BACKOFF_MAX_USEC     (5 * USEC_PER_MINUTE)
#define RETRY_AFTER_MAX_USEC USEC_PER_HOUR
#define PAGE_MAX             ((size_t)4 << 20)

typedef enum PushState {
        PUSH_WAIT, /* for the next interval */
        PUSH_IN_FLIGHT,
        PUSH_LAST_IN_FLIGHT, /* the DELETE or the last PUT */
        PUSH_STOPPED,
} PushState;

struct Pushgateway {
        HttpClient *client;
        ReportOptions options;
        Buf url;
        Buf page; /* reused */
        Sink sink;
        PushEncodeFn encode;
        void *userdata;
        sd_event_source *timer;
        HttpRequest *request;
        PushState state;
        unsigned failures; /* in a row */
        void (*stopped)(void *userdata);
        void *stopped_userdata;
};

/* ---- the group's URL ---- */

static void add_base64url(Buf *b, const char *s) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        size_t len = strlen(s);

        if (len == 0)
                buf_addc(b, '='); /* an empty path segment would not be one; the Pushgateway reads a lone pad as "" */
        for (size_t i = 0; i < len; i += 3) {
                unsigned n = (unsigned)min_of(len - i, (size_t)3), bits = 0;

                for (unsigned k = 0; k < 3; k++)
                        bits = bits << 8 | (k < n ? (unsigned char)s[i + k] : 0);
                for (unsigned k = 0; k <= n; k++)
                        buf_addc(b, digits[bits >> (18 - 6 * k) & 63]);
        }
}

static void add_segment(Buf *b, const char *name, const char *value) {
        static const char hex[] = "0123456789ABCDEF";

        buf_addc(b, '/');
        buf_adds(b, name);
        if (!value[0] || strchr(value, '/')) {
                buf_adds(b, "@base64/");
                add_base64url(b, value);
                return;
        }
        buf_addc(b, '/');
        for (const unsigned char *p = (const unsigned char *)value; *p; p++)
                if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
                    strchr("-_~", *p))
                        buf_addc(b, (char)*p);
                else { /* '.' too: a value of ".." would be a path step */
                        buf_addc(b, '%');
                        buf_addc(b, hex[*p >> 4]);
                        buf_addc(b, hex[*p & 15]);
                }
}

void pushgateway_group_url(Buf *b, const char *base, const char *job, const char *instance) {
        size_t len = strlen(base);

        while (len > 0 && base[len - 1] == '/')
                len--;
        buf_add(b, base, len);
        buf_adds(b, "/metrics");
        add_segment(b, "job", job);
        add_segment(b, "instance", instance);
}

/* ---- pushing ---- */

static void arm(Pushgateway *p, uint64_t in_usec) {
        if (sd_event_source_set_time_relative(p->timer, in_usec) >= 0)
                (void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static uint64_t interval_usec(const Pushgateway *p) {
        return p->options.pushgateway_interval_usec ? p->options.pushgateway_interval_usec : 15 * USEC_PER_SEC;
}

/* The interval doubled for each failure in a row, up to five minutes, and drawn from the upper half of that. */
static uint64_t backoff_usec(const Pushgateway *p) {
        uint64_t bound = interval_usec(p), top = max_of(bound, (uint64_t)BACKOFF_MAX_USEC);

        for (unsigned i = 0; i < p->failures && bound < top; i++)
                bound = min_of(2 * bound, top);
        return bound / 2 + random_below(bound / 2 + 1);
}

static void finish(Pushgateway *p) {
        void (*stopped)(void *) = p->stopped;

        p->state = PUSH_STOPPED;
        p->stopped = NULL;
        (void)sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (stopped)
                stopped(p->stopped_userdata);
}

static void send_last(Pushgateway *p);

static void note_result(Pushgateway *p, const HttpResponse *r) {
        if (r->error == 0 && r->status >= 200 && r->status <= 299) {
                p->failures = 0;
                sink_succeeded(&p->sink, now_real_usec());
                return;
        }
        p->failures++;
        sink_failed(&p->sink, r);
}

static void on_done(void *userdata, const HttpResponse *r) {
        Pushgateway *p = userdata;
        uint64_t wait, asked = min_of(r->retry_after_usec, (uint64_t)RETRY_AFTER_MAX_USEC);

        p->request = NULL;
        note_result(p, r);
        if (p->state == PUSH_LAST_IN_FLIGHT) {
                finish(p);
                return;
        }
        p->state = PUSH_WAIT;
        if (p->stopped) {
                send_last(p);
                return;
        }
        wait = p->failures ? backoff_usec(p) : interval_usec(p);
        if (p->failures)
                wait = max_of(wait, asked);
        arm(p, wait);
}

static int request(Pushgateway *p, const char *method, const Buf *body) {
        static const char *const headers[] = {"Content-Type: text/plain; version=0.0.4; charset=utf-8", NULL};

        p->sink.counters.attempts_total++;
        return http_request(p->client,
                            &(HttpSpec){.method = method,
                                        .url = buf_str(&p->url),
                                        .headers = body ? headers : NULL,
                                        .body = body ? buf_str(body) : NULL,
                                        .body_len = body ? body->len : 0,
                                        .timeout_usec = p->options.pushgateway_timeout_usec,
                                        .bearer_file = p->options.pushgateway_bearer_file},
                            on_done, p, &p->request);
}

static int push(Pushgateway *p) {
        buf_reset(&p->page);
        p->encode(p->userdata, &p->page);
        return p->page.failed ? -ENOMEM : request(p, "PUT", &p->page);
}

static void push_failed(Pushgateway *p) {
        HttpResponse r = {
                .error = -ENOMEM, .body = "", .error_text = "out of memory, or the page is larger than 4 MiB"};

        note_result(p, &r);
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Pushgateway *p = userdata;

        if (p->stopped) { /* asked to stop while idle */
                send_last(p);
                return 0;
        }
        if (p->state != PUSH_WAIT)
                return 0;
        if (push(p) < 0) {
                push_failed(p);
                arm(p, backoff_usec(p));
                return 0;
        }
        p->state = PUSH_IN_FLIGHT;
        return 0;
}

static void send_last(Pushgateway *p) {
        int r = p->options.pushgateway_delete_on_exit ? request(p, "DELETE", NULL) : push(p);

        if (r < 0) {
                push_failed(p);
                finish(p);
                return;
        }
        p->state = PUSH_LAST_IN_FLIGHT;
}

/* ---- life ---- */

static void on_forgotten(void *userdata _unused_, const HttpResponse *r _unused_) {
}

/* A group that will not be pushed again would be scraped for ever: deletes it, if it can be done, without waiting for
 * the answer. */
static void abandon_group(Pushgateway *p) {
        if (p->options.pushgateway_delete_on_exit && p->sink.counters.delivered_total > 0 && p->state != PUSH_STOPPED)
                (void)!http_request(p->client,
                                    &(HttpSpec){.method = "DELETE",
                                                .url = buf_str(&p->url),
                                                .timeout_usec = p->options.pushgateway_timeout_usec,
                                                .bearer_file = p->options.pushgateway_bearer_file},
                                    on_forgotten, NULL, NULL);
}

Pushgateway *pushgateway_abandon(Pushgateway *p) {
        if (p)
                abandon_group(p);
        return pushgateway_free(p);
}

void pushgateway_set_options(Pushgateway *p, const ReportOptions *o) {
        bool same = strcmp(p->options.pushgateway_url, o->pushgateway_url) == 0 &&
                    strcmp(p->options.pushgateway_job, o->pushgateway_job) == 0 &&
                    strcmp(p->options.pushgateway_instance, o->pushgateway_instance) == 0;

        if (!same)
                abandon_group(p);
        buf_reset(&p->url);
        pushgateway_group_url(&p->url, o->pushgateway_url, o->pushgateway_job, o->pushgateway_instance);
        p->options = *o;
        p->failures = 0;
        if (p->state == PUSH_WAIT && !p->stopped)
                arm(p, random_below(min_of(interval_usec(p), (uint64_t)USEC_PER_SEC)));
}

/* Memory for the longest possible URL (every byte of the labels escaped), so that a reload cannot run out of it. */
static int reserve_url(Buf *url) {
        char longest[REPORT_URL_MAX + 2 * (3 * REPORT_LABEL_MAX + 32)];

        memset(longest, 'x', sizeof(longest));
        buf_add(url, longest, sizeof(longest));
        return url->failed ? -ENOMEM : 0;
}

int pushgateway_new(sd_event *event, HttpClient *client, const ReportOptions *o, PushEncodeFn encode,
                    ReportSinkFn changed, void *userdata, Pushgateway **ret) {
        Pushgateway *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->client = client;
        p->encode = encode;
        p->userdata = userdata;
        p->page.max = PAGE_MAX;
        p->sink = (Sink){.counters.name = "pushgateway", .changed = changed, .userdata = userdata};
        r = sd_event_add_time(event, &p->timer, CLOCK_BOOTTIME, 0, 100 * USEC_PER_MSEC, on_timer, p);
        if (r >= 0) {
                (void)sd_event_source_set_description(p->timer, "pushgateway-timer");
                r = reserve_url(&p->url);
        }
        if (r < 0) {
                pushgateway_free(p);
                return r;
        }
        pushgateway_set_options(p, o);
        *ret = p;
        return 0;
}

Pushgateway *pushgateway_free(Pushgateway *p) {
        if (!p)
                return NULL;
        http_request_cancel(p->request);
        sd_event_source_disable_unref(p->timer);
        buf_done(&p->url);
        buf_done(&p->page);
        free(p);
        return NULL;
}

void pushgateway_counters(const Pushgateway *p, SinkCounters *ret) {
        *ret = p->sink.counters;
}

void pushgateway_stop(Pushgateway *p, void (*done)(void *userdata), void *userdata) {
        p->stopped = done;
        p->stopped_userdata = userdata;
        if (p->state == PUSH_WAIT)
                arm(p, 0);
        else if (p->state == PUSH_STOPPED)
                finish(p);
}
