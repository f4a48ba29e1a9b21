/* SPDX-License-Identifier: Apache-2.0
 *
 * The unprivileged end: starts plateau-probe (fork + exec, descriptor 3 is its socket) and asks it one thing at a time.
 * The daemon uses the asynchronous half on its sd-event loop; the command line the blocking probe_client_call().
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "probe/proto.h"
#include "util/cleanup.h"

typedef struct ProbeClient ProbeClient;

/**
 * ProbeReplyFn - one call per accepted request, from the event loop
 * @r:   the reply; NULL when the probe died or the client was freed (@error: negative errno)
 * @fd:  what PROBE_OP_CGROUP_DIR or _PLACE opened, or -1. Owner: the callee
 */
typedef void (*ProbeReplyFn)(void *userdata, const ProbeReply *r, int fd, int error);

/* probe_client_new() - start the probe. @path: executable; NULL = $PLATEAU_PROBE, beside our own, or the installed one.
 * @event: NULL for blocking use only. Return: 0 or negative errno (-ENOENT: no probe executable). */
int probe_client_new(const char *path, sd_event *event, ProbeClient **ret) _must_check_;
/* probe_client_free() - close the socket; the probe finishes what it has in hand and exits by itself. */
ProbeClient *probe_client_free(ProbeClient *c);

/* probe_client_busy() - a request is out. */
bool probe_client_busy(const ProbeClient *c);
bool probe_client_dead(const ProbeClient *c);
pid_t probe_client_pid(const ProbeClient *c);

/* probe_client_send() - magic, version and seq are filled in. Return: 0; -EBUSY: one is in flight; -EPIPE: it died. */
int probe_client_send(ProbeClient *c, const ProbeRequest *req, ProbeReplyFn fn, void *userdata) _must_check_;

/* probe_client_abandon() - the one who sent with @userdata is going away: its callback is not called any more. The
 * request itself stays in flight until the probe answers. */
void probe_client_abandon(ProbeClient *c, const void *userdata);

/* probe_client_call() - send and wait. @ret_fd may be NULL. Return: 0 (look at ret->result), -ETIMEDOUT, -EPIPE ... */
int probe_client_call(ProbeClient *c, const ProbeRequest *req, ProbeReply *ret, int *ret_fd,
                      uint64_t timeout_usec) _must_check_;
