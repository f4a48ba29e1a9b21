/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/remote.h"

#include <sys/uio.h>

ssize_t remote_read_some(pid_t pid, uint64_t addr, void *buf, size_t n) {
        struct iovec local = {buf, n}, remote = {(void *)(uintptr_t)addr, n};
        ssize_t r = process_vm_readv(pid, &local, 1, &remote, 1, 0);

        return r < 0 ? -errno : r;
}

int remote_read(pid_t pid, uint64_t addr, void *buf, size_t n) {
        ssize_t r = remote_read_some(pid, addr, buf, n);

        return r < 0 ? (int)r : (size_t)r == n ? 0 : -EFAULT;
}

int remote_write(pid_t pid, uint64_t addr, const void *buf, size_t n) {
        struct iovec local = {(void *)(uintptr_t)buf, n}, remote = {(void *)(uintptr_t)addr, n};
        ssize_t r = process_vm_writev(pid, &local, 1, &remote, 1, 0);

        return r < 0 ? -errno : (size_t)r == n ? 0 : -EFAULT;
}
