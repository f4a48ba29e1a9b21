/* SPDX-License-Identifier: Apache-2.0
 *
 * The drain: the pod is out of its Services (whoever calls saw to that), the application is told, and then its clients'
 * connections are counted until none is left or the time is over. Nothing is closed by force: what is left at the end
 * is left. The decisions are in drain-judge.h; this does what they say.
 */
#pragma once

#include <systemd/sd-event.h>

#include "http/client.h"
#include "kube/drain-judge.h"
#include "kube/options.h"
#include "sample/connections.h"
#include "sample/target.h"
#include "util/buf.h"

#define DRAIN_NOTE_MAX 160

typedef struct Drain Drain;

typedef struct DrainSpec {
        const KubeOptions *options;            /* copied */
        const Target *target;                  /* borrowed for the call: what is needed of it is duplicated */
        HttpClient *http;                      /* outlives the drain; NULL: one of its own, if a URL is configured */
        const char *namespace_, *pod, *reason; /* told to the application; copied */
        uint64_t deadline_usec; /* CLOCK_BOOTTIME: not past this, even if drain_usec is longer; USEC_INFINITY */
} DrainSpec;

typedef struct DrainState {
        DrainEnd end;                       /* DRAIN_GOES_ON until it is over */
        uint64_t begin_usec, deadline_usec; /* CLOCK_BOOTTIME */
        uint64_t waited_usec;               /* so far */
        bool known;                         /* the last look could count: */
        unsigned left;
        Connections connections;      /* by port */
        char told[DRAIN_NOTE_MAX];    /* how telling the application went; "" = nobody to tell, or no answer yet */
        char trouble[DRAIN_NOTE_MAX]; /* why connections cannot be counted; "" = they can */
} DrainState;

/* DrainFn - the count changed, the application answered, or (s->end) it is over: then the last call, from the loop,
 * never from inside drain_new(), and the drain may be freed in it. */
typedef void (*DrainFn)(void *userdata, const DrainState *s);

/**
 * drain_new() - begin: from the loop, the ports are found, the application is told, and its connections are counted
 * Return: 0; -ESRCH: the target is gone; -ENOMEM; another negative errno, with the sentence in @why. What cannot be
 * told or counted is no failure: the drain goes on without, says so, and waits for its deadline.
 */
int drain_new(sd_event *event, const DrainSpec *spec, DrainFn fn, void *userdata, Drain **ret, char *why,
              size_t why_size) _must_check_;
/* drain_state() - as of the last look. */
void drain_state(const Drain *d, DrainState *ret);
/* drain_cancel() - it is called off: the file is removed again, so that the application may see it; frees, calls
 * nobody. drain_free() alone leaves the file: the pod goes. Both: NULL is accepted. Return: NULL. */
Drain *drain_cancel(Drain *d);
Drain *drain_free(Drain *d);

/* drain_document() - what the application is told, as JSON: reason, deadline, deadline_s, namespace, pod. */
void drain_document(Buf *b, const DrainSpec *spec, uint64_t left_usec, uint64_t now_real_usec);
