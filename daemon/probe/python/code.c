/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/code.h"

#include <string.h>

#define CODE_MAX 512

#ifdef __x86_64__
/* [REX.W] 8b/8d with a ModRM of RIP + displacement (Intel SDM vol. 2, 2.2.1.6): it counts from the end of the
 * instruction, which it ends. A program at a fixed address takes one by mov $imm32 too (b8 + register). */
size_t code_refs(Cache *m, const Symbol *function, CodeRef *ret, size_t max) {
        unsigned char code[CODE_MAX];
        size_t len = min_of((size_t)function->size, sizeof(code)), n = 0;

        if (!cache_read(m, function->address, code, len))
                return 0;
        for (size_t i = 0; i + 6 <= len && n < max; i++) {
                bool wide = i > 0 && (code[i - 1] & 0xf8) == 0x48;
                int32_t disp;

                memcpy(&disp, code + i + 2 - ((code[i] & 0xf8) == 0xb8), sizeof(disp));
                if ((code[i] & 0xf8) == 0xb8 && disp > 0) {
                        ret[n++] = (CodeRef){(uint64_t)disp, 0};
                        continue;
                }
                if ((code[i] != 0x8b && code[i] != 0x8d) || (code[i + 1] & 0xc7) != 0x05)
                        continue;
                ret[n++] = (CodeRef){function->address + i + 6 + (uint64_t)(int64_t)disp, code[i] == 0x8d ? 0
                                                                                          : wide          ? 8
                                                                                                          : 4};
        }
        return n;
}

/* e9, and 0f 80..8f: jmp and jcc rel32 */
size_t code_jumps(Cache *m, const Symbol *function, uint64_t *ret, size_t max) {
        unsigned char code[CODE_MAX];
        size_t len = min_of((size_t)function->size, sizeof(code)), n = 0;

        if (!cache_read(m, function->address, code, len))
                return 0;
        for (size_t i = 1; i + 5 <= len && n < max; i++) {
                int32_t disp;

                if (code[i] != 0xe9 && ((code[i] & 0xf0) != 0x80 || code[i - 1] != 0x0f))
                        continue;
                memcpy(&disp, code + i + 1, sizeof(disp));
                ret[n++] = function->address + i + 5 + (uint64_t)(int64_t)disp;
        }
        return n;
}
#else
size_t code_refs(Cache *m _unused_, const Symbol *function _unused_, CodeRef *ret _unused_, size_t max _unused_) {
        return 0;
}

size_t code_jumps(Cache *m _unused_, const Symbol *function _unused_, uint64_t *ret _unused_, size_t max _unused_) {
        return 0;
}
#endif
