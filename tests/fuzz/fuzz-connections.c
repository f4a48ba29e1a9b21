/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include "sample/connections.h"

typedef struct Sum {
        uint64_t rows, ports;
} Sum;

static void on_row(void *userdata, const ConnectionRow *row) {
        Sum *sum = userdata;

        sum->rows++;
        sum->ports = sum->ports * 31 + row->local_port + row->remote_port * 7u + row->state + row->inode;
}

/* The first byte says where the text is cut in pieces: it must not matter. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        ConnectionScan whole = {0}, parts = {0};
        Sum a = {0}, b = {0};
        size_t step, at = 0;

        if (size == 0)
                return 0;
        step = (size_t)data[0] + 1;
        data++;
        size--;
        connection_scan_feed(&whole, (const char *)data, size, on_row, &a);
        while (at < size) {
                size_t n = size - at < step ? size - at : step;

                connection_scan_feed(&parts, (const char *)data + at, n, on_row, &b);
                at += n;
        }
        FUZZ_CHECK(a.rows == b.rows && a.ports == b.ports);
        FUZZ_CHECK(whole.rows == a.rows && parts.refused == whole.refused);
        FUZZ_CHECK(whole.len == parts.len && whole.overlong == parts.overlong);
        return 0;
}
