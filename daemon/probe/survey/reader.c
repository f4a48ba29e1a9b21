/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/reader.h"

#include <stdlib.h>
#include <string.h>

#include "probe/sealed.h"

#define BYTES_MAX   (1ULL << 56)
#define FLAGS_KNOWN (2u * SURVEY_HAVE_JAVA - 1)

/* Stretches of the struct that hold nothing but uint64_t figures, from the first to the one behind the last. */
static const struct {
        size_t from, to;
} figures[] = {
        {offsetof(Survey, begin_usec), offsetof(Survey, allocator)},
        {offsetof(Survey, rss_bytes), offsetof(Survey, thresholds_fixed)},
        {offsetof(Survey, heap.n_used), offsetof(Survey, heap.trim_known)},
        {offsetof(Survey, heap.pages_full), offsetof(Survey, python)},
        {offsetof(Survey, python.arenas), offsetof(Survey, arenas)},
};

static bool are_figures(const void *from, size_t bytes) {
        for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
                uint64_t v;

                memcpy(&v, (const char *)from + at, sizeof(v));
                if (v > BYTES_MAX)
                        return false;
        }
        return true;
}

static bool ends(const char *s, size_t size) {
        return memchr(s, 0, size) != NULL;
}

static const char *check_parts(const Survey *s) {
        uint64_t rss = 0;

        for (uint32_t i = 0; i < s->n_parts; i++) {
                const Part *p = &s->parts[i];

                if (p->kind >= _PART_MAX || !ends(p->name, sizeof(p->name)) || !are_figures(p, offsetof(Part, kind)))
                        return "a part of it is none";
                rss += p->rss_bytes;
        }
        return s->n_parts < SURVEY_PARTS_MAX && rss != s->rss_bytes ? "its parts do not add up" : NULL;
}

const char *survey_check(const Survey *s) {
        if (s->magic != SURVEY_MAGIC || s->size != sizeof(*s))
                return "it is not of this version's layout";
        if (s->flags & ~FLAGS_KNOWN || s->n_parts > SURVEY_PARTS_MAX || s->n_arenas_told > SURVEY_ARENAS_MAX)
                return "it says what nobody can mean";
        if (!ends(s->allocator, sizeof(s->allocator)) || !ends(s->layout, sizeof(s->layout)) ||
            !ends(s->python.version, sizeof(s->python.version)))
                return "a name does not end";
        if (!distro_check(&s->distro))
                return "its distribution is none";
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                if (!are_figures((const char *)s + figures[i].from, figures[i].to - figures[i].from))
                        return "a figure is beyond any memory";
        for (uint32_t i = 0; i < s->n_arenas_told; i++)
                if (!are_figures(&s->arenas[i].system_bytes,
                                 offsetof(SurveyArena, n_attached) - offsetof(SurveyArena, system_bytes)))
                        return "an arena's figure is beyond any memory";
        return check_parts(s);
}

int survey_read(int fd, Survey **ret, const char **ret_why) {
        _cleanup_free_ void *buf = NULL;
        size_t size;
        int r = sealed_read(fd, sizeof(Survey), sizeof(Survey), &buf, &size, ret_why);

        if (r < 0)
                return r;
        *ret_why = survey_check(buf);
        if (*ret_why)
                return -EBADMSG;
        *ret = buf;
        buf = NULL;
        return 0;
}
