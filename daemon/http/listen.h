/* SPDX-License-Identifier: Apache-2.0
 *
 * The address a server listens on: parsed strictly, without name resolution (which would block), then bound.
 * Two servers on one address are an error, so SO_REUSEPORT is not used; a restart while old connections are in
 * TIME-WAIT is none, so SO_REUSEADDR is.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "util/cleanup.h"

typedef struct ListenAddress {
        struct sockaddr_storage addr;
        socklen_t len;
        bool any; /* ":port": IPv6 and IPv4 by one socket, or IPv4 alone where IPv6 is off */
} ListenAddress;

/* listen_parse() - "127.0.0.1:9464", "[::1]:9464", ":9464"; port 0 lets the kernel choose. Return: 0; -EINVAL. */
int listen_parse(const char *s, ListenAddress *ret) _must_check_;

/* listen_address_port() - 0: the kernel is to choose. */
unsigned listen_address_port(const ListenAddress *a);

/* listen_open() - a listening socket, non-blocking, close-on-exec. Return: descriptor (Owner: caller) or negative
 * errno. */
int listen_open(const ListenAddress *a) _must_check_;

/* listen_port() - the port that @fd is bound to; 0 if none. */
unsigned listen_port(int fd);
