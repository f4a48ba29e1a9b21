/* SPDX-License-Identifier: Apache-2.0
 *
 * What its allocators have for giving free memory back, called inside the live target: malloc_trim(0) of glibc,
 * mallctl("arena.<all>.purge") of jemalloc, and so on (the table in trim.c), of each allocator that serves a part of
 * the program.
 *
 * A process with threads does what takes one argument on a thread of its own (pthread_create with malloc_trim as start
 * routine), so that the borrowed one is held for microseconds. One that never had threads must do it on the borrowed
 * thread: glibc's malloc takes no locks there (since 2.27), and a second thread would corrupt the heap.
 */
#pragma once

#include "probe/proto.h"

/* trim_run() - fills reply->result, ->detail and ->trim. As session_run(): in a process of its own. */
void trim_run(const ProbeRequest *req, ProbeReply *reply);
