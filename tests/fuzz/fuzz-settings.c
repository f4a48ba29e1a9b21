/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "settings/load.h"
#include "unit/settings-equal.h"

static Settings first, second; /* 80 KB each */

/* Every line of a message begins with the file's name, and none holds a byte that a terminal obeys. */
static void check_problems(const Buf *problems) {
        const char *line = buf_str(problems);

        while (*line) {
                const char *end = strchr(line, '\n');

                FUZZ_CHECK(end && strncmp(line, "f.yaml:", 7) == 0);
                for (const char *p = line; p < end; p++)
                        FUZZ_CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
                line = end + 1;
        }
}

/* What was taken is written, read, and is the same; the second writing is the first but for the places. */
static void check_comes_back(SettingsOrigins *origins) {
        _cleanup_buf_ Buf dump = {.max = (size_t)8 << 20}, problems = BUF_NULL;

        settings_dump(&dump, &first, origins);
        FUZZ_CHECK(!dump.failed);
        FUZZ_CHECK(settings_load_string("d.yaml", buf_str(&dump), dump.len, &second, NULL, &problems) == 0);
        FUZZ_CHECK(settings_equal(&first, &second));
        settings_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        SettingsOrigins *origins = NULL;
        int r = settings_load_string("f.yaml", (const char *)data, size, &first, &origins, &problems);

        check_problems(&problems);
        FUZZ_CHECK(r == 0 || (r == -EINVAL && problems.len > 0));
        if (r < 0)
                return 0;
        check_comes_back(origins);
        settings_origins_free(origins);
        settings_done(&first);
        return 0;
}
