/* SPDX-License-Identifier: Apache-2.0
 *
 * Actions: what a rung does. One table row each (name, rung, check, start, cancel), composed in daemon/actions.c; a
 * back end in another folder (systemd/, kube/) implements the same four and may include this header. An action never
 * blocks the loop; it ends by calling `done` exactly once, also after cancel().
 */
#pragma once

#include <limits.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "policy/decision.h"
#include "probe/client.h"
#include "sample/target.h"

#define ACTION_ARGV_MAX 32

typedef enum RotateMethod {
        ROTATE_NONE,
        ROTATE_SIGNAL,
        ROTATE_HOOK,
        ROTATE_UNIT,
        ROTATE_KUBERNETES,
        _ROTATE_METHOD_MAX,
} RotateMethod;

typedef struct ActionOptions {
        uint64_t reclaim_find_timeout_usec;   /* to find a safe thread; default 2 s */
        uint64_t reclaim_finish_timeout_usec; /* for malloc_trim itself; default 10 s */
        uint64_t reclaim_survey_usec;         /* to look beforehand what it would give back; default 1 s; 0 = do not */
        uint64_t reclaim_min_gain_bytes;      /* where that is known to be less: do not; default 8 MiB */
        double reclaim_min_gain_ratio;        /* or a smaller share of RSS; default 0.01 */
        bool allow_seccomp;                   /* reclaim although a seccomp filter is on whose verdict is not known */
        bool allow_runtime_seccomp;           /* likewise where it has as many filters as we: a container runtime's */
        bool reclaim_attach;                  /* a JVM is asked through its attach socket first; default true */
        RotateMethod rotate_method;
        int rotate_signal;                    /* default SIGTERM */
        uint64_t rotate_wait_usec;            /* the target's time to end (drain); default 30 s. Never SIGKILL */
        char *hook_argv[ACTION_ARGV_MAX + 1]; /* NULL-terminated, no shell. Owner: the Settings */
        uint64_t hook_timeout_usec;           /* then SIGTERM, 5 s later SIGKILL, to the hook alone; default 30 s */
        char unit[256];                       /* ROTATE_UNIT: which; "" = the unit of the target's cgroup */
} ActionOptions;

typedef struct ActionContext {
        sd_event *event;
        ProbeClient *probe;        /* NULL = none: reclaim is unsupported. Outlives the run: cancel first */
        Target *target;
        const ActionOptions *options;
        const char *evidence_json; /* the decision as a JSON object, for hooks. Owner: caller, during start() */
        struct Kube *kube;         /* kube/kube.h; NULL = none: method kubernetes is unsupported */
} ActionContext;

typedef struct ActionRun ActionRun; /* one action in flight; every implementation has its own */
typedef void (*ActionDoneFn)(void *userdata, const Outcome *o);

typedef struct Action {
        const char *name;
        Rung rung;
        /* check() - could it work now? Return: 0; negative errno, with one sentence in @why. Touches nothing. */
        int (*check)(const ActionContext *c, char *why, size_t why_size);
        /* start() - Return: 0 and *ret set: `done` will be called, later, from the loop; negative errno: it is not. */
        int (*start)(const ActionContext *c, const Decision *d, ActionDoneFn done, void *userdata, ActionRun **ret);
        /* cancel() - stop waiting (shutdown, target gone): calls `done` with OUTCOME_CANCELLED before it returns and
         * frees the run. Undoes nothing that the target already got. NULL is accepted. */
        void (*cancel)(ActionRun *run);
} Action;

/* The actions of this folder; those of other folders are in their own headers (systemd/unit.h). */
extern const Action action_reclaim;       /* by the JVM itself, else by the probe. Method: what was called */
extern const Action action_rotate_signal; /* options->rotate_signal, and wait for the end. Method "signal" */
extern const Action action_rotate_hook;   /* options->hook_argv. cancel() ends the hook by SIGTERM. Method "hook" */
