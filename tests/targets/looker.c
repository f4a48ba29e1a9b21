/* SPDX-License-Identifier: Apache-2.0
 *
 * A mere look, many times: stops each thread of a process in turn by the probe's own tracee_stop() and lets it go by
 * tracee_release(), which is what the probe does when it finds no safe point there. Whatever a thread is in at that
 * instant, also what the probe would never choose: it may have gone on since it was chosen. Usage:
 *
 *   looker PID ROUNDS PAUSE_USEC TID...   the pause is between two looks, of a random length up to twice that.
 *                                         One line a thread, then one with quantiles of how long they were held
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "probe/inject/tracee.h"
#include "util/clock.h"

#define THREADS_MAX       256
#define HELD_MAX          1000000
#define STOP_TIMEOUT_USEC (500 * USEC_PER_MSEC)

typedef struct Looked {
        pid_t tid;
        unsigned stopped, signals, gone, stuck;
} Looked;

static uint32_t held[HELD_MAX];
static size_t n_held;

/* Return: false: the thread stays attached, and only our end lets it go. */
static bool look(Looked *l) {
        static Tracee t;
        uint64_t usec;

        switch (tracee_stop(&t, l->tid, STOP_TIMEOUT_USEC)) {
        case TRACEE_STOPPED:
                tracee_release(&t, &usec);
                if (n_held < HELD_MAX)
                        held[n_held++] = (uint32_t)usec;
                l->stopped++;
                return true;
        case TRACEE_BUSY:
                l->signals++;
                return true;
        case TRACEE_STUCK:
                l->stuck++;
                return false;
        default:
                l->gone++;
                return true;
        }
}

static int by_size(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

int main(int argc, char **argv) {
        static Looked all[THREADS_MAX];
        size_t n = 0;

        if (argc < 5) {
                fprintf(stderr, "usage: looker PID ROUNDS PAUSE_USEC TID...\n");
                return 2;
        }
        for (int i = 4; i < argc && n < THREADS_MAX; i++)
                all[n++].tid = atoi(argv[i]);
        unsigned long rounds = strtoul(argv[2], NULL, 10), pause_usec = strtoul(argv[3], NULL, 10);
        srandom((unsigned)atoi(argv[1]));
        tracee_prepare();
        bool more = true;
        for (unsigned long r = 0; r < rounds && more; r++)
                for (size_t i = 0; i < n && more; i++) {
                        more = look(all + i);
                        nanosleep(&(struct timespec){.tv_nsec = (long)(pause_usec ? (unsigned long)random() %
                                                                                            (2000 * pause_usec)
                                                                                  : 0)},
                                  NULL);
                }
        for (size_t i = 0; i < n; i++)
                printf("look tid=%d stopped=%u signals=%u gone=%u stuck=%u\n", all[i].tid, all[i].stopped,
                       all[i].signals, all[i].gone, all[i].stuck);
        qsort(held, n_held, sizeof(held[0]), by_size);
        printf("held n=%zu p50_usec=%u p99_usec=%u max_usec=%u\n", n_held, n_held ? held[n_held / 2] : 0,
               n_held ? held[n_held * 99 / 100] : 0, n_held ? held[n_held - 1] : 0);
        return 0;
}
