/* SPDX-License-Identifier: Apache-2.0
 *
 * One socket of a network namespace, and the kernel's text of all of them: /proc/PID/net/tcp and tcp6, a row a socket.
 * The tables may have hundreds of thousands of rows, so they are read as a stream, in memory of a fixed size.
 */
#pragma once

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

#define CONNECTION_LINE_MAX 512 /* a row has 150 bytes of tcp, 180 of tcp6 */

/* Source: include/net/tcp_states.h; the numbers are ABI. */
#define CONNECTION_ESTABLISHED 1
#define CONNECTION_SYN_RECV    3
#define CONNECTION_LISTEN      10

#define CONNECTION_MAPPED_V4 (htonl(0xFFFF)) /* the third word of ::ffff:a.b.c.d, as it lies in memory */

/* Four words as they lie in memory; one of IPv4 as the IPv6 address that it is mapped to. */
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
