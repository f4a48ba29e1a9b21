/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "sample/status.h"

/* Given in two pieces, split anywhere between lines, the result is that of the whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        ProcStatus whole = PROC_STATUS_NULL, parts = PROC_STATUS_NULL;
        const char *text = (const char *)data;
        size_t used, used_first, used_second;
        bool done = status_parse(text, size, &whole, &used);

        FUZZ_CHECK(used <= size && (used == 0 || text[used - 1] == '\n'));
        FUZZ_CHECK((whole.have & ~whole.seen) == 0 && done == !!(whole.seen & STATUS_THREADS));
        FUZZ_CHECK(memchr(whole.name, '\0', sizeof(whole.name)));
        FUZZ_CHECK(whole.pid >= 0 && whole.ppid >= 0 && whole.tgid >= 0 && whole.ns_pid >= 0);
        FUZZ_CHECK((whole.have & STATUS_RSS) || whole.rss_bytes == 0);
        if (!status_parse(text, size / 2, &parts, &used_first))
                status_parse(text + used_first, size - used_first, &parts, &used_second);
        FUZZ_CHECK(parts.have == whole.have && parts.seen == whole.seen && parts.rss_bytes == whole.rss_bytes);
        return 0;
}
