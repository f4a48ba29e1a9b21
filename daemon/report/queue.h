/* SPDX-License-Identifier: Apache-2.0
 *
 * Notifications on their way to one receiver: a bounded queue with the rules of delivery and no I/O, so that a test can
 * drive it with a clock of its own. Within one key (the alert's fingerprint) order is kept, so "firing" never arrives
 * after the "resolved" that followed it; keys do not wait for each other. Retries back off exponentially with full
 * jitter (every delay is drawn evenly from zero to the bound), and a receiver's Retry-After holds the whole queue.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

typedef enum NoteKind { NOTE_FIRING, NOTE_RESOLVED, NOTE_EVENT, _NOTE_MAX } NoteKind;

typedef struct NoteHead {
        char key[40]; /* fingerprint: order is kept within one key */
        char id[64];  /* unique, the same at every attempt */
        NoteKind kind;
} NoteHead;

typedef struct Note {
        NoteHead head;
        char *body;
        size_t body_len;
        uint64_t queued_usec, due_usec;
        unsigned attempts;
        bool in_flight;
        void *owner, *request; /* of whoever delivers it; the queue does not look */
        struct Note *next;
} Note;

typedef struct QueueOptions {
        unsigned max;           /* notes kept; when full the oldest one that is not in flight is dropped */
        unsigned in_flight_max; /* at once; never two of one key */
        uint64_t expire_usec;   /* older notes are given up */
        uint64_t retry_min_usec, retry_max_usec; /* bounds of the back-off */
        uint64_t retry_after_max_usec;
} QueueOptions;

typedef struct Queue {
        QueueOptions options;
        Note *first, *last; /* in order of arrival */
        unsigned n, n_in_flight;
        uint64_t hold_until_usec;             /* Retry-After */
        bool disabled;                        /* the receiver said "gone" (410) */
        uint64_t dropped_total, folded_total; /* folded: a repeat took the place of one that was not delivered yet */
} Queue;

typedef enum NoteVerdict {
        NOTE_DELIVERED,
        NOTE_RETRY,
        NOTE_REFUSED, /* dropped: the receiver will never take it */
        NOTE_GONE,    /* dropped, and the queue is disabled until queue_enable() */
} NoteVerdict;

/* queue_init() - an empty queue. @options: copied. */
void queue_init(Queue *q, const QueueOptions *options);
/* queue_done() - drops everything without counting. Owner of requests in flight: cancel them first. */
void queue_done(Queue *q);
void queue_set_options(Queue *q, const QueueOptions *options);
/* queue_enable() - after a reload: forget 410 and Retry-After. */
void queue_enable(Queue *q);

/**
 * queue_push() - append a note, due at once
 * A NOTE_FIRING takes the place of an undelivered NOTE_FIRING that is the last of its key (counted in folded_total).
 * Return: 0; -ENOBUFS: full of notes in flight, this one is dropped and counted; -ENOMEM likewise.
 */
int queue_push(Queue *q, const NoteHead *head, const char *body, size_t len, uint64_t now_usec) _must_check_;

/**
 * queue_next() - the next note to send now; gives up expired ones on the way
 * @ret_when_usec: when NULL is returned: time to ask again, USEC_INFINITY if only another call can change it
 * Return: a note that stays the queue's, to be handed to queue_begin(); or NULL.
 */
Note *queue_next(Queue *q, uint64_t now_usec, uint64_t *ret_when_usec);
void queue_begin(Queue *q, Note *n);

/**
 * queue_end() - how the attempt went. Unless NOTE_RETRY is returned the note is freed.
 * @error:  negative errno when no answer came, else 0 and @status has it
 * @random: 64 random bits for the jitter
 */
NoteVerdict queue_end(Queue *q, Note *n, int error, long status, uint64_t retry_after_usec, uint64_t now_usec,
                      uint64_t random);

/* queue_hurry() - make every waiting note due now, for a last attempt at a clean stop. Retry-After is still obeyed. */
void queue_hurry(Queue *q, uint64_t now_usec);
