/* SPDX-License-Identifier: Apache-2.0 */
#include "looks.h"

#include <stdlib.h>
#include <string.h>

#include "action/look.h"
#include "probe/survey/reader.h"
#include "util/clock.h"

#define MIDDLE (LOOKS_MAX / 2) /* what is the first once the older ones are dropped */

struct LooksSizes {
        DiagnoseClass first[DIAGNOSE_CLASSES], middle[DIAGNOSE_CLASSES], last[DIAGNOSE_CLASSES];
};

void looks_reset(Looks *l) {
        *l = (Looks){.pending = l->pending, .sizes = l->sizes};
}

void looks_done(Looks *l) {
        free(l->sizes);
        *l = (Looks){0};
}

bool looks_due(const Looks *l, uint64_t now_usec, uint64_t interval_usec) {
        uint64_t gone = now_usec > l->asked_usec ? now_usec - l->asked_usec : 0;

        return !l->pending && (l->asked_usec == 0 || gone >= max_of(interval_usec, l->rest_usec));
}

/* Room for one more: the older half goes. A verdict is then of half the time, and never of days. */
static void drop_older(Looks *l) {
        if (l->n < LOOKS_MAX)
                return;
        memmove(l->look, l->look + MIDDLE, (LOOKS_MAX - MIDDLE) * sizeof(l->look[0]));
        memcpy(l->sizes->first, l->sizes->middle, sizeof(l->sizes->first));
        l->n = LOOKS_MAX - MIDDLE;
        l->look[0].classes = l->middle_known ? l->sizes->first : NULL;
}

/* Sizes of a heap that was not read whole would look like growth, or like its end. */
static void add(Looks *l, const Survey *s, const Sample *sample, bool own_group) {
        bool whole = s->flags & SURVEY_HEAP_COMPLETE;
        DiagnoseClass *classes;

        drop_older(l);
        classes = l->n == 0 ? l->sizes->first : l->n == MIDDLE ? l->sizes->middle : l->sizes->last;
        for (unsigned i = 1; i < l->n; i++)
                l->look[i].classes = NULL;
        look_make(s, own_group ? sample : NULL, classes, &l->look[l->n]);
        l->look[l->n].usage_bytes = sample->usage_bytes;
        if (!whole)
                l->look[l->n].classes = NULL;
        if (l->n == MIDDLE)
                l->middle_known = whole;
        l->n++;
}

static void judge(Looks *l, const Survey *s, const Sample *sample) {
        Diagnosis *d = &l->diagnosis;
        const Part *largest;

        *d = (Diagnosis){
                .n_looks = l->n,
                .span_usec = l->look[l->n - 1].time_usec - l->look[0].time_usec,
                .time_real_usec = now_real_usec(),
                .time_usec = s->begin_usec,
                .duration_usec = s->duration_usec,
                .cpu_usec = s->cpu_usec,
                .heap_known = (s->flags & SURVEY_HAVE_HEAP) && (s->flags & SURVEY_HEAP_COMPLETE),
                .in_use_bytes = s->in_use_bytes,
                .free_bytes = s->free_bytes,
                .pinned_bytes = s->heap.pinned_bytes,
                .last = *diagnose_last(&(DiagnoseInput){l->look, l->n, sample->limit_bytes}),
        };
        d->distro = s->distro;
        d->trim_known = look_prediction(s, &d->trimmable_bytes);
        d->last.classes = NULL;
        diagnose(&(DiagnoseInput){l->look, l->n, sample->limit_bytes}, &d->verdict);
        largest = advice_largest(s, d->verdict.part);
        if (largest) {
                memcpy(d->largest, largest->name, sizeof(d->largest));
                d->largest_bytes = largest->rss_bytes;
        }
}

int looks_take(Looks *l, int fd, const Sample *sample, bool own_group, double budget_ratio, const char **ret_why) {
        _cleanup_free_ Survey *s = NULL;
        int r;

        if (!l->sizes)
                l->sizes = calloc(1, sizeof(*l->sizes));
        *ret_why = "out of memory";
        r = l->sizes ? survey_read(fd, &s, ret_why) : -ENOMEM;
        if (r == 0 && l->n > 0 && s->begin_usec < l->look[l->n - 1].time_usec) {
                *ret_why = "it is older than the last one";
                r = -EBADMSG;
        }
        if (r == 0 && !(s->flags & SURVEY_HAVE_PARTS)) {
                *ret_why = "it says nothing of where memory is";
                r = -ENODATA;
        }
        if (r < 0)
                return r;
        l->rest_usec = (uint64_t)((double)min_of(s->cpu_usec, (uint64_t)USEC_PER_HOUR) / budget_ratio);
        add(l, s, sample, own_group);
        judge(l, s, sample);
        return 0;
}
