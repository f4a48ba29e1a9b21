/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "unit/unit.h"

static void test_parse(void **state _unused_) {
        static const struct {
                const char *in;
                int r;
                int family;
                unsigned port;
        } cases[] = {
                {"127.0.0.1:9464", 0, AF_INET, 9464},
                {"0.0.0.0:0", 0, AF_INET, 0},
                {"[::1]:9464", 0, AF_INET6, 9464},
                {"[::]:65535", 0, AF_INET6, 65535},
                {":9464", 0, AF_INET6, 9464},
                {"", -EINVAL, 0, 0},
                {":", -EINVAL, 0, 0},
                {"9464", -EINVAL, 0, 0},
                {"127.0.0.1", -EINVAL, 0, 0},
                {"127.0.0.1:", -EINVAL, 0, 0},
                {"127.0.0.1:65536", -EINVAL, 0, 0},
                {"127.0.0.1:-1", -EINVAL, 0, 0},
                {"127.0.0.1: 80", -EINVAL, 0, 0},
                {"127.0.0.1:80 ", -EINVAL, 0, 0},
                {"localhost:80", -EINVAL, 0, 0},
                {"::1:9464", -EINVAL, 0, 0},
                {"[::1:9464", -EINVAL, 0, 0},
                {"[127.0.0.1]:80", -EINVAL, 0, 0},
                {"[fe80::1%eth0]:80", -EINVAL, 0, 0},
                {"[]:80", -EINVAL, 0, 0},
                {"[:80", -EINVAL, 0, 0},
                {"1111111111111111111111111111111111111111111111111111111111111111:80", -EINVAL, 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ListenAddress a = {0};
                int r = listen_parse(cases[i].in, &a);
                unsigned port;

                if (r != cases[i].r)
                        fail_msg("'%s': %d instead of %d", cases[i].in, r, cases[i].r);
                if (r < 0)
                        continue;
                assert_int_equal(a.addr.ss_family, cases[i].family);
                port = ntohs(a.addr.ss_family == AF_INET ? ((struct sockaddr_in *)&a.addr)->sin_port
                                                         : ((struct sockaddr_in6 *)&a.addr)->sin6_port);
                assert_int_equal(port, cases[i].port);
        }
}

static void test_taken_address_is_an_error(void **state _unused_) {
        _cleanup_fd_ int first = -1, second = -1;
        char text[32];
        ListenAddress a;

        assert_int_equal(listen_parse("127.0.0.1:0", &a), 0);
        first = listen_open(&a);
        assert_true(first >= 0);
        assert_true(listen_port(first) > 0);
        snprintf(text, sizeof(text), "127.0.0.1:%u", listen_port(first));
        assert_int_equal(listen_parse(text, &a), 0);
        second = listen_open(&a);
        assert_int_equal(second, -EADDRINUSE);
}

static void test_any_listens_for_both_families(void **state _unused_) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_fd_ int fd = -1, peer = -1;
        ListenAddress a;

        assert_int_equal(listen_parse(":0", &a), 0);
        fd = listen_open(&a);
        assert_true(fd >= 0);
        in.sin_port = htons((uint16_t)listen_port(fd));
        peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(peer >= 0);
        assert_int_equal(connect(peer, (struct sockaddr *)&in, sizeof(in)), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_taken_address_is_an_error),
                cmocka_unit_test(test_any_listens_for_both_families),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
