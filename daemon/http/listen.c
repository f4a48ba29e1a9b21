/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "util/parse.h"

#define LISTEN_BACKLOG 64

static int parse_port(const char *s, in_port_t *ret) {
        uint64_t v;
        int r = parse_u64(s, &v);

        if (r < 0 || v > UINT16_MAX)
                return -EINVAL;
        *ret = htons((uint16_t)v);
        return 0;
}

int listen_parse(const char *s, ListenAddress *ret) {
        ListenAddress a = {0};
        struct sockaddr_in *in = (struct sockaddr_in *)&a.addr;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.addr;
        const char *colon = strrchr(s, ':');
        char host[INET6_ADDRSTRLEN + 2];
        size_t len;
        in_port_t port;

        if (!colon || parse_port(colon + 1, &port) < 0)
                return -EINVAL;
        len = (size_t)(colon - s);
        if (len >= sizeof(host))
                return -EINVAL;
        memcpy(host, s, len);
        host[len] = '\0';
        a.any = len == 0;
        if (a.any || (host[0] == '[' && host[len - 1] == ']')) {
                host[a.any ? 0 : len - 1] = '\0';
                *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = IN6ADDR_ANY_INIT};
                if (!a.any && inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
                        return -EINVAL;
                a.len = sizeof(*in6);
        } else {
                *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
                if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
                        return -EINVAL;
                a.len = sizeof(*in);
        }
        *ret = a;
        return 0;
}

static int open_one(const struct sockaddr *addr, socklen_t len, bool only_v6) {
        _cleanup_fd_ int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int on = 1, v6 = only_v6;

        if (fd < 0)
                return -errno;
        /* a restart may bind again while old connections are in TIME-WAIT; two listeners at once stay an error on Linux
         */
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return -errno;
        if (addr->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6, sizeof(v6)) < 0)
                return -errno;
        if (bind(fd, addr, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                return -errno;
        return take_fd(&fd);
}

int listen_open(const ListenAddress *a) {
        int fd = open_one((const struct sockaddr *)&a->addr, a->len, !a->any);

        if (a->any && (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)) {
                struct sockaddr_in in = {.sin_family = AF_INET,
                                         .sin_port = ((const struct sockaddr_in6 *)&a->addr)->sin6_port};

                return open_one((const struct sockaddr *)&in, sizeof(in), false);
        }
        return fd;
}

unsigned listen_address_port(const ListenAddress *a) {
        return ntohs(a->addr.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&a->addr)->sin6_port
                                                   : ((const struct sockaddr_in *)&a->addr)->sin_port);
}

unsigned listen_port(int fd) {
        ListenAddress a = {.len = sizeof(a.addr)};

        return getsockname(fd, (struct sockaddr *)&a.addr, &a.len) < 0 ? 0 : listen_address_port(&a);
}
