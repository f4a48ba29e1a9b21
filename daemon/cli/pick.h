/* SPDX-License-Identifier: Apache-2.0
 *
 * Which process a subcommand looks at, from its command line: PID, --match, --exe or --main; and when it looks: a timer
 * beside the signals that end it or change the screen, on descriptors.
 */
#pragma once

#include "cli/cli.h"
#include "sample/target.h"

typedef struct Pick {
        const char *match, *exe, *word; /* word: a pid. NULL = not given. Owner: argv */
        bool main;
        uint64_t limit_bytes;
} Pick;

/* pick_target() - exactly one of them, checked. Return: 0; -EINVAL, said on stderr. */
int pick_target(const Command *self, const Pick *p, TargetSpec *ret) _must_check_;

/* pick_describe() - what is looked for, in words; may hold hostile text. */
#define PICK_WORDS_MAX (TARGET_VALUE_MAX + 64)
void pick_describe(const TargetSpec *spec, char buf[static PICK_WORDS_MAX]);

/* pick_is_absent() - it was named by pid, and there is no such process; said on stderr. */
bool pick_is_absent(const Command *self, const TargetSpec *spec, int proc_fd);

typedef enum TickerEvent { TICKER_NOTHING, TICKER_DUE, TICKER_RESIZED, TICKER_STOPPED } TickerEvent;

typedef struct Ticker {
        int signal_fd, timer_fd;
} Ticker;

#define TICKER_NULL ((Ticker){.signal_fd = -1, .timer_fd = -1})

/* ticker_open() - due at once, then every @interval_usec. Blocks SIGINT, SIGTERM, SIGHUP, SIGWINCH: they are events
 * from here on. Return: 0 or negative errno. */
int ticker_open(Ticker *t, uint64_t interval_usec) _must_check_;
void ticker_done(Ticker *t);

/* ticker_wait() - @pid_fd: the process's pidfd, whose end is DUE too; -1 = none. Return: 0 or negative errno. */
int ticker_wait(Ticker *t, int pid_fd, TickerEvent *ret) _must_check_;
