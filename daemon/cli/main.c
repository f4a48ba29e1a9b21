/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/term.h"
#include "util/version.h"

static const Command *const commands[] = {
        &command_status, &command_watch, &command_reclaim, &command_check, &command_help, NULL,
};

const Command *const *cli_commands(void) {
        return commands;
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
                return CLI_OK;
        }
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
                name = "help";
        c = cli_find(name);
        return c ? c->run(c, argc - 1, argv + 1) : cli_unknown(name);
}
