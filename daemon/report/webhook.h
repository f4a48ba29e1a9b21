/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivers notes to one URL by POST, with the headers of Standard Webhooks 1.0: webhook-id is the same at every
 * attempt, so a receiver can drop a doubled one; webhook-timestamp is the attempt's own. Rules of delivery:
 * report/queue.h.
 */
#pragma once

#include <systemd/sd-event.h>

#include "report/queue.h"
#include "report/sink.h"

typedef struct Webhook Webhook;

/* webhook_new() - @client outlives it. Owner: caller. Return: 0 or negative errno. */
int webhook_new(sd_event *event, HttpClient *client, const ReportOptions *o, ReportSinkFn changed, void *userdata,
                Webhook **ret) _must_check_;
Webhook *webhook_free(Webhook *w);
/* webhook_set_options() - after a reload: a receiver that said "gone" is tried again. Notes in the queue stay. */
void webhook_set_options(Webhook *w, const ReportOptions *o);
/* webhook_send() - queue a note and start its first attempt. What does not fit is dropped and counted. */
void webhook_send(Webhook *w, const NoteHead *head, const char *body, size_t len);
void webhook_counters(const Webhook *w, SinkCounters *ret);

/* webhook_flush() - one attempt for all that waits. @done is called from the loop when none is left to attempt; once.
 */
void webhook_flush(Webhook *w, void (*done)(void *userdata), void *userdata);
