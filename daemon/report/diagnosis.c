/* SPDX-License-Identifier: Apache-2.0 */
#include "report/diagnosis.h"

#include "probe/survey/size-class.h"
#include "report/document.h"
#include "util/format.h"

typedef struct Figures {
        char rss[FORMAT_MAX], free[FORMAT_MAX], trim[FORMAT_MAX], held[FORMAT_MAX], part[FORMAT_MAX], rate[FORMAT_MAX],
                late[FORMAT_MAX];
} Figures;

static void figures(const Verdict *v, const DiagnoseLook *l, Figures *f) {
        uint64_t free_bytes = l->part_bytes[DIAGNOSE_HEAP_FREE];
        bool whole;

        format_bytes(f->rss, l->rss_bytes);
        format_bytes(f->free, free_bytes);
        format_bytes(f->trim, l->trim_bytes);
        format_bytes(f->held, free_bytes > l->trim_bytes ? free_bytes - l->trim_bytes : 0);
        format_bytes(f->part, diagnose_part_bytes(l, v->part, &whole));
        format_rate(f->rate, v->part_bytes_per_s);
        format_rate(f->late, v->late_bytes_per_s);
}

static const char *text_of(DiagnosePart p) {
        static const char *const texts[_DIAGNOSE_PART_MAX] = {
                [DIAGNOSE_HEAP_USED] = "memory that the program holds in malloc's heap",
                [DIAGNOSE_HEAP_FREE] = "memory that is free in malloc's heap",
                [DIAGNOSE_PYTHON] = "Python's own arenas",
                [DIAGNOSE_JAVA] = "the Java heap",
                [DIAGNOSE_PYTHON_FREE] = "memory that is free in Python's own arenas",
                [DIAGNOSE_ALLOCATOR] = "its allocator's memory",
                [DIAGNOSE_ANONYMOUS] = "memory that the program mapped itself",
                [DIAGNOSE_STACKS] = "stacks of threads",
                [DIAGNOSE_FILES] = "mapped files",
                [DIAGNOSE_SHARED] = "shared memory",
                [DIAGNOSE_PAGE_CACHE] = "page cache of its cgroup",
                [DIAGNOSE_TMPFS] = "tmpfs of its cgroup",
                [DIAGNOSE_KERNEL] = "kernel memory of its cgroup",
        };
        return texts[p];
}

static const char *part_text(const Verdict *v, const DiagnoseLook *l) {
        bool whole;

        (void)diagnose_part_bytes(l, v->part, &whole);
        return whole ? "malloc's heap, in use and free" : text_of(v->part);
}

static void say_class(Buf *b, const Verdict *v) {
        char size[FORMAT_MAX], rate[FORMAT_MAX];

        if (v->size_class < 0)
                return;
        buf_addf(b, "; most of it in chunks of %s", format_bytes(size, size_class_start((unsigned)v->size_class)));
        buf_addf(b, " (%s, %.*f of them a second)", format_rate(rate, v->class_bytes_per_s),
                 v->class_n_per_s < 10 ? 2 : 0, v->class_n_per_s);
}

/* Below its bound a heap is filled before anything is collected. */
static void say_java_room(Buf *b, const DiagnoseLook *l, const Figures *f) {
        char max[FORMAT_MAX];

        buf_addf(
                b,
                "the Java heap grows by %s, and is %s of the %s that it may come to: until then its collector need not "
                "run, and growth is no sign of a leak",
                f->rate, f->part, format_bytes(max, l->java_max_bytes));
}

static void say_java_used(Buf *b, const DiagnoseLook *l) {
        char used[FORMAT_MAX], max[FORMAT_MAX];

        if (l->java_used_bytes && l->java_max_bytes)
                buf_addf(b, "; %s of at most %s is used, collections notwithstanding",
                         format_bytes(used, l->java_used_bytes), format_bytes(max, l->java_max_bytes));
}

void diagnosis_sentence(Buf *b, const Verdict *v, const DiagnoseLook *last) {
        Figures f;

        figures(v, last, &f);
        switch (v->kind) {
        case VERDICT_TRIMMABLE:
                buf_addf(b, "%s of the %s that is free in malloc's heap can go back to the system at once", f.trim,
                         f.free);
                break;
        case VERDICT_PINNED:
                if (v->part == DIAGNOSE_PYTHON_FREE) {
                        buf_addf(b,
                                 "%s is free in Python's own arenas, and no trim reaches it: an arena goes back only "
                                 "when the last block in it is freed",
                                 f.part);
                        break;
                }
                buf_addf(b,
                         "%s is free in malloc's heap, but only %s of it can go back: something in use lies on each of "
                         "the other pages",
                         f.free, f.trim);
                break;
        case VERDICT_LIVE_GROWTH:
                buf_addf(b, "%s grows by %s, and is %s now", text_of(v->part), f.rate, f.part);
                if (v->part == DIAGNOSE_JAVA)
                        say_java_used(b, last);
                else
                        say_class(b, v);
                break;
        case VERDICT_WARM_UP:
                if (v->part == DIAGNOSE_JAVA && last->java_max_bytes) {
                        say_java_room(b, last, &f);
                        break;
                }
                buf_addf(b, "%s grew by %s and has slowed down to %s: it comes to its end", text_of(v->part), f.rate,
                         f.late);
                break;
        case VERDICT_FILES:
        case VERDICT_SHARED:
        case VERDICT_STACKS:
                buf_addf(b, "%s: %s", text_of(v->part), f.part);
                if (v->growing)
                        buf_addf(b, ", growing by %s", f.rate);
                break;
        case VERDICT_COPY_ON_WRITE:
                buf_addf(b, "RSS stays, but pages that it shares with another process become its own by %s",
                         format_rate(f.rate, v->uss_bytes_per_s));
                break;
        case VERDICT_STEADY:
                buf_addf(b, "nothing grew, and a trim would give back %s; the most is %s: %s",
                         last->trim_known ? f.trim : "an unknown amount", part_text(v, last), f.part);
                break;
        default:
                buf_addf(b, "%s: %s of %s", part_text(v, last), f.part, f.rss);
                buf_adds(b, v->growing ? "; no one cause outweighs the others"
                                       : "; whether it grows takes a second look");
                break;
        }
}

Advice diagnosis_advice(const Diagnosis *d, pid_t pid) {
        return (Advice){.verdict = &d->verdict,
                        .last = &d->last,
                        .distro = &d->distro,
                        .largest = d->largest,
                        .largest_bytes = d->largest_bytes,
                        .pid = pid};
}

/* ---- JSON ---- */

static void put_line(Json *j, const char *key, bool (*line)(Buf *, const Advice *, const Remedy *), const Advice *a,
                     const Remedy *r) {
        _cleanup_buf_ Buf b = BUF_NULL;

        json_kv_string(j, key, line(&b, a, r) ? buf_str(&b) : NULL);
}

void document_remedies(Json *j, const Advice *a) {
        json_key(j, "remedies");
        json_array_begin(j);
        for (size_t i = 0; i < VERDICT_REMEDIES_MAX && a->verdict->remedies[i].kind != REMEDY_NONE; i++) {
                const Remedy *r = &a->verdict->remedies[i];
                _cleanup_buf_ Buf text = BUF_NULL;

                advice_text(&text, a, r);
                json_object_begin(j);
                json_kv_string(j, "kind", remedy_name(r->kind));
                json_kv_u64_or_null(j, "gain_bytes", r->gain_bytes > 0, r->gain_bytes);
                json_kv_u64_or_null(j, "need_bytes", r->need_bytes > 0, r->need_bytes);
                json_kv_string(j, "text", buf_str(&text));
                put_line(j, "install", advice_install, a, r);
                put_line(j, "command", advice_command, a, r);
                json_object_end(j);
        }
        json_array_end(j);
}

static void put_rate(Json *j, const char *key, bool known, double v) {
        json_key(j, key);
        if (known)
                json_double(j, v);
        else
                json_nil(j);
}

void document_diagnosis(Json *j, const Diagnosis *d, pid_t pid) {
        const Advice advice = d ? diagnosis_advice(d, pid) : (Advice){0};
        _cleanup_buf_ Buf text = BUF_NULL;
        const Verdict *v = d ? &d->verdict : NULL;

        json_key(j, "diagnosis");
        if (!d) {
                json_nil(j);
                return;
        }
        diagnosis_sentence(&text, v, &d->last);
        json_object_begin(j);
        json_kv_string(j, "kind", verdict_name(v->kind));
        json_kv_double(j, "confidence", v->confidence);
        json_kv_string(j, "part", diagnose_part_name(v->part));
        json_kv_string(j, "text", buf_str(&text));
        document_remedies(j, &advice);
        put_rate(j, "part_bytes_per_s", v->growing, v->part_bytes_per_s);
        put_rate(j, "rss_bytes_per_s", v->growing, v->rss_bytes_per_s);
        json_kv_u64_or_null(j, "size_class_bytes", v->size_class >= 0,
                            v->size_class >= 0 ? size_class_start((unsigned)v->size_class) : 0);
        json_kv_u64_or_null(j, "in_use_bytes", d->heap_known, d->in_use_bytes);
        json_kv_u64_or_null(j, "free_bytes", d->heap_known, d->free_bytes);
        json_kv_u64_or_null(j, "pinned_bytes", d->heap_known, d->pinned_bytes);
        json_kv_u64_or_null(j, "trimmable_bytes", d->trim_known, d->trimmable_bytes);
        json_kv_u64(j, "looks", d->n_looks);
        document_seconds(j, "span_s", d->span_usec);
        document_time(j, "time", d->time_real_usec);
        document_seconds(j, "survey_duration_s", d->duration_usec);
        document_seconds(j, "survey_cpu_s", d->cpu_usec);
        json_object_end(j);
}
