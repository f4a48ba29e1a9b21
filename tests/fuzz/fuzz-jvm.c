/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

#include "action/jvm-look.h"
#include "action/jvm-wire.h"

/* As an answer from the socket, and as a process' maps. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int fd = -1;
        size_t body = 0;
        JvmAnswer answer = jvm_wire_parse(JVM_TRIM, (const char *)data, size, &body);
        JvmLook look;

        FUZZ_CHECK(answer >= JVM_ANSWER_TRIMMED && answer < _JVM_ANSWER_MAX);
        FUZZ_CHECK((answer == JVM_ANSWER_NOTHING) == (size == 0));
        FUZZ_CHECK(answer != JVM_ANSWER_TRIMMED || memcmp(data, "0", 1) == 0 || memcmp(data, "-0", 2) == 0);

        if (fd < 0)
                fd = memfd_create("maps", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size &&
                   lseek(fd, 0, SEEK_SET) == 0);
        FUZZ_CHECK(jvm_look_maps(fd, &look) == 0);
        FUZZ_CHECK(look.has_libjvm || (!look.replaced && !look.libjvm[0]));
        FUZZ_CHECK(strlen(look.libjvm) < sizeof(look.libjvm) && (!look.libjvm[0] || look.libjvm[0] == '/'));
        FUZZ_CHECK(strlen(look.other_malloc) < sizeof(look.other_malloc));
        return 0;
}
