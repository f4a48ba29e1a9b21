/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <fcntl.h>
#include <string.h>

#include "cli/pick.h"
#include "cli/watch-view.h"
#include "util/clock.h"

typedef struct WatchArgs {
        const char *match, *exe;
        bool main, json, plain;
        uint64_t limit_bytes, interval_usec, count;
} WatchArgs;

typedef enum WatchShape { SHAPE_LIVE, SHAPE_LINES, SHAPE_JSON } WatchShape;

typedef struct Watch {
        const WatchArgs *args;
        WatchShape shape;
        Term term;
        Screen screen;
        Buf json;
        Target target;
        Trend trend;
        Watched now;
        char what[PICK_WORDS_MAX];
        Ticker ticker;
        bool quit, ended;
} Watch;

/* ---- output ---- */

static void write_out(const Buf *b) {
        fwrite(buf_str(b), 1, b->len, stdout);
        fflush(stdout); /* a failure is remembered: see run() */
}

/* The alternate screen leaves the scroll-back alone; lines are erased behind what is new on them: nothing flickers. */
static void write_frame(Watch *w) {
        Buf *out = &w->json; /* not used by this shape otherwise, and kept between frames */
        const char *p = buf_str(&w->screen.buf);
        unsigned left = w->term.height - 1; /* a newline on the last one would scroll */

        buf_reset(out);
        buf_adds(out, "\033[H");
        while (*p && left--) {
                size_t n = strcspn(p, "\n");

                buf_add(out, p, n);
                buf_adds(out, "\033[K\n");
                p += n + (p[n] == '\n');
        }
        buf_adds(out, "\033[J");
        write_out(out);
}

static void draw_live(Watch *w) {
        screen_reset(&w->screen);
        watch_live(&w->screen, &w->now);
        write_frame(w);
}

static void draw(Watch *w) {
        if (w->shape == SHAPE_LIVE) {
                draw_live(w);
                return;
        }
        if (w->shape == SHAPE_JSON) {
                buf_reset(&w->json);
                watch_json(&w->json, &w->now);
                write_out(&w->json);
                return;
        }
        screen_reset(&w->screen);
        if (w->now.event != TARGET_EVENT_NONE)
                watch_event(&w->screen, &w->now);
        else
                watch_line(&w->screen, &w->now);
        write_out(&w->screen.buf);
}

static void live_begin(const Watch *w) {
        if (w->shape == SHAPE_LIVE)
                fputs("\033[?1049h\033[?25l\033[2J", stdout);
}

/* Back on the normal screen the last picture is printed once, to be kept or copied. */
static void live_end(Watch *w) {
        if (w->shape != SHAPE_LIVE)
                return;
        fputs("\033[?25h\033[?1049l", stdout);
        screen_reset(&w->screen);
        watch_live(&w->screen, &w->now);
        write_out(&w->screen.buf);
}

/* ---- the loop ---- */

static void forget(Watch *w) {
        trend_reset(&w->trend, now_boot_usec(), TREND_RESET_RESTART);
        chart_clear(&w->now.chart);
        w->now.sampled = false;
        w->now.fit = (TrendFit){0};
}

static void take_event(Watch *w, TargetEvent event) {
        w->now.event = event;
        if (event == TARGET_EVENT_NONE)
                return;
        if (event == TARGET_EVENT_ENDED) {
                w->now.sampled = false; /* its picture stays on the screen */
                if (w->target.spec.match == TARGET_MATCH_PID)
                        w->quit = w->ended = true;
        } else if (event != TARGET_EVENT_ABSENT) {
                forget(w);
        }
        draw(w);
        if (w->target.pid > 0) {
                w->now.ended_pid = w->target.pid;
                memcpy(w->now.ended_comm, w->target.comm, sizeof(w->now.ended_comm));
        }
}

static int tick(Watch *w) {
        TargetEvent event;
        Sample sample;
        int r = target_refresh(&w->target, &event);

        if (r < 0)
                return r;
        if (event == TARGET_EVENT_ABSENT && w->target.spec.match == TARGET_MATCH_PID)
                return -ESRCH; /* gone since we looked, or a zombie */
        w->now.real_usec = now_real_usec();
        take_event(w, event);
        if (w->quit || w->target.pid == 0) {
                if (w->shape == SHAPE_LIVE)
                        draw_live(w);
                return 0;
        }
        r = target_sample(&w->target, now_boot_usec(), 0, &sample);
        if (r < 0)
                return r == -ESRCH ? 0 : r; /* the next look says that it ended */
        w->now.event = TARGET_EVENT_NONE;
        w->now.sample = sample;
        w->now.sampled = true;
        w->now.n_samples++;
        trend_push(&w->trend, &(TrendSample){.time_usec = sample.time_usec,
                                             .bytes = sample.usage_bytes,
                                             .limit_bytes = sample.limit_bytes,
                                             .anon_known = sample.have & SAMPLE_HAVE_RSS_KIND
                                                            && sample.usage_bytes == sample.rss_bytes,
                                             .anon_bytes = sample.rss_anon_bytes});
        trend_fit(&w->trend, &w->now.fit);
        chart_push(&w->now.chart, sample.time_usec, sample.usage_bytes);
        draw(w);
        if (w->args->count && w->now.n_samples >= w->args->count)
                w->quit = true;
        return 0;
}

static int turn(Watch *w) {
        TickerEvent event;
        int r = ticker_wait(&w->ticker, w->target.pid_fd, &event);

        if (r < 0 || event == TICKER_NOTHING)
                return r;
        if (event == TICKER_DUE)
                return tick(w);
        if (event == TICKER_STOPPED) {
                w->quit = true;
                return 0;
        }
        term_resize(&w->term, stdout);
        if (w->shape == SHAPE_LIVE)
                draw_live(w);
        return 0;
}

static void watch_done(Watch *w) {
        target_done(&w->target);
        screen_done(&w->screen);
        buf_done(&w->json);
        ticker_done(&w->ticker);
}

static int run(Watch *w) {
        int r = ticker_open(&w->ticker, w->args->interval_usec);

        if (r < 0)
                return r;
        live_begin(w);
        if (w->shape == SHAPE_LINES) {
                watch_header(&w->screen);
                write_out(&w->screen.buf);
        }
        while (!w->quit && r >= 0)
                r = ferror(stdout) ? -EIO : turn(w);
        live_end(w);
        return r;
}

static void watch_setup(Watch *w, const WatchArgs *a, const TargetSpec *spec, const TargetSource *source) {
        TrendOptions trend = TREND_OPTIONS_DEFAULT;

        trend.min_span_usec = min_of(trend.min_span_usec, trend.min_samples * a->interval_usec);
        *w = (Watch){.args = a, .ticker = TICKER_NULL, .target = TARGET_NULL};
        term_init(&w->term, stdout);
        w->screen = SCREEN_INIT(&w->term);
        w->shape = a->json ? SHAPE_JSON : w->term.tty && !a->plain ? SHAPE_LIVE : SHAPE_LINES;
        trend_init(&w->trend, &trend);
        target_init(&w->target, spec, source);
        pick_describe(spec, w->what);
        w->now = (Watched){
                .target = &w->target,
                .what = w->what,
                .interval_usec = a->interval_usec,
                .min_span_usec = trend.min_span_usec,
        };
}

static int watch_main(const Command *self, int argc, char **argv) {
        static Watch w; /* with the chart's history some 40 kB */
        WatchArgs a = {.interval_usec = USEC_PER_SEC};
        _cleanup_fd_ int proc_fd = -1;
        TargetSpec spec;
        ArgWords words;
        int r = args_parse(self, argc, argv, &a, 0, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (pick_target(self, &(Pick){a.match, a.exe, words.n ? words.word[0] : NULL, a.main, a.limit_bytes}, &spec) <
            0)
                return CLI_USAGE;
        proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd < 0) {
                fprintf(stderr, "plateau watch: /proc: %s\n", strerror(errno));
                return CLI_ERROR;
        }
        if (pick_is_absent(self, &spec, proc_fd))
                return CLI_ERROR;
        watch_setup(&w, &a, &spec, &(TargetSource){.proc_fd = proc_fd, .cgroup_fd = -1, .pidfd = true});
        r = run(&w);
        if (w.ended && w.shape == SHAPE_LIVE)
                fprintf(stderr, "process %d ended\n", spec.pid);
        watch_done(&w);
        if (r < 0)
                fprintf(stderr, "plateau watch: %s\n", strerror(-r));
        return r < 0 ? CLI_ERROR : CLI_OK;
}

static const ArgOption options[] = {
        {"match", 'm', ARG_TEXT, "PATTERN", offsetof(WatchArgs, match), 0, 0,
         "The process whose arguments, joined by blanks, match this extended regular expression."},
        {"exe", 'x', ARG_TEXT, "NAME", offsetof(WatchArgs, exe), 0, 0,
         "The process that runs this executable: an absolute path or a base name."},
        {"main", 0, ARG_FLAG, NULL, offsetof(WatchArgs, main), 0, 0,
         "The main process of the container, from a side-car that shares its PID namespace."},
        {"limit", 'l', ARG_BYTES, "SIZE", offsetof(WatchArgs, limit_bytes), 1, 0,
         "The limit to forecast, such as 4.5GB or 4500Mi. The process's cgroup counts too: the smaller limit rules."},
        {"interval", 'i', ARG_DURATION, "TIME", offsetof(WatchArgs, interval_usec), 50 * USEC_PER_MSEC, USEC_PER_HOUR,
         "Between two samples. Default: 1s. The first forecast comes after ten of them, at most 30 s."},
        {"count", 'n', ARG_COUNT, "N", offsetof(WatchArgs, count), 1, 0, "End after so many samples."},
        {"plain", 'p', ARG_FLAG, NULL, offsetof(WatchArgs, plain), 0, 0,
         "Lines instead of the live screen, also on a terminal."},
        {"json", 'j', ARG_FLAG, NULL, offsetof(WatchArgs, json), 0, 0,
         "One JSON object a line: every sample and every event."},
        ARG_END,
};

const Command command_watch = {
        .name = "watch",
        .args = "PID | --match PATTERN | --exe NAME | --main",
        .summary = "sample and forecast one process here and now, without a daemon",
        .description =
                "On a terminal a live screen: how full, what of, when the limit is hit, and a chart of the memory "
                "judged against the limit, with the forecast (dotted) and its bounds (faint). Elsewhere one line a "
                "sample.\n"
                "What is judged is the cgroup's unreclaimable use where the cgroup's limit rules, else RSS and swap.\n"
                "A process named by PID ends the command when it ends; one that was looked for is waited for, and its "
                "successor is watched in its place. Ctrl-C ends.",
        .exits =
                "0\tended by the count, by the end of the process, or by a signal\n"
                "1\tno such process, or it cannot be read\n"
                "2\twrong command line\n",
        .examples =
                "plateau watch 1234 --limit 4.5GB\ta live view\n"
                "plateau watch --match 'python3 .*pusher' --json >trace.jsonl\ta trace for later\n",
        .options = options,
        .run = watch_main,
};
