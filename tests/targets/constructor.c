/* SPDX-License-Identifier: Apache-2.0
 *
 * A library that says "ready" and reads a byte in its constructor: whoever loads it is blocked inside the dynamic
 * loader.
 */
#include <unistd.h>

__attribute__((__constructor__)) static void wait_for_a_byte(void) {
        char byte;

        if (write(STDOUT_FILENO, "ready\n", 6) != 6 || read(STDIN_FILENO, &byte, 1) < 0)
                _exit(1);
}
