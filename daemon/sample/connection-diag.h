/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets as the kernel's socket monitoring interface tells them (NETLINK_SOCK_DIAG, what ss(8) asks): only those in a
 * state and on ports that are asked for, in binary, where the text tables format every row of the namespace. No
 * privilege is needed, but the asker must be in the namespace that it asks about, and a seccomp filter or another
 * kernel (gVisor) may refuse it. Sources: sock_diag(7), net/ipv4/inet_diag.c.
 */
#pragma once

#include "sample/connection-table.h"

/* connection_diag_sees() - is the namespace of @dir_fd (/proc/PID) our own? Needs no access to the process: each
 * namespace has table files of its own, and inode numbers of procfs are given once. */
bool connection_diag_sees(int dir_fd);

/**
 * connection_diag_open() - ask, for IPv4 and IPv6
 * @state: CONNECTION_...
 * @ports: local ones, @n of them; n = 0: all
 * Return: a socket that never blocks, for connection_diag_read() (Owner: caller); negative errno: this way is closed.
 */
int connection_diag_open(unsigned state, const uint16_t *ports, unsigned n) _must_check_;

/* connection_diag_read() - the next piece of the answer, some 150 rows. Return: 0: there is more; 1: that was all;
 * negative errno. Hazard: where few match the kernel walks its whole table for a piece: 5 ms on a large machine. */
int connection_diag_read(int fd, ConnectionRowFn fn, void *userdata) _must_check_;

/**
 * connection_diag_parse() - one piece, of any origin
 * @buf: aligned for nothing
 * Return: 0: no end in it; 1: the end; -EBADMSG: a message that is cut short or too long; the kernel's negative errno.
 * Test: tests/unit/test-connections.c, tests/fuzz/fuzz-connection-diag.c
 */
int connection_diag_parse(const void *buf, size_t len, ConnectionRowFn fn, void *userdata) _must_check_;
