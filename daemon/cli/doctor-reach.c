/* SPDX-License-Identifier: Apache-2.0
 *
 * Who would hear of it: the daemon's own socket and page, a Pushgateway, a webhook. A connection is opened and closed
 * again, nothing is sent. And how the process could be rotated without asking anybody.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"

#define CONNECT_MSEC 2000

/* ---- sinks ---- */

static int connect_within(const struct addrinfo *a) {
        _cleanup_fd_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(int);
        int error = 0;

        if (fd < 0)
                return -errno;
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
                return 0;
        if (errno != EINPROGRESS)
                return -errno;
        if (poll(&p, 1, CONNECT_MSEC) <= 0)
                return -ETIMEDOUT;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
                return -errno;
        return -error;
}

/* Host and port of a URL that the settings have checked. Never the user part, which may be a secret. */
static bool split_url(const char *url, char host[static 256], char port[static 8]) {
        bool tls = strncasecmp(url, "https://", 8) == 0;
        const char *p = url + (tls ? 8 : 7), *end = p + strcspn(p, "/?#"), *at = memchr(p, '@', (size_t)(end - p)), *q;
        size_t n;

        p = at ? at + 1 : p;
        if (*p == '[') {
                p++;
                n = strcspn(p, "]");
                q = p + n + (p[n] == ']');
        } else {
                n = strcspn(p, ":/?#");
                q = p + n;
        }
        if (n == 0 || n >= 256)
                return false;
        memcpy(host, p, n);
        host[n] = '\0';
        snprintf(port, 8, "%s", tls ? "443" : "80");
        if (*q == ':' && end > q + 1)
                snprintf(port, 8, "%.*s", (int)min_of((ptrdiff_t)5, end - q - 1), q + 1);
        return true;
}

static void try_sink(Doctor *d, const char *name, const char *key, const char *url) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
        char host[256], port[8];
        int r;

        if (!url[0] || !split_url(url, host, port))
                return;
        r = getaddrinfo(host, port, &hints, &list);
        if (r != 0) {
                doctor_find(d, "sinks", name, DOCTOR_BAD, "%s: %.100s: %s", name, host, gai_strerror(r));
                doctor_change(d, "see %s, or the network policy that lets this pod out", key);
                return;
        }
        r = -ENOENT;
        for (const struct addrinfo *a = list; a && r < 0; a = a->ai_next)
                r = connect_within(a);
        freeaddrinfo(list);
        if (r == 0) {
                doctor_find(d, "sinks", name, DOCTOR_GOOD, "%s: %.100s port %s takes connections", name, host, port);
                return;
        }
        doctor_find(d, "sinks", name, DOCTOR_BAD, "%s: %.100s port %s: %s", name, host, port, strerror(-r));
        doctor_change(d, "see %s, or the network policy that lets this pod out", key);
}

static void try_daemon(Doctor *d, const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (!path[0] || strlen(path) >= sizeof(a.sun_path) || fd < 0)
                return;
        strcpy(a.sun_path, path);
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
                doctor_find(d, "daemon", "daemon", DOCTOR_GOOD, "plateaud runs: plateau status");
        else
                doctor_find(d, "daemon", "daemon", DOCTOR_NONE, "no plateaud at %.108s: %s", path, strerror(errno));
}

void doctor_reach(Doctor *d) {
        const Settings *s = d->settings;

        if (!s) {
                doctor_find(d, "sinks", "config", DOCTOR_NONE, "no configuration: no sinks to try");
                return;
        }
        try_daemon(d, s->socket_path);
        if (!s->report.http_listen[0] && !s->report.pushgateway_url[0]) {
                doctor_find(d, "sinks", "metrics", DOCTOR_HALF, "nobody gets the metrics");
                doctor_change(d, "report: {listen: \":9464\"}");
        }
        try_sink(d, "pushgateway", "report.pushgateway.url", s->report.pushgateway_url);
        try_sink(d, "webhook", "report.webhook.url", s->report.webhook_url);
}

/* ---- ways to rotate ---- */

static void try_signal(Doctor *d, bool wanted) {
        bool may = geteuid() == d->target.uid;

        if (may)
                doctor_find(d, "rotate", "signal", DOCTOR_GOOD, "by signal: it runs as our user");
        else {
                doctor_find(d, "rotate", "signal", wanted ? DOCTOR_BAD : DOCTOR_NONE,
                            "not by signal: it runs as uid %u, and the daemon keeps no capability",
                            (unsigned)d->target.uid);
                doctor_change(d,
                              d->in_pod ? "in the sidecar: securityContext: {runAsUser: %u}"
                                        : "run plateaud as uid %u, or rotate by unit or hook",
                              (unsigned)d->target.uid);
        }
}

void doctor_ways(Doctor *d) {
        RotateMethod method = d->settings ? d->settings->action.rotate_method : ROTATE_NONE;
        const char *hook = d->settings ? d->settings->action.hook_argv[0] : NULL;

        if (d->target.pid <= 0)
                return;
        if (method == ROTATE_NONE) {
                doctor_find(d, "rotate", "method", DOCTOR_HALF, "nothing rotates: policy.rotate.method is none");
                doctor_change(d, "policy: {rotate: {method: %s}}", d->in_pod ? "kubernetes" : "signal");
        }
        try_signal(d, method == ROTATE_SIGNAL);
        if (method == ROTATE_HOOK && hook && access(hook, X_OK) < 0)
                doctor_find(d, "rotate", "hook", DOCTOR_BAD, "by hook: %.150s: %s", hook, strerror(errno));
        else if (method == ROTATE_HOOK && hook)
                doctor_find(d, "rotate", "hook", DOCTOR_GOOD, "by hook: %.150s can be run", hook);
        if (method == ROTATE_UNIT && access("/run/systemd/system", F_OK) < 0) { /* sd_booted(3) */
                doctor_find(d, "rotate", "unit", DOCTOR_BAD, "not by unit: this machine does not run systemd");
                doctor_change(d, "policy: {rotate: {method: %s}}", d->in_pod ? "kubernetes" : "signal");
        }
}
