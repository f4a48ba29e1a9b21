/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/status.h"

#include "util/scan.h"

typedef bool (*TakeFn)(const char *p, const char *end, void *field);

/* Numbers that the kernel prints as %d or %u and that are ids or counts: never above INT32_MAX but for a uid. */
static bool take_u32(const char *p, const char *end, void *field) {
        uint64_t v;

        p = scan_blanks(p, end);
        if (!scan_u64(&p, end, &v) || v > UINT32_MAX || p != end)
                return false;
        *(uint32_t *)field = (uint32_t)v;
        return true;
}

static bool take_pid(const char *p, const char *end, void *field) {
        uint32_t v;

        if (!take_u32(p, end, &v) || v > INT32_MAX)
                return false;
        *(pid_t *)field = (pid_t)v;
        return true;
}

/* "Uid: real effective saved fs" */
static bool take_uid(const char *p, const char *end, void *field) {
        uint64_t v;

        p = scan_blanks(p, end);
        if (!scan_u64(&p, end, &v) || v > UINT32_MAX || p == end || *p != '\t')
                return false;
        *(uid_t *)field = (uid_t)v;
        return true;
}

/* "NSpid: outermost ... innermost" */
static bool take_last_pid(const char *p, const char *end, void *field) {
        const char *last = end;

        while (last > p && last[-1] >= '0' && last[-1] <= '9')
                last--;
        return take_pid(last, end, field);
}

static bool take_state(const char *p, const char *end, void *field) {
        p = scan_blanks(p, end);
        if (end - p < 3 || p[1] != ' ' || p[2] != '(')
                return false;
        *(char *)field = *p;
        return true;
}

/* The kernel escapes newline and backslash, and only these, in this file (proc_task_name(), fs/proc/array.c). */
static bool take_name(const char *p, const char *end, void *field) {
        char *out = field;
        size_t n = 0;

        if (p < end && *p == '\t')
                p++;
        for (; p < end && n < STATUS_NAME_MAX; p++) {
                char c = *p;

                if (c == '\0')
                        return false;
                if (c == '\\' && p + 1 < end && (p[1] == 'n' || p[1] == '\\')) {
                        p++;
                        c = *p == 'n' ? '\n' : '\\';
                }
                out[n++] = c;
        }
        out[n] = '\0';
        return true;
}

static bool take_kib(const char *p, const char *end, void *field) {
        return scan_kib(p, end, field);
}

typedef struct StatusKey {
        const char *key;
        uint8_t len;
        uint8_t offset;
        uint32_t bit;
        TakeFn take;
} StatusKey;

#define KEY(k, b, fn, field) {k ":", sizeof(k), offsetof(ProcStatus, field), b, fn}

_Static_assert(offsetof(ProcStatus, n_threads) <= UINT8_MAX, "StatusKey.offset holds every offset");

/* In the kernel's order, so that a key is mostly found where the last one left off. */
static const StatusKey keys[] = {
        KEY("Name", STATUS_NAME, take_name, name),
        KEY("State", STATUS_STATE, take_state, state),
        KEY("Tgid", STATUS_TGID, take_pid, tgid),
        KEY("Pid", STATUS_PID, take_pid, pid),
        KEY("PPid", STATUS_PPID, take_pid, ppid),
        KEY("Uid", STATUS_UID, take_uid, uid),
        KEY("NSpid", STATUS_NSPID, take_last_pid, ns_pid),
        KEY("VmPeak", STATUS_PEAK, take_kib, peak_bytes),
        KEY("VmSize", STATUS_SIZE, take_kib, size_bytes),
        KEY("VmHWM", STATUS_HWM, take_kib, hwm_bytes),
        KEY("VmRSS", STATUS_RSS, take_kib, rss_bytes),
        KEY("RssAnon", STATUS_ANON, take_kib, anon_bytes),
        KEY("RssFile", STATUS_FILE, take_kib, file_bytes),
        KEY("RssShmem", STATUS_SHMEM, take_kib, shmem_bytes),
        KEY("VmExe", STATUS_EXE, take_kib, exe_bytes),
        KEY("VmPTE", STATUS_PTE, take_kib, pte_bytes),
        KEY("VmSwap", STATUS_SWAP, take_kib, swap_bytes),
        KEY("Threads", STATUS_THREADS, take_u32, n_threads),
};

static const StatusKey *find_key(const char *line, size_t len) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (line[0] == keys[i].key[0] && len >= keys[i].len && memcmp(line, keys[i].key, keys[i].len) == 0)
                        return &keys[i];
        return NULL;
}

bool status_parse(const char *buf, size_t len, ProcStatus *st, size_t *ret_used) {
        const char *line = buf, *end = buf + len, *next;

        for (; line < end && (next = scan_line_end(line, end)); line = next + 1) {
                const StatusKey *k = find_key(line, (size_t)(next - line));

                if (!k || (st->seen & k->bit))
                        continue;
                st->seen |= k->bit;
                if (k->take(line + k->len, next, (char *)st + k->offset))
                        st->have |= k->bit;
                if (k->bit == STATUS_THREADS) {
                        *ret_used = (size_t)(next + 1 - buf);
                        return true;
                }
        }
        *ret_used = (size_t)(line - buf);
        return false;
}

int status_read(int fd, ProcStatus *ret) {
        char buf[4096]; /* 1.3-2.5 KiB in practice; the Groups line, before the figures, has up to 65,536 numbers */
        ProcStatus st = PROC_STATUS_NULL;
        size_t kept = 0, used;
        off_t offset = 0;

        for (;;) {
                ssize_t n = pread(fd, buf + kept, sizeof(buf) - kept, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                offset += n;
                kept += (size_t)n;
                if (status_parse(buf, kept, &st, &used))
                        break;
                kept -= used;
                if (kept == sizeof(buf)) /* one line fills the buffer: none of ours. Its end must not look like a key */
                        kept = 1, buf[0] = '-';
                else
                        memmove(buf, buf + used, kept);
        }
        if (st.seen == 0)
                return -ESRCH; /* an empty file is not what the kernel prints of a process */
        *ret = st;
        return 0;
}
