/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/reader.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) /* memfd_create(2): Linux 3.17 */
#define FLAGS_KNOWN (2u * PYTHON_HAVE_THREADS - 1)
/* More than any 64-bit process maps (128 TiB of 16-byte objects at the least), and small enough that the sum over all
 * types cannot overflow. */
#define COUNT_MAX (1ULL << 47)

_Static_assert(_Alignof(PythonType) <= _Alignof(PythonCensus) && sizeof(PythonCensus) % _Alignof(PythonType) == 0,
               "the types lie right behind the census");

void python_report_done(PythonReport *r) {
        free(r->types);
        *r = PYTHON_REPORT_NULL;
}

static bool is_count(const PythonCount *c) {
        return c->n_objects <= COUNT_MAX && c->bytes <= COUNT_MAX;
}

static const char *check_census(const PythonCensus *c) {
        const PythonCount *counts[] = {&c->all, &c->others, &c->bytes, &c->bytearrays, &c->strings};

        if (c->magic != PYTHON_CENSUS_MAGIC || c->size != sizeof(*c))
                return "it is not of this version's layout";
        if (!memchr(c->version, 0, sizeof(c->version)) || !c->version[0])
                return "it names no interpreter";
        if (c->mode >= _PYTHON_MODE_MAX || c->flags & ~FLAGS_KNOWN || c->n_types > PYTHON_TYPES_MAX ||
            c->sample_every == 0)
                return "it says what nobody can mean";
        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                if (!is_count(counts[i]))
                        return "a count is beyond any memory";
        for (size_t i = 0; i < PYTHON_GENERATIONS; i++)
                if (!is_count(&c->generations[i]))
                        return "a count is beyond any memory";
        return NULL;
}

const char *python_report_check(const void *buf, size_t size) {
        const PythonType *types = (const void *)((const char *)buf + sizeof(PythonCensus));
        const PythonCensus *c = buf;
        const char *why;

        if (size < sizeof(*c))
                return "it is too short";
        why = check_census(c);
        if (why)
                return why;
        if (size != sizeof(*c) + c->n_types * sizeof(*types))
                return "its size is not what its count of types says";
        for (uint32_t i = 0; i < c->n_types; i++) {
                if (!memchr(types[i].name, 0, sizeof(types[i].name)))
                        return "a name does not end";
                if (!is_count(&types[i].count))
                        return "a count is beyond any memory";
        }
        return NULL;
}

static int read_whole(int fd, void *buf, size_t size) {
        for (size_t at = 0; at < size;) {
                ssize_t n = pread(fd, (char *)buf + at, size - at, (off_t)at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                at += (size_t)n;
        }
        return 0;
}

int python_report_read(int fd, PythonReport *ret, const char **ret_why) {
        static const size_t size_max = sizeof(PythonCensus) + PYTHON_TYPES_MAX * sizeof(PythonType);
        _cleanup_free_ void *buf = NULL;
        PythonType *types;
        struct stat st;
        size_t size, n;
        int r;

        *ret_why = "it is no sealed memory file";
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
                return -EBADMSG;
        *ret_why = "its size is impossible";
        if (st.st_size < (off_t)sizeof(PythonCensus) || st.st_size > (off_t)size_max)
                return -EBADMSG;
        size = (size_t)st.st_size;
        buf = malloc(size);
        if (!buf)
                return -ENOMEM;
        r = read_whole(fd, buf, size);
        if (r < 0)
                return r;
        *ret_why = python_report_check(buf, size);
        if (*ret_why)
                return -EBADMSG;
        n = size - sizeof(PythonCensus);
        types = malloc(n ? n : 1);
        if (!types)
                return -ENOMEM;
        memcpy(types, (char *)buf + sizeof(PythonCensus), n);
        memcpy(&ret->census, buf, sizeof(ret->census));
        ret->types = types;
        return 0;
}
