/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "action/jvm.h"
#include "action/look.h"
#include "probe/survey/reader.h"
#include "util/clock.h"
#include "util/format.h"

#define SURVEY_LIMIT_MSEC 1000u
#define SURVEY_GRACE_USEC (5 * USEC_PER_SEC)

typedef struct ReclaimArgs {
        CallArgs call; /* first */
        bool no_attach, no_survey, decay;
} ReclaimArgs;

/* Everything that the output needs. */
typedef struct Reclaim {
        Ask ask;
        char attach_refusal[JVM_WHY_MAX]; /* of a JVM: why not by its attach socket; "" otherwise */
        bool predicted;                   /* predicted_bytes is what a look right before foretold */
        uint64_t predicted_bytes;
} Reclaim;

/* What it will give back, by a look from outside. Whatever comes of it, the reclaim goes on. */
static void predict(const ReclaimArgs *a, ProbeClient *client, Reclaim *r) {
        ProbeRequest request = {.op = PROBE_OP_SURVEY, .budget_msec = SURVEY_LIMIT_MSEC};
        _cleanup_free_ Survey *s = NULL;
        _cleanup_fd_ int fd = -1;
        Ask look = r->ask; /* its own answer; the descriptor stays the other's */
        const char *why;

        if (a->no_survey || a->decay) /* a decay gives back what jemalloc's clocks say */
                return;
        ask_probe(&look, client, &request, SURVEY_LIMIT_MSEC * USEC_PER_MSEC + SURVEY_GRACE_USEC, &fd);
        if (strcmp(look.result, "ok") == 0 && survey_read(fd, &s, &why) == 0)
                r->predicted = look_prediction(s, &r->predicted_bytes);
}

/* A JVM is asked to do it itself. Return: true: that was it; false: it is the probe's. */
static bool call_jvm(const ReclaimArgs *a, Reclaim *r) {
        JvmRequest request = {
                .pid = r->ask.pid,
                .start_ticks = r->ask.start_ticks,
                .attach_usec = a->call.find_timeout_usec,
                .finish_usec = a->call.timeout_usec,
        };
        JvmReply reply;

        if (a->no_attach)
                return false;
        jvm_call(&request, &reply);
        if (!jvm_to_probe(&reply, &r->ask.reply)) {
                if (reply.result == JVM_CANNOT)
                        memcpy(r->attach_refusal, reply.why, sizeof(r->attach_refusal));
                return false;
        }
        ask_take(&r->ask);
        return true;
}

static void print_json(const Reclaim *r) {
        const ProbeTrim *t = &r->ask.reply.trim;
        bool ok = r->ask.reply.result == PROBE_OK;
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        call_json_begin(&r->ask, &j);
        json_kv_u64_or_null(&j, "rss_before_bytes", t->rss_before_bytes > 0, t->rss_before_bytes);
        json_kv_u64_or_null(&j, "rss_after_bytes", ok, t->rss_after_bytes);
        json_key(&j, "released_bytes"); /* negative when the target grew faster than the trim released */
        if (ok)
                json_i64(&j, (int64_t)(t->rss_before_bytes - t->rss_after_bytes));
        else
                json_nil(&j);
        json_kv_u64_or_null(&j, "predicted_bytes", r->predicted, r->predicted_bytes);
        call_json_end(&r->ask, &j);
        json_kv_string(&j, "attach_refusal", r->attach_refusal[0] ? r->attach_refusal : NULL);
        json_object_end(&j);
        puts(buf_str(&b));
}

static void print_done(const Reclaim *r, const Term *t) {
        const ProbeTrim *m = &r->ask.reply.trim;
        int64_t released = (int64_t)(m->rss_before_bytes - m->rss_after_bytes);
        char before[FORMAT_MAX], after[FORMAT_MAX], gain[FORMAT_MAX], x[FORMAT_MAX];

        printf("RSS        %s %s %s\n", format_bytes(before, m->rss_before_bytes), t->glyph->arrow,
               format_bytes(after, m->rss_after_bytes));
        if (released >= 0)
                printf("released   %s%s%s (%.1f %%)", term_style(t, STYLE_BOLD), format_bytes(gain, (uint64_t)released),
                       term_plain(t, STYLE_BOLD),
                       m->rss_before_bytes ? 100.0 * (double)released / (double)m->rss_before_bytes : 0);
        else
                printf("released   nothing: it grew by %s meanwhile", format_bytes(gain, (uint64_t)-released));
        if (r->predicted)
                printf(", predicted %s", format_bytes(x, r->predicted_bytes));
        putchar('\n');
        call_print_cost(&r->ask);
}

static void make(const ReclaimArgs *a, ProbeRequest *request, Reclaim *r) {
        ProbeClient *client = ask_start(&r->ask, a->call.probe);

        if (client)
                predict(a, client, r);
        if ((a->decay || !call_jvm(a, r)) && client) /* a JVM needs no probe */
                call_with(&a->call, client, request, &r->ask);
        probe_client_free(client);
}

static void print_human(const Reclaim *r) {
        _cleanup_buf_ Buf refusal = BUF_NULL;
        Term t;

        term_init(&t, stdout);
        term_safe(&refusal, t.utf8, r->attach_refusal);
        call_print_head(&r->ask, &t, "reclaimed");
        if (*buf_str(&refusal))
                printf("attach     not used: %s\n", buf_str(&refusal));
        if (r->ask.reply.result == PROBE_OK)
                print_done(r, &t);
        else
                call_print_failure(&r->ask, &t);
}

static int reclaim_main(const Command *self, int argc, char **argv) {
        ReclaimArgs a = {.call = CALL_ARGS_DEFAULT};
        ProbeRequest request = {.op = PROBE_OP_TRIM};
        Reclaim r = {.ask = ASK_NULL};
        ArgWords words;
        pid_t pid;
        int e = args_parse(self, argc, argv, &a, 1, 1, &words);

        if (e != 0)
                return e < 0 ? CLI_USAGE : CLI_OK;
        if (args_pid(self, words.word[0], &pid) < 0)
                return CLI_USAGE;
        request.flags = a.decay ? PROBE_FLAG_DECAY : 0;
        if (ask_identify(&r.ask, pid))
                make(&a, &request, &r);
        if (a.call.json)
                print_json(&r);
        else
                print_human(&r);
        ask_done(&r.ask);
        return ask_exit(&r.ask);
}

static const ArgOption options[] = {
        CALL_OPTIONS,
        {"decay", 0, ARG_FLAG, NULL, offsetof(ReclaimArgs, decay), 0, 0,
         "Of jemalloc only what has decayed by its own clock: less, and cheaper for the process. Refused where malloc "
         "is another's."},
        {"no-attach", 0, ARG_FLAG, NULL, offsetof(ReclaimArgs, no_attach), 0, 0,
         "Do not ask a JVM through its attach socket; make the call in it like in any other process. (Asked, it has "
         "--find-timeout to begin to listen.)"},
        {"no-survey", 0, ARG_FLAG, NULL, offsetof(ReclaimArgs, no_survey), 0, 0,
         "Do not look beforehand what it will give back: the prediction is left out."},
        ARG_END,
};

const Command command_reclaim = {
        .name = "reclaim",
        .args = "PID",
        .summary = "make a process give trapped heap memory back, now",
        .description =
                "Has the process itself call what its allocator has for that (glibc: malloc_trim, jemalloc: "
                "mallctl arena.purge, tcmalloc: ReleaseFreeMemory, ReleaseMemoryToSystem): a thread that provably is "
                "outside the allocator is held for some microseconds, given the call as a signal frame, and let go; it "
                "goes on where it was and "
                "never sees an interrupted system call. If this command is killed in the middle, the process finishes "
                "alone.\n"
                "A HotSpot JVM is asked to do it itself, by its attach socket, and nothing of it is held; while it "
                "trims, its garbage collections wait. Where it cannot be asked, and with --no-attach, the call is made "
                "in it.\n"
                "Before, the heap of a glibc is read from outside, for a second at the most, and what a trim will give "
                "back is foretold; null in JSON where that is not known.\n"
                "Needs the rights to ptrace: the same user (subject to Yama), or CAP_SYS_PTRACE on plateau-probe. "
                "Declines with its reason where it cannot be safe. It needs no daemon.",
        .exits = "0\tdone; look at the figures for what it gave\n" CALL_EXITS,
        .examples = "plateau reclaim 1234\tfigures for people\n"
                    "plateau reclaim --json 1234 | jq .released_bytes\tfor scripts\n",
        .options = options,
        .reasons = true,
        .run = reclaim_main,
};
