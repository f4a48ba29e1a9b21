/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/inspect-view.h"
#include "cli/words.h"
#include "util/clock.h"

/* The probe keeps its own time; this is what we allow it on top before we call it dead. */
#define ANSWER_GRACE_USEC (15 * USEC_PER_SEC)
/* Sent in any case: the probe allows its worker no more time than it was asked for. */
#define BUDGET_USEC      (2 * USEC_PER_SEC)
#define BUDGET_CALL_USEC (500 * USEC_PER_MSEC) /* for which a server's clients mostly bear to wait */

typedef struct InspectArgs {
        bool json, call, allow_seccomp;
        const char *diff, *probe;
        uint64_t top, budget_usec, timeout_usec, find_timeout_usec;
} InspectArgs;

/* One census. Return: whether there is one; else @ask says why not. */
static bool take_census(const InspectArgs *a, Ask *ask, ProbeClient *client, PythonReport *ret) {
        ProbeRequest request = {
                .op = PROBE_OP_PYTHON,
                .flags = a->allow_seccomp ? PROBE_FLAG_ALLOW_SECCOMP : 0,
                .find_timeout_msec = (uint32_t)(a->find_timeout_usec / USEC_PER_MSEC),
                .finish_timeout_msec = (uint32_t)(a->timeout_usec / USEC_PER_MSEC),
                .param = a->call ? PYTHON_INJECTED : PYTHON_PASSIVE,
                .budget_msec = (uint32_t)(a->budget_usec / USEC_PER_MSEC),
        };
        uint64_t wait_usec =
                a->timeout_usec + a->budget_usec + (a->call ? a->find_timeout_usec : 0) + ANSWER_GRACE_USEC;
        _cleanup_fd_ int fd = -1;
        const char *why;
        int r;

        ask_probe(ask, client, &request, wait_usec, &fd);
        if (strcmp(ask->result, "ok") != 0)
                return false;
        r = python_report_read(fd, ret, &why);
        if (r == -EBADMSG)
                ask_fail(ask, PROBE_E_PROTOCOL, "what plateau-probe sent is refused: %s", why);
        else if (r < 0)
                ask_fail(ask, PROBE_E_INTERNAL, "%s", strerror(-r));
        return r == 0;
}

static void inspect(const InspectArgs *a, uint64_t diff_usec, pid_t pid, Inspection *i) {
        ProbeClient *client = ask_identify(&i->ask, pid) ? ask_start(&i->ask, a->probe) : NULL;
        bool ok = client != NULL;
        char text[WORDS_MAX];

        if (ok && diff_usec) {
                ok = take_census(a, &i->ask, client, &i->first);
                if (ok && isatty(STDERR_FILENO) && !a->json)
                        fprintf(stderr, "plateau inspect: the first census is taken, the second follows in %s\n",
                                words_time(text, diff_usec));
                ok = ok && ask_wait(&i->ask, now_mono_usec() + diff_usec, "second census");
        }
        i->is_diff = diff_usec > 0;
        i->has_census = ok && take_census(a, &i->ask, client, &i->last);
        if (i->has_census && inspect_rows(i->is_diff ? &i->first : NULL, &i->last, &i->rows) < 0) {
                ask_fail(&i->ask, PROBE_E_INTERNAL, "out of memory");
                i->has_census = false;
        }
        i->is_diff = i->is_diff && i->has_census;
        probe_client_free(client);
}

static void print(const InspectArgs *a, const Inspection *i) {
        Term t;

        if (a->json) {
                _cleanup_buf_ Buf b = {.max = 8u
                                              << 20}; /* 4096 types of the longest names, all of their bytes escaped */

                inspect_json(&b, i);
                puts(buf_str(&b));
                return;
        }
        term_init(&t, stdout);
        _cleanup_screen_ Screen s = SCREEN_INIT(&t);
        s.buf.max = 8u << 20;
        inspect_view(&s, i);
        fputs(buf_str(&s.buf), stdout);
}

static int inspect_main(const Command *self, int argc, char **argv) {
        InspectArgs a = {.timeout_usec = 10 * USEC_PER_SEC, .find_timeout_usec = 2 * USEC_PER_SEC};
        Inspection i = INSPECTION_NULL;
        uint64_t diff_usec = 0;
        ArgWords words;
        CliExit code;
        pid_t pid;
        int r = args_parse(self, argc, argv, &a, 1, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (args_pid(self, words.word[0], &pid) < 0 ||
            (a.diff && args_span(self, "--diff", a.diff, "1ms", &diff_usec) < 0))
                return CLI_USAGE;
        i.top = (unsigned)a.top;
        if (a.budget_usec == 0)
                a.budget_usec = a.call ? BUDGET_CALL_USEC : BUDGET_USEC;
        inspect(&a, diff_usec, pid, &i);
        print(&a, &i);
        code = ask_exit(&i.ask);
        inspect_rows_done(&i.rows);
        python_report_done(&i.first);
        python_report_done(&i.last);
        ask_done(&i.ask);
        return code;
}

static const ArgOption options[] = {
        {"json", 'j', ARG_FLAG, NULL, offsetof(InspectArgs, json), 0, 0,
         "One JSON object instead of text; its keys are below."},
        {"diff", 'd', ARG_TEXT, "SECONDS", offsetof(InspectArgs, diff), 0, 0,
         "Two censuses so far apart, and the growth between them by type, most first. Also 5m, 1h30m."},
        {"top", 'n', ARG_COUNT, "N", offsetof(InspectArgs, top), 1, PYTHON_TYPES_MAX,
         "How many types. Default: what fits on the screen, 20 into a file, all of them in JSON."},
        {"call", 'c', ARG_FLAG, NULL, offsetof(InspectArgs, call), 0, 0,
         "An exact count: bring the interpreter to a standstill for the time it takes. Not without being asked."},
        {"budget", 'b', ARG_DURATION, "TIME", offsetof(InspectArgs, budget_usec), USEC_PER_MSEC, 10 * USEC_PER_MINUTE,
         "How long to read at most: of a larger heap str and bytes are estimated, or it is told to be incomplete. With "
         "--call: how long it may "
         "stand still, up to 10s. Default: 2s; with --call 500ms."},
        {"timeout", 't', ARG_DURATION, "TIME", offsetof(InspectArgs, timeout_usec), USEC_PER_MSEC, USEC_PER_HOUR,
         "With --call: how long it may take until the interpreter lets go. Default: 10s."},
        {"find-timeout", 'f', ARG_DURATION, "TIME", offsetof(InspectArgs, find_timeout_usec), USEC_PER_MSEC,
         USEC_PER_HOUR, "With --call: how long to look for a thread at a proven safe point. Default: 2s."},
        {"allow-seccomp", 0, ARG_FLAG, NULL, offsetof(InspectArgs, allow_seccomp), 0, 0,
         "With --call: also into a process under a seccomp filter whose verdict on our system calls is not known."},
        {"probe", 0, ARG_TEXT, "PATH", offsetof(InspectArgs, probe), 0, 0,
         "The plateau-probe to use. Default: $PLATEAU_PROBE, the one beside this command, the installed one."},
        ARG_END,
};

const Command command_inspect = {
        .name = "inspect",
        .args = "PID",
        .summary = "what a live Python program's memory holds, by type of object",
        .description =
                "Reads the interpreter's own lists from outside: nothing is stopped, nothing runs in the process, the "
                "GIL "
                "is not taken. Counts and sizes of the objects that its garbage collector tracks, by type; str, bytes "
                "and bytearray as far as those refer to them; pymalloc's blocks and arenas; threads and asyncio tasks. "
                "Sizes are those of the objects themselves, without buffers that a type allocates beside them. The "
                "program runs on meanwhile, so a figure is true of no single instant; lists that changed under the "
                "reader are read again, and said to be torn if that never ends.\n"
                "With --call the count of what gc tracks is exact: a thread of our own takes the GIL as any thread "
                "does, and "
                "sleeps while the lists are read; a program without threads is held in the wait that it is in anyway. "
                "No "
                "Python code is run and nothing is left behind. str, bytes and bytearray are those of a moment "
                "before.\n"
                "CPython 3.6 to 3.15. Other interpreters and free-threaded builds are refused by name. Needs the "
                "rights "
                "to ptrace, as reclaim. It needs no daemon.\n"
                "JSON: result, reason, detail, pid, comm, rss_bytes; census {version, mode, complete, torn, sampled, "
                "sample_every, retries, duration_usec, cpu_usec, interpreters, threads, tasks, objects {count, bytes}, "
                "generations {young, middle, old, frozen}, str, bytes, bytearray, allocated_blocks, arenas {count, "
                "bytes, pools_used, pools_free, free_block_bytes}, types [{type, count, bytes}], other_types}; diff "
                "{seconds, complete, objects_before, grown, grown_bytes, grown_per_h, grown_bytes_per_h, "
                "types "
                "[{type, count_before, count, bytes_before, bytes, grown, grown_bytes, grown_per_h, "
                "grown_bytes_per_h}]}; call {name, thread, tid, stop_usec, stop_max_usec, declined_stops, "
                "duration_usec, "
                "total_usec}. What is not known is null.",
        .exits = "0\tcounted; look at complete, torn and sampled for how well\n"
                 "1\terror: no such process, or the probe failed\n"
                 "2\twrong command line\n"
                 "4\trefused: nothing was touched, the reason says why\n"
                 "5\ttimeout: --call was started and not finished in its time; it ends by itself\n",
        .examples = "plateau inspect 1234\twhat is in there\n"
                    "plateau inspect --diff 60 1234\twhat grows\n"
                    "plateau inspect --json 1234 | jq '.census.types[:5]'\tfor scripts\n",
        .options = options,
        .run = inspect_main,
};
