/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe/inject/allocators.h"
#include "probe/inject/glibc.h"
#include "probe/inject/owner.h"
#include "probe/inject/symtab.h"

/* One look at a process: what is found on the way. */
typedef struct Look {
        int proc_fd;
        const Maps *maps;
        Memory mem;
        Image im;
        Dynsym loader, libc, libpthread;
        Object libc_object;
        const char *foreign; /* a C library that is not glibc: its name */
        bool have_loader, have_libc, have_libpthread, two_libcs, is_32_bit;
        char *detail;
        size_t detail_size;
        const char *runtime; /* see Image */
} Look;

static ProbeResult refuse(Look *l, ProbeResult r, const char *fmt, ...) _printf_(3, 4);
static ProbeResult refuse(Look *l, ProbeResult r, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(l->detail, l->detail_size, fmt, ap);
        va_end(ap);
        return r;
}

/* What a reader's error means for the whole. */
static ProbeResult failed(Look *l, int r, const char *what) {
        if (r == -ESRCH)
                return PROBE_E_GONE;
        if (r == -EPERM || r == -EACCES)
                return refuse(l, PROBE_E_ACCESS, "cannot read its memory: %s", strerror(-r));
        if (r == -ETIME)
                return refuse(l, PROBE_E_NO_LIBC, "its tables of symbols are larger than is read");
        return refuse(l, PROBE_E_NO_LIBC,
                      "%.120s lacks what a call needs (malloc_trim, a signal restorer), or is broken", what);
}

bool image_add_range(Image *im, uint64_t start, uint64_t end, RangeKind kind) {
        for (unsigned i = 0; i < im->n_ranges; i++) /* functions have several names */
                if (im->ranges[i].start == start && im->ranges[i].end == end && im->ranges[i].kind == kind)
                        return true;
        if (im->n_ranges == IMAGE_RANGES_MAX)
                return false;
        im->ranges[im->n_ranges++] = (TextRange){start, end, kind};
        return true;
}

/* ---- which object is which: by the name it gives itself, since a file may be called anything; old ones may lack it */

static bool is_named(const Dynsym *d, const Object *o, const char *soname, const char *old) {
        const char *base = object_base_name(o);

        return strncmp(d->soname, soname, strlen(soname)) == 0 || strncmp(base, soname, strlen(soname)) == 0 ||
               strncmp(base, old, strlen(old)) == 0;
}

/* musl is loader and library in one, and has no name of its own. */
static void see_other_libc(Look *l, const Dynsym *d, const Object *o) {
        const char *base = object_base_name(o);

        if (strncmp(base, "ld-musl-", 8) != 0 && strncmp(base, "libc.musl-", 10) != 0 &&
            strncmp(base, "libc.so", 7) != 0)
                return;
        if (!dynsym_address(d, "malloc") || dynsym_address(d, "gnu_get_libc_version"))
                return;
        /* bionic's entry point is __libc_init, dietlibc's and uClibc's loaders have other names */
        l->foreign = dynsym_address(d, "__libc_start_main") && !dynsym_address(d, "__libc_init") ? "musl" : "unknown";
}

static bool is_32_bit(Memory *mem, const Object *o) {
        unsigned char ident[EI_NIDENT];

        return memory_read(mem, o->first->start, ident, sizeof(ident)) == 0 && memcmp(ident, ELFMAG, SELFMAG) == 0 &&
               ident[EI_CLASS] == ELFCLASS32;
}

static int survey_one(Look *l, const Object *o) {
        Dynsym d;
        int r = dynsym_open(&l->mem, o->first->start, &d);

        if (r == -ESRCH || r == -EPERM || r == -ETIME)
                return r;
        if (r < 0) {
                l->is_32_bit |= is_32_bit(&l->mem, o);
                return 0; /* some file that is mapped, or a static program */
        }
        if (is_named(&d, o, "ld-linux", "ld-2.")) {
                if (l->have_loader)
                        return 0; /* a second one is there with a second libc, which is refused */
                l->loader = d;
                l->have_loader = true;
                return image_add_range(&l->im, d.text_start, d.text_end, RANGE_LOADER) ? 0 : -E2BIG;
        }
        if (is_named(&d, o, "libc.so.6", "libc-2.")) {
                l->two_libcs |= l->have_libc;
                l->libc = d;
                l->libc_object = *o;
                l->have_libc = true;
        } else if (is_named(&d, o, "libpthread.so.0", "libpthread-2.")) {
                l->libpthread = d;
                l->have_libpthread = true;
        } else
                see_other_libc(l, &d, o);
        return 0;
}

static int survey(Look *l) {
        Object o;
        int r = 0;

        for (size_t i = 0; r == 0 && object_next(l->maps, &i, &o);)
                r = survey_one(l, &o);
        return r;
}

/* ---- a static program, or a language without libc */

/* By its name, which both files give as seen from our root. */
static bool find_by_link(const Look *l, Object *ret) {
        char path[PATH_MAX];
        ssize_t n = readlinkat(l->proc_fd, "exe", path, sizeof(path) - 1);

        if (n <= 0)
                return false;
        path[n] = '\0';
        for (size_t i = 0; object_next(l->maps, &i, ret);)
                if (strcmp(maps_path(l->maps, ret->first), path) == 0)
                        return true;
        return false;
}

/* The executable, by where the kernel put its program headers (AT_PHDR). auxv is mode 0400, so that of another user's
 * process may not be had with CAP_SYS_PTRACE alone; the link may. */
static bool find_executable(const Look *l, Object *ret) {
        _cleanup_fd_ int fd = openat(l->proc_fd, "auxv", O_RDONLY | O_CLOEXEC);
        Elf64_auxv_t aux[64] = {0};
        ssize_t n = fd < 0 ? -1 : read(fd, aux, sizeof(aux));

        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(aux[0]); i++)
                if (aux[i].a_type == AT_PHDR)
                        return object_at(l->maps, aux[i].a_un.a_val, ret);
        return find_by_link(l, ret);
}

static int see_musl(void *userdata, const Symbol *s _unused_, const char *name) {
        if (strcmp(name, "__init_libc") == 0 || strcmp(name, "__libc_malloc_impl") == 0)
                *(bool *)userdata = true;
        return 0;
}

static ProbeResult read_static(Look *l) {
        _cleanup_(symtab_done) Symtab file = SYMTAB_NULL;
        Dynsym d;
        Object o;
        SymbolSource src = {&d, &file};
        bool is_musl = false;
        Allocator glibc;
        int r;

        if (!find_executable(l, &o))
                return refuse(l, PROBE_E_NO_LIBC, "its program is not in its memory map");
        r = dynsym_open(&l->mem, o.first->start, &d);
        if (r < 0 && r != -ENODATA)
                return failed(l, r, o.path);
        if (d.has_interpreter)
                return refuse(l, PROBE_E_NO_LIBC, "no libc.so.6 is loaded in it (yet)");
        r = symtab_open(l->proc_fd, &o, &d, &file);
        if (r < 0)
                return refuse(l, PROBE_E_NO_LIBC, "a static program, whose file cannot be read: %s", strerror(-r));
        if (file.is_go) {
                l->runtime = "Go";
                return refuse(l, PROBE_E_NO_LIBC, "a Go program: no C library, and a memory manager of its own");
        }
        if (file.n_symbols == 0)
                return refuse(l, PROBE_E_NO_LIBC, "a static program, stripped of its symbols");
        r = glibc_read(&src, &l->im, &glibc);
        if (r == 0) {
                Image before;

                l->im.allocators[l->im.n_allocators++] = glibc;
                before = l->im;
                if (allocators_add(&src, ALLOCATOR_STATIC_PROGRAM, true, &l->im) < 0)
                        l->im = before; /* see find_beside() */
                return PROBE_OK;
        }
        r = allocators_add(&src, ALLOCATOR_STATIC_PROGRAM, false, &l->im);
        if (r > 0 || l->im.n_allocators > 0)
                return refuse(l, PROBE_E_OTHER_MALLOC,
                              "a static program with %s: no call is made without glibc's malloc",
                              l->im.allocators[0].name);
        if (symbols_each(&src, see_musl, &is_musl) == 0 && is_musl) {
                l->runtime = "musl";
                return refuse(l, PROBE_E_OTHER_MALLOC, "musl's malloc has nothing that would give memory back");
        }
        return refuse(l, PROBE_E_NO_LIBC, "a static program without what a call needs of glibc (malloc_trim, ...)");
}

/* ---- whose malloc */

/* The symbols of @o: dynamic ones, and if those know no allocator, its file's. Return: as allocators_add(). */
static int add_allocators(Look *l, const Owner *w, bool beside) {
        _cleanup_(symtab_done) Symtab file = SYMTAB_NULL;
        AllocatorPlace place = w->is_program ? ALLOCATOR_PROGRAM : ALLOCATOR_LIBRARY;
        SymbolSource src = {&w->d, NULL};
        int n = allocators_add(&src, place, beside, &l->im);

        if (n != 0 || symtab_open(l->proc_fd, &w->object, &w->d, &file) < 0 || file.n_symbols == 0)
                return n;
        src.file = &file;
        return allocators_add(&src, place, beside, &l->im);
}

static ProbeResult find_owner(Look *l, const Allocator *glibc) {
        Owner w;
        int r = owner_find(l->maps, &l->loader, &l->libc, &w);

        if (r == -ENODATA)
                return refuse(l, PROBE_E_NO_LIBC,
                              "a static program that loaded a C library: whose memory is which is not known");
        if (r < 0)
                return r == -ENOENT ? refuse(l, PROBE_E_OTHER_MALLOC, "what its malloc leads to is no known object's")
                                    : failed(l, r, l->libc_object.path);
        if (w.is_libc) {
                l->im.allocators[0] = *glibc;
                l->im.n_allocators = 1;
                return PROBE_OK;
        }
        r = add_allocators(l, &w, false);
        if (r > 0)
                return PROBE_OK;
        if (r == -ESRCH || r == -EPERM)
                return failed(l, r, w.object.path);
        return refuse(l, PROBE_E_OTHER_MALLOC,
                      "malloc comes from %.120s, which shows no function that gives memory back", w.object.path);
}

/* Allocators that the program uses by another name than malloc: linked into it, or in a library under a prefix. One
 * that cannot be told from the rest, or that is behind more symbols than are read, is left alone: malloc's owner is
 * purged all the same, which takes none of its locks. */
static void find_beside(Look *l) {
        static const char *const names[] = {"je_mallctl", "_rjem_mallctl"};
        Image before = l->im;
        Owner w;
        Object o;

        if (owner_program(l->maps, &l->loader, &w) == 0 && add_allocators(l, &w, true) < 0)
                l->im = before;
        for (size_t i = 0; object_next(l->maps, &i, &o);)
                for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                        before = l->im;
                        w = (Owner){.object = o};
                        if (dynsym_open(&l->mem, o.first->start, &w.d) == 0 && dynsym_address(&w.d, names[k]) &&
                            allocators_add(&(SymbolSource){&w.d, NULL}, ALLOCATOR_LIBRARY, true, &l->im) < 0)
                                l->im = before;
                }
}

/* ---- together */

static void bound_guards(Image *im) {
        const uint64_t restorers[] = {im->sym.sigreturn, im->sym.sigreturn_pthread};

        im->guard_start = UINT64_MAX;
        im->guard_end = 0;
        for (unsigned i = 0; i < im->n_ranges; i++) {
                im->guard_start = min_of(im->guard_start, im->ranges[i].start);
                im->guard_end = max_of(im->guard_end, im->ranges[i].end);
        }
        for (size_t i = 0; i < ELEMENTSOF(restorers); i++)
                if (restorers[i]) {
                        im->guard_start = min_of(im->guard_start, restorers[i]);
                        im->guard_end = max_of(im->guard_end, restorers[i] + 1);
                }
}

static ProbeResult read_dynamic(Look *l) {
        SymbolSource libc = {&l->libc, NULL}, libpthread = {&l->libpthread, NULL};
        Allocator glibc;
        ProbeResult p;
        int r = l->have_libpthread ? glibc_read_libpthread(&libpthread, &l->im) : 0;

        if (r == 0)
                r = glibc_read(&libc, &l->im, &glibc);
        if (r < 0)
                return failed(l, r, l->libc_object.path);
        p = find_owner(l, &glibc);
        if (p == PROBE_OK)
                find_beside(l);
        return p;
}

static ProbeResult refuse_foreign(Look *l) {
        Object o;
        Dynsym d;

        if (strcmp(l->foreign, "musl") != 0)
                return refuse(l, PROBE_E_NO_LIBC, "its C library is none that is known");
        for (size_t i = 0; object_next(l->maps, &i, &o);)
                if (dynsym_open(&l->mem, o.first->start, &d) == 0 && dynsym_address(&d, "malloc") &&
                    !dynsym_address(&d, "__libc_start_main"))
                        return refuse(l, PROBE_E_NO_LIBC, "malloc comes from %.120s, but on musl no call is made",
                                      o.path);
        l->runtime = "musl";
        return refuse(l, PROBE_E_OTHER_MALLOC, "musl's malloc has nothing that would give memory back");
}

static ProbeResult look(Look *l) {
        int r = survey(l);

        if (r < 0)
                return failed(l, r, "its memory map");
        if (l->two_libcs)
                return refuse(l, PROBE_E_NO_LIBC, "two C libraries are loaded (dlmopen?)");
        if (l->have_libc && !l->have_loader)
                return refuse(l, PROBE_E_NO_LIBC, "a libc.so.6 is mapped, but no dynamic loader that would run it");
        if (l->have_libc)
                return read_dynamic(l);
        if (l->is_32_bit)
                return refuse(l, PROBE_E_FOREIGN_ABI, "it is a 32-bit program");
        if (l->foreign)
                return refuse_foreign(l);
        return read_static(l);
}

ProbeResult image_read_memory(const Memory *mem, int proc_pid_fd, const Maps *maps, Image *ret, char *detail,
                              size_t detail_size) {
        Look l = {
                .proc_fd = proc_pid_fd,
                .maps = maps,
                .mem = *mem,
                .detail = detail,
                .detail_size = detail_size,
        };
        ProbeResult p = look(&l);

        ret->runtime = l.runtime;
        if (p != PROBE_OK)
                return p;
        bound_guards(&l.im);
        *ret = l.im;
        return PROBE_OK;
}

ProbeResult image_read(pid_t pid, int proc_pid_fd, const Maps *maps, Image *ret, char *detail, size_t detail_size) {
        Memory mem = memory_of_process(pid);

        return image_read_memory(&mem, proc_pid_fd, maps, ret, detail, detail_size);
}

const char *allocator_call_name(AllocatorKind k) {
        static const char *const names[_ALLOCATOR_MAX] = {
                [ALLOCATOR_GLIBC] = "malloc_trim",
                [ALLOCATOR_JEMALLOC] = "mallctl_purge",
                [ALLOCATOR_GPERFTOOLS] = "ReleaseFreeMemory",
                [ALLOCATOR_TCMALLOC] = "ReleaseMemoryToSystem",
                [ALLOCATOR_MIMALLOC] = "mi_collect",
        };
        return (unsigned)k < ELEMENTSOF(names) && names[k] ? names[k] : "invalid";
}

/* glibc makes it of the 16 random bytes that the kernel gives (AT_RANDOM): the first 8, the lowest zero
 * (sysdeps/unix/sysv/linux/dl-osinfo.h, 2.10). */
void image_read_canary(int proc_pid_fd, int mem_fd, Image *im) {
        _cleanup_fd_ int fd = openat(proc_pid_fd, "auxv", O_RDONLY | O_CLOEXEC);
        Elf64_auxv_t aux[64] = {0};
        uint64_t word;
        ssize_t n = fd < 0 ? -1 : read(fd, aux, sizeof(aux));

        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(aux[0]); i++)
                if (aux[i].a_type == AT_RANDOM &&
                    pread(mem_fd, &word, sizeof(word), (off_t)aux[i].a_un.a_val) == sizeof(word))
                        im->canary = word & ~0xffULL;
}

/* A descriptor of either file belongs to the memory that the process had when it was opened (proc_mem_open()): once
 * that is gone, reading gives nothing. The one has no byte at 0, the other but few elsewhere. */
bool image_memory_is_there(int mem_fd, uint64_t addr) {
        char byte;

        return pread(mem_fd, &byte, 1, 0) == 1 || pread(mem_fd, &byte, 1, (off_t)addr) == 1;
}

bool image_still_there(const Image *im, int mem_fd) {
        return image_memory_is_there(mem_fd, im->libc_start);
}

bool image_is_restorer(const Image *im, uint64_t addr) {
        return addr != 0 && (addr == im->sym.sigreturn || addr == im->sym.sigreturn_pthread);
}
