/* SPDX-License-Identifier: Apache-2.0
 *
 * What the policy says: for each rung of the ladder one Decision with its reason, and what came of an action. Plain
 * data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum Rung { RUNG_ALERT, RUNG_RECLAIM, RUNG_ROTATE, _RUNG_MAX } Rung;

typedef enum Verb {
        VERB_NONE,    /* nothing to do: below every threshold */
        VERB_ACT,     /* do it now */
        VERB_SKIP,    /* a threshold is crossed, but: reason */
        VERB_RESOLVE, /* alert only: it is over */
        _VERB_MAX,
} Verb;

/* Every decision and every skip carries one; the name is a metric label and a log field: it never changes meaning. */
typedef enum Reason {
        REASON_BELOW,       /* no threshold crossed */
        REASON_USED,        /* trigger: share of the limit in use */
        REASON_BYTES,       /* trigger: bytes in use */
        REASON_ETA,         /* trigger: the forecast's lower bound is below `eta` */
        REASON_DEADLINE,    /* trigger (rotate): it is below what a rotation needs */
        REASON_GROWTH,      /* trigger: it surely grows as fast as `growth` */
        REASON_VERDICT,     /* trigger: the diagnosis is one of `verdict` */
        REASON_BURST,       /* trigger: at the rate of the last samples the limit is moments away */
        REASON_PERSISTS,    /* alert: still firing, nothing new to say */
        REASON_CLEARED,     /* alert: below the threshold less hysteresis */
        REASON_TARGET_GONE, /* alert: the process ended */
        REASON_DISABLED,    /* skip: rung switched off */
        REASON_DRY_RUN,
        REASON_STARTUP_GRACE,
        REASON_HOLD, /* skip: crossed, but not yet for as long as `for` */
        REASON_COOLDOWN,
        REASON_REGROWN,      /* skip (reclaim): what the last one gave came back soon: a longer cool-down */
        REASON_BUSY,         /* skip: another action is in flight */
        REASON_BREAKER,      /* skip: N rotations in the window are done */
        REASON_FRUITLESS,    /* skip (reclaim): the last attempts gave too little; the ladder moved on */
        REASON_LITTLE_GAIN,  /* skip (reclaim): a look a moment ago foretells too little; the ladder moved on */
        REASON_EARLIER_RUNG, /* skip (rotate): reclaim is to be tried first */
        REASON_WINDOW,       /* skip: not urgent, and maintenance allows it later */
        REASON_NO_TREND,     /* skip: a forecast is wanted, and has no figure yet */
        REASON_UNPROVEN,     /* skip: `eta` or `growth` is crossed by a forecast not proved enough for this rung */
        REASON_REMEASURED,   /* skip: measured once more right before the act, it did not hold any more */
        REASON_UNSUPPORTED,  /* skip: the action's own check refused */
        _REASON_MAX,
} Reason;

typedef struct Decision {
        Rung rung;
        Verb verb;
        Reason reason;       /* for ACT and RESOLVE the trigger; for SKIP what stands in the way */
        Reason trigger;      /* which threshold was crossed, also when skipped; REASON_BELOW if none */
        /* evidence: what it was decided on */
        uint64_t time_usec;
        uint64_t usage_bytes, limit_bytes;
        double used_ratio;             /* 0 without a limit */
        double slope_bytes_per_s;
        uint64_t eta_usec, eta_lo_usec, eta_hi_usec; /* USEC_INFINITY = never or unknown */
        double threshold;              /* what `trigger` is set to: a ratio, bytes, seconds, bytes/s; 0 = n/a */
        uint64_t needs_usec;           /* rotate: what a rotation needs, see PolicyNeeds; 0 = not by deadline */
        uint64_t wait_usec;            /* SKIP: until it could change by itself (cool-down, grace, hold); 0 = n/a */
} Decision;

typedef enum OutcomeResult {
        OUTCOME_OK,       /* done, and measured to have helped */
        OUTCOME_PARTIAL,  /* done, little or nothing gained */
        OUTCOME_REFUSED,  /* declined before anything was touched */
        OUTCOME_TIMEOUT,
        OUTCOME_CANCELLED,
        OUTCOME_ERROR,
        OUTCOME_SKIPPED,  /* looked at, and not worth it: nothing was touched */
        _OUTCOME_MAX,
} OutcomeResult;

typedef struct Outcome {
        Rung rung;
        OutcomeResult result;
        uint64_t time_usec;            /* when it ended, CLOCK_BOOTTIME */
        uint64_t duration_usec;
        uint64_t before_bytes, after_bytes; /* RSS around a reclaim; 0 when not measured */
        uint64_t released_bytes;
        bool predicted;                /* predicted_bytes is known: what a look beforehand foretold */
        uint64_t predicted_bytes;
        uint64_t stop_usec;            /* how long a thread of the target was held */
        char method[32];               /* "malloc_trim", "signal", "hook", "unit" */
        char detail[160];              /* one sentence */
} Outcome;

/* *_name() - stable words, for metric labels, log fields and JSON. Owner: static. */
const char *rung_name(Rung r);
const char *verb_name(Verb v);
const char *reason_name(Reason r);     /* "used_ratio", "cooldown", ... */
const char *reason_text(Reason r);     /* one phrase for people */
const char *outcome_name(OutcomeResult r);
