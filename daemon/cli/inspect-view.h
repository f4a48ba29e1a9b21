/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau inspect` for people and as JSON: one census of a CPython, or two and the growth between them. What is not
 * known is said to be unknown; a census that is torn or sampled says so before its figures.
 */
#pragma once

#include "cli/ask.h"
#include "cli/inspect-rows.h"
#include "cli/screen.h"

typedef struct Inspection {
        Ask ask;
        PythonReport first, last; /* of one census only @last. Owner: this */
        bool has_census, is_diff;
        InspectRows rows; /* Owner: this */
        unsigned top;     /* rows to show; 0 = as many as fit on the screen, in JSON all */
} Inspection;

#define INSPECTION_NULL                                                                                                \
        ((Inspection){                                                                                                 \
                .ask = ASK_NULL, .first = PYTHON_REPORT_NULL, .last = PYTHON_REPORT_NULL, .rows = INSPECT_ROWS_NULL})

/* inspect_view() - the whole answer, also that there is none, as text. */
void inspect_view(Screen *s, const Inspection *i);

/* inspect_json() - the same as one object; the keys are in `plateau help inspect`. */
void inspect_json(Buf *b, const Inspection *i);

/* inspect_between_usec() - from the first census to the last. */
uint64_t inspect_between_usec(const Inspection *i);
