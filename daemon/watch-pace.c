/* SPDX-License-Identifier: Apache-2.0
 *
 * When a watch looks next, and what may wake it before.
 */
#include "watch-internal.h"

#include <sys/epoll.h>

#include "util/cleanup.h"

static int on_alarm(sd_event_source *s _unused_, int fd _unused_, uint32_t revents, void *userdata) {
        Watch *w = userdata;

        alarm_take(&w->alarm);
        if (revents & (EPOLLERR | EPOLLHUP) && w->alarm.kind == ALARM_THRESHOLD)
                w->alarm_limit_bytes = 0; /* the group was removed: v1 then signals for ever (cgroup_rmdir) */
        w->alarmed = true;
        w->counters.alarms_total++;
        watch_look_now(w);
        w->host->wake(w->host->userdata);
        return 0;
}

void watch_drop_alarm(Watch *w) {
        if (w->alarm_io)
                w->alarm_io = sd_event_source_disable_unref(w->alarm_io);
        alarm_close(&w->alarm);
        w->alarm_limit_bytes = 0;
}

/* Anew whenever it is another group whose limit rules, or another limit. */
static void mind_alarm(Watch *w) {
        const Cgroup *c = &w->target.cgroup;
        uint64_t limit = w->sample.limit_source == LIMIT_CGROUP ? w->sample.limit_bytes : 0;

        if (limit == w->alarm_limit_bytes && c->ruling == w->alarm_level && w->target.cgroup_mark == w->alarm_mark)
                return;
        watch_drop_alarm(w);
        w->alarm_limit_bytes = limit;
        w->alarm_level = c->ruling;
        w->alarm_mark = w->target.cgroup_mark;
        if (limit == 0)
                return;
        alarm_open(c, limit, &w->alarm);
        if (w->alarm.kind == ALARM_NONE)
                return;
        if (sd_event_add_io(w->host->event, &w->alarm_io, w->alarm.fd,
                            w->alarm.kind == ALARM_EVENTS ? EPOLLPRI : EPOLLIN, on_alarm, w) < 0)
                alarm_close(&w->alarm);
}

void watch_look_now(Watch *w) {
        w->look_next_usec = 0;
}

bool watch_is_due(const Watch *w, uint64_t now_usec) {
        return now_usec + LOOK_SLACK_USEC >= w->look_next_usec;
}

uint64_t watch_wait(const Watch *w, uint64_t now_usec) {
        return w->look_next_usec > now_usec ? w->look_next_usec - now_usec : 0;
}

void watch_pace(Watch *w, uint64_t cost_usec) {
        const Sample *s = &w->sample;
        PaceInput in = {.now_usec = s->time_usec,
                        .age_usec = s->time_usec - min_of(s->time_usec, w->target.start_boot_usec),
                        .usage_bytes = s->usage_bytes,
                        .limit_bytes = s->limit_bytes,
                        .eta_lo_usec = w->fit.state == TREND_GROWING ? w->fit.eta_lo_usec : USEC_INFINITY,
                        .cost_usec = cost_usec,
                        .alarmed = w->alarmed};

        mind_alarm(w);
        in.warned = s->limit_source == LIMIT_CGROUP && alarm_warns(&w->alarm, s->cgroup.current_bytes);
        w->alarmed = false;
        w->look_next_usec = s->time_usec + pace_next(&w->pace, &w->host->settings->sample.pace, &in);
}

void watch_heed_waits(Watch *w) {
        const PaceOptions *o = &w->host->settings->sample.pace;

        for (Rung r = 0; r < _RUNG_MAX && o->fixed_usec == 0; r++) {
                const Decision *d = &w->decisions[r];
                uint64_t wait = max_of(d->wait_usec, o->min_usec);

                if (d->verb == VERB_SKIP && d->wait_usec > 0 && wait < o->max_usec)
                        w->look_next_usec = min_of(w->look_next_usec, w->sample.time_usec + wait);
        }
}

void watch_forget_pace(Watch *w) {
        watch_drop_alarm(w);
        w->pace = (Pace){.cost_usec = w->pace.cost_usec};
        watch_look_now(w);
}
