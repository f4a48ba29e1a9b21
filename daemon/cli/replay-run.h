/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau replay TRACE`: what the command line says, and the run. The options' table is in replay.c, with the other
 * use of the command, the bare columns of the forecaster.
 */
#pragma once

#include "cli/cli.h"

typedef struct ReplayArgs {
        const char *config, *target, *series, *gives, *svg;
        uint64_t limit_bytes, age_usec;
        ArgTexts expect, at;
        const char *rung;
        bool columns, json, verbose, quiet;
} ReplayArgs;

/* replay_trace() - read @path ("-" is standard input), run, print. Return: a CliExit. */
int replay_trace(const Command *self, const ReplayArgs *a, const char *path);

/* replay_columns() - three columns on standard input through the forecaster alone, an answer a line. Return: a
 * CliExit. */
int replay_columns(const Command *self, const ReplayArgs *a);
