/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/dynsym.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "unit/unit.h"
#include "util/rootfs.h"

static int setup(void **state) {
        static Maps maps;
        _cleanup_fd_ int fd = rootfs_open_dir(AT_FDCWD, "/proc/self");

        assert_int_equal(maps_read(fd, &maps), 0);
        *state = &maps;
        return 0;
}

static int teardown(void **state) {
        maps_done(*state);
        return 0;
}

static bool find_libc(const Maps *maps, Object *ret) {
        for (size_t i = 0; object_next(maps, &i, ret);)
                if (strncmp(object_base_name(ret), "libc.so.6", 9) == 0 ||
                    strncmp(object_base_name(ret), "libc-2.", 7) == 0)
                        return true;
        return false;
}

static void test_finds_what_we_use_ourselves(void **state) {
        Memory mem = memory_of_process(getpid());
        Object o, same;
        Symbol s[4];
        Dynsym d;

        assert_true(find_libc(*state, &o));
        assert_int_equal(dynsym_open(&mem, o.first->start, &d), 0);
        assert_string_equal(d.soname, "libc.so.6");
        assert_true(d.needs && d.text_start < d.text_end && d.start == o.first->start);
        assert_int_equal(dynsym_address(&d, "swab"), (uint64_t)(uintptr_t)swab);
        assert_int_not_equal(dynsym_address(&d, "stdin"), 0);
        assert_int_equal(dynsym_address(&d, "no_such_function"), 0);
        assert_int_equal(dynsym_address(&d, "strlen"), 0);         /* an IFUNC */
        assert_int_equal(dynsym_find(&d, "errno", s, 4), 0);       /* thread-local */
        assert_int_equal(dynsym_find(&d, "posix_spawn", s, 4), 2); /* two versions, two functions */
        assert_int_not_equal(s[0].address, s[1].address);
        assert_true(object_at(*state, dynsym_address(&d, "swab"), &same) && same.first == o.first);
        assert_false(object_at(*state, (uint64_t)(uintptr_t)&d, &same));
}

typedef struct Seen {
        size_t n, n_swab;
        uint64_t swab;
} Seen;

static int see(void *userdata, const Symbol *s, const char *name) {
        Seen *seen = userdata;

        seen->n++;
        if (strcmp(name, "swab") == 0 && s->type == STT_FUNC && s->size > 0) {
                seen->n_swab++;
                seen->swab = s->address;
        }
        return 0;
}

static void test_sees_all(void **state) {
        Memory mem = memory_of_process(getpid());
        Seen seen = {0};
        Object o;
        Dynsym d;

        assert_true(find_libc(*state, &o));
        assert_int_equal(dynsym_open(&mem, o.first->start, &d), 0);
        assert_int_equal(dynsym_each(&d, see, &seen), 0);
        assert_true(seen.n > 2000 && seen.n_swab == 1);
        assert_int_equal(seen.swab, (uint64_t)(uintptr_t)swab);
}

/* libc refers to malloc by a slot, so that others may take its place; what is in there is what we call. */
static void test_reads_slots(void **state) {
        Memory mem = memory_of_process(getpid());
        Object o;
        Dynsym d;
        Symbol s;

        assert_true(find_libc(*state, &o));
        assert_int_equal(dynsym_open(&mem, o.first->start, &d), 0);
        assert_int_equal(dynsym_find(&d, "malloc", &s, 1), 1);
        assert_int_equal(dynsym_slot(&d, s.index), (uint64_t)(uintptr_t)malloc);
        assert_int_equal(dynsym_slot(&d, UINT32_MAX), 0);
}

static void test_budget_ends(void **state) {
        Memory mem = memory_of_process(getpid());
        Seen seen = {0};
        Object o;
        Dynsym d;

        assert_true(find_libc(*state, &o));
        assert_int_equal(dynsym_open(&mem, o.first->start, &d), 0);
        mem.reads_left = 1;
        assert_int_equal(dynsym_each(&d, see, &seen), -ETIME);
        assert_int_equal(dynsym_address(&d, "swab"), 0);
        assert_int_equal(dynsym_open(&mem, o.first->start, &d), -ETIME);
}

static void test_refuses_what_is_no_object(void **state _unused_) {
        Memory mem = memory_of_process(getpid());
        static const char text[4096] = "#!/bin/sh";
        Dynsym d;

        assert_int_equal(dynsym_open(&mem, (uint64_t)(uintptr_t)text, &d), -ENOEXEC);
        assert_int_equal(dynsym_open(&mem, 16, &d), -EFAULT);
        assert_int_equal(dynsym_open(&mem, UINT64_MAX - 8, &d), -EFAULT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_finds_what_we_use_ourselves),
                cmocka_unit_test(test_sees_all),
                cmocka_unit_test(test_reads_slots),
                cmocka_unit_test(test_budget_ends),
                cmocka_unit_test(test_refuses_what_is_no_object),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
