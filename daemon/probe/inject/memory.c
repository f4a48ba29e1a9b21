/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/memory.h"

#include <string.h>

#include "probe/inject/remote.h"

static ssize_t read_process(void *userdata, uint64_t addr, void *buf, size_t n) {
        return remote_read_some((pid_t)(intptr_t)userdata, addr, buf, n);
}

Memory memory_of_process(pid_t pid) {
        return (Memory){.read = read_process,
                        .userdata = (void *)(intptr_t)pid,
                        .reads_left = MEMORY_READS_MAX,
                        .bytes_left = MEMORY_BYTES_MAX};
}

ssize_t memory_read_some(Memory *m, uint64_t addr, void *buf, size_t n) {
        ssize_t r;

        if (n == 0 || addr + n < addr)
                return -EFAULT;
        if (m->reads_left == 0 || m->bytes_left < n)
                return -ETIME;
        m->reads_left--;
        m->bytes_left -= n;
        r = m->read(m->userdata, addr, buf, n);
        return r == 0 ? -EFAULT : r;
}

int memory_read(Memory *m, uint64_t addr, void *buf, size_t n) {
        ssize_t r = memory_read_some(m, addr, buf, n);

        return r < 0 ? (int)r : (size_t)r == n ? 0 : -EFAULT;
}

ssize_t memory_read_string(Memory *m, uint64_t addr, char *buf, size_t size) {
        ssize_t n = memory_read_some(m, addr, buf, size - 1);

        if (n < 0)
                return n;
        buf[n] = '\0';
        return (ssize_t)strlen(buf);
}
