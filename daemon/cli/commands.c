/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/term.h"
#include "util/buf.h"

static const Command *const commands[] = {
        &command_status, &command_watch,  &command_explain, &command_reclaim, &command_tune, &command_inspect,
        &command_replay, &command_verify, &command_doctor,  &command_check,   &command_help, NULL,
};

const Command *const *cli_commands(void) {
        return commands;
}

const Command *cli_find(const char *name) {
        for (const Command *const *c = cli_commands(); *c; c++)
                if (strcmp((*c)->name, name) == 0)
                        return *c;
        return NULL;
}

int cli_unknown(const char *name) {
        const char *names[16] = {0};
        _cleanup_buf_ Buf safe = BUF_NULL;
        size_t n = 0;
        int i;

        for (const Command *const *c = cli_commands(); *c && n + 1 < ELEMENTSOF(names); c++)
                names[n++] = (*c)->name;
        term_safe(&safe, term_has_utf8(), name);
        i = args_nearest(name, names);
        if (i >= 0)
                fprintf(stderr, "plateau: unknown command '%s'; did you mean '%s'?\n", buf_str(&safe), names[i]);
        else
                fprintf(stderr, "plateau: unknown command '%s'\n", buf_str(&safe));
        fputs("Try: plateau help\n", stderr);
        return CLI_USAGE;
}
