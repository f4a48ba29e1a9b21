/* SPDX-License-Identifier: Apache-2.0
 *
 * Folders of a test's own that are gone when it ends, with all that is in them: also where an assertion failed, which
 * jumps over every cleanup of the function it is in.
 */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define FOLDERS_MAX 32

static struct {
        pid_t owner; /* a child that exits removes nothing */
        char path[FOLDERS_MAX][64];
} folders;

static inline int folder_remove_one(const char *path, const struct stat *st _unused_, int type _unused_,
                                    struct FTW *f _unused_) {
        return remove(path);
}

/* folder_remove() - before the end; for a teardown. Return: 0; -1. */
static inline int folder_remove(const char *path) {
        for (size_t i = 0; i < FOLDERS_MAX; i++)
                if (strcmp(folders.path[i], path) == 0)
                        folders.path[i][0] = '\0';
        return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void folder_remove_all(void) {
        char path[64];

        for (size_t i = 0; folders.owner == getpid() && i < FOLDERS_MAX; i++)
                if (folders.path[i][0]) {
                        memcpy(path, folders.path[i], sizeof(path));
                        (void)folder_remove(path);
                }
}

/* folder_make() - @path: ends with "XXXXXX", becomes its name (mkdtemp(3)). Return: 0; -1; for a setup. */
static inline int folder_make(char *path) {
        size_t i = 0;

        while (i < FOLDERS_MAX && folders.path[i][0])
                i++;
        if (i == FOLDERS_MAX || strlen(path) >= sizeof(folders.path[i]) || !mkdtemp(path))
                return -1;
        strcpy(folders.path[i], path);
        if (!folders.owner) {
                folders.owner = getpid();
                return atexit(folder_remove_all);
        }
        return 0;
}
