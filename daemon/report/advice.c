/* SPDX-License-Identifier: Apache-2.0 */
#include "report/advice.h"

#include <stdlib.h>
#include <string.h>

#include "probe/survey/size-class.h"
#include "util/cleanup.h"
#include "util/format.h"

#define HOUR_S 3600.0

/* ---- another malloc: the package, and where it puts the library */

/* Sources: the packages' own file lists; Debian's is checked by a test. "%s": the folder of the machine. */
typedef struct Family {
        const char *id; /* of os-release, or what it says that it is like */
        const char *package, *path;
        const char *first; /* what to install before; NULL = nothing */
        bool musl;         /* its packages are for musl: not for a program with glibc */
} Family;

static const Family families[] = {
        {"debian", "libjemalloc2", "/usr/lib/%s/libjemalloc.so.2", NULL, false}, /* Debian 10, Ubuntu 20.04 */
        {"ubuntu", "libjemalloc2", "/usr/lib/%s/libjemalloc.so.2", NULL, false},
        {"alpine", "jemalloc", "/usr/lib/libjemalloc.so.2", NULL, true},
        {"wolfi", "jemalloc", "/usr/lib/libjemalloc.so.2", NULL, false},
        {"chainguard", "jemalloc", "/usr/lib/libjemalloc.so.2", NULL, false},
        {"rhel", "jemalloc", "/usr/lib64/libjemalloc.so.2", "EPEL", false},
        {"centos", "jemalloc", "/usr/lib64/libjemalloc.so.2", "EPEL", false},
        {"fedora", "jemalloc", "/usr/lib64/libjemalloc.so.2", NULL, false},
        {"suse", "libjemalloc2", "/usr/lib64/libjemalloc.so.2", NULL, false},
        {"opensuse", "libjemalloc2", "/usr/lib64/libjemalloc.so.2", NULL, false},
        {"sles", "libjemalloc2", "/usr/lib64/libjemalloc.so.2", NULL, false},
        {"arch", "jemalloc", "/usr/lib/libjemalloc.so.2", NULL, false},
};

static const char *const installers[_INSTALLER_MAX] = {
        [INSTALLER_APT] = "apt-get update && apt-get install -y",
        [INSTALLER_APK] = "apk add",
        [INSTALLER_DNF] = "dnf install -y",
        [INSTALLER_MICRODNF] = "microdnf install -y",
        [INSTALLER_YUM] = "yum install -y",
        [INSTALLER_ZYPPER] = "zypper install -y",
        [INSTALLER_PACMAN] = "pacman -Sy --noconfirm",
};

/* A libjemalloc.so.2 of before these is libjemalloc.so.1 there. Source: Debian 9 and Ubuntu 18.04's libjemalloc1 */
static bool is_old(const Distro *d) {
        return d->version &&
               ((strcmp(d->id, "debian") == 0 && d->version < 10) || (strcmp(d->id, "ubuntu") == 0 && d->version < 19));
}

static const Family *family_of(const Distro *d) {
        const char *const names[] = {d->id, d->like};

        for (size_t n = 0; n < ELEMENTSOF(names); n++)
                for (size_t i = 0; i < ELEMENTSOF(families) && names[n][0]; i++)
                        if (strcmp(families[i].id, names[n]) == 0)
                                return families[i].musl || is_old(d) ? NULL : &families[i];
        return NULL;
}

static bool is_musl(const Distro *d) {
        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                if (families[i].musl && (strcmp(families[i].id, d->id) == 0 || strcmp(families[i].id, d->like) == 0))
                        return true;
        return false;
}

/* Is it in the image already? One that is for musl is none for a heap of glibc's. */
static bool is_there(const Distro *d) {
        return d->jemalloc[0] && !is_musl(d);
}

/* Where the library is, or will be once it is installed. Return: false: not known. */
static bool jemalloc_path(Buf *b, const Distro *d) {
        const Family *f = d ? family_of(d) : NULL;
        const char *triplet = d ? distro_triplet(d->machine) : NULL;

        if (d && is_there(d))
                buf_adds(b, d->jemalloc);
        else if (f && !strchr(f->path, '%'))
                buf_adds(b, f->path);
        else if (f && triplet)
                buf_addf(b, "/usr/lib/%s/libjemalloc.so.2", triplet);
        else
                return false;
        return true;
}

static void say_jemalloc(Buf *b, const Distro *d) {
        const Family *f = d ? family_of(d) : NULL;

        if (!d || !d->looked)
                buf_adds(b, " (the library is in the distribution's package jemalloc or libjemalloc2)");
        else if (is_there(d))
                buf_adds(b, "; the library is in its image already");
        else if (d->installer == INSTALLER_NONE)
                buf_adds(b, "; its image has no package manager: copy libjemalloc.so.2 of the same distribution in");
        else if (!f)
                buf_addf(b, "; %s has no package of it that is known to fit: build it, or copy it in",
                         d->id[0] ? d->id : "its distribution");
        else if (f->first)
                buf_addf(b, "; the package is in %s", f->first);
}

/* ---- each remedy's sentence */

static void say_reclaim(Buf *b, const Advice *a _unused_, const Remedy *r) {
        char gain[FORMAT_MAX];

        buf_addf(b, "reclaim now: gives back %s, without a restart", format_bytes(gain, r->gain_bytes));
}

static void say_arenas(Buf *b, const Advice *a, const Remedy *r) {
        char held[FORMAT_MAX], gain[FORMAT_MAX];

        buf_addf(b, "fewer arenas from the next start on: %llu hold %s that is free; up to %s less",
                 (unsigned long long)a->last->n_arenas, format_bytes(held, a->last->arena_free_bytes),
                 format_bytes(gain, r->gain_bytes));
}

static void say_threshold(Buf *b, const Advice *a, const Remedy *r) {
        char large[FORMAT_MAX], now[FORMAT_MAX];

        buf_addf(
                b,
                "large chunks outside the heap from the next start on: %s is free in chunks of 131 kB and more, which "
                "then go back when they are freed (glibc has raised the size for that to %s by itself)",
                format_bytes(large, r->gain_bytes), format_bytes(now, a->last->mmap_threshold_bytes));
}

static void say_malloc(Buf *b, const Advice *a, const Remedy *r) {
        char gain[FORMAT_MAX];

        buf_addf(b, "jemalloc in place of glibc's malloc from the next start on: up to %s less",
                 format_bytes(gain, r->gain_bytes));
        say_jemalloc(b, a->distro);
}

static void say_decay(Buf *b, const Advice *a _unused_, const Remedy *r _unused_) {
        buf_adds(b, "have jemalloc give back in time: it is set to keep free pages for good (dirty_decay_ms:-1 in "
                    "MALLOC_CONF, most likely)");
}

static void say_python_malloc(Buf *b, const Advice *a _unused_, const Remedy *r) {
        char gain[FORMAT_MAX];

        buf_addf(
                b,
                "Python's objects in malloc's heap from the next start on: up to %s less, as a trim gives that back by "
                "the page, and Python itself only whole arenas",
                format_bytes(gain, r->gain_bytes));
}

static bool is_python(const Advice *a) {
        return a->last->known >> DIAGNOSE_PYTHON & 1 && a->last->part_bytes[DIAGNOSE_PYTHON] > 0;
}

static void say_leak(Buf *b, const Advice *a, const Remedy *r _unused_) {
        const Verdict *v = a->verdict;
        char size[FORMAT_MAX], rate[FORMAT_MAX];
        bool sized = v->size_class >= 0;
        double hourly = HOUR_S * (sized ? v->class_bytes_per_s : v->part_bytes_per_s);

        buf_adds(b, "find what keeps it");
        if (sized)
                buf_addf(b, ": chunks of %s", format_bytes(size, size_class_start((unsigned)v->size_class)));
        if (hourly >= 1 && hourly < 1e18)
                buf_addf(b, "%s %s an hour", sized ? "," : ":", format_bytes(rate, (uint64_t)hourly));
        if (is_python(a))
                buf_adds(b, "; the census tells which types grow");
}

static void say_limit(Buf *b, const Advice *a _unused_, const Remedy *r) {
        char need[FORMAT_MAX], floor[FORMAT_MAX];

        buf_addf(b,
                 "raise the limit to %s: what counts against it was never below %s, a trim's gain taken off; this is a "
                 "quarter more",
                 format_bytes(need, r->need_bytes), format_bytes(floor, r->floor_bytes));
}

static void say_java_max(Buf *b, const Advice *a, const Remedy *r) {
        char need[FORMAT_MAX], heap[FORMAT_MAX];

        buf_addf(b,
                 "a lower -Xmx, or a limit of at least %s: the Java heap may come to %s, and all else stays beside it",
                 format_bytes(need, r->need_bytes), format_bytes(heap, a->last->java_max_bytes));
}

static void say_largest(Buf *b, const Advice *a) {
        char bytes[FORMAT_MAX];

        if (a->largest && a->largest[0])
                buf_addf(b, "; the largest is %s, %s", a->largest, format_bytes(bytes, a->largest_bytes));
}

static void say_files(Buf *b, const Advice *a, const Remedy *r _unused_) {
        switch (a->verdict->part) {
        case DIAGNOSE_PAGE_CACHE:
                buf_adds(b, "leave it: the kernel takes page cache back before it kills for memory");
                break;
        case DIAGNOSE_TMPFS:
                buf_adds(b, "delete or bound what it writes to a tmpfs (/dev/shm, /tmp, emptyDir with medium Memory): "
                            "that counts against the limit until it is deleted");
                break;
        case DIAGNOSE_SHARED:
                buf_adds(b, "bound or unmap shared memory: it counts against the limit until nobody has it");
                say_largest(b, a);
                break;
        default:
                buf_adds(
                        b,
                        "unmap, or map less of it at once; what is unchanged goes back by itself when memory is short");
                say_largest(b, a);
                break;
        }
}

static void say_threads(Buf *b, const Advice *a, const Remedy *r _unused_) {
        char stacks[FORMAT_MAX];
        unsigned long long n = a->last->n_threads;

        format_bytes(stacks, a->last->part_bytes[DIAGNOSE_STACKS]);
        if (n > 1)
                buf_addf(b, "end or bound its threads: %llu have %s of stack in memory", n, stacks);
        else
                buf_addf(b, "bound the recursion: one thread has %s of stack in memory", stacks);
}

typedef struct Words {
        void (*say)(Buf *b, const Advice *a, const Remedy *r);
        const char *setting; /* for the environment; NULL = none */
} Words;

static const Words words[_REMEDY_MAX] = {
        [REMEDY_RECLAIM] = {say_reclaim, NULL},
        [REMEDY_ARENA_MAX] = {say_arenas, "MALLOC_ARENA_MAX=2"},
        [REMEDY_OTHER_MALLOC] = {say_malloc, NULL},
        [REMEDY_MMAP_THRESHOLD] = {say_threshold, "MALLOC_MMAP_THRESHOLD_=131072"},
        [REMEDY_DECAY] = {say_decay, NULL},
        [REMEDY_PYTHON_MALLOC] = {say_python_malloc, "PYTHONMALLOC=malloc"},
        [REMEDY_JAVA_MAX] = {say_java_max, NULL},
        [REMEDY_FIX_LEAK] = {say_leak, NULL},
        [REMEDY_LIMIT] = {say_limit, NULL},
        [REMEDY_FILES] = {say_files, NULL},
        [REMEDY_THREADS] = {say_threads, NULL},
};

void advice_text(Buf *b, const Advice *a, const Remedy *r) {
        if ((unsigned)r->kind < ELEMENTSOF(words) && words[r->kind].say)
                words[r->kind].say(b, a, r);
}

bool advice_command(Buf *b, const Advice *a, const Remedy *r) {
        _cleanup_buf_ Buf path = BUF_NULL;

        if ((unsigned)r->kind >= ELEMENTSOF(words))
                return false;
        if (words[r->kind].setting)
                buf_adds(b, words[r->kind].setting);
        else if (r->kind == REMEDY_RECLAIM && a->pid > 0)
                buf_addf(b, "plateau reclaim %d", a->pid);
        else if (r->kind == REMEDY_DECAY && a->pid > 0)
                buf_addf(b, "plateau tune %d dirty_decay_ms=10s", a->pid);
        else if (r->kind == REMEDY_FIX_LEAK && is_python(a) && a->pid > 0)
                buf_addf(b, "plateau inspect %d --diff 60", a->pid);
        else if (r->kind == REMEDY_FIX_LEAK && a->verdict->part == DIAGNOSE_HEAP_USED && !a->last->other_malloc &&
                 a->pid > 0)
                buf_addf(b, "plateau explain %d --diff 60 --stacks", a->pid);
        else if (r->kind == REMEDY_OTHER_MALLOC && jemalloc_path(&path, a->distro))
                buf_addf(b, "LD_PRELOAD=%s", buf_str(&path));
        else
                return false;
        return true;
}

bool advice_install(Buf *b, const Advice *a, const Remedy *r) {
        const Distro *d = a->distro;
        const Family *f = d ? family_of(d) : NULL;

        if (r->kind != REMEDY_OTHER_MALLOC || !f || f->first || is_there(d) || d->installer == INSTALLER_NONE)
                return false;
        buf_addf(b, "%s %s", installers[d->installer], f->package);
        return true;
}

void advice_line(Buf *b, const Advice *a, const Remedy *r) {
        _cleanup_buf_ Buf install = BUF_NULL, command = BUF_NULL;
        bool first = advice_install(&install, a, r);

        advice_text(b, a, r);
        if (advice_command(&command, a, r))
                buf_addf(b, " (%s%s%s)", buf_str(&install), first ? "; " : "", buf_str(&command));
}

const Part *advice_largest(const Survey *s, DiagnosePart part) {
        PartKind kind = part == DIAGNOSE_FILES ? PART_FILES : part == DIAGNOSE_SHARED ? PART_SHARED : _PART_MAX;
        const Part *best = NULL;

        for (uint32_t i = 0; i < s->n_parts; i++)
                if (s->parts[i].kind == (uint32_t)kind && s->parts[i].name[0] &&
                    (!best || s->parts[i].rss_bytes > best->rss_bytes))
                        best = &s->parts[i];
        return best;
}
