/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample/connection-diag.h"
#include "unit/tree.h"
#include "util/rootfs.h"

#define HEADING4                                                                                                       \
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode            " \
        "\n"
#define LISTEN4                                                                                                        \
        "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41 1 0 100 0 0 "   \
        "10 0\n"
#define CLIENT4                                                                                                        \
        "   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 02:000A2D3C 00000000  1000        0 42 2 0 20 4 30 "   \
        "10 -1\n"
#define OTHER4                                                                                                         \
        "   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 43 1 0 20 4 30 "   \
        "10 -1\n"
#define WAITING4 "   3: 0100007F:1F90 0100007F:D432 06 00000000:00000000 03:00001234 00000000     0        0 0 3 0\n"
#define HEADING6                                                                                                       \
        "  sl  local_address                         remote_address                        st tx_queue rx_queue tr\n"
#define CLIENT6                                                                                                        \
        "   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:D433 01 00000000:00000000 "      \
        "00:00000000 00000000     0        0 44 1 0 20 4 0 10 -1\n"

static void test_rows(void **state _unused_) {
        ConnectionRow row;

        assert_int_equal(connection_row_parse(CLIENT4, strlen(CLIENT4) - 1, &row), 0);
        assert_int_equal(row.local_port, 8080);
        assert_int_equal(row.remote_port, 0xD431);
        assert_int_equal(row.state, CONNECTION_ESTABLISHED);
        assert_int_equal(row.inode, 42);
        assert_int_equal(connection_row_parse(LISTEN4, strlen(LISTEN4) - 1, &row), 0);
        assert_int_equal(row.state, CONNECTION_LISTEN);
        assert_int_equal(connection_row_parse(CLIENT6, strlen(CLIENT6) - 1, &row), 0);
        assert_int_equal(row.local_port, 8080);
        assert_int_equal(row.inode, 44);
}

static void test_refused(void **state _unused_) {
        static const char *const cases[] = {
                "",
                "  sl  local_address rem_address",
                "1 0100007F:1F90 0100007F:D431 01 0:0 0:0 0 0 0 42",   /* no colon */
                "1: 0100007F:1F9 0100007F:D431 01 0:0 0:0 0 0 0 42",   /* three digits */
                "1: 0100007F:1F90A 0100007F:D431 01 0:0 0:0 0 0 0 42", /* five */
                "1: 0100007:1F90 0100007F:D431 01 0:0 0:0 0 0 0 42",   /* an address of seven */
                "1: 0100007F:1F90 0100007F:D431 101 0:0 0:0 0 0 0 42", /* a state of three */
                "1: 0100007F:1F90 0100007F:D431 01 0:0 0:0 0 0 0",     /* no inode */
                "1: 0100007F:1F90 0100007F:D431 01 0:0 0:0 0 0 0 18446744073709551616",
                "1: 0100007F:1F90 0100007F:D431 01 0:0 0:0 0 0 0 42x",
                "1: 0100007f:1F90 0100007F:D431 01 0:0 0:0 0 0 0 42", /* the kernel writes capitals */
        };
        ConnectionRow row = {.inode = 7};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (connection_row_parse(cases[i], strlen(cases[i]), &row) != -EBADMSG)
                        fail_msg("taken: %s", cases[i]);
        assert_int_equal(row.inode, 7);
}

static void on_row(void *userdata, const ConnectionRow *row) {
        *(uint64_t *)userdata = *(uint64_t *)userdata * 100 + row->inode;
}

static void test_pieces_of_any_size(void **state _unused_) {
        static const char table[] = HEADING4 LISTEN4 CLIENT4 OTHER4 WAITING4;

        for (size_t step = 1; step <= sizeof(table); step++) {
                ConnectionScan scan = {0};
                uint64_t seen = 0;

                for (size_t at = 0; at < sizeof(table) - 1; at += step)
                        connection_scan_feed(&scan, table + at, min_of(step, sizeof(table) - 1 - at), on_row, &seen);
                assert_int_equal(seen, 41424300);
                assert_int_equal(scan.rows, 4);
                assert_int_equal(scan.refused, 0);
        }
}

static void test_a_line_too_long_is_dropped_alone(void **state _unused_) {
        char line[CONNECTION_LINE_MAX + 2];
        ConnectionScan scan = {0};
        uint64_t seen = 0;

        memset(line, '0', sizeof(line));
        line[sizeof(line) - 1] = '\n';
        connection_scan_feed(&scan, HEADING4, strlen(HEADING4), on_row, &seen);
        connection_scan_feed(&scan, line, sizeof(line), on_row, &seen);
        connection_scan_feed(&scan, CLIENT4, strlen(CLIENT4), on_row, &seen);
        assert_int_equal(seen, 42);
        assert_int_equal(scan.refused, 1);
}

/* ---- looks ---- */

/* In the smallest pieces: what a budget cuts must not matter. */
static int look(int dir_fd, const Connections *known, ConnectionWay way, Connections *ret) {
        ConnectionLook *l;
        int r = connection_look_new(dir_fd, known, way, &l);

        assert_int_equal(r, 0);
        do
                r = connection_look_step(l, 0, ret);
        while (r == 0);
        connection_look_free(l);
        return r < 0 ? r : 0;
}

static int find(int dir_fd, Connections *ret) {
        return look(dir_fd, NULL, CONNECTION_BY_ANY, ret);
}

static int count(int dir_fd, Connections *c) {
        return look(dir_fd, c, CONNECTION_BY_ANY, c);
}

/* ---- trees ---- */

static void put(const Tree *t, const char *path, const char *text) {
        _cleanup_fd_ int fd = openat(t->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static Tree process(const char *tcp, const char *tcp6) {
        Tree t = tree_new();

        assert_int_equal(mkdirat(t.fd, "net", 0700), 0);
        assert_int_equal(mkdirat(t.fd, "fd", 0700), 0);
        put(&t, "net/tcp", tcp);
        if (tcp6)
                put(&t, "net/tcp6", tcp6);
        return t;
}

static void test_ports_that_the_process_holds(void **state _unused_) {
        _cleanup_tree_ Tree t =
                process(HEADING4 LISTEN4 "   4: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 99 1\n" CLIENT4 WAITING4,
                        HEADING6 CLIENT6);
        Connections c;

        assert_int_equal(symlinkat("socket:[41]", t.fd, "fd/3"), 0);
        assert_int_equal(symlinkat("socket:[410]", t.fd, "fd/4"), 0);
        assert_int_equal(symlinkat("/dev/null", t.fd, "fd/0"), 0);
        assert_int_equal(find(t.fd, &c), 0);
        assert_int_equal(c.from, CONNECTION_PORTS_TARGET);
        assert_int_equal(c.n_ports, 1);
        assert_int_equal(c.ports[0].port, 8080);
        assert_int_equal(count(t.fd, &c), 0);
        assert_int_equal(c.established, 2); /* one of tcp, one of tcp6; neither TIME_WAIT nor the client's end */
}

/* Pods on the host's network: the same port of another address is another server's. */
static void test_the_address_that_it_listens_on(void **state _unused_) {
        _cleanup_tree_ Tree t = process(
                HEADING4 "   1: 0A000001:1F90 00000000:0000 0A 0:0 0:0 0 0 0 41 1\n"
                         "   2: 0A000001:1F90 0A000009:C001 01 0:0 0:0 0 0 0 42 1\n"
                         "   3: 0A000002:1F90 0A000009:C002 01 0:0 0:0 0 0 0 43 1\n",
                HEADING6
                "   4: 0000000000000000FFFF00000A000001:1F90 0000000000000000FFFF00000A000009:C003 01 0:0 0:0 0 0 0 "
                "44 1\n");
        Connections c;

        assert_int_equal(symlinkat("socket:[41]", t.fd, "fd/3"), 0);
        assert_int_equal(find(t.fd, &c), 0);
        assert_int_equal(c.n_ports, 1);
        assert_false(c.ports[0].any);
        assert_int_equal(count(t.fd, &c), 0);
        assert_int_equal(c.established, 2);
}

static void test_ports_of_the_namespace_without_descriptors(void **state _unused_) {
        _cleanup_tree_ Tree t =
                process(HEADING4 LISTEN4 "   4: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 99 1\n", NULL);
        Connections c;

        assert_int_equal(find(t.fd, &c), 0); /* fd/ is empty: another process accepts for it */
        assert_int_equal(c.from, CONNECTION_PORTS_NAMESPACE);
        assert_int_equal(c.n_ports, 2);
        tree_run(&t, "rmdir fd; ln -s nowhere fd");
        assert_int_equal(find(t.fd, &c), -ENOENT);
}

static void test_tables_that_are_none(void **state _unused_) {
        static const char *const cases[] = {HEADING4 "nonsense\n", HEADING4 "   1: 0100007F:1F90 0100", "no newline"};
        static const uint16_t port = 8080;
        Connections c;

        connections_given(&c, &port, 1);
        c.established = 5;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree t = process(cases[i], NULL);

                assert_int_equal(count(t.fd, &c), -EBADMSG);
                assert_int_equal(c.established, 5);
        }
}

static void test_given_ports(void **state _unused_) {
        uint16_t ports[CONNECTION_PORTS_MAX + 2];
        Connections c;

        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                ports[i] = (uint16_t)(8000 + i / 2 * 2); /* each twice */
        connections_given(&c, ports, ELEMENTSOF(ports));
        assert_int_equal(c.n_ports, CONNECTION_PORTS_MAX / 2 + 1);
        assert_false(c.cut);
        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                ports[i] = (uint16_t)(8000 + i);
        connections_given(&c, ports, ELEMENTSOF(ports));
        assert_int_equal(c.n_ports, CONNECTION_PORTS_MAX);
        assert_true(c.cut);
}

/* ---- real sockets ---- */

typedef struct Pair {
        int listener, client, server; /* -1 = none */
        struct sockaddr_storage at;
        uint16_t port;
} Pair;

/* A listening socket at @at (its port is chosen), and a connection to it from @via, or to @at. */
static Pair pair_new(const char *at, const char *via) {
        bool six = strchr(at, ':'), from_six = strchr(via, ':');
        struct sockaddr_in6 a6 = {.sin6_family = AF_INET6}, v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in a4 = {.sin_family = AF_INET}, v4 = {.sin_family = AF_INET};
        struct sockaddr *a = six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
        struct sockaddr *v = from_six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
        socklen_t len = six ? sizeof(a6) : sizeof(a4);
        Pair p = {.listener = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                  .client = -1,
                  .server = -1};

        assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, at, six ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr),
                         1);
        assert_int_equal(
                inet_pton(from_six ? AF_INET6 : AF_INET, via, from_six ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr),
                1);
        if (p.listener < 0 || bind(p.listener, a, len) < 0) { /* no IPv6 here */
                fd_close(p.listener);
                p.listener = -1;
                return p;
        }
        assert_int_equal(listen(p.listener, 4), 0);
        assert_int_equal(getsockname(p.listener, a, &len), 0);
        p.port = ntohs(six ? a6.sin6_port : a4.sin_port);
        v6.sin6_port = v4.sin_port = htons(p.port);
        p.client = socket(v->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(p.client, v, from_six ? sizeof(v6) : sizeof(v4)), 0);
        p.server = accept(p.listener, NULL, NULL);
        assert_true(p.server >= 0);
        return p;
}

static void pair_done(Pair *p) {
        p->client = fd_close(p->client);
        p->server = fd_close(p->server);
        p->listener = fd_close(p->listener);
}

static unsigned established(const Connections *c, uint16_t port) {
        for (unsigned i = 0; i < c->n_ports; i++)
                if (c->ports[i].port == port)
                        return c->ports[i].established;
        return UINT_MAX; /* not found */
}

static bool same(const Connections *a, const Connections *b) {
        bool all = a->n_ports == b->n_ports && a->established == b->established && a->from == b->from;

        for (unsigned i = 0; all && i < a->n_ports; i++) {
                unsigned k = 0;

                while (k < b->n_ports && memcmp(&a->ports[i], &b->ports[k], sizeof(a->ports[i])) != 0)
                        k++;
                all = k < b->n_ports;
        }
        return all;
}

/* Is it there at all: a kernel without, or a runtime's filter around this test, is no failure. */
static bool by_netlink(int proc) {
        _cleanup_fd_ int fd = connection_diag_open(CONNECTION_LISTEN, NULL, 0);
        uint64_t seen = 0;

        return fd >= 0 && connection_diag_read(fd, on_row, &seen) >= 0 && connection_diag_sees(proc);
}

/* Both ways have the same answers for all there is: IPv4, IPv6, one that takes both, one address of several. */
static void test_live(void **state _unused_) {
        static const char *const ways[][2] = {{"127.0.0.1", "127.0.0.1"},
                                              {"0.0.0.0", "127.0.0.2"},
                                              {"::1", "::1"},
                                              {"::", "127.0.0.1"},
                                              {"::", "::1"},
                                              {"127.0.0.3", "127.0.0.3"}};
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc/self");
        Pair pairs[ELEMENTSOF(ways)];
        Connections netlink, text;

        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                pairs[i] = pair_new(ways[i][0], ways[i][1]);
        assert_int_equal(look(proc, NULL, CONNECTION_BY_ANY, &netlink), 0);
        assert_int_equal(look(proc, NULL, CONNECTION_BY_TABLES, &text), 0);
        assert_int_equal(netlink.from, CONNECTION_PORTS_TARGET);
        assert_int_equal(netlink.by_netlink, by_netlink(proc));
        assert_false(text.by_netlink);
        assert_true(same(&netlink, &text));
        for (size_t i = 0; i < ELEMENTSOF(ways); i++) {
                if (pairs[i].listener < 0)
                        continue;
                if (established(&netlink, pairs[i].port) != 1)
                        fail_msg("%s by %s: %u", ways[i][0], ways[i][1], established(&netlink, pairs[i].port));
                pairs[i].client = fd_close(pairs[i].client);
                pairs[i].server = fd_close(pairs[i].server);
                assert_int_equal(count(proc, &netlink), 0);
                assert_int_equal(established(&netlink, pairs[i].port), 0);
        }
        assert_int_equal(netlink.established, 0);
        for (size_t i = 0; i < ELEMENTSOF(ways); i++)
                pair_done(&pairs[i]);
}

/* As many ports as there may be, ours the first, in the middle and the last of them: the filter's jumps. */
static void test_each_place_in_the_filter(void **state _unused_) {
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc/self");
        Pair p = pair_new("127.0.0.1", "127.0.0.1");

        for (unsigned n = 1; n <= CONNECTION_PORTS_MAX; n += n < 4 ? 1 : 20)
                for (unsigned at = 0; at < n; at++) {
                        uint16_t ports[CONNECTION_PORTS_MAX];
                        Connections c;

                        for (unsigned i = 0; i < n; i++)
                                ports[i] = i == at ? p.port : (uint16_t)(i + 1);
                        connections_given(&c, ports, n);
                        assert_int_equal(count(proc, &c), 0);
                        assert_int_equal(c.by_netlink, by_netlink(proc));
                        assert_int_equal(c.established, 1);
                }
        pair_done(&p);
}

/* More than a piece of the answer, and more than one step. */
static void test_many(void **state _unused_) {
        enum { MANY = 400 };
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc/self");
        Pair p = pair_new("127.0.0.1", "127.0.0.1");
        struct sockaddr_in a;
        socklen_t len = sizeof(a);
        int fds[MANY][2];
        Connections c;

        assert_int_equal(getsockname(p.listener, (struct sockaddr *)&a, &len), 0);
        for (unsigned i = 0; i < MANY; i++) {
                fds[i][0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                assert_int_equal(connect(fds[i][0], (struct sockaddr *)&a, sizeof(a)), 0);
                fds[i][1] = accept(p.listener, NULL, NULL);
        }
        for (ConnectionWay way = CONNECTION_BY_ANY; way <= CONNECTION_BY_TABLES; way++) {
                assert_int_equal(look(proc, NULL, way, &c), 0);
                assert_int_equal(established(&c, p.port), MANY + 1);
        }
        for (unsigned i = 0; i < MANY; i++)
                for (unsigned k = 0; k < 2; k++)
                        fd_close(fds[i][k]);
        pair_done(&p);
}

/* ---- where netlink is not ---- */

static int status_of(pid_t pid) {
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* As a runtime's profile may: the tables have the same answer. */
static void test_refused_by_a_filter(void **state _unused_) {
        static struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        static const struct sock_fprog program = {.len = ELEMENTSOF(code), .filter = code};
        Pair p = pair_new("127.0.0.1", "127.0.0.1");
        pid_t pid = fork();

        if (pid == 0) {
                int proc = rootfs_open_dir(AT_FDCWD, "/proc/self");
                Connections c;

                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                        _exit(77);
                if (socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG) >= 0)
                        _exit(2);
                _exit(find(proc, &c) == 0 && !c.by_netlink && established(&c, p.port) == 1 ? 0 : 1);
        }
        switch (status_of(pid)) {
        case 77:
                pair_done(&p);
                skip();
                break;
        case 0:
                break;
        default:
                fail();
        }
        pair_done(&p);
}

/* Netlink would tell of ours: the tables are those of the process. */
static void test_of_another_namespace(void **state _unused_) {
        Pair p = pair_new("127.0.0.1", "127.0.0.1");
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                _cleanup_fd_ int parent = -1;
                char path[32];
                Connections c;

                snprintf(path, sizeof(path), "/proc/%d", (int)getppid());
                parent = rootfs_open_dir(AT_FDCWD, path);
                if (unshare(CLONE_NEWNET) < 0)
                        _exit(77);
                if (connection_diag_sees(parent))
                        _exit(2);
                _exit(find(parent, &c) == 0 && !c.by_netlink && established(&c, p.port) == 1 ? 0 : 1);
        }
        status = status_of(pid);
        pair_done(&p);
        if (status == 77)
                skip();
        assert_int_equal(status, 0);
}

/* ---- an answer of netlink ---- */

typedef struct Message {
        struct nlmsghdr h;
        struct inet_diag_msg m;
} Message;

static Message message(uint16_t port) {
        return (Message){.h = {.nlmsg_len = sizeof(Message), .nlmsg_type = TCPDIAG_GETSOCK},
                         .m = {.idiag_family = AF_INET,
                               .idiag_state = CONNECTION_ESTABLISHED,
                               .id = {.idiag_sport = htons(port), .idiag_src = {htonl(INADDR_LOOPBACK)}},
                               .idiag_inode = port}};
}

static void test_messages(void **state _unused_) {
        struct {
                Message a, b;
                struct nlmsghdr end;
                int verdict;
        } all = {message(41), message(42), {.nlmsg_len = NLMSG_LENGTH(sizeof(int)), .nlmsg_type = NLMSG_DONE}, 0};
        uint64_t seen = 0;
        Message m;

        assert_int_equal(connection_diag_parse(&all, sizeof(all), on_row, &seen), 1);
        assert_int_equal(seen, 4142);
        assert_int_equal(connection_diag_parse(&all, 2 * sizeof(Message), on_row, &seen), 0);
        assert_int_equal(connection_diag_parse(&all, 0, on_row, &seen), 0);
        all.verdict = -EPERM;
        assert_int_equal(connection_diag_parse(&all, sizeof(all), on_row, &seen), -EPERM);
        all.end.nlmsg_type = NLMSG_ERROR;
        assert_int_equal(connection_diag_parse(&all, sizeof(all), on_row, &seen), -EPERM);
        all.verdict = 0; /* an acknowledgement that nobody asked for */
        assert_int_equal(connection_diag_parse(&all, sizeof(all), on_row, &seen), -EBADMSG);
        all.end.nlmsg_type = NLMSG_DONE;
        for (int e = 0; e < 3; e++) {
                all.verdict = (int[]){1, INT_MIN, -4096}[e];
                assert_int_equal(connection_diag_parse(&all, sizeof(all), on_row, &seen), -EBADMSG);
        }
        for (size_t n = 1; n < sizeof(Message); n++)
                assert_int_equal(connection_diag_parse(&all, n, on_row, &seen), -EBADMSG);
        for (unsigned i = 0; i < 5; i++) {
                m = message(43);
                m.h.nlmsg_len = (uint32_t[]){0, sizeof(m.h) - 1, sizeof(m) - 1, sizeof(m) + 1, UINT32_MAX}[i];
                assert_int_equal(connection_diag_parse(&m, sizeof(m), on_row, &seen), -EBADMSG);
        }
        m = message(43);
        m.m.idiag_family = AF_UNIX;
        assert_int_equal(connection_diag_parse(&m, sizeof(m), on_row, &seen), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_pieces_of_any_size),
                cmocka_unit_test(test_a_line_too_long_is_dropped_alone),
                cmocka_unit_test(test_ports_that_the_process_holds),
                cmocka_unit_test(test_the_address_that_it_listens_on),
                cmocka_unit_test(test_ports_of_the_namespace_without_descriptors),
                cmocka_unit_test(test_tables_that_are_none),
                cmocka_unit_test(test_given_ports),
                cmocka_unit_test(test_live),
                cmocka_unit_test(test_each_place_in_the_filter),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_refused_by_a_filter),
                cmocka_unit_test(test_of_another_namespace),
                cmocka_unit_test(test_messages),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
