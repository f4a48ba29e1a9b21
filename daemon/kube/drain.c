/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "action/run.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"
#include "util/parse.h"

#define TELL_TIMEOUT_USEC (5 * USEC_PER_SEC) /* an application that takes longer to say "yes" drains meanwhile */
#define TELL_LATEST_USEC  USEC_PER_SEC       /* after that it is told, even if its ports are not found yet */
#define LOOK_BUDGET_USEC  (2 * USEC_PER_MSEC)
#define LOOK_LATEST_USEC  (250 * USEC_PER_MSEC) /* beyond the deadline: then the look before is the last one */
#define FILE_MODE         0644 /* the application may be another user */

struct Drain {
        sd_event *event;
        sd_event_source *timer, *ended;
        DrainFn fn;
        void *userdata;
        Subject subject;
        DrainJudge judge;
        DrainState state;
        bool ports_found;
        ConnectionLook *look;    /* under way, a piece a turn of the loop; NULL: between two */
        uint64_t look_cost_usec; /* of its pieces */

        KubeOptions options;
        Buf document; /* what is to be told; freed when it was */
        bool was_told;
        HttpClient *http, *own_http;
        HttpRequest *request;
        char file[256];
};

/* ---- telling the application ---- */

void drain_document(Buf *b, const DrainSpec *spec, uint64_t left_usec, uint64_t now_real_usec) {
        char when[FORMAT_MAX];
        Json j = JSON_INIT(b);

        json_object_begin(&j);
        json_kv_string(&j, "type", "plateau.drain");
        json_kv_string(&j, "reason", spec->reason ? spec->reason : "");
        json_kv_string(&j, "deadline", format_timestamp(when, now_real_usec + left_usec));
        json_kv_double(&j, "deadline_s", (double)left_usec / (double)USEC_PER_SEC);
        json_kv_string(&j, "namespace", spec->namespace_ ? spec->namespace_ : "");
        json_kv_string(&j, "pod", spec->pod ? spec->pod : "");
        json_object_end(&j);
        buf_addc(b, '\n');
}

_printf_(2, 3) static void told(Drain *d, const char *fmt, ...) {
        size_t n = strlen(d->state.told);
        va_list ap;

        if (n > 0 && n + 2 < sizeof(d->state.told)) {
                memcpy(d->state.told + n, "; ", 3);
                n += 2;
        }
        va_start(ap, fmt);
        vsnprintf(d->state.told + n, sizeof(d->state.told) - n, fmt, ap);
        va_end(ap);
}

/* Whole or not at all, and no link is followed: the directory is the application's too. */
static int write_file(const char *path, const Buf *text) {
        char temporary[sizeof(((Drain *)NULL)->file) + 8];
        _cleanup_fd_ int fd = -1;
        int r = 0;

        if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
                return -ENAMETOOLONG;
        (void)unlink(temporary);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (fd < 0)
                return -errno;
        if (write(fd, text->data, text->len) != (ssize_t)text->len)
                r = errno ? -errno : -EIO;
        else if (fchmod(fd, FILE_MODE) < 0 || rename(temporary, path) < 0) /* whatever the umask is */
                r = -errno;
        if (r < 0)
                (void)unlink(temporary);
        return r;
}

static void tell_by_file(Drain *d, const Buf *text) {
        const KubeOptions *o = &d->options;
        int r;

        if (!o->drain_notify_file[0])
                return;
        r = write_file(o->drain_notify_file, text);
        if (r < 0) {
                told(d, "file: %s", strerror(-r));
                return;
        }
        memcpy(d->file, o->drain_notify_file, sizeof(d->file));
        told(d, "file written");
}

static void tell_by_signal(Drain *d) {
        const KubeOptions *o = &d->options;
        char name[RUN_SPAN_MAX];
        int r;

        if (!o->drain_notify_signal)
                return;
        if (d->subject.pid_fd >= 0)
                r = syscall(SYS_pidfd_send_signal, d->subject.pid_fd, o->drain_notify_signal, NULL, 0) < 0 ? -errno : 0;
        else
                r = !subject_is_alive(&d->subject)                     ? -ESRCH
                    : kill(d->subject.pid, o->drain_notify_signal) < 0 ? -errno
                                                                       : 0;
        run_signal_name(name, o->drain_notify_signal);
        if (r == -EPERM)
                told(d, "%s: not permitted: it runs as another user", name);
        else if (r < 0)
                told(d, "%s: %s", name, strerror(-r));
        else
                told(d, "%s sent", name);
}

static void report(Drain *d);
static int look_again(Drain *d, uint64_t wait_usec);

static void on_answer(void *userdata, const HttpResponse *r) {
        Drain *d = userdata;

        d->request = NULL;
        if (r->error < 0)
                told(d, "POST: %s", r->error_text);
        else
                told(d, "POST: %s %ld", r->status >= 200 && r->status < 300 ? "answered" : "refused:", r->status);
        d->look = connection_look_free(d->look); /* it may have seen our own connection */
        (void)look_again(d, 0);
        report(d);
}

static void tell_by_post(Drain *d, const Buf *text) {
        /* kept alive, it would be a connection of the application's that never ends */
        static const char *const headers[] = {"Content-Type: application/json", "Connection: close", NULL};
        HttpSpec h = {.method = "POST",
                      .url = d->options.drain_notify_url,
                      .headers = headers,
                      .body = text->data,
                      .body_len = text->len,
                      .timeout_usec = TELL_TIMEOUT_USEC,
                      .direct = true};
        char why[128] = "";
        int r = 0;

        if (!h.url[0])
                return;
        if (!d->http) {
                r = http_client_new(d->event, &d->own_http, why, sizeof(why));
                d->http = d->own_http;
        }
        if (r >= 0)
                r = http_request(d->http, &h, on_answer, d, &d->request);
        if (r < 0)
                told(d, "POST: %s", why[0] ? why : strerror(-r));
}

/* Once, and only when the ports are known: many close their listening sockets first. */
static void tell(Drain *d) {
        if (d->was_told)
                return;
        d->was_told = true;
        if (d->document.failed)
                told(d, "out of memory");
        else {
                tell_by_file(d, &d->document);
                tell_by_post(d, &d->document);
                tell_by_signal(d);
        }
        buf_done(&d->document);
}

/* ---- counting ---- */

static int look_piece(Drain *d) {
        uint64_t begin = now_mono_usec();
        Connections *c = &d->state.connections;
        int r = 0;

        if (!d->look) {
                d->look_cost_usec = 0;
                r = connection_look_new(d->subject.dir_fd, d->ports_found ? c : NULL, CONNECTION_BY_ANY, &d->look);
        }
        if (r >= 0)
                r = connection_look_step(d->look, LOOK_BUDGET_USEC, c);
        if (!d->ports_found && d->look)
                d->ports_found = r == 1 || connection_look_found(d->look, c);
        d->look_cost_usec += now_mono_usec() - begin;
        if (r != 0)
                d->look = connection_look_free(d->look);
        return r;
}

/* The looks of one drain are on the same ports: one that closes its listening socket, as many do first, still drains.
 * Return: 1: counted; 0: the look goes on; -ETIME: given up; another negative errno: it cannot be counted. */
static int count(Drain *d, uint64_t now_usec) {
        int r = look_piece(d);

        if (r == 0 && now_usec >= d->state.deadline_usec + LOOK_LATEST_USEC) {
                d->look = connection_look_free(d->look);
                r = -ETIME;
        }
        if (r != 0 || d->ports_found || now_usec >= d->state.begin_usec + TELL_LATEST_USEC)
                tell(d);
        if (r < 0)
                snprintf(d->state.trouble, sizeof(d->state.trouble), "connections cannot be counted: %s", strerror(-r));
        else if (r > 0)
                d->state.trouble[0] = '\0';
        return r;
}

static void report(Drain *d) {
        DrainState s = d->state; /* @d may be freed in there */

        d->fn(d->userdata, &s);
}

static void look(Drain *d) {
        DrainLook l = {.alive = subject_is_alive(&d->subject), .now_usec = now_boot_usec()};
        bool was_known = d->state.known;
        unsigned was = d->state.left;
        int r = l.alive ? count(d, l.now_usec) : -ESRCH;
        uint64_t wait;

        if (r == 0 && look_again(d, 0) >= 0)
                return;
        l.known = r > 0;
        l.telling = d->request != NULL;
        l.established = d->state.connections.established;
        l.cost_usec = d->look_cost_usec;
        l.now_usec = now_boot_usec();
        if (r != -ETIME) { /* then what was seen last stands */
                d->state.known = l.known;
                d->state.left = l.known ? l.established : 0;
        }
        d->state.waited_usec = l.now_usec - d->state.begin_usec;
        d->state.end = drain_judge(&d->judge, &l, &wait);
        if (d->state.end == DRAIN_GOES_ON && look_again(d, wait) < 0)
                d->state.end = DRAIN_DEADLINE; /* no timer: nobody would look any more */
        if (d->state.end != DRAIN_GOES_ON) {
                sd_event_source_set_enabled(d->timer, SD_EVENT_OFF);
                if (d->ended)
                        sd_event_source_set_enabled(d->ended, SD_EVENT_OFF);
                d->request = http_request_cancel(d->request);
                d->look = connection_look_free(d->look);
        }
        if (d->state.end != DRAIN_GOES_ON || was_known != d->state.known || was != d->state.left)
                report(d);
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        look(userdata);
        return 0;
}

static int on_ended(sd_event_source *s, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        sd_event_source_set_enabled(s, SD_EVENT_OFF); /* a pidfd stays readable */
        look(userdata);
        return 0;
}

static int look_again(Drain *d, uint64_t wait_usec) {
        int r = sd_event_source_set_time(d->timer, now_boot_usec() + wait_usec);

        return r < 0 ? r : sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
}

/* ---- life ---- */

static int add_sources(Drain *d) {
        int fd, r = sd_event_add_time(d->event, &d->timer, CLOCK_BOOTTIME, 0, 10 * USEC_PER_MSEC, on_timer, d);

        if (r < 0)
                return r;
        sd_event_source_set_description(d->timer, "drain");
        if (d->subject.pid_fd < 0)
                return 0;
        fd = fcntl(d->subject.pid_fd, F_DUPFD_CLOEXEC, 0); /* epoll takes a descriptor once */
        if (fd < 0)
                return 0; /* the next look tells */
        r = sd_event_add_io(d->event, &d->ended, fd, EPOLLIN, on_ended, d);
        if (r < 0) {
                fd_close(fd);
                return 0;
        }
        return sd_event_source_set_io_fd_own(d->ended, true);
}

int drain_new(sd_event *event, const DrainSpec *spec, DrainFn fn, void *userdata, Drain **ret, char *why,
              size_t why_size) {
        const KubeOptions *o = spec->options;
        Drain *d = calloc(1, sizeof(*d));
        uint64_t now = now_boot_usec(), longest = now + min_of(o->drain_usec, USEC_INFINITY - now);
        int r;

        snprintf(why, why_size, "out of memory");
        if (!d)
                return -ENOMEM;
        d->event = sd_event_ref(event);
        d->fn = fn;
        d->userdata = userdata;
        d->subject = SUBJECT_NULL;
        d->options = *o;
        d->http = spec->http;
        d->state.begin_usec = now;
        longest = min_of(longest, spec->deadline_usec);
        d->judge.deadline_usec = d->state.deadline_usec = max_of(now, longest);
        r = subject_take(spec->target, &d->subject);
        if (r >= 0)
                r = add_sources(d);
        if (r < 0) {
                snprintf(why, why_size, "%s", r == -ESRCH ? "the process is gone" : strerror(-r));
                drain_free(d);
                return r;
        }
        if (o->drain_ports.n > 0) {
                connections_given(&d->state.connections, o->drain_ports.port, o->drain_ports.n);
                d->ports_found = true;
        }
        drain_document(&d->document, spec, d->state.deadline_usec - now, now_real_usec());
        *ret = d;
        return 0;
}

void drain_state(const Drain *d, DrainState *ret) {
        *ret = d->state;
}

Drain *drain_cancel(Drain *d) {
        if (d && d->file[0])
                (void)unlink(d->file);
        return drain_free(d);
}

Drain *drain_free(Drain *d) {
        if (!d)
                return NULL;
        http_request_cancel(d->request);
        http_client_free(d->own_http);
        connection_look_free(d->look);
        buf_done(&d->document);
        sd_event_source_disable_unref(d->timer);
        sd_event_source_disable_unref(d->ended);
        subject_done(&d->subject);
        sd_event_unref(d->event);
        free(d);
        return NULL;
}
