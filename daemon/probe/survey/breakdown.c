/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/survey/breakdown.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/inject/maps.h"
#include "util/rootfs.h"
#include "util/scan.h"

#define PARTS_MAX  65536u
#define TEXT_BYTES (64u * 1024) /* and a line of smaps is at most a path with every byte escaped, 16 KiB */

/* One map with its figures, until the next one's header. */
typedef struct Vma {
        Map map;
        PartKind kind;
        char name[BREAKDOWN_NAME_MAX];
        Part sum;
        bool open;
} Vma;

typedef struct Feed {
        Breakdown *b;
        const Ranges *known;
        Pages *pages;
        PartKind anonymous;
        BreakdownMapFn each; /* NULL: they are summed up in @b */
        void *userdata;
        Vma vma;
} Feed;

static bool starts_with(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

static PartKind kind_of(const Map *m, const char *path, PartKind anonymous) {
        if (starts_with(path, "/anon_hugepage")) /* MAP_HUGETLB without a file */
                return PART_ANONYMOUS;
        if (path[0] == '/')
                return starts_with(path, "/memfd:") || starts_with(path, "/dev/shm/") || starts_with(path, "/SYSV") ||
                                       starts_with(path, "/dev/zero")
                               ? PART_SHARED
                               : PART_FILES;
        if (starts_with(path, "[stack"))
                return PART_STACKS;
        if (starts_with(path, "[v") || starts_with(path, "[uprobes") || starts_with(path, "[sigpage"))
                return PART_KERNEL;
        if (starts_with(path, "[anon_shmem") || (m->prot & MAP_SHARED_BIT))
                return PART_SHARED;
        return anonymous; /* also [heap] where no malloc was found in it, and [anon:NAME] */
}

static void open_vma(Feed *f, const Map *m, const char *path) {
        Vma *v = &f->vma;

        *v = (Vma){.map = *m, .kind = kind_of(m, path, f->anonymous), .open = true};
        if (v->kind == PART_FILES || v->kind == PART_SHARED) {
                size_t len = strnlen(path, BREAKDOWN_NAME_MAX);

                /* the end of a long path tells more than its beginning */
                memcpy(v->name, len < BREAKDOWN_NAME_MAX ? path : path + strlen(path) - (BREAKDOWN_NAME_MAX - 1),
                       min_of(len, (size_t)BREAKDOWN_NAME_MAX - 1));
        }
        v->sum.size_bytes = m->end - m->start;
        v->sum.n_maps = 1;
}

static void add_part(Part *to, const Part *from) {
        to->size_bytes += from->size_bytes;
        to->rss_bytes += from->rss_bytes;
        to->pss_bytes += from->pss_bytes;
        to->private_bytes += from->private_bytes;
        to->swap_bytes += from->swap_bytes;
        to->huge_bytes += from->huge_bytes;
        to->hugetlb_bytes += from->hugetlb_bytes;
        to->n_maps += from->n_maps;
        to->split |= from->split;
}

/* A file's maps follow each other, so what is looked for is nearly always among the last. */
static Part *find_part(Breakdown *b, PartKind kind, const char *name) {
        for (size_t i = b->n; i > 0; i--)
                if (b->parts[i - 1].kind == kind && strcmp(b->parts[i - 1].name, name) == 0)
                        return &b->parts[i - 1];
        return NULL;
}

static int put(Breakdown *b, PartKind kind, const char *name, const Part *sum) {
        Part *p = find_part(b, kind, name);

        if (!p) {
                if (b->n == b->max) {
                        size_t more = b->max ? b->max * 2 : 64;
                        Part *bigger = more > PARTS_MAX ? NULL : realloc(b->parts, more * sizeof(*bigger));

                        if (!bigger)
                                return -ENOMEM;
                        b->parts = bigger;
                        b->max = more;
                }
                p = &b->parts[b->n++];
                *p = (Part){.kind = kind};
                memcpy(p->name, name, strnlen(name, sizeof(p->name) - 1));
        }
        add_part(p, sum);
        return 0;
}

static uint64_t share(uint64_t whole, uint64_t part, uint64_t of) {
        return of == 0 ? 0 : (uint64_t)((double)whole * (double)part / (double)of);
}

/* @rss of the map's resident bytes are of @kind: takes them and their shares of the rest off @left. */
static int split_off(Breakdown *b, PartKind kind, uint64_t size, uint64_t rss, const Part *whole, Part *left) {
        Part p = {.size_bytes = min_of(size, left->size_bytes),
                  .rss_bytes = min_of(rss, left->rss_bytes),
                  .split = 1,
                  .n_maps = 1};

        p.pss_bytes = min_of(share(whole->pss_bytes, p.rss_bytes, whole->rss_bytes), left->pss_bytes);
        p.private_bytes = min_of(share(whole->private_bytes, p.rss_bytes, whole->rss_bytes), left->private_bytes);
        p.huge_bytes = min_of(share(whole->huge_bytes, p.rss_bytes, whole->rss_bytes), left->huge_bytes);
        p.swap_bytes = min_of(share(whole->swap_bytes, p.size_bytes, whole->size_bytes), left->swap_bytes);
        left->size_bytes -= p.size_bytes;
        left->rss_bytes -= p.rss_bytes;
        left->pss_bytes -= p.pss_bytes;
        left->private_bytes -= p.private_bytes;
        left->huge_bytes -= p.huge_bytes;
        left->swap_bytes -= p.swap_bytes;
        left->split = 1;
        return put(b, kind, "", &p);
}

/* Private anonymous memory: whose is it? Maps of different owners that lie side by side are one in the kernel's list.
 */
static int divide(Feed *f) {
        const Vma *v = &f->vma;
        Part left = v->sum;

        for (size_t i = ranges_first(f->known, v->map.start); i < f->known->n && f->known->range[i].start < v->map.end;
             i++) {
                const Range *k = &f->known->range[i];
                uint64_t start = max_of(k->start, v->map.start), end = min_of(k->end, v->map.end), rss = 0, swapped = 0;
                int r;

                if ((start == v->map.start && end == v->map.end) ||
                    pages_count(f->pages, start, end, &rss, &swapped) < 0)
                        return put(f->b, k->kind, "", &left); /* no pagemap: to the first owner */
                r = split_off(f->b, k->kind, end - start, rss, &v->sum, &left);
                if (r < 0)
                        return r;
        }
        return left.rss_bytes || left.size_bytes ? put(f->b, v->kind, "", &left) : 0;
}

static int close_vma(Feed *f) {
        Vma *v = &f->vma;

        if (!v->open)
                return 0;
        v->open = false;
        if (f->each)
                return f->each(f->userdata, &v->map, v->kind, v->name, &v->sum);
        add_part(&f->b->whole, &v->sum);
        if (v->kind == PART_FILES || v->kind == PART_SHARED || v->kind == PART_KERNEL)
                return put(f->b, v->kind, v->name, &v->sum);
        return divide(f);
}

static void take_figure(Vma *v, const char *line, const char *end) {
        static const struct {
                const char *key;
                size_t at;
        } keys[] = {
                {"Rss:", offsetof(Part, rss_bytes)},
                {"Pss:", offsetof(Part, pss_bytes)},
                {"Private_Clean:", offsetof(Part, private_bytes)},
                {"Private_Dirty:", offsetof(Part, private_bytes)},
                {"Swap:", offsetof(Part, swap_bytes)},
                {"AnonHugePages:", offsetof(Part, huge_bytes)},
                {"ShmemPmdMapped:", offsetof(Part, huge_bytes)}, /* Linux 4.8 */
                {"FilePmdMapped:", offsetof(Part, huge_bytes)},  /* Linux 5.4 */
                /* Linux 4.4; "Rss" does not count them (Documentation/filesystems/proc.rst, 1.1) */
                {"Private_Hugetlb:", offsetof(Part, hugetlb_bytes)},
                {"Shared_Hugetlb:", offsetof(Part, hugetlb_bytes)},
        };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                uint64_t bytes;
                size_t n = strlen(keys[i].key);

                if ((size_t)(end - line) > n && memcmp(line, keys[i].key, n) == 0 && scan_kib(line + n, end, &bytes))
                        *(uint64_t *)((char *)&v->sum + keys[i].at) += bytes;
        }
}

static int feed_line(Feed *f, char *line, char *end) {
        const char *path;
        Map m;
        int r;

        *end = '\0';
        if (line[0] >= 'A' && line[0] <= 'Z') { /* keys begin so, addresses never do */
                *end = '\n';
                if (f->vma.open)
                        take_figure(&f->vma, line, end);
                return 0;
        }
        r = close_vma(f);
        if (r < 0)
                return r;
        if (maps_parse_line(line, &m, &path) < 0)
                return -EBADMSG;
        open_vma(f, &m, path);
        return 0;
}

static int feed(Feed *f, char *text, size_t len) {
        char *end = text + len, *next;

        for (char *line = text; line < end && (next = memchr(line, '\n', (size_t)(end - line))); line = next + 1) {
                int r = feed_line(f, line, next);

                if (r < 0)
                        return r;
        }
        return 0;
}

int breakdown_feed(Breakdown *b, char *text, size_t len, const Ranges *known, Pages *pages, PartKind anonymous) {
        Feed f = {.b = b, .known = known, .pages = pages, .anonymous = anonymous};
        int r = feed(&f, text, len);

        return r < 0 ? r : close_vma(&f);
}

static int read_all(int fd, Feed *f, char *text) {
        size_t have = 0;

        for (;;) {
                ssize_t n = read(fd, text + have, TEXT_BYTES - have);
                size_t whole;
                int r;

                if (n < 0)
                        return -errno;
                have += (size_t)n;
                whole = have;
                while (whole > 0 && text[whole - 1] != '\n')
                        whole--;
                r = feed(f, text, whole);
                if (r < 0)
                        return r;
                if (n == 0)
                        return have == whole ? close_vma(f) : -EBADMSG;
                if (whole == 0 && have == TEXT_BYTES)
                        return -EBADMSG;
                memmove(text, text + whole, have - whole);
                have -= whole;
        }
}

int breakdown_read(int proc_pid_fd, const Ranges *known, Pages *pages, PartKind anonymous, Breakdown *ret) {
        _cleanup_fd_ int fd = rootfs_open(proc_pid_fd, "smaps");
        _cleanup_free_ char *text = malloc(TEXT_BYTES);
        Breakdown b = {0};
        Feed f = {.b = &b, .known = known, .pages = pages, .anonymous = anonymous};
        int r = fd < 0 ? fd : text ? read_all(fd, &f, text) : -ENOMEM;

        if (r == 0 && b.n == 0)
                r = -ESRCH; /* a process without memory is one that ends */
        if (r < 0) {
                breakdown_done(&b);
                return r;
        }
        breakdown_sort(&b);
        *ret = b;
        return 0;
}

int breakdown_each(int proc_pid_fd, PartKind anonymous, BreakdownMapFn fn, void *userdata) {
        _cleanup_fd_ int fd = rootfs_open(proc_pid_fd, "smaps");
        _cleanup_free_ char *text = malloc(TEXT_BYTES);
        Feed f = {.anonymous = anonymous, .each = fn, .userdata = userdata};

        return fd < 0 ? fd : text ? read_all(fd, &f, text) : -ENOMEM;
}

static int compare(const void *a, const void *b) {
        const Part *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return x->rss_bytes > y->rss_bytes ? -1 : x->rss_bytes < y->rss_bytes;
}

void breakdown_sort(Breakdown *b) {
        size_t kept = 0, n_of_kind = 0;

        if (b->n)
                qsort(b->parts, b->n, sizeof(*b->parts), compare);
        for (size_t i = 0; i < b->n; i++) {
                Part *p = &b->parts[i];

                n_of_kind = kept > 0 && b->parts[kept - 1].kind == p->kind ? n_of_kind + 1 : 1;
                if (n_of_kind <= BREAKDOWN_FILES_MAX) {
                        b->parts[kept++] = *p;
                        continue;
                }
                if (n_of_kind == BREAKDOWN_FILES_MAX + 1) { /* the last one kept becomes the rest */
                        memset(b->parts[kept - 1].name, 0, sizeof(p->name));
                }
                n_of_kind--;
                add_part(&b->parts[kept - 1], p);
        }
        b->n = kept;
}

void breakdown_done(Breakdown *b) {
        free(b->parts);
        *b = (Breakdown){0};
}
