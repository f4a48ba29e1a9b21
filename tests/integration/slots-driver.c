/* SPDX-License-Identifier: Apache-2.0
 *
 * A pod that wants a slot, holds it for a while and gives it back, on a real event loop and API server:
 * tests/e2e/test-slots.py starts many of them. A line for each change, "acting TIME" (CLOCK_BOOTTIME, ms) each 50 ms
 * while it may act, "learned REPLACE_S DRAIN_S YOUNG" at the end. Who lost its slot tries again a second later.
 *
 *   slots-driver WORKLOAD SLOTS TTL_S HOLD_MS [ETA_S [urgent]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/events.h"
#include "kube/slots.h"
#include "util/clock.h"

#define LOOK_USEC (50 * USEC_PER_MSEC)

typedef struct Driver {
        sd_event *event;
        KubeClient *client;
        KubeSlots *slots;
        KubeEvents *events;
        uint64_t hold_usec, held_usec, limit_usec, again_usec, done_usec;
        bool urgent, done;
        KubeSlotFact told;
} Driver;

static const char *name(KubeSlotFact f) {
        static const char *const names[] = {[KUBE_SLOT_NOT_NEEDED] = "not-needed",
                                            [KUBE_SLOT_WAITING] = "waiting",
                                            [KUBE_SLOT_HELD] = "held",
                                            [KUBE_SLOT_LOST] = "lost"};

        return names[f];
}

static void act(Driver *d, KubeSlotFact fact, uint64_t now) {
        if (fact == KUBE_SLOT_HELD) {
                printf("acting %llu\n", (unsigned long long)now / USEC_PER_MSEC);
                d->held_usec += d->told == KUBE_SLOT_HELD ? LOOK_USEC : 0;
        } else if (fact == KUBE_SLOT_LOST)
                d->again_usec = now + USEC_PER_SEC;
        d->done = d->done || d->held_usec >= d->hold_usec;
        if (d->done && fact == KUBE_SLOT_HELD)
                kube_slots_learn(d->slots, &(KubeLearned){.replace_usec = d->hold_usec, .young = 3});
}

static bool has_told(const Driver *d) {
        KubeEventsCount c = kube_events_count(d->events);

        return c.failed || (c.written >= 2 && c.in_series);
}

static void step(Driver *d) {
        KubeSlotFact fact = kube_slots_fact(d->slots);
        uint64_t now = now_boot_usec();
        KubeSlotsView view;

        kube_slots_view(d->slots, &view);
        act(d, fact, now);
        if (fact != d->told) {
                printf("%s %llu %s%s%s\n", name(fact), (unsigned long long)now / USEC_PER_MSEC, view.lease, view.detail,
                       view.passed ? " passed" : "");
                kube_events_tell(d->events, &(KubeEvent){.reason = "SlotTest", .action = "Wait", .note = "it changed"});
        }
        d->told = fact;
        fflush(stdout);
        kube_slots_want(d->slots, !d->done && now >= d->again_usec,
                        d->limit_usec == USEC_INFINITY ? USEC_INFINITY : d->limit_usec - min_of(now, d->limit_usec),
                        d->urgent);
        d->done_usec = d->done && !d->done_usec ? now : d->done_usec;
        if (d->done && kube_slots_is_quiet(d->slots) && (has_told(d) || now > d->done_usec + 5 * USEC_PER_SEC))
                sd_event_exit(d->event, 0);
}

static void on_change(void *userdata) {
        step(userdata);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void)sd_event_source_set_time(s, usec + LOOK_USEC < now_boot_usec() ? now_boot_usec() : usec + LOOK_USEC);
        (void)sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        step(userdata);
        return 0;
}

static int run(Driver *d, const char *workload, const KubeOptions *o) {
        KubeSlotsHost host = {.changed = on_change, .userdata = d};
        KubeLearned learned;
        KubeEventsCount count;
        KubeConfig config;
        char why[256] = "";
        int r;

        if ((r = kube_config_load(&config, why, sizeof(why))) < 0 ||
            (r = kube_client_new(d->event, &config, &d->client, why, sizeof(why))) < 0 ||
            (r = kube_slots_new(d->event, d->client, &config, o, workload, &host, &d->slots)) < 0 ||
            (r = kube_events_new(d->event, d->client, &config, &d->events)) < 0 ||
            (r = sd_event_add_time(d->event, NULL, CLOCK_BOOTTIME, 0, USEC_PER_MSEC, on_timer, d)) < 0) {
                fprintf(stderr, "%s: %s\n", why, strerror(-r));
                return r;
        }
        d->told = KUBE_SLOT_WAITING;
        r = sd_event_loop(d->event);
        if (kube_slots_learned(d->slots, &learned))
                printf("learned %llu %llu %u\n", (unsigned long long)(learned.replace_usec / USEC_PER_MSEC),
                       (unsigned long long)(learned.drain_usec / USEC_PER_MSEC), learned.young);
        count = kube_events_count(d->events);
        printf("events %llu %llu %llu %llu\n", (unsigned long long)count.written, (unsigned long long)count.in_series,
               (unsigned long long)count.dropped, (unsigned long long)count.failed);
        return r;
}

int main(int argc, char **argv) {
        KubeOptions o = {0};
        Driver d = {.limit_usec = USEC_INFINITY};
        int r;

        if (argc < 5 || sd_event_new(&d.event) < 0)
                return 2;
        o.slots = (unsigned)strtoul(argv[2], NULL, 10);
        o.slot_ttl_usec = strtoull(argv[3], NULL, 10) * USEC_PER_SEC;
        d.hold_usec = strtoull(argv[4], NULL, 10) * USEC_PER_MSEC;
        if (argc > 5)
                d.limit_usec = now_boot_usec() + strtoull(argv[5], NULL, 10) * USEC_PER_SEC;
        d.urgent = argc > 6;
        r = run(&d, argv[1], &o);
        d.events = kube_events_free(d.events);
        d.slots = kube_slots_free(d.slots);
        d.client = kube_client_free(d.client);
        sd_event_unref(d.event);
        return r < 0;
}
