/* SPDX-License-Identifier: Apache-2.0
 *
 * PROBE_OP_LEDGER: the allocator in charge is asked for its own statistics, by injected calls that change nothing but
 * the moment they are of (jemalloc's "epoch"). Values come over a filling that no value can be, so one that there is no
 * name for stays unknown.
 */
#pragma once

#include "probe/proto.h"
#include "probe/survey/ledger.h"

/* ledger_run() - fills reply->result, ->detail and ->call, and @ret if the result is PROBE_OK. As session_run(): in a
 * process of its own. */
void ledger_run(const ProbeRequest *req, ProbeReply *reply, Ledger *ret);
