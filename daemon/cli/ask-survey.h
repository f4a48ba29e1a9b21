/* SPDX-License-Identifier: Apache-2.0
 *
 * One survey of a process by plateau-probe, as explain and verify take it: read from outside, calling nothing in the
 * process and stopping nothing. What comes back is checked before it is believed; why nothing came is told in the words
 * of the Ask.
 */
#pragma once

#include "cli/ask.h"
#include "probe/survey/reader.h"

/**
 * ask_survey() - of the process that was identified
 * @budget_usec: for reading its heap; the answer may take 15 s more
 * Return: NULL: @a's reply says why not. Owner: the caller, free().
 */
Survey *ask_survey(Ask *a, ProbeClient *client, uint64_t budget_usec);
