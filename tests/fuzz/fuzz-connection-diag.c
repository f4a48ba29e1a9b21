/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include "sample/connection-diag.h"

static void on_row(void *userdata, const ConnectionRow *row) {
        uint64_t *rows = userdata;

        FUZZ_CHECK(row->inode <= UINT32_MAX);
        (*rows)++;
}

/* A socket takes a header and a message: no answer has more of them than its length has room for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint64_t rows = 0;
        int r = connection_diag_parse(data, size, on_row, &rows);

        FUZZ_CHECK(r >= -4095 && r <= 1);
        FUZZ_CHECK(rows <= size / 88);
        return 0;
}
