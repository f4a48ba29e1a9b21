/* SPDX-License-Identifier: Apache-2.0
 *
 * What a replay is expected to show, so that a configuration can be tested like code: "no-action", "alert-before:10m",
 * "false-alarms<=2" ... One table; an expectation is parsed, judged on a summary, and says in one line what came.
 */
#pragma once

#include "replay/replay.h"

#define EXPECT_MAX      32u
#define EXPECT_TEXT_MAX 64
#define EXPECT_SAID_MAX 256

typedef struct Expectation {
        char text[EXPECT_TEXT_MAX]; /* as it was given */
        unsigned row;               /* of the table */
        uint64_t usec;              /* ...-before:DURATION */
        uint64_t count;             /* ...<=N */
        unsigned word;              /* verdict:KIND */
} Expectation;

/**
 * expect_parse() - one expectation
 * @p..@end: "alert-before:10m"
 * @why:     what was expected instead, one phrase, on failure
 * Return: 0; -EINVAL.
 */
int expect_parse(const char *p, const char *end, Expectation *ret, char why[static EXPECT_SAID_MAX]) _must_check_;

/* expect_judge() - is it met? @said: what came, one phrase, either way. */
bool expect_judge(const Expectation *e, const ReplaySummary *s, char said[static EXPECT_SAID_MAX]);

/* expect_help() - all forms with their meaning, "FORM<TAB>meaning" lines. */
void expect_help(Buf *b);
