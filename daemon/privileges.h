/* SPDX-License-Identifier: Apache-2.0
 *
 * plateaud speaks to the network and reads configuration, so it keeps no capability: it starts plateau-probe, which may
 * keep CAP_SYS_PTRACE, and then drops everything of its own for good.
 */
#pragma once

#include "util/cleanup.h"

/* privileges_drop() - all capability sets emptied, no new privileges. Call after the probe was started. Return: 0 or
 * negative errno: then the daemon must not go on. */
int privileges_drop(void) _must_check_;
