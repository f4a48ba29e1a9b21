/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>

#include "http/curl.h"
#include "util/clock.h"
#include "util/rootfs.h"
#include "util/version.h"

#define HTTP_TIMEOUT_DEFAULT_USEC  (15 * USEC_PER_SEC)
#define HTTP_CONNECT_TIMEOUT_USEC  (5 * USEC_PER_SEC)
#define HTTP_LOW_SPEED_BYTES_PER_S 16L
#define HTTP_LOW_SPEED_S           10L
#define HTTP_HEADERS_MAX           (32u * 1024) /* of the response, interim ones (1xx) included; unbounded otherwise */
#define HTTP_AUTHORITY_MAX         96
#define HTTP_TOKEN_MAX             8192

/* By number, because the header at build time may be older than the library at run time; an unknown one is refused,
 * harmlessly. */
#define OPT_PROTOCOLS     ((CURLoption)(CURLOPTTYPE_LONG + 181))        /* before that */
#define OPT_PROTOCOLS_STR ((CURLoption)(CURLOPTTYPE_STRINGPOINT + 318)) /* since 7.85 */
#define OPT_QUICK_EXIT    ((CURLoption)(CURLOPTTYPE_LONG + 322))        /* since 7.87 */
#define OPT_CA_CACHE      ((CURLoption)(CURLOPTTYPE_LONG + 321))        /* since 7.87; before, nothing is cached */

struct HttpRequest {
        HttpClient *client;
        HttpRequest *prev, *next;
        HttpDoneFn done;
        HttpDataFn data;
        void *userdata;
        CURL *easy; /* NULL: refused before it was sent, `refusal` says why */
        struct curl_slist *headers;
        char authority[HTTP_AUTHORITY_MAX]; /* host:port, no user or password: the only part of an URL that is shown */
        uint64_t timeout_usec;
        int refusal;
        size_t header_bytes;
        char *body;
        size_t body_len, body_cap, body_max;
        bool cut; /* the body went on beyond body_max */
        char error_text[160];
        char curl_error[CURL_ERROR_SIZE];
};

struct HttpClient {
        const CurlApi *api;
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer;
        HttpRequest *requests;
        bool draining; /* callbacks are being called: freeing waits for their end */
        bool closed;
};

/* ---- typed options ---- */

static bool set_long(const HttpClient *c, CURL *easy, CURLoption o, long v) {
        return c->api->easy_setopt(easy, o, v) == CURLE_OK;
}

static bool set_string(const HttpClient *c, CURL *easy, CURLoption o, const char *v) {
        return c->api->easy_setopt(easy, o, v) == CURLE_OK;
}

static bool set_pointer(const HttpClient *c, CURL *easy, CURLoption o, void *v) {
        return c->api->easy_setopt(easy, o, v) == CURLE_OK;
}

static bool set_data_fn(const HttpClient *c, CURL *easy, CURLoption o, curl_write_callback fn) {
        return c->api->easy_setopt(easy, o, fn) == CURLE_OK;
}

/* ---- requests ---- */

static HttpRequest *request_free(HttpRequest *r) {
        HttpClient *c = r->client;

        if (r->easy) {
                (void)c->api->multi_remove_handle(c->multi, r->easy); /* "not added" is fine here */
                c->api->easy_cleanup(r->easy);
        }
        c->api->slist_free_all(r->headers);
        if (r->prev)
                r->prev->next = r->next;
        else if (c->requests == r)
                c->requests = r->next;
        if (r->next)
                r->next->prev = r->prev;
        free(r->body);
        free(r);
        return NULL;
}

static bool is_streamed(HttpRequest *r) {
        long status = 0;

        (void)r->client->api->easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        return r->data && status == 200; /* any other one has a body that says why */
}

static size_t on_body(char *p, size_t size, size_t n, void *userdata) {
        HttpRequest *r = userdata;
        size_t len = size * n, room = r->body_max - r->body_len, take = min_of(len, room);

        if (is_streamed(r))
                return r->data(r->userdata, p, len) ? len : 0;
        if (r->body_len + take + 1 > r->body_cap) {
                size_t wanted = max_of(2 * r->body_cap, r->body_len + take + 1), cap = min_of(wanted, r->body_max + 1);
                char *q = realloc(r->body, cap);

                if (!q)
                        return 0;
                r->body = q;
                r->body_cap = cap;
        }
        memcpy(r->body + r->body_len, p, take);
        r->body_len += take;
        r->body[r->body_len] = '\0';
        if (take < len) {
                r->cut = true;
                return 0; /* ends the transfer; what was read so far is the answer */
        }
        return len;
}

static size_t on_header(char *p _unused_, size_t size, size_t n, void *userdata) {
        HttpRequest *r = userdata;

        r->header_bytes += size * n;
        return r->header_bytes > HTTP_HEADERS_MAX ? 0 : size * n;
}

/* ---- what went wrong, as a sentence ---- */

static void sentence_connect(HttpRequest *r, char *buf, size_t size) {
        long os_errno = 0;

        (void)r->client->api->easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_errno);
        if (os_errno == ECONNREFUSED)
                snprintf(buf, size, "connection refused by %s", r->authority);
        else
                snprintf(buf, size, "cannot connect to %s: %s", r->authority,
                         os_errno ? strerror((int)os_errno) : r->client->api->easy_strerror(CURLE_COULDNT_CONNECT));
}

static void sentence_timeout(HttpRequest *r, char *buf, size_t size) {
        curl_off_t connected_usec = 0, total_usec = 0;

        (void)r->client->api->easy_getinfo(r->easy, CURLINFO_CONNECT_TIME_T, &connected_usec);
        (void)r->client->api->easy_getinfo(r->easy, CURLINFO_TOTAL_TIME_T, &total_usec);
        snprintf(buf, size, "%s %s within %lld ms", connected_usec > 0 ? "no complete answer from" : "no connection to",
                 r->authority, (long long)(total_usec / 1000));
}

static int describe_failure(HttpRequest *r, CURLcode code, char *buf, size_t size) {
        static const struct {
                CURLcode code;
                int error;
                const char *format; /* with the authority; NULL: a function of its own below */
        } rows[] = {
                {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, "the name in %s cannot be resolved"},
                {CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH, "the proxy's name cannot be resolved (for %s)"},
                {CURLE_GOT_NOTHING, -ECONNRESET, "%s closed the connection without an answer"},
                {CURLE_RECV_ERROR, -ECONNRESET, "the connection to %s broke while the answer was read"},
                {CURLE_SEND_ERROR, -ECONNRESET, "the connection to %s broke while the request was sent"},
                {CURLE_PARTIAL_FILE, -ECONNRESET, "%s ended its answer too early"},
                {CURLE_UNSUPPORTED_PROTOCOL, -EPROTO, "%s does not speak HTTP"},
                {CURLE_WEIRD_SERVER_REPLY, -EPROTO, "%s does not speak HTTP"},
                {CURLE_WRITE_ERROR, -EPROTO, "%s sent too many headers, or memory ran out"},
                {CURLE_OUT_OF_MEMORY, -ENOMEM, "out of memory while talking to %s"},
                {CURLE_URL_MALFORMAT, -EINVAL, "the URL of %s is malformed"},
        };

        if (code == CURLE_COULDNT_CONNECT) {
                sentence_connect(r, buf, size);
                return -ECONNREFUSED;
        }
        if (code == CURLE_OPERATION_TIMEDOUT) {
                sentence_timeout(r, buf, size);
                return -ETIMEDOUT;
        }
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (rows[i].code == code) {
                        const char *at = strstr(rows[i].format, "%s");

                        snprintf(buf, size, "%.*s%s%s", (int)(at - rows[i].format), rows[i].format, r->authority,
                                 at + 2);
                        return rows[i].error;
                }
        snprintf(buf, size, "%.60s: %.90s", r->authority,
                 r->curl_error[0] ? r->curl_error : r->client->api->easy_strerror(code));
        return -EPROTO;
}

static void fill_response(HttpRequest *r, CURLcode code, HttpResponse *ret) {
        const CurlApi *api = r->client->api;
        curl_off_t retry_after_s = 0;

        *ret = (HttpResponse){.body = r->body ? r->body : "", .body_len = r->body_len, .cut = r->cut};
        if (r->refusal) {
                ret->error = r->refusal;
                snprintf(ret->error_text, sizeof(ret->error_text), "%s", r->error_text);
                return;
        }
        if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && r->cut)) {
                ret->error = describe_failure(r, code, ret->error_text, sizeof(ret->error_text));
                return;
        }
        (void)api->easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &ret->status);
        /* seconds; libcurl turns the date form into a difference to now (since 7.66) */
        if (api->easy_getinfo(r->easy, CURLINFO_RETRY_AFTER, &retry_after_s) == CURLE_OK && retry_after_s > 0)
                ret->retry_after_usec =
                        (uint64_t)min_of(retry_after_s, (curl_off_t)(INT64_MAX / USEC_PER_SEC)) * USEC_PER_SEC;
}

/* Frees, then tells the owner: the callback may start and cancel other requests, and free the client. */
static void request_finish(HttpRequest *r, CURLcode code) {
        HttpDoneFn done = r->done;
        void *userdata = r->userdata;
        HttpResponse response;

        fill_response(r, code, &response);
        _cleanup_free_ char *body _unused_ = take_ptr(r->body); /* response.body */
        request_free(r);
        done(userdata, &response);
}

/* ---- libcurl on the loop ---- */

static void client_destroy(HttpClient *c) {
        while (c->requests)
                request_free(c->requests);
        if (c->multi)
                (void)c->api->multi_cleanup(c->multi); /* calls on_socket for what is still open */
        sd_event_source_disable_unref(c->timer);
        sd_event_unref(c->event);
        c->api->global_cleanup();
        free(c);
}

static HttpRequest *first_refused(const HttpClient *c) {
        HttpRequest *r = c->requests;

        while (r && !r->refusal)
                r = r->next;
        return r;
}

/* Requests that ended are told one by one; each callback may change the list, so it is read anew each time. */
static void client_drain(HttpClient *c) {
        int n_left;

        if (c->draining)
                return;
        c->draining = true;
        while (!c->closed) {
                CURLMsg *m = c->api->multi_info_read(c->multi, &n_left);
                HttpRequest *r = NULL;
                CURLcode code = CURLE_OK;

                if (m && m->msg == CURLMSG_DONE) {
                        code = m->data.result;
                        (void)c->api->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&r);
                } else
                        r = first_refused(c);
                if (!r)
                        break;
                request_finish(r, code);
        }
        c->draining = false;
        if (c->closed)
                client_destroy(c);
}

static int on_io(sd_event_source *s _unused_, int fd, uint32_t revents, void *userdata) {
        HttpClient *c = userdata;
        int n_running, action = 0;

        if (revents & (EPOLLIN | EPOLLHUP))
                action |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                action |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                action |= CURL_CSELECT_ERR;
        (void)c->api->multi_socket_action(c->multi, fd, action, &n_running);
        client_drain(c);
        return 0;
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        HttpClient *c = userdata;
        int n_running;

        (void)c->api->multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
        client_drain(c);
        return 0;
}

/* libcurl asks to watch a socket. @p is the source that was assigned to it before. */
static int on_socket(CURL *easy _unused_, curl_socket_t fd, int what, void *userdata, void *p) {
        static const uint32_t events_of[] = {
                [CURL_POLL_NONE] = 0,
                [CURL_POLL_IN] = EPOLLIN,
                [CURL_POLL_OUT] = EPOLLOUT,
                [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
        };
        HttpClient *c = userdata;
        sd_event_source *source = p;
        int r;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                (void)c->api->multi_assign(c->multi, fd, NULL);
                return 0;
        }
        if (what < 0 || (size_t)what >= ELEMENTSOF(events_of))
                return -1;
        if (source)
                return sd_event_source_set_io_events(source, events_of[what]) < 0 ? -1 : 0;
        r = sd_event_add_io(c->event, &source, fd, events_of[what], on_io, c);
        if (r < 0)
                return -1;
        (void)sd_event_source_set_description(source, "http-client-io");
        if (c->api->multi_assign(c->multi, fd, source) != CURLM_OK) {
                sd_event_source_disable_unref(source);
                return -1;
        }
        return 0;
}

static int arm_timer(HttpClient *c, uint64_t in_usec) {
        int r = sd_event_source_set_time_relative(c->timer, in_usec);

        return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static int on_timeout_wanted(CURLM *multi _unused_, long timeout_ms, void *userdata) {
        HttpClient *c = userdata;

        if (first_refused(c)) /* is told by the same timer */
                timeout_ms = 0;
        if (timeout_ms < 0)
                return sd_event_source_set_enabled(c->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        return arm_timer(c, (uint64_t)timeout_ms * USEC_PER_MSEC) < 0 ? -1 : 0;
}

static int client_setup(HttpClient *c) {
        const CurlApi *api = c->api;
        int r;

        c->multi = api->multi_init();
        if (!c->multi)
                return -ENOMEM;
        r = sd_event_add_time(c->event, &c->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, c);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(c->timer, "http-client-timer");
        r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        if (api->multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, (curl_socket_callback)on_socket) != CURLM_OK ||
            api->multi_setopt(c->multi, CURLMOPT_SOCKETDATA, (void *)c) != CURLM_OK ||
            api->multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, (curl_multi_timer_callback)on_timeout_wanted) !=
                    CURLM_OK ||
            api->multi_setopt(c->multi, CURLMOPT_TIMERDATA, (void *)c) != CURLM_OK ||
            api->multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 4L) != CURLM_OK ||
            api->multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 16L) != CURLM_OK)
                return -ENOSYS;
        return 0;
}

int http_client_new(sd_event *event, HttpClient **ret, char *why, size_t why_size) {
        const CurlApi *api;
        HttpClient *c;
        int r = curl_api_load(&api, why, why_size);

        if (r < 0)
                return r;
        if (api->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
                snprintf(why, why_size, "libcurl does not start");
                return -ENOSYS;
        }
        c = calloc(1, sizeof(*c));
        if (!c) {
                api->global_cleanup();
                snprintf(why, why_size, "out of memory");
                return -ENOMEM;
        }
        c->api = api;
        c->event = sd_event_ref(event);
        r = client_setup(c);
        if (r < 0) {
                client_destroy(c);
                snprintf(why, why_size, "cannot set libcurl up: %s", strerror(-r));
                return r;
        }
        *ret = c;
        return 0;
}

HttpClient *http_client_free(HttpClient *c) {
        if (!c)
                return NULL;
        c->closed = true;
        if (!c->draining)
                client_destroy(c);
        return NULL;
}

/* ---- making a request ---- */

/* host:port of an URL, without user and password. Return: false when it is not http or https. */
static bool url_authority(const char *url, char *buf, size_t size) {
        size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
        const char *begin = url + scheme, *at;
        size_t len = strcspn(begin, "/?#");

        at = memrchr(begin, '@', len);
        if (at) {
                len -= (size_t)(at + 1 - begin);
                begin = at + 1;
        }
        if (scheme == 0 || len == 0) {
                snprintf(buf, size, "?");
                return false;
        }
        snprintf(buf, size, "%.*s", (int)min_of(len, size - 1), begin);
        for (char *p = buf; *p; p++) /* goes into logs */
                if (!isgraph((unsigned char)*p))
                        *p = '?';
        return true;
}

static void refuse(HttpRequest *r, int error, const char *what, const char *detail) {
        r->refusal = error;
        snprintf(r->error_text, sizeof(r->error_text), "%s%.100s: %s", what, detail, strerror(-error));
}

static bool header_add(HttpRequest *r, const char *line) {
        struct curl_slist *l = r->client->api->slist_append(r->headers, line);

        if (l)
                r->headers = l;
        return l;
}

/* Return: 0, or the negative errno that the request is refused with. */
static int header_add_bearer(HttpRequest *r, const char *path) {
        char line[sizeof("Authorization: Bearer ") + HTTP_TOKEN_MAX] = "Authorization: Bearer ";
        size_t prefix = strlen(line);
        ssize_t n = rootfs_read(AT_FDCWD, path, line + prefix, HTTP_TOKEN_MAX);
        bool added;

        if (n < 0)
                return (int)n;
        while (n > 0 && isspace((unsigned char)line[prefix + (size_t)n - 1]))
                line[prefix + (size_t)--n] = '\0';
        for (ssize_t i = 0; i < n; i++)
                if (!isgraph((unsigned char)line[prefix + (size_t)i]))
                        return -EBADMSG; /* a line break in it would be a header of its own */
        if (n == 0)
                return -ENODATA;
        added = header_add(r, line);
        explicit_bzero(line, sizeof(line));
        return added ? 0 : -ENOMEM;
}

static int add_headers(HttpRequest *r, const HttpSpec *spec) {
        if (!header_add(r, "Expect:")) /* no "100-continue" round trip, whatever the size */
                return -ENOMEM;
        for (const char *const *h = spec->headers; h && *h; h++)
                if (!header_add(r, *h))
                        return -ENOMEM;
        if (spec->bearer_file && spec->bearer_file[0]) {
                int e = header_add_bearer(r, spec->bearer_file);

                if (e < 0)
                        refuse(r, e, "bearer file ", spec->bearer_file);
        }
        return 0;
}

/* A stream may be silent for minutes: then a peer that is gone without a word is found by the kernel's probes. */
static bool set_liveness(const HttpClient *c, CURL *easy, bool streamed) {
        if (streamed)
                return set_long(c, easy, CURLOPT_TCP_KEEPALIVE, 1) && set_long(c, easy, CURLOPT_TCP_KEEPIDLE, 15) &&
                       set_long(c, easy, CURLOPT_TCP_KEEPINTVL, 15);
        return set_long(c, easy, CURLOPT_LOW_SPEED_LIMIT, HTTP_LOW_SPEED_BYTES_PER_S) &&
               set_long(c, easy, CURLOPT_LOW_SPEED_TIME, HTTP_LOW_SPEED_S);
}

static bool set_limits(const HttpClient *c, CURL *easy, uint64_t timeout_usec, uint64_t connect_usec) {
        long timeout_ms = (long)min_of(timeout_usec / USEC_PER_MSEC, (uint64_t)INT_MAX);
        uint64_t min_ms = min_of(timeout_usec, connect_usec) / USEC_PER_MSEC;
        long connect_ms = (long)min_of(min_ms, (uint64_t)INT_MAX);

        /* Without QUICK_EXIT ending a transfer waits for its resolver thread, i.e. blocks for as long as a dead DNS
         * server lets getaddrinfo() hang (curl before 7.87 has no remedy). */
        (void)set_long(c, easy, OPT_QUICK_EXIT, 1);
        if (!set_string(c, easy, OPT_PROTOCOLS_STR, "http,https"))
                (void)set_long(c, easy, OPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
        return set_long(c, easy, CURLOPT_NOSIGNAL, 1) && set_long(c, easy, CURLOPT_FOLLOWLOCATION, 0) &&
               set_long(c, easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
               set_long(c, easy, CURLOPT_TIMEOUT_MS, max_of(timeout_ms, 1L)) &&
               set_long(c, easy, CURLOPT_CONNECTTIMEOUT_MS, max_of(connect_ms, 1L));
}

/* The directory of the system's authorities stays closed: reading that bundle costs megabytes, and trusting it would
 * let any of them speak for the cluster. curl (7.87 and later) keeps a parsed file for 24 h, which would outlive a
 * rotation. */
static bool set_private_authority(const HttpClient *c, CURL *easy, const char *ca_file) {
        (void)set_long(c, easy, OPT_CA_CACHE, 0);
        if (!set_string(c, easy, OPT_PROTOCOLS_STR, "https") && !set_long(c, easy, OPT_PROTOCOLS, CURLPROTO_HTTPS))
                return false;
        return set_string(c, easy, CURLOPT_CAINFO, ca_file) && set_string(c, easy, CURLOPT_CAPATH, NULL) &&
               set_long(c, easy, CURLOPT_SSL_VERIFYPEER, 1) && set_long(c, easy, CURLOPT_SSL_VERIFYHOST, 2) &&
               set_long(c, easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
}

static bool set_body(const HttpClient *c, CURL *easy, const HttpSpec *spec) {
        if (!spec->body)
                return set_string(c, easy, CURLOPT_CUSTOMREQUEST, spec->method);
        /* the size first: COPYPOSTFIELDS copies that many bytes */
        return c->api->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body_len) == CURLE_OK &&
               c->api->easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, spec->body) == CURLE_OK &&
               set_string(c, easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

static int request_setup(HttpRequest *r, const HttpSpec *spec) {
        HttpClient *c = r->client;
        int e = add_headers(r, spec);

        if (e < 0 || r->refusal)
                return e;
        r->easy = c->api->easy_init();
        if (!r->easy)
                return -ENOMEM;
        if (!set_limits(c, r->easy, r->timeout_usec,
                        spec->connect_timeout_usec ? spec->connect_timeout_usec : HTTP_CONNECT_TIMEOUT_USEC) ||
            !set_liveness(c, r->easy, spec->data) ||
            (spec->ca_file && !set_private_authority(c, r->easy, spec->ca_file)) ||
            ((spec->direct || spec->ca_file) && !set_string(c, r->easy, CURLOPT_PROXY, "")) ||
            !set_body(c, r->easy, spec) || !set_string(c, r->easy, CURLOPT_URL, spec->url) ||
            !set_string(c, r->easy, CURLOPT_USERAGENT, "plateau/" PLATEAU_VERSION) ||
            !set_pointer(c, r->easy, CURLOPT_HTTPHEADER, r->headers) ||
            !set_pointer(c, r->easy, CURLOPT_ERRORBUFFER, r->curl_error) ||
            !set_pointer(c, r->easy, CURLOPT_PRIVATE, r) || !set_pointer(c, r->easy, CURLOPT_WRITEDATA, r) ||
            !set_pointer(c, r->easy, CURLOPT_HEADERDATA, r) ||
            !set_data_fn(c, r->easy, CURLOPT_WRITEFUNCTION, on_body) ||
            !set_data_fn(c, r->easy, CURLOPT_HEADERFUNCTION, on_header))
                return -ENOMEM;
        return c->api->multi_add_handle(c->multi, r->easy) == CURLM_OK ? 0 : -ENOMEM;
}

int http_request(HttpClient *c, const HttpSpec *spec, HttpDoneFn done, void *userdata, HttpRequest **ret) {
        HttpRequest *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        r->client = c;
        r->done = done;
        r->data = spec->data;
        r->userdata = userdata;
        r->timeout_usec = spec->timeout_usec ? spec->timeout_usec : HTTP_TIMEOUT_DEFAULT_USEC;
        r->body_max = spec->body_max ? spec->body_max : HTTP_BODY_MAX;
        r->next = c->requests;
        if (r->next)
                r->next->prev = r;
        c->requests = r;
        if (!url_authority(spec->url, r->authority, sizeof(r->authority)))
                refuse(r, -EINVAL, "not an http or https URL", "");
        else if ((e = request_setup(r, spec)) < 0) {
                request_free(r);
                return e;
        }
        if (r->refusal && (e = arm_timer(c, 0)) < 0) { /* told from the loop, like every other end */
                request_free(r);
                return e;
        }
        if (ret)
                *ret = r;
        return 0;
}

HttpRequest *http_request_cancel(HttpRequest *r) {
        return r ? request_free(r) : NULL;
}
