/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's local socket: whoever may connect gets the status document and the end of file. Nothing is read from the
 * peer, so there is nothing to parse; a peer that does not read is dropped, never waited for.
 */
#pragma once

#include <systemd/sd-event.h>

#include "util/buf.h"

typedef struct StatusSocket StatusSocket;

/* StatusFillFn - put the document into @b. */
typedef void (*StatusFillFn)(void *userdata, Buf *b);

/* status_socket_new() - bind @path (mode 0660; a socket that nobody listens on any more is replaced, anything else is
 * not). Return: 0; -EADDRINUSE: another daemon listens there; other negative errno. */
int status_socket_new(sd_event *event, const char *path, StatusFillFn fill, void *userdata,
                      StatusSocket **ret) _must_check_;
/* status_socket_free() - also removes the path, if it still is ours. */
StatusSocket *status_socket_free(StatusSocket *s);
const char *status_socket_path(const StatusSocket *s); /* as bound */
