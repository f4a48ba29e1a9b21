/* SPDX-License-Identifier: Apache-2.0
 *
 * What no single value can be judged by: contradictions between settings. Values that were wrong by themselves take no
 * part, so that one mistake is told once.
 */
#pragma once

#include "settings/origins.h"

/* settings_check() - tell every contradiction, errors and warnings, where the later of the two was written.
 * Return: 0; -ENOMEM. */
int settings_check(const Settings *s, const SettingsOrigins *o, Problems *problems) _must_check_;
