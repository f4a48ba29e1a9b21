/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/distro.h"

#include <elf.h>
#include <unistd.h>

#include "unit/tree.h"

static void test_parse(void **state _unused_) {
        static const struct {
                const char *text, *id, *like;
                uint32_t version;
        } cases[] = {
                {"PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n", "debian", "", 12},
                {"ID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\n", "ubuntu", "debian", 24},
                {"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"", "rocky", "rhel", 9},
                {"ID=opensuse-tumbleweed\nID_LIKE=\"opensuse suse\"\n", "opensuse-tumbleweed", "opensuse", 0},
                {"ID=alpine", "alpine", "", 0},
                {"ID=\n", "", "", 0},
                {"ID=\"\n", "", "", 0},
                {"ID=\"debian\n", "", "", 0},
                {"ID=debian'\n", "", "", 0},
                {"ID=$(reboot)\nID_LIKE=a;b\n", "", "", 0},
                {"ID=\033[31mred\n", "", "", 0},
                {"XID=debian\nNAME=ID=debian\n", "", "", 0},
                {"ID=a-name-that-is-longer-than-any-that-is-known\n", "", "", 0},
                {"VERSION_ID=99999999999999999999\nID=debian\n", "debian", "", 0},
                {"", "", "", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Distro d = {0};

                distro_parse(cases[i].text, strlen(cases[i].text), &d);
                if (strcmp(d.id, cases[i].id) != 0 || strcmp(d.like, cases[i].like) != 0 ||
                    d.version != cases[i].version)
                        fail_msg("%s: %s, %s, %u", cases[i].text, d.id, d.like, d.version);
                assert_true(distro_check(&d));
        }
}

static void test_check(void **state _unused_) {
        Distro d = {.id = "debian", .jemalloc = "/usr/lib/libjemalloc.so.2"};

        assert_true(distro_check(&d));
        d.installer = _INSTALLER_MAX;
        assert_false(distro_check(&d));
        d = (Distro){.jemalloc = "/usr/lib/a b"};
        assert_false(distro_check(&d));
        memset(d.like, 'a', sizeof(d.like));
        assert_false(distro_check(&d));
        d = (Distro){.id = "a/b"};
        assert_false(distro_check(&d));
}

/* A root as a process has it; the program is this one. */
static Tree image(void) {
        Tree t = tree_new();

        tree_run(&t,
                 "mkdir -p root/etc root/usr/bin root/usr/lib/x86_64-linux-gnu root/usr/lib/aarch64-linux-gnu && "
                 "ln -s /proc/%d/exe exe",
                 (int)getpid());
        return t;
}

static void test_read(void **state _unused_) {
        _cleanup_tree_ Tree t = image();
        Distro d;

        distro_read(t.fd, &d);
        if (!d.looked)
                skip(); /* no openat2() */
        assert_true(d.machine == EM_X86_64 || d.machine == EM_AARCH64);
        assert_string_equal(d.id, "");
        assert_int_equal(d.installer, INSTALLER_NONE);
        assert_string_equal(d.jemalloc, "");

        /* an absolute link leads to a place in the image, not to one of ours */
        tree_write(&t, "root/usr/lib/os-release", "ID=debian\nVERSION_ID=12\n");
        tree_write(&t, "root/usr/bin/apt-get", "");
        tree_run(&t, "ln -s /usr/lib/os-release root/etc/os-release");
        distro_read(t.fd, &d);
        assert_string_equal(d.id, "debian");
        assert_int_equal(d.version, 12);
        assert_int_equal(d.installer, INSTALLER_APT);

        /* a library for another machine, or none at all, is none */
        tree_run(&t, "echo hello > root/usr/lib/libjemalloc.so.2");
        distro_read(t.fd, &d);
        assert_string_equal(d.jemalloc, "");
        tree_run(&t, "cp -L exe root/usr/lib/libjemalloc.so.2");
        distro_read(t.fd, &d);
        assert_string_equal(d.jemalloc, "/usr/lib/libjemalloc.so.2");
}

/* What does not end within what is read is not known: VERSION_ID=12 is no 1. */
static void test_cut(void **state _unused_) {
        _cleanup_tree_ Tree t = image();
        Distro d;

        tree_run(&t,
                 "{ echo ID=debian; head -c %d /dev/zero | tr '\\0' '#'; printf '\\nVERSION_ID=12\\n'; } "
                 "> root/etc/os-release",
                 DISTRO_TEXT_MAX - 10 - 1 - 12);
        distro_read(t.fd, &d);
        if (!d.looked)
                skip(); /* no openat2() */
        assert_string_equal(d.id, "debian");
        assert_int_equal(d.version, 0);
}

static void test_hostile(void **state _unused_) {
        _cleanup_tree_ Tree t = image(), outside = tree_new();
        Distro d;

        /* one that would block, one that leads out, one that has no end */
        tree_write(&outside, "os-release", "ID=outside\n");
        tree_run(&t, "mkfifo root/etc/os-release && ln -s ../../../../../..%s/os-release root/usr/lib/os-release",
                 outside.path);
        distro_read(t.fd, &d);
        assert_string_equal(d.id, "");
        tree_run(&t, "rm root/etc/os-release && ln -s os-release root/etc/os-release");
        distro_read(t.fd, &d);
        assert_string_equal(d.id, "");
        tree_run(&t, "rm root/etc/os-release && head -c 1000000 /dev/zero > root/etc/os-release");
        distro_read(t.fd, &d);
        assert_string_equal(d.id, "");
        tree_run(&t, "rm exe root/etc/os-release && rmdir root/etc && ln -s nowhere exe");
        distro_read(t.fd, &d);
        assert_int_equal(d.machine, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse), cmocka_unit_test(test_check),   cmocka_unit_test(test_read),
                cmocka_unit_test(test_cut),   cmocka_unit_test(test_hostile),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
