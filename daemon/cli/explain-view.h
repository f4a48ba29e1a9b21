/* SPDX-License-Identifier: Apache-2.0
 *
 * What `plateau explain` found, as one screen and as JSON: where RSS is, the verdict in a sentence, the evidence, what
 * to do and what it would give. What is not known is said to be so, and is null in JSON.
 */
#pragma once

#include "action/look.h"
#include "cli/ask.h"
#include "cli/explain-call.h"
#include "cli/explain-growth.h"
#include "cli/explain-java.h"
#include "cli/screen.h"
#include "report/diagnosis.h"
#include "sample/cgroup-detail.h"
#include "sample/company.h"
#include "util/buf.h"

typedef struct Explanation {
        Ask ask;
        Survey *first, *last; /* the same one look twice when there was but one. Owner: the Explanation; NULL = none */
        Sample sample;        /* at the last look: the limit and the cgroup, as far as they can be read */
        bool have_group, have_company;
        CgroupDetail group; /* if have_group */
        Company company;    /* who is in it, if have_company */
        DiagnoseLook looks[DIAGNOSE_LOOKS_MAX];
        DiagnoseClass *classes; /* DIAGNOSE_CLASSES for each look. Owner: the Explanation */
        size_t n_looks;
        ExplainCall call; /* at the last look, with --call */
        ExplainJava java; /* with --call */
        DiagnoseLook plain[DIAGNOSE_LOOKS_MAX]; /* the looks without what calls told: see n_called */
        size_t n_called;                        /* looks at which the allocator told its figures */
        Verdict verdict;  /* if n_looks > 0 */
        ExplainGrowth growth;
} Explanation;

#define EXPLANATION_NULL ((Explanation){.ask = ASK_NULL})

#define EXPLAIN_INDENT 11u /* of what is behind a label */

/* explain_view() - one screen for people. @all: then every line, arena and size. */
void explain_view(Screen *s, const Explanation *e, bool all);
/* explain_label() - what the line is about, at its beginning. */
void explain_label(Screen *s, const char *text);
/* explain_json() - one object on one line. */
void explain_json(Buf *b, const Explanation *e);

/* explain_sentence() - the verdict, for people: with its figures. */
void explain_sentence(Buf *b, const Explanation *e);
/* explain_advice() - what the words of its remedies need; if n_looks > 0. Owner: the Explanation's memory. */
Advice explain_advice(const Explanation *e);

/* explain_own_bytes() - of what the cgroup counts against its limit, what is in this process' RSS: its anonymous and
 * shared memory. 0 = not known. */
uint64_t explain_own_bytes(const Explanation *e);
