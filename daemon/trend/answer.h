/* SPDX-License-Identifier: Apache-2.0
 *
 * From a forecast to an answer: how far the evidence goes, for how long it has, and what to call the growth. Internal
 * to trend/.
 */
#pragma once

#include "trend/forecast.h"
#include "trend/trend.h"

#define ANSWER_CONFIDENCE 0.90

/* answer() - fills t->fit after a sample. @step_s: since the last one; 0 = no time passed. @anew: whatever the last
 * forecast was, something else than time has changed. */
void answer(Trend *t, double step_s, bool anew);

/* answer_input() - what the forecast of this trend is made from. */
ForecastInput answer_input(const Trend *t);
