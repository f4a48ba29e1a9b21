/* SPDX-License-Identifier: Apache-2.0
 *
 * One question to plateau-probe about one process, as a subcommand asks it: who is that pid, what did the probe say,
 * which of the four results is that, and which exit status. The sentences for people are the callers'.
 */
#pragma once

#include <stdbool.h>

#include "cli/cli.h"
#include "probe/client.h"
#include "sample/target.h"

typedef struct Ask {
        pid_t pid;
        uint64_t start_ticks;           /* of the process that was found: a pid used again is not mistaken for it */
        int pid_fd;                     /* polls readable at its end; -1 where there are no pidfds. Owner: the Ask */
        char comm[TARGET_COMM_MAX + 1]; /* "" = not known */
        uint64_t rss_bytes;             /* 0 = not known: a living process has an RSS */
        ProbeReply reply;
        const char *result; /* "ok", "refused", "timeout", "error": stable, for JSON. Static */
} Ask;

#define ASK_NULL ((Ask){.pid_fd = -1, .result = "error"})

/* ask_done() - release the descriptor. */
void ask_done(Ask *a);

/* ask_identify() - fill all but the reply for @pid. Return: false: there is none, or it cannot be told; the reply says
 * so. */
bool ask_identify(Ask *a, pid_t pid) _must_check_;

/* ask_start() - the probe at @path (NULL: where it belongs). Return: NULL: the reply says why. Owner: the caller. */
ProbeClient *ask_start(Ask *a, const char *path);

/**
 * ask_probe() - send @request about the process that was identified and wait for the answer
 * @wait_usec: how long; afterwards the reply is PROBE_E_TIMEOUT
 * @ret_fd:    the descriptor that came along, or -1. Owner: the caller
 */
void ask_probe(Ask *a, ProbeClient *client, const ProbeRequest *request, uint64_t wait_usec, int *ret_fd);

/* ask_fail() - no answer, or one that cannot be used: make it the reply. */
void ask_fail(Ask *a, ProbeResult result, const char *fmt, ...) _printf_(3, 4);

/* ask_take() - the reply was filled in by somebody else than the probe: what it says is the result. */
void ask_take(Ask *a);

/* ask_wait() - until @deadline_usec (CLOCK_MONOTONIC). Return: false: the process has ended, and the reply says that it
 * did before @what. */
bool ask_wait(Ask *a, uint64_t deadline_usec, const char *what) _must_check_;

/* ask_exit() - the exit status of @a->result. */
CliExit ask_exit(const Ask *a);

#define _cleanup_ask_ _cleanup_(ask_done)
