/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/distro.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/rootfs.h"

/* Below the target's root, whatever its links say, and on that file system alone: another one may be the target's own,
 * and never answer. openat2() is Linux 5.6; where it is missing or filtered nothing is looked at. */
static int open_in_root(int root_fd, const char *path, uint64_t flags) {
        struct open_how how = {.flags = flags | O_CLOEXEC,
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
        int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* Looked at before it is opened, as to open a device may do something; and it is that very file which is opened, not
 * what has its name by then (proc(5), /proc/PID/fd). */
static int open_regular(int root_fd, const char *path) {
        _cleanup_fd_ int found = open_in_root(root_fd, path, O_PATH);
        char link[32];
        struct stat st;

        if (found < 0)
                return found;
        if (fstat(found, &st) < 0 || !S_ISREG(st.st_mode))
                return -EBADF;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
        return rootfs_open(AT_FDCWD, link);
}

static uint32_t machine_of(int fd) {
        unsigned char h[20];

        if (fd < 0 || pread(fd, h, sizeof(h), 0) != sizeof(h) || memcmp(h, ELFMAG, SELFMAG) != 0 ||
            h[EI_CLASS] != ELFCLASS64 || h[EI_DATA] != ELFDATA2LSB)
                return 0;
        return (uint32_t)(h[18] | h[19] << 8); /* e_machine */
}

static void read_release(int root_fd, Distro *d) {
        static const char *const files[] = {"etc/os-release", "usr/lib/os-release"}; /* in this order: os-release(5) */
        char text[DISTRO_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(files) && !d->id[0]; i++) {
                _cleanup_fd_ int fd = open_regular(root_fd, files[i]);
                ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
                const char *end = text + sizeof(text);

                while (n == sizeof(text) && end > text && end[-1] != '\n')
                        end--; /* a line that is cut is none */
                if (n > 0)
                        distro_parse(text, n == sizeof(text) ? (size_t)(end - text) : (size_t)n, d);
        }
}

static void find_installer(int root_fd, Distro *d) {
        static const struct {
                DistroInstaller installer;
                const char *path;
        } programs[] = {
                {INSTALLER_APT, "usr/bin/apt-get"},       {INSTALLER_APK, "sbin/apk"},
                {INSTALLER_APK, "usr/bin/apk"},           {INSTALLER_DNF, "usr/bin/dnf"},
                {INSTALLER_MICRODNF, "usr/bin/microdnf"}, {INSTALLER_YUM, "usr/bin/yum"},
                {INSTALLER_ZYPPER, "usr/bin/zypper"},     {INSTALLER_PACMAN, "usr/bin/pacman"},
        };

        for (size_t i = 0; i < ELEMENTSOF(programs) && d->installer == INSTALLER_NONE; i++) {
                _cleanup_fd_ int fd = open_in_root(root_fd, programs[i].path, O_PATH);

                if (fd >= 0)
                        d->installer = programs[i].installer;
        }
}

static void find_jemalloc(int root_fd, Distro *d) {
        const char *triplet = distro_triplet(d->machine);
        const struct {
                const char *folder, *below;
        } places[] = {{"lib/", triplet}, {"lib64", ""}, {"lib", ""}, {"local/lib", ""}};

        for (size_t i = 0; i < ELEMENTSOF(places) && triplet; i++) {
                char path[DISTRO_PATH_MAX] = {0};

                snprintf(path, sizeof(path), "/usr/%s%s/libjemalloc.so.2", places[i].folder, places[i].below);
                _cleanup_fd_ int fd = open_regular(root_fd, path);

                if (machine_of(fd) == d->machine) {
                        memcpy(d->jemalloc, path, sizeof(path));
                        return;
                }
        }
}

void distro_read(int proc_pid_fd, Distro *ret) {
        _cleanup_fd_ int exe_fd = rootfs_open(proc_pid_fd, "exe"), root_fd = rootfs_open_dir(proc_pid_fd, "root");
        _cleanup_fd_ int probed = -1;

        *ret = (Distro){.machine = machine_of(exe_fd)};
        if (root_fd < 0)
                return;
        probed = open_in_root(root_fd, ".", O_PATH | O_DIRECTORY);
        if (probed < 0)
                return;
        ret->looked = 1;
        read_release(root_fd, ret);
        find_installer(root_fd, ret);
        find_jemalloc(root_fd, ret);
}
