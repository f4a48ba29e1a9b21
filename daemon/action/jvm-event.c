/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-event.h"

#include "action/spawn.h"
#include "util/clock.h"

/* A child that waits for a late answer goes after JVM_LINGER_MAX_USEC; one that waits for a dead disk may not go. */
#define FORGET_AFTER_USEC (15 * USEC_PER_MINUTE)
#define ACCURACY_USEC     (10 * USEC_PER_MSEC)

struct JvmEvent {
        sd_event *event;
        sd_event_source *io, *deadline;
        JvmCall call;
        JvmReplyFn fn;
        void *userdata;
};

static int on_io(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_, void *userdata) {
        JvmEvent *j = userdata;
        JvmReply reply;

        if (!jvm_receive(&j->call, &reply))
                return 0;
        sd_event_source_set_enabled(j->io, SD_EVENT_OFF);
        sd_event_source_set_enabled(j->deadline, SD_EVENT_OFF);
        j->fn(j->userdata, &reply);
        return 0;
}

static int on_deadline(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        JvmEvent *j = userdata;
        JvmReply reply;

        sd_event_source_set_enabled(j->io, SD_EVENT_OFF);
        jvm_give_up(&j->call, &reply);
        j->fn(j->userdata, &reply);
        return 0;
}

int jvm_event_new(sd_event *event, const JvmRequest *q, JvmReplyFn fn, void *userdata, JvmEvent **ret) {
        JvmEvent *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return -ENOMEM;
        *j = (JvmEvent){.event = sd_event_ref(event), .call = JVM_CALL_NULL, .fn = fn, .userdata = userdata};
        r = jvm_start(q, &j->call);
        if (r >= 0)
                r = sd_event_add_io(event, &j->io, j->call.fd, EPOLLIN, on_io, j);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &j->deadline, CLOCK_BOOTTIME, jvm_limit_usec(q), ACCURACY_USEC,
                                               on_deadline, j);
        if (r < 0) {
                jvm_event_free(j);
                return r;
        }
        (void)sd_event_source_set_description(j->io, "jvm-attach");
        (void)sd_event_source_set_description(j->deadline, "jvm-attach");
        *ret = j;
        return 0;
}

JvmEvent *jvm_event_free(JvmEvent *j) {
        if (!j)
                return NULL;
        sd_event_source_disable_unref(j->io);
        sd_event_source_disable_unref(j->deadline);
        jvm_done(&j->call);
        if (j->call.pid > 0)
                (void)spawn_forget(j->event, j->call.pid, FORGET_AFTER_USEC);
        sd_event_unref(j->event);
        free(j);
        return NULL;
}
