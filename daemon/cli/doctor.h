/* SPDX-License-Identifier: Apache-2.0
 *
 * `plateau doctor`: what works here, what does not, why, and the line that would change it. A list of findings, made by
 * looking alone: the collectors add to it, the view prints it.
 */
#pragma once

#include <stdbool.h>

#include "cli/screen.h"
#include "probe/client.h"
#include "settings/settings.h"

#define DOCTOR_TEXT_MAX     384
#define DOCTOR_FINDINGS_MAX 48

typedef enum DoctorMark {
        DOCTOR_GOOD,
        DOCTOR_HALF, /* works, but something better would */
        DOCTOR_BAD,  /* is configured, or needed by all, and does not work */
        DOCTOR_NONE, /* is not there, and nothing asks for it */
        _DOCTOR_MARK_MAX,
} DoctorMark;

/* What plateau may do to the process; each has those before it. */
typedef enum DoctorTier {
        DOCTOR_TIER_NONE,   /* no process */
        DOCTOR_TIER_STATUS, /* watch, forecast, rotate */
        DOCTOR_TIER_READ,   /* PSS, and where its cgroup is */
        DOCTOR_TIER_CALL,   /* surveys, and reclaim */
        _DOCTOR_TIER_MAX,
} DoctorTier;

typedef struct Finding {
        const char *section, *name; /* static; @name is stable, for JSON */
        DoctorMark mark;
        char text[DOCTOR_TEXT_MAX];
        char change[DOCTOR_TEXT_MAX]; /* "" = nothing to change */
} Finding;

typedef struct Doctor {
        Settings *settings; /* Owner: caller; NULL = no configuration */
        const char *probe_path;
        TargetSpec spec;
        Target target;
        Sample sample;
        bool has_sample, in_pod;
        DoctorTier tier;
        Finding finding[DOCTOR_FINDINGS_MAX];
        unsigned n;
} Doctor;

/* doctor_find() - add one; beyond DOCTOR_FINDINGS_MAX they are dropped. */
void doctor_find(Doctor *d, const char *section, const char *name, DoctorMark mark, const char *fmt, ...)
        _printf_(5, 6);
/* doctor_change() - what to change about the last one. */
void doctor_change(Doctor *d, const char *fmt, ...) _printf_(2, 3);

/* The collectors, in this order: */
/* doctor_look() - the process, access to it, sources, the allocator. Starts a probe and ends it. */
void doctor_look(Doctor *d, const TargetSource *src);
/* doctor_ways() - how it could be rotated without an API. */
void doctor_ways(Doctor *d);
/* doctor_pod() - the pod: environment, token, what the manifest wires up. */
void doctor_pod(Doctor *d);
/* doctor_kube() - what the API server says of the pod and of our rights; with doctor_pod(), which calls it. */
void doctor_kube(Doctor *d);
/* doctor_reach() - who would get figures and alerts; connects and closes, sends nothing. */
void doctor_reach(Doctor *d);

/* doctor_view() - as text; @width: of the screen. doctor_json() - the same as one object. */
void doctor_view(Screen *s, const Doctor *d);
void doctor_json(Buf *b, const Doctor *d);
/* doctor_is_well() - nothing is DOCTOR_BAD. */
bool doctor_is_well(const Doctor *d);
const char *doctor_tier_name(DoctorTier t); /* "none", "status", "read", "call" */
