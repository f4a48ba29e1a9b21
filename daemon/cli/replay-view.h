/* SPDX-License-Identifier: Apache-2.0
 *
 * A replay for people and for programs: the time line of decisions, line by line as it runs, and what is to be said at
 * the end. Laid out for 80 columns; the same facts as one JSON document.
 */
#pragma once

#include "cli/screen.h"
#include "replay/expect.h"
#include "replay/replay.h"
#include "replay/words.h"
#include "util/json.h"

typedef struct ReplayFacts {
        const char *trace_name;  /* hostile */
        const char *policy_name; /* a file, hostile; NULL = the defaults */
        const char *target_name; /* of the configuration; NULL = none */
        const char *limit_from;  /* "--limit", "the trace", "the configuration"; NULL = none */
        const Trace *trace;
        const ReplayOptions *options;
} ReplayFacts;

typedef struct ReplayResult {
        Expectation expect;
        bool met;
        char said[EXPECT_SAID_MAX];
} ReplayResult;

/* What was said already, so that a wait is told once until its rung acts. */
typedef struct ReplaySaid {
        bool anything;
        bool wait[_RUNG_MAX][_REASON_MAX];
} ReplaySaid;

/* replay_view_*() - the parts of the text, in their order. @verbose: every change of what a rung says. */
void replay_view_head(Screen *s, const ReplayFacts *f);
void replay_view_event(Screen *s, const ReplayEvent *e, ReplaySaid *said, bool verbose);
void replay_view_nothing(Screen *s);
void replay_view_summary(Screen *s, const ReplayFacts *f, const ReplaySummary *sum);
void replay_view_results(Screen *s, const ReplayResult *results, unsigned n);

/* replay_headline() - one sentence: what came, for the picture's subtitle. */
void replay_headline(Buf *b, const ReplaySummary *sum);

/* replay_json_*() - one document: head, each event, and the rest with its end. */
void replay_json_head(Json *j, const ReplayFacts *f);
void replay_json_event(Json *j, const ReplayEvent *e);
void replay_json_end(Json *j, const ReplayFacts *f, const ReplaySummary *sum, const ReplayResult *results, unsigned n);
