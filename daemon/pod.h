/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the daemon meets kube/: the one Kube, made when the settings want it, what it is told at each tick, and what of
 * it goes into log, reports, Events and deadlines. Off, it costs nothing: no library is opened and no request made.
 */
#pragma once

#include <systemd/sd-event.h>

#include "kube/kube.h"
#include "policy/policy.h"
#include "report/view.h"

typedef struct Pod Pod;
typedef struct Watch Watch; /* watch.h */

/* PodChangedFn - the rotation's state, the owner, or what was learned of durations is another: read it anew. */
typedef void (*PodChangedFn)(void *userdata);

/* pod_new() - no Kube yet. Return: 0; -ENOMEM. */
int pod_new(sd_event *event, PodChangedFn changed, void *userdata, Pod **ret) _must_check_;
Pod *pod_free(Pod *p);

/* pod_prepare() - what @o needs and is not there, for a reload that is all or nothing. Return: 0, with *ret_fresh NULL
 * or a Kube for pod_commit() (or kube_free()); negative errno with the sentence in @why. */
int pod_prepare(Pod *p, const KubeOptions *o, Kube **ret_fresh, char *why, size_t why_size) _must_check_;
/* pod_commit() - from now on @o. Owner: takes @fresh. */
void pod_commit(Pod *p, const KubeOptions *o, Kube *fresh);

/* pod_kube() - NULL while kubernetes is off. Owner: the Pod. */
Kube *pod_kube(const Pod *p);

/* pod_tick() - tell how it stands: of several targets the one that wants a rotation, of those the one whose limit is
 * nearest. The annotation with its forecast, too, when that is due. */
void pod_tick(Pod *p, Watch *const *watches, unsigned n, uint64_t now_usec);
/* pod_is_rotating() - a rotation is under way, also one of before our own restart. */
bool pod_is_rotating(const Pod *p);

/* pod_view() - for the reports; NULL while kubernetes is off. Owner: the Pod, until the next call. */
const PodView *pod_view(Pod *p);
/* pod_place() - names by the Downward API, and the owner once it is known. */
void pod_place(const Pod *p, ReportPlace *ret);
/* pod_needs() - put into @o what replacement and drain took lately in this workload, where that is longer. */
void pod_needs(const Pod *p, PolicyOptions *o);

/* Answers for /ready and /alive: Return: 200 or 503, with one sentence. 200 while kubernetes is off. */
int pod_ready(const Pod *p, char *text, size_t size);
int pod_alive(Pod *p, char *text, size_t size);

/* Events of the pod. Nothing happens while kubernetes is off. */
void pod_tell_alert(Pod *p, const TargetView *t, const Decision *d);
void pod_tell_outcome(Pod *p, const TargetView *t, const Outcome *o);
