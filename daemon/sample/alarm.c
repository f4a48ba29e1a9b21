/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/alarm.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Half of the limit is early enough for the fastest: at 500 MB/s toward 4.5 GB it leaves 4.5 s. */
static const double thresholds[] = {0.5, 0.75, 0.9};

/* The directory may be one that the target chose: nothing is written but to a cgroup file system's own file. */
static int open_control(const Cgroup *c) {
        char path[CGROUP_DEPTH_MAX * 3 + sizeof("cgroup.event_control")] = "";
        struct statfs fs;
        int fd;

        for (unsigned i = 0; i < c->ruling && i < CGROUP_DEPTH_MAX; i++)
                strcat(path, "../");
        strcat(path, "cgroup.event_control");
        fd = openat(c->dir_fd, path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
        if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP_SUPER_MAGIC))
                fd = fd_close(fd);
        return fd;
}

static bool open_thresholds(const Cgroup *c, uint64_t limit_bytes, Alarm *a) {
        _cleanup_fd_ int control = -1, efd = -1;

        if (c->dir_fd < 0 || c->current_fd < 0 || limit_bytes == 0)
                return false;
        control = open_control(c);
        efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (control < 0 || efd < 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(thresholds); i++) {
                char line[64];
                int n = snprintf(line, sizeof(line), "%d %d %llu", efd, c->current_fd,
                                 (unsigned long long)(thresholds[i] * (double)limit_bytes));

                if (write(control, line, (size_t)n) != n)
                        return false; /* closing the eventfd takes back those that were set */
        }
        *a = (Alarm){.kind = ALARM_THRESHOLD,
                     .fd = take_fd(&efd),
                     .first_bytes = (uint64_t)(thresholds[0] * (double)limit_bytes)};
        return true;
}

void alarm_open(const Cgroup *c, uint64_t limit_bytes, Alarm *ret) {
        *ret = ALARM_NULL;
        if (c->version == 1 && open_thresholds(c, limit_bytes, ret))
                return;
        if (c->version != 2 || c->events_fd < 0)
                return;
        /* one open file with the sample's: reading that takes the event (kernfs_fop_read_iter(), of->event) */
        ret->fd = fcntl(c->events_fd, F_DUPFD_CLOEXEC, 0);
        ret->kind = ret->fd < 0 ? ALARM_NONE : ALARM_EVENTS;
}

void alarm_close(Alarm *a) {
        fd_close(a->fd);
        *a = ALARM_NULL;
}

void alarm_take(Alarm *a) {
        uint64_t count;
        char buf[256];

        if (a->kind == ALARM_THRESHOLD)
                (void)!read(a->fd, &count, sizeof(count));
        else if (a->kind == ALARM_EVENTS)
                (void)!pread(a->fd, buf, sizeof(buf), 0);
}

bool alarm_warns(const Alarm *a, uint64_t current_bytes) {
        return a->kind == ALARM_THRESHOLD && current_bytes < a->first_bytes;
}

const char *alarm_name(AlarmKind k) {
        static const char *const names[_ALARM_MAX] = {
                [ALARM_NONE] = "none",
                [ALARM_THRESHOLD] = "threshold",
                [ALARM_EVENTS] = "events",
        };

        return (unsigned)k < ELEMENTSOF(names) ? names[k] : "invalid";
}
