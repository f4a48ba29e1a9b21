/* SPDX-License-Identifier: Apache-2.0
 *
 * What a notification says. An alert of one target is an episode: its first "firing", its repeats and its "resolved"
 * share one id, and the fingerprint is the same for every episode of that target. Bodies follow the Standard Webhooks
 * shape
 * {"type", "timestamp", "data"}; docs of the keys: daemon/report/document.h.
 */
#pragma once

#include "report/options.h"
#include "report/queue.h"
#include "report/view.h"
#include "util/buf.h"

#define ALERT_EPISODES_MAX 32
#define ALERT_NAME         "PlateauMemoryHigh"

typedef struct Episode {
        char fingerprint[17]; /* "" = unused */
        char id[40];
        uint64_t starts_real_usec;
        Reason trigger;
        double threshold;
        bool firing;
} Episode;

typedef struct AlertBook {
        Episode episodes[ALERT_EPISODES_MAX];
        uint64_t instance; /* random; makes note ids unique over restarts */
        uint64_t seq;      /* of the last note */
} AlertBook;

/**
 * alert_write_decision() - the note of an alert decision
 * @b: empty; gets the body
 * Return: true; false when the decision is none to tell: not of RUNG_ALERT, or neither ACT nor RESOLVE.
 */
bool alert_write_decision(AlertBook *book, const TargetView *t, const Decision *d, const ReportOptions *o,
                          uint64_t now_real_usec, Buf *b, NoteHead *ret) _must_check_;

/* alert_write_outcome() - the note of an action that ended. @d: what it was started on; may be NULL. */
void alert_write_outcome(AlertBook *book, const TargetView *t, const Outcome *outcome, const Decision *d,
                         const ReportOptions *o, uint64_t now_real_usec, Buf *b, NoteHead *ret);
