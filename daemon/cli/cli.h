/* SPDX-License-Identifier: Apache-2.0
 *
 * What a subcommand of `plateau` is: a name, the texts of its help, its options as a table, and a function. commands.c
 * holds the list, help.c prints any of them, args.c parses any of them; a new subcommand is one file and one line in
 * commands.c.
 */
#pragma once

#include <stdbool.h>

#include "cli/args.h"

/* Exit statuses mean the same in every subcommand: a script can tell them apart without knowing which it ran. */
typedef enum CliExit {
        CLI_OK = 0,
        CLI_ERROR = 1,       /* it did not work; for `status --exit-code`: an alert is firing */
        CLI_USAGE = 2,       /* the command line is wrong; nothing was done */
        CLI_NO_DAEMON = 3,   /* nobody listens on the socket */
        CLI_REFUSED = 4,     /* declined before anything was touched */
        CLI_TIMEOUT = 5,     /* no answer, or no result, in the time allowed */
        CLI_NO_TARGET = 6,   /* the daemon has no target of that name */
        CLI_UNMET = 7,       /* replay --expect: something else came */
        CLI_LINE = 8,        /* verify: memory still grows, and it matters */
        CLI_UNDECIDED = 9,   /* verify: neither a plateau nor a line is shown */
        CLI_BAD_ANSWER = 65, /* EX_DATAERR of sysexits.h: what came is not a status document, or no trace */
        CLI_BAD_CONFIG = 78, /* EX_CONFIG: as plateaud --check-config */
} CliExit;

typedef struct Command {
        const char *name;
        const char *args;        /* what follows the name in the synopsis */
        const char *summary;     /* one line, no full stop */
        const char *description; /* paragraphs separated by a newline; wrapped when printed */
        const char *exits;       /* lines "status<TAB>meaning" */
        const char *examples;    /* lines "command<TAB>what it does" */
        const ArgOption *options; /* ends with ARG_END */
        bool reasons;             /* plateau-probe answers it: the help lists its reasons */
        int (*run)(const struct Command *self, int argc, char **argv); /* argv[0] is the name. Return: a CliExit */
} Command;

extern const Command command_check;
extern const Command command_doctor;
extern const Command command_explain;
extern const Command command_help;
extern const Command command_inspect;
extern const Command command_reclaim;
extern const Command command_replay;
extern const Command command_status;
extern const Command command_tune;
extern const Command command_verify;
extern const Command command_watch;

/* cli_commands() - all of them in the order of the help, NULL at the end. Owner: static. */
const Command *const *cli_commands(void);
/* cli_find() - by its exact name. Return: NULL if there is none. */
const Command *cli_find(const char *name);
/* cli_unknown() - say on stderr that @name is no subcommand, with the nearest that is. Return: CLI_USAGE. */
int cli_unknown(const char *name);

/* help_command() - the manual of one subcommand on standard output. */
void help_command(const Command *c);
/* help_overview() - the list of all. */
void help_overview(void);
