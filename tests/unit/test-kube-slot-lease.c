/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/slot-lease.h"

#include <stdio.h>
#include <string.h>

#include "unit/unit.h"
#include "util/clock.h"

#define S USEC_PER_SEC

static int decode(const char *text, SlotLease *ret, SlotNote *note) {
        json_t *o = json_loads(text, 0, NULL);
        int r;

        assert_non_null(o);
        r = slot_lease_decode(o, ret, note);
        json_decref(o);
        return r;
}

/* What the real API server answered. */
static void test_recorded(void **state _unused_) {
        json_t *taken = json_load_file(FIXTURES "/kube/lease-taken.json", 0, NULL);
        json_t *free_one = json_load_file(FIXTURES "/kube/lease-free.json", 0, NULL);
        SlotLease l;
        SlotNote n;

        assert_non_null(taken);
        assert_int_equal(slot_lease_decode(json_object_get(taken, "body"), &l, &n), 0);
        assert_string_equal(l.holder, "web-1");
        assert_string_equal(l.renewed, "2026-01-01T00:00:00.000001Z");
        assert_true(l.version[0] && l.ttl_usec == 15 * S && l.transitions == 1 && !l.bidder[0] && n.count == 0);
        assert_int_equal(slot_lease_decode(json_object_get(free_one, "body"), &l, &n), 0);
        assert_true(!l.holder[0] && l.ttl_usec == 0 && l.transitions == 0);
        json_decref(taken);
        json_decref(free_one);
}

#define META(notes) "{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{" notes "}}"

static void test_hostile(void **state _unused_) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                {"{}", -EBADMSG},
                {"[]", -EBADMSG},
                {"{\"kind\":\"Lease\"}", -EBADMSG},
                {"{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"7\"}}", -EBADMSG},
                {"{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":7}}", -EBADMSG},
                {"{\"kind\":\"Lease\",\"metadata\":{\"resourceVersion\":\"12345678901234567890123456789012\"}}",
                 -EBADMSG},
                {META("") ",\"spec\":[]}", 0},
                {META("") ",\"spec\":{\"holderIdentity\":5,\"leaseDurationSeconds\":\"x\",\"renewTime\":{}}}", 0},
                {META("") ",\"spec\":{\"leaseDurationSeconds\":-1,\"leaseTransitions\":-5}}", 0},
                {META("\"plateau.dev/waiting\":5,\"plateau.dev/learned\":[]") "}", 0},
                {META("\"plateau.dev/waiting\":\"{\",\"plateau.dev/learned\":\"[1]\"") "}", 0},
                {META("\"plateau.dev/waiting\":\"{\\\"holder\\\":\\\"a\\\"}\"") "}", 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                SlotLease l = {.version = "kept"};
                SlotNote n = {0};
                int r = decode(cases[i].text, &l, &n);

                if (r != cases[i].r)
                        fail_msg("%s: %d", cases[i].text, r);
                if (r < 0)
                        assert_string_equal(l.version, "kept");
                else
                        assert_true(!l.holder[0] && !l.bidder[0] && !l.ttl_usec && !l.transitions && !n.count);
        }
}

/* One whose name does not fit holds it all the same. */
static void test_long_holder(void **state _unused_) {
        char text[1024], holder[400];
        SlotLease l;
        SlotNote n;

        memset(holder, 'a', sizeof(holder) - 1);
        holder[sizeof(holder) - 1] = '\0';
        snprintf(text, sizeof(text), META("") ",\"spec\":{\"holderIdentity\":\"%s\"}}", holder);
        assert_int_equal(decode(text, &l, &n), -EBADMSG);
}

static void test_bounds(void **state _unused_) {
        SlotLease l;
        SlotNote n;

        assert_int_equal(
                decode(META("\"plateau.dev/learned\":\"{\\\"count\\\":9223372036854775807,\\\"replace_s\\\":"
                            "9223372036854775807,\\\"young\\\":9223372036854775807}\","
                            "\"plateau.dev/waiting\":\"{\\\"holder\\\":\\\"a/b\\\",\\\"beat\\\":1,"
                            "\\\"left_s\\\":9223372036854775807}\"") ",\"spec\":{\"leaseDurationSeconds\":"
                                                                     "9223372036854775807,\"leaseTransitions\":"
                                                                     "9223372036854775807}}",
                       &l, &n),
                0);
        assert_true(n.count < INT64_MAX && n.learned.replace_usec == USEC_PER_DAY && n.learned.young == 1000);
        assert_true(l.ttl_usec == UINT32_MAX * S && l.transitions == INT32_MAX);
        assert_true(l.bid_left_usec == 365 * USEC_PER_DAY);
}

static void expect_patch(const SlotWrite *w, const char *expected, bool notes) {
        bool has_notes;
        json_t *patch = slot_lease_patch(w, &has_notes);
        char *text = json_dumps(patch, JSON_COMPACT | JSON_SORT_KEYS);

        assert_string_equal(text, expected);
        assert_int_equal(has_notes, notes);
        free(text);
        json_decref(patch);
}

static void test_patches(void **state _unused_) {
        SlotLease base = {.version = "7", .transitions = 4, .bidder = "p/u"};
        SlotNote note = {.count = 3, .learned = {.replace_usec = 61 * S, .drain_usec = 5 * S, .young = 2}};
        SlotWrite w = {.what = SLOT_DO_TAKE,
                       .base = &base,
                       .me = "p/u",
                       .ttl_usec = 60 * S,
                       .left_usec = 90 * S,
                       .now_real_usec = 1767225600 * S + 5,
                       .beat = 84};

        expect_patch(&w,
                     "{\"metadata\":{\"annotations\":{\"plateau.dev/waiting\":null},\"resourceVersion\":\"7\"},"
                     "\"spec\":{\"acquireTime\":\"2026-01-01T00:00:00.000005Z\",\"holderIdentity\":\"p/u\","
                     "\"leaseDurationSeconds\":60,\"leaseTransitions\":5,"
                     "\"renewTime\":\"2026-01-01T00:00:00.000005Z\"}}",
                     true);
        base.bidder[0] = 'q'; /* another's bid stays */
        base.transitions = INT32_MAX;
        expect_patch(&w,
                     "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{\"acquireTime\":"
                     "\"2026-01-01T00:00:00.000005Z\",\"holderIdentity\":\"p/u\",\"leaseDurationSeconds\":60,"
                     "\"leaseTransitions\":1,\"renewTime\":\"2026-01-01T00:00:00.000005Z\"}}",
                     false);
        w.what = SLOT_DO_RELEASE;
        w.note = &note;
        expect_patch(&w,
                     "{\"metadata\":{\"annotations\":{\"plateau.dev/learned\":\"{\\\"count\\\":3,\\\"replace_s\\\":61,"
                     "\\\"drain_s\\\":5,\\\"young\\\":2}\"},\"resourceVersion\":\"7\"},"
                     "\"spec\":{\"holderIdentity\":null,\"renewTime\":\"2026-01-01T00:00:00.000005Z\"}}",
                     true);
        w.no_notes = true;
        expect_patch(&w,
                     "{\"metadata\":{\"resourceVersion\":\"7\"},"
                     "\"spec\":{\"holderIdentity\":null,\"renewTime\":\"2026-01-01T00:00:00.000005Z\"}}",
                     false);
        w = (SlotWrite){.what = SLOT_DO_BID, .base = &base, .me = "p/u", .left_usec = 90 * S, .beat = 84};
        expect_patch(&w,
                     "{\"metadata\":{\"annotations\":{\"plateau.dev/waiting\":\"{\\\"holder\\\":\\\"p/u\\\","
                     "\\\"beat\\\":42,\\\"left_s\\\":90}\"},\"resourceVersion\":\"7\"}}",
                     true);
        w.left_usec = USEC_INFINITY;
        expect_patch(&w,
                     "{\"metadata\":{\"annotations\":{\"plateau.dev/waiting\":\"{\\\"holder\\\":\\\"p/u\\\","
                     "\\\"beat\\\":42}\"},\"resourceVersion\":\"7\"}}",
                     true);
}

/* A holder's name becomes part of a path. */
static void test_holders(void **state _unused_) {
        static const char *const bad[] = {"",      "a",       "/",   "a/",    "/b",     "../b",  "a/../b",
                                          "a b/c", "a?x=1/b", "A/b", "a/b/c", "a%2f/b", "a/b\n", "a\x80/b"};
        char pod[254], uid[64];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (slot_holder_split(bad[i], pod, uid))
                        fail_msg("'%s' passed", bad[i]);
        assert_true(slot_holder_split("web-5d.x/0c1f-9", pod, uid));
        assert_string_equal(pod, "web-5d.x");
        assert_string_equal(uid, "0c1f-9");
        assert_true(slot_name_is_fit("plateau-web") && !slot_name_is_fit("") && !slot_name_is_fit("a/b"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recorded), cmocka_unit_test(test_hostile), cmocka_unit_test(test_long_holder),
                cmocka_unit_test(test_bounds),   cmocka_unit_test(test_patches), cmocka_unit_test(test_holders),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
