/* SPDX-License-Identifier: Apache-2.0
 *
 * Watching one process as `plateau watch` does, and keeping what was seen as a trace: in memory for the answer, and
 * line by line in --out, which stays whole whatever ends us.
 */
#include "cli/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask-survey.h"
#include "cli/pick.h"
#include "cli/screen.h"
#include "util/clock.h"
#include "util/format.h"

#define SURVEY_BUDGET_USEC (5 * USEC_PER_SEC)
#define SURVEYS            64 /* over the whole time: each walks the heap */

typedef struct Live {
        const Command *self;
        const VerifyArgs *args;
        Target target;
        Ticker ticker;
        Ask ask;
        ProbeClient *probe; /* NULL = none yet, or not needed */
        FILE *out;
        Trace trace; /* its room is known before the first sample */
        VerifyAllocator allocator;
        uint64_t begin_usec, begin_real_usec, survey_usec;
        char path[64];
        bool quit, unmet, is_tty;
} Live;

/* ---- the probe ---- */

static bool probe_start(Live *l) {
        if (l->probe)
                return true;
        if (ask_identify(&l->ask, l->target.pid))
                l->probe = ask_start(&l->ask, l->args->probe);
        return l->probe;
}

static void probe_stop(Live *l) {
        probe_client_free(l->probe);
        l->probe = NULL;
        ask_done(&l->ask);
        l->ask = ASK_NULL;
}

static void say_refusal(const Live *l, const char *what) {
        _cleanup_buf_ Buf safe = BUF_NULL;

        term_safe(&safe, term_has_utf8(), l->ask.reply.detail);
        fprintf(stderr, "plateau verify: %s: %s (%s)\n", what, buf_str(&safe), l->ask.result);
}

/* "glibc" is met by "glibc 2.36". */
static bool is_allocator(const char *name, const char *expected) {
        size_t n = strcspn(name, " ");

        return n > 0 && strlen(expected) == n && strncmp(name, expected, n) == 0;
}

static int check_allocator(Live *l) {
        Survey *s = probe_start(l) ? ask_survey(&l->ask, l->probe, SURVEY_BUDGET_USEC) : NULL;

        if (!s) {
                say_refusal(l, "--expect-allocator");
                return -EACCES;
        }
        l->allocator = (VerifyAllocator){.asked = true, .met = is_allocator(s->allocator, l->args->allocator)};
        snprintf(l->allocator.name, sizeof(l->allocator.name), "%s", s->allocator);
        free(s);
        l->unmet = !l->allocator.met;
        if (l->unmet || l->args->for_usec == 0)
                l->quit = true;
        return 0;
}

/* What glibc's heap has given out; 0 = not known: another allocator, or torn. */
static uint64_t in_use(Live *l) {
        const uint32_t needed = SURVEY_HAVE_HEAP | SURVEY_HEAP_COMPLETE | SURVEY_HAVE_THRESHOLDS;
        _cleanup_free_ Survey *s = NULL;

        if (!l->args->survey || now_mono_usec() < l->survey_usec)
                return 0;
        l->survey_usec = now_mono_usec() + max_of(l->args->for_usec / SURVEYS, l->args->interval_usec);
        s = probe_start(l) ? ask_survey(&l->ask, l->probe, SURVEY_BUDGET_USEC) : NULL;
        if (!s) {
                say_refusal(l, "--survey");
                l->survey_usec = UINT64_MAX;
                return 0;
        }
        return (s->flags & needed) == needed ? s->in_use_bytes + s->mmapped_bytes : 0;
}

/* ---- samples ---- */

static int begin_process(Live *l) {
        Trace *t = &l->trace;
        TraceStart *grown;

        probe_stop(l);
        snprintf(l->path, sizeof(l->path), "process %d (%s)", l->target.pid, l->target.comm);
        if (l->out && t->n > 0)
                fprintf(l->out, "# another process from here on\n");
        if (t->n_starts == TRACE_STARTS_MAX)
                return -E2BIG;
        grown = realloc(t->starts, (t->n_starts + 1) * sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        t->starts = grown;
        t->starts[t->n_starts++] = (TraceStart){.at = t->n};
        return l->args->allocator ? check_allocator(l) : 0;
}

static int keep(Live *l, const Sample *s, uint64_t in_use_bytes) {
        Trace *t = &l->trace;
        TracePoint *p;

        if (t->n == t->room) {
                size_t room = max_of(t->room * 2, (size_t)1024);

                p = realloc(t->points, room * sizeof(*p));
                if (!p)
                        return -ENOMEM;
                t->points = p;
                t->room = room;
        }
        if (t->n > 0 && l->begin_real_usec + (s->time_usec - l->begin_usec) <= t->points[t->n - 1].time_usec)
                return 0;
        p = &t->points[t->n++];
        *p = (TracePoint){.time_usec = l->begin_real_usec + (s->time_usec - l->begin_usec),
                          .bytes = s->usage_bytes,
                          .limit_bytes = s->limit_bytes,
                          .in_use_bytes = in_use_bytes};
        if (!l->out)
                return 0;
        fprintf(l->out, "%.3f,%llu,%llu,", (double)p->time_usec / USEC_PER_SEC, (unsigned long long)p->bytes,
                (unsigned long long)p->limit_bytes);
        fprintf(l->out, in_use_bytes ? "%llu\n" : "\n", (unsigned long long)in_use_bytes);
        return fflush(l->out) == 0 ? 0 : -errno;
}

static void say_progress(const Live *l, uint64_t past_usec, const Sample *s) {
        char past[FORMAT_MAX], all[FORMAT_MAX], bytes[FORMAT_MAX];

        if (l->is_tty)
                fprintf(stderr, "\r%s of %s, %zu samples, %s \033[K", format_usec(past, past_usec),
                        format_usec(all, l->args->for_usec), l->trace.n, format_bytes(bytes, s->usage_bytes));
}

static int take_event(Live *l, TargetEvent event) {
        if (event == TARGET_EVENT_ABSENT && l->target.spec.match == TARGET_MATCH_PID)
                return -ESRCH;
        if (event == TARGET_EVENT_ENDED && l->target.spec.match == TARGET_MATCH_PID)
                l->quit = true;
        if (event == TARGET_EVENT_STARTED || event == TARGET_EVENT_RESTARTED || event == TARGET_EVENT_EXECED)
                return begin_process(l);
        return 0;
}

static int tick(Live *l) {
        TargetEvent event;
        Sample sample;
        int r = target_refresh(&l->target, &event);

        if (r >= 0)
                r = take_event(l, event);
        if (r < 0 || l->quit || l->target.pid == 0)
                return r;
        r = target_sample(&l->target, now_boot_usec(), 0, &sample);
        if (r < 0)
                return r == -ESRCH ? 0 : r; /* the next look says that it ended */
        if (l->trace.n == 0) {
                l->begin_usec = sample.time_usec;
                l->begin_real_usec = now_real_usec();
        }
        r = keep(l, &sample, in_use(l));
        say_progress(l, sample.time_usec - l->begin_usec, &sample);
        if (sample.time_usec - l->begin_usec >= l->args->for_usec)
                l->quit = true;
        return r;
}

static int watch(Live *l) {
        TickerEvent event;
        int r = ticker_open(&l->ticker, l->args->interval_usec);

        while (r >= 0 && !l->quit) {
                r = ticker_wait(&l->ticker, l->target.pid_fd, &event);
                if (r >= 0 && event == TICKER_DUE)
                        r = tick(l);
                if (event == TICKER_STOPPED)
                        l->quit = true;
        }
        if (l->is_tty)
                fputs("\r\033[K", stderr);
        return r;
}

/* ---- in and out ---- */

static int open_out(Live *l) {
        _cleanup_buf_ Buf safe = BUF_NULL;
        int fd, error;

        if (!l->args->out)
                return 0;
        /* what is there may be days of watching: it stays */
        fd = open(l->args->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        l->out = fd >= 0 ? fdopen(fd, "w") : NULL;
        if (l->out && fputs("time_s,bytes,limit_bytes,in_use_bytes\n", l->out) >= 0)
                return 0;
        error = errno;
        term_safe(&safe, term_has_utf8(), l->args->out);
        fprintf(stderr, "plateau verify: --out %s: %s\n", buf_str(&safe),
                error == EEXIST ? "exists already: expected a new file" : strerror(error));
        return -EINVAL;
}

static CliExit finish(Live *l, int r, Judged *ret) {
        const Trace *t = &l->trace;
        bool empty = t->n == 0 || (t->n_starts > 0 && t->starts[t->n_starts - 1].at >= t->n);

        if (r < 0 && r != -EACCES)
                fprintf(stderr, "plateau verify: %s\n", strerror(-r));
        if (r == -EACCES)
                return l->ask.pid ? ask_exit(&l->ask) : CLI_ERROR;
        if (r < 0)
                return CLI_ERROR;
        if (l->unmet)
                return CLI_UNMET;
        if (l->allocator.asked && l->args->for_usec == 0)
                return CLI_OK;
        if (empty) {
                fprintf(stderr, "plateau verify: no sample was taken: the process was not there\n");
                return CLI_ERROR;
        }
        l->trace.is_wall_clock = true;
        l->trace.step_usec = l->args->interval_usec;
        ret->trace = l->trace;
        l->trace = TRACE_NULL;
        snprintf(ret->process, sizeof(ret->process), "%s", l->path);
        ret->path = ret->process;
        return CLI_OK;
}

CliExit verify_watch(const Command *self, const VerifyArgs *a, Judged *ret, VerifyAllocator *ret_allocator) {
        Live l = {.self = self,
                  .args = a,
                  .target = TARGET_NULL,
                  .ticker = TICKER_NULL,
                  .ask = ASK_NULL,
                  .trace = TRACE_NULL,
                  .is_tty = isatty(STDERR_FILENO) == 1};
        _cleanup_fd_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        TargetSpec spec;
        CliExit code;

        if (pick_target(self, &(Pick){a->match, a->exe, a->word, a->main, a->limit_bytes}, &spec) < 0)
                return CLI_USAGE;
        if (proc_fd < 0) {
                fprintf(stderr, "plateau verify: /proc: %s\n", strerror(errno));
                return CLI_ERROR;
        }
        if (pick_is_absent(self, &spec, proc_fd) || open_out(&l) < 0)
                return CLI_ERROR;
        target_init(&l.target, &spec, &(TargetSource){.proc_fd = proc_fd, .cgroup_fd = -1, .pidfd = true});
        code = finish(&l, watch(&l), ret);
        *ret_allocator = l.allocator;
        probe_stop(&l);
        target_done(&l.target);
        ticker_done(&l.ticker);
        trace_done(&l.trace);
        if (l.out)
                fclose(l.out);
        return code;
}
