/* SPDX-License-Identifier: Apache-2.0
 *
 * What the subcommands that have something called in a process share: their options, asking plateau-probe for it, and
 * telling how that went, as members of JSON and as text.
 */
#pragma once

#include <stdbool.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/term.h"
#include "util/json.h"

typedef struct CallArgs {
        bool json, allow_seccomp;
        uint64_t timeout_usec, find_timeout_usec;
        const char *probe;
} CallArgs;

#define CALL_ARGS_DEFAULT                                                                                              \
        { .timeout_usec = 10 * USEC_PER_SEC, .find_timeout_usec = 2 * USEC_PER_SEC }

/* The options of CallArgs, which begins the struct that the table's offsets are of. */
#define CALL_OPTIONS                                                                                                   \
        {"json", 'j', ARG_FLAG, NULL, offsetof(CallArgs, json), 0, 0, "One JSON object instead of text."},             \
                {"timeout",                                                                                            \
                 't',                                                                                                  \
                 ARG_DURATION,                                                                                         \
                 "TIME",                                                                                               \
                 offsetof(CallArgs, timeout_usec),                                                                     \
                 USEC_PER_MSEC,                                                                                        \
                 USEC_PER_HOUR,                                                                                        \
                 "How long the call may take; afterwards it is left to finish by itself. Default: 10s."},              \
                {"find-timeout",                                                                                       \
                 'f',                                                                                                  \
                 ARG_DURATION,                                                                                         \
                 "TIME",                                                                                               \
                 offsetof(CallArgs, find_timeout_usec),                                                                \
                 USEC_PER_MSEC,                                                                                        \
                 USEC_PER_HOUR,                                                                                        \
                 "How long to look for a thread at a proven safe point. Default: 2s."},                                \
                {"allow-seccomp",                                                                                      \
                 0,                                                                                                    \
                 ARG_FLAG,                                                                                             \
                 NULL,                                                                                                 \
                 offsetof(CallArgs, allow_seccomp),                                                                    \
                 0,                                                                                                    \
                 0,                                                                                                    \
                 "Also into a process under a seccomp filter whose verdict on our system calls is not known. A "       \
                 "filter "                                                                                             \
                 "that kills would kill it."},                                                                         \
        {                                                                                                              \
                "probe", 0, ARG_TEXT, "PATH", offsetof(CallArgs, probe), 0, 0,                                         \
                        "The plateau-probe to use. Default: $PLATEAU_PROBE, the one beside this command, the "         \
                        "installed one."                                                                               \
        }

/* The exit statuses of such a subcommand, but for 0: lines for Command.exits. */
#define CALL_EXITS                                                                                                     \
        "1\terror: no such process, or the probe failed\n"                                                             \
        "2\twrong command line\n"                                                                                      \
        "4\trefused: nothing was changed, the reason says why\n"                                                       \
        "5\ttimeout: started, not finished in its time; left to finish by itself\n"

/* call_make() - of the process that was identified; times and flags are filled into @request. Afterwards @a has the
 * answer, or why there is none. */
void call_make(const CallArgs *args, ProbeRequest *request, Ask *a);
/* call_with() - the same, by a probe that runs already. */
void call_with(const CallArgs *args, ProbeClient *client, ProbeRequest *request, Ask *a);

/* call_json_begin() - result, reason, detail, pid, comm, allocator, call. */
void call_json_begin(const Ask *a, Json *j);
/* call_json_end() - what it cost: stop_usec ... tid. */
void call_json_end(const Ask *a, Json *j);
/* call_print_head() - the first line: whose, and how it went; @done is the word for PROBE_OK. */
void call_print_head(const Ask *a, const Term *t, const char *done);
/* call_print_cost() - "held ..." and "took ..." of a call that was made. */
void call_print_cost(const Ask *a);
/* call_print_failure() - the reason, and what it means for the target. */
void call_print_failure(const Ask *a, const Term *t);
