/* SPDX-License-Identifier: Apache-2.0
 *
 * What counting N connections of a process costs, by netlink and by the text tables, in one run: CPU of a look, the
 * ratio of the medians, and the longest that one step of it keeps the loop. Usage: connections-cost [N] [LOOKS]
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sample/connections.h"
#include "util/clock.h"
#include "util/rootfs.h"

#define BUDGET_USEC (2 * USEC_PER_MSEC)
#define LOOKS_MAX   101u

typedef struct Cost {
        uint64_t whole_usec, longest_usec; /* of a look, of one step of it */
        Connections seen;
} Cost;

/* The clients' ends are another process', as they are in life. It ends with us. */
static bool connect_all(const struct sockaddr_in *a, unsigned n) {
        pid_t pid = fork();

        if (pid != 0)
                return pid > 0;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < n; i++) {
                int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                if (client < 0 || connect(client, (const struct sockaddr *)a, sizeof(*a)) < 0) {
                        perror("connections-cost: a client");
                        _exit(EXIT_FAILURE);
                }
        }
        for (;;)
                pause();
}

static void files_raise(void) {
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                return;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* The server, in a process of its own. Return: its pid, once all are accepted; -1. */
static pid_t serve_all(unsigned n) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int ready[2], listener;
        pid_t pid;
        char c;

        if (pipe(ready) < 0)
                return -1;
        pid = fork();
        if (pid != 0) {
                close(ready[1]);
                return pid > 0 && read(ready[0], &c, 1) == 1 ? pid : -1;
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(listener, 1024) < 0 ||
            getsockname(listener, (struct sockaddr *)&a, &len) < 0 || !connect_all(&a, n))
                _exit(EXIT_FAILURE);
        for (unsigned i = 0; i < n; i++)
                if (accept(listener, NULL, NULL) < 0) {
                        perror("connections-cost: the server");
                        _exit(EXIT_FAILURE);
                }
        if (write(ready[1], "", 1) != 1)
                _exit(EXIT_FAILURE);
        for (;;)
                pause();
}

static bool look(int proc, const Connections *known, ConnectionWay way, Cost *ret) {
        ConnectionLook *l;
        int r = connection_look_new(proc, known, way, &l);

        *ret = (Cost){0};
        if (r < 0)
                return false;
        do {
                uint64_t begin = now_cpu_usec(), took;

                r = connection_look_step(l, BUDGET_USEC, &ret->seen);
                took = now_cpu_usec() - begin;
                ret->whole_usec += took;
                ret->longest_usec = max_of(ret->longest_usec, took);
        } while (r == 0);
        connection_look_free(l);
        return r == 1;
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static uint64_t median(uint64_t *v, unsigned n) {
        qsort(v, n, sizeof(*v), compare);
        return v[n / 2];
}

int main(int argc, char **argv) {
        unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 10000, looks = argc > 2 ? (unsigned)atoi(argv[2]) : 11;
        static const char *const names[] = {"netlink", "text"};
        uint64_t whole[2][LOOKS_MAX], max_step[2] = {0}, middle[2];
        unsigned wrong[2] = {0};
        _cleanup_fd_ int proc = -1;
        char path[32];
        pid_t server;
        Cost found, c;

        looks = looks < 1 ? 1 : min_of(looks, LOOKS_MAX);
        files_raise();
        server = serve_all(n);
        snprintf(path, sizeof(path), "/proc/%d", (int)server);
        proc = rootfs_open_dir(AT_FDCWD, path);
        if (server < 0 || proc < 0)
                return EXIT_FAILURE;
        if (!look(proc, NULL, CONNECTION_BY_ANY, &found) || found.seen.established != n || !found.seen.by_netlink) {
                fprintf(stderr, "%u of %u found%s\n", found.seen.established, n,
                        found.seen.by_netlink ? "" : ", netlink is refused here");
                return EXIT_FAILURE;
        }
        printf("%u connections; the first look, ports and as many descriptors included: %.2f ms, one step %.2f ms at "
               "most\n",
               n, (double)found.whole_usec / 1e3, (double)found.longest_usec / 1e3);
        for (unsigned i = 0; i < looks; i++)
                for (ConnectionWay way = CONNECTION_BY_ANY; way <= CONNECTION_BY_TABLES; way++) {
                        if (!look(proc, &found.seen, way, &c))
                                return EXIT_FAILURE;
                        wrong[way] += c.seen.established != n;
                        whole[way][i] = c.whole_usec;
                        max_step[way] = max_of(max_step[way], c.longest_usec);
                }
        for (ConnectionWay way = CONNECTION_BY_ANY; way <= CONNECTION_BY_TABLES; way++) {
                middle[way] = median(whole[way], looks);
                printf("%-7s %8.2f ms a look, median of %u; one step %.2f ms at most; %u saw another number\n",
                       names[way], (double)middle[way] / 1e3, looks, (double)max_step[way] / 1e3, wrong[way]);
        }
        printf("text / netlink = %.1f\n", (double)middle[1] / (double)max_of(middle[0], (uint64_t)1));
        return EXIT_SUCCESS;
}
