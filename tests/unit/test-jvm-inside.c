/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of HotSpot 17.0.15 and 25.0.3; tests/integration has the JVMs.
 */
#include "action/jvm-inside.h"

#include <stdlib.h>
#include <string.h>

#include "unit/unit.h"

#define MIB (1ULL << 20)
#define KIB (1ULL << 10)

/* Without what is behind the end, so that a read there shows. */
static char *exact(const char *text, size_t *ret_n) {
        char *copy;

        *ret_n = strlen(text);
        copy = malloc(*ret_n);
        assert_true(copy || *ret_n == 0);
        memcpy(copy, text, *ret_n);
        return copy;
}

static bool heap(const char *text, JvmHeap *ret) {
        size_t n;
        char *copy = exact(text, &n);
        bool good = jvm_heap_parse(copy, n, ret);

        free(copy);
        return good;
}

static bool metaspace(const char *text, JvmMetaspace *ret) {
        size_t n;
        char *copy = exact(text, &n);
        bool good = jvm_metaspace_parse(copy, n, ret);

        free(copy);
        return good;
}

static bool nmt(const char *text, JvmNmt *ret) {
        size_t n;
        char *copy = exact(text, &n);
        bool good = jvm_nmt_parse(copy, n, ret);

        free(copy);
        return good;
}

static void test_heaps(void **state _unused_) {
        static const struct {
                const char *text;
                JvmHeap h;
        } cases[] = {
                {" garbage-first heap   total 65536K, used 3620K [0x00000000fc000000, 0x0000000100000000)\n"
                 "  region size 1024K, 3 young (3072K), 0 survivors (0K)\n"
                 " Metaspace       used 1599K, committed 1792K, reserved 1114112K\n",
                 {"G1", 64 * MIB, 64 * MIB, 3620 * KIB}},
                {"garbage-first heap   total reserved 65536K, committed 32768K, used 5549K [0x00000000fc000000, "
                 "0x0000000100000000)\n region size 1024K, 5 young (5120K), 0 survivors (0K)\n",
                 {"G1", 64 * MIB, 32 * MIB, 5549 * KIB}},
                {" def new generation   total 19648K, used 3518K [0x00000000fc000000, 0x00000000fd550000, "
                 "0x00000000fd550000)\n"
                 "  eden space 17472K,  20% used [0x00000000fc000000, 0x00000000fc36f818, 0x00000000fd110000)\n"
                 " tenured generation   total 43712K, used 7K [0x00000000fd550000, 0x00000000fe000000, "
                 "0x0000000100000000)\n"
                 "   the space 43712K,   0% used [0x00000000fd550000, 0x00000000fd550000, 0x00000000fd550200)\n",
                 {"Serial", 64 * MIB, 32 * MIB, 3525 * KIB}},
                {"DefNew     total 19648K, used 4861K [0x00000000fc000000, 0x00000000fd550000, 0x00000000fd550000)\n"
                 "Tenured    total 43712K, used 1166K [0x00000000fd550000, 0x0000000100000000, 0x0000000100000000)\n",
                 {"Serial", 64 * MIB, 64 * MIB, 6027 * KIB}},
                {" PSYoungGen      total 18944K, used 3862K [0x00000000feb00000, 0x0000000100000000, "
                 "0x0000000100000000)\n"
                 " ParOldGen       total 44032K, used 0K [0x00000000fc000000, 0x00000000feb00000, "
                 "0x00000000feb00000)\n",
                 {"Parallel", 64 * MIB, 64 * MIB, 3862 * KIB}},
                {" ZHeap           used 6M, capacity 32M, max capacity 64M\n", {"ZGC", 64 * MIB, 32 * MIB, 6 * MIB}},
                {"Shenandoah Heap\n 65536K max, 65536K soft max, 32768K committed, 3328K used\n 256 x 256K regions\n",
                 {"Shenandoah", 64 * MIB, 32 * MIB, 3328 * KIB}},
                {"Shenandoah Heap\n 4G max, 4G soft max, 2G committed, 300M used\n",
                 {"Shenandoah", 4096 * MIB, 2048 * MIB, 300 * MIB}},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmHeap h = {0};

                print_message("# case %zu\n", i);
                assert_true(heap(cases[i].text, &h));
                assert_string_equal(h.collector, cases[i].h.collector);
                assert_int_equal(h.reserved_bytes, cases[i].h.reserved_bytes);
                assert_int_equal(h.committed_bytes, cases[i].h.committed_bytes);
                assert_int_equal(h.used_bytes, cases[i].h.used_bytes);
        }
}

static void test_no_heap(void **state _unused_) {
        static const char *const cases[] = {
                "",
                "Epsilon Heap\n",
                /* half of one, two of one, and of two collectors */
                "DefNew     total 19648K, used 4861K [0x00000000fc000000, 0x00000000fd550000, 0x00000000fd550000)\n",
                (" ZHeap           used 6M, capacity 64M, max capacity 64M\n"
                 " ZHeap used 6M, capacity 64M, max capacity 64M\n"),
                "DefNew total 8K, used 4K [0x0, 0x8000, 0x8000)\nParOldGen total 8K, used 4K [0x0, 0x8000, 0x8000)\n",
                /* cut, in other units, upside down, too large */
                " ZHeap           used 6M, capacity 64M, max capacity 64M",
                " ZHeap           used 6M, capacity 64M, max capacity 64\n",
                " ZHeap           used 6M, capacity 64M, max capacity 64T\n",
                " ZHeap           used 65M, capacity 64M, max capacity 64M\n",
                " ZHeap           used 6M, capacity 65M, max capacity 64M\n",
                " ZHeap           used 6M, capacity 64M, max capacity 99999999999999999G\n",
                " ZHeap           used -6M, capacity 64M, max capacity 64M\n",
                "Shenandoah Heap\n",
                "Shenandoah Heap\n\n 65536K max, 65536K soft max, 32768K committed, 3328K used\n",
                " garbage-first heap   total 65536K, used 3620K [0x0000000100000000, 0x00000000fc000000)\n",
                " garbage-first heap   total 65536K, used 3620K [0x00000000fc000000, 0x10000000000000000)\n",
                " garbage-first heap   total 65536K, used 3620K\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmHeap h = {.used_bytes = 7};

                print_message("# case %zu\n", i);
                assert_false(heap(cases[i], &h));
                assert_true(h.used_bytes == 7 && !h.collector);
        }
}

static void test_metaspace(void **state _unused_) {
        static const char both[] = "\nUsage:\n  Non-class:  1784072 bytes used.\n      Class:  172576 bytes used.\n"
                                   "       Both:  1956648 bytes used.\n\nVirtual space:\n"
                                   "  Non-class space:  67108864 bytes reserved,  1835008 bytes (  3%) committed,  1 "
                                   "nodes.\n      Class space:  1073741824 bytes reserved,  262144 bytes ( <1%) "
                                   "committed,  1 nodes.\n             Both:  1140850688 bytes reserved,  2097152 "
                                   "bytes ( <1%) committed. \n\nChunk freelists:\n   Both:  29037568 bytes\n";
        static const char one[] = "Usage:\n  1784072 bytes used.\n\nVirtual space:\n  67108864 bytes reserved,  "
                                  "1835008 bytes (  3%) committed,  1 nodes.\n";
        static const char *const bad[] = {
                "",
                "Usage:\n  1784072 bytes used.\n",
                "Virtual space:\n  67108864 bytes reserved,  1835008 bytes (  3%) committed,  1 nodes.\n",
                "Usage:\n  1.70 MB used.\n\nVirtual space:\n 64.00 MB reserved, 1.75 MB (  3%) committed,  1 nodes.\n",
                "Usage:\n  3 bytes used.\n\nVirtual space:\n  4 bytes reserved,  2 bytes (  3%) committed\n",
                "Usage:\n  1 bytes used.\n\nVirtual space:\n  4 bytes reserved,  5 bytes (  3%) committed\n",
                "Usage:\n  1 bytes used.\n\nVirtual space:\n  4 bytes reserved,  2 bytes (  3%) committed",
        };
        JvmMetaspace m = {0};

        assert_true(metaspace(both, &m));
        assert_true(m.known);
        assert_int_equal(m.used_bytes, 1956648);
        assert_int_equal(m.committed_bytes, 2097152);
        assert_int_equal(m.reserved_bytes, 1140850688);
        assert_true(metaspace(one, &m));
        assert_int_equal(m.used_bytes, 1784072);
        assert_int_equal(m.committed_bytes, 1835008);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                JvmMetaspace none = {.used_bytes = 7};

                print_message("# case %zu\n", i);
                assert_false(metaspace(bad[i], &none));
                assert_true(!none.known && none.used_bytes == 7);
        }
}

static void test_nmt(void **state _unused_) {
        static const char text[] =
                "\nNative Memory Tracking:\n\nTotal: reserved=1600, committed=850\n       malloc: 250 #12\n"
                "       mmap:   reserved=1350, committed=600\n\n"
                "-                 Java Heap (reserved=500, committed=400)\n"
                "                            (mmap: reserved=500, committed=400, at peak)\n \n"
                "-                    Thread (reserved=1050, committed=400)\n"
                "                            (threads #18)\n"
                "                            (stack: reserved=850, committed=200, peak=200)\n"
                "                            (malloc=120 tag=Thread #109) (peak=49400 #113)\n"
                "                            (arena=80 #32) (peak=213168 #28)\n\n"
                "-    Native Memory Tracking (reserved=50, committed=50)\n"
                "                            (malloc=20 #96) (at peak)\n"
                "                            (tracking overhead=30)\n\n";
        JvmNmt m;

        assert_true(nmt(text, &m));
        assert_int_equal(m.state, JVM_NMT_KNOWN);
        assert_int_equal(m.reserved_bytes, 1600);
        assert_int_equal(m.committed_bytes, 850);
        assert_int_equal(m.malloc_bytes, 250);
        assert_int_equal(m.n_threads, 18);
        assert_int_equal(m.stack_reserved_bytes, 850);
        assert_int_equal(m.stack_committed_bytes, 200);
        assert_int_equal(m.n_categories, 3);
        assert_int_equal(jvm_nmt_find(&m, "Thread")->malloc_bytes, 200);
        assert_int_equal(jvm_nmt_find(&m, "Java Heap")->committed_bytes, 400);
        assert_int_equal(jvm_nmt_find(&m, "Native Memory Tracking")->malloc_bytes, 50);
        assert_null(jvm_nmt_find(&m, "Java"));
        assert_true(nmt("Native memory tracking is not enabled\n", &m));
        assert_int_equal(m.state, JVM_NMT_OFF);
        assert_int_equal(m.n_categories, 0);
}

static void test_no_nmt(void **state _unused_) {
        static const char *const cases[] = {
                "",
                "Native memory tracking is not ena\n",
                "Total: reserved=5, committed=4\n",
                /* does not add up, adds up over the edge */
                "Total: reserved=5, committed=4\n- A (reserved=4, committed=4)\n",
                "Total: reserved=5, committed=4\n- A (reserved=5, committed=3)\n",
                ("Total: reserved=3, committed=3\n- A (reserved=18446744073709551615, committed=0)\n"
                 "- B (reserved=4, committed=3)\n"),
                /* more committed than reserved, more from malloc than committed */
                "Total: reserved=4, committed=5\n- A (reserved=4, committed=5)\n",
                "Total: reserved=5, committed=4\n- A (reserved=5, committed=4)\n (malloc=5 #1)\n",
                /* a unit, a sign, no name, a wild one, one too long, twice a total */
                "Total: reserved=5KB, committed=4KB\n- A (reserved=5KB, committed=4KB)\n",
                "Total: reserved=-5, committed=4\n- A (reserved=5, committed=4)\n",
                "Total: reserved=5, committed=4\n- (reserved=5, committed=4)\n",
                "Total: reserved=5, committed=4\n- \033[2J (reserved=5, committed=4)\n",
                "Total: reserved=5, committed=4\n- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA (reserved=5, committed=4)\n",
                "Total: reserved=5, committed=4\nTotal: reserved=5, committed=4\n- A (reserved=5, committed=4)\n",
                "Total: reserved=5, committed=4\n- A (reserved=5, committed=4",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                JvmNmt m = {.malloc_bytes = 7};

                print_message("# case %zu\n", i);
                assert_false(nmt(cases[i], &m));
                assert_int_equal(m.malloc_bytes, 7);
        }
}

static void test_too_many(void **state _unused_) {
        _cleanup_free_ char *text = malloc(8192);
        size_t n = (size_t)sprintf(text, "Total: reserved=0, committed=0\n");
        JvmNmt m;

        for (int i = 0; i < JVM_CATEGORIES_MAX; i++)
                n += (size_t)sprintf(text + n, "- A (reserved=0, committed=0)\n");
        assert_true(jvm_nmt_parse(text, n, &m));
        assert_int_equal(m.n_categories, JVM_CATEGORIES_MAX);
        n += (size_t)sprintf(text + n, "- A (reserved=0, committed=0)\n");
        assert_false(jvm_nmt_parse(text, n, &m));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_heaps), cmocka_unit_test(test_no_heap), cmocka_unit_test(test_metaspace),
                cmocka_unit_test(test_nmt),   cmocka_unit_test(test_no_nmt),  cmocka_unit_test(test_too_many),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
