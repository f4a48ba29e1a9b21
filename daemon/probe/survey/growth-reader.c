/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/growth-reader.h"

#include <stdlib.h>
#include <string.h>

#include "probe/sealed.h"

#define BYTES_MAX   (1ULL << 56)
#define FLAGS_KNOWN (2u * GROWTH_OUT_OF_TIME - 1)
#define CHARS_KNOWN (2u * GROWTH_CHARS_ON - 1)

_Static_assert(sizeof(Growth) % 8 == 0 && sizeof(GrowthMap) % 8 == 0 && sizeof(GrowthThread) % 8 == 0 &&
                       sizeof(GrowthSample) % 8 == 0,
               "they lie one behind the other");

static bool ends(const char *s, size_t size) {
        return memchr(s, 0, size) != NULL;
}

static const char *check_head(const Growth *g) {
        if (g->magic != GROWTH_MAGIC || g->size != sizeof(*g))
                return "it is not of this version's layout";
        if (g->flags & ~FLAGS_KNOWN || g->n_maps > GROWTH_MAPS_MAX || g->n_threads > GROWTH_THREADS_MAX ||
            g->n_samples > GROWTH_SAMPLES_ALL)
                return "it says what nobody can mean";
        if (g->begin_usec > BYTES_MAX || g->duration_usec > BYTES_MAX || g->cpu_usec > BYTES_MAX ||
            g->one_in > BYTES_MAX || g->n_torn > BYTES_MAX)
                return "a figure is beyond any memory";
        return NULL;
}

static const char *check_maps(const GrowthMap *m, uint32_t n) {
        uint64_t bytes = 0;

        for (uint32_t i = 0; i < n; i++) {
                if (m[i].kind >= _PART_MAX || !ends(m[i].name, sizeof(m[i].name)) || m[i].rss_bytes > BYTES_MAX ||
                    m[i].swap_bytes > BYTES_MAX)
                        return "a mapping of it is none";
                if (m[i].start >= m[i].end || (i > 0 && m[i].start < m[i - 1].end))
                        return "its mappings are not in order";
                bytes += m[i].rss_bytes;
        }
        return bytes > BYTES_MAX ? "its mappings hold more than any memory" : NULL;
}

static const char *check_threads(const GrowthThread *t, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                if (t[i].tid <= 0 || !ends(t[i].comm, sizeof(t[i].comm)) || t[i].stack_rss_bytes > BYTES_MAX ||
                    t[i].flags & ~(uint32_t)(GROWTH_THREAD_STACK | GROWTH_THREAD_ARENA))
                        return "a thread of it is none";
        return NULL;
}

static const char *check_samples(const GrowthSample *s, uint32_t n) {
        for (uint32_t i = 0; i < n; i++) {
                if (s[i].class > UINT8_MAX || s[i].n_content > GROWTH_CONTENT_BYTES || s[i].size_bytes > BYTES_MAX ||
                    !ends(s[i].python_type, sizeof(s[i].python_type)))
                        return "a sample of it is none";
                for (size_t w = 0; w < GROWTH_WORDS; w++)
                        if (s[i].words[w].kind >= _GROWTH_WORD_MAX || s[i].words[w].chars & ~CHARS_KNOWN ||
                            !ends(s[i].words[w].symbol, GROWTH_SYMBOL_MAX) ||
                            !ends(s[i].words[w].object, GROWTH_OBJECT_MAX))
                                return "a word of a sample is none";
        }
        return NULL;
}

/* Where the parts lie in @buf. */
static void split(const void *buf, GrowthReport *ret) {
        const char *at = (const char *)buf + sizeof(Growth);

        memcpy(&ret->head, buf, sizeof(ret->head));
        ret->maps = (void *)(uintptr_t)at;
        ret->threads = (void *)(uintptr_t)(at += ret->head.n_maps * sizeof(GrowthMap));
        ret->samples = (void *)(uintptr_t)(at + ret->head.n_threads * sizeof(GrowthThread));
}

const char *growth_check(const void *buf, size_t size) {
        GrowthReport r;
        const char *why;

        if (size < sizeof(Growth))
                return "it is too short";
        memcpy(&r.head, buf, sizeof(r.head));
        why = check_head(&r.head);
        if (why)
                return why;
        if (size != sizeof(Growth) + r.head.n_maps * sizeof(GrowthMap) + r.head.n_threads * sizeof(GrowthThread) +
                            r.head.n_samples * sizeof(GrowthSample))
                return "its size is not what its counts say";
        split(buf, &r);
        why = check_maps(r.maps, r.head.n_maps);
        if (!why)
                why = check_threads(r.threads, r.head.n_threads);
        return why ? why : check_samples(r.samples, r.head.n_samples);
}

int growth_report_read(int fd, GrowthReport *ret, const char **ret_why) {
        static const size_t size_max = sizeof(Growth) + GROWTH_MAPS_MAX * sizeof(GrowthMap) +
                                       GROWTH_THREADS_MAX * sizeof(GrowthThread) +
                                       GROWTH_SAMPLES_ALL * sizeof(GrowthSample);
        _cleanup_free_ void *buf = NULL;
        GrowthReport all;
        size_t size;
        int r = sealed_read(fd, sizeof(Growth), size_max, &buf, &size, ret_why);

        if (r < 0)
                return r;
        *ret_why = growth_check(buf, size);
        if (*ret_why)
                return -EBADMSG;
        split(buf, &all);
        /* the mappings lie first, so their pointer, less the head, is what is freed; all of it moves in front */
        memmove(buf, (char *)buf + sizeof(Growth), size - sizeof(Growth));
        all.maps = buf;
        buf = NULL;
        all.threads = (void *)((char *)all.maps + all.head.n_maps * sizeof(GrowthMap));
        all.samples = (void *)((char *)all.threads + all.head.n_threads * sizeof(GrowthThread));
        *ret = all;
        return 0;
}

void growth_report_done(GrowthReport *r) {
        free(r->maps);
        *r = GROWTH_REPORT_NULL;
}
