/* SPDX-License-Identifier: Apache-2.0
 *
 * What one sample costs beside one bare pread() of the same process' status: CPU time of this process, user and kernel.
 * The ways are measured in turn, many times, and the median of each is told, so that a busy machine disturbs all alike.
 * Usage: sample-cost [PID]; without it a child with 200 MB that sleeps.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "sample/status.h"
#include "sample/target.h"
#include "util/clock.h"

#define ROUNDS 41
#define CALLS 2000
#define CHILD_BYTES (200 << 20)

typedef struct Bench {
        int status_fd;
        Target bare, with_cgroup;
} Bench;

static void bare_pread(Bench *b) {
        char buf[4096];

        if (pread(b->status_fd, buf, sizeof(buf), 0) <= 0)
                abort();
}

static void read_status(Bench *b) {
        ProcStatus st;

        if (status_read(b->status_fd, &st) < 0)
                abort();
}

static void sample(Target *t) {
        Sample s;

        if (target_sample(t, 1, 0, &s) < 0 || !(s.have & SAMPLE_HAVE_STATUS))
                abort();
}

static void sample_bare(Bench *b) {
        sample(&b->bare);
}

static void sample_with_cgroup(Bench *b) {
        sample(&b->with_cgroup);
}

static void refresh(Bench *b) {
        TargetEvent event;

        if (target_refresh(&b->with_cgroup, &event) < 0 || event != TARGET_EVENT_NONE)
                abort();
}

static const struct {
        const char *name;
        void (*run)(Bench *b);
} ways[] = {
        {"pread of status", bare_pread},
        {"status_read (with parsing)", read_status},
        {"target_sample, no cgroup", sample_bare},
        {"target_sample with cgroup", sample_with_cgroup},
        {"target_refresh", refresh},
};

static uint64_t cpu_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static pid_t sleeping_child(void) {
        int ready[2];
        char byte;
        pid_t pid;

        if (pipe(ready) < 0 || (pid = fork()) < 0)
                return -1;
        if (pid == 0) {
                char *p = malloc(CHILD_BYTES);

                if (p)
                        memset(p, 1, CHILD_BYTES);
                if (write(ready[1], "r", 1) == 1)
                        for (;;)
                                pause();
                _exit(1);
        }
        close(ready[1]);
        return read(ready[0], &byte, 1) == 1 ? pid : -1;
}

static int open_target(Target *t, pid_t pid) {
        TargetSource source = {.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .pidfd = true};
        TargetSpec spec = {.match = TARGET_MATCH_PID, .pid = pid};
        TargetEvent event;

        source.cgroup_fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        target_init(t, &spec, &source);
        if (target_refresh(t, &event) < 0 || event != TARGET_EVENT_STARTED) {
                fprintf(stderr, "%d: %s\n", (int)pid, target_absent_reason(t));
                return -1;
        }
        return 0;
}

static void measure(Bench *b) {
        static double usec[ELEMENTSOF(ways)][ROUNDS];

        for (int round = 0; round < ROUNDS; round++)
                for (size_t w = 0; w < ELEMENTSOF(ways); w++) {
                        uint64_t start = cpu_nsec();

                        for (int i = 0; i < CALLS; i++)
                                ways[w].run(b);
                        usec[w][round] = (double)(cpu_nsec() - start) / 1000.0 / CALLS;
                }
        for (size_t w = 0; w < ELEMENTSOF(ways); w++) {
                qsort(usec[w], ROUNDS, sizeof(usec[w][0]), compare);
                printf("%-28s %6.2f us  %5.2f x\n", ways[w].name, usec[w][ROUNDS / 2],
                       usec[w][ROUNDS / 2] / usec[0][ROUNDS / 2]);
        }
}

int main(int argc, char **argv) {
        pid_t child = argc > 1 ? 0 : sleeping_child(), pid = argc > 1 ? (pid_t)atoi(argv[1]) : child;
        char path[64];
        Bench b;

        snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        b.status_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (b.status_fd < 0 || open_target(&b.bare, pid) < 0 || open_target(&b.with_cgroup, pid) < 0)
                return 1;
        cgroup_close(&b.bare.cgroup); /* as on a machine without the controller; only a refresh would find it again */
        printf("pid %d, cgroup v%u with %u limits\n", (int)pid, b.with_cgroup.cgroup.version,
               b.with_cgroup.cgroup.n_limits);
        measure(&b);
        if (child > 0) {
                kill(child, SIGKILL);
                waitpid(child, NULL, 0);
        }
        return 0;
}
