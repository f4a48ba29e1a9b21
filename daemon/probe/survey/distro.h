/* SPDX-License-Identifier: Apache-2.0
 *
 * Which distribution's files a process runs on, so that advice can name the package and the path that are right in its
 * image. All of it is the target's own files, hence hostile: regular files of its root's file system alone, the first
 * few KiB of them, a handful of plain characters out of these. What is not of that form is not known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISTRO_TEXT_MAX 4096 /* of os-release; it has some 400 bytes */
#define DISTRO_ID_MAX   32
#define DISTRO_PATH_MAX 64

/* The program in its image that installs packages, in the order looked for; an image without any has none to offer. */
typedef enum DistroInstaller {
        INSTALLER_NONE, /* none of those below, or it could not be looked for */
        INSTALLER_APT,
        INSTALLER_APK,
        INSTALLER_DNF,
        INSTALLER_MICRODNF,
        INSTALLER_YUM,
        INSTALLER_ZYPPER,
        INSTALLER_PACMAN,
        _INSTALLER_MAX,
} DistroInstaller;

typedef struct Distro {
        char id[DISTRO_ID_MAX];   /* ID of os-release: "debian", "alpine"; "" = not known. Characters: distro_is_plain()
                                   */
        char like[DISTRO_ID_MAX]; /* the first of ID_LIKE */
        char jemalloc[DISTRO_PATH_MAX]; /* a libjemalloc for this machine that is in the image already; "" = none */
        uint32_t version;               /* VERSION_ID's first number; 0 = none */
        uint32_t machine;               /* e_machine of the program; 0 = not known */
        uint32_t installer;             /* DistroInstaller */
        uint32_t looked;                /* 1: its root could be looked into: "none" means none */
} Distro;

/* distro_parse() - ID, ID_LIKE and VERSION_ID out of the text of os-release. Pure; fuzzed. Source: os-release(5) */
void distro_parse(const char *text, size_t len, Distro *ret);

/* distro_read() - of the process at @proc_pid_fd; never fails: what is not known stays empty. */
void distro_read(int proc_pid_fd, Distro *ret);

/* distro_check() - of a Distro that somebody else sends: terminated, plain, of known kinds. */
bool distro_check(const Distro *d);

/* distro_triplet() - the folder below /usr/lib that Debian has for a machine: "x86_64-linux-gnu"; NULL = not known. */
const char *distro_triplet(uint32_t machine);
