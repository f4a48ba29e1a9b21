/* SPDX-License-Identifier: Apache-2.0
 *
 * Pushes the metrics page to a Prometheus Pushgateway: one group, replaced as a whole by PUT, deleted at a clean stop,
 * because a Pushgateway never forgets a series by itself. For what cannot be scraped only: it has neither `up` nor
 * timestamps. Source: https://github.com/prometheus/pushgateway, section "API".
 */
#pragma once

#include <systemd/sd-event.h>

#include "report/sink.h"

typedef struct Pushgateway Pushgateway;

/* PushEncodeFn - write the page as text 0.0.4. */
typedef void (*PushEncodeFn)(void *userdata, Buf *b);

/* pushgateway_group_url() - BASE/metrics/job/JOB/instance/INSTANCE; a value that is empty or has a '/' goes as
 * base64url. */
void pushgateway_group_url(Buf *b, const char *base, const char *job, const char *instance);

/* pushgateway_new() - pushes within a second, then at each interval. @client outlives it. Owner: caller. */
int pushgateway_new(sd_event *event, HttpClient *client, const ReportOptions *o, PushEncodeFn encode,
                    ReportSinkFn changed, void *userdata, Pushgateway **ret) _must_check_;
Pushgateway *pushgateway_free(Pushgateway *p);
/* pushgateway_abandon() - free, and delete the group in the background: the sink was taken out of the configuration. */
Pushgateway *pushgateway_abandon(Pushgateway *p);
/* pushgateway_set_options() - after a reload; another group means that the old one is deleted. Never fails. */
void pushgateway_set_options(Pushgateway *p, const ReportOptions *o);
void pushgateway_counters(const Pushgateway *p, SinkCounters *ret);

/* pushgateway_stop() - waits for the push in flight, then deletes the group (or pushes a last time when it is to stay).
 * @done is called from the loop; once. */
void pushgateway_stop(Pushgateway *p, void (*done)(void *userdata), void *userdata);
