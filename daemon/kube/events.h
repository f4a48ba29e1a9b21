/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of our pod (events.k8s.io/v1), for who runs `kubectl describe`. The same one again is counted in a series
 * instead of written anew, and there is a limit of our own: 10 at once, then one a minute; what goes beyond is dropped
 * and counted. They are evidence, nothing waits for them: an answer that is an error is counted, never repeated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/client.h"

#define KUBE_EVENT_NOTE_MAX 1024 /* bytes; the API server refuses longer ones */

typedef struct KubeEvents KubeEvents;

typedef struct KubeEvent {
        const char *reason; /* "MemoryAlert": UpperCamelCase, at most 128 bytes */
        const char *action; /* what was done or failed, "Detach", at most 128 bytes */
        bool warning;       /* type Warning rather than Normal */
        const char *note;   /* a sentence; cut at KUBE_EVENT_NOTE_MAX, at a character */
} KubeEvent;

typedef struct KubeEventsCount {
        uint64_t written, in_series, dropped, failed;
} KubeEventsCount;

/* kube_events_new() - @client: borrowed, outlives the events. @config: copied. Return: 0; -ENOMEM. Owner: caller. */
int kube_events_new(sd_event *event, KubeClient *client, const KubeConfig *config, KubeEvents **ret) _must_check_;
/* kube_events_free() - what is under way is done by the client or not. Return: NULL. */
KubeEvents *kube_events_free(KubeEvents *e);
/* kube_events_tell() - @event: copied. An unchanged reason, action and type within 6 minutes is one series, with the
 * first note: the API has no other way. Return: 0; -EBUSY: limited; -EINVAL: no reason or action; -ENOMEM. */
int kube_events_tell(KubeEvents *e, const KubeEvent *event);
KubeEventsCount kube_events_count(const KubeEvents *e);
