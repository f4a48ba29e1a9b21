/* SPDX-License-Identifier: Apache-2.0
 *
 * What the service manager is told (sd_notify(3)): ready, reloading, stopping, one line of status, and that we live.
 * Does nothing where NOTIFY_SOCKET is not set. The watchdog is fed by whoever knows that the work goes on: a loop that
 * turns without sampling is dead, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* STATUS= is for `systemctl status`; systemd writes each change to its unit's state and bus. */
#define NOTIFY_STATUS_INTERVAL_USEC (UINT64_C(5) * 1000000)
#define NOTIFY_STATUS_MAX 256

typedef struct Notify {
        bool enabled;
        uint64_t watchdog_usec; /* WATCHDOG_USEC; 0 = off or not meant for us */

        /* internal state */
        uint64_t fed_usec, told_usec;
        bool was_fed, was_told;
        char status[NOTIFY_STATUS_MAX];
} Notify;

#define NOTIFY_NULL ((Notify){0})

/* notify_init() - read the environment. The variables stay: children that we start get an environment of their own. */
void notify_init(Notify *n);

/* The following return 0, also when there is nobody to tell; negative errno when telling failed. @status may be NULL.
 */
int notify_ready(Notify *n, uint64_t now_usec, const char *status);
/* notify_reloading() - also the begin of a reload of Type=notify-reload (systemd 253), which wants MONOTONIC_USEC; must
 * be followed by notify_ready(), whether the new configuration was taken or not. */
int notify_reloading(Notify *n);
int notify_stopping(Notify *n, const char *status);

/* notify_status() - call as often as you like: sent when it has changed, and not more often than every 5 s. */
int notify_status(Notify *n, uint64_t now_usec, const char *status);

/* notify_watchdog_interval_usec() - how often to look: half of what the manager allows (sd_watchdog_enabled(3));
 * 0 = off. */
uint64_t notify_watchdog_interval_usec(const Notify *n);
/* notify_watchdog_due() - half of the time is over since it was last fed. */
bool notify_watchdog_due(const Notify *n, uint64_t now_usec);
/* notify_watchdog() - WATCHDOG=1: only when sampling has progressed since the last time. */
int notify_watchdog(Notify *n, uint64_t now_usec);
