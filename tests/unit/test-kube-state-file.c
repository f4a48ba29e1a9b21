/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written down comes back; what anybody else wrote does not.
 */
#include "kube/state-file.h"

#include <limits.h>
#include <sys/stat.h>

#include "unit/unit.h"
#include "util/clock.h"

#define UID  "0c7a2f1e-1111-2222-3333-444455556666"
#define BOOT "7c5b54a3-aaaa-bbbb-cccc-ddddeeeeffff"
#define NOW  (5000 * USEC_PER_SEC)

static KubeSaved saved(void) {
        return (KubeSaved){.uid = UID,
                           .seq = 7,
                           .boot_id = BOOT,
                           .hash = "6d4b75cb6d",
                           .owner = "shop-7c77bccb6c",
                           .revision = "3",
                           .ready_before = 2,
                           .machine = {.state = KUBE_STATE_WAIT_READY,
                                       .strategy = KUBE_STRATEGY_DETACH,
                                       .reason = KUBE_REASON_DETACHED,
                                       .since_usec = NOW - 10,
                                       .begun_usec = NOW - 20,
                                       .deadline_usec = NOW + 900 * USEC_PER_SEC,
                                       .main_id = 123456,
                                       .tries = 2,
                                       .touched = true}};
}

static int parse(const char *text, KubeSaved *ret) {
        return kube_saved_parse(text, strlen(text), UID, BOOT, NOW, ret);
}

static void test_there_and_back(void **state _unused_) {
        _cleanup_buf_ Buf a = BUF_NULL, b = BUF_NULL;
        KubeSaved s = saved(), back;

        kube_saved_write(&a, &s);
        assert_true(a.len < KUBE_STATE_MAX_BYTES);
        assert_int_equal(parse(a.data, &back), 0);
        kube_saved_write(&b, &back);
        assert_string_equal(a.data, b.data);
        assert_int_equal(back.machine.state, KUBE_STATE_WAIT_READY);
        assert_int_equal(back.machine.deadline_usec, s.machine.deadline_usec);
        assert_true(back.machine.touched);
        assert_string_equal(back.owner, s.owner);
        assert_string_equal(back.revision, s.revision);
        assert_int_equal(back.ready_before, 2);
}

/* Not known is another thing than none. */
static void test_unknown_before(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        KubeSaved s = saved(), back;

        s.ready_before = UINT_MAX;
        kube_saved_write(&b, &s);
        assert_null(strstr(b.data, "ready_before"));
        assert_int_equal(parse(b.data, &back), 0);
        assert_int_equal(back.ready_before, UINT_MAX);
}

static void test_other_pod_and_boot(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        KubeSaved s = saved(), back;

        kube_saved_write(&b, &s);
        assert_int_equal(kube_saved_parse(b.data, b.len, "another", BOOT, NOW, &back), -ESTALE);
        assert_int_equal(kube_saved_parse(b.data, b.len, UID, "another", 100, &back), 0);
        assert_int_equal(back.machine.since_usec, 100);
        assert_int_equal(back.machine.deadline_usec, 100);
}

/* Every text that lacks a byte, or has another one, is refused or still within all bounds. */
static void test_damaged(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        KubeSaved s = saved();

        kube_saved_write(&b, &s);
        for (size_t n = 0; n < b.len; n++) {
                KubeSaved back = {.seq = 99};

                assert_int_equal(kube_saved_parse(b.data, n, UID, BOOT, NOW, &back), -EBADMSG);
                assert_int_equal(back.seq, 99);
        }
        for (size_t n = 0; n < b.len; n++)
                for (unsigned byte = 1; byte < 256; byte += 7) {
                        char kept = b.data[n];
                        KubeSaved back;

                        b.data[n] = (char)byte;
                        if (kube_saved_parse(b.data, b.len, UID, BOOT, NOW, &back) == 0) {
                                assert_true(back.machine.state < _KUBE_STATE_MAX);
                                assert_true(back.machine.strategy < _KUBE_STRATEGY_MAX);
                                assert_true(back.machine.since_usec <= NOW);
                                assert_true(back.machine.deadline_usec <= NOW + USEC_PER_DAY);
                        }
                        b.data[n] = kept;
                }
}

static void test_far_ahead(void **state _unused_) {
        _cleanup_buf_ Buf b = BUF_NULL;
        KubeSaved s = saved(), back;

        s.machine.deadline_usec = s.machine.since_usec = USEC_INFINITY;
        kube_saved_write(&b, &s);
        assert_int_equal(parse(b.data, &back), 0);
        assert_int_equal(back.machine.deadline_usec, NOW + USEC_PER_DAY);
        assert_int_equal(back.machine.since_usec, NOW);
}

static void test_forms(void **state _unused_) {
        static const char *const wrong[] = {"", "null", "[]", "{}", "{\"uid\": 1}", "{\"uid\":\"" UID "\"}"};
        KubeSaved back;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(parse(wrong[i], &back), -EBADMSG);
}

static void test_file(void **state _unused_) {
        char dir[] = "/tmp/plateau-state-XXXXXX", path[64];
        KubeSaved s = saved(), back;

        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/rotation.json", dir);
        assert_int_equal(kube_saved_load(dir, UID, BOOT, NOW, &back), -ENOENT);
        assert_int_equal(kube_saved_store(dir, &s), 0);
        s.seq++;
        assert_int_equal(kube_saved_store(dir, &s), 0);
        assert_int_equal(kube_saved_load(dir, UID, BOOT, NOW, &back), 0);
        assert_int_equal(back.seq, 8);
        assert_int_equal(kube_saved_remove(dir), 0);
        assert_int_equal(kube_saved_remove(dir), 0);
        assert_int_equal(mkfifo(path, 0600), 0); /* would block whoever opens it */
        assert_int_equal(kube_saved_load(dir, UID, BOOT, NOW, &back), -EBADMSG);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_unknown_before),
                cmocka_unit_test(test_other_pod_and_boot),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_forms),
                cmocka_unit_test(test_far_ahead),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
