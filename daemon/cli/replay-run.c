/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/replay-run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/replay-view.h"
#include "cli/trace-file.h"
#include "replay/picture.h"
#include "settings/load.h"
#include "util/format.h"
#include "util/parse.h"

#define SVG_MAX ((size_t)1 << 20)

typedef struct Run {
        const Command *self;
        const ReplayArgs *args;
        Term term;
        Screen screen;
        Buf json_text;
        Json json;
        Picture *picture;
        Trace trace;
        ReplayOptions options;
        ReplayFacts facts;
        ReplaySaid said;
        ReplaySummary summary;
        ReplayResult results[EXPECT_MAX];
        unsigned n_results;
} Run;

/* ---- reading ---- */

/* Which of the configuration's targets: the one named, or the only one; else any, and no limit of it. */
static int choose_target(Run *r, const Settings *s) {
        const char *name = r->args->target;

        for (unsigned i = 0; i < s->n_targets; i++) {
                const TargetSpec *t = &s->targets[i];

                if (name ? strcmp(t->name, name) != 0 : s->n_targets > 1)
                        continue;
                if (t->limit_bytes > 0 && r->options.limit_bytes == 0) {
                        r->options.limit_bytes = t->limit_bytes;
                        r->facts.limit_from = "the configuration";
                }
                return CLI_OK;
        }
        if (!name)
                return CLI_OK;
        args_error(r->self, "--target '%s': the configuration has no target of that name", name);
        return CLI_NO_TARGET;
}

static int load_config(Run *r) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        Settings settings;
        int q;

        r->options.judge = JUDGE_OPTIONS_DEFAULT;
        r->options.can_reclaim = r->options.can_rotate = true;
        if (!r->args->config && r->args->target) {
                args_error(r->self, "--target: expected --config with it");
                return CLI_USAGE;
        }
        if (!r->args->config)
                return CLI_OK;
        q = settings_load_file(r->args->config, &settings, NULL, &problems);
        term_print_problems(&problems);
        if (q < 0) {
                if (!*buf_str(&problems))
                        fprintf(stderr, "plateau replay: %s\n", strerror(-q));
                return CLI_BAD_CONFIG;
        }
        r->options.judge =
                (JudgeOptions){.trend = settings.trend, .pace = settings.sample.pace, .policy = settings.policy};
        r->options.can_rotate = settings.action.rotate_method != ROTATE_NONE;
        r->facts.policy_name = r->args->config;
        r->facts.target_name = r->args->target;
        q = choose_target(r, &settings);
        settings_done(&settings);
        return q;
}

/* ---- the command line ---- */

static int take_gives(Run *r) {
        const char *text = r->args->gives;

        if (!text || strcmp(text, "none") == 0)
                return 0;
        if (parse_ratio(text, &r->options.gives_ratio) < 0)
                return args_error(r->self, "--reclaim-gives '%s': expected none, or a share such as 30%% or 0.3", text);
        r->options.gives_known = true;
        return 0;
}

static int take_moment(Run *r, const char *text, const char *end) {
        ReplayOptions *o = &r->options;
        char word[32];
        unsigned i;
        uint64_t usec;

        snprintf(word, sizeof(word), "%.*s", (int)min_of(end - text, (ptrdiff_t)31), text);
        if (parse_duration(word, &usec) < 0)
                return args_error(r->self, "--at '%s': expected times since the beginning, such as 30m,1h30m", word);
        if (o->n_moments == REPLAY_MOMENTS_MAX)
                return args_error(r->self, "--at '%s': expected at most %u times", word, REPLAY_MOMENTS_MAX);
        for (i = o->n_moments++; i > 0 && o->moments_usec[i - 1] > usec; i--)
                o->moments_usec[i] = o->moments_usec[i - 1];
        o->moments_usec[i] = usec;
        return 0;
}

static int take_expectation(Run *r, const char *text, const char *end) {
        char why[EXPECT_SAID_MAX];

        if (r->n_results == EXPECT_MAX)
                return args_error(r->self, "--expect: expected at most %u", EXPECT_MAX);
        if (expect_parse(text, end, &r->results[r->n_results].expect, why) < 0)
                return args_error(r->self, "--expect '%.*s': %s", (int)min_of(end - text, (ptrdiff_t)64), text, why);
        r->n_results++;
        return 0;
}

/* Several of an option, and several in one with commas between them. */
static int for_each_word(Run *r, const ArgTexts *texts, int (*take)(Run *r, const char *text, const char *end)) {
        for (unsigned i = 0; i < texts->n; i++)
                for (const char *p = texts->text[i];; p++) {
                        const char *end = p + strcspn(p, ",");
                        int q = take(r, p, end);

                        if (q < 0)
                                return q;
                        p = end;
                        if (!*p)
                                break;
                }
        return 0;
}

static int take_args(Run *r) {
        if (take_gives(r) < 0 || for_each_word(r, &r->args->at, take_moment) < 0 ||
            for_each_word(r, &r->args->expect, take_expectation) < 0)
                return CLI_USAGE;
        if (r->options.n_moments > 0 && !r->args->svg) {
                args_error(r->self, "--at: expected --svg with it");
                return CLI_USAGE;
        }
        if (r->args->limit_bytes > 0) {
                r->options.limit_bytes = r->args->limit_bytes;
                r->facts.limit_from = "--limit";
        }
        return CLI_OK;
}

/* ---- running ---- */

static void write_out(Buf *b) {
        fwrite(buf_str(b), 1, b->len, stdout);
        buf_reset(b);
}

static void on_event(void *userdata, const ReplayEvent *e) {
        Run *r = userdata;

        if (r->picture)
                picture_event(r->picture, e);
        if (r->args->json) {
                replay_json_event(&r->json, e);
                write_out(&r->json_text);
        } else if (!r->args->quiet) {
                replay_view_event(&r->screen, e, &r->said, r->args->verbose);
                write_out(&r->screen.buf);
        }
}

static void on_sample(void *userdata, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes,
                      uint64_t limit_bytes, bool is_over) {
        picture_sample(userdata, elapsed_usec, recorded, bytes, limit_bytes, is_over);
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

static int write_file(const char *path, const Buf *b) {
        _cleanup_file_ FILE *f = fopen(path, "we");

        if (!f || fwrite(buf_str(b), 1, b->len, f) != b->len || fflush(f) != 0)
                return -errno;
        return 0;
}

static int draw_picture(Run *r) {
        _cleanup_buf_ Buf svg = {.max = SVG_MAX}, headline = BUF_NULL, safe = BUF_NULL;
        ReplayListener l = {.sample = on_sample, .userdata = r->picture};
        ReplaySummary *again = malloc(sizeof(*again));
        int q;

        if (!again)
                return CLI_ERROR;
        picture_scale(r->picture, r->summary.judged_usec);
        replay_run(&r->trace, &r->options, &l, again);
        free(again);
        replay_headline(&headline, &r->summary);
        picture_draw(r->picture, base_name(r->facts.trace_name), buf_str(&headline), &svg);
        q = svg.failed ? -ENOMEM : write_file(r->args->svg, &svg);
        if (q == 0)
                return CLI_OK;
        term_safe(&safe, term_has_utf8(), r->args->svg);
        fprintf(stderr, "plateau replay: --svg %s: %s\n", buf_str(&safe), strerror(-q));
        return CLI_ERROR;
}

static bool judge_expectations(Run *r) {
        bool met = true;

        for (unsigned i = 0; i < r->n_results; i++) {
                ReplayResult *one = &r->results[i];

                one->met = expect_judge(&one->expect, &r->summary, one->said);
                met = met && one->met;
        }
        return met;
}

static void print_end(Run *r) {
        if (r->args->json) {
                replay_json_end(&r->json, &r->facts, &r->summary, r->results, r->n_results);
                write_out(&r->json_text);
                return;
        }
        if (!r->args->quiet && !r->said.anything)
                replay_view_nothing(&r->screen);
        if (!r->args->quiet)
                replay_view_summary(&r->screen, &r->facts, &r->summary);
        replay_view_results(&r->screen, r->results, r->n_results);
        write_out(&r->screen.buf);
}

static int run(Run *r) {
        ReplayListener l = {.event = on_event, .userdata = r};
        bool met;

        if (r->args->svg) {
                r->picture = malloc(sizeof(*r->picture));
                if (!r->picture)
                        return CLI_ERROR;
                picture_begin(r->picture, &r->trace, r->options.n_moments > 0);
        }
        if (r->args->json)
                replay_json_head(&r->json, &r->facts);
        else if (!r->args->quiet)
                replay_view_head(&r->screen, &r->facts);
        replay_run(&r->trace, &r->options, &l, &r->summary);
        met = judge_expectations(r);
        print_end(r);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "plateau replay: standard output: %s\n", strerror(errno));
                return CLI_ERROR;
        }
        if (r->picture && draw_picture(r) != CLI_OK)
                return CLI_ERROR;
        return met ? CLI_OK : CLI_UNMET;
}

static bool trace_has_limit(const Trace *t) {
        for (size_t i = 0; i < t->n; i++)
                if (t->points[i].limit_bytes > 0)
                        return true;
        return false;
}

/* The command line's limit, else the trace's own, else the configuration's: as the daemon, whose cgroup goes first. */
static int prepare(Run *r, const char *path) {
        int q = take_args(r);

        if (q == CLI_OK)
                q = trace_file_load(r->self, path, r->args->series, &r->trace);
        if (q != CLI_OK)
                return q;
        r->facts.trace_name = strcmp(path, "-") == 0 ? "standard input" : path;
        if (r->options.limit_bytes == 0 && trace_has_limit(&r->trace))
                r->facts.limit_from = "as recorded in the trace";
        q = load_config(r);
        if (r->facts.limit_from && strcmp(r->facts.limit_from, "the configuration") == 0 &&
            trace_has_limit(&r->trace)) {
                r->options.limit_bytes = 0;
                r->facts.limit_from = "as recorded in the trace";
        }
        if (r->trace.is_wall_clock) {
                bool local = r->options.judge.policy.windows_zone == ZONE_LOCAL;
                int minute = clock_week_minute(r->trace.points[0].time_usec, local);

                r->options.week_known = minute >= 0;
                r->options.week_minute = (unsigned)max_of(minute, 0);
        }
        r->options.age_usec = r->args->age_usec > 0 ? r->args->age_usec : r->trace.age_usec;
        return q;
}

int replay_trace(const Command *self, const ReplayArgs *a, const char *path) {
        _cleanup_free_ Run *r = calloc(1, sizeof(*r));
        int q;

        if (!r) {
                fprintf(stderr, "plateau replay: %s\n", strerror(ENOMEM));
                return CLI_ERROR;
        }
        r->self = self;
        r->args = a;
        term_init(&r->term, stdout);
        r->screen = SCREEN_INIT(&r->term);
        r->json = JSON_INIT(&r->json_text);
        r->facts = (ReplayFacts){.trace = &r->trace, .options = &r->options};
        q = prepare(r, path);
        if (q == CLI_OK)
                q = run(r);
        screen_done(&r->screen);
        buf_done(&r->json_text);
        trace_done(&r->trace);
        free(r->picture);
        return q;
}
