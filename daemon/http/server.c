/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>

#include "http/listen.h"
#include "http/loader.h"
#include "util/clock.h"

/* One request a connection ("Connection: close"): a scrape every 15 s gains nothing from keeping it, and a connection
 * then has one deadline, which no trickle of bytes extends. When all slots are taken the oldest one is shut down, so
 * that a crowd of half-open clients cannot keep a scrape out. */
#define SERVER_CONNECTIONS_MAX   32u
#define SERVER_CONNECTION_MEMORY ((size_t)16 * 1024) /* request line and headers; more is answered with 431 or 414 */
#define SERVER_IDLE_TIMEOUT_S    10u
#define SERVER_DEADLINE_USEC     (15 * USEC_PER_SEC)
#define SERVER_BODY_MAX          ((size_t)4 << 20)

typedef struct MhdApi {
        struct MHD_Daemon *(*start_daemon)(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback apc, void *apc_cls,
                                           MHD_AccessHandlerCallback dh, void *dh_cls, ...);
        void (*stop_daemon)(struct MHD_Daemon *daemon);
        enum MHD_Result (*run)(struct MHD_Daemon *daemon);
        enum MHD_Result (*get_timeout)(struct MHD_Daemon *daemon, MHD_UNSIGNED_LONG_LONG *ret_ms);
        const union MHD_DaemonInfo *(*get_daemon_info)(struct MHD_Daemon *daemon, enum MHD_DaemonInfoType type, ...);
        const union MHD_ConnectionInfo *(*get_connection_info)(struct MHD_Connection *c,
                                                               enum MHD_ConnectionInfoType type, ...);
        const char *(*lookup_connection_value)(struct MHD_Connection *c, enum MHD_ValueKind kind, const char *key);
        struct MHD_Response *(*create_response_from_buffer)(size_t size, void *buffer,
                                                            enum MHD_ResponseMemoryMode mode);
        enum MHD_Result (*add_response_header)(struct MHD_Response *response, const char *header, const char *content);
        enum MHD_Result (*queue_response)(struct MHD_Connection *c, unsigned status, struct MHD_Response *response);
        void (*destroy_response)(struct MHD_Response *response);
} MhdApi;

typedef struct Slot {
        int fd;              /* -1 = free. Owner: libmicrohttpd */
        uint64_t since_usec; /* CLOCK_MONOTONIC */
} Slot;

struct HttpServer {
        const MhdApi *api;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer;
        HttpHandlerFn handler;
        void *userdata;
        unsigned port;
        Slot slots[SERVER_CONNECTIONS_MAX];
        bool moved; /* a connection was shut or closed in this turn */
        Buf body;   /* reused */
};

static int mhd_api_load(const MhdApi **ret, char *why, size_t why_size) {
        static const char *const names[] = {"libmicrohttpd.so.12", NULL};
#define S(member) LOADER_SYMBOL(MhdApi, member, "MHD_" #member)
        static const LoaderSymbol symbols[] = {
                S(start_daemon),
                S(stop_daemon),
                S(run),
                S(get_timeout),
                S(get_daemon_info),
                S(get_connection_info),
                S(lookup_connection_value),
                S(create_response_from_buffer),
                S(add_response_header),
                S(queue_response),
                S(destroy_response),
        };
#undef S
        static MhdApi api; /* a library is opened once and never closed */
        static bool loaded;
        int r;

        if (!loaded) {
                r = loader_open("libmicrohttpd", names, symbols, ELEMENTSOF(symbols), &api, why, why_size);
                if (r < 0)
                        return r;
                loaded = true;
        }
        *ret = &api;
        return 0;
}

/* ---- slots: every connection has a deadline ---- */

/* Ends a connection: libmicrohttpd then reads the end of file and closes it. Closing is its own business. */
static void slot_shut(HttpServer *s, Slot *slot) {
        shutdown(slot->fd, SHUT_RDWR);
        slot->fd = -1;
        s->moved = true;
}

static Slot *slot_oldest(HttpServer *s) {
        Slot *oldest = NULL;

        for (size_t i = 0; i < ELEMENTSOF(s->slots); i++)
                if (s->slots[i].fd >= 0 && (!oldest || s->slots[i].since_usec < oldest->since_usec))
                        oldest = &s->slots[i];
        return oldest;
}

static Slot *slot_free(HttpServer *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->slots); i++)
                if (s->slots[i].fd < 0)
                        return &s->slots[i];
        return NULL;
}

static void on_connection(void *userdata, struct MHD_Connection *c, void **slot_of _unused_,
                          enum MHD_ConnectionNotificationCode what) {
        HttpServer *s = userdata;
        const union MHD_ConnectionInfo *info = s->api->get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        Slot *slot;

        if (!info)
                return;
        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                slot = slot_free(s);
                if (!slot) {
                        slot = slot_oldest(s);
                        slot_shut(s, slot);
                }
                *slot = (Slot){.fd = info->connect_fd, .since_usec = now_mono_usec()};
        } else {
                s->moved = true;
                for (size_t i = 0; i < ELEMENTSOF(s->slots); i++)
                        if (s->slots[i].fd == info->connect_fd)
                                s->slots[i].fd = -1;
        }
}

/* ---- the loop ---- */

/* Sets the timer to libmicrohttpd's own timeout or the first deadline, whichever is sooner. At its connection limit
 * libmicrohttpd takes the listening socket out of its epoll set, and puts it back at the start of the run after the one
 * that closed a connection: nothing wakes us for that one (1.0.0: clients waited for the next deadline). */
static int server_rearm(HttpServer *s) {
        uint64_t now = now_mono_usec(), next = USEC_INFINITY;
        const Slot *oldest = slot_oldest(s);
        MHD_UNSIGNED_LONG_LONG ms;
        int r;

        if (s->api->get_timeout(s->daemon, &ms) == MHD_YES)
                next = now + min_of((uint64_t)ms, (uint64_t)3600 * 1000) * USEC_PER_MSEC;
        if (oldest)
                next = min_of(next, oldest->since_usec + SERVER_DEADLINE_USEC);
        if (s->moved)
                next = now;
        s->moved = false;
        if (next == USEC_INFINITY)
                return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(s->timer, next);
        return r < 0 ? r : sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int server_turn(HttpServer *s) {
        uint64_t now = now_mono_usec();
        Slot *oldest;

        while ((oldest = slot_oldest(s)) && oldest->since_usec + SERVER_DEADLINE_USEC <= now)
                slot_shut(s, oldest);
        (void)s->api->run(s->daemon);
        return server_rearm(s);
}

static int on_io(sd_event_source *source _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        return server_turn(userdata);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        return server_turn(userdata);
}

/* ---- answers ---- */

static enum MHD_Result answer(HttpServer *s, struct MHD_Connection *c, int status, const char *type, const char *text,
                              size_t len) {
        struct MHD_Response *response =
                s->api->create_response_from_buffer(len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result r;

        if (!response)
                return MHD_NO; /* closes the connection */
        (void)s->api->add_response_header(response, "Content-Type", type);
        (void)s->api->add_response_header(response, "Cache-Control", "no-store");
        (void)s->api->add_response_header(response, "X-Content-Type-Options", "nosniff");
        (void)s->api->add_response_header(response, "Connection", "close");
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                (void)s->api->add_response_header(response, "Allow", "GET, HEAD");
        r = s->api->queue_response(c, (unsigned)status, response);
        s->api->destroy_response(response);
        return r;
}

static enum MHD_Result answer_text(HttpServer *s, struct MHD_Connection *c, int status, const char *text) {
        return answer(s, c, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* Called when the request's headers are in, with a request body or not: it is never read. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version _unused_, const char *upload _unused_, size_t *upload_len,
                                  void **mark) {
        HttpServer *s = userdata;
        const char *accept, *type = "text/plain; charset=utf-8";
        int status;

        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return answer_text(s, c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        if (!*mark) { /* the first call only says that the headers are here; an answer now would mean "do not send the
                         body" */
                *mark = s;
                return MHD_YES;
        }
        if (*upload_len > 0) {
                *upload_len = 0;
                return MHD_YES;
        }
        accept = s->api->lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
        buf_reset(&s->body);
        status = s->handler(s->userdata, path, accept ? accept : "", &s->body, &type);
        if (s->body.failed)
                return answer_text(s, c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer does not fit into memory\n");
        return answer(s, c, status, type, buf_str(&s->body), s->body.len);
}

/* ---- life ---- */

static int server_watch(HttpServer *s, sd_event *event) {
        const union MHD_DaemonInfo *info = s->api->get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        int r;

        if (!info || info->epoll_fd < 0)
                return -ENOSYS;
        r = sd_event_add_io(event, &s->io, info->epoll_fd, EPOLLIN, on_io, s);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, s);
        if (r < 0)
                return r;
        (void)sd_event_source_set_description(s->io, "http-server-io");
        (void)sd_event_source_set_description(s->timer, "http-server-timer");
        return server_rearm(s);
}

static int server_start(HttpServer *s, sd_event *event, int fd) {
        s->port = listen_port(fd);
        s->daemon = s->api->start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
                                         MHD_OPTION_CONNECTION_LIMIT, SERVER_CONNECTIONS_MAX + 8,
                                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_CONNECTION_MEMORY,
                                         MHD_OPTION_CONNECTION_TIMEOUT, SERVER_IDLE_TIMEOUT_S,
                                         MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
        if (!s->daemon) {
                fd_close(fd);
                return -ENOMEM;
        }
        return server_watch(s, event); /* the socket is the daemon's from here */
}

int http_server_new(sd_event *event, const char *listen, HttpHandlerFn handler, void *userdata, HttpServer **ret,
                    char *why, size_t why_size) {
        const MhdApi *api;
        ListenAddress address;
        HttpServer *s;
        int fd, r;

        if (listen_parse(listen, &address) < 0) {
                snprintf(why, why_size, "'%.64s' is no address to listen on: 127.0.0.1:9464, [::1]:9464 or :9464",
                         listen);
                return -EINVAL;
        }
        r = mhd_api_load(&api, why, why_size);
        if (r < 0)
                return r;
        fd = listen_open(&address);
        if (fd < 0) {
                snprintf(why, why_size, "cannot listen on %.64s: %s", listen, strerror(-fd));
                return fd;
        }
        s = calloc(1, sizeof(*s));
        if (!s) {
                fd_close(fd);
                snprintf(why, why_size, "out of memory");
                return -ENOMEM;
        }
        s->api = api;
        s->handler = handler;
        s->userdata = userdata;
        s->body.max = SERVER_BODY_MAX;
        for (size_t i = 0; i < ELEMENTSOF(s->slots); i++)
                s->slots[i].fd = -1;
        r = server_start(s, event, fd);
        if (r < 0) {
                http_server_free(s);
                snprintf(why, why_size, "cannot start the HTTP server on %.64s: %s", listen, strerror(-r));
                return r;
        }
        *ret = s;
        return 0;
}

HttpServer *http_server_free(HttpServer *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->timer);
        if (s->daemon)
                s->api->stop_daemon(s->daemon);
        buf_done(&s->body);
        free(s);
        return NULL;
}

unsigned http_server_port(const HttpServer *s) {
        return s->port;
}
