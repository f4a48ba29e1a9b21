/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-look.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sample/status.h"
#include "util/rootfs.h"
#include "util/scan.h"

#define MAPS_BYTES_MAX (32u << 20)          /* 65,530 mappings, the default limit, of 500 bytes */
#define MAPS_LINE_MAX  (PATH_MAX * 4 + 128) /* a path may be written with an escape of four bytes for each */
/* The names of dynamic symbols lie at the begin of the file: at 23 KB in OpenJDK 17 and 24 KB in 25. */
#define LIBJVM_BYTES_MAX  (8u << 20)
#define OPTIONS_BYTES_MAX (2u << 20) /* class paths are long; a single argument has up to 128 KiB */
#define NEEDLE_MAX        64
#define TASKS_MAX         1024 /* the thread is one of the first twenty or so; readdir gives them by age */

static const char deleted[] = " (deleted)";

static const char *const malloc_names[] = {"jemalloc", "tcmalloc", "mimalloc", "snmalloc",
                                           "rpmalloc", "libhoard", "libscudo", "libltalloc"};

static bool is_named(const char *name, size_t n, const char *wanted) {
        return n == strlen(wanted) && memcmp(name, wanted, n) == 0;
}

static bool begins(const char *name, size_t n, const char *with) {
        return n >= strlen(with) && memcmp(name, with, strlen(with)) == 0;
}

/* "start-end perms offset dev inode path": behind the fifth field; NULL when there is no path. */
static const char *path_of(const char *line, const char *end, bool *ret_exec) {
        const char *p = line;

        for (int field = 0; field < 5; field++) {
                const char *from = p;

                while (p < end && *p != ' ')
                        p++;
                if (field == 1)
                        *ret_exec = p - from == 4 && from[2] == 'x';
                while (p < end && *p == ' ')
                        p++;
        }
        return p < end && *p == '/' ? p : NULL;
}

static void note_libjvm(JvmLook *look, const char *path, size_t n, bool replaced) {
        look->has_libjvm = true;
        look->replaced = replaced;
        if (n >= sizeof(look->libjvm))
                n = 0; /* then it cannot be opened, and there is no signal */
        memcpy(look->libjvm, path, n);
        look->libjvm[n] = '\0';
}

void jvm_look_line(JvmLook *look, const char *line, size_t n) {
        const char *end = line + n, *path, *name;
        bool exec = false, is_deleted;
        size_t length;

        path = path_of(line, end, &exec);
        if (!path || !exec)
                return;
        length = (size_t)(end - path);
        is_deleted =
                length > sizeof(deleted) - 1 && memcmp(end - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1) == 0;
        if (is_deleted)
                length -= sizeof(deleted) - 1;
        name = (const char *)memrchr(path, '/', length) + 1;
        n = (size_t)(path + length - name);
        if (is_named(name, n, "libjvm.so"))
                note_libjvm(look, path, length, is_deleted);
        look->has_j9 |= begins(name, n, "libj9");
        look->has_glibc |= is_named(name, n, "libc.so.6") || begins(name, n, "libc-2.");
        for (size_t i = 0; i < ELEMENTSOF(malloc_names); i++)
                if (memmem(name, n, malloc_names[i], strlen(malloc_names[i])))
                        snprintf(look->other_malloc, sizeof(look->other_malloc), "%.*s", (int)n, name);
}

/* Whole lines of @buf; what is left is moved to its begin. Return: how much that is. */
static size_t take_lines(JvmLook *look, char *buf, size_t n, bool *skip) {
        char *p = buf, *end = buf + n, *newline;

        for (; (newline = memchr(p, '\n', (size_t)(end - p))); p = newline + 1) {
                if (!*skip)
                        jvm_look_line(look, p, (size_t)(newline - p));
                *skip = false;
        }
        n = (size_t)(end - p);
        if (n == MAPS_LINE_MAX) { /* no path is that long */
                *skip = true;
                n = 0;
        }
        memmove(buf, p, n);
        return n;
}

int jvm_look_maps(int maps_fd, JvmLook *ret) {
        char buf[MAPS_LINE_MAX];
        JvmLook look = {0};
        size_t have = 0, total = 0;
        bool skip = false;
        ssize_t n;

        while ((n = read(maps_fd, buf + have, sizeof(buf) - have)) > 0) {
                total += (size_t)n;
                if (total > MAPS_BYTES_MAX)
                        return -E2BIG;
                have = take_lines(&look, buf, have + (size_t)n, &skip);
        }
        if (n < 0)
                return -errno;
        *ret = look;
        return 0;
}

static const char *behind(const char *text, const char *key) {
        const char *line = strstr(text, key);

        return line ? line + strlen(key) : NULL;
}

/* The second of four numbers, the effective one. */
static bool effective(const char *p, uint64_t *ret) {
        uint64_t real;

        if (!p)
                return false;
        const char *end = p + strlen(p);
        return scan_u64(&p, end, &real) && (p = scan_blanks(p, end), scan_u64(&p, end, ret)) && *ret <= UINT32_MAX;
}

int jvm_look_facts(int proc_pid_fd, JvmFacts *ret) {
        ProcStatus st = PROC_STATUS_NULL;
        char text[16384];
        ssize_t n = rootfs_read(proc_pid_fd, "status", text, sizeof(text));
        const char *caught;
        uint64_t uid, gid;
        size_t used;

        if (n < 0)
                return n == -ENOENT ? -ESRCH : (int)n;
        (void)status_parse(text, (size_t)n, &st, &used);
        caught = behind(text, "\nSigCgt:\t");
        if (!caught || !effective(behind(text, "\nUid:\t"), &uid) || !effective(behind(text, "\nGid:\t"), &gid) ||
            !(st.have & STATUS_STATE))
                return -EBADMSG;
        *ret = (JvmFacts){
                .state = st.state,
                .euid = (uid_t)uid,
                .egid = (gid_t)gid,
                .ns_pid = st.have & STATUS_NSPID ? st.ns_pid : 0,
                .sig_caught = strtoull(caught, NULL, 16),
                .rss_bytes = st.rss_bytes,
                .rss_known = st.have & STATUS_RSS,
        };
        return 0;
}

/* Does one of @needles stand in what is left of @fd, @max bytes of it at most? Return: 0, 1; negative errno. */
static int find_text(int fd, const char *const needles[], size_t n_needles, size_t max) {
        char buf[NEEDLE_MAX + 32768];
        size_t have = 0, total = 0;
        ssize_t n;

        while (total < max && (n = read(fd, buf + have, sizeof(buf) - have)) != 0) {
                if (n < 0)
                        return -errno;
                total += (size_t)n;
                have += (size_t)n;
                for (size_t i = 0; i < n_needles; i++)
                        if (memmem(buf, have, needles[i], strlen(needles[i])))
                                return 1;
                if (have > NEEDLE_MAX) { /* one that is cut by the end of what was read begins in here */
                        memmove(buf, buf + have - NEEDLE_MAX, NEEDLE_MAX);
                        have = NEEDLE_MAX;
                }
        }
        return 0;
}

int jvm_look_open(int root_fd, const char *path, int flags) {
        struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        int fd;

        while (*path == '/')
                path++;
        fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how)); /* Linux 5.6 */
        if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* EPERM: a seccomp filter that does not know it */
                fd = openat(root_fd, path, flags | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

/* The table by which debuggers read a HotSpot JVM; OpenJ9 and a file that is merely named so have none. */
static bool is_hotspot(int root_fd, const JvmLook *look) {
        static const char *const symbol[] = {"gHotSpotVMStructs"};
        _cleanup_fd_ int fd = look->replaced || !*look->libjvm
                                      ? -1
                                      : jvm_look_open(root_fd, look->libjvm, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && find_text(fd, symbol, 1, LIBJVM_BYTES_MAX) == 1;
}

static bool is_dispatcher(int tasks_fd, const char *tid) {
        char path[32], comm[20];
        ssize_t n;

        if (*tid < '1' || *tid > '9' || snprintf(path, sizeof(path), "%.16s/comm", tid) >= (int)sizeof(path))
                return false;
        n = rootfs_read(tasks_fd, path, comm, sizeof(comm));
        return n > 0 && strcmp(comm, "Signal Dispatch\n") == 0; /* "Signal Dispatcher", cut at TASK_COMM_LEN */
}

/* With -Xrs there is none, and nobody handles the signal. */
static bool has_dispatcher(int proc_pid_fd) {
        _cleanup_fd_ int fd = rootfs_open_dir(proc_pid_fd, "task");
        _Alignas(struct dirent64) char buf[8192];
        unsigned looks = 0;
        ssize_t n;

        if (fd < 0)
                return false;
        while ((n = getdents64(fd, buf, sizeof(buf))) > 0)
                for (ssize_t at = 0; at < n;) {
                        const struct dirent64 *d = (const struct dirent64 *)(buf + at);

                        if (is_dispatcher(fd, d->d_name))
                                return true;
                        if (++looks > TASKS_MAX)
                                return false;
                        at += d->d_reclen;
                }
        return false;
}

bool jvm_look_may_signal(int proc_pid_fd, int root_fd, int env_fd, const JvmLook *look, const char **why) {
        static const char *const options[] = {"+DisableAttachMechanism", "-Xrs", "+ReduceSignalUsage"};
        _cleanup_fd_ int cmdline_fd = rootfs_open(proc_pid_fd, "cmdline");
        JvmFacts facts;

        if (jvm_look_facts(proc_pid_fd, &facts) < 0 || !(facts.sig_caught >> (SIGQUIT - 1) & 1))
                *why = "its attach listener sleeps, and it does not handle SIGQUIT";
        else if (find_text(cmdline_fd, options, ELEMENTSOF(options), OPTIONS_BYTES_MAX) != 0 ||
                 (env_fd >= 0 && find_text(env_fd, options, ELEMENTSOF(options), OPTIONS_BYTES_MAX) != 0))
                *why = "its attach listener sleeps, and its options do not let it be woken";
        else if (!has_dispatcher(proc_pid_fd))
                *why = "its attach listener sleeps, and it has no thread that waits for SIGQUIT";
        else if (!is_hotspot(root_fd, look))
                *why = "its attach listener sleeps, and its libjvm.so cannot be shown to be HotSpot's";
        else
                return true;
        return false;
}
