/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness for jitter and for ids: many daemons that were started together must not retry together. Drawn from the
 * kernel each time (a retry is rare, the call costs under a microsecond), so there is no generator state to seed or to
 * share. Not for keys: when the kernel's pool is not ready yet (early boot), the clock stands in for it.
 */
#pragma once

#include <stdint.h>

/* random_u64() - 64 bits. Never fails, never blocks. Source: getrandom(2), GRND_NONBLOCK since Linux 3.17. */
uint64_t random_u64(void);

/* random_below() - even choice from 0..@n - 1. Return: 0 when @n is 0. */
uint64_t random_below(uint64_t n);
