/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the world: metrics (scrape and push) and alerts (webhook). Owns the HTTP client and server, which exist
 * only when configured. Asks for a View when it needs one; never blocks the loop, never fails the daemon: what cannot
 * be delivered is retried, then dropped and counted.
 */
#pragma once

#include <systemd/sd-event.h>

#include "report/options.h"
#include "report/view.h"
#include "util/buf.h"
#include "util/cleanup.h"

typedef struct Report Report;

/* ReportViewFn - fill @v as of now. Called when a scrape comes in, a push is due, or an alert is made. */
typedef void (*ReportViewFn)(void *userdata, View *v);

/* Health of the daemon for /healthz: Return 200 or 503, with one sentence. */
typedef int (*ReportHealthFn)(void *userdata, char *text, size_t size);

/* ReportSinkFn - delivery to a sink broke (last_error says how), broke in another way, or works again (last_error is
 * ""). For the log: it is not called for each failed attempt. */
typedef void (*ReportSinkFn)(void *userdata, const SinkCounters *s);

typedef struct ReportHost {
        ReportViewFn view;
        ReportHealthFn health;
        ReportSinkFn sink_changed; /* may be NULL */
        ReportHealthFn ready, alive; /* /ready, for the pod's readiness; /alive, for the main container's liveness.
                                      * NULL: always 200 */
        void *userdata;
} ReportHost;

/* report_new() - @options copied. Return: 0; negative errno with the sentence in @why (address in use, library
 * missing). */
int report_new(sd_event *event, const ReportOptions *options, const ReportHost *host, Report **ret, char *why,
               size_t why_size) _must_check_;
Report *report_free(Report *r);

/* report_set_options() - after a reload, all or nothing: on failure the old options stay. Queued alerts stay. */
int report_set_options(Report *r, const ReportOptions *options, char *why, size_t why_size) _must_check_;

/* report_set_place() - where we are, once more of it is known: for what is told from now on. */
void report_set_place(Report *r, const ReportPlace *place);

/* report_alert() - firing, still firing (repeat) or resolved; queued at once, first attempt in the same loop turn. */
void report_alert(Report *r, const TargetView *t, const Decision *d);
/* report_action() - an action ended: a notification of its own (type plateau.action). */
void report_action(Report *r, const TargetView *t, const Outcome *o, const Decision *d);

/* report_tick_done() - the daemon finished a tick (pushes are timed by report itself). */
void report_sinks(const Report *r, SinkCounters *ret, unsigned max, unsigned *ret_n);

/* report_flush_begin() - at a clean stop: last push, DELETE of the group, pending alerts; calls @done when finished or
 * after @deadline_usec from now, whichever is first. */
typedef void (*ReportFlushedFn)(void *userdata);
void report_flush_begin(Report *r, uint64_t deadline_usec, ReportFlushedFn done, void *userdata);

/* encoders, pure; used by report.c, the status socket and tests */
/* metrics_encode() - Prometheus text 0.0.4, or OpenMetrics 1.0.0 when @openmetrics. */
void metrics_encode(Buf *b, const View *v, const ReportOptions *o, bool openmetrics);
/* status_encode() - the status document (JSON) that `plateau status` reads. */
void status_encode(Buf *b, const View *v, const ReportOptions *o);
/* decision_encode() - one decision with its target as a JSON object: hook's stdin and the webhook's `data`. */
void decision_encode(Buf *b, const TargetView *t, const Decision *d, const ReportOptions *o);
