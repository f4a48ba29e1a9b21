/* SPDX-License-Identifier: Apache-2.0
 *
 * One target, all stages: refresh -> sample -> trend -> policy -> act -> tell. This is where the layers meet for one
 * process; the loop that calls it once a tick is in daemon.c.
 */
#pragma once

#include <stdbool.h>

#include "pod.h"
#include "probe/client.h"
#include "report/report.h"
#include "settings/settings.h"

/* What all watches share; the daemon owns it and may exchange its members between two ticks. */
typedef struct WatchHost {
        sd_event *event;
        ProbeClient *probe; /* NULL = none */
        Report *report;
        Pod *pod;
        const Settings *settings;
        TargetSource source;
        uint64_t env_limit_bytes; /* PLATEAU_LIMIT_BYTES, 0 = unset */
        uint64_t start_usec;      /* CLOCK_BOOTTIME: when the daemon began */
        /* wake() - a process ended or an action did: the next tick should come at once */
        void (*wake)(void *userdata);
        /* answered() - the probe answered a watch and is free: whoever waits for it may ask, watch_ask() */
        void (*answered)(void *userdata);
        void *userdata;
} WatchHost;

typedef struct Watch Watch;

/* watch_new() - Return: 0 or -ENOMEM. @spec copied; @host borrowed for the Watch's life. */
int watch_new(WatchHost *host, const TargetSpec *spec, Watch **ret) _must_check_;
/* watch_free() - cancels an action that is in flight. */
Watch *watch_free(Watch *w);

/* watch_tick() - all stages once. @now_usec: CLOCK_BOOTTIME. Return: true when sampling progressed: a sample was taken,
 * or there is soundly none to take. */
bool watch_tick(Watch *w, uint64_t now_usec);

/* watch_ask() - the probe, if it is free, for one thing that is due. */
void watch_ask(Watch *w, uint64_t now_usec);
/* watch_is_acting() - an action is in flight, and may need the probe. */
bool watch_is_acting(const Watch *w);

/* watch_wait() - until its next sample, or the next look for a process, from @now_usec on. */
uint64_t watch_wait(const Watch *w, uint64_t now_usec);

/* watch_settings_changed() - after a reload; history stays, thresholds change. */
void watch_settings_changed(Watch *w);

/* watch_cancel_action() - at shutdown. */
void watch_cancel_action(Watch *w);
/* watch_cancel_reclaim() - the probe's client is about to be freed: a reclaim that waits for it lets go of it. */
void watch_cancel_reclaim(Watch *w);

/* watch_needs_changed() - the rotation learned how long it takes. */
void watch_needs_changed(Watch *w);
/* watch_need() - how it stands with this target, for a rotation of the whole pod. */
void watch_need(Watch *w, uint64_t now_usec, KubeNeed *ret);

/* watch_spec() - what it was made with. */
const TargetSpec *watch_spec(const Watch *w);

/* watch_view() - for the encoders; pointers into @w. */
void watch_view(const Watch *w, TargetView *ret);
