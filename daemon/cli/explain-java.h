/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau explain` of a JVM: what the survey sees of it from outside, and with --call what it tells of itself, asked
 * through its attach socket (action/jvm.h). If it does not answer, what was read from outside stands as it is.
 */
#pragma once

#include "action/jvm-inside.h"
#include "action/jvm.h"
#include "cli/ask.h"
#include "cli/screen.h"
#include "diagnose/diagnose.h"
#include "probe/survey/survey.h"
#include "util/buf.h"
#include "util/json.h"

/* What it told at one look. */
typedef struct JavaInside {
        JvmHeap heap;
        JvmMetaspace metaspace;
        JvmNmt nmt;
} JavaInside;

typedef struct ExplainJava {
        bool asked;            /* it is a JVM, and the reply below is its */
        bool given_up; /* it did not answer what all do: not asked again, as each try may have to signal it */
        uint64_t before_bytes; /* malloc's by its own tracking, right before the survey; 0 = not known */
        JvmReply reply;        /* JVM_DONE: it answered; what the text says is another matter */
        size_t n_looks;        /* that it answered at */
        JavaInside first, last;
} ExplainJava;

/* explain_java_settle() - before each survey. The first attach makes a JVM load and compile some code: it is waited,
 * shortly, until its malloc holds still, or what it tells would be of another heap than the one surveyed. */
void explain_java_settle(ExplainJava *j, const Ask *who);
/* explain_java_make() - right after each survey: ask @who. Others than JVMs are left alone. Return: it told something
 * this time. */
bool explain_java_make(ExplainJava *j, const Ask *who);

/* explain_java_view() - some lines about @v's JVM; nothing if it was not asked. @indent: of the labels. */
void explain_java_view(Screen *s, const ExplainJava *j, const Survey *v, unsigned indent);
/* explain_java_json() - "java": what the survey tells and what it told; null if it is none. */
void explain_java_json(Json *out, const ExplainJava *j, const Survey *v);
