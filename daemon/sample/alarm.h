/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells by itself of a cgroup's memory, as a descriptor to poll: who watches it need not look often.
 *
 * v1: thresholds of memory.usage_in_bytes, told before the limit is reached, for who may write cgroup.event_control
 *     (root, in a hierarchy that is mounted writable). Source: cgroup-v1/memory.rst, section 9; they are checked every
 *     128 pages (mm/memcontrol-v1.c).
 * v2: memory.events polls with POLLPRI when an event of memory.high or memory.max is counted (cgroup-v2.rst). That is
 *     at the limit, while the kernel still reclaims, and readable by a sidecar: a reason to look at once, no warning.
 */
#pragma once

#include "sample/cgroup.h"

typedef enum AlarmKind {
        ALARM_NONE,      /* nothing: looking alone */
        ALARM_THRESHOLD, /* v1: EPOLLIN */
        ALARM_EVENTS,    /* v2: EPOLLPRI */
        _ALARM_MAX,
} AlarmKind;

typedef struct Alarm {
        AlarmKind kind;
        int fd;               /* -1 = none */
        uint64_t first_bytes; /* ALARM_THRESHOLD: the lowest one; told when current_bytes crosses it */
} Alarm;

#define ALARM_NULL ((Alarm){.fd = -1})

/* alarm_open() - the best that the group whose limit rules offers. @limit_bytes: its limit. Always fills @ret. */
void alarm_open(const Cgroup *c, uint64_t limit_bytes, Alarm *ret);
void alarm_close(Alarm *a);
/* alarm_take() - it polled: so that it does not go on to. */
void alarm_take(Alarm *a);
/* alarm_warns() - will it tell before the limit is reached, at @current_bytes (page cache included) as they are? */
bool alarm_warns(const Alarm *a, uint64_t current_bytes);

const char *alarm_name(AlarmKind k); /* "none", "threshold", "events": stable. Owner: static */
