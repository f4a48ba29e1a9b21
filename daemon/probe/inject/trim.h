/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc_trim(0), called inside the live target. Three short stops of one thread (map scratch memory; start the call;
 * unmap), each proved safe on its own; between them the target runs by itself, and whoever dies, it goes on.
 *
 * A process with threads does the trim on a thread of its own (pthread_create with malloc_trim as start routine), so
 * that the borrowed one is held for microseconds. One that never had threads must do it on the borrowed thread: glibc's
 * malloc takes no locks there (since 2.27), and a second thread would corrupt the heap.
 */
#pragma once

#include "probe/proto.h"

/* trim_run() - fills reply->result, ->detail and ->trim. Call it in a process of its own: it may leave a thread seized
 * that would not stop, and only exiting lets that go. */
void trim_run(const ProbeRequest *req, ProbeReply *reply);
