/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stddef.h>

#include "cli/replay-run.h"
#include "util/clock.h"

static int replay_main(const Command *self, int argc, char **argv) {
        ReplayArgs a = {0};
        ArgWords words;
        int r = args_parse(self, argc, argv, &a, 0, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (a.columns != (words.n == 0)) {
                args_error(self, "expected TRACE, or --columns alone");
                return CLI_USAGE;
        }
        if (a.columns)
                return replay_columns(self, &a);
        return replay_trace(self, &a, words.word[0]);
}

static const ArgOption options[] = {
        {"config", 'c', ARG_TEXT, "FILE", offsetof(ReplayArgs, config), 0, 0,
         "The daemon's configuration whose policy is tried. Default: the defaults, with rotation taken as available."},
        {"target", 't', ARG_TEXT, "NAME", offsetof(ReplayArgs, target), 0, 0,
         "The configuration's target whose limit counts, where it has several."},
        {"limit", 'l', ARG_BYTES, "SIZE", offsetof(ReplayArgs, limit_bytes), 1, 0,
         "The limit, instead of the trace's or the configuration's."},
        {"series", 's', ARG_TEXT, "TEXT", offsetof(ReplayArgs, series), 0, 0,
         "Prometheus: the series whose labels (name=value,...) contain this."},
        {"age", 'a', ARG_DURATION, "TIME", offsetof(ReplayArgs, age_usec), 0, 0,
         "How old the process was at the first sample: its start-up grace may be over. Default: as the trace tells, "
         "else 0."},
        {"reclaim-gives", 'g', ARG_TEXT, "SHARE", offsetof(ReplayArgs, gives), 0, 0,
         "What a reclaim is assumed to give back: none, or a share of what is in use, such as 30%. Default: none; the "
         "trace goes on unchanged."},
        {"expect", 'e', ARG_TEXTS, "WHAT", offsetof(ReplayArgs, expect), 0, 0,
         "What must have come, or the exit status is 7; see above. Several, with commas or by several options."},
        {"svg", 'o', ARG_TEXT, "FILE", offsetof(ReplayArgs, svg), 0, 0,
         "Write a picture: the trace, the limit, what was decided, and the forecast's cone."},
        {"at", 0, ARG_TEXTS, "TIME", offsetof(ReplayArgs, at), 0, 0,
         "Cones at these times since the beginning, up to 4, such as 30m,1h30m. Default: at decisions."},
        {"json", 'j', ARG_FLAG, NULL, offsetof(ReplayArgs, json), 0, 0, "One JSON document."},
        {"quiet", 'q', ARG_FLAG, NULL, offsetof(ReplayArgs, quiet), 0, 0, "Only what --expect came to."},
        {"verbose", 'v', ARG_FLAG, NULL, offsetof(ReplayArgs, verbose), 0, 0,
         "Also every wait for a forecast, a hold or a repeat."},
        {"columns", 0, ARG_FLAG, NULL, offsetof(ReplayArgs, columns), 0, 0,
         "The forecaster alone: read lines \"time_s rss_bytes limit_bytes\" in time order from standard input (limit "
         "0: none), and write for each, at once, \"verdict slope_bytes_per_s eta_s eta_lo_s eta_hi_s\"; inf is never, "
         "nan no claim."},
        {"rung", 'r', ARG_TEXT, "RUNG", offsetof(ReplayArgs, rung), 0, 0,
         "With --columns: say leak when the evidence suffices for this: alert, reclaim or rotate. Default: reclaim."},
        ARG_END,
};

const Command command_replay = {
        .name = "replay",
        .args = "TRACE | --columns",
        .summary = "what would have been decided on a recorded trace, and what that would have prevented",
        .description =
                "Runs a trace through the daemon's own forecast and ladder on a simulated clock: each decision with "
                "its "
                "reason, what it would have prevented, and what had to be assumed. TRACE is a file, or - for standard "
                "input.\n"
                "Taken are CSV with a header (time_s, time, timestamp or time_ms; rss_bytes, bytes, used_bytes or "
                "value; "
                "limit_bytes; others are passed over; of two columns the second may be called anything), two or three "
                "columns without one (time, bytes, limit), Prometheus' answer to query_range, and the lines of plateau "
                "watch --json. Times are seconds or dates. What is out of order or has no figure is left out and "
                "told.\n"
                "Where the limit is reached the kernel kills, where the ladder rotates the process ends; nothing is "
                "decided on what the trace goes on with until another process begins, or use has fallen to less "
                "than half.\n"
                "--expect takes: no-action (neither reclaim nor rotate), no-alert, no-reclaim, no-rotate; alert, "
                "reclaim, rotate (it came at all); alert-before:TIME, reclaim-before:TIME, rotate-before:TIME (so long "
                "before each time the limit is reached, or before the end of a trace that does not reach it); "
                "false-alarms<=N (alerts after which the limit was not reached in twice the time they told); "
                "prevented (no kill is left); verdict:KIND (what the forecast says it is, at the end). In a dry run "
                "what would have acted counts as acting.",
        .exits = "0\tdone, and everything expected came\n"
                 "1\tit did not work\n"
                 "2\twrong command line\n"
                 "6\tthe configuration has no such target\n"
                 "7\tsomething expected did not come: a line says what came instead\n"
                 "65\tthe trace is wrong: file:line:column on standard error\n"
                 "78\twrong configuration\n",
        .examples = "plateau replay --limit 4.5GB rss.csv\twhat the defaults would have done\n"
                    "plateau replay -c plateau.yaml -o leak.svg rss.csv\ta policy of your own, and a picture\n"
                    "plateau replay -c plateau.yaml -e alert-before:10m,rotate-before:2m -q rss.csv\tin CI\n"
                    "plateau watch 1234 --json >trace.jsonl; plateau replay trace.jsonl\trecord, then try\n",
        .options = options,
        .run = replay_main,
};
