/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures for people: "1.37 GB", "2 h 05 min", "in 41 s". Decimal units, like the kernel's own OOM reports are not but
 * like operators' limits mostly are; exact bytes stay in JSON and metrics.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAX 32

/* format_bytes() - "0 B", "812 kB", "4.50 GB"; three significant digits. Return: @buf. */
const char *format_bytes(char buf[static FORMAT_MAX], uint64_t bytes);
/* format_signed_bytes() - the same with a sign: "+1.20 MB", "-3.40 GB". Return: @buf. */
const char *format_signed_bytes(char buf[static FORMAT_MAX], int64_t bytes);
/* format_usec() - "850 ms", "41 s", "12 min 30 s", "2 h 05 min", "3 d 4 h", "never" for USEC_INFINITY. Return: @buf. */
const char *format_usec(char buf[static FORMAT_MAX], uint64_t usec);
/* format_rate() - bytes a second in the unit that reads best: "3.10 MB/min", "12.0 MB/h"; "unknown" for what is no rate
 * (not finite, or beyond 2^64 bytes a second). Return: @buf. */
const char *format_rate(char buf[static FORMAT_MAX], double bytes_per_s);
/* format_timestamp() - RFC 3339 in UTC with milliseconds. Shape: CLOCK_REALTIME microseconds. Return: @buf. */
const char *format_timestamp(char buf[static FORMAT_MAX], uint64_t real_usec);
