/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connection-diag.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "sample/connections.h"
#include "util/rootfs.h"

#define PIECE_MAX ((size_t)16 * 1024)
#define ERRNO_MAX 4095 /* what the kernel takes for an error */
#define TABLE     "net/tcp"

/* ---- one piece of an answer ---- */

static void take_socket(const struct inet_diag_msg *m, ConnectionRowFn fn, void *userdata) {
        ConnectionRow row = {.local = {.words = {[2] = CONNECTION_MAPPED_V4}},
                             .local_port = ntohs(m->id.idiag_sport),
                             .remote_port = ntohs(m->id.idiag_dport),
                             .state = m->idiag_state,
                             .inode = m->idiag_inode};

        if (m->idiag_family == AF_INET)
                row.local.words[3] = m->id.idiag_src[0];
        else
                memcpy(row.local.words, m->id.idiag_src, sizeof(row.local.words));
        fn(userdata, &row);
}

/* Of the end, or of a refusal: zero, or an errno. */
static int take_verdict(const char *payload, size_t len, int *ret) {
        int e;

        if (len < sizeof(e))
                return -EBADMSG;
        memcpy(&e, payload, sizeof(e));
        if (e > 0 || e < -ERRNO_MAX)
                return -EBADMSG;
        *ret = e;
        return 0;
}

int connection_diag_parse(const void *buf, size_t len, ConnectionRowFn fn, void *userdata) {
        const char *p = buf;

        while (len > 0) {
                struct inet_diag_msg m;
                struct nlmsghdr h;
                size_t n;
                int e = 0, r = 0;

                if (len < sizeof(h))
                        return -EBADMSG;
                memcpy(&h, p, sizeof(h));
                if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len)
                        return -EBADMSG;
                n = h.nlmsg_len - sizeof(h);
                if (h.nlmsg_type == NLMSG_DONE || h.nlmsg_type == NLMSG_ERROR) {
                        r = take_verdict(p + sizeof(h), n, &e);
                        return r < 0 ? r : e < 0 ? e : h.nlmsg_type == NLMSG_DONE ? 1 : -EBADMSG;
                }
                if (h.nlmsg_type == TCPDIAG_GETSOCK) {
                        if (n < sizeof(m))
                                return -EBADMSG;
                        memcpy(&m, p + sizeof(h), sizeof(m)); /* attributes behind it are not asked for */
                        if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
                                return -EBADMSG;
                        take_socket(&m, fn, userdata);
                }
                n = min_of((size_t)NLMSG_ALIGN(h.nlmsg_len), len);
                p += n;
                len -= n;
        }
        return 0;
}

/* ---- asking ---- */

bool connection_diag_sees(int dir_fd) {
        _cleanup_fd_ int ours = rootfs_open(AT_FDCWD, "/proc/self/" TABLE), theirs = rootfs_open(dir_fd, TABLE);
        struct statfs fs;
        struct stat a, b;

        return ours >= 0 && theirs >= 0 && fstatfs(theirs, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
               fstat(ours, &a) == 0 && fstat(theirs, &b) == 0 && a.st_ino == b.st_ino;
}

/* Of each port: not below it, not above it, accepted; else on to the next port. A jump of the last one leads past the
 * end by one instruction, which is how the kernel spells "refused". */
typedef struct PortFilter {
        struct inet_diag_bc_op op[CONNECTION_PORTS_MAX * 5];
        unsigned n;
} PortFilter;

static void filter_build(PortFilter *f, const uint16_t *ports, unsigned n) {
        const unsigned char one = sizeof(struct inet_diag_bc_op);

        f->n = 0;
        for (unsigned i = 0; i < n; i++) {
                unsigned left = n - 1 - i; /* blocks behind this one, the last of them without its jump to the end */

                f->op[f->n++] = (struct inet_diag_bc_op){INET_DIAG_BC_S_GE, 2 * one, 5 * one};
                f->op[f->n++] = (struct inet_diag_bc_op){.no = ports[i]};
                f->op[f->n++] = (struct inet_diag_bc_op){INET_DIAG_BC_S_LE, 2 * one, 3 * one};
                f->op[f->n++] = (struct inet_diag_bc_op){.no = ports[i]};
                if (left > 0)
                        f->op[f->n++] = (struct inet_diag_bc_op){INET_DIAG_BC_JMP, one, (uint16_t)(left * 5 * one)};
        }
}

/* By the first form of the request, because it takes IPv4 and IPv6 in one walk: the kernel looks into each bucket of
 * its hash table, half a million of them on a large machine, and they are the most of the cost. */
static int ask(int fd, unsigned state, const PortFilter *f) {
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        struct {
                struct nlmsghdr h;
                struct inet_diag_req r;
                struct nlattr a;
        } q = {
                .h = {.nlmsg_type = TCPDIAG_GETSOCK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                .r = {.idiag_family = AF_UNSPEC, .idiag_states = 1u << state},
                .a = {.nla_type = INET_DIAG_REQ_BYTECODE},
        };
        size_t code = f->n * sizeof(f->op[0]);
        struct iovec v[] = {{.iov_base = &q, .iov_len = sizeof(q)}, {.iov_base = (void *)f->op, .iov_len = code}};
        struct msghdr m = {.msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = v, .msg_iovlen = 2};

        if (f->n == 0) {
                v[0].iov_len -= sizeof(q.a);
                m.msg_iovlen = 1;
        }
        q.a.nla_len = (uint16_t)(sizeof(q.a) + code);
        q.h.nlmsg_len = (uint32_t)(v[0].iov_len + code);
        return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int connection_diag_open(unsigned state, const uint16_t *ports, unsigned n) {
        _cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
        PortFilter f;
        int r;

        if (fd < 0)
                return -errno;
        filter_build(&f, ports, min_of(n, (unsigned)CONNECTION_PORTS_MAX));
        r = ask(fd, state, &f);
        return r < 0 ? r : take_fd(&fd);
}

int connection_diag_read(int fd, ConnectionRowFn fn, void *userdata) {
        char piece[PIECE_MAX];
        struct sockaddr_nl from = {0};
        struct iovec v = {.iov_base = piece, .iov_len = sizeof(piece)};
        struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1};
        ssize_t n = recvmsg(fd, &m, 0);

        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (from.nl_pid != 0) /* of another process */
                return 0;
        if (n == 0 || m.msg_flags & MSG_TRUNC)
                return -EBADMSG;
        return connection_diag_parse(piece, (size_t)n, fn, userdata);
}
