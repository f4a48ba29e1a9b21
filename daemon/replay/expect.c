/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/expect.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/format.h"
#include "util/parse.h"

typedef enum Test {
        TEST_NONE,      /* no rung of the mask acted */
        TEST_SOME,      /* the rung acted at all */
        TEST_BEFORE,    /* so long before each crossing; without one, before the end of the trace */
        TEST_AT_MOST,   /* false alarms */
        TEST_PREVENTED, /* no crossing is left that the ladder did not come before */
        TEST_VERDICT,   /* what the forecast says at the end */
} Test;

typedef enum Value { VALUE_NONE, VALUE_DURATION, VALUE_COUNT, VALUE_KIND } Value;

#define BIT(rung) (1u << (rung))
#define ACTIONS   (BIT(RUNG_RECLAIM) | BIT(RUNG_ROTATE))

static const struct {
        const char *name; /* up to and with the separator of its value */
        Test test;
        Value value;
        unsigned rungs;
        const char *help;
} rows[] = {
        {"no-action", TEST_NONE, VALUE_NONE, ACTIONS, "neither reclaim nor rotate acts"},
        {"no-alert", TEST_NONE, VALUE_NONE, BIT(RUNG_ALERT), "no alert is raised"},
        {"no-reclaim", TEST_NONE, VALUE_NONE, BIT(RUNG_RECLAIM), "nothing is reclaimed"},
        {"no-rotate", TEST_NONE, VALUE_NONE, BIT(RUNG_ROTATE), "nothing is rotated"},
        {"alert", TEST_SOME, VALUE_NONE, BIT(RUNG_ALERT), "an alert is raised"},
        {"reclaim", TEST_SOME, VALUE_NONE, BIT(RUNG_RECLAIM), "reclaim acts"},
        {"rotate", TEST_SOME, VALUE_NONE, BIT(RUNG_ROTATE), "rotate acts"},
        {"alert-before:", TEST_BEFORE, VALUE_DURATION, BIT(RUNG_ALERT),
         "an alert so long before each crossing of the limit; without one, before the end of the trace"},
        {"reclaim-before:", TEST_BEFORE, VALUE_DURATION, BIT(RUNG_RECLAIM), "likewise"},
        {"rotate-before:", TEST_BEFORE, VALUE_DURATION, BIT(RUNG_ROTATE), "likewise"},
        {"false-alarms<=", TEST_AT_MOST, VALUE_COUNT, BIT(RUNG_ALERT), "at most so many alerts of which nothing came"},
        {"prevented", TEST_PREVENTED, VALUE_NONE, 0, "every crossing in the trace is prevented"},
        {"verdict:", TEST_VERDICT, VALUE_KIND, 0, "what the forecast says at the end: leak, flat, warmup ..."},
};

/* ---- parsing ---- */

static int find_kind(const char *word, unsigned *ret) {
        for (unsigned i = 0; i < _TREND_KIND_MAX; i++)
                if (strcmp(word, trend_kind_name(i)) == 0) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_value(Expectation *e, Value value, const char *text, char *why) {
        switch (value) {
        case VALUE_NONE:
                if (!*text)
                        return 0;
                snprintf(why, EXPECT_SAID_MAX, "expected nothing behind '%s'", rows[e->row].name);
                return -EINVAL;
        case VALUE_DURATION:
                snprintf(why, EXPECT_SAID_MAX, "expected a duration such as 10m behind '%s'", rows[e->row].name);
                return parse_duration(text, &e->usec);
        case VALUE_COUNT:
                snprintf(why, EXPECT_SAID_MAX, "expected a whole number behind '%s'", rows[e->row].name);
                return parse_u64(text, &e->count);
        default:
                break;
        }
        {
                _cleanup_buf_ Buf names = BUF_NULL;

                for (unsigned i = 0; i < _TREND_KIND_MAX; i++)
                        buf_addf(&names, "%s%s", i ? ", " : "", trend_kind_name(i));
                snprintf(why, EXPECT_SAID_MAX, "expected one of %s behind '%s'", buf_str(&names), rows[e->row].name);
        }
        return find_kind(text, &e->word);
}

static bool takes_value(unsigned row) {
        return rows[row].value != VALUE_NONE;
}

int expect_parse(const char *p, const char *end, Expectation *ret, char why[static EXPECT_SAID_MAX]) {
        Expectation e = {0};
        size_t n = (size_t)(end - p);

        if (n == 0 || n >= sizeof(e.text) || memchr(p, 0, n)) {
                snprintf(why, EXPECT_SAID_MAX, "expected 1 to %zu bytes", sizeof(e.text) - 1);
                return -EINVAL;
        }
        memcpy(e.text, p, n);
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                size_t prefix = strlen(rows[i].name);

                if (takes_value(i) ? strncmp(e.text, rows[i].name, prefix) != 0 : strcmp(e.text, rows[i].name) != 0)
                        continue;
                e.row = i;
                if (parse_value(&e, rows[i].value, e.text + prefix, why) < 0)
                        return -EINVAL;
                *ret = e;
                return 0;
        }
        {
                _cleanup_buf_ Buf names = BUF_NULL;

                for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                        buf_addf(&names, "%s%s", i ? ", " : "", rows[i].name);
                snprintf(why, EXPECT_SAID_MAX, "expected one of %.220s", buf_str(&names));
        }
        return -EINVAL;
}

void expect_help(Buf *b) {
        static const char *const values[] = {
                [VALUE_NONE] = "", [VALUE_DURATION] = "TIME", [VALUE_COUNT] = "N", [VALUE_KIND] = "KIND"};

        for (unsigned i = 0; i < ELEMENTSOF(rows); i++)
                buf_addf(b, "%s%s\t%s\n", rows[i].name, values[rows[i].value], rows[i].help);
}

/* ---- judging ---- */

static void say_first(const ReplaySummary *s, Rung rung, char *said) {
        char when[FORMAT_MAX];

        for (unsigned i = 0; i < s->n_lives; i++)
                if (s->life[i].first_usec[rung] != USEC_INFINITY) {
                        snprintf(said, EXPECT_SAID_MAX, "%s %llu time%s, first after %s", rung_name(rung),
                                 (unsigned long long)s->n_acted[rung], s->n_acted[rung] == 1 ? "" : "s",
                                 format_usec(when, s->life[i].first_usec[rung]));
                        return;
                }
        snprintf(said, EXPECT_SAID_MAX, "no %s", rung_name(rung));
}

static bool judge_none(unsigned mask, const ReplaySummary *s, char *said) {
        for (Rung r = 0; r < _RUNG_MAX; r++)
                if ((mask & BIT(r)) && s->n_acted[r] > 0) {
                        say_first(s, r, said);
                        return false;
                }
        snprintf(said, EXPECT_SAID_MAX, "none");
        return true;
}

static Rung rung_of(unsigned mask) {
        return mask & BIT(RUNG_ALERT) ? RUNG_ALERT : mask & BIT(RUNG_RECLAIM) ? RUNG_RECLAIM : RUNG_ROTATE;
}

/* How long before @until did the rung act in this life? */
static bool lead_of(const ReplayLife *l, Rung rung, uint64_t until_usec, uint64_t *ret) {
        if (l->first_usec[rung] > until_usec)
                return false;
        *ret = until_usec - l->first_usec[rung];
        return true;
}

/* The worst of all crossings; the end of the trace stands for the only one where there is none. */
static bool judge_before(const Expectation *e, Rung rung, const ReplaySummary *s, char *said) {
        bool crossed = false, met = true;
        uint64_t worst = USEC_INFINITY, at = 0, lead;
        char a[FORMAT_MAX], b[FORMAT_MAX];

        for (unsigned i = 0; i < s->n_lives; i++) {
                const ReplayLife *l = &s->life[i];

                if (l->crossed_usec == USEC_INFINITY)
                        continue;
                crossed = true;
                if (!lead_of(l, rung, l->crossed_usec, &lead)) {
                        snprintf(said, EXPECT_SAID_MAX, "none before the limit is reached after %s",
                                 format_usec(a, l->crossed_usec));
                        return false;
                }
                if (lead < worst) {
                        worst = lead;
                        at = l->crossed_usec;
                }
        }
        for (unsigned i = 0; i < s->n_lives && !crossed && worst == USEC_INFINITY; i++)
                if (lead_of(&s->life[i], rung, s->span_usec, &lead)) {
                        worst = lead;
                        at = s->span_usec;
                }
        if (worst == USEC_INFINITY) {
                snprintf(said, EXPECT_SAID_MAX, "none, and the limit is not reached");
                return false;
        }
        met = worst >= e->usec;
        snprintf(said, EXPECT_SAID_MAX, "%s before %s after %s", format_usec(a, worst),
                 crossed ? "the limit is reached" : "the end of the trace", format_usec(b, at));
        return met;
}

static bool judge_prevented(const ReplaySummary *s, char *said) {
        unsigned n = 0, missed = 0;
        uint64_t first = USEC_INFINITY;
        char when[FORMAT_MAX];

        for (unsigned i = 0; i < s->n_lives; i++) {
                n += s->life[i].crossed_usec != USEC_INFINITY;
                missed += s->life[i].scenario_crossed_usec != USEC_INFINITY;
                first = min_of(first, s->life[i].scenario_crossed_usec);
        }
        if (missed > 0)
                snprintf(said, EXPECT_SAID_MAX, "%u of %u not prevented, first after %s", missed, max_of(n, missed),
                         format_usec(when, first));
        else
                snprintf(said, EXPECT_SAID_MAX, n ? "%u of %u prevented" : "the limit is not reached", n, n);
        return missed == 0;
}

bool expect_judge(const Expectation *e, const ReplaySummary *s, char said[static EXPECT_SAID_MAX]) {
        Rung rung = rung_of(rows[e->row].rungs);

        switch (rows[e->row].test) {
        case TEST_NONE:
                return judge_none(rows[e->row].rungs, s, said);
        case TEST_SOME:
                say_first(s, rung, said);
                return s->n_acted[rung] > 0;
        case TEST_BEFORE:
                return judge_before(e, rung, s, said);
        case TEST_AT_MOST:
                snprintf(said, EXPECT_SAID_MAX, "%llu of %llu alerts", (unsigned long long)s->n_false_alarms,
                         (unsigned long long)s->n_acted[RUNG_ALERT]);
                return s->n_false_alarms <= e->count;
        case TEST_PREVENTED:
                return judge_prevented(s, said);
        case TEST_VERDICT:
                break;
        }
        snprintf(said, EXPECT_SAID_MAX, "%s", trend_kind_name(s->last_fit.kind));
        return s->last_fit.kind == (TrendKind)e->word;
}
