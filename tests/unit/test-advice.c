/* SPDX-License-Identifier: Apache-2.0 */
#include "report/advice.h"

#include <elf.h>

#include "report/diagnosis.h"
#include "unit/unit.h"

#define MIB (UINT64_C(1) << 20)

#define LINE64 "LD_PRELOAD=/usr/lib64/libjemalloc.so.2"
#define DEBIAN "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
#define APT    "apt-get update && apt-get install -y libjemalloc2"

/* Whose image, and what to run there; NULL = nothing is told, because it would be wrong. */
static const struct {
        Distro distro;
        const char *install, *command, *words;
} images[] = {
        {{.id = "debian", .version = 12, .machine = EM_X86_64, .installer = INSTALLER_APT, .looked = 1},
         APT,
         DEBIAN,
         "GB less"},
        {{.id = "ubuntu",
          .like = "debian",
          .version = 24,
          .machine = EM_AARCH64,
          .installer = INSTALLER_APT,
          .looked = 1},
         APT,
         "LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libjemalloc.so.2",
         "GB less"},
        {{.id = "mint", .like = "ubuntu", .machine = EM_X86_64, .installer = INSTALLER_APT, .looked = 1},
         APT,
         DEBIAN,
         "GB less"},
        {{.id = "debian", .version = 9, .machine = EM_X86_64, .installer = INSTALLER_APT, .looked = 1},
         NULL,
         NULL,
         "debian has no package of it that is known to fit"},
        {{.id = "debian", .version = 12, .machine = EM_X86_64, .looked = 1}, /* distroless */
         NULL,
         DEBIAN,
         "no package manager: copy libjemalloc.so.2 of the same distribution in"},
        {{.id = "debian",
          .version = 12,
          .machine = EM_X86_64,
          .installer = INSTALLER_APT,
          .looked = 1,
          .jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"},
         NULL,
         DEBIAN,
         "in its image already"},
        {{.id = "alpine",
          .machine = EM_X86_64,
          .installer = INSTALLER_APK,
          .looked = 1,
          .jemalloc = "/usr/lib/libjemalloc.so.2"}, /* musl's, under a glibc that was put beside */
         NULL,
         NULL,
         "alpine has no package of it that is known to fit"},
        {{.id = "wolfi", .machine = EM_X86_64, .installer = INSTALLER_APK, .looked = 1},
         "apk add jemalloc",
         "LD_PRELOAD=/usr/lib/libjemalloc.so.2",
         "GB less"},
        {{.id = "rocky", .like = "rhel", .machine = EM_X86_64, .installer = INSTALLER_DNF, .looked = 1},
         NULL,
         LINE64,
         "the package is in EPEL"},
        {{.id = "fedora", .machine = EM_X86_64, .installer = INSTALLER_DNF, .looked = 1},
         "dnf install -y jemalloc",
         LINE64,
         "GB less"},
        {{.id = "opensuse-leap", .like = "suse", .machine = EM_X86_64, .installer = INSTALLER_ZYPPER, .looked = 1},
         "zypper install -y libjemalloc2",
         LINE64,
         "GB less"},
        {{.id = "arch", .machine = EM_X86_64, .installer = INSTALLER_PACMAN, .looked = 1},
         "pacman -Sy --noconfirm jemalloc",
         "LD_PRELOAD=/usr/lib/libjemalloc.so.2",
         "GB less"},
        {{.id = "minix", .machine = EM_X86_64, .installer = INSTALLER_APT, .looked = 1},
         NULL,
         NULL,
         "minix has no package of it that is known to fit"},
        {{.id = "debian", .machine = EM_RISCV, .installer = INSTALLER_APT, .looked = 1}, APT, NULL, "GB less"},
        {{.machine = EM_X86_64}, NULL, NULL, "package jemalloc or libjemalloc2"},
};

static void test_jemalloc(void **state _unused_) {
        const Verdict v = {.kind = VERDICT_PINNED};
        const Remedy r = {.kind = REMEDY_OTHER_MALLOC, .gain_bytes = 1100 * MIB};
        const DiagnoseLook look = {0};

        for (size_t i = 0; i < ELEMENTSOF(images); i++) {
                const Advice a = {&v, &look, &images[i].distro, NULL, 0, 7};
                _cleanup_buf_ Buf install = BUF_NULL, command = BUF_NULL, text = BUF_NULL;
                bool has_install = advice_install(&install, &a, &r), has_command = advice_command(&command, &a, &r);

                advice_text(&text, &a, &r);
                if (has_install != (images[i].install != NULL) || has_command != (images[i].command != NULL) ||
                    strcmp(buf_str(&install), images[i].install ? images[i].install : "") != 0 ||
                    strcmp(buf_str(&command), images[i].command ? images[i].command : "") != 0 ||
                    !strstr(buf_str(&text), images[i].words))
                        fail_msg("%zu: %s: %s | %s | %s", i, images[i].distro.id, buf_str(&install), buf_str(&command),
                                 buf_str(&text));
        }
}

static void test_words(void **state _unused_) {
        static const struct {
                Verdict verdict;
                DiagnoseLook look;
                Remedy remedy;
                const char *text, *command;
        } cases[] = {
                {.remedy = {.kind = REMEDY_RECLAIM, .gain_bytes = 90000000},
                 .text = "reclaim now: gives back 90.0 MB, without a restart",
                 .command = "plateau reclaim 7"},
                {.look = {.n_arenas = 64, .arena_free_bytes = 200000000},
                 .remedy = {.kind = REMEDY_ARENA_MAX, .gain_bytes = 190000000},
                 .text = "fewer arenas from the next start on: 64 hold 200 MB that is free; up to 190 MB less",
                 .command = "MALLOC_ARENA_MAX=2"},
                {.look = {.mmap_threshold_bytes = 12000000},
                 .remedy = {.kind = REMEDY_MMAP_THRESHOLD, .gain_bytes = 300000000},
                 .text = "large chunks outside the heap from the next start on: 300 MB is free in chunks of 131 kB "
                         "and "
                         "more, which then go back when they are freed (glibc has raised the size for that to 12.0 MB "
                         "by "
                         "itself)",
                 .command = "MALLOC_MMAP_THRESHOLD_=131072"},
                {.verdict = {.size_class = 9, .class_bytes_per_s = 1000},
                 .look = {.known = 1 << DIAGNOSE_PYTHON, .part_bytes = {[DIAGNOSE_PYTHON] = 1}},
                 .remedy = {.kind = REMEDY_FIX_LEAK},
                 .text = "find what keeps it: chunks of 144 B, 3.60 MB an hour; the census tells which types grow",
                 .command = "plateau inspect 7 --diff 60"},
                {.verdict = {.size_class = -1, .part_bytes_per_s = 1000},
                 .remedy = {.kind = REMEDY_FIX_LEAK},
                 .text = "find what keeps it: 3.60 MB an hour",
                 .command = "plateau explain 7 --diff 60 --stacks"},
                {.verdict = {.size_class = -1, .part_bytes_per_s = 1000, .part = DIAGNOSE_ANONYMOUS},
                 .remedy = {.kind = REMEDY_FIX_LEAK},
                 .text = "find what keeps it: 3.60 MB an hour"},
                {.look = {.java_max_bytes = 500000000},
                 .remedy = {.kind = REMEDY_JAVA_MAX, .need_bytes = 625000000},
                 .text = "a lower -Xmx, or a limit of at least 625 MB: the Java heap may come to 500 MB, and all else "
                         "stays beside it"},
                {.remedy = {.kind = REMEDY_LIMIT, .need_bytes = 625000000, .floor_bytes = 500000000},
                 .text = "raise the limit to 625 MB: what counts against it was never below 500 MB, a trim's gain "
                         "taken "
                         "off; this is a quarter more"},
                {.verdict = {.part = DIAGNOSE_PAGE_CACHE},
                 .remedy = {.kind = REMEDY_FILES},
                 .text = "leave it: the kernel takes page cache back before it kills for memory"},
                {.verdict = {.part = DIAGNOSE_SHARED},
                 .remedy = {.kind = REMEDY_FILES},
                 .text = "bound or unmap shared memory: it counts against the limit until nobody has it; the largest "
                         "is "
                         "/memfd:ring, 5.00 MB"},
                {.look = {.n_threads = 300, .part_bytes = {[DIAGNOSE_STACKS] = 30000000}},
                 .remedy = {.kind = REMEDY_THREADS},
                 .text = "end or bound its threads: 300 have 30.0 MB of stack in memory"},
                {.look = {.n_threads = 1, .part_bytes = {[DIAGNOSE_STACKS] = 30000000}},
                 .remedy = {.kind = REMEDY_THREADS},
                 .text = "bound the recursion: one thread has 30.0 MB of stack in memory"},
                {.remedy = {.kind = REMEDY_NONE}, .text = ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Advice a = {&cases[i].verdict, &cases[i].look, NULL, "/memfd:ring", 5000000, 7};
                _cleanup_buf_ Buf text = BUF_NULL, command = BUF_NULL;

                advice_text(&text, &a, &cases[i].remedy);
                assert_string_equal(buf_str(&text), cases[i].text);
                assert_int_equal(advice_command(&command, &a, &cases[i].remedy), cases[i].command != NULL);
                assert_string_equal(buf_str(&command), cases[i].command ? cases[i].command : "");
        }
}

static void test_untold_heap(void **state _unused_) {
        const DiagnoseLook l = {.rss_bytes = 210000000,
                                .part_bytes = {[DIAGNOSE_HEAP_USED] = 60000000, [DIAGNOSE_HEAP_FREE] = 50000000}};
        const Verdict v = {.kind = VERDICT_UNKNOWN, .part = DIAGNOSE_HEAP_USED};
        _cleanup_buf_ Buf b = BUF_NULL;

        diagnosis_sentence(&b, &v, &l);
        assert_string_equal(buf_str(&b), "malloc's heap, in use and free: 110 MB of 210 MB; whether it grows takes a "
                                         "second look");
}

static void test_largest(void **state _unused_) {
        static Survey s = {.n_parts = 4,
                           .parts = {{.kind = PART_FILES, .name = "/a", .rss_bytes = 1},
                                     {.kind = PART_FILES, .name = "/b", .rss_bytes = 5},
                                     {.kind = PART_FILES, .rss_bytes = 9}, /* all others, summed up */
                                     {.kind = PART_SHARED, .name = "/c", .rss_bytes = 7}}};

        assert_string_equal(advice_largest(&s, DIAGNOSE_FILES)->name, "/b");
        assert_string_equal(advice_largest(&s, DIAGNOSE_SHARED)->name, "/c");
        assert_null(advice_largest(&s, DIAGNOSE_HEAP_USED));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_jemalloc),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_untold_heap),
                cmocka_unit_test(test_largest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
