/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/facts.h"

#include <stddef.h>
#include <string.h>

#include "util/rootfs.h"

typedef enum Kind { KIND_CHAR, KIND_U32, KIND_HEX, KIND_KB, KIND_UIDS, KIND_SHSTK, KIND_ADD, KIND_LAST } Kind;

enum { NEED_STATE = 1, NEED_UID = 2, NEED_PENDING = 4, NEED_BLOCKED = 8, NEED_CAUGHT = 16, NEED_ALL = 31 };

typedef struct Row {
        const char *key;
        Kind kind;
        size_t at; /* in Facts */
        unsigned bit;
} Row;

static const Row rows[] = {
        {"State:", KIND_CHAR, offsetof(Facts, state), NEED_STATE},
        {"TracerPid:", KIND_U32, offsetof(Facts, tracer), 0},
        {"NSpid:", KIND_LAST, offsetof(Facts, ns_tid), 0},
        {"Uid:", KIND_UIDS, offsetof(Facts, uid), NEED_UID},
        {"VmRSS:", KIND_KB, offsetof(Facts, rss_bytes), 0},
        {"Threads:", KIND_U32, offsetof(Facts, n_threads), 0},
        {"SigPnd:", KIND_HEX, offsetof(Facts, sig_pending), NEED_PENDING},
        {"ShdPnd:", KIND_HEX, offsetof(Facts, sig_pending_shared), 0},
        {"SigBlk:", KIND_HEX, offsetof(Facts, sig_blocked), NEED_BLOCKED},
        {"SigIgn:", KIND_HEX, offsetof(Facts, sig_ignored), 0},
        {"SigCgt:", KIND_HEX, offsetof(Facts, sig_caught), NEED_CAUGHT},
        {"Seccomp:", KIND_U32, offsetof(Facts, seccomp), 0},
        {"Seccomp_filters:", KIND_U32, offsetof(Facts, seccomp_filters), 0},
        {"x86_Thread_features:", KIND_SHSTK, offsetof(Facts, shadow_stack), 0},
        {"voluntary_ctxt_switches:", KIND_ADD, offsetof(Facts, ctxt_switches), 0},
        {"nonvoluntary_ctxt_switches:", KIND_ADD, offsetof(Facts, ctxt_switches), 0},
};

_Static_assert(sizeof(((Facts *)0)->tracer) == 4 && sizeof(((Facts *)0)->n_threads) == 4 &&
                       sizeof(((Facts *)0)->seccomp) == 4 && sizeof(((Facts *)0)->seccomp_filters) == 4,
               "KIND_U32 writes 4 bytes");

static bool number(const char *s, int base, uint64_t *ret) {
        char *end;

        if (*s == '-' || *s == '+')
                return false;
        errno = 0;
        *ret = strtoull(s, &end, base);
        return end != s && errno == 0;
}

static bool has_word(const char *line, const char *word) {
        const char *hit = strstr(line, word);

        return hit && hit < line + strcspn(line, "\n");
}

static bool take_uids(Facts *f, const char *value) {
        const char *second = value + strcspn(value, "\t\n");
        uint64_t real, effective;

        if (!number(value, 10, &real) || *second != '\t' || !number(second + 1, 10, &effective) || real > UINT32_MAX ||
            effective > UINT32_MAX)
                return false;
        f->uid = (uid_t)real;
        f->euid = (uid_t)effective;
        return true;
}

/* The last of some numbers with blanks between them. */
static bool take_last(pid_t *ret, const char *value) {
        const char *p = value + strcspn(value, "\n");
        uint64_t v;

        while (p > value && p[-1] >= '0' && p[-1] <= '9')
                p--;
        if (!number(p, 10, &v) || v > INT32_MAX)
                return false;
        *ret = (pid_t)v;
        return true;
}

static bool take(Facts *f, const Row *row, const char *value) {
        void *at = (char *)f + row->at;
        uint64_t v;

        if (row->kind == KIND_CHAR) {
                *(char *)at = *value;
                return *value != '\0' && *value != '\n';
        }
        if (row->kind == KIND_SHSTK) {
                *(bool *)at = has_word(value, "shstk");
                return true;
        }
        if (row->kind == KIND_LAST)
                return take_last(at, value);
        if (row->kind == KIND_UIDS)
                return take_uids(f, value);
        if (!number(value, row->kind == KIND_HEX ? 16 : 10, &v) || (row->kind == KIND_U32 && v > INT32_MAX) ||
            (row->kind == KIND_KB && v > UINT64_MAX / 1024))
                return false;
        if (row->kind == KIND_U32)
                *(uint32_t *)at = (uint32_t)v;
        else if (row->kind == KIND_ADD)
                *(uint64_t *)at += v;
        else
                *(uint64_t *)at = row->kind == KIND_KB ? v * 1024 : v;
        if (row->kind == KIND_KB)
                f->rss_known = true;
        return true;
}

int facts_parse(const char *text, Facts *ret) {
        Facts f = {0};
        unsigned have = 0;

        /* Name: comes first and its newlines are escaped by the kernel ("\n"), so a line break is a line break */
        for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                        size_t n = strlen(rows[i].key);

                        if (strncmp(line, rows[i].key, n) != 0)
                                continue;
                        if (!take(&f, &rows[i], line + n + strspn(line + n, " \t")))
                                return -EINVAL;
                        have |= rows[i].bit;
                        break;
                }
        if ((have & NEED_ALL) != NEED_ALL)
                return -EINVAL;
        *ret = f;
        return 0;
}

static int gone(ssize_t r) {
        return r == -ENOENT ? -ESRCH : (int)r;
}

int facts_read(int dir_fd, Facts *ret) {
        _cleanup_fd_ int fd = rootfs_open(dir_fd, "status");

        return fd < 0 ? gone(fd) : facts_pread(fd, ret);
}

int facts_pread(int status_fd, Facts *ret) {
        static char buf[8192]; /* Cpus_allowed and Mems_allowed make it longer than a page on large machines */
        ssize_t n = rootfs_pread(status_fd, buf, sizeof(buf));

        return n < 0 ? gone(n) : facts_parse(buf, ret);
}

int facts_start_ticks(int dir_fd, uint64_t *ret) {
        char buf[1024];
        ssize_t n = rootfs_read(dir_fd, "stat", buf, sizeof(buf));
        const char *p;

        if (n < 0)
                return gone(n);
        p = strrchr(buf, ')'); /* the name may hold anything but its end is the last one */
        if (!p)
                return -EINVAL;
        p++;
        for (int field = 3; field < 22; field++) {
                p += strspn(p, " ");
                p += strcspn(p, " ");
        }
        p += strspn(p, " ");
        return number(p, 10, ret) ? 0 : -EINVAL;
}

bool facts_deliverable(const Facts *f) {
        return ((f->sig_pending | f->sig_pending_shared) & ~f->sig_blocked & ~f->sig_ignored) != 0;
}
