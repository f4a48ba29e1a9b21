/* SPDX-License-Identifier: Apache-2.0
 *
 * One moment of `plateau watch` in its three shapes: a live screen with a chart, a line for a file or a pipe, a JSON
 * object. Draws a Watched, touches nothing.
 */
#pragma once

#include "cli/chart.h"
#include "cli/screen.h"
#include "sample/target.h"
#include "trend/trend.h"

typedef struct Watched {
        const Target *target;    /* pid 0 = none now */
        const char *what;        /* what is looked for, in words: "a process whose command line matches ..."; hostile */
        TargetEvent event;       /* of this moment; TARGET_EVENT_NONE mostly */
        uint64_t real_usec;      /* of this moment */
        uint64_t interval_usec, min_span_usec;
        uint64_t n_samples;
        bool sampled;            /* @sample and @fit are of the process now there */
        Sample sample;
        TrendFit fit;
        Chart chart;             /* of what is judged: Sample.usage_bytes */
        char ended_comm[TARGET_COMM_MAX + 1]; /* who was there before it ended, with its pid */
        pid_t ended_pid;
} Watched;

/* watch_live() - the whole screen, not taller than the terminal. */
void watch_live(Screen *s, const Watched *w);
/* watch_header() - the names of the columns of watch_line(). */
void watch_header(Screen *s);
/* watch_line() - one sample as columns. */
void watch_line(Screen *s, const Watched *w);
/* watch_event() - one event as a sentence: "14:02:05  python3 (pid 1234) ended". */
void watch_event(Screen *s, const Watched *w);
/* watch_json() - one object on one line: a sample, or an event with null figures. Keys as in the status document. */
void watch_json(Buf *b, const Watched *w);
