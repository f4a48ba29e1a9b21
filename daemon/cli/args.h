/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of one subcommand from a table: getopt_long() underneath, strict parsers for the values, and one
 * sentence on stderr for everything that is wrong: which option, which value, what was expected. The same table is what
 * the help prints.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/cleanup.h"

struct Command;

typedef enum ArgType {
        ARG_FLAG,     /* bool */
        ARG_TEXT,     /* const char *, not empty. Owner: argv */
        ARG_BYTES,    /* uint64_t; "4.5GB", "4500Mi" */
        ARG_DURATION, /* uint64_t microseconds; "250ms", "1h30m" */
        ARG_COUNT,    /* uint64_t decimal */
        ARG_TEXTS,    /* ArgTexts: as ARG_TEXT, several times */
} ArgType;

typedef struct ArgOption {
        const char *name; /* long, without dashes */
        char letter;      /* short, 0 = none */
        ArgType type;
        const char *value; /* what stands for the value in help: "PATH" */
        size_t offset;     /* of the field in the caller's struct */
        uint64_t min, max; /* of the numeric types, both included; max 0 = no bound */
        const char *help;  /* one or two sentences; wrapped when printed */
} ArgOption;

/* The values of an option that may be there several times. Owner: argv. */
#define ARG_TEXTS_MAX 16u
typedef struct ArgTexts {
        const char *text[ARG_TEXTS_MAX];
        unsigned n;
} ArgTexts;

#define ARG_END {.name = NULL}
#define ARGS_OPTIONS_MAX 24

/* What args_parse() found besides options. Owner: argv. */
typedef struct ArgWords {
        char **word;
        unsigned n;
} ArgWords;

/**
 * args_parse() - fill @values from argv; -h and --help are known everywhere
 * @values: the struct that the table's offsets are of, holding the defaults
 * @n_min, @n_max: how many words may be left besides the options
 * Return: 0; 1: the help was asked for and printed (exit 0); -EINVAL: wrong, and said so on stderr (exit 2).
 */
int args_parse(const struct Command *c, int argc, char **argv, void *values, unsigned n_min, unsigned n_max,
               ArgWords *ret) _must_check_;

/* args_pid() - a positive decimal number. Return: 0; -EINVAL, said on stderr. */
int args_pid(const struct Command *c, const char *word, pid_t *ret) _must_check_;

/**
 * args_span() - the value of @option, a span that is waited for: seconds, or a duration with its units
 * @least: the shortest that is taken, as text: "1ms". The longest is 7 days
 * Return: 0; -EINVAL, said on stderr.
 */
int args_span(const struct Command *c, const char *option, const char *text, const char *least,
              uint64_t *ret_usec) _must_check_;

/* args_error() - "plateau NAME: <text>" and where to read more, on stderr. Return: -EINVAL. */
int args_error(const struct Command *c, const char *fmt, ...) _printf_(2, 3);

/* args_nearest() - which of @names (NULL at the end) @s was probably meant to be. Return: its index, or -1. */
int args_nearest(const char *s, const char *const *names);
