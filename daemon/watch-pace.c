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

bool watch_mind_alarm(Watch *w) {
        mind_alarm(w);
        return w->sample.limit_source == LIMIT_CGROUP && alarm_warns(&w->alarm, w->sample.cgroup.current_bytes);
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

void watch_forget_pace(Watch *w) {
        watch_drop_alarm(w);
        watch_look_now(w);
}
