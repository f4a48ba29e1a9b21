/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/rootfs.h"
#include "util/scan.h"

#define PIECE_MAX     ((size_t)16 * 1024) /* of a table, on the stack; the kernel gives a page at a time anyway */
#define LISTENERS_MAX 256u                /* sockets: SO_REUSEPORT makes several of one port */
#define WORD_DIGITS   8u
#define MAPPED_V4     (htonl(0xFFFF)) /* the third word of ::ffff:a.b.c.d, as it lies in memory */

/* ---- one row ---- */

static bool scan_hex(const char **p, const char *end, size_t digits_max, uint64_t *ret) {
        uint64_t v = 0;
        size_t n = 0;

        for (; *p < end && n <= digits_max; (*p)++, n++) {
                unsigned char c = (unsigned char)**p;
                unsigned digit;

                if (c >= '0' && c <= '9')
                        digit = c - '0';
                else if (c >= 'A' && c <= 'F')
                        digit = c - 'A' + 10u;
                else
                        break;
                v = v << 4 | digit;
        }
        if (n == 0 || n > digits_max)
                return false;
        *ret = v;
        return true;
}

/* Eight digits (IPv4) or 32: words in the kernel's own byte order, the same for both tables. */
static bool scan_address(const char **p, const char *end, ConnectionAddress *ret) {
        const char *start = *p;
        size_t n_words;

        while (*p < end && ((**p >= '0' && **p <= '9') || (**p >= 'A' && **p <= 'F')))
                (*p)++;
        n_words = (size_t)(*p - start) / WORD_DIGITS;
        if ((n_words != 1 && n_words != 4) || (size_t)(*p - start) % WORD_DIGITS != 0)
                return false;
        *ret = (ConnectionAddress){.words = {[2] = MAPPED_V4}};
        for (size_t i = 0; i < n_words; i++) {
                const char *word = start + i * WORD_DIGITS;
                uint64_t v;

                if (!scan_hex(&word, word + WORD_DIGITS, WORD_DIGITS, &v))
                        return false;
                ret->words[n_words == 1 ? 3 : i] = (uint32_t)v;
        }
        return true;
}

/* "0100007F:1F90" */
static bool scan_endpoint(const char **p, const char *end, ConnectionAddress *ret_address, uint16_t *ret_port) {
        const char *start;
        uint64_t port;

        *p = scan_blanks(*p, end);
        if (!scan_address(p, end, ret_address) || *p == end || **p != ':')
                return false;
        (*p)++;
        start = *p;
        if (!scan_hex(p, end, 4, &port) || *p - start != 4)
                return false;
        *ret_port = (uint16_t)port;
        return true;
}

/* A word of any other column. */
static bool skip_word(const char **p, const char *end) {
        const char *start;

        *p = start = scan_blanks(*p, end);
        while (*p < end && **p != ' ')
                (*p)++;
        return *p > start;
}

int connection_row_parse(const char *line, size_t len, ConnectionRow *ret) {
        const char *p = scan_blanks(line, line + len), *end = line + len;
        ConnectionRow row = {0};
        ConnectionAddress remote;
        uint64_t v;

        if (!scan_u64(&p, end, &v) || p == end || *p++ != ':') /* "  12:" */
                return -EBADMSG;
        if (!scan_endpoint(&p, end, &row.local, &row.local_port) || !scan_endpoint(&p, end, &remote, &row.remote_port))
                return -EBADMSG;
        p = scan_blanks(p, end);
        if (!scan_hex(&p, end, 2, &v))
                return -EBADMSG;
        row.state = (uint8_t)v;
        for (unsigned i = 0; i < 5; i++) /* queues, timer, retransmits, uid, timeout */
                if (!skip_word(&p, end))
                        return -EBADMSG;
        p = scan_blanks(p, end);
        if (!scan_u64(&p, end, &row.inode) || (p < end && *p != ' '))
                return -EBADMSG;
        *ret = row;
        return 0;
}

/* ---- a table, piece by piece ---- */

static void take_line(ConnectionScan *s, const char *line, size_t len, ConnectionRowFn fn, void *userdata) {
        ConnectionRow row;

        if (!s->heading_seen) {
                s->heading_seen = true;
                return;
        }
        if (connection_row_parse(line, len, &row) < 0) {
                s->refused++;
                return;
        }
        s->rows++;
        fn(userdata, &row);
}

void connection_scan_feed(ConnectionScan *s, const char *buf, size_t len, ConnectionRowFn fn, void *userdata) {
        const char *p = buf, *end = buf + len;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((newline ? newline : end) - p);

                if (newline && s->len == 0 && !s->overlong && n <= sizeof(s->line)) {
                        take_line(s, p, n, fn, userdata); /* whole, as most are: no copy */
                        p = newline + 1;
                        continue;
                }
                if (s->overlong || n > sizeof(s->line) - s->len) {
                        s->overlong = true;
                        s->len = 0;
                } else {
                        memcpy(s->line + s->len, p, n);
                        s->len += n;
                }
                if (!newline)
                        return;
                if (s->overlong) {
                        s->refused += s->heading_seen;
                        s->heading_seen = true;
                } else
                        take_line(s, s->line, s->len, fn, userdata);
                s->len = 0;
                s->overlong = false;
                p = newline + 1;
        }
}

/* A table that is not there (IPv6 is off) has no rows. */
static int read_table(int dir_fd, const char *path, ConnectionRowFn fn, void *userdata) {
        _cleanup_fd_ int fd = rootfs_open(dir_fd, path);
        ConnectionScan scan = {0};
        char piece[PIECE_MAX];

        if (fd < 0)
                return fd;
        for (;;) {
                ssize_t n = read(fd, piece, sizeof(piece));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                connection_scan_feed(&scan, piece, (size_t)n, fn, userdata);
        }
        return scan.refused > 0 || scan.len > 0 || scan.overlong ? -EBADMSG : 0;
}

/* Both: a socket that listens on [::] takes IPv4 too, and its connections stand in tcp6. */
static int read_tables(int dir_fd, ConnectionRowFn fn, void *userdata) {
        int r = read_table(dir_fd, "net/tcp", fn, userdata);

        if (r < 0)
                return r;
        r = read_table(dir_fd, "net/tcp6", fn, userdata);
        return r == -ENOENT ? 0 : r;
}

/* ---- which ports ---- */

typedef struct Listeners {
        unsigned n;
        bool cut;
        struct {
                uint64_t inode;
                ConnectionAddress address;
                uint16_t port;
                bool target, own;
        } at[LISTENERS_MAX];
} Listeners;

static void on_listener(void *userdata, const ConnectionRow *row) {
        Listeners *l = userdata;

        if (row->state != CONNECTION_LISTEN)
                return;
        if (l->n == LISTENERS_MAX) {
                l->cut = true;
                return;
        }
        l->at[l->n].inode = row->inode;
        l->at[l->n].address = row->local;
        l->at[l->n].port = row->local_port;
        l->n++;
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

/* Which of the listening sockets a process holds. @own: it is ourselves. Return: how many; negative errno: its
 * descriptors cannot be seen. */
static int mark_held(int dir_fd, Listeners *l, bool own) {
        DIR *d = open_fds(dir_fd);
        const struct dirent *e;
        int found = 0;

        if (!d)
                return -errno;
        while ((e = readdir(d))) {
                char link[64];
                ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link));
                uint64_t inode;

                if (n <= 0 || !is_socket(link, n, &inode))
                        continue;
                for (unsigned i = 0; i < l->n; i++)
                        if (l->at[i].inode == inode) {
                                *(own ? &l->at[i].own : &l->at[i].target) = true;
                                found++;
                        }
        }
        closedir(d);
        return found;
}

static void mark_ours(Listeners *l) {
        _cleanup_fd_ int self = rootfs_open_dir(AT_FDCWD, "/proc/self");

        if (self >= 0)
                (void)mark_held(self, l, true);
}

static bool address_is_any(const ConnectionAddress *a) {
        return a->words[0] == 0 && a->words[1] == 0 && (a->words[2] == 0 || a->words[2] == MAPPED_V4) &&
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

int connections_find(int dir_fd, Connections *ret) {
        Listeners l = {0};
        Connections c = {0};
        int r = read_tables(dir_fd, on_listener, &l);

        if (r < 0)
                return r;
        r = mark_held(dir_fd, &l, false);
        if (r == -ESRCH || r == -ENOENT)
                return r;
        c.from = r > 0 ? CONNECTION_PORTS_TARGET : CONNECTION_PORTS_NAMESPACE;
        c.cut = l.cut;
        if (r <= 0)
                mark_ours(&l);
        for (unsigned i = 0; i < l.n; i++)
                if (r > 0 ? l.at[i].target : !l.at[i].own)
                        add_port(&c, l.at[i].port, &l.at[i].address);
        *ret = c;
        return 0;
}

/* ---- counting ---- */

static void on_connection(void *userdata, const ConnectionRow *row) {
        Connections *c = userdata;

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

int connections_count(int dir_fd, Connections *c) {
        Connections now = *c;
        int r;

        now.established = 0;
        for (unsigned i = 0; i < now.n_ports; i++)
                now.ports[i].established = 0;
        r = read_tables(dir_fd, on_connection, &now);
        if (r < 0)
                return r;
        *c = now;
        return 0;
}
