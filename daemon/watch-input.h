/* SPDX-License-Identifier: Apache-2.0
 *
 * What a watch knows, as the figures that are judged: the one place where values of sample and diagnose are copied to
 * the judge, which sees neither. Nothing is kept here; what is in flight, what the actions can, and what the look cost
 * is the watch's own, and is filled in there.
 */
#pragma once

#include "judge/judge.h"
#include "looks.h"
#include "settings/settings.h"

typedef struct WatchFacts {
        const Settings *settings;
        const Sample *sample;
        const Looks *looks;
        uint64_t start_usec; /* of the process, CLOCK_BOOTTIME */
} WatchFacts;

/* watch_input() - all of @ret but what is told above. @now_usec: CLOCK_BOOTTIME. */
void watch_input(const WatchFacts *f, uint64_t now_usec, JudgeFigures *ret);
