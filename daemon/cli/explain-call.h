/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau explain --call`: what the allocator says of itself, asked by an injected call. Beside the survey, which
 * calls nothing: if it is refused or fails, what was read from outside stands as it is.
 */
#pragma once

#include "cli/ask.h"
#include "cli/screen.h"
#include "probe/survey/ledger.h"
#include "util/json.h"

typedef struct ExplainCall {
        bool asked;
        Ask ask;    /* its answer; its descriptor is the Explanation's */
        bool known; /* the figures below */
        Ledger ledger;
} ExplainCall;

/* explain_call_make() - @who: the process; @bins: also its size classes. */
void explain_call_make(ExplainCall *c, const Ask *who, ProbeClient *client, bool bins, bool allow_seccomp);

/* explain_call_view() - some lines, nothing if it was not asked. @indent: of the labels. */
void explain_call_view(Screen *s, const ExplainCall *c, unsigned indent);
/* explain_call_json() - "call" and "allocator_stats"; null each if there is none. */
void explain_call_json(Json *j, const ExplainCall *c);
