/* SPDX-License-Identifier: Apache-2.0
 *
 * What a fuzz target has: libFuzzer's entry point, and a check that ends the program, which is how a fuzzer learns that
 * an answer was wrong and not only that memory was.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)    \
        do {                     \
                if (!(condition)) \
                        abort(); \
        } while (0)
