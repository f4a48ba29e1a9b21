/* SPDX-License-Identifier: Apache-2.0
 *
 * A recorded trace from a file or standard input, for every subcommand that takes one: read with a bound, parsed, and
 * what is wrong said on standard error.
 */
#pragma once

#include "cli/cli.h"
#include "replay/trace.h"

/**
 * trace_file_load() - read @path whole ("-" is standard input)
 * @self:   whose name stands before messages
 * @series: as of trace_parse()
 * @ret:    untouched on failure. Owner: caller, released by trace_done()
 * Return: CLI_OK; CLI_ERROR: it cannot be read; CLI_BAD_ANSWER: it is no trace. Both were said.
 */
CliExit trace_file_load(const Command *self, const char *path, const char *series, Trace *ret) _must_check_;
