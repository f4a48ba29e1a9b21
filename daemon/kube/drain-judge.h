/* SPDX-License-Identifier: Apache-2.0
 *
 * When a drain is over, and when to look next: pure. Over is it when two looks in a row saw no connection (one may fall
 * between a client's last request and its next), when the process has ended, or at the deadline. What could not be
 * counted is not zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum DrainEnd {
        DRAIN_GOES_ON,
        DRAIN_EMPTY,    /* no connection is left */
        DRAIN_DEADLINE, /* time is over; some may be left */
        DRAIN_ENDED,    /* the process ended by itself */
        _DRAIN_END_MAX,
} DrainEnd;

typedef struct DrainJudge {
        uint64_t deadline_usec;
        unsigned zeros; /* looks in a row */
} DrainJudge;

typedef struct DrainLook {
        uint64_t now_usec, cost_usec; /* of counting */
        bool alive;                   /* the process */
        bool known;                   /* it could be counted */
        bool telling;                 /* the application is being told: its own connection may be one of those */
        unsigned established;
} DrainLook;

/**
 * drain_judge() - one look
 * @ret_wait_usec: until the next one, never beyond the deadline; 0 when it is over
 * Return: DRAIN_GOES_ON or how it ended.
 */
DrainEnd drain_judge(DrainJudge *j, const DrainLook *look, uint64_t *ret_wait_usec);

const char *drain_end_name(DrainEnd e); /* "empty", "deadline", ... */
