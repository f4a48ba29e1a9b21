/* SPDX-License-Identifier: Apache-2.0 */
#include "report/queue.h"

#include <string.h>

#include "util/clock.h"

/* An even draw may be zero; a receiver that refuses connections must not be asked in a hot loop. */
#define RETRY_FLOOR_USEC (100 * USEC_PER_MSEC)

void queue_init(Queue *q, const QueueOptions *options) {
        *q = (Queue){.options = *options};
}

static Note *note_free(Note *n) {
        free(n->body);
        free(n);
        return NULL;
}

void queue_done(Queue *q) {
        for (Note *n = q->first, *next; n; n = next) {
                next = n->next;
                note_free(n);
        }
        *q = (Queue){.options = q->options};
}

static void unlink_note(Queue *q, Note *n) {
        Note *prev = NULL;

        for (Note *p = q->first; p && p != n; p = p->next)
                prev = p;
        if (prev)
                prev->next = n->next;
        else
                q->first = n->next;
        if (q->last == n)
                q->last = prev;
        q->n--;
        if (n->in_flight)
                q->n_in_flight--;
        note_free(n);
}

static void drop(Queue *q, Note *n) {
        unlink_note(q, n);
        q->dropped_total++;
}

/* Makes room for @n_wanted more. */
static int shrink(Queue *q, unsigned n_wanted) {
        while (q->n + n_wanted > q->options.max) {
                Note *n = q->first;

                while (n && n->in_flight)
                        n = n->next;
                if (!n)
                        return -ENOBUFS;
                drop(q, n);
        }
        return 0;
}

void queue_set_options(Queue *q, const QueueOptions *options) {
        q->options = *options;
        (void)shrink(q, 0); /* what is in flight may stay over the bound until it ends */
}

void queue_enable(Queue *q) {
        q->disabled = false;
        q->hold_until_usec = 0;
}

static Note *last_of_key(const Queue *q, const char *key) {
        Note *found = NULL;

        for (Note *n = q->first; n; n = n->next)
                if (strcmp(n->head.key, key) == 0)
                        found = n;
        return found;
}

static void fold(Queue *q, const NoteHead *head) {
        Note *n = head->kind == NOTE_FIRING ? last_of_key(q, head->key) : NULL;

        if (n && n->head.kind == NOTE_FIRING && !n->in_flight) {
                unlink_note(q, n);
                q->folded_total++;
        }
}

int queue_push(Queue *q, const NoteHead *head, const char *body, size_t len, uint64_t now_usec) {
        Note *n;

        fold(q, head);
        if (shrink(q, 1) < 0) {
                q->dropped_total++;
                return -ENOBUFS;
        }
        n = calloc(1, sizeof(*n));
        if (n)
                n->body = malloc(len + 1);
        if (!n || !n->body) {
                free(n);
                q->dropped_total++;
                return -ENOMEM;
        }
        memcpy(n->body, body, len);
        n->body[len] = '\0';
        n->body_len = len;
        n->head = *head;
        n->queued_usec = n->due_usec = now_usec;
        if (q->last)
                q->last->next = n;
        else
                q->first = n;
        q->last = n;
        q->n++;
        return 0;
}

static void expire(Queue *q, uint64_t now_usec) {
        for (Note *n = q->first, *next; n; n = next) {
                next = n->next;
                if (!n->in_flight && now_usec >= n->queued_usec && now_usec - n->queued_usec >= q->options.expire_usec)
                        drop(q, n);
        }
}

static bool is_first_of_key(const Queue *q, const Note *n) {
        for (const Note *p = q->first; p != n; p = p->next)
                if (strcmp(p->head.key, n->head.key) == 0)
                        return false;
        return true;
}

Note *queue_next(Queue *q, uint64_t now_usec, uint64_t *ret_when_usec) {
        uint64_t when = USEC_INFINITY;

        expire(q, now_usec);
        for (Note *n = q->first; n; n = n->next) {
                uint64_t expires, due;

                if (n->in_flight)
                        continue;
                expires = n->queued_usec + min_of(q->options.expire_usec, USEC_INFINITY - n->queued_usec);
                when = min_of(when, expires);
                if (q->disabled || q->n_in_flight >= q->options.in_flight_max || !is_first_of_key(q, n))
                        continue;
                due = max_of(n->due_usec, q->hold_until_usec);
                if (due <= now_usec)
                        return n;
                when = min_of(when, due);
        }
        *ret_when_usec = when;
        return NULL;
}

void queue_begin(Queue *q, Note *n) {
        n->in_flight = true;
        n->attempts++;
        q->n_in_flight++;
}

static NoteVerdict judge(int error, long status) {
        static const struct {
                long from, to;
                NoteVerdict verdict;
        } rows[] = {
                {200, 299, NOTE_DELIVERED}, {408, 408, NOTE_RETRY}, {410, 410, NOTE_GONE},
                {429, 429, NOTE_RETRY},     {500, 599, NOTE_RETRY},
        };

        if (error < 0)
                return NOTE_RETRY;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (status >= rows[i].from && status <= rows[i].to)
                        return rows[i].verdict;
        return NOTE_REFUSED; /* other 4xx; 3xx because redirects are not followed; what is no HTTP status at all */
}

/* Full jitter: evenly from the floor to min(retry_max, retry_min * 2^(attempts - 1)). */
static uint64_t backoff_usec(const QueueOptions *o, unsigned attempts, uint64_t random) {
        uint64_t bound = o->retry_min_usec;

        for (unsigned i = 1; i < attempts && bound < o->retry_max_usec; i++)
                bound = min_of(2 * bound, o->retry_max_usec);
        bound = (uint64_t)(((unsigned __int128)random * bound) >> 64);
        return max_of(bound, (uint64_t)RETRY_FLOOR_USEC);
}

NoteVerdict queue_end(Queue *q, Note *n, int error, long status, uint64_t retry_after_usec, uint64_t now_usec,
                      uint64_t random) {
        uint64_t asked_usec = min_of(retry_after_usec, q->options.retry_after_max_usec);
        NoteVerdict v = judge(error, status);

        switch (v) {
        case NOTE_RETRY:
                n->in_flight = false;
                q->n_in_flight--;
                n->due_usec = now_usec + backoff_usec(&q->options, n->attempts, random);
                if (retry_after_usec)
                        q->hold_until_usec = max_of(q->hold_until_usec, now_usec + asked_usec);
                break;
        case NOTE_DELIVERED:
                unlink_note(q, n);
                break;
        case NOTE_GONE:
                q->disabled = true;
                drop(q, n);
                break;
        case NOTE_REFUSED:
                drop(q, n);
                break;
        }
        return v;
}

void queue_hurry(Queue *q, uint64_t now_usec) {
        for (Note *n = q->first; n; n = n->next)
                n->due_usec = min_of(n->due_usec, now_usec);
}
