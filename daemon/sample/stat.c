/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/stat.h"

#include "util/rootfs.h"
#include "util/scan.h"

/* include/linux/sched.h; the value has not changed since 2.6.27 */
#define PF_KTHREAD 0x00200000u

enum { /* field numbers of proc_pid_stat(5) */
        FIELD_STATE = 3,
        FIELD_PPID = 4,
        FIELD_FLAGS = 9,
        FIELD_START_TIME = 22,
        FIELD_START_STACK = 28,
        FIELD_LAST = 28,
};

/* Step behind one number and the blank or newline behind it. Only a few fields may be negative, and none of ours. */
static bool next_number(const char **p, const char *end, bool *ret_negative, uint64_t *ret) {
        bool negative = *p < end && **p == '-';

        if (negative)
                (*p)++;
        if (!scan_u64(p, end, ret) || *p == end || (**p != ' ' && **p != '\n'))
                return false;
        (*p)++;
        *ret_negative = negative;
        return true;
}

static bool is_wanted(unsigned field) {
        return field == FIELD_PPID || field == FIELD_FLAGS || field == FIELD_START_TIME || field == FIELD_START_STACK;
}

/* @p stands behind "state ". */
static bool parse_numbers(const char *p, const char *end, ProcStat *st) {
        for (unsigned field = FIELD_PPID; field <= FIELD_LAST; field++) {
                bool negative;
                uint64_t v;

                if (!next_number(&p, end, &negative, &v) || (negative && is_wanted(field)))
                        return false;
                if (field == FIELD_PPID) {
                        if (v > INT32_MAX)
                                return false;
                        st->ppid = (pid_t)v;
                } else if (field == FIELD_FLAGS)
                        st->is_kernel_thread = v & PF_KTHREAD;
                else if (field == FIELD_START_TIME)
                        st->start_ticks = v;
                else if (field == FIELD_START_STACK)
                        st->start_stack = v;
        }
        return true;
}

static bool is_letter(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int stat_parse(const char *buf, size_t len, ProcStat *ret) {
        const char *p = buf, *end = buf + len, *close;
        ProcStat st = {0};
        uint64_t pid;
        size_t n;

        if (len == 0 || end[-1] != '\n' || !scan_u64(&p, end, &pid) || pid == 0 || pid > INT32_MAX)
                return -EBADMSG;
        if (end - p < 2 || p[0] != ' ' || p[1] != '(')
                return -EBADMSG;
        p += 2;
        close = memrchr(p, ')', (size_t)(end - p));
        if (!close || end - close < 5 || close[1] != ' ' || close[3] != ' ' || !is_letter(close[2]))
                return -EBADMSG;
        n = min_of((size_t)(close - p), (size_t)STAT_COMM_MAX);
        if (memchr(p, '\0', n))
                return -EBADMSG;
        memcpy(st.comm, p, n);
        st.pid = (pid_t)pid;
        st.state = close[2];
        if (!parse_numbers(close + 4, end, &st))
                return -EBADMSG;
        *ret = st;
        return 0;
}

int stat_read(int dir_fd, const char *path, ProcStat *ret) {
        char buf[1024]; /* 52 numbers of at most 20 digits would be 1.1 KiB; in practice 200-400 bytes */
        ssize_t n = rootfs_read(dir_fd, path, buf, sizeof(buf));

        return n < 0 ? (int)n : stat_parse(buf, (size_t)n, ret);
}

int statm_parse(const char *buf, size_t len, ProcStatm *ret) {
        const char *p = buf, *end = buf + len;
        uint64_t v[4];

        for (size_t i = 0; i < ELEMENTSOF(v); i++) {
                bool negative;

                if (!next_number(&p, end, &negative, &v[i]) || negative)
                        return -EBADMSG;
        }
        *ret = (ProcStatm){.size_pages = v[0], .resident_pages = v[1], .text_pages = v[3]};
        return 0;
}

int statm_read(int fd, ProcStatm *ret) {
        char buf[256];
        ssize_t n;

        do
                n = pread(fd, buf, sizeof(buf), 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return n == 0 ? -ESRCH : statm_parse(buf, (size_t)n, ret);
}
