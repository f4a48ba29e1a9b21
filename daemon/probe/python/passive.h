/* SPDX-License-Identifier: Apache-2.0
 *
 * PROBE_OP_PYTHON, mode PYTHON_PASSIVE: the objects of a live CPython counted from outside. Nothing is stopped, nothing
 * runs in the target; all that it can notice is that pages of its memory were looked at.
 */
#pragma once

#include "probe/proto.h"

/**
 * passive_run() - fills reply->result and ->detail, and the memfd with a PythonCensus and its types
 * @memfd: empty; written, neither sealed nor closed. Owner: the caller
 * Call it in a process of its own: it takes some 6 MiB for its caches and tables, and its end gives them back.
 */
void passive_run(const ProbeRequest *req, int memfd, ProbeReply *reply);
