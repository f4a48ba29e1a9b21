/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/diagnose.h"

#include <math.h>
#include <string.h>

#include "diagnose/java.h"
#include "util/cleanup.h"

#define MIB (1024.0 * 1024)

/* What is less than this is noise: a program's own breathing, or the reader's. */
static const double GROWTH_MIN_BYTES = 0.5 * MIB, GROWTH_MIN_OF_RSS = 0.002;
static const double VAGUE_MIN_BYTES = MIB, VAGUE_MIN_OF_RSS = 0.01; /* less, and it is over or unclear: never mind */
static const double TRIM_MIN_BYTES = 8 * MIB, TRIM_MIN_OF_RSS = 0.10;
static const double PINNED_MIN_BYTES = 16 * MIB, PINNED_MIN_OF_RSS = 0.25;
static const double DOMINANT = 0.5;       /* share of all growth, or of RSS, that makes one part the cause */
static const double LATE_OF_WHOLE = 0.35; /* a growth that has slowed down to this is a warm-up */
static const double FALL_OF_GROWTH = 0.3; /* what falls back deeper from one look to the next is a saw ... */
static const double FALL_OF_STEADY = 0.1; /* ... and has no end that could be told, if it is deeper than this */
static const double JAVA_SURE = 0.7;      /* garbage that was promoted looks live until all is collected */
static const double NEAR_LIMIT = 0.9;
static const double HEADROOM = 1.25;
static const uint64_t ARENAS_FEW = 2;                    /* what MALLOC_ARENA_MAX=2 would leave */
static const uint64_t MMAP_THRESHOLD_BYTES = 128 * 1024; /* malloc's own at the start */

static const VerdictKind kind_of_part[_DIAGNOSE_PART_MAX] = {
        [DIAGNOSE_HEAP_USED] = VERDICT_LIVE_GROWTH, [DIAGNOSE_HEAP_FREE] = VERDICT_PINNED,
        [DIAGNOSE_JAVA] = VERDICT_LIVE_GROWTH,      [DIAGNOSE_PYTHON_FREE] = VERDICT_PINNED,
        [DIAGNOSE_PYTHON] = VERDICT_LIVE_GROWTH,    [DIAGNOSE_ALLOCATOR] = VERDICT_LIVE_GROWTH,
        [DIAGNOSE_ANONYMOUS] = VERDICT_LIVE_GROWTH, [DIAGNOSE_STACKS] = VERDICT_STACKS,
        [DIAGNOSE_FILES] = VERDICT_FILES,           [DIAGNOSE_SHARED] = VERDICT_SHARED,
        [DIAGNOSE_PAGE_CACHE] = VERDICT_FILES,      [DIAGNOSE_TMPFS] = VERDICT_SHARED,
        [DIAGNOSE_KERNEL] = VERDICT_UNKNOWN,
};

/* An allocator's memory: what is in use, and what it holds beside that. HEAP_USED: none. */
static const DiagnosePart free_of[_DIAGNOSE_PART_MAX] = {
        [DIAGNOSE_HEAP_USED] = DIAGNOSE_HEAP_FREE,
        [DIAGNOSE_PYTHON] = DIAGNOSE_PYTHON_FREE,
};

/* Beyond RSS: they count against the cgroup's limit alone. */
static bool is_of_cgroup(DiagnosePart p) {
        return p == DIAGNOSE_PAGE_CACHE || p == DIAGNOSE_TMPFS || p == DIAGNOSE_KERNEL;
}

typedef double (*FigureFn)(const DiagnoseLook *l, unsigned which);

static double figure_rss(const DiagnoseLook *l, unsigned which _unused_) {
        return (double)l->rss_bytes;
}

static double figure_uss(const DiagnoseLook *l, unsigned which _unused_) {
        return (double)l->uss_bytes;
}

static double figure_part(const DiagnoseLook *l, unsigned which) {
        return (double)l->part_bytes[which];
}

/* What an allocator has, in use and free. */
static double figure_held(const DiagnoseLook *l, unsigned used) {
        return figure_part(l, used) + figure_part(l, free_of[used]);
}

static double seconds(const DiagnoseLook *from, const DiagnoseLook *to) {
        return (double)(to->time_usec - from->time_usec) / 1e6;
}

/* Slope by least squares over looks [from, n); 0 when there is no time between them. @ret_noise: what is left around
 * the line, root mean square. */
static double slope(const DiagnoseInput *in, size_t from, FigureFn fn, unsigned which, double *ret_noise) {
        double n = (double)(in->n - from), st = 0, sv = 0, stt = 0, stv = 0, svv = 0, mean, b, rest;

        for (size_t i = from; i < in->n; i++) {
                double t = seconds(&in->looks[from], &in->looks[i]), v = fn(&in->looks[i], which);

                st += t;
                sv += v;
                stt += t * t;
                stv += t * v;
        }
        if (stt * n - st * st <= 0)
                return 0;
        b = (n * stv - st * sv) / (n * stt - st * st);
        mean = (sv - b * st) / n;
        for (size_t i = from; i < in->n; i++) {
                rest = fn(&in->looks[i], which) - mean - b * seconds(&in->looks[from], &in->looks[i]);
                svv += rest * rest;
        }
        if (ret_noise)
                *ret_noise = sqrt(svv / n);
        return b;
}

/* The deepest fall from one look to the next. */
static double deepest_fall(const DiagnoseInput *in, FigureFn fn, unsigned which) {
        double fall = 0;

        for (size_t i = 1; i < in->n; i++)
                fall = fmax(fall, fn(&in->looks[i - 1], which) - fn(&in->looks[i], which));
        return fall;
}

/* The least slope, in its own standard errors, that chance makes of no growth in one of 200: Student's t at 0.995, by
 * degrees of freedom. */
static double least_t(size_t n) {
        static const double t[] = {63.66, 9.92, 5.84, 4.60, 4.03, 3.71, 3.50, 3.36, 3.25, 3.17};
        size_t freedom = n - 2;

        return freedom <= ELEMENTSOF(t) ? t[freedom - 1] : 3.11;
}

/* Is a slope more than what falls and rises around it? @noise: around the line. */
static bool is_beyond_noise(const DiagnoseInput *in, double slope_per_s, double noise) {
        double n = (double)in->n, st = 0, stt = 0;

        if (in->n < 3)
                return true;
        for (size_t i = 0; i < in->n; i++) {
                double t = seconds(&in->looks[0], &in->looks[i]);

                st += t;
                stt += t * t;
        }
        return fabs(slope_per_s) * sqrt(stt - st * st / n) > least_t(in->n) * noise * sqrt(n / (n - 2));
}

/* What a figure grew by over the whole time; 0 when that is within its own noise, or when it falls back on its way: of
 * a saw no slope over few teeth means anything, unless it stands out from them. */
static double growth(const DiagnoseInput *in, FigureFn fn, unsigned which) {
        double noise = 0, span = seconds(&in->looks[0], &in->looks[in->n - 1]);
        double b = slope(in, 0, fn, which, &noise), g = b * span;

        if (fabs(g) > 2 * noise && deepest_fall(in, fn, which) < FALL_OF_GROWTH * fabs(g))
                return g;
        return is_beyond_noise(in, b, noise) ? g : 0;
}

/* What a trim would give back, by the last look that knew it; -1: none did. */
static double known_trim(const DiagnoseInput *in) {
        for (size_t i = in->n; i > 0; i--)
                if (in->looks[i - 1].trim_known)
                        return (double)in->looks[i - 1].trim_bytes;
        return -1;
}

/* What a trim would give back more than at the first look that knew it; where only one did, all of it. */
static double grown_trim(const DiagnoseInput *in) {
        for (size_t i = 0; i < in->n; i++)
                if (in->looks[i].trim_known) {
                        size_t last = in->n - 1;

                        while (last > i && !in->looks[last].trim_known)
                                last--;
                        return (double)in->looks[last].trim_bytes - (last > i ? (double)in->looks[i].trim_bytes : 0);
                }
        return -1;
}

/* So many bytes, or so much of RSS. */
static double least(const DiagnoseInput *in, double bytes, double of_rss) {
        return fmax(bytes, of_rss * (double)in->looks[in->n - 1].rss_bytes);
}

static double growth_min(const DiagnoseInput *in) {
        return least(in, GROWTH_MIN_BYTES, GROWTH_MIN_OF_RSS);
}

static uint32_t known_in_all(const DiagnoseInput *in) {
        uint32_t known = UINT32_MAX;

        for (size_t i = 0; i < in->n; i++)
                known &= in->looks[i].known;
        return known;
}

/* The first look of the last third of the time. */
static size_t late_from(const DiagnoseInput *in) {
        double span = seconds(&in->looks[0], &in->looks[in->n - 1]);
        size_t i = in->n - 1;

        while (i > 0 && seconds(&in->looks[i], &in->looks[in->n - 1]) < span / 3)
                i--;
        return i;
}

/* ---- the size that leaks */

static void find_class(const DiagnoseInput *in, Verdict *v) {
        const DiagnoseLook *a = &in->looks[0], *b = &in->looks[in->n - 1];
        double span = seconds(a, b), all = 0, best = 0;

        if (!a->classes || !b->classes || span <= 0)
                return;
        for (int i = 0; i < DIAGNOSE_CLASSES; i++) {
                double d = (double)b->classes[i].used_bytes - (double)a->classes[i].used_bytes;

                all += fmax(d, 0);
                if (d > best) {
                        best = d;
                        v->size_class = i;
                }
        }
        if (best < GROWTH_MIN_BYTES / 2 || best < DOMINANT * all) {
                v->size_class = -1;
                return;
        }
        v->class_bytes_per_s = best / span;
        v->class_n_per_s = ((double)b->classes[v->size_class].n_used - (double)a->classes[v->size_class].n_used) / span;
}

/* ---- growth */

typedef struct Grown {
        double all, best;
        DiagnosePart part;
        FigureFn figure; /* whose end is the growth's end, of @which */
        unsigned which;
        bool unsure; /* that it is this part, and not its other half */
} Grown;

static void add_grown(Grown *g, DiagnosePart part, double bytes, FigureFn figure, unsigned which, bool unsure) {
        if (bytes <= 0)
                return;
        g->all += bytes;
        if (bytes > g->best)
                *g = (Grown){g->all, bytes, part, figure, which, unsure};
}

/* Which share of what an allocator's memory grew by is in use? By regression: where the program's use is a saw, what is
 * in use at a look is chance, but what it has is not. @ret_error: one standard error of it. */
static double share_in_use(const DiagnoseInput *in, unsigned used, double *ret_error) {
        double n = (double)in->n, su = 0, sh = 0, suu = 0, shh = 0, suh = 0, share;

        for (size_t i = 0; i < in->n; i++) { /* from the first on, or the squares lose the little that grows */
                double u = figure_part(&in->looks[i], used) - figure_part(&in->looks[0], used);
                double h = figure_held(&in->looks[i], used) - figure_held(&in->looks[0], used);

                su += u;
                sh += h;
                suu += u * u;
                shh += h * h;
                suh += u * h;
        }
        suu -= su * su / n;
        shh -= sh * sh / n;
        suh -= su * sh / n;
        share = suh / shh;
        *ret_error = in->n > 2 ? sqrt(fmax(suu - share * suh, 0) / (n - 2) / shh) : 0;
        return share;
}

/* An allocator whose memory grows: in use, or held in vain? Return: false: it does not grow as a whole. */
static bool add_held(const DiagnoseInput *in, DiagnosePart used, Grown *g) {
        double grown = growth(in, figure_held, used), share, error;
        bool unsure;

        if (grown < growth_min(in))
                return false;
        share = share_in_use(in, used, &error);
        unsure = fabs(share - 0.5) <= error;
        share = fmin(fmax(share, 0), 1);
        add_grown(g, used, share * grown, figure_held, used, unsure);
        add_grown(g, free_of[used], (1 - share) * grown, figure_held, used, unsure);
        return true;
}

/* The parts that grow: of RSS, or those that the cgroup alone counts. */
static Grown grown_parts(const DiagnoseInput *in, bool of_cgroup) {
        uint32_t known = known_in_all(in);
        Grown ret = {0};

        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++)
                if (is_of_cgroup((DiagnosePart)p) != of_cgroup)
                        known &= ~(1u << p);
        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++) {
                uint32_t both = 1u << p | 1u << free_of[p];

                if (free_of[p] && (known & both) == both && add_held(in, (DiagnosePart)p, &ret))
                        known &= ~both;
        }
        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++)
                if (known >> p & 1)
                        add_grown(&ret, (DiagnosePart)p, growth(in, figure_part, p), figure_part, p, false);
        return ret;
}

/* What leaks fills what is free first: RSS stays as it is, until that is used up. */
static bool fills_free(const DiagnoseInput *in, const Grown *g) {
        return free_of[g->part] && (known_in_all(in) >> free_of[g->part] & 1) &&
               growth(in, figure_part, free_of[g->part]) < -DOMINANT * g->best;
}

/* Has the growth come to its end? A saw's last third says nothing of that. */
static bool has_ended(const DiagnoseInput *in, const Grown *g) {
        return in->n > 2 &&
               slope(in, late_from(in), g->figure, g->which, NULL) <
                       LATE_OF_WHOLE * slope(in, 0, g->figure, g->which, NULL) &&
               deepest_fall(in, g->figure, g->which) < FALL_OF_STEADY * growth(in, g->figure, g->which);
}

/* Free memory that grows: is it to be had back? */
static VerdictKind kind_of_free(const DiagnoseInput *in, double grown) {
        if (known_trim(in) < 0)
                return VERDICT_UNKNOWN; /* free it is, but whether it can go back is not known */
        return grown_trim(in) > DOMINANT * grown ? VERDICT_TRIMMABLE : VERDICT_PINNED;
}

/* What explains a growth: memory of the process itself, else what its cgroup counts beyond that. Return: false: none,
 * and @ret is as it was. */
static bool judge_growth(const DiagnoseInput *in, bool of_cgroup, Verdict *ret) {
        Grown g = grown_parts(in, of_cgroup);
        bool little = g.best < least(in, VAGUE_MIN_BYTES, VAGUE_MIN_OF_RSS);
        double min = growth_min(in);
        Verdict v = *ret;

        /* memory that malloc gave out and nobody touched is not in RSS, and no problem */
        if (g.best < min || (!of_cgroup && growth(in, figure_rss, 0) < min && !fills_free(in, &g)) ||
            (g.unsure && little))
                return false;
        v.part = g.part;
        v.kind = kind_of_part[g.part];
        v.confidence = g.best / g.all;
        v.part_bytes_per_s = slope(in, 0, figure_part, g.part, NULL);
        if (in->n > 2)
                v.late_bytes_per_s = slope(in, late_from(in), figure_part, g.part, NULL);
        if (g.part == DIAGNOSE_HEAP_FREE)
                v.kind = kind_of_free(in, g.best);
        else if (!of_cgroup && g.part != DIAGNOSE_PYTHON_FREE && has_ended(in, &g)) {
                if (little)
                        return false;
                v.kind = VERDICT_WARM_UP;
        }
        if (v.kind == VERDICT_LIVE_GROWTH && g.part == DIAGNOSE_JAVA) {
                v.kind = java_has_room(in, min) ? VERDICT_WARM_UP : v.kind;
                v.confidence *= JAVA_SURE;
        }
        if (g.best < DOMINANT * g.all || g.unsure)
                v.kind = VERDICT_UNKNOWN;
        if (g.part == DIAGNOSE_ALLOCATOR)
                v.confidence *= 0.5; /* in use and free are not told apart there */
        if (in->n < 3)
                v.confidence *= 0.8;
        *ret = v;
        return true;
}

/* Pages of a fork become its own while RSS stays. */
static bool copies_grow(const DiagnoseInput *in, const Verdict *v) {
        double copied = growth(in, figure_uss, 0);

        return v->growing && copied >= growth_min(in) && v->rss_bytes_per_s < DOMINANT * v->uss_bytes_per_s;
}

/* ---- what is there */

uint64_t diagnose_part_bytes(const DiagnoseLook *l, DiagnosePart p, bool *ret_whole) {
        *ret_whole = p == DIAGNOSE_HEAP_USED && !(l->known >> p & 1);
        return l->part_bytes[p] + (*ret_whole ? l->part_bytes[DIAGNOSE_HEAP_FREE] : 0);
}

static DiagnosePart largest_part(const DiagnoseLook *l) {
        DiagnosePart best = DIAGNOSE_HEAP_USED;
        bool whole;
        uint64_t bytes = diagnose_part_bytes(l, best, &whole);

        for (unsigned p = 0; p < _DIAGNOSE_PART_MAX; p++)
                if ((l->known >> p & 1) && !is_of_cgroup((DiagnosePart)p) && l->part_bytes[p] > bytes) {
                        best = (DiagnosePart)p;
                        bytes = l->part_bytes[p];
                }
        return best;
}

static void judge_state(const DiagnoseInput *in, Verdict *v) {
        const DiagnoseLook *l = &in->looks[in->n - 1];
        double rss = (double)l->rss_bytes, trim = known_trim(in);
        double free_bytes = l->known >> DIAGNOSE_HEAP_FREE & 1 ? (double)l->part_bytes[DIAGNOSE_HEAP_FREE] : 0;
        double held = trim >= 0 ? free_bytes - trim : 0, pinned = fmax(PINNED_MIN_BYTES, PINNED_MIN_OF_RSS * rss);
        double python = l->known >> DIAGNOSE_PYTHON_FREE & 1 ? (double)l->part_bytes[DIAGNOSE_PYTHON_FREE] : 0;

        v->part = largest_part(l);
        if (trim >= fmax(TRIM_MIN_BYTES, TRIM_MIN_OF_RSS * rss)) {
                v->kind = VERDICT_TRIMMABLE;
                v->part = DIAGNOSE_HEAP_FREE;
                v->confidence = 0.95;
        } else if (held >= pinned || python >= pinned) {
                v->kind = VERDICT_PINNED;
                v->part = python > held ? DIAGNOSE_PYTHON_FREE : DIAGNOSE_HEAP_FREE;
                v->confidence = 0.9;
        } else if (copies_grow(in, v)) {
                v->kind = VERDICT_COPY_ON_WRITE;
                v->confidence = 0.7;
        } else if (in->n > 1 && growth(in, figure_rss, 0) >= least(in, VAGUE_MIN_BYTES, VAGUE_MIN_OF_RSS)) {
                v->kind = VERDICT_UNKNOWN; /* it grows, where could not be told */
        } else if (in->n > 1) {
                v->kind = VERDICT_STEADY;
                v->confidence = 0.8;
        } else if ((double)l->part_bytes[v->part] >= DOMINANT * rss && kind_of_part[v->part] != VERDICT_LIVE_GROWTH) {
                v->kind = kind_of_part[v->part];
                v->confidence = 0.6;
        } /* that something in use grows takes a second look */
        if (!l->heap_complete)
                v->confidence *= 0.7;
}

/* ---- remedies */

static void add_remedy(Verdict *v, RemedyKind kind, double gain) {
        for (size_t i = 0; i < VERDICT_REMEDIES_MAX; i++)
                if (v->remedies[i].kind == REMEDY_NONE) {
                        v->remedies[i] = (Remedy){.kind = kind, .gain_bytes = gain > 0 ? (uint64_t)gain : 0};
                        return;
                }
}

/* malloc raises the size from which a chunk is a mapping of its own to the largest such chunk that was freed, up to 32
 * MiB (mallopt(3), M_MMAP_THRESHOLD; glibc 2.5): what is below then stays in the heap when it is freed. */
static double gain_of_threshold(const DiagnoseLook *l) {
        double large = fmin((double)l->large_free_bytes, (double)l->part_bytes[DIAGNOSE_HEAP_FREE]);

        if (l->mmap_threshold_bytes <= MMAP_THRESHOLD_BYTES ||
            large < fmax(PINNED_MIN_BYTES, DOMINANT * (double)l->part_bytes[DIAGNOSE_HEAP_FREE]))
                return 0;
        return large;
}

static void advise_heap(const DiagnoseLook *l, double trim, Verdict *v) {
        double arenas = (double)l->arena_free_bytes, held = (double)l->part_bytes[DIAGNOSE_HEAP_FREE] - trim;

        /* What grows as holes between what lives does so in one arena as well: of tests/targets/pusher's fragmentation
         * two arenas took a tenth off, jemalloc two thirds. What stands still was left behind by as many arenas. */
        bool holes_grow = v->growing && v->part == DIAGNOSE_HEAP_FREE && v->part_bytes_per_s > 0;

        if (!holes_grow && l->n_arenas > ARENAS_FEW && arenas >= DOMINANT * (double)l->part_bytes[DIAGNOSE_HEAP_FREE])
                add_remedy(v, REMEDY_ARENA_MAX, arenas * (1 - (double)ARENAS_FEW / (double)l->n_arenas));
        if (gain_of_threshold(l) > 0)
                add_remedy(v, REMEDY_MMAP_THRESHOLD, gain_of_threshold(l));
        if (held >= PINNED_MIN_BYTES)
                add_remedy(v, REMEDY_OTHER_MALLOC, held);
}

static double used(const DiagnoseLook *l) {
        return (double)(l->usage_bytes ? l->usage_bytes : l->rss_bytes);
}

/* The least it was seen with, what a trim gives taken off: if that is close to the limit, nothing else helps. */
static void advise_limit(const DiagnoseInput *in, Verdict *v) {
        double floor_bytes = INFINITY, limit = (double)in->limit_bytes;

        for (size_t i = 0; i < in->n; i++)
                floor_bytes =
                        fmin(floor_bytes,
                             used(&in->looks[i]) - (in->looks[i].trim_known ? (double)in->looks[i].trim_bytes : 0));
        if (!(limit > 0) || floor_bytes <= NEAR_LIMIT * limit)
                return;
        add_remedy(v, REMEDY_LIMIT, 0);
        for (size_t i = 0; i < VERDICT_REMEDIES_MAX; i++)
                if (v->remedies[i].kind == REMEDY_LIMIT) {
                        v->remedies[i].floor_bytes = (uint64_t)floor_bytes;
                        v->remedies[i].need_bytes = (uint64_t)(HEADROOM * floor_bytes);
                }
}

/* A heap that grows to its bound is no leak, but may be too much. */
static void advise_java(const DiagnoseInput *in, Verdict *v) {
        const DiagnoseLook *l = &in->looks[in->n - 1];
        double bound = java_bound(l, used(l));

        if (v->kind != VERDICT_WARM_UP || v->part != DIAGNOSE_JAVA || in->limit_bytes == 0 ||
            bound <= (double)in->limit_bytes)
                return;
        for (size_t i = 0; i < VERDICT_REMEDIES_MAX; i++)
                if (v->remedies[i].kind == REMEDY_NONE) {
                        v->remedies[i] = (Remedy){.kind = REMEDY_JAVA_MAX, .need_bytes = (uint64_t)bound};
                        return;
                }
}

static void advise(const DiagnoseInput *in, Verdict *v) {
        const DiagnoseLook *l = &in->looks[in->n - 1];
        double trim = fmax(known_trim(in), 0);
        bool heap = v->kind == VERDICT_PINNED || v->kind == VERDICT_TRIMMABLE;
        /* a trim comes first, as it is had at once; but what is pinned is not cured by the little that is not */
        bool late = v->kind == VERDICT_PINNED && trim < TRIM_MIN_OF_RSS * (double)l->rss_bytes;

        if (trim >= TRIM_MIN_BYTES && !late)
                add_remedy(v, REMEDY_RECLAIM, trim);
        if (trim >= TRIM_MIN_BYTES && l->never_decays)
                add_remedy(v, REMEDY_DECAY, trim);
        if (v->kind == VERDICT_PINNED && v->part == DIAGNOSE_PYTHON_FREE)
                add_remedy(v, REMEDY_PYTHON_MALLOC, (double)l->part_bytes[DIAGNOSE_PYTHON_FREE]);
        if (heap && !l->other_malloc)
                advise_heap(l, trim, v);
        if (trim >= TRIM_MIN_BYTES && late)
                add_remedy(v, REMEDY_RECLAIM, trim);
        if (v->kind == VERDICT_LIVE_GROWTH)
                add_remedy(v, REMEDY_FIX_LEAK, 0);
        if (v->kind == VERDICT_STACKS)
                add_remedy(v, REMEDY_THREADS, 0);
        if (v->kind == VERDICT_FILES || v->kind == VERDICT_SHARED)
                add_remedy(v, REMEDY_FILES, (double)l->part_bytes[v->part]);
        advise_java(in, v);
        if (v->kind == VERDICT_STEADY || v->kind == VERDICT_WARM_UP)
                advise_limit(in, v);
}

static unsigned n_known(const DiagnoseLook *l) {
        return (unsigned)__builtin_popcount(l->known);
}

/* Looks that say less than others would make their parts unknown in all of them: they are left out, where most are not.
 * @room: DIAGNOSE_LOOKS_MAX. Return: the looks to judge, @in's own or those in @room. */
static DiagnoseInput whole_looks(const DiagnoseInput *in, DiagnoseLook *room) {
        unsigned most = 0;
        size_t n = 0;

        for (size_t i = 0; i < in->n; i++)
                most = n_known(&in->looks[i]) > most ? n_known(&in->looks[i]) : most;
        for (size_t i = 0; i < in->n && n < DIAGNOSE_LOOKS_MAX; i++)
                if (n_known(&in->looks[i]) == most)
                        room[n++] = in->looks[i];
        return n > in->n / 2 ? (DiagnoseInput){room, n, in->limit_bytes} : *in;
}

const DiagnoseLook *diagnose_last(const DiagnoseInput *in) {
        DiagnoseLook room[DIAGNOSE_LOOKS_MAX];
        DiagnoseInput whole = whole_looks(in, room);
        unsigned known = whole.looks == room ? n_known(&room[0]) : 0;
        const DiagnoseLook *last = NULL;

        for (size_t i = 0; i < in->n; i++)
                if (n_known(&in->looks[i]) >= known && (!last || in->looks[i].trim_known || !last->trim_known))
                        last = &in->looks[i];
        return last;
}

void diagnose(const DiagnoseInput *all, Verdict *ret) {
        DiagnoseLook room[DIAGNOSE_LOOKS_MAX];
        DiagnoseInput whole = whole_looks(all, room);
        const DiagnoseInput *in = &whole;
        Verdict v = {.kind = VERDICT_UNKNOWN, .size_class = -1};

        v.growing = in->n > 1 && seconds(&in->looks[0], &in->looks[in->n - 1]) > 0;
        if (v.growing) {
                v.rss_bytes_per_s = slope(in, 0, figure_rss, 0, NULL);
                v.uss_bytes_per_s = slope(in, 0, figure_uss, 0, NULL);
        }
        /* the process' own memory first: page cache grows beside everything, and the kernel can take it back */
        if (!v.growing || (!judge_growth(in, false, &v) && (copies_grow(in, &v) || !judge_growth(in, true, &v))))
                judge_state(in, &v);
        if (v.growing && (v.kind == VERDICT_LIVE_GROWTH || v.kind == VERDICT_WARM_UP))
                find_class(in, &v);
        advise(in, &v);
        *ret = v;
}
