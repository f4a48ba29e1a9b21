/* SPDX-License-Identifier: Apache-2.0
 *
 * What a survey reads with: blocks that are large where chunks are small and small where they are large, and only pages
 * that are there, told by PAGEMAP_SCAN or by read(), of this very process.
 */
#include "probe/survey/window.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/survey/pages.h"
#include "probe/survey/source.h"
#include "unit/folder.h"
#include "unit/unit.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define PAGE PAGES_PAGE
#define BASE 0x555500000000ULL

/* ---- blocks */

static ssize_t read_pattern(void *userdata _unused_, uint64_t addr, void *buf, size_t n) {
        if (addr < BASE)
                return -EFAULT;
        for (size_t i = 0; i < n; i += 8) {
                uint64_t v = addr + i;

                memcpy((char *)buf + i, &v, min_of(sizeof(v), n - i));
        }
        return (ssize_t)n;
}

/* Headers @step bytes apart, over @bytes. */
static Window walk(uint64_t bytes, uint64_t step) {
        Window w;

        assert_int_equal(window_init(&w, read_pattern, NULL), 0);
        for (uint64_t at = BASE + 16; at < BASE + bytes; at += step) {
                uint64_t v;
                const void *p = window_get(&w, at, 16);

                assert_non_null(p);
                memcpy(&v, p, sizeof(v));
                assert_int_equal(v, at);
        }
        return w;
}

static void test_blocks(void **state _unused_) {
        static const struct {
                uint64_t step, n_reads_max, bytes_max;
        } cases[] = {
                {32, 257, 65ULL << 20},    {2048, 257, 65ULL << 20},      {16384 + 48, 258, 65ULL << 20},
                {100000, 700, 5ULL << 20}, {1 << 20, 64 + 1, 1ULL << 20}, {(1 << 20) - 2000, 64 + 2, 1ULL << 20},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Window w = walk(64ULL << 20, cases[i].step);

                if (w.n_reads > cases[i].n_reads_max || w.n_bytes > cases[i].bytes_max)
                        fail_msg("step %lu: %lu reads, %lu bytes", cases[i].step, w.n_reads, w.n_bytes);
                window_done(&w);
        }
}

static void test_borders(void **state _unused_) {
        Window w = walk(PAGE, 16);
        const unsigned char *p;

        assert_null(window_get(&w, BASE - 16, 16));
        assert_null(window_get(&w, UINT64_MAX - 8, 16));
        assert_null(window_get(&w, BASE, WINDOW_BYTES));
        assert_false(window_holds(&w, 0, 1));
        window_forget(&w);
        assert_false(window_holds(&w, BASE, 1));
        w.n_bytes = 0;
        p = window_peek(&w, BASE + 3, 5); /* that and no more */
        assert_non_null(p);
        assert_int_equal(w.n_bytes, 5);
        assert_non_null(window_get(&w, BASE + PAGE - 8, 16)); /* across a border: both pages */
        assert_int_equal(w.base % PAGE, 0);
        window_done(&w);
}

/* ---- pages, of this process */

enum { N = 64, TOUCHED = 3, ZERO = 7, GONE = 11 };

static unsigned char *make(void) {
        unsigned char *p =
                mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        assert_ptr_not_equal(p, MAP_FAILED);
        assert_int_equal(madvise(p, N * PAGE, MADV_NOHUGEPAGE), 0);
        memset(p + TOUCHED * PAGE, 1, PAGE);
        memset(p + GONE * PAGE, 1, 2 * PAGE);
        assert_int_equal(madvise(p + GONE * PAGE, PAGE, MADV_DONTNEED), 0);
        assert_int_equal(*(volatile unsigned char *)(p + ZERO * PAGE), 0); /* maps the zero page */
        return p;
}

static void open_pages(Pages *p) {
        _cleanup_fd_ int proc_fd = rootfs_open_dir(AT_FDCWD, "/proc/self");

        assert_true(proc_fd >= 0);
        assert_int_equal(pages_open(p, proc_fd), 0);
}

static PageState state_of(Pages *p, const unsigned char *at) {
        PageState s;
        uint64_t end;

        assert_int_equal(pages_run(p, (uint64_t)(uintptr_t)at, &s, &end), 0);
        assert_true(end > (uint64_t)(uintptr_t)at);
        return s;
}

static void test_states(void **state _unused_) {
        for (int no_scan = 0; no_scan <= 1; no_scan++) {
                unsigned char *m = make();
                uint64_t start = (uint64_t)(uintptr_t)m, present = 0, swapped = 0;
                PageState zero;
                Pages p;

                open_pages(&p);
                p.no_scan = no_scan;
                assert_int_equal(state_of(&p, m), PAGE_ABSENT);
                assert_int_equal(state_of(&p, m + TOUCHED * PAGE + 100), PAGE_PRESENT);
                assert_int_equal(state_of(&p, m + GONE * PAGE), PAGE_ABSENT);
                assert_int_equal(state_of(&p, m + (GONE + 1) * PAGE), PAGE_PRESENT);
                zero = state_of(&p, m + ZERO * PAGE);
                assert_int_equal(zero, p.no_scan ? PAGE_PRESENT : PAGE_ABSENT);
                /* parts of pages at the ends are none */
                assert_int_equal(pages_count(&p, start + 1, start + N * PAGE - 1, &present, &swapped), 0);
                assert_int_equal(present, (2 + (zero == PAGE_PRESENT)) * PAGE);
                assert_int_equal(swapped, 0);
                memset(m, 1, PAGE);
                pages_forget(&p);
                assert_int_equal(state_of(&p, m), PAGE_PRESENT);
                pages_done(&p);
                assert_int_equal(munmap(m, N * PAGE), 0);
        }
}

/* More runs than one answer holds. */
static void test_many_runs(void **state _unused_) {
        enum { MANY = 4 * PAGES_RUNS };
        unsigned char *m = mmap(NULL, 2 * MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(m, MAP_FAILED);
        assert_int_equal(madvise(m, 2 * MANY * PAGE, MADV_NOHUGEPAGE), 0);
        for (size_t i = 0; i < MANY; i++)
                m[2 * i * PAGE] = 1;
        for (int no_scan = 0; no_scan <= 1; no_scan++) {
                uint64_t start = (uint64_t)(uintptr_t)m, present = 0, swapped = 0;
                Pages p;

                open_pages(&p);
                p.no_scan = no_scan;
                assert_int_equal(pages_count(&p, start, start + 2 * MANY * PAGE, &present, &swapped), 0);
                assert_int_equal(present, MANY * PAGE);
                pages_done(&p);
        }
        assert_int_equal(munmap(m, 2 * MANY * PAGE), 0);
}

/* A file in place of the kernel's: what is swapped out cannot be had on every machine. */
static void test_swapped(void **state _unused_) {
        char folder[] = "/tmp/plateau-pages-XXXXXX";
        uint64_t entries[4] = {1ULL << 63, 1ULL << 62, 1ULL << 62, 1ULL << 63}, present = 0, swapped = 0;
        unsigned char buf[4 * PAGE];
        bool out_of_time = false;
        PageState page;
        uint64_t end;
        Pages p;
        Source s = {.pid = getpid(), .pages = &p, .deadline_usec = UINT64_MAX, .out_of_time = &out_of_time};
        int dir_fd, fd;

        assert_int_equal(folder_make(folder), 0);
        dir_fd = rootfs_open_dir(AT_FDCWD, folder);
        fd = openat(dir_fd, "pagemap", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, entries, sizeof(entries)), sizeof(entries));
        assert_int_equal(close(fd), 0);
        assert_int_equal(pages_open(&p, dir_fd), 0);
        assert_int_equal(pages_run(&p, PAGE, &page, &end), 0);
        assert_int_equal(page, PAGE_SWAPPED);
        assert_int_equal(end, 3 * PAGE);
        assert_int_equal(pages_count(&p, 0, 4 * PAGE, &present, &swapped), 0);
        assert_int_equal(present, 2 * PAGE);
        assert_int_equal(swapped, 2 * PAGE);
        assert_int_equal(pages_run(&p, 4 * PAGE, &page, &end), -ESRCH); /* behind its end: the process has gone */
        assert_int_equal(source_read(&s, PAGE + 8, buf, PAGE), -EFAULT);
        assert_int_equal(s.n_swapped, 1);
        assert_int_equal(s.n_calls, 1);
        assert_int_equal(s.n_bytes, 0);
        pages_done(&p);
        assert_int_equal(unlinkat(dir_fd, "pagemap", 0), 0);
        assert_int_equal(close(dir_fd), 0);
        assert_int_equal(folder_remove(folder), 0);
}

/* What is not there reads as zero, and is not there afterwards either. */
static void test_untouched(void **state _unused_) {
        unsigned char *m = make(), *buf = malloc(N * PAGE);
        bool out_of_time = false;
        uint64_t before = 0, after = 0, swapped = 0, start = (uint64_t)(uintptr_t)m;
        Pages p;
        Source s = {.pid = getpid(), .pages = &p, .deadline_usec = UINT64_MAX, .out_of_time = &out_of_time};

        open_pages(&p);
        p.no_scan = true; /* so that a zero page would be seen */
        assert_int_equal(pages_count(&p, start, start + N * PAGE, &before, &swapped), 0);
        p.no_scan = false;
        pages_forget(&p);
        memset(buf, 0xee, N * PAGE);
        assert_int_equal(source_read(&s, start, buf, N * PAGE), N * PAGE);
        assert_memory_equal(buf, m, N * PAGE); /* and this touches them all */
        assert_int_equal(s.n_bytes, before - PAGE * !p.no_scan);
        assert_int_equal(madvise(m, N * PAGE, MADV_DONTNEED), 0);
        memset(m, 1, PAGE);
        pages_forget(&p);
        assert_int_equal(source_read(&s, start + 100, buf, 5 * PAGE), 5 * PAGE);
        p.no_scan = true;
        pages_forget(&p);
        assert_int_equal(pages_count(&p, start, start + N * PAGE, &after, &swapped), 0);
        assert_int_equal(after, PAGE);
        s.deadline_usec = now_mono_usec() - 1;
        assert_int_equal(source_read(&s, start, buf, PAGE), -ETIME);
        assert_true(out_of_time);
        pages_done(&p);
        free(buf);
        assert_int_equal(munmap(m, N * PAGE), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_blocks),    cmocka_unit_test(test_borders), cmocka_unit_test(test_states),
                cmocka_unit_test(test_many_runs), cmocka_unit_test(test_swapped), cmocka_unit_test(test_untouched),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
