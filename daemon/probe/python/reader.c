/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/python/reader.h"

#include <stdlib.h>
#include <string.h>

#include "probe/sealed.h"

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

int python_report_read(int fd, PythonReport *ret, const char **ret_why) {
        static const size_t size_max = sizeof(PythonCensus) + PYTHON_TYPES_MAX * sizeof(PythonType);
        _cleanup_free_ void *buf = NULL;
        PythonType *types;
        size_t size, n;
        int r = sealed_read(fd, sizeof(PythonCensus), size_max, &buf, &size, ret_why);

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
