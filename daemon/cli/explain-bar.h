/* SPDX-License-Identifier: Apache-2.0
 *
 * RSS as one stacked bar, with its legend in the same order below. Its sections differ by their filling, so that they
 * can be told apart without colour; what is in use looks full, what is free looks empty.
 */
#pragma once

#include "cli/explain-view.h"

/* explain_bar() - two lines, or more where the legend does not fit. */
void explain_bar(Screen *s, const Explanation *e);

/* explain_part_label() - "heap in use", "mapped files". */
const char *explain_part_label(DiagnosePart p);

/**
 * explain_bar_cells() - cells for each of @n sections, in proportion; @width in all
 * Every section that is there gets one at least, as long as there are enough.
 */
void explain_bar_cells(const uint64_t *bytes, size_t n, unsigned width, unsigned *ret);
