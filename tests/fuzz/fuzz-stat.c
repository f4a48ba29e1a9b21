/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "sample/stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        ProcStat st = {.pid = -1};
        ProcStatm statm = {.size_pages = 7};

        if (stat_parse((const char *)data, size, &st) == 0) {
                FUZZ_CHECK(st.pid > 0 && st.ppid >= 0 && st.state != '\0');
                FUZZ_CHECK(memchr(st.comm, '\0', sizeof(st.comm)) && data[size - 1] == '\n');
        } else
                FUZZ_CHECK(st.pid == -1);
        if (statm_parse((const char *)data, size, &statm) < 0)
                FUZZ_CHECK(statm.size_pages == 7);
        return 0;
}
