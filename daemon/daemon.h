/* SPDX-License-Identifier: Apache-2.0
 *
 * plateaud's loop: one sd-event loop that ticks every watch, answers the status socket, reloads on SIGHUP and ends on
 * SIGTERM within a second. The only place, with watch.c, where the stages meet.
 */
#pragma once

#include "probe/client.h"
#include "settings/load.h"

typedef struct Daemon Daemon;

typedef struct DaemonSetup {
        sd_event *event;          /* Owner: caller, outlives the Daemon */
        const char *config_path;  /* for reload; Owner: caller */
        Settings *settings;       /* taken: left empty */
        ProbeClient *probe;       /* taken; NULL = none could be started */
        uint64_t env_limit_bytes; /* PLATEAU_LIMIT_BYTES or 0 */
} DaemonSetup;

/* daemon_new() - Return: 0; negative errno, with one sentence in @why. On failure settings and probe stay the caller's.
 */
int daemon_new(const DaemonSetup *setup, Daemon **ret, char *why, size_t why_size) _must_check_;
Daemon *daemon_free(Daemon *d);

/* daemon_run() - until SIGTERM or SIGINT. Return: 0 or negative errno. */
int daemon_run(Daemon *d);
