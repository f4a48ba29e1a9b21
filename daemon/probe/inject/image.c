/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/image.h"

#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/inject/remote.h"

#define PAGE 4096u
#define TEXT_MAX_BYTES (64u << 20)

/* Everything in glibc's malloc.o that is exported. Its static functions lie between the neighbours of these. */
static const char *const malloc_names[] = {
        "malloc",
        "free",
        "calloc",
        "realloc",
        "memalign",
        "aligned_alloc",
        "valloc",
        "pvalloc",
        "posix_memalign",
        "cfree",
        "malloc_trim",
        "malloc_usable_size",
        "mallinfo",
        "mallinfo2",
        "malloc_stats",
        "mallopt",
        "malloc_info",
        "__libc_malloc",
        "__libc_free",
        "__libc_calloc",
        "__libc_realloc",
        "__libc_memalign",
        "__libc_valloc",
        "__libc_pvalloc",
        "__libc_mallopt",
        "__libc_mallinfo",
        "__posix_memalign",
        "__malloc_trim",
        "malloc_get_state",
        "malloc_set_state",
        "malloc_check_init",
};

/* A thread inside one of these holds a lock (or is about to be copied) that a call on top of it could need. */
static const char *const guarded_names[] = {
        "fork", "_Fork", "vfork", "posix_spawn", "posix_spawnp", "pthread_create", "dl_iterate_phdr",
};

static const char *const hook_names[] = {"__malloc_hook", "__realloc_hook", "__memalign_hook", "__free_hook",
                                         "__after_morecore_hook"};

typedef struct ElfFile {
        int fd;
        Elf *elf;
        uint64_t base;   /* address in the target less virtual address in the file */
        Elf_Data *syms;
        size_t n_syms, strings;
} ElfFile;

static void elf_file_done(ElfFile *f) {
        elf_end(f->elf);
        f->fd = fd_close(f->fd);
}

static bool name_in(const char *name, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(name, list[i]) == 0)
                        return true;
        return false;
}

/* Is @fd the file whose first page the target has at @mem? That page holds the ELF header, the program headers and the
 * build ID, and is never relocated. */
static int check_first_page(int fd, const unsigned char mem[static PAGE]) {
        unsigned char disk[PAGE];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || pread(fd, disk, sizeof(disk), 0) != (ssize_t)sizeof(disk))
                return -ENOEXEC;
        return memcmp(mem, disk, PAGE) == 0 ? 0 : -ESTALE;
}

/* The file that is mapped at @first (offset 0), if it still is the one on disk. The path of a map is told relative to
 * the reader's root where that can be (a chroot below ours), else within the target's mount namespace (a container): so
 * it is tried below the target's root, then below ours. */
static int open_same_file(pid_t pid, int proc_pid_fd, const char *path, const Map *first) {
        char below[PATH_MAX + 8];
        unsigned char mem[PAGE];
        int r;

        if (path[0] != '/' || snprintf(below, sizeof(below), "root%s", path) >= (int)sizeof(below))
                return -ENOENT;
        r = remote_read(pid, first->start, mem, sizeof(mem));
        if (r < 0)
                return r;
        for (int own = 0; own <= 1; own++) {
                _cleanup_fd_ int fd = openat(own ? AT_FDCWD : proc_pid_fd, own ? path : below,
                                             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                int error = fd < 0 ? -errno : check_first_page(fd, mem);

                if (error == 0)
                        return take_fd(&fd);
                if (!own || error == -EACCES)
                        r = error; /* what is told is about the target's own file */
        }
        return r;
}

static int find_dynsym(ElfFile *f) {
        for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn));) {
                GElf_Shdr sh;

                if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNSYM || sh.sh_entsize != sizeof(Elf64_Sym))
                        continue;
                f->syms = elf_getdata(scn, NULL);
                if (!f->syms)
                        return -ENOEXEC;
                f->n_syms = f->syms->d_size / sizeof(Elf64_Sym);
                f->strings = sh.sh_link;
                return 0;
        }
        return -ENODATA; /* static, or stripped of section headers */
}

static int elf_file_open(pid_t pid, int proc_pid_fd, const char *path, const Map *first, ElfFile *ret) {
        _cleanup_(elf_file_done) ElfFile f = {.fd = -1};
        GElf_Ehdr eh;
        size_t n_ph;
        int r;

        f.fd = open_same_file(pid, proc_pid_fd, path, first);
        if (f.fd < 0)
                return f.fd;
        f.elf = elf_begin(f.fd, ELF_C_READ, NULL);
        if (!f.elf || elf_kind(f.elf) != ELF_K_ELF || !gelf_getehdr(f.elf, &eh) || gelf_getclass(f.elf) != ELFCLASS64 ||
            elf_getphdrnum(f.elf, &n_ph) < 0)
                return -ENOEXEC;
        f.base = first->start;
        for (size_t i = 0; i < n_ph; i++) {
                GElf_Phdr ph;

                if (gelf_getphdr(f.elf, (int)i, &ph) && ph.p_type == PT_LOAD && ph.p_offset < PAGE) {
                        f.base = first->start - (ph.p_vaddr & ~(uint64_t)(PAGE - 1));
                        break;
                }
        }
        r = find_dynsym(&f);
        if (r < 0)
                return r;
        *ret = f;
        f = (ElfFile){.fd = -1};
        return 0;
}

/* The @i-th defined function (or object, or TLS symbol) of the dynamic symbol table. Return: its name, NULL if it is
 * none. */
static const char *defined_symbol(const ElfFile *f, size_t i, GElf_Sym *ret) {
        if (!gelf_getsym(f->syms, (int)i, ret) || ret->st_shndx == SHN_UNDEF || ret->st_value == 0)
                return NULL;
        return elf_strptr(f->elf, f->strings, ret->st_name);
}

static uint64_t find_symbol(const ElfFile *f, const char *want) {
        for (size_t i = 1; i < f->n_syms; i++) {
                GElf_Sym s;
                const char *name = defined_symbol(f, i, &s);

                /* an IFUNC's value is its resolver's address: never call that */
                if (name && (GELF_ST_TYPE(s.st_info) == STT_FUNC || GELF_ST_TYPE(s.st_info) == STT_OBJECT) &&
                    strcmp(name, want) == 0)
                        return f->base + s.st_value;
        }
        return 0;
}

static bool add_range(Image *im, uint64_t start, uint64_t end, RangeKind kind) {
        if (im->n_ranges == IMAGE_RANGES_MAX)
                return false;
        im->ranges[im->n_ranges++] = (TextRange){start, end, kind};
        return true;
}

/* malloc.o with its static functions: from the end of the last exported function below it to the start of the first one
 * above. The names alone would not do: _int_malloc, sysmalloc, arena_get2 ... lie below `malloc` (glibc 2.36: 16 KiB).
 */
static bool add_malloc_range(Image *im, const ElfFile *f) {
        uint64_t lo = UINT64_MAX, hi = 0, below = 0, above = UINT64_MAX;
        GElf_Sym s;

        for (size_t i = 1; i < f->n_syms; i++) {
                const char *name = defined_symbol(f, i, &s);

                if (!name || GELF_ST_TYPE(s.st_info) != STT_FUNC ||
                    !name_in(name, malloc_names, ELEMENTSOF(malloc_names)))
                        continue;
                lo = min_of(lo, s.st_value);
                hi = max_of(hi, s.st_value + s.st_size);
        }
        if (hi == 0)
                return false;
        for (size_t i = 1; i < f->n_syms; i++) {
                const char *name = defined_symbol(f, i, &s);
                unsigned type = name ? GELF_ST_TYPE(s.st_info) : STT_NOTYPE;

                if ((type != STT_FUNC && type != STT_GNU_IFUNC) ||
                    name_in(name, malloc_names, ELEMENTSOF(malloc_names)))
                        continue;
                if (s.st_value + s.st_size <= lo)
                        below = max_of(below, s.st_value + s.st_size);
                else if (s.st_value >= hi)
                        above = min_of(above, s.st_value);
        }
        if (below == 0 || above == UINT64_MAX || above - below > (1u << 20))
                return false;
        return add_range(im, f->base + below, f->base + above, RANGE_MALLOC);
}

static bool add_guarded_ranges(Image *im, const ElfFile *f) {
        for (size_t i = 1; i < f->n_syms; i++) {
                GElf_Sym s;
                const char *name = defined_symbol(f, i, &s);

                if (!name || GELF_ST_TYPE(s.st_info) != STT_FUNC)
                        continue;
                if (name_in(name, guarded_names, ELEMENTSOF(guarded_names)) &&
                    !add_range(im, f->base + s.st_value, f->base + s.st_value + s.st_size,
                               strcmp(name, "fork") == 0 ? RANGE_FORK : RANGE_GUARDED))
                        return false;
        }
        return true;
}

/* glibc's __restore_rt is a local symbol, but gdb and libgcc's unwinder know it by these very bytes, so they do not
 * change (sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c says so). Also: the version from its banner. */
static bool scan_text(const ElfFile *f, uint64_t *ret_sigreturn, char *name, size_t name_size) {
        static const unsigned char restorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
        static const char banner[] = "GNU C Library";
        size_t n_ph;

        if (elf_getphdrnum(f->elf, &n_ph) < 0)
                return false;
        for (size_t i = 0; i < n_ph; i++) {
                _cleanup_free_ unsigned char *text = NULL;
                const unsigned char *hit;
                GElf_Phdr ph;

                if (!gelf_getphdr(f->elf, (int)i, &ph) || ph.p_type != PT_LOAD || (ph.p_flags & PF_W) ||
                    ph.p_filesz == 0 || ph.p_filesz > TEXT_MAX_BYTES)
                        continue;
                text = malloc(ph.p_filesz + 1);
                if (!text || pread(f->fd, text, ph.p_filesz, (off_t)ph.p_offset) != (ssize_t)ph.p_filesz)
                        continue;
                text[ph.p_filesz] = '\0';
                hit = (ph.p_flags & PF_X) ? memmem(text, ph.p_filesz, restorer, sizeof(restorer)) : NULL;
                if (hit && *ret_sigreturn == 0)
                        *ret_sigreturn = f->base + ph.p_vaddr + (uint64_t)(hit - text);
                hit = memmem(text, ph.p_filesz, banner, sizeof(banner) - 1);
                if (hit) {
                        const char *v = strstr((const char *)hit, "release version ");
                        unsigned major, minor;

                        if (v && name && sscanf(v + 16, "%3u.%3u", &major, &minor) == 2)
                                snprintf(name, name_size, "glibc %u.%u", major, minor);
                }
        }
        return *ret_sigreturn != 0;
}

/* errno's place: __errno_location is `mov GOT(%rip),%rax; add %fs:0,%rax; ret`, with endbr64 before it where CET is on.
 * The GOT word is the offset from the thread pointer. Any other shape: errno cannot be kept, and the caller is told so.
 */
static void find_errno(pid_t pid, Image *im) {
        static const unsigned char endbr[] = {0xf3, 0x0f, 0x1e, 0xfa}, mov[] = {0x48, 0x8b, 0x05},
                                   add[] = {0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3};
        unsigned char code[21];
        const unsigned char *p = code;
        int32_t disp;
        int64_t offset;

        if (!im->sym.errno_location || remote_read(pid, im->sym.errno_location, code, sizeof(code)) < 0)
                return;
        if (memcmp(p, endbr, sizeof(endbr)) == 0)
                p += sizeof(endbr);
        if (memcmp(p, mov, sizeof(mov)) != 0 || memcmp(p + 7, add, sizeof(add)) != 0)
                return;
        memcpy(&disp, p + 3, sizeof(disp));
        if (remote_read(pid, im->sym.errno_location + (uint64_t)(p - code) + 7 + (uint64_t)(int64_t)disp, &offset, 8) <
            0)
                return;
        if (offset >= 0 || offset < -(1 << 20))
                return; /* x86_64 is TLS variant II: static TLS lies below the thread pointer */
        im->errno_tp_offset = offset;
        im->has_errno = true;
}

static void read_symbols(LibcSymbols *sym, const ElfFile *f) {
        const struct {
                const char *name;
                uint64_t *at;
        } want[] = {
                {"malloc_trim", &sym->malloc_trim},
                {"mmap", &sym->mmap},
                {"munmap", &sym->munmap},
                {"clock_gettime", &sym->clock_gettime},
                {"swab", &sym->swab},
                {"lsearch", &sym->lsearch},
                {"__errno_location", &sym->errno_location},
                {"__libc_single_threaded", &sym->single_threaded},
                {"pthread_create", &sym->pthread_create},
                {"pthread_attr_init", &sym->pthread_attr_init},
                {"pthread_attr_setdetachstate", &sym->pthread_attr_setdetachstate},
                {"pthread_attr_setstack", &sym->pthread_attr_setstack},
        };

        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                if (!*want[i].at)
                        *want[i].at = find_symbol(f, want[i].name);
}

static bool has_hooks(pid_t pid, const ElfFile *f) {
        for (size_t i = 0; i < ELEMENTSOF(hook_names); i++) {
                uint64_t at = find_symbol(f, hook_names[i]), value;

                if (at && (remote_read(pid, at, &value, sizeof(value)) < 0 || value != 0))
                        return true;
        }
        return false;
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

static bool is_loader(const char *base) {
        return strncmp(base, "ld-linux", 8) == 0 || strncmp(base, "ld-2.", 5) == 0;
}

static bool is_libc(const char *base) {
        return strncmp(base, "libc.so.6", 9) == 0 || strncmp(base, "libc-2.", 7) == 0;
}

static bool is_libpthread(const char *base) {
        return strncmp(base, "libpthread.so.0", 15) == 0 || strncmp(base, "libpthread-2.", 13) == 0;
}

/* The loaded objects are the files that have an executable map; their first map is the one at offset 0. */
typedef struct Object {
        const Map *first;
        const char *path;
        uint64_t end;
        uint64_t text_start, text_end;
} Object;

/* Return: the index after the object that begins at or after @i; @ret->path NULL when there is no more. */
static size_t next_object(const Maps *maps, size_t i, Object *ret) {
        *ret = (Object){0};
        for (; i < maps->n; i++) {
                const Map *m = &maps->map[i];
                Object o = {.first = m, .path = maps_path(maps, m)};

                if (o.path[0] != '/' || m->offset != 0)
                        continue;
                for (; i < maps->n && maps->map[i].path == m->path; i++) {
                        o.end = maps->map[i].end;
                        if ((maps->map[i].prot & MAP_X) && o.text_end == 0) {
                                o.text_start = maps->map[i].start;
                                o.text_end = maps->map[i].end;
                        }
                }
                i--;
                if (o.text_end) {
                        *ret = o;
                        return i + 1;
                }
        }
        return i;
}

static ProbeResult read_libc(pid_t pid, const ElfFile *f, const Object *o, Image *im, char *detail, size_t size) {
        Allocator glibc = {.kind = ALLOCATOR_GLIBC, .name = "glibc"};

        read_symbols(&im->sym, f);
        if (!im->sym.malloc_trim || !add_malloc_range(im, f) || !add_guarded_ranges(im, f) ||
            !scan_text(f, &im->sym.sigreturn, glibc.name, sizeof(glibc.name))) {
                snprintf(detail, size, "%.120s lacks what a call needs (malloc_trim, a signal restorer)", o->path);
                return PROBE_E_NO_LIBC;
        }
        im->libc_start = o->first->start;
        im->libc_end = o->end;
        glibc.purge = im->sym.malloc_trim;
        glibc.tune = find_symbol(f, "mallopt");
        if (im->n_allocators == 0)
                im->allocators[im->n_allocators++] = glibc;
        im->has_hooks = has_hooks(pid, f);
        find_errno(pid, im);
        return PROBE_OK;
}

/* Allocators that can stand in for glibc's, known by the function that purges them. */
static const struct {
        const char *symbol, *name;
        AllocatorKind kind;
        RangeKind range;
} allocators[] = {
        {"mallctl", "jemalloc", ALLOCATOR_JEMALLOC, RANGE_MALLOC_POOL},
        {"je_mallctl", "jemalloc", ALLOCATOR_JEMALLOC, RANGE_MALLOC_POOL},
        {"_rjem_mallctl", "jemalloc", ALLOCATOR_JEMALLOC, RANGE_MALLOC_POOL},
        {"MallocExtension_ReleaseFreeMemory", "gperftools tcmalloc", ALLOCATOR_GPERFTOOLS, RANGE_MALLOC_SPIN},
        {"mi_collect", "mimalloc", ALLOCATOR_MIMALLOC, RANGE_GUARDED},
};

/* @f defines malloc. Return: PROBE_OK if it is one that we can purge, and the only one. */
static ProbeResult take_allocator(Image *im, const ElfFile *f, const Object *o, char *detail, size_t size) {
        bool first = im->n_allocators == 0 || im->allocators[0].kind == ALLOCATOR_GLIBC;

        for (size_t i = 0; i < ELEMENTSOF(allocators) && first; i++) {
                Allocator a = {.kind = allocators[i].kind, .purge = find_symbol(f, allocators[i].symbol)};

                if (!a.purge)
                        continue;
                if (a.kind == ALLOCATOR_JEMALLOC)
                        a.tune = a.purge;
                snprintf(a.name, sizeof(a.name), "%s", allocators[i].name);
                im->allocators[0] = a;
                im->n_allocators = 1;
                return add_range(im, o->text_start, o->text_end, allocators[i].range) ? PROBE_OK : PROBE_E_INTERNAL;
        }
        snprintf(detail, size, "malloc comes from %.120s", o->path);
        return PROBE_E_OTHER_MALLOC;
}

const char *allocator_call_name(AllocatorKind k) {
        static const char *const names[_ALLOCATOR_MAX] = {
                [ALLOCATOR_GLIBC] = "malloc_trim",
                [ALLOCATOR_JEMALLOC] = "mallctl_purge",
                [ALLOCATOR_GPERFTOOLS] = "ReleaseFreeMemory",
                [ALLOCATOR_TCMALLOC] = "ReleaseMemoryToSystem",
                [ALLOCATOR_MIMALLOC] = "mi_collect",
        };
        return (unsigned)k < ELEMENTSOF(names) ? names[k] : "invalid";
}

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

static ProbeResult unreadable(const Object *o, int r, char *detail, size_t size) {
        if (r == -EACCES || r == -EPERM) {
                snprintf(detail, size, "cannot open %.120s through the process' own root: %s", o->path, strerror(-r));
                return PROBE_E_ACCESS;
        }
        snprintf(detail, size, "%.120s was replaced or removed since it was loaded", o->path);
        return PROBE_E_NO_LIBC;
}

ProbeResult image_read(pid_t pid, int proc_pid_fd, const Maps *maps, Image *ret, char *detail, size_t detail_size) {
        Image im = {0};
        Object o;
        bool have_libc = false;

        if (elf_version(EV_CURRENT) == EV_NONE)
                return PROBE_E_INTERNAL;
        for (size_t i = next_object(maps, 0, &o); o.path; i = next_object(maps, i, &o)) {
                _cleanup_(elf_file_done) ElfFile f = {.fd = -1};
                const char *base = base_name(o.path);
                int r = elf_file_open(pid, proc_pid_fd, o.path, o.first, &f);

                if (is_loader(base)) {
                        if (!add_range(&im, o.text_start, o.text_end, RANGE_LOADER))
                                return PROBE_E_INTERNAL;
                } else if (is_libc(base) && have_libc) {
                        snprintf(detail, detail_size, "two C libraries are loaded (dlmopen?)");
                        return PROBE_E_NO_LIBC;
                } else if (is_libc(base)) {
                        ProbeResult p = r < 0 ? unreadable(&o, r, detail, detail_size)
                                              : read_libc(pid, &f, &o, &im, detail, detail_size);
                        if (p != PROBE_OK)
                                return p;
                        have_libc = true;
                } else if (r == 0 && is_libpthread(base)) {
                        read_symbols(&im.sym, &f); /* a library of its own until glibc 2.34 */
                        (void)scan_text(&f, &im.sym.sigreturn_pthread, NULL, 0);
                        if (!add_guarded_ranges(&im, &f))
                                return PROBE_E_INTERNAL;
                } else if (r == 0 && find_symbol(&f, "malloc")) {
                        ProbeResult p = take_allocator(&im, &f, &o, detail, detail_size);

                        if (p != PROBE_OK)
                                return p;
                }
        }
        if (!have_libc) {
                snprintf(detail, detail_size, "no libc.so.6 is loaded (static, musl, or a language without libc)");
                return PROBE_E_NO_LIBC;
        }
        bound_guards(&im);
        *ret = im;
        return PROBE_OK;
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

/* A descriptor of the file belongs to the memory that the process had when it was opened (fs/proc/base.c, mem_open()):
 * once that is gone, reading gives nothing. */
bool image_still_there(const Image *im, int mem_fd) {
        char byte;

        return pread(mem_fd, &byte, 1, (off_t)im->libc_start) == 1;
}

bool image_is_restorer(const Image *im, uint64_t addr) {
        return addr != 0 && (addr == im->sym.sigreturn || addr == im->sym.sigreturn_pthread);
}
