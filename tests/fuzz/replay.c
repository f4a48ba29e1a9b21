/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define SEED_MAX (64 * 1024)
#define CHANGED_MAX 4096 /* longer seeds are given as they are: their changes would take too long for a test */

/* A copy of exact size, so that AddressSanitizer sees one byte too many. */
static void give(const uint8_t *data, size_t size) {
        _cleanup_free_ uint8_t *copy = malloc(size ? size : 1);

        if (!copy)
                abort();
        memcpy(copy, data, size);
        LLVMFuzzerTestOneInput(copy, size);
}

/* Every beginning of the seed, and every byte of it replaced by the ones that parsers mistake. */
static void give_changes(uint8_t *data, size_t size) {
        static const uint8_t odd[] = {0x00, 0x0a, 0x20, 0x22, 0x25, 0x2d, 0x2e, 0x39, 0x5c, 0x7f, 0x80, 0xc2, 0xff};

        for (size_t n = 0; n < size; n++)
                give(data, n);
        for (size_t at = 0; at < size; at++) {
                uint8_t was = data[at];

                for (size_t i = 0; i < ELEMENTSOF(odd); i++) {
                        data[at] = odd[i];
                        give(data, size);
                }
                data[at] = was;
        }
}

static bool replay(const char *folder, const char *name) {
        static uint8_t data[SEED_MAX];
        _cleanup_free_ char *path = NULL;
        _cleanup_file_ FILE *f = NULL;
        size_t n;

        if (asprintf(&path, "%s/%s", folder, name) < 0)
                return false;
        f = fopen(path, "re");
        if (!f)
                return false;
        n = fread(data, 1, sizeof(data), f);
        give(data, n);
        if (n <= CHANGED_MAX)
                give_changes(data, n);
        return !ferror(f);
}

/* Seeds are found, not listed: what a fuzzer found once is kept by dropping it into the folder. */
int main(int argc, char **argv) {
        struct dirent **entries = NULL;
        int n = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1, done = 0, failed = 0;

        for (int i = 0; i < n; i++) {
                if (entries[i]->d_name[0] != '.') {
                        bool ok = replay(argv[1], entries[i]->d_name);

                        printf("%sok %d - %s\n", ok ? "" : "not ", ++done, entries[i]->d_name);
                        fflush(stdout);
                        failed += !ok;
                }
                free(entries[i]);
        }
        free(entries);
        if (done == 0)
                printf("Bail out! no seeds in %s\n", argc == 2 ? argv[1] : "(no folder given)");
        else
                printf("1..%d\n", done);
        return failed || done == 0;
}
