/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to the probe: each one a length (1 byte; the top bit: with the right magic and version) and that many bytes.
 * Whatever is asked is asked about a child of the fuzzer's own, or about nobody, and for milliseconds: the process that
 * a random number names is not ours to touch.
 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "probe/inject/facts.h"
#include "probe/proto.h"
#include "probe/server.h"
#include "util/cleanup.h"

#define MESSAGES_MAX 8
#define BYTES_MAX 256
#define TIMEOUT_MAX_MSEC 5

static pid_t child;
static uint64_t child_ticks;

static void start_child(void) {
        char path[32];
        _cleanup_fd_ int fd = -1;

        child = fork();
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        snprintf(path, sizeof(path), "/proc/%d", child);
        fd = open(path, O_DIRECTORY | O_CLOEXEC);
        if (child < 0 || facts_start_ticks(fd, &child_ticks) < 0)
                abort();
}

static void tame(unsigned char *bytes, bool valid) {
        ProbeRequest r;

        memcpy(&r, bytes, sizeof(r));
        if (valid) {
                r.magic = PROBE_MAGIC;
                r.version = PROBE_PROTO_VERSION;
                r.op %= _PROBE_OP_MAX + 1;
        }
        r.pid = r.pid % 2 ? child : -r.pid % 2;
        if (r.start_ticks % 2)
                r.start_ticks = child_ticks;
        r.find_timeout_msec %= TIMEOUT_MAX_MSEC;
        r.finish_timeout_msec %= TIMEOUT_MAX_MSEC;
        r.budget_msec = r.budget_msec % TIMEOUT_MAX_MSEC + 1;
        memcpy(bytes, &r, sizeof(r));
}

static unsigned send_all(int sock, const uint8_t *data, size_t size) {
        unsigned n = 0;

        for (size_t at = 0; at < size && n < MESSAGES_MAX; n++) {
                unsigned char bytes[BYTES_MAX] = {0};
                size_t len = data[at] & 0x7f, have = min_of(len, size - at - 1);

                memcpy(bytes, data + at + 1, have);
                if (len == 0)
                        len = BYTES_MAX;
                if (len == sizeof(ProbeRequest))
                        tame(bytes, data[at] & 0x80);
                if (send(sock, bytes, len, 0) != (ssize_t)len)
                        abort();
                at += 1 + have;
        }
        return n;
}

/* One answer: whole, of our version, and with the descriptor of an answer that has one. */
static void check_answer(int sock) {
        ProbeReply reply;
        union {
                struct cmsghdr align;
                char buf[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = {&reply, sizeof(reply)};
        struct msghdr mh = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
        struct cmsghdr *cm;
        int fd;

        FUZZ_CHECK(recvmsg(sock, &mh, MSG_DONTWAIT) == (ssize_t)sizeof(reply));
        FUZZ_CHECK(reply.magic == PROBE_MAGIC && reply.version == PROBE_PROTO_VERSION);
        FUZZ_CHECK(reply.result < _PROBE_RESULT_MAX);
        FUZZ_CHECK(memchr(reply.detail, '\0', sizeof(reply.detail)));
        cm = CMSG_FIRSTHDR(&mh);
        if (cm) {
                memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
                FUZZ_CHECK(fcntl(fd, F_GETFD) >= 0);
                fd_close(fd);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        int socks[2];
        unsigned n;

        if (!child)
                start_child();
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
                abort();
        n = send_all(socks[0], data, size);
        shutdown(socks[0], SHUT_WR);
        FUZZ_CHECK(server_run(socks[1]) == 0);
        for (unsigned i = 0; i < n; i++)
                check_answer(socks[0]);
        fd_close(socks[0]);
        fd_close(socks[1]);
        FUZZ_CHECK(kill(child, 0) == 0);
        return 0;
}
