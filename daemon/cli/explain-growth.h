/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of `plateau explain --diff`: what grew by size, arena, mapping and thread, and what the chunks hold that
 * came. Asked for at the first look and at the last one.
 */
#pragma once

#include "cli/ask.h"
#include "cli/growth-words.h"
#include "cli/growth-rows.h"
#include "cli/screen.h"
#include "util/json.h"

#define EXPLAIN_SAMPLES 8u

typedef struct ExplainGrowth {
        bool contents, show; /* asked for: what chunks hold, and their bytes themselves */
        uint32_t n_samples;
        GrowthAsk asked; /* of the last look */
        GrowthReport before, now;
        bool have_before, have_now;
} ExplainGrowth;

/* explain_growth_done() - release the memory. */
void explain_growth_done(ExplainGrowth *g);

/* explain_growth_look() - ask for one side's tables. @first, @last: the surveys so far; @is_last: the second side.
 * What does not come is not told later; the explanation goes on without. */
void explain_growth_look(ExplainGrowth *g, const Ask *ask, ProbeClient *client, uint64_t budget_usec,
                         const Survey *first, const Survey *last, bool is_last);

/* explain_growth_view() - the tables, for people. */
void explain_growth_view(Screen *s, const ExplainGrowth *g, const Survey *first, const Survey *last);
/* explain_growth_json() - keys of the object `growth`, which is open. */
void explain_growth_json(Json *j, const ExplainGrowth *g, const Survey *first, const Survey *last);
