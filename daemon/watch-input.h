/* SPDX-License-Identifier: Apache-2.0
 *
 * What a watch knows, as the figures that the policy judges: the one place where values of trend, diagnose and sample
 * are copied to the policy, which sees none of them. Nothing here is kept but since when growth has been seen; what is
 * in flight and what the actions can is the watch's own, and is filled in there.
 */
#pragma once

#include "looks.h"
#include "policy/score.h"
#include "settings/settings.h"

typedef struct WatchFacts {
        const Settings *settings;
        const Sample *sample;
        const TrendFit *fit;
        const Looks *looks;
        uint64_t start_usec; /* of the process, CLOCK_BOOTTIME */
} WatchFacts;

/* watch_input() - all of @ret but what is in flight and what actions can. @now_usec: CLOCK_BOOTTIME. */
void watch_input(const WatchFacts *f, uint64_t now_usec, PolicyInput *ret);

/* score_input() - the forecast of @in, as what is compared with what comes. */
void score_input(const PolicyInput *in, ScoreInput *ret);

/* week_minute() - minutes since Monday 00:00 of @real_usec on the clock of @zone. Return: -1 when it is not known. */
int week_minute(uint64_t real_usec, PolicyZone zone);
