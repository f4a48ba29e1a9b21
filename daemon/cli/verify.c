/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verify.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/trace-file.h"
#include "util/parse.h"

#define FOR_USEC     USEC_PER_DAY
#define SAMPLES_MAX  1000000u
#define VERIFIED_MAX 16u

static void compare_in_use(Judged *j, double warm_s) {
        const Trace *t = &j->trace;
        uint64_t behind = t->points[j->from].time_usec + (uint64_t)(warm_s * USEC_PER_SEC);
        double bytes = 0, used = 0, n = 0;

        for (size_t i = j->from; i < t->n; i++)
                if (t->points[i].in_use_bytes > 0 && t->points[i].time_usec >= behind) {
                        bytes += (double)t->points[i].bytes;
                        used += (double)t->points[i].in_use_bytes;
                        n++;
                }
        j->per_in_use = n > 0 ? bytes / used : 0;
        j->in_use_bytes = n > 0 ? used / n : 0;
}

static int judge_points(const VerifyArgs *a, Judged *j) {
        const Trace *t = &j->trace;
        PlateauPoint low[PLATEAU_WINDOWS];
        _cleanup_free_ PlateauPoint *p = NULL;
        size_t n;

        j->from = t->n_starts ? min_of(t->starts[t->n_starts - 1].at, t->n - 1) : 0;
        n = t->n - j->from;
        p = calloc(n, sizeof(*p));
        if (!p)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const TracePoint *x = &t->points[j->from + i];

                p[i] = (PlateauPoint){(double)(x->time_usec - t->points[j->from].time_usec) / USEC_PER_SEC,
                                      (double)x->bytes};
                chart_push(&j->chart, x->time_usec, x->bytes);
        }
        j->limit_bytes = a->limit_bytes ? a->limit_bytes : t->points[t->n - 1].limit_bytes;
        plateau_test(low, plateau_windows(p, n, low), a->confidence_ratio, (double)j->limit_bytes,
                     (double)a->horizon_usec / USEC_PER_SEC, a->daily_ratio, &j->result);
        compare_in_use(j, j->result.warm_s);
        return 0;
}

static CliExit judge(const VerifyArgs *a, Judged *j) {
        if (judge_points(a, j) == 0)
                return CLI_OK;
        fprintf(stderr, "plateau verify: %s\n", strerror(ENOMEM));
        return CLI_ERROR;
}

static CliExit judge_file(const Command *self, const VerifyArgs *a, const char *role, const char *path, Judged *j) {
        CliExit q;

        j->role = role;
        j->path = path;
        q = trace_file_load(self, path, a->series, &j->trace);
        return q == CLI_OK ? judge(a, j) : q;
}

/* ---- the command line ---- */

/* A number that is no file's name is a process. */
static bool is_pid(const char *word) {
        return *word && !word[strspn(word, "0123456789")] && access(word, F_OK) < 0;
}

static bool is_watched(const VerifyArgs *a) {
        return a->match || a->exe || a->main || a->word;
}

static int check_shares(const Command *self, VerifyArgs *a) {
        if (a->confidence && (parse_ratio(a->confidence, &a->confidence_ratio) < 0 || a->confidence_ratio < 0.5 ||
                              a->confidence_ratio > 0.999))
                return args_error(self, "--confidence '%s': expected 0.5 to 0.999", a->confidence);
        if (a->daily && parse_ratio(a->daily, &a->daily_ratio) < 0)
                return args_error(self, "--daily '%s': expected a share such as 1%% or 0.01", a->daily);
        return 0;
}

static int check_watch(const Command *self, VerifyArgs *a, unsigned n_words) {
        static const char *const allocators[] = {"glibc", "jemalloc", "tcmalloc", "mimalloc"};
        bool known = !a->allocator;

        if (n_words > !!a->word || a->after)
                return args_error(self, "expected a process or recorded traces, got both; a trace from before is "
                                        "--before");
        for (size_t i = 0; i < ELEMENTSOF(allocators); i++)
                known = known || strcmp(a->allocator, allocators[i]) == 0;
        if (!known)
                return args_error(self, "--expect-allocator '%s': expected glibc, jemalloc, tcmalloc or mimalloc",
                                  a->allocator);
        if (!a->allocator && a->for_usec == 0)
                a->for_usec = FOR_USEC;
        if (a->for_usec / a->interval_usec > SAMPLES_MAX)
                return args_error(self, "--interval: expected at most %u samples in --for", SAMPLES_MAX);
        return 0;
}

static int check(const Command *self, VerifyArgs *a, const ArgWords *words) {
        if (words->n == 1 && is_pid(words->word[0]))
                a->word = words->word[0];
        if (is_watched(a)) {
                if (check_watch(self, a, words->n) < 0)
                        return -EINVAL;
        } else {
                if (!a->before != !a->after || (words->n > 0) == (a->after != NULL))
                        return args_error(self, "expected TRACE, a process, or --before TRACE and --after TRACE");
                if (a->allocator || a->out || a->survey || a->for_usec)
                        return args_error(self, "--for, --out, --survey and --expect-allocator: expected a process "
                                                "with them");
        }
        if (a->svg && words->n > 1)
                return args_error(self, "--svg: expected one trace, or --before and --after");
        return check_shares(self, a);
}

/* ---- running ---- */

static PlateauVerdict worst(const Judged *j, unsigned n) {
        static const int badness[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_FLAT] = 0, [PLATEAU_UNDECIDED] = 1, [PLATEAU_LINE] = 2};
        PlateauVerdict v = j[0].result.verdict;

        for (unsigned i = 1; i < n; i++)
                v = badness[j[i].result.verdict] > badness[v] ? j[i].result.verdict : v;
        return v;
}

static CliExit collect(const Command *self, const VerifyArgs *a, const ArgWords *words, Judged *j, unsigned *n,
                       VerifyAllocator *allocator) {
        CliExit q = CLI_OK;

        if (a->before)
                q = judge_file(self, a, "before", a->before, &j[(*n)++]);
        if (q == CLI_OK && a->after)
                q = judge_file(self, a, "after", a->after, &j[(*n)++]);
        if (q == CLI_OK && is_watched(a)) {
                j[*n].role = a->before ? "after" : "verdict";
                q = verify_watch(self, a, &j[*n], allocator);
                if (j[*n].trace.n > 0)
                        q = judge(a, &j[(*n)++]);
        } else if (!is_watched(a)) {
                for (unsigned i = 0; i < words->n && q == CLI_OK; i++)
                        q = judge_file(self, a, "verdict", words->word[i], &j[(*n)++]);
        }
        return q;
}

static CliExit tell(const VerifyArgs *a, const Judged *j, unsigned n, const VerifyAllocator *allocator) {
        static const CliExit exits[_PLATEAU_VERDICT_MAX] = {
                [PLATEAU_FLAT] = CLI_OK, [PLATEAU_LINE] = CLI_LINE, [PLATEAU_UNDECIDED] = CLI_UNDECIDED};
        PlateauVerdict verdict = a->before ? j[n - 1].result.verdict : worst(j, n);
        PlateauChange change;

        if (a->before)
                plateau_compare(&j[0].result, &j[1].result, &change);
        if (a->json)
                verify_json(j, n, verdict, a->before ? &change : NULL, allocator);
        else
                verify_view(a, j, n, a->before ? &change : NULL, allocator);
        if (fflush(stdout) != 0) {
                fprintf(stderr, "plateau verify: standard output: %s\n", strerror(errno));
                return CLI_ERROR;
        }
        if (a->svg && verify_svg(a, j, n) != CLI_OK)
                return CLI_ERROR;
        return exits[verdict];
}

static void tell_allocator(const VerifyArgs *a, const VerifyAllocator *allocator) {
        if (a->json)
                verify_json(NULL, 0, PLATEAU_UNDECIDED, NULL, allocator);
        else
                verify_allocator_view(a, allocator);
}

static int verify_main(const Command *self, int argc, char **argv) {
        VerifyArgs a = {.horizon_usec = 30 * USEC_PER_DAY,
                        .interval_usec = 10 * USEC_PER_SEC,
                        .confidence_ratio = 0.95,
                        .daily_ratio = 0.01};
        VerifyAllocator allocator = {.asked = false};
        _cleanup_free_ Judged *j = NULL;
        ArgWords words;
        unsigned n = 0;
        CliExit q;
        int r = args_parse(self, argc, argv, &a, 0, VERIFIED_MAX, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (check(self, &a, &words) < 0)
                return CLI_USAGE;
        j = calloc(VERIFIED_MAX, sizeof(*j));
        if (!j)
                return CLI_ERROR;
        q = collect(self, &a, &words, j, &n, &allocator);
        if ((q == CLI_OK || q == CLI_UNMET) && allocator.asked && (n == 0 || !a.for_usec))
                tell_allocator(&a, &allocator);
        else if (q == CLI_OK)
                q = tell(&a, j, n, &allocator);
        for (unsigned i = 0; i < n; i++)
                trace_done(&j[i].trace);
        return q;
}

static const ArgOption options[] = {
        {"before", 'b', ARG_TEXT, "TRACE", offsetof(VerifyArgs, before), 0, 0, "The trace before the cure."},
        {"after", 'a', ARG_TEXT, "TRACE", offsetof(VerifyArgs, after), 0, 0,
         "The trace after it: its verdict is the exit status."},
        {"limit", 'l', ARG_BYTES, "SIZE", offsetof(VerifyArgs, limit_bytes), 1, 0,
         "The limit, instead of the trace's."},
        {"horizon", 0, ARG_DURATION, "TIME", offsetof(VerifyArgs, horizon_usec), USEC_PER_MINUTE, 3650 * USEC_PER_DAY,
         "Growth matters when it reaches the limit within this. Default: 30d."},
        {"daily", 0, ARG_TEXT, "SHARE", offsetof(VerifyArgs, daily), 0, 0,
         "Without a limit: growth matters from this share of the level a day on. Default: 1%."},
        {"confidence", 'c', ARG_TEXT, "SHARE", offsetof(VerifyArgs, confidence), 0, 0,
         "Of the slope's interval, 0.5 to 0.999. Default: 0.95."},
        {"series", 's', ARG_TEXT, "TEXT", offsetof(VerifyArgs, series), 0, 0,
         "Prometheus: the series whose labels (name=value,...) contain this."},
        {"match", 'm', ARG_TEXT, "PATTERN", offsetof(VerifyArgs, match), 0, 0,
         "Watch the process whose arguments, joined by blanks, match this extended regular expression."},
        {"exe", 'x', ARG_TEXT, "NAME", offsetof(VerifyArgs, exe), 0, 0, "Watch the process that runs this executable."},
        {"main", 0, ARG_FLAG, NULL, offsetof(VerifyArgs, main), 0, 0, "Watch the main process of the container."},
        {"for", 'f', ARG_DURATION, "TIME", offsetof(VerifyArgs, for_usec), USEC_PER_SEC, 365 * USEC_PER_DAY,
         "Watch so long; Ctrl-C judges what was seen until then. Default: 24h."},
        {"interval", 'i', ARG_DURATION, "TIME", offsetof(VerifyArgs, interval_usec), 50 * USEC_PER_MSEC, USEC_PER_HOUR,
         "Between two samples. Default: 10s."},
        {"out", 'o', ARG_TEXT, "FILE", offsetof(VerifyArgs, out), 0, 0,
         "Record the samples as CSV into a new file, for a later --before."},
        {"survey", 0, ARG_FLAG, NULL, offsetof(VerifyArgs, survey), 0, 0,
         "Up to 64 times, also read from outside what glibc's heap has in use, as plateau explain does."},
        {"expect-allocator", 'e', ARG_TEXT, "NAME", offsetof(VerifyArgs, allocator), 0, 0,
         "What malloc must lead to: glibc, jemalloc, tcmalloc, mimalloc. Without --for, only this is checked."},
        {"probe", 0, ARG_TEXT, "PATH", offsetof(VerifyArgs, probe), 0, 0, "plateau-probe, where it is elsewhere."},
        {"svg", 0, ARG_TEXT, "FILE", offsetof(VerifyArgs, svg), 0, 0, "A picture; before and after in one."},
        {"json", 'j', ARG_FLAG, NULL, offsetof(VerifyArgs, json), 0, 0, "One JSON document."},
        ARG_END,
};

const Command command_verify = {
        .name = "verify",
        .args = "TRACE... | PID | --match PATTERN | --before TRACE --after TRACE",
        .summary = "whether memory is a plateau, or still a line",
        .description =
                "Takes traces as plateau replay does; of several processes in one, the last is judged. A warm-up is "
                "found and left out. Then the slope of the lows of 32 equal windows is told with its interval, "
                "widened by how far neighbouring windows depend on each other.\n"
                "PLATEAU: even the interval's upper end is too little to matter, and it does not fall as fast. LINE: "
                "the lower end is above zero, the slope matters, it does not slow down, and it was seen for two days, "
                "or is "
                "so fast that the limit is near (without a limit: that it grew by 5 %): less may be a wave. UNDECIDED: "
                "neither is shown; it tells how much longer to watch. Of several traces the worst verdict is the exit "
                "status, with --before that of the other.\n"
                "A trace may have a column in_use_bytes; then it tells how much is resident for each byte in use.",
        .exits = "0\tplateau\n"
                 "1\tit did not work\n"
                 "2\twrong command line\n"
                 "4\t--expect-allocator: plateau-probe may not look at the process\n"
                 "7\tmalloc does not lead to --expect-allocator\n"
                 "8\tline\n"
                 "9\tundecided\n"
                 "65\tthe trace is wrong: file:line:column on standard error\n",
        .examples = "plateau verify rss.csv\tis it flat\n"
                    "plateau verify --before glibc.csv --after jemalloc.csv\tdid the cure help\n"
                    "plateau verify 1234 --for 48h --out after.csv --before glibc.csv\twatch, then compare\n"
                    "plateau verify 1234 --expect-allocator jemalloc\tdid LD_PRELOAD take effect\n",
        .options = options,
        .run = verify_main,
};
