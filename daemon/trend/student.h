/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantiles for interval widths: of the normal distribution once at start, of Student's t from it at every fit.
 * Two-sided: a confidence of 0.9 leaves 5 % on either side. Pure, and internal to trend/.
 * A fit happens once a tick, so the quantile of t is a formula, not a search.
 */
#pragma once

/* normal_quantile() - z with P(|Z| <= z) = @confidence. Shape: 0 < @confidence < 1. */
double normal_quantile(double confidence);

/**
 * student_quantile() - t with P(|T| <= t) = @confidence
 * @confidence: Shape: 0 < @confidence <= 0.99
 * @normal:     normal_quantile(@confidence)
 * @freedom:    degrees of freedom, fractions allowed (an effective sample size is none); below 1 counts as 1
 * Return: within 1 % of the table up to a confidence of 0.99, within 0.1 % up to 0.95.
 * Source: exact for 1 and 2 degrees; from 3 on Abramowitz and Stegun 1964, formula 26.7.5; between, by 1/freedom.
 */
double student_quantile(double confidence, double normal, double freedom);
