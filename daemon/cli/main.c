/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "util/version.h"

/* What was not written was not said: a full disk must not look like success. */
static int finish(int status) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        fprintf(stderr, "plateau: writing standard output: %s\n", strerror(errno));
        return status == CLI_OK ? CLI_ERROR : status;
}

int main(int argc, char **argv) {
        const char *name = argc > 1 ? argv[1] : NULL;
        const Command *c;

        if (!name) {
                help_overview();
                return CLI_USAGE;
        }
        if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
                printf("plateau %s\n", plateau_version());
                return finish(CLI_OK);
        }
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
                name = "help";
        c = cli_find(name);
        return finish(c ? c->run(c, argc - 1, argv + 1) : cli_unknown(name));
}
