/* SPDX-License-Identifier: Apache-2.0
 *
 * PROBE_OP_PYTHON, mode PYTHON_INJECTED: an exact census. The interpreter is brought to a standstill, and the same
 * reader as ever reads it from outside: no Python code runs in it, nothing is imported, allocated by it or left behind.
 *
 * A program with threads: a thread of our own calls PyGILState_Ensure(), which every C library may, waits its turn for
 * the GIL as all others do, sleeps, and calls PyGILState_Release(). One without: its only thread, which is asleep in a
 * system call, sleeps on for a moment. The sleep is bounded from its first instruction on, whoever dies; and is cut
 * short when the reader is done.
 *
 * Only the gc lists are walked meanwhile. str, bytes and bytearray, which take longer, are those of a census right
 * before.
 */
#pragma once

#include "probe/proto.h"

/**
 * still_run() - fills reply->result, ->detail and ->call; and the memfd, as passive_run()
 * @req: budget_msec bounds the standstill (0 = half a second). A heap that needs more is refused before it is touched
 * Call it in a process of its own.
 */
void still_run(const ProbeRequest *req, int memfd, ProbeReply *reply);
