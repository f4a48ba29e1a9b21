/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of a process' clients, counted from outside. The kernel is asked for the sockets of the process' network
 * namespace, by netlink where that is ours, or reads them to us as text (connection-diag.h, connection-table.h). Either
 * may have hundreds of thousands, so a look is made in pieces, between which the loop goes on. Which sockets are the
 * process' own is told by the ports that it listens on. Unix sockets are not counted, and neither is UDP (QUIC): the
 * kernel knows no connections there.
 */
#pragma once

#include "sample/connection-table.h"

#define CONNECTION_PORTS_MAX 64

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
        bool by_netlink; /* how they were counted */
        bool cut; /* it listens on more ports than are counted */
        unsigned n_ports;
        ConnectionPort ports[CONNECTION_PORTS_MAX];
        unsigned established; /* of all of them */
} Connections;

/* connections_given() - count these ports. @n: what is beyond CONNECTION_PORTS_MAX is left out, and `cut`. */
void connections_given(Connections *ret, const uint16_t *ports, unsigned n);

typedef enum ConnectionWay {
        CONNECTION_BY_ANY,    /* netlink, else the tables */
        CONNECTION_BY_TABLES, /* the tables alone */
} ConnectionWay;

typedef struct ConnectionLook ConnectionLook;

/**
 * connection_look_new() - begin to count what is established now
 * @dir_fd: /proc/PID; duplicated
 * @known:  the ports, of connections_given() or of an earlier look; NULL: those that the process listens on are found
 *          first, by a walk through its descriptors. No port at all is no failure: a worker that has no clients
 * Return: 0; -ENOMEM; another negative errno. Owner: caller.
 */
int connection_look_new(int dir_fd, const Connections *known, ConnectionWay way, ConnectionLook **ret) _must_check_;

/**
 * connection_look_step() - go on for about @budget_usec of elapsed time
 * @ret: what was counted, once it is over; untouched before and on failure
 * Return: 0: there is more to do; 1: over; -ESRCH, -ENOENT: the process is gone; -EBADMSG: not the tables that are
 * known; another negative errno. No call after the last one but to free.
 * Hazard: a piece is not cut: 150 sockets by netlink, a page of text, 64 descriptors.
 */
int connection_look_step(ConnectionLook *l, uint64_t budget_usec, Connections *ret) _must_check_;

/* connection_look_found() - are its ports known by now? Then @ret has them, without figures. */
bool connection_look_found(const ConnectionLook *l, Connections *ret);
ConnectionLook *connection_look_free(ConnectionLook *l);
