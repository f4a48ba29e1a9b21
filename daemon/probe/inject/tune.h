/* SPDX-License-Identifier: Apache-2.0
 *
 * One setting of a live process' allocator changed by an injected call: mallopt() of glibc, mallctl() of jemalloc. On
 * the borrowed thread, whose start routine could not be given two arguments: both take a lock and change a word or two;
 * mallopt() also empties the fast bins, and a shorter decay gives memory back, as a purge does.
 */
#pragma once

#include "probe/proto.h"

/* tune_run() - fills reply->result, ->detail and ->tune. As session_run(): in a process of its own. */
void tune_run(const ProbeRequest *req, ProbeReply *reply);
