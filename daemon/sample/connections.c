/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connections.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample/connection-diag.h"
#include "util/clock.h"
#include "util/rootfs.h"
#include "util/scan.h"

#define PIECE_MAX       ((size_t)16 * 1024) /* of a table, on the stack; the kernel gives a page at a time anyway */
#define LISTENERS_MAX   256u                /* sockets: SO_REUSEPORT makes several of one port */
#define DESCRIPTORS_MAX 64u                 /* between two looks at the clock */

typedef struct Listener {
        uint64_t inode;
        ConnectionAddress address;
        uint16_t port;
        bool target, own;
} Listener;

typedef enum Phase {
        PHASE_LISTENERS,   /* all of the namespace */
        PHASE_DESCRIPTORS, /* which of them the process holds */
        PHASE_CONNECTIONS,
        PHASE_OVER,
} Phase;

struct ConnectionLook {
        int dir_fd;
        Phase phase;
        bool netlink; /* until it is refused */

        /* what is being read */
        int fd;         /* -1 = not begun */
        unsigned table; /* as text: of `tables` */
        ConnectionScan scan;
        bool past_listeners; /* as text they come first */

        DIR *descriptors;
        unsigned n_held, n_open; /* listeners: of the process; nobody's yet */
        unsigned n_listeners;
        bool listeners_cut;
        Listener listeners[LISTENERS_MAX];

        Connections c;
};

/* Both: a socket that listens on [::] takes IPv4 too, and its connections stand in tcp6. */
static const char *const tables[] = {"net/tcp", "net/tcp6"};

/* ---- which ports ---- */

static void on_listener(void *userdata, const ConnectionRow *row) {
        ConnectionLook *l = userdata;

        if (row->state != CONNECTION_LISTEN) {
                /* Source: Documentation/networking/proc_net_tcp.rst; those that are not complete stood between them
                 * before Linux 4.4 */
                l->past_listeners |= row->state != CONNECTION_SYN_RECV;
                return;
        }
        if (l->n_listeners == LISTENERS_MAX) {
                l->listeners_cut = true;
                return;
        }
        l->listeners[l->n_listeners++] =
                (Listener){.inode = row->inode, .address = row->local, .port = row->local_port};
}

/* The inode of "socket:[4026]", as a link in /proc/PID/fd reads. */
static bool is_socket(const char *link, ssize_t n, uint64_t *ret_inode) {
        const char *p = link + strlen("socket:["), *end = link + n;

        return n > (ssize_t)strlen("socket:[]") && memcmp(link, "socket:[", strlen("socket:[")) == 0 &&
               scan_u64(&p, end, ret_inode) && end - p == 1 && *p == ']';
}

static DIR *open_fds(int dir_fd) {
        int fd = rootfs_open_dir(dir_fd, "fd");
        DIR *d;

        if (fd < 0) {
                errno = -fd;
                return NULL;
        }
        d = fdopendir(fd);
        if (!d)
                fd_close(fd);
        return d;
}

static void mark(ConnectionLook *l, uint64_t inode, bool own) {
        for (unsigned i = 0; i < l->n_listeners; i++) {
                Listener *at = &l->listeners[i];

                if (at->inode != inode)
                        continue;
                l->n_held += !own && !at->target;
                l->n_open -= !at->own && !at->target;
                *(own ? &at->own : &at->target) = true;
        }
}

/* Return: how many were looked at; fewer than @n: those were the last. */
static unsigned mark_some(ConnectionLook *l, DIR *d, bool own, unsigned n) {
        const struct dirent *e;
        unsigned seen = 0;

        while (seen < n && (e = readdir(d))) {
                char link[64];
                ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof(link));
                uint64_t inode;

                if (len > 0 && is_socket(link, len, &inode))
                        mark(l, inode, own);
                seen++;
        }
        return seen;
}

static void mark_ours(ConnectionLook *l) {
        _cleanup_fd_ int self = rootfs_open_dir(AT_FDCWD, "/proc/self");
        DIR *d = self >= 0 ? open_fds(self) : NULL;

        if (!d)
                return;
        (void)mark_some(l, d, true, UINT_MAX);
        closedir(d);
}

static bool address_is_any(const ConnectionAddress *a) {
        return a->words[0] == 0 && a->words[1] == 0 && (a->words[2] == 0 || a->words[2] == CONNECTION_MAPPED_V4) &&
               a->words[3] == 0;
}

static bool address_equal(const ConnectionAddress *a, const ConnectionAddress *b) {
        return memcmp(a, b, sizeof(*a)) == 0;
}

/* @address: NULL = any */
static void add_port(Connections *c, uint16_t port, const ConnectionAddress *address) {
        bool any = !address || address_is_any(address);

        for (unsigned i = 0; i < c->n_ports; i++) {
                ConnectionPort *have = &c->ports[i];

                if (have->port != port)
                        continue;
                if (have->any || any) { /* all addresses have it in them */
                        have->any = true;
                        return;
                }
                if (address_equal(&have->address, address))
                        return;
        }
        if (c->n_ports == CONNECTION_PORTS_MAX) {
                c->cut = true;
                return;
        }
        c->ports[c->n_ports] = (ConnectionPort){.port = port, .any = any};
        if (!any)
                c->ports[c->n_ports].address = *address;
        c->n_ports++;
}

void connections_given(Connections *ret, const uint16_t *ports, unsigned n) {
        *ret = (Connections){.from = CONNECTION_PORTS_GIVEN};
        for (unsigned i = 0; i < n; i++)
                add_port(ret, ports[i], NULL);
}

static void take_ports(ConnectionLook *l) {
        bool held = l->n_held > 0;

        l->c = (Connections){.from = held ? CONNECTION_PORTS_TARGET : CONNECTION_PORTS_NAMESPACE,
                             .cut = l->listeners_cut};
        for (unsigned i = 0; i < l->n_listeners; i++)
                if (held ? l->listeners[i].target : !l->listeners[i].own)
                        add_port(&l->c, l->listeners[i].port, &l->listeners[i].address);
        l->phase = PHASE_CONNECTIONS;
}

/* Stops when none is left to be found: most have few listening sockets, and by low numbers. */
static int step_descriptors(ConnectionLook *l) {
        if (!l->descriptors) {
                l->n_open = l->n_listeners;
                mark_ours(l);
                l->descriptors = open_fds(l->dir_fd);
                if (!l->descriptors) {
                        if (errno == ESRCH || errno == ENOENT)
                                return -errno;
                        take_ports(l); /* they cannot be seen */
                        return 0;
                }
        }
        if (l->n_open == 0 || mark_some(l, l->descriptors, false, DESCRIPTORS_MAX) < DESCRIPTORS_MAX)
                take_ports(l);
        return 0;
}

/* ---- counting ---- */

static void on_connection(void *userdata, const ConnectionRow *row) {
        Connections *c = &((ConnectionLook *)userdata)->c;

        if (row->state != CONNECTION_ESTABLISHED)
                return;
        for (unsigned i = 0; i < c->n_ports; i++)
                if (c->ports[i].port == row->local_port &&
                    (c->ports[i].any || address_equal(&c->ports[i].address, &row->local))) {
                        c->ports[i].established++;
                        c->established++;
                        return;
                }
}

/* ---- the tables ---- */

/* Return: 0: there is more in it; 1: that was all; negative errno. */
static int piece_of_netlink(ConnectionLook *l, bool listeners) {
        uint16_t ports[CONNECTION_PORTS_MAX];

        if (l->fd < 0) {
                for (unsigned i = 0; i < l->c.n_ports; i++)
                        ports[i] = l->c.ports[i].port;
                l->fd = listeners ? connection_diag_open(CONNECTION_LISTEN, NULL, 0)
                                  : connection_diag_open(CONNECTION_ESTABLISHED, ports, l->c.n_ports);
                return min_of(l->fd, 0);
        }
        return connection_diag_read(l->fd, listeners ? on_listener : on_connection, l);
}

/* A table that is not there (IPv6 is off) has no rows. */
static int piece_of_text(ConnectionLook *l, bool listeners) {
        char piece[PIECE_MAX];
        ssize_t n;

        if (l->fd < 0) {
                l->scan = (ConnectionScan){0};
                l->past_listeners = false;
                l->fd = rootfs_open(l->dir_fd, tables[l->table]);
                return l->fd == -ENOENT && l->table > 0 ? 1 : min_of(l->fd, 0);
        }
        n = read(l->fd, piece, sizeof(piece));
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        connection_scan_feed(&l->scan, piece, (size_t)n, listeners ? on_listener : on_connection, l);
        if (n > 0)
                return listeners && l->past_listeners;
        return l->scan.refused > 0 || l->scan.len > 0 || l->scan.overlong ? -EBADMSG : 1;
}

static void begin_tables(ConnectionLook *l) {
        l->fd = fd_close(l->fd);
        l->table = 0;
        l->n_listeners = 0;
        l->listeners_cut = false;
        l->c.established = 0;
        for (unsigned i = 0; i < l->c.n_ports; i++)
                l->c.ports[i].established = 0;
}

static int step_tables(ConnectionLook *l) {
        bool listeners = l->phase == PHASE_LISTENERS;
        int r = l->netlink ? piece_of_netlink(l, listeners) : piece_of_text(l, listeners);

        if (r < 0 && l->netlink) { /* no privilege, no such thing here, not what we know: the other way has it all */
                l->netlink = false;
                begin_tables(l);
                return 0;
        }
        if (r <= 0)
                return r;
        l->fd = fd_close(l->fd);
        if (!l->netlink && ++l->table < ELEMENTSOF(tables))
                return 0;
        l->table = 0;
        l->c.by_netlink = l->netlink;
        l->phase = listeners ? PHASE_DESCRIPTORS : PHASE_OVER;
        return 0;
}

/* ---- a look ---- */

int connection_look_new(int dir_fd, const Connections *known, ConnectionWay way, ConnectionLook **ret) {
        ConnectionLook *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        l->fd = -1;
        l->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
        if (l->dir_fd < 0) {
                int r = -errno;

                connection_look_free(l);
                return r;
        }
        l->netlink = way == CONNECTION_BY_ANY && connection_diag_sees(dir_fd);
        if (known) {
                l->c = *known;
                l->phase = PHASE_CONNECTIONS;
        }
        begin_tables(l);
        *ret = l;
        return 0;
}

int connection_look_step(ConnectionLook *l, uint64_t budget_usec, Connections *ret) {
        uint64_t begin = now_mono_usec();
        int r;

        do {
                if (l->phase == PHASE_CONNECTIONS && l->c.n_ports == 0)
                        l->phase = PHASE_OVER;
                if (l->phase == PHASE_OVER) {
                        *ret = l->c;
                        return 1;
                }
                r = l->phase == PHASE_DESCRIPTORS ? step_descriptors(l) : step_tables(l);
        } while (r >= 0 && now_mono_usec() - begin < budget_usec);
        return r;
}

bool connection_look_found(const ConnectionLook *l, Connections *ret) {
        if (l->phase < PHASE_CONNECTIONS)
                return false;
        *ret = l->c;
        ret->established = 0;
        for (unsigned i = 0; i < ret->n_ports; i++)
                ret->ports[i].established = 0;
        return true;
}

ConnectionLook *connection_look_free(ConnectionLook *l) {
        if (!l)
                return NULL;
        if (l->descriptors)
                closedir(l->descriptors);
        fd_close(l->fd);
        fd_close(l->dir_fd);
        free(l);
        return NULL;
}
