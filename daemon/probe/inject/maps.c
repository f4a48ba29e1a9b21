/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/maps.h"

#include <fcntl.h>
#include <string.h>

#define LINE_MAX_BYTES (PATH_MAX * 4 + 256) /* a path with every byte escaped as \ooo */

static bool parse_hex(const char **p, char end, uint64_t *ret) {
        uint64_t v = 0;
        const char *s = *p;
        int digits = 0;

        for (;; s++, digits++) {
                unsigned d;

                if (*s >= '0' && *s <= '9')
                        d = (unsigned)(*s - '0');
                else if (*s >= 'a' && *s <= 'f')
                        d = (unsigned)(*s - 'a') + 10;
                else
                        break;
                if (digits == 16)
                        return false;
                v = v << 4 | d;
        }
        if (digits == 0 || *s != end)
                return false;
        *p = s + 1;
        *ret = v;
        return true;
}

static bool parse_dec(const char **p, uint64_t *ret) {
        uint64_t v = 0;
        const char *s = *p;

        if (*s < '0' || *s > '9')
                return false;
        for (; *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
                        return false;
        *p = s;
        *ret = v;
        return true;
}

int maps_parse_line(const char *line, Map *ret, const char **ret_path) {
        static const char letters[] = "rwxs";
        uint64_t major, minor;
        const char *p = line;
        Map m = {0};

        if (!parse_hex(&p, '-', &m.start) || !parse_hex(&p, ' ', &m.end) || m.start >= m.end)
                return -EINVAL;
        for (int i = 0; i < 4; i++, p++) {
                if (*p == letters[i])
                        m.prot |= (uint8_t)(1 << i);
                else if (*p != '-' && !(i == 3 && *p == 'p'))
                        return -EINVAL;
        }
        if (*p++ != ' ' || !parse_hex(&p, ' ', &m.offset) || !parse_hex(&p, ':', &major) ||
            !parse_hex(&p, ' ', &minor) || !parse_dec(&p, &m.inode) || major > UINT32_MAX || minor > UINT32_MAX)
                return -EINVAL;
        m.dev_major = (uint32_t)major;
        m.dev_minor = (uint32_t)minor;
        *ret_path = p + strspn(p, " ");
        *ret = m;
        return 0;
}

void maps_done(Maps *m) {
        free(m->map);
        free(m->paths);
        *m = MAPS_NULL;
}

static int grow(void **p, size_t *cap, size_t want, size_t item) {
        size_t next = *cap ? *cap : 256;
        void *q;

        if (want <= *cap)
                return 0;
        while (next < want)
                next *= 2;
        q = realloc(*p, next * item);
        if (!q)
                return -ENOMEM;
        *p = q;
        *cap = next;
        return 0;
}

/* The maps of one file follow each other, so comparing with the last path keeps nearly every path once. */
static int intern_path(Maps *m, const char *path, uint32_t *ret) {
        const char *last = m->n ? m->paths + m->map[m->n - 1].path : NULL;
        size_t len = strlen(path) + 1;
        int r;

        if (*path == '\0' && m->paths_len > 0) {
                *ret = 0;
                return 0;
        }
        if (last && strcmp(last, path) == 0) {
                *ret = m->map[m->n - 1].path;
                return 0;
        }
        if (m->paths_len + len > UINT32_MAX)
                return -E2BIG;
        r = grow((void **)&m->paths, &m->paths_cap, m->paths_len + len, 1);
        if (r < 0)
                return r;
        memcpy(m->paths + m->paths_len, path, len);
        *ret = (uint32_t)m->paths_len;
        m->paths_len += len;
        return 0;
}

static int add_line(Maps *m, const char *line) {
        const char *path;
        Map map;
        int r = maps_parse_line(line, &map, &path);

        if (r < 0)
                return r;
        if (m->n && map.start < m->map[m->n - 1].end)
                return -EINVAL;
        if (m->n == MAPS_MAX)
                return -E2BIG;
        r = intern_path(m, path, &map.path);
        if (r == 0)
                r = grow((void **)&m->map, &m->map_cap, m->n + 1, sizeof(Map));
        if (r == 0)
                m->map[m->n++] = map;
        return r;
}

/* The whole lines of @buf, which has @have bytes and room for one more. Return: bytes used; negative errno. */
static ssize_t add_lines(Maps *m, char *buf, size_t have) {
        char *line = buf, *nl;

        while ((nl = memchr(line, '\n', have - (size_t)(line - buf)))) {
                int r;

                *nl = '\0';
                r = add_line(m, line);
                if (r < 0)
                        return r;
                line = nl + 1;
        }
        return line - buf;
}

/* @have: bytes that are left over: half a line. */
static int finish(Maps *m, size_t have, Maps *ret) {
        if (have > 0 || m->n == 0)
                return have > 0 ? -EINVAL : -ESRCH; /* a kernel thread or a process that is going has no maps */
        *ret = *m;
        *m = MAPS_NULL;
        return 0;
}

static int begin(Maps *m) {
        uint32_t empty;

        return intern_path(m, "", &empty);
}

int maps_parse(const char *text, size_t n, Maps *ret) {
        _cleanup_(maps_done) Maps m = MAPS_NULL;
        _cleanup_free_ char *copy = malloc(n + 1);
        ssize_t used;
        int r = copy ? begin(&m) : -ENOMEM;

        if (r < 0)
                return r;
        memcpy(copy, text, n);
        copy[n] = '\0';
        used = add_lines(&m, copy, n);
        return used < 0 ? (int)used : finish(&m, n - (size_t)used, ret);
}

static int read_once(int proc_pid_fd, Maps *ret) {
        _cleanup_(maps_done) Maps m = MAPS_NULL;
        _cleanup_fd_ int fd = openat(proc_pid_fd, "maps", O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *buf = malloc(LINE_MAX_BYTES * 2);
        size_t have = 0;
        int r;

        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        r = buf ? begin(&m) : -ENOMEM;
        if (r < 0)
                return r;
        for (;;) {
                ssize_t n = read(fd, buf + have, LINE_MAX_BYTES * 2 - 1 - have);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                have += (size_t)n;
                n = add_lines(&m, buf, have);
                if (n < 0)
                        return (int)n;
                have -= (size_t)n;
                memmove(buf, buf + n, have);
                if (have >= LINE_MAX_BYTES)
                        return -EINVAL;
        }
        return finish(&m, have, ret);
}

/* The file is made page by page, under the lock for each alone: between two of them the process may map and unmap, so
 * that one map appears twice or overlaps another. Such a reading is no snapshot of anything. */
int maps_read(int proc_pid_fd, Maps *ret) {
        int r = -EINVAL;

        for (int tries = 0; tries < 8 && r == -EINVAL; tries++)
                r = read_once(proc_pid_fd, ret);
        return r == -EINVAL ? -EAGAIN : r;
}

const Map *maps_find(const Maps *m, uint64_t addr) {
        size_t lo = 0, hi = m->n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (addr >= m->map[mid].end)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < m->n && addr >= m->map[lo].start ? &m->map[lo] : NULL;
}

const char *maps_path(const Maps *m, const Map *map) {
        return m->paths + map->path;
}

uint64_t maps_hole(const Maps *m, uint32_t low32) {
        uint64_t best = 0, best_len = 0;

        for (size_t i = 0; i + 1 < m->n; i++) {
                uint64_t from = m->map[i].end, len = m->map[i + 1].start - from;

                if (m->map[i + 1].start >= 1ULL << 47)
                        break; /* vsyscall's page and kernel space: beyond TASK_SIZE with 4-level tables */
                if (len > best_len) {
                        best = from;
                        best_len = len;
                }
        }
        if (best_len < (16ULL << 30))
                return 0;
        return ((best + best_len / 2) & ~0xffffffffULL) | low32;
}
