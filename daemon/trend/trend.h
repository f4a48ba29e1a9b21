/* SPDX-License-Identifier: Apache-2.0
 *
 * When will it hit the limit: a forecaster that is fed with samples at any step and tells, after each, what kind of
 * growth this is, when it meets the limit with a 90 % interval, and how far the evidence goes. Pure: no clock, no I/O,
 * no allocation; time comes in with the sample, events are told. It keeps windows of all lengths from seconds to months
 * in fixed memory and chooses none (pyramid.h, forecast.h), so there is nothing to set up for a fast or a slow leak.
 * Stored history is fed like live samples, in time order, before the first of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "trend/cycles.h"
#include "trend/forecast.h"
#include "trend/heap.h"
#include "trend/pyramid.h"
#include "util/clock.h"

typedef struct TrendOptions {
        uint64_t min_span_usec; /* no answer before this much time is covered; default 30 s */
        unsigned min_samples;   /* nor before this many samples; default 10 */
} TrendOptions;

#define TREND_OPTIONS_DEFAULT ((TrendOptions){.min_span_usec = 30 * USEC_PER_SEC, .min_samples = 10})

/* What happened to the series. */
typedef enum TrendReset {
        TREND_RESET_NONE,
        TREND_RESET_START,   /* first sample of a process */
        TREND_RESET_RESTART, /* another process or program */
        TREND_RESET_LIMIT,   /* the limit changed: the past stays, what was proven against the old limit does not */
        TREND_RESET_RECLAIM, /* we gave memory back: the past is lowered by it */
        TREND_RESET_STEP,    /* fell below half of its lowest, or rose to its size after the start: a new life */
        TREND_RESET_CLOCK,   /* time ran backwards */
        TREND_RESET_SLEEP,   /* the machine slept: its time is taken out */
        _TREND_RESET_MAX,
} TrendReset;

/* What it is. */
typedef enum TrendKind {
        TREND_KIND_WAIT,     /* too little to tell */
        TREND_KIND_FLAT,
        TREND_KIND_NOISE,    /* moves, and goes nowhere */
        TREND_KIND_WARMUP,   /* rises, but slows down below the limit */
        TREND_KIND_PLATEAU,  /* has risen and stopped */
        TREND_KIND_SAWTOOTH, /* what rose comes back: a garbage collector, jobs, daily load */
        TREND_KIND_STEP,     /* a few jumps make up the rise */
        TREND_KIND_FRAG,     /* RSS grows while the heap in use does not */
        TREND_KIND_LEAK,     /* grows toward the limit beyond the doubt of its proof level */
        _TREND_KIND_MAX,
} TrendKind;

/* How far the evidence goes: an alert costs little, a reclaim some, a rotation much. Each includes those before. */
typedef enum TrendProof {
        TREND_PROOF_NONE,
        TREND_PROOF_ALERT,
        TREND_PROOF_RECLAIM,
        TREND_PROOF_ROTATE,
        _TREND_PROOF_MAX,
} TrendProof;

/* How long the evidence for a proof level has lasted, less twice the time it was missing. */
typedef struct TrendHold {
        double held_s, until_s;
} TrendHold;

typedef struct TrendSample {
        uint64_t time_usec; /* CLOCK_BOOTTIME */
        uint64_t bytes;     /* what is judged (Sample.usage_bytes, or RSS without a limit) */
        uint64_t limit_bytes; /* 0 = none */
        bool heap_known;    /* the heap was surveyed just now: */
        uint64_t heap_bytes; /* the part of `bytes` that is in use: all but what is free in its heap */
        bool anon_known;
        uint64_t anon_bytes; /* the part of `bytes` that no file backs */
} TrendSample;

typedef enum TrendState {
        TREND_WAIT,     /* too few samples or too short a span: no figure below is valid but n and span_usec */
        TREND_FLAT,     /* the slope may be zero, or growth is negligible against the limit */
        TREND_GROWING,  /* slope > 0 beyond doubt */
        TREND_SHRINKING,
        _TREND_STATE_MAX,
} TrendState;

typedef struct TrendFit {
        TrendState state;
        TrendKind kind;
        TrendProof proof;
        unsigned n;                    /* samples of this life */
        uint64_t span_usec;            /* how long the growth has been seen; without growth, how long this life */
        double level_bytes;            /* of the lines, at the newest sample */
        double slope_bytes_per_s;      /* of the floor, with its interval: */
        double slope_lo_bytes_per_s, slope_hi_bytes_per_s;
        double r2_ratio;               /* goodness of fit 0..1, of the line that weighs most */
        double residual_bytes;         /* standard deviation about it */
        double odds_ratio;             /* 0..1: that this growth reaches the limit, as far as its shape tells */
        uint64_t limit_bytes;          /* 0 = none: the three below are USEC_INFINITY */
        uint64_t eta_usec;             /* from the newest sample to the limit; USEC_INFINITY = never */
        uint64_t eta_lo_usec, eta_hi_usec; /* eta_lo <= eta <= eta_hi at `confidence` */
        double confidence;             /* of the intervals: 0.90, which the tables were made for */
} TrendFit;

typedef struct Trend {
        TrendOptions options;
        TrendPyramid pyramid;
        TrendCycles cycles;
        TrendHeap heap, anon;
        TrendHold hold[_TREND_PROOF_MAX];
        Forecast forecast; /* the last one made, and with it: */
        double forecast_s, forecast_high_bytes, forecast_score, forecast_odds_ratio;
        bool forecast_kept; /* the heap keeps what grows */
        TrendReset last_reset;
        uint64_t last_reset_usec;
        bool started; /* there was a sample: the clock below is set */
        uint64_t origin_usec, last_usec, slept_usec, limit_bytes;
        double now_s, bytes; /* newest sample; seconds since the origin, sleep left out */
        /* this life: */
        unsigned n;
        double start_s, start_bytes, low_bytes, high_bytes;
        double rise_s, rise_bytes; /* when it rose last by more than noise, and to what; lower if it fell since */
        unsigned shape_turns; /* of the window that `shape` was told from */
        TrendKind shape;
        TrendFit fit;
} Trend;

/* trend_init() - no past at all. @options: copied. */
void trend_init(Trend *t, const TrendOptions *options);

/**
 * trend_push() - add one sample, and judge
 * @s: a time not after the last one is dropped unless it is far before it (TREND_RESET_CLOCK)
 * Return: what this sample turned out to be, TREND_RESET_NONE mostly. No I/O, no allocation, O(1) amortised.
 */
TrendReset trend_push(Trend *t, const TrendSample *s);

/* trend_reset() - this life is over, for @why (START, RESTART, CLOCK). @time_usec: when; for the record. */
void trend_reset(Trend *t, uint64_t time_usec, TrendReset why);

/* trend_reclaimed() - @bytes were given back at @time_usec by somebody outside: the growth before counts on. */
void trend_reclaimed(Trend *t, uint64_t time_usec, uint64_t bytes);

/* trend_slept() - the machine was suspended for @usec before the next sample: nothing could grow meanwhile. */
void trend_slept(Trend *t, uint64_t time_usec, uint64_t usec);

/* trend_fit() - the answer after the newest sample. Always fills @ret. */
void trend_fit(const Trend *t, TrendFit *ret);

/* trend_*_name() - stable words, for metric labels and JSON. Owner: static. */
const char *trend_reset_name(TrendReset r);
const char *trend_state_name(TrendState s); /* "wait", "flat", "growing", "shrinking" */
const char *trend_kind_name(TrendKind k);
const char *trend_proof_name(TrendProof p); /* "none", "alert", "reclaim", "rotate" */
