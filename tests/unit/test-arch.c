/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/arch/arch.h"

#include "unit/unit.h"

/* A thread's state as a stop in epoll_wait gives it; the XSAVE area holds x87 and SSE alone. */
static void make_state(ThreadState *s) {
        uint64_t bv = 3;

        memset(s, 0, sizeof(*s));
        s->regs.rip = 0x7f0000001002;
        s->regs.rsp = 0x7ffd00001000;
        s->regs.rax = (unsigned long)-4;
        s->regs.orig_rax = 232;
        s->regs.cs = 0x33;
        s->regs.ss = 0x2b;
        s->sigmask = 0x1234;
        s->xstate_len = 2432;
        memcpy(s->xstate + 512, &bv, sizeof(bv));
        memset(s->xstate, 0x5a, 416);
}

static void test_chain_is_laid_out_as_the_kernel_reads_it(void **state _unused_) {
        static ThreadState s;
        static Chain c;
        Call calls[2] = {{.function = 0xf1, .arg = {1, 2, 3, 4, 5, 6}}, {.function = 0xf2}};
        uint64_t top = 0x7ffd00001000 - ARCH_RED_ZONE, w[40];
        uint32_t magic;
        uint64_t fp;

        make_state(&s);
        assert_int_equal(arch_chain_build(&s, calls, 2, top, 0xabc, &c), 0);
        assert_int_equal(c.ip, 0xabc);
        assert_true(c.addr + c.len <= top);
        assert_true(top - c.addr <= arch_chain_room(&s, 2));
        assert_int_equal(c.addr % 16, 8); /* what a function's entry wants of %rsp, for each frame */

        memcpy(w, c.bytes, sizeof(w));
        assert_int_equal(w[0], 0xabc);                /* return address: the restorer */
        assert_int_equal(w[5 + 1 + 15], c.addr + 320); /* sp: the next frame's return address */
        assert_int_equal(w[5 + 1 + 16], 0xf1);        /* ip */
        assert_int_equal(w[5 + 1 + 8], 1);            /* rdi */
        assert_int_equal(w[38] & (1ULL << 14), 1ULL << 14); /* SIGTERM blocked in the middle */
        assert_int_equal(w[38] & (1ULL << 10), 0);          /* SIGSEGV is not */
        assert_int_equal((int32_t)w[4], 0x40);        /* ss_flags: invalid on purpose */

        memcpy(w, c.bytes + 640, sizeof(w)); /* the last frame */
        assert_int_equal(w[5 + 1 + 16], 0x7f0000001000); /* ip: back on the syscall instruction */
        assert_int_equal(w[5 + 1 + 13], 232);            /* rax: its number */
        assert_int_equal(w[5 + 1 + 15], 0x7ffd00001000); /* sp as it was */
        assert_int_equal(w[38], 0x1234);                 /* mask as it was */
        fp = w[6 + 23];
        assert_int_equal(fp % 64, 0);
        memcpy(&magic, c.bytes + (fp - c.addr) + 464, sizeof(magic));
        assert_int_equal(magic, 0x46505853);
        memcpy(&magic, c.bytes + (fp - c.addr) + 576, sizeof(magic));
        assert_int_equal(magic, 0x46505845);
        assert_memory_equal(c.bytes + (fp - c.addr), s.xstate, 416);
}

static void test_too_many_calls_are_refused(void **state _unused_) {
        static ThreadState s;
        static Chain c;
        Call calls[ARCH_CALLS_MAX + 1] = {0};

        make_state(&s);
        assert_int_equal(arch_chain_build(&s, calls, ARCH_CALLS_MAX + 1, 0x7ffd00000f80, 0xabc, &c), -E2BIG);
}

static void test_which_stops_can_be_begun_again(void **state _unused_) {
        static const struct {
                const char *name;
                long rax, orig;
                long nr;
        } cases[] = {
                {"EINTR class", -4, 232, 232},   {"restart", -512, 0, 0},     {"restart without handler", -514, 7, 7},
                {"restart block", -516, 35, 35}, {"it has returned", 3, 232, -1}, {"it failed", -9, 0, -1},
                {"in user code", -4, -1, -1},
        };
        static ThreadState s;
        uint64_t args[6];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                make_state(&s);
                s.regs.rax = (unsigned long)cases[i].rax;
                s.regs.orig_rax = (unsigned long)cases[i].orig;
                print_message("# %s\n", cases[i].name);
                assert_int_equal(arch_syscall(&s, args), cases[i].nr);
        }
}

static void test_knows_calls_and_restorers(void **state _unused_) {
        static const unsigned char near[] = {0x90, 0x90, 0xe8, 1, 2, 3, 4}, reg[] = {0, 0, 0, 0, 0, 0xff, 0xd0},
                                   mem[] = {0, 0xff, 0x15, 1, 2, 3, 4}, sib[] = {0, 0, 0, 0xff, 0x54, 0x24, 8},
                                   none[] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90},
                                   jmp[] = {0, 0, 0, 0, 0, 0xff, 0xe0},
                                   back[] = {1, 0, 0xe8, 0x85, 0xcc, 0xff, 0xff},
                                   both[] = {0x90, 0x90, 0xe8, 0xff, 0x54, 0x24, 8};
        static const unsigned char wide[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 5},
                                   narrow[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 5, 0, 0},
                                   other[] = {0xb8, 0x0e, 0, 0, 0, 0x0f, 5, 0, 0};

        assert_true(arch_is_after_call(near));
        assert_true(arch_is_after_call(reg));
        assert_true(arch_is_after_call(mem));
        assert_true(arch_is_after_call(sib));
        assert_false(arch_is_after_call(none));
        assert_false(arch_is_after_call(jmp));
        assert_int_equal(arch_direct_call(near, 0x10000000), 0x14030201);
        assert_int_equal(arch_direct_call(back, 0x10000000), 0x0fffcc85);
        assert_int_equal(arch_direct_call(both, 0x10000000), 0);
        assert_int_equal(arch_direct_call(reg, 0x10000000), 0);
        assert_int_equal(arch_direct_call(none, 0x10000000), 0);
        assert_true(arch_is_restorer(wide));
        assert_true(arch_is_restorer(narrow));
        assert_false(arch_is_restorer(other));
}

static void test_reads_the_slot_of_a_call(void **state _unused_) {
        /* repz call *0x27e7e(%rip) of the loader; call *%rax; call rel32; one whose displacement looks like a call */
        static const unsigned char slot[] = {0xf3, 0xff, 0x15, 0x7e, 0x7e, 0x02, 0x00},
                                   reg[] = {0x48, 0x8b, 0x44, 0x24, 0x08, 0xff, 0xd0},
                                   direct[] = {0x90, 0x90, 0xe8, 0x88, 0x95, 0x01, 0x00},
                                   either[] = {0x00, 0xff, 0x15, 0x00, 0x00, 0xff, 0xd0},
                                   /* call *0x8(%rsp), as libc calls main(); a direct call that ends like one; none */
                                   by_stack[] = {0x48, 0x8b, 0x10, 0xff, 0x54, 0x24, 0x08},
                                   both[] = {0x90, 0x90, 0xe8, 0x00, 0x00, 0xff, 0xd0},
                                   none[] = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};

        assert_int_equal(arch_call_slot(slot, 0xabca), 0xabca + 0x27e7e);
        assert_int_equal(arch_call_slot(reg, 0xabca), 0);
        assert_int_equal(arch_call_slot(direct, 0xabca), 0);
        assert_int_equal(arch_call_slot(either, 0xabca), 0);
        assert_true(arch_is_indirect_call(slot));
        assert_true(arch_is_indirect_call(reg));
        assert_true(arch_is_indirect_call(by_stack));
        assert_false(arch_is_indirect_call(direct));
        assert_false(arch_is_indirect_call(both));
        assert_false(arch_is_indirect_call(none));
}

/* A frame as the kernel writes it, and a struct kernel_sigaction that sigaction() left on a stack. */
static void test_tells_a_frame_from_a_sigaction(void **state _unused_) {
        uint64_t frame[ARCH_FRAME_LOOK / 8] = {0x7f0000001000, 7}, action[ARCH_FRAME_LOOK / 8] = {0x7f0000001000};
        unsigned char bytes[ARCH_FRAME_LOOK];

        action[24] = 0x7ffe6ea28700;
        memcpy(bytes, action, sizeof(bytes));
        assert_false(arch_may_be_frame(bytes));
        frame[24] = 0x002b000000000033;
        memcpy(bytes, frame, sizeof(bytes));
        assert_true(arch_may_be_frame(bytes));
        frame[24] = 0x002b00000000e023; /* 32-bit code under Xen */
        memcpy(bytes, frame, sizeof(bytes));
        assert_true(arch_may_be_frame(bytes));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_chain_is_laid_out_as_the_kernel_reads_it),
                cmocka_unit_test(test_too_many_calls_are_refused),
                cmocka_unit_test(test_which_stops_can_be_begun_again),
                cmocka_unit_test(test_knows_calls_and_restorers),
                cmocka_unit_test(test_reads_the_slot_of_a_call),
                cmocka_unit_test(test_tells_a_frame_from_a_sigaction),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
