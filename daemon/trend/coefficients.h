/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of the forecaster. coefficients.c is written by tests/bench/forecast-fit and not edited by hand; how the
 * figures are found is told there. Internal to trend/.
 */
#pragma once

#include "trend/forecast.h"
#include "trend/line.h"
#include "trend/shape.h"
#include "trend/trend.h"

#define FORECAST_Z 1.645 /* of a normal distribution, two-sided 90 % */

/* What proves a leak: log odds, and how long they must hold as a share of the growth's time. */
typedef struct ProofRule {
        double score, hold_ratio;
} ProofRule;

extern const double line_coefficients[_LINE_FORMS][_LINE_FEATURES];
extern const double dynamic_coefficients[_LINE_FORMS][_DYNAMIC_FEATURES];
extern const double spread_coefficients[2]; /* of LIFE_SPREAD in the two widths */
extern const double life_coefficients[_LIFE_FEATURES];
extern const double shape_coefficients[_SHAPE_MAX][_SHAPE_FEATURES];
extern const double shape_squares[_SHAPE_MAX][_SHAPE_FEATURES]; /* of the features' squares */
extern const ProofRule proof_rules[_TREND_PROOF_MAX];
