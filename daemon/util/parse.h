/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict scalar parsers: the whole string or nothing, no locale, no leading or trailing blanks, no silent overflow.
 * Used for YAML values, the command line and the environment; /proc has its own readers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/cleanup.h"

/* Every parser: Return 0; -EINVAL (not of the form); -ERANGE (of the form, does not fit). @ret untouched on failure.
 * Fractions have 18 digits at most; more are -ERANGE, because they would be dropped. */

/* parse_u64() - decimal digits only: no sign, no base prefix. */
int parse_u64(const char *s, uint64_t *ret) _must_check_;
/* parse_double() - decimal with optional fraction, no exponent, no sign. */
int parse_double(const char *s, double *ret) _must_check_;
int parse_bool(const char *s, bool *ret) _must_check_; /* true false yes no on off */

/**
 * parse_bytes() - "4.5GB", "4500Mi", "512MiB", "1073741824"
 * @s:   number with at most one fraction, then a unit: none or B; k K M G T P (10^3...), as in Kubernetes quantities,
 *       with or without a following B; Ki Mi Gi Ti Pi (2^10...), with or without B. "m" (milli) is refused, and so is
 *       a result under one byte; what is left of a byte is cut off.
 */
int parse_bytes(const char *s, uint64_t *ret) _must_check_;

/**
 * parse_duration() - "250ms", "30s", "5m", "2h", "1d", "1h30m", "0"
 * @s:   numbers with a unit each, us ms s m (or min) h d, from the largest down, no unit twice
 * Units: result in microseconds; what is left of one is cut off, but a result under one is -ERANGE. A bare number other
 *        than 0 is refused: it has no unit.
 */
int parse_duration(const char *s, uint64_t *ret_usec) _must_check_;

/* parse_ratio() - "0.85" or "85%". Units: result 0..1; anything else is -ERANGE. */
int parse_ratio(const char *s, double *ret) _must_check_;
