/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "action/jvm.h"
#include "cli/term.h"
#include "probe/client.h"
#include "sample/target.h"
#include "util/clock.h"
#include "util/format.h"
#include "util/json.h"

/* The probe keeps its own time; this is what we allow it on top before we call it dead. */
#define ANSWER_GRACE_USEC (5 * USEC_PER_SEC)

typedef struct ReclaimArgs {
        bool json, allow_seccomp, no_attach;
        uint64_t timeout_usec, find_timeout_usec;
        const char *probe;
} ReclaimArgs;

/* Everything that the output needs: the reply, or why there is none. */
typedef struct Reclaim {
        pid_t pid;
        char comm[TARGET_COMM_MAX + 1];
        ProbeReply reply;
        char attach_refusal[JVM_WHY_MAX]; /* of a JVM: why not by its attach socket; "" otherwise */
        const char *result; /* "ok", "refused", "timeout", "error" */
} Reclaim;

static const char *result_of(ProbeResult r) {
        switch (r) {
        case PROBE_OK:
                return "ok";
        case PROBE_E_TIMEOUT:
                return "timeout";
        case PROBE_E_GONE:
        case PROBE_E_PROTOCOL:
        case PROBE_E_INTERNAL:
                return "error";
        default:
                return "refused";
        }
}

static int exit_of(const char *result) {
        static const struct {
                const char *name;
                CliExit code;
        } exits[] = {{"ok", CLI_OK}, {"refused", CLI_REFUSED}, {"timeout", CLI_TIMEOUT}};

        for (size_t i = 0; i < ELEMENTSOF(exits); i++)
                if (strcmp(exits[i].name, result) == 0)
                        return exits[i].code;
        return CLI_ERROR;
}

static void fail(Reclaim *r, ProbeResult result, const char *detail) {
        r->reply = (ProbeReply){.result = result};
        snprintf(r->reply.detail, sizeof(r->reply.detail), "%s", detail);
        r->result = result_of(result);
}

/* Who is it: the probe acts on a pid and a start time, so that a pid used again is not mistaken. */
static int identify(Reclaim *r, uint64_t *ret_start_ticks) {
        _cleanup_fd_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TargetSpec spec = {.match = TARGET_MATCH_PID, .pid = r->pid};
        TargetSource source = {.proc_fd = proc_fd, .cgroup_fd = -1, .pidfd = true};
        Target target = TARGET_NULL;
        TargetEvent event;
        int e;

        if (proc_fd < 0)
                return -errno;
        target_init(&target, &spec, &source);
        e = target_refresh(&target, &event);
        if (e == 0 && target.pid == 0)
                e = -ESRCH;
        if (e == 0) {
                *ret_start_ticks = target.start_ticks;
                memcpy(r->comm, target.comm, sizeof(r->comm));
        }
        target_done(&target);
        return e;
}

/* A JVM is asked to do it itself. Return: true: that was it; false: it is the probe's. */
static bool call_jvm(const ReclaimArgs *a, Reclaim *r, uint64_t start_ticks) {
        JvmRequest request = {
                .pid = r->pid,
                .start_ticks = start_ticks,
                .attach_usec = a->find_timeout_usec,
                .finish_usec = a->timeout_usec,
        };
        JvmReply reply;

        if (a->no_attach)
                return false;
        jvm_call(&request, &reply);
        if (!jvm_to_probe(&reply, &r->reply)) {
                if (reply.result == JVM_CANNOT)
                        memcpy(r->attach_refusal, reply.why, sizeof(r->attach_refusal));
                return false;
        }
        r->result = result_of((ProbeResult)r->reply.result);
        return true;
}

static void call_probe(const ReclaimArgs *a, Reclaim *r, uint64_t start_ticks) {
        ProbeRequest request = {
                .op = PROBE_OP_TRIM,
                .pid = r->pid,
                .flags = a->allow_seccomp ? PROBE_FLAG_ALLOW_SECCOMP : 0,
                .start_ticks = start_ticks,
                .find_timeout_msec = (uint32_t)(a->find_timeout_usec / USEC_PER_MSEC),
                .finish_timeout_msec = (uint32_t)(a->timeout_usec / USEC_PER_MSEC),
        };
        ProbeClient *client = NULL;
        int e = probe_client_new(a->probe, NULL, &client);

        if (e == -ENOENT) {
                fail(r, PROBE_E_INTERNAL, "there is no plateau-probe; set $PLATEAU_PROBE or give --probe PATH");
                return;
        }
        if (e == 0)
                e = probe_client_call(client, &request, &r->reply, NULL,
                                      a->find_timeout_usec + a->timeout_usec + ANSWER_GRACE_USEC);
        probe_client_free(client);
        if (e == -ETIMEDOUT)
                fail(r, PROBE_E_TIMEOUT, "plateau-probe did not answer");
        else if (e == -EPIPE || e == -ECONNRESET)
                fail(r, PROBE_E_INTERNAL, "plateau-probe ended without an answer");
        else if (e < 0)
                fail(r, PROBE_E_INTERNAL, strerror(-e));
        else
                r->result = result_of((ProbeResult)r->reply.result);
}

static const char *thread_name(uint32_t thread) {
        if (thread == PROBE_THREAD_BORROWED)
                return "borrowed";
        return thread == PROBE_THREAD_OWN ? "own" : NULL;
}

static void print_json(const Reclaim *r) {
        const ProbeTrim *t = &r->reply.trim;
        bool ok = r->reply.result == PROBE_OK;
        _cleanup_buf_ Buf b = BUF_NULL;
        Json j = JSON_INIT(&b);

        json_object_begin(&j);
        json_kv_string(&j, "result", r->result);
        json_kv_string(&j, "reason", probe_result_name((ProbeResult)r->reply.result));
        json_kv_string(&j, "detail", r->reply.detail[0] ? r->reply.detail : NULL);
        json_kv_i64(&j, "pid", r->pid);
        json_kv_string(&j, "comm", r->comm[0] ? r->comm : NULL);
        json_kv_string(&j, "allocator", t->call.allocator[0] ? t->call.allocator : NULL);
        json_kv_string(&j, "call", t->call.name[0] ? t->call.name : NULL);
        json_kv_u64_or_null(&j, "rss_before_bytes", t->rss_before_bytes > 0, t->rss_before_bytes);
        json_kv_u64_or_null(&j, "rss_after_bytes", ok, t->rss_after_bytes);
        json_key(&j, "released_bytes"); /* negative when the target grew faster than the trim released */
        if (ok)
                json_i64(&j, (int64_t)(t->rss_before_bytes - t->rss_after_bytes));
        else
                json_nil(&j);
        json_kv_u64_or_null(&j, "predicted_bytes", t->predicted, t->predicted_bytes);
        json_kv_u64_or_null(&j, "stop_usec", ok || t->call.n_declined || t->call.stop_usec, t->call.stop_usec);
        json_kv_u64_or_null(&j, "stop_max_usec", ok || t->call.n_declined || t->call.stop_usec, t->call.stop_max_usec);
        json_kv_u64(&j, "declined_stops", t->call.n_declined);
        json_kv_u64_or_null(&j, "duration_usec", ok, t->call.duration_usec);
        json_kv_u64_or_null(&j, "total_usec", t->call.total_usec > 0, t->call.total_usec);
        json_kv_string(&j, "thread", thread_name(t->call.thread));
        json_kv_u64_or_null(&j, "tid", t->call.tid > 0, (uint64_t)t->call.tid);
        json_kv_string(&j, "attach_refusal", r->attach_refusal[0] ? r->attach_refusal : NULL);
        json_object_end(&j);
        puts(buf_str(&b));
}

static void print_done(const Reclaim *r, const Term *t) {
        const ProbeTrim *m = &r->reply.trim;
        int64_t released = (int64_t)(m->rss_before_bytes - m->rss_after_bytes);
        char before[FORMAT_MAX], after[FORMAT_MAX], gain[FORMAT_MAX], x[FORMAT_MAX], y[FORMAT_MAX];

        printf("RSS        %s %s %s\n", format_bytes(before, m->rss_before_bytes), t->glyph->arrow,
               format_bytes(after, m->rss_after_bytes));
        if (released >= 0)
                printf("released   %s%s%s (%.1f %%)", term_style(t, STYLE_BOLD), format_bytes(gain, (uint64_t)released),
                       term_plain(t, STYLE_BOLD),
                       m->rss_before_bytes ? 100.0 * (double)released / (double)m->rss_before_bytes : 0);
        else
                printf("released   nothing: it grew by %s meanwhile", format_bytes(gain, (uint64_t)-released));
        if (m->predicted)
                printf(", predicted %s", format_bytes(x, m->predicted_bytes));
        if (m->call.tid)
                printf("\nheld       thread %d for %s", m->call.tid, format_usec(x, m->call.stop_usec));
        else
                printf("\nheld       nothing: the JVM was asked, by its attach socket");
        if (m->call.n_declined)
                printf(", after %u stops that were let go at once (longest %s)", m->call.n_declined,
                       format_usec(y, m->call.stop_max_usec));
        printf("\ntook       %s in %s, %s in all, ", format_usec(x, m->call.duration_usec), m->call.name,
               format_usec(y, m->call.total_usec));
        puts(!m->call.tid                             ? "on a thread of the JVM"
             : m->call.thread == PROBE_THREAD_OWN ? "on a thread of its own"
                                                  : "on the borrowed thread");
}

static void print_human(const Reclaim *r) {
        _cleanup_buf_ Buf comm = BUF_NULL, detail = BUF_NULL, allocator = BUF_NULL, refusal = BUF_NULL;
        ProbeResult result = (ProbeResult)r->reply.result;
        bool ok = result == PROBE_OK;
        Style style = ok ? STYLE_GOOD : STYLE_BAD;
        Term t;

        term_init(&t, stdout);
        term_safe(&comm, t.utf8, r->comm[0] ? r->comm : "?");
        term_safe(&detail, t.utf8, r->reply.detail);
        term_safe(&allocator, t.utf8, r->reply.call.allocator);
        term_safe(&refusal, t.utf8, r->attach_refusal);
        printf("%s (pid %d): %s%s%s", buf_str(&comm), r->pid, term_style(&t, style), ok ? "reclaimed" : r->result,
               term_plain(&t, style));
        if (*buf_str(&allocator))
                printf(", %s", buf_str(&allocator));
        putchar('\n');
        if (*buf_str(&refusal))
                printf("attach     not used: %s\n", buf_str(&refusal));
        if (ok) {
                print_done(r, &t);
                return;
        }
        printf("reason     %s: %s\n", probe_result_name(result), probe_result_text(result));
        if (*buf_str(&detail))
                printf("detail     %s\n", buf_str(&detail));
        if (result == PROBE_E_TIMEOUT)
                puts("It was left to finish by itself; the target is not held.");
        else if (strcmp(r->result, "refused") == 0)
                puts("Nothing in the target was changed.");
}

static int reclaim_main(const Command *self, int argc, char **argv) {
        ReclaimArgs a = {.timeout_usec = 10 * USEC_PER_SEC, .find_timeout_usec = 2 * USEC_PER_SEC};
        uint64_t start_ticks = 0;
        Reclaim r = {0};
        ArgWords words;
        int e = args_parse(self, argc, argv, &a, 1, 1, &words);

        if (e != 0)
                return e < 0 ? CLI_USAGE : CLI_OK;
        if (args_pid(self, words.word[0], &r.pid) < 0)
                return CLI_USAGE;
        e = identify(&r, &start_ticks);
        if (e == -ESRCH)
                fail(&r, PROBE_E_GONE, "");
        else if (e < 0)
                fail(&r, PROBE_E_INTERNAL, strerror(-e));
        else if (!call_jvm(&a, &r, start_ticks))
                call_probe(&a, &r, start_ticks);
        if (a.json)
                print_json(&r);
        else
                print_human(&r);
        return exit_of(r.result);
}

static const ArgOption options[] = {
        {"json", 'j', ARG_FLAG, NULL, offsetof(ReclaimArgs, json), 0, 0, "One JSON object instead of text."},
        {"timeout", 't', ARG_DURATION, "TIME", offsetof(ReclaimArgs, timeout_usec), USEC_PER_MSEC, USEC_PER_HOUR,
         "How long the call may take; afterwards it is left to finish by itself. Default: 10s."},
        {"find-timeout", 'f', ARG_DURATION, "TIME", offsetof(ReclaimArgs, find_timeout_usec), USEC_PER_MSEC,
         USEC_PER_HOUR,
         "How long to look for a thread at a proven safe point, or to wait for a JVM to listen. Default: 2s."},
        {"allow-seccomp", 0, ARG_FLAG, NULL, offsetof(ReclaimArgs, allow_seccomp), 0, 0,
         "Also into a process under a seccomp filter whose verdict on our system calls is not known. A filter that "
         "kills would kill it."},
        {"no-attach", 0, ARG_FLAG, NULL, offsetof(ReclaimArgs, no_attach), 0, 0,
         "Do not ask a JVM through its attach socket; make the call in it like in any other process."},
        {"probe", 0, ARG_TEXT, "PATH", offsetof(ReclaimArgs, probe), 0, 0,
         "The plateau-probe to use. Default: $PLATEAU_PROBE, the one beside this command, the installed one."},
        ARG_END,
};

const Command command_reclaim = {
        .name = "reclaim",
        .args = "PID",
        .summary = "make a process give trapped heap memory back, now",
        .description =
                "Has the process itself call what its allocator has for that (glibc: malloc_trim, jemalloc: "
                "mallctl arena.purge, gperftools: ReleaseFreeMemory): a thread that provably is outside the allocator "
                "is "
                "held for some microseconds, given the call as a signal frame, and let go; it goes on where it was and "
                "never sees an interrupted system call. If this command is killed in the middle, the process finishes "
                "alone.\n"
                "A HotSpot JVM is asked to do it itself, by its attach socket, and nothing of it is held; while it "
                "trims, its garbage collections wait. Where it cannot be asked, and with --no-attach, the call is made "
                "in it.\n"
                "Needs the rights to ptrace: the same user (subject to Yama), or CAP_SYS_PTRACE on plateau-probe. "
                "Declines with its reason where it cannot be safe. It needs no daemon.",
        .exits = "0\tdone; look at the figures for what it gave\n"
                 "1\terror: no such process, or the probe failed\n"
                 "2\twrong command line\n"
                 "4\trefused: nothing was touched, the reason says why\n"
                 "5\ttimeout: started, not finished in its time; left to finish by itself\n",
        .examples = "plateau reclaim 1234\tfigures for people\n"
                    "plateau reclaim --json 1234 | jq .released_bytes\tfor scripts\n",
        .options = options,
        .run = reclaim_main,
};
