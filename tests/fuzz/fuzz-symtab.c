/* SPDX-License-Identifier: Apache-2.0
 *
 * A hostile program file, as /proc/PID/exe may be: its sections by elfutils, its symbols in windows, and what is made
 * of them for a static program.
 */
#include "fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>

#include "probe/inject/allocators.h"
#include "util/cleanup.h"

#define IMAGE_AT 0x400000u

typedef struct Blob {
        const uint8_t *data;
        size_t size;
} Blob;

static ssize_t read_blob(void *userdata, uint64_t addr, void *buf, size_t n) {
        const Blob *b = userdata;

        if (addr < IMAGE_AT || addr - IMAGE_AT >= b->size)
                return -EFAULT;
        n = min_of(n, b->size - (size_t)(addr - IMAGE_AT));
        memcpy(buf, b->data + (addr - IMAGE_AT), n);
        return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Blob blob = {data, size};
        Memory mem = {.read = read_blob, .userdata = &blob, .reads_left = 20000, .bytes_left = 64u << 20};
        _cleanup_fd_ int fd = memfd_create("program", MFD_CLOEXEC);
        _cleanup_(symtab_done) Symtab file = SYMTAB_NULL;
        Dynsym d;
        SymbolSource src = {&d, &file};
        Allocator a = {0};
        Image im = {0};
        int r;

        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                return 0;
        r = dynsym_open(&mem, IMAGE_AT, &d);
        if ((r < 0 && r != -ENODATA) || symtab_take(fd, &d, &file) < 0)
                return 0;
        (void)take_fd(&fd);
        r = glibc_read(&src, &im, &a);
        FUZZ_CHECK(r <= 0 && (r < 0 || (a.purge && im.sym.sigreturn && im.n_ranges > 0)));
        r = allocators_add(&src, ALLOCATOR_STATIC_PROGRAM, true, &im);
        FUZZ_CHECK(r <= (int)im.n_allocators && im.n_allocators <= IMAGE_ALLOCATORS_MAX &&
                   im.n_ranges <= IMAGE_RANGES_MAX);
        r = allocators_add(&src, ALLOCATOR_PROGRAM, false, &im);
        FUZZ_CHECK(r <= 1 && im.n_allocators <= IMAGE_ALLOCATORS_MAX && im.n_ranges <= IMAGE_RANGES_MAX);
        return 0;
}
