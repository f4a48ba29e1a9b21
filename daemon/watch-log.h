/* SPDX-License-Identifier: Apache-2.0
 *
 * What a watch writes into the log: one line an event, with its stable name and fields, and a sentence for people.
 * @name is the target's.
 */
#pragma once

#include "policy/decision.h"
#include "report/diagnosis.h"
#include "sample/target.h"

/* watch_log_target() - a process came, went, or is looked for. */
void watch_log_target(const Target *t, TargetEvent e);

/* watch_log_decision() - when it is another one than @last, or acts. */
void watch_log_decision(const char *name, const Decision *d, const Decision *last);

/* watch_ended_well() - what was wanted happened, or soundly was left. */
bool watch_ended_well(const Outcome *o);
/* watch_log_outcome() - how an action ended. */
void watch_log_outcome(const char *name, const Outcome *o);

/* watch_log_verdict() - the first, and when it is no longer what it @was. */
void watch_log_verdict(const char *name, const Diagnosis *d, VerdictKind was);
