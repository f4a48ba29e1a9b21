/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers and times as recorded traces have them: with fraction and exponent, "NaN" for nothing, a date where a log had
 * one. Exact within a microsecond and a byte, bounded, no locale. util/parse.h is for what people type and is stricter.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum NumberKind {
        NUMBER_BAD,      /* not of the form */
        NUMBER_ABSENT,   /* empty, NaN, null, or "-": there is no value here */
        NUMBER_NEGATIVE, /* also -Inf */
        NUMBER_HUGE,     /* +Inf, or beyond 64 bits */
        NUMBER_OK,
} NumberKind;

/**
 * number_read() - the whole of @p..@end as a number times 10^@shift, what is left of one cut off
 * @shift: 0 for bytes; 6 for seconds that become microseconds
 * @ret:   set when NUMBER_OK, else untouched
 */
NumberKind number_read(const char *p, const char *end, int shift, uint64_t *ret);

/**
 * number_read_time() - a date and time, "2024-02-29T12:34:56.789Z", in microseconds since the epoch
 * A blank may stand for the T; "+01:00" or nothing (UTC) for the Z.
 * Return: false when @p..@end is nothing of the kind; @ret untouched.
 */
bool number_read_time(const char *p, const char *end, uint64_t *ret_usec);
