/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

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
                process(HEADING4 LISTEN4 CLIENT4 WAITING4 "   4: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 99 1\n",
                        HEADING6 CLIENT6);
        Connections c;

        assert_int_equal(symlinkat("socket:[41]", t.fd, "fd/3"), 0);
        assert_int_equal(symlinkat("socket:[410]", t.fd, "fd/4"), 0);
        assert_int_equal(symlinkat("/dev/null", t.fd, "fd/0"), 0);
        assert_int_equal(connections_find(t.fd, &c), 0);
        assert_int_equal(c.from, CONNECTION_PORTS_TARGET);
        assert_int_equal(c.n_ports, 1);
        assert_int_equal(c.ports[0].port, 8080);
        assert_int_equal(connections_count(t.fd, &c), 0);
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
        assert_int_equal(connections_find(t.fd, &c), 0);
        assert_int_equal(c.n_ports, 1);
        assert_false(c.ports[0].any);
        assert_int_equal(connections_count(t.fd, &c), 0);
        assert_int_equal(c.established, 2);
}

static void test_ports_of_the_namespace_without_descriptors(void **state _unused_) {
        _cleanup_tree_ Tree t =
                process(HEADING4 LISTEN4 "   4: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 99 1\n", NULL);
        Connections c;

        assert_int_equal(connections_find(t.fd, &c), 0); /* fd/ is empty: another process accepts for it */
        assert_int_equal(c.from, CONNECTION_PORTS_NAMESPACE);
        assert_int_equal(c.n_ports, 2);
        tree_run(&t, "rmdir fd; ln -s nowhere fd");
        assert_int_equal(connections_find(t.fd, &c), -ENOENT);
}

static void test_tables_that_are_none(void **state _unused_) {
        static const char *const cases[] = {HEADING4 "nonsense\n", HEADING4 "   1: 0100007F:1F90 0100", "no newline"};
        Connections c = {.established = 5};

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_tree_ Tree t = process(cases[i], NULL);

                assert_int_equal(connections_count(t.fd, &c), -EBADMSG);
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

/* The real tables of this machine: a listening socket of our own, and a connection to it. */
static void test_live(void **state _unused_) {
        _cleanup_fd_ int proc = rootfs_open_dir(AT_FDCWD, "/proc/self"), listener = -1, client = -1, server = -1;
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        Connections c;
        unsigned at = CONNECTION_PORTS_MAX;

        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(listener, 4), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
        assert_int_equal(connections_find(proc, &c), 0);
        assert_int_equal(c.from, CONNECTION_PORTS_TARGET);
        for (unsigned i = 0; i < c.n_ports; i++)
                if (c.ports[i].port == ntohs(a.sin_port))
                        at = i;
        assert_true(at < c.n_ports);
        assert_int_equal(connections_count(proc, &c), 0);
        assert_int_equal(c.ports[at].established, 0);

        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
        server = accept(listener, NULL, NULL);
        assert_true(server >= 0);
        assert_int_equal(connections_count(proc, &c), 0);
        assert_int_equal(c.ports[at].established, 1);
        client = fd_close(client);
        server = fd_close(server);
        assert_int_equal(connections_count(proc, &c), 0);
        assert_int_equal(c.ports[at].established, 0);
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
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
