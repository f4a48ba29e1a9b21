/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "probe/survey/distro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size ? size : 1); /* not a byte more than there is */
        Distro d = {0};

        if (!text)
                return 0;
        if (size)
                memcpy(text, data, size);
        distro_parse(text, size, &d);
        FUZZ_CHECK(distro_check(&d));
        free(text);
        return 0;
}
