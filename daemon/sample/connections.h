/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of a process' clients, counted from outside: /proc/PID/net/tcp and tcp6, a row a socket of the whole
 * network namespace. The tables may have hundreds of thousands of rows, so they are read as a stream, in memory of a
 * fixed size. Which rows are the process' own is told by the ports that it listens on. Unix sockets are not counted,
 * and neither is UDP (QUIC): the kernel knows no connections there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define CONNECTION_PORTS_MAX 64
#define CONNECTION_LINE_MAX  512 /* a row has 150 bytes of tcp, 180 of tcp6 */

/* Source: include/net/tcp_states.h; the numbers are ABI. */
#define CONNECTION_ESTABLISHED 1
#define CONNECTION_LISTEN      10

/* As the tables print it, four words; one of IPv4 as the IPv6 address that it is mapped to. */
typedef struct ConnectionAddress {
        uint32_t words[4];
} ConnectionAddress;

typedef struct ConnectionRow {
        ConnectionAddress local;
        uint16_t local_port, remote_port;
        uint8_t state;  /* CONNECTION_... */
        uint64_t inode; /* 0: nobody holds it by a descriptor (any more) */
} ConnectionRow;

typedef void (*ConnectionRowFn)(void *userdata, const ConnectionRow *row);

/* A table on its way: what is left of the last piece that was fed. */
typedef struct ConnectionScan {
        char line[CONNECTION_LINE_MAX];
        size_t len;
        bool overlong;          /* the line in hand is longer: it is dropped at its end */
        uint64_t rows, refused; /* lines that were rows, and those that were not (the heading is none of either) */
        bool heading_seen;
} ConnectionScan;

/**
 * connection_row_parse() - one line of /proc/PID/net/tcp or tcp6, without its newline
 * @ret: untouched on failure
 * Return: 0; -EBADMSG: not a row. Source: proc_pid_net(5), Documentation/networking/proc_net_tcp.rst.
 */
int connection_row_parse(const char *line, size_t len, ConnectionRow *ret) _must_check_;

/* connection_scan_feed() - the next piece of a table; @fn is called for each whole row. A last line without a newline
 * is no row. Test: tests/unit/test-connections.c, tests/fuzz/fuzz-connections.c */
void connection_scan_feed(ConnectionScan *s, const char *buf, size_t len, ConnectionRowFn fn, void *userdata);

typedef enum ConnectionPortsFrom {
        CONNECTION_PORTS_GIVEN,
        CONNECTION_PORTS_TARGET,    /* the process holds the listening sockets */
        CONNECTION_PORTS_NAMESPACE, /* its descriptors cannot be seen, or hold none: all that listen but ours */
} ConnectionPortsFrom;

typedef struct ConnectionPort {
        uint16_t port;
        bool any; /* it listens on all addresses, or nobody said on which */
        ConnectionAddress
                address; /* else on this one: the same port of another address is another server's (hostNetwork) */
        unsigned established;
} ConnectionPort;

typedef struct Connections {
        ConnectionPortsFrom from;
        bool cut; /* it listens on more ports than are counted */
        unsigned n_ports;
        ConnectionPort ports[CONNECTION_PORTS_MAX];
        unsigned established; /* of all of them */
} Connections;

/* connections_given() - count these ports. @n: what is beyond CONNECTION_PORTS_MAX is left out, and `cut`. */
void connections_given(Connections *ret, const uint16_t *ports, unsigned n);

/**
 * connections_find() - the ports that a process listens on
 * @dir_fd: /proc/PID
 * @ret: untouched on failure. No port at all is no failure: a worker that has no clients
 * Return: 0; -ESRCH, -ENOENT: gone; -EACCES ... another negative errno.
 * Hazard: a walk through all descriptors of the process (0.1 ms a hundred): once a drain, not once a look.
 */
int connections_find(int dir_fd, Connections *ret) _must_check_;

/**
 * connections_count() - connections that are established now on the ports in @c
 * @c: in: ports; out: their figures. Untouched on failure
 * Return: 0; -EBADMSG: not the tables that are known; another negative errno. No allocation.
 * Hazard: the kernel walks its whole table of sockets: some 100 ms at 100,000 connections.
 */
int connections_count(int dir_fd, Connections *c) _must_check_;
