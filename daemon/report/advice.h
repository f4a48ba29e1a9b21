/* SPDX-License-Identifier: Apache-2.0
 *
 * What to do about a verdict, in words: the same for a person who asks and for an alert. A remedy has a sentence, and
 * where there is one, the line to paste; it names the package and the path of the image that the process runs in.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "diagnose/diagnose.h"
#include "probe/survey/survey.h"
#include "util/buf.h"

typedef struct Advice {
        const Verdict *verdict;
        const DiagnoseLook *last;
        const Distro *distro; /* NULL = not known */
        const char *largest;  /* the file or segment that the verdict's part has most in memory of; NULL, "" = none */
        uint64_t largest_bytes;
        pid_t pid; /* 0 = not known */
} Advice;

/* advice_text() - what to do, and what it would give; one sentence without its end. Hazard: may hold a hostile name. */
void advice_text(Buf *b, const Advice *a, const Remedy *r);

/* advice_command() - a command, or the setting for the process' environment at its next start. Return: false: none. */
bool advice_command(Buf *b, const Advice *a, const Remedy *r);

/* advice_install() - what to run in its image first, so that the command can work. Return: false: nothing, or not known
 * what: then advice_text() says so. */
bool advice_install(Buf *b, const Advice *a, const Remedy *r);

/* advice_line() - all of it in one line: the sentence, and what to run in brackets. */
void advice_line(Buf *b, const Advice *a, const Remedy *r);

/* advice_largest() - the line of @s to name as the largest of files or shared memory. Return: NULL: none. */
const Part *advice_largest(const Survey *s, DiagnosePart part);
