/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking the daemon: connect to its unix stream socket, read the one document that it writes, until it closes. Bounded
 * in size and in time, because whoever listens there need not be the daemon.
 */
#pragma once

#include "util/buf.h"
#include "util/cleanup.h"

#define FETCH_MAX ((size_t)1 << 20)

/* fetch_default_path() - $PLATEAU_SOCKET, else where the daemon listens by default. Owner: environment or static. */
const char *fetch_default_path(void);

/**
 * fetch_status() - read the document
 * @timeout_usec: for everything together
 * @ret:          emptied first
 * Return: 0; -ENOENT, -ECONNREFUSED, -EACCES: nobody there, or not for us; -ETIMEDOUT; -EFBIG: more than FETCH_MAX;
 *         -ENODATA: closed without a byte; -ENAMETOOLONG; other negative errno.
 */
int fetch_status(const char *path, uint64_t timeout_usec, Buf *ret) _must_check_;
