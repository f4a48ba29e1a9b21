/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "replay/picture.h"
#include "replay/replay.h"
#include "replay/trace.h"

/* Every line of a message begins with the file's name, and none holds a byte that a terminal obeys. */
static void check_problems(const Buf *problems) {
        const char *line = buf_str(problems);

        while (*line) {
                const char *end = strchr(line, '\n');

                FUZZ_CHECK(end && strncmp(line, "f:", 2) == 0);
                for (const char *p = line; p < end; p++)
                        FUZZ_CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
                line = end + 1;
        }
}

static void check_trace(const Trace *t) {
        FUZZ_CHECK(t->n > 0 && t->n <= TRACE_POINTS_MAX && t->form != TRACE_FORM_NONE);
        for (size_t i = 1; i < t->n; i++)
                FUZZ_CHECK(t->points[i].time_usec > t->points[i - 1].time_usec);
        FUZZ_CHECK(t->points[t->n - 1].time_usec <= TRACE_TIME_MAX_USEC);
        for (size_t i = 0; i < t->n_starts; i++)
                FUZZ_CHECK(t->starts[i].at <= t->n && (i == 0 || t->starts[i].at > t->starts[i - 1].at));
}

/* What was taken can be replayed, and its lives lie in it. */
static void check_replay(const Trace *t) {
        static ReplaySummary s;
        ReplayOptions o = {.judge = JUDGE_OPTIONS_DEFAULT,
                           .can_reclaim = true,
                           .can_rotate = true,
                           .gives_known = t->n % 2 == 0,
                           .gives_ratio = 0.5};

        replay_run(t, &o, NULL, &s);
        FUZZ_CHECK(s.n_judged <= s.n_samples && s.n_lives > 0);
        for (unsigned i = 0; i < s.n_lives; i++)
                FUZZ_CHECK(s.life[i].start_usec <= s.span_usec);
}

static void on_event(void *userdata, const ReplayEvent *e) {
        picture_event(userdata, e);
}

static void on_sample(void *userdata, uint64_t elapsed_usec, const TracePoint *recorded, uint64_t bytes,
                      uint64_t limit_bytes, bool is_over) {
        picture_sample(userdata, elapsed_usec, recorded, bytes, limit_bytes, is_over);
}

/* And drawn: no figure that is none, whatever the scale. */
static void check_picture(const Trace *t) {
        static ReplaySummary s;
        static Picture p;
        _cleanup_buf_ Buf svg = BUF_NULL;
        ReplayOptions o = {.judge = JUDGE_OPTIONS_DEFAULT, .can_rotate = true};

        picture_begin(&p, t, false);
        replay_run(t, &o, &(ReplayListener){.event = on_event, .userdata = &p}, &s);
        picture_scale(&p, s.judged_usec);
        replay_run(t, &o, &(ReplayListener){.sample = on_sample, .userdata = &p}, &s);
        picture_draw(&p, "f", "g", &svg);
        FUZZ_CHECK(!svg.failed && !strstr(buf_str(&svg), "nan") && !strstr(buf_str(&svg), "inf"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_buf_ Buf problems = BUF_NULL;
        _cleanup_trace_ Trace t = TRACE_NULL;
        int r = trace_parse("f", (const char *)data, size, size % 3 == 0 ? "a" : NULL, &t, &problems);

        check_problems(&problems);
        FUZZ_CHECK(r == 0 || (r == -EINVAL && problems.len > 0));
        if (r < 0)
                return 0;
        check_trace(&t);
        check_replay(&t);
        check_picture(&t);
        return 0;
}
