/* SPDX-License-Identifier: Apache-2.0
 *
 * Times for narrow columns and for the labels of a picture, where util/format.h is too wide: two units at the most,
 * rounded as a person would say them.
 */
#pragma once

#include <stdint.h>

#define REPLAY_WORDS_MAX 32

/* replay_short_time() - "45s", "32m", "1h20", "3d4h", "never". Return: @buf. */
const char *replay_short_time(char buf[static REPLAY_WORDS_MAX], uint64_t usec);
/* replay_clock() - "0:51:10", "3d 04:12:05": time since the trace began. Return: @buf. */
const char *replay_clock(char buf[static REPLAY_WORDS_MAX], uint64_t usec);
