/* SPDX-License-Identifier: Apache-2.0
 *
 * Hostile objects as a target's memory: the length of a map (2 bytes), the map's text, and what is in memory from
 * IMAGE_AT on. Bounded: no input may take more reads than the budget, whatever its tables say.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/inject/image.h"

#define IMAGE_AT 0x10000000u

typedef struct Blob {
        const uint8_t *data;
        size_t size;
        unsigned n_reads;
} Blob;

static ssize_t read_blob(void *userdata, uint64_t addr, void *buf, size_t n) {
        Blob *b = userdata;

        b->n_reads++;
        if (addr < IMAGE_AT || addr - IMAGE_AT >= b->size)
                return -EFAULT;
        n = min_of(n, b->size - (size_t)(addr - IMAGE_AT));
        memcpy(buf, b->data + (addr - IMAGE_AT), n);
        return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const unsigned reads_max = 20000; /* a tenth of a process', for more tries a second */
        size_t text = size < 2 ? 0 : data[0] | (size_t)data[1] << 8;
        Blob blob;
        Memory mem = {.read = read_blob, .userdata = &blob, .reads_left = reads_max, .bytes_left = 64u << 20};
        char detail[PROBE_DETAIL_MAX] = "";
        Image im = {0};
        Maps maps;

        if (size < 2 || text > size - 2 || maps_parse((const char *)data + 2, text, &maps) < 0)
                return 0;
        blob = (Blob){.data = data + 2 + text, .size = size - 2 - text};
        switch (image_read_memory(&mem, -1, &maps, &im, detail, sizeof(detail))) {
        case PROBE_OK:
                FUZZ_CHECK(im.n_allocators >= 1 && im.n_allocators <= IMAGE_ALLOCATORS_MAX);
                FUZZ_CHECK(im.allocators[0].purge && im.sym.sigreturn && im.n_ranges <= IMAGE_RANGES_MAX);
                for (unsigned i = 0; i < im.n_ranges; i++)
                        FUZZ_CHECK(im.ranges[i].start >= im.guard_start && im.ranges[i].end <= im.guard_end);
                break;
        case PROBE_E_NO_LIBC:
        case PROBE_E_OTHER_MALLOC:
        case PROBE_E_FOREIGN_ABI:
                FUZZ_CHECK(detail[0] != '\0' && im.n_allocators == 0);
                break;
        case PROBE_E_INTERNAL:
                FUZZ_CHECK(im.n_allocators == 0);
                break;
        default:
                abort();
        }
        FUZZ_CHECK(blob.n_reads <= reads_max);
        maps_done(&maps);
        return 0;
}
