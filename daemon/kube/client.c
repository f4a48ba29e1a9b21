/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/client.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "http/client.h"
#include "util/clock.h"
#include "util/random.h"

#define TIMEOUT_DEFAULT_USEC (10 * USEC_PER_SEC)
#define CONNECT_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define IDLE_USEC            (30 * USEC_PER_SEC)
#define RETRY_FIRST_USEC     (200 * USEC_PER_MSEC)
#define RETRY_MAX_USEC       (10 * USEC_PER_SEC)
/* At rest nothing is asked; a rotation asks about two a second, and an eviction must not wait behind looks. */
#define RATE_PER_S           4.0
#define BURST                20u
#define BODY_DEFAULT         ((size_t)256 << 10)
#define BODY_MAX             ((size_t)4 << 20)

struct KubeRequest {
        KubeClient *client;
        KubeRequest *prev, *next;
        KubeDoneFn done;
        void (*dropped)(void *userdata);
        bool (*stream)(void *userdata, const char *data, size_t len);
        void *userdata;
        sd_event_source *timer; /* runs until the next attempt */
        HttpRequest *http;
        char method[8], url[2048], type_header[96];
        KubeVerb verb;
        char *body; /* NULL = none */
        uint64_t timeout_usec, deadline_usec;
        size_t body_max;
        unsigned n_tries, retries_max;
        bool token_again; /* a 401 was answered once: the token may just have been replaced */
};

struct KubeClient {
        sd_event *event;
        KubeConfig config;
        HttpClient *http; /* NULL while idle */
        sd_event_source *idle;
        KubeRequest *requests;
        double tokens;
        uint64_t tokens_usec; /* CLOCK_BOOTTIME of `tokens` */
        KubeCounters counters;
};

static void request_free(KubeRequest *r) {
        KubeClient *c = r->client;

        if (r->http)
                c->counters.ended[r->verb][KUBE_OUTCOME_CANCELLED]++;
        http_request_cancel(r->http);
        sd_event_source_disable_unref(r->timer);
        if (r->prev)
                r->prev->next = r->next;
        else if (c->requests == r)
                c->requests = r->next;
        if (r->next)
                r->next->prev = r->prev;
        free(r->body);
        free(r);
}

static void request_drop(KubeRequest *r) {
        void (*dropped)(void *userdata) = r->dropped;
        void *userdata = r->userdata;

        request_free(r);
        if (dropped)
                dropped(userdata);
}

static void client_rearm_idle(KubeClient *c) {
        if (c->requests || sd_event_source_set_time_relative(c->idle, IDLE_USEC) < 0 ||
            sd_event_source_set_enabled(c->idle, SD_EVENT_ONESHOT) < 0)
                (void)sd_event_source_set_enabled(c->idle, SD_EVENT_OFF);
}

/* libcurl looks for old connections only when the next request begins, so the whole client goes. */
static int on_idle(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        KubeClient *c = userdata;

        if (!c->requests)
                c->http = http_client_free(c->http);
        return 0;
}

/* Frees first: the callback may free the client. */
static void request_finish(KubeRequest *r, const KubeAnswer *a) {
        KubeClient *c = r->client;
        KubeDoneFn done = r->done;
        void *userdata = r->userdata;

        request_free(r);
        client_rearm_idle(c);
        done(userdata, a);
}

static int request_wait(KubeRequest *r, uint64_t in_usec) {
        int e = sd_event_source_set_time_relative(r->timer, in_usec);

        return e < 0 ? e : sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* Full jitter: a fleet whose server went away comes back spread out. Return: false when there is no time for it. */
static bool request_again(KubeRequest *r, const KubeAnswer *a) {
        unsigned doublings = min_of(r->n_tries, 6u);
        uint64_t ceiling = min_of((uint64_t)(RETRY_FIRST_USEC << doublings), (uint64_t)RETRY_MAX_USEC);
        uint64_t wait = RETRY_FIRST_USEC + random_below(ceiling), now = now_boot_usec();

        if (a->error == KUBE_E_UNAUTHORIZED && !r->token_again) {
                r->token_again = true;
                return request_wait(r, 0) >= 0;
        }
        if ((a->error != KUBE_E_NET && a->error != KUBE_E_SERVER && a->error != KUBE_E_BUSY) ||
            r->n_tries > r->retries_max)
                return false;
        if (a->retry_after_usec > USEC_PER_DAY)
                return false;
        wait += a->retry_after_usec;
        if (r->deadline_usec && now + wait >= r->deadline_usec)
                return false;
        return request_wait(r, wait) >= 0;
}

static bool on_stream(void *userdata, const char *data, size_t len) {
        KubeRequest *r = userdata;

        return r->stream(r->userdata, data, len);
}

static void on_response(void *userdata, const HttpResponse *h) {
        KubeRequest *r = userdata;
        KubeAnswer a = {.error = KUBE_E_NET};
        json_t *body;

        r->http = NULL;
        if (h->error)
                snprintf(a.why, sizeof(a.why), "%s", h->error_text);
        else if (h->cut) {
                a = (KubeAnswer){.error = KUBE_E_ANSWER, .status = h->status};
                snprintf(a.why, sizeof(a.why), "the API server's answer is longer than %zu bytes", r->body_max);
        } else if (r->stream && h->status == 200)
                a = (KubeAnswer){.status = h->status};
        else
                kube_answer_judge(h->status, h->body, h->body_len, h->retry_after_usec, &a);
        r->client->counters.ended[r->verb][a.error]++;
        body = a.body;
        if (!request_again(r, &a))
                request_finish(r, &a);
        json_decref(body);
}

/* Return: 0 and one taken, or how long until there is one. */
static uint64_t bucket_take(KubeClient *c, uint64_t now) {
        c->tokens =
                min_of(c->tokens + RATE_PER_S * (double)(now - c->tokens_usec) / (double)USEC_PER_SEC, (double)BURST);
        c->tokens_usec = now;
        if (c->tokens >= 1) {
                c->tokens -= 1;
                return 0;
        }
        return (uint64_t)((1 - c->tokens) / RATE_PER_S * (double)USEC_PER_SEC) + USEC_PER_MSEC;
}

static int request_send(KubeRequest *r, uint64_t left_usec, char *why, size_t why_size) {
        const char *const headers[] = {"Accept: application/json", r->body ? r->type_header : NULL, NULL};
        KubeClient *c = r->client;
        const HttpSpec spec = {
                .method = r->method,
                .url = r->url,
                .headers = headers,
                .body = r->body,
                .body_len = r->body ? strlen(r->body) : 0,
                .timeout_usec = min_of(r->timeout_usec, left_usec),
                .connect_timeout_usec = CONNECT_TIMEOUT_USEC,
                .bearer_file = c->config.token_file,
                .ca_file = c->config.ca_file,
                .body_max = r->body_max,
                .data = r->stream ? on_stream : NULL,
        };
        int e = c->http ? 0 : http_client_new(c->event, &c->http, why, why_size);

        if (e < 0)
                return e;
        c->counters.requests++;
        r->n_tries++;
        e = http_request(c->http, &spec, on_response, r, &r->http);
        if (e < 0)
                snprintf(why, why_size, "the request cannot be made: %s", strerror(-e));
        return e;
}

static int on_turn(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        KubeRequest *r = userdata;
        KubeAnswer a = {.error = KUBE_E_NET};
        uint64_t now = now_boot_usec(), wait;

        if (r->deadline_usec && now >= r->deadline_usec) {
                snprintf(a.why, sizeof(a.why), "the deadline was over before the request could be sent");
                request_finish(r, &a);
                return 0;
        }
        wait = bucket_take(r->client, now);
        if (wait > 0 && request_wait(r, wait) >= 0)
                return 0;
        if (request_send(r, r->deadline_usec ? r->deadline_usec - now : USEC_INFINITY, a.why, sizeof(a.why)) < 0)
                request_finish(r, &a);
        return 0;
}

static bool is_path(const char *path) {
        for (const char *p = path; *p; p++)
                if (!isgraph((unsigned char)*p) || *p == '#')
                        return false;
        return path[0] == '/';
}

static KubeVerb verb_of(const KubeSpec *spec) {
        static const char *const methods[_KUBE_VERB_MAX] = {
                [KUBE_VERB_POST] = "POST",
                [KUBE_VERB_PUT] = "PUT",
                [KUBE_VERB_PATCH] = "PATCH",
                [KUBE_VERB_DELETE] = "DELETE",
        };

        for (KubeVerb v = 0; v < _KUBE_VERB_MAX; v++)
                if (methods[v] && strcmp(methods[v], spec->method) == 0)
                        return v;
        return spec->stream ? KUBE_VERB_WATCH : KUBE_VERB_GET;
}

static int request_fill(KubeRequest *r, const KubeSpec *spec) {
        const char *type = spec->content_type ? spec->content_type : "application/json";
        size_t n = (size_t)snprintf(r->url, sizeof(r->url), "%s%s", r->client->config.base_url, spec->path),
               m = (size_t)snprintf(r->method, sizeof(r->method), "%s", spec->method),
               t = (size_t)snprintf(r->type_header, sizeof(r->type_header), "Content-Type: %s", type);
        int e;

        if (!is_path(spec->path) || n >= sizeof(r->url) || m >= sizeof(r->method) || t >= sizeof(r->type_header))
                return -EINVAL;
        if (spec->body && !(r->body = json_dumps(spec->body, JSON_COMPACT)))
                return -ENOMEM;
        r->verb = verb_of(spec);
        r->timeout_usec = spec->timeout_usec ? spec->timeout_usec : TIMEOUT_DEFAULT_USEC;
        r->deadline_usec = spec->deadline_usec;
        r->retries_max = spec->retries_max;
        r->stream = spec->stream;
        r->body_max = spec->body_max ? min_of(spec->body_max, BODY_MAX) : BODY_DEFAULT;
        e = sd_event_add_time_relative(r->client->event, &r->timer, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_turn, r);
        if (e >= 0)
                (void)sd_event_source_set_description(r->timer, "kube-request");
        return min_of(e, 0);
}

int kube_request(KubeClient *c, const KubeSpec *spec, KubeDoneFn done, void *userdata, KubeRequest **ret) {
        KubeRequest *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        r->client = c;
        r->done = done;
        r->userdata = userdata;
        r->next = c->requests;
        if (r->next)
                r->next->prev = r;
        c->requests = r;
        e = request_fill(r, spec);
        if (e < 0) {
                request_free(r);
                return e;
        }
        r->dropped = spec->dropped;
        client_rearm_idle(c);
        if (ret)
                *ret = r;
        return 0;
}

KubeRequest *kube_request_cancel(KubeRequest *r) {
        if (r) {
                KubeClient *c = r->client;

                request_drop(r);
                client_rearm_idle(c);
        }
        return NULL;
}

const KubeConfig *kube_client_config(const KubeClient *c) {
        return &c->config;
}

void kube_client_look_for(KubeClient *c, unsigned port, const char *gate) {
        c->config.port = port;
        snprintf(c->config.gate, sizeof(c->config.gate), "%s", gate);
}

const KubeCounters *kube_client_counters(const KubeClient *c) {
        return &c->counters;
}

const char *kube_verb_name(KubeVerb v) {
        static const char *const names[_KUBE_VERB_MAX] = {
                [KUBE_VERB_GET] = "get", [KUBE_VERB_WATCH] = "watch", [KUBE_VERB_POST] = "post",
                [KUBE_VERB_PUT] = "put", [KUBE_VERB_PATCH] = "patch", [KUBE_VERB_DELETE] = "delete",
        };

        return (unsigned)v < _KUBE_VERB_MAX ? names[v] : "unknown";
}

const char *kube_outcome_name(unsigned outcome) {
        return outcome == KUBE_OUTCOME_CANCELLED ? "cancelled" : kube_error_name((KubeError)outcome);
}

int kube_client_new(sd_event *event, const KubeConfig *config, KubeClient **ret, char *why, size_t why_size) {
        KubeClient *c = calloc(1, sizeof(*c));
        int r;

        if (!c) {
                snprintf(why, why_size, "out of memory");
                return -ENOMEM;
        }
        c->event = sd_event_ref(event);
        c->config = *config;
        c->tokens = BURST;
        c->tokens_usec = now_boot_usec();
        r = http_client_new(event, &c->http, why, why_size);
        if (r >= 0) {
                r = sd_event_add_time_relative(event, &c->idle, CLOCK_BOOTTIME, IDLE_USEC, USEC_PER_SEC, on_idle, c);
                if (r < 0)
                        snprintf(why, why_size, "cannot set a timer: %s", strerror(-r));
        }
        if (r < 0) {
                kube_client_free(c);
                return r;
        }
        (void)sd_event_source_set_description(c->idle, "kube-idle");
        *ret = c;
        return 0;
}

KubeClient *kube_client_free(KubeClient *c) {
        if (!c)
                return NULL;
        while (c->requests)
                request_drop(c->requests);
        http_client_free(c->http);
        sd_event_source_disable_unref(c->idle);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}
