/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/symtab.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE              4096u
#define SECTIONS_MAX      4096u      /* libelf allocates for each; programs have some 40 */
#define SECTION_NAMES_MAX (1u << 20) /* and it reads these whole */
#define STRINGS_MAX       (256ull << 20)
#define WINDOW            (16u * 1024)
#define WINDOWS_MAX       16384u /* of names; the linkers put them in the order of their symbols, so few are needed */

/* Is @fd the file whose first page is at @addr? That page holds the ELF header, the program headers and the build ID,
 * and is never relocated. */
static int check_first_page(int fd, Memory *mem, uint64_t addr) {
        unsigned char disk[PAGE], there[PAGE];
        struct stat st;
        ssize_t n, have;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOEXEC;
        n = pread(fd, disk, sizeof(disk), 0);
        have = memory_read_some(mem, addr, there, sizeof(there));
        if (n < (ssize_t)sizeof(Elf64_Ehdr) || have < n)
                return n < 0 ? -errno : -ENOEXEC;
        return memcmp(there, disk, (size_t)n) == 0 ? 0 : -ESTALE;
}

/* map_files needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE (Linux 5.9), exe only ptrace access; both lead to the file
 * itself, whatever became of its name. The path of a map is told relative to the reader's root where that can be (a
 * chroot below ours), else within the target's mount namespace (a container): so it is tried below the target's root,
 * then below ours. */
static int open_file(int proc_pid_fd, const Object *o, Memory *mem) {
        char below[PATH_MAX + 8], by_map[64];
        const char *names[] = {"exe", by_map, below, o->path};
        int error = -ENOENT;

        snprintf(by_map, sizeof(by_map), "map_files/%llx-%llx", (unsigned long long)o->first->start,
                 (unsigned long long)o->first->end);
        if (snprintf(below, sizeof(below), "root%s", o->path) >= (int)sizeof(below))
                return -ENOENT;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_fd_ int fd = openat(i + 1 < ELEMENTSOF(names) ? proc_pid_fd : AT_FDCWD, names[i],
                                             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                int r = fd < 0 ? -errno : check_first_page(fd, mem, o->first->start);

                if (r == 0)
                        return take_fd(&fd);
                if (i == 2 || r == -EACCES)
                        error = r; /* what is told is about the target's own file */
        }
        return error;
}

/* libelf trusts these two, and allocates by them. */
static int check_header(int fd) {
        Elf64_Ehdr eh;

        if (pread(fd, &eh, sizeof(eh), 0) != (ssize_t)sizeof(eh))
                return -ENOEXEC;
        return eh.e_shnum <= SECTIONS_MAX && (eh.e_shnum > 0 || eh.e_shoff == 0) ? 0 : -ENOEXEC;
}

static void end_elf(Elf **e) {
        elf_end(*e);
}

static int read_sections(Symtab *s) {
        _cleanup_(end_elf) Elf *elf = elf_begin(s->fd, ELF_C_READ, NULL);
        GElf_Shdr sh, names, strings;
        size_t names_index;

        if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64)
                return -ENOEXEC;
        if (elf_getshdrstrndx(elf, &names_index) < 0 || !gelf_getshdr(elf_getscn(elf, names_index), &names) ||
            names.sh_size > SECTION_NAMES_MAX)
                return 0; /* stripped of its section headers */
        for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
                const char *name = gelf_getshdr(scn, &sh) ? elf_strptr(elf, names_index, sh.sh_name) : NULL;

                if (!name)
                        continue;
                if (strcmp(name, ".gopclntab") == 0 || strcmp(name, ".go.buildinfo") == 0)
                        s->is_go = true;
                if (sh.sh_type != SHT_SYMTAB || sh.sh_entsize != sizeof(Elf64_Sym) ||
                    !gelf_getshdr(elf_getscn(elf, sh.sh_link), &strings) || strings.sh_type != SHT_STRTAB)
                        continue;
                s->symbols_at = sh.sh_offset;
                s->n_symbols = sh.sh_size / sizeof(Elf64_Sym);
                s->strings_at = strings.sh_offset;
                s->strings_bytes = strings.sh_size;
        }
        return 0;
}

int symtab_take(int fd, const Dynsym *d, Symtab *ret) {
        Symtab s = {.fd = fd, .d = d};
        int r = check_header(fd);

        if (r == 0)
                r = elf_version(EV_CURRENT) == EV_NONE ? -ENOEXEC : read_sections(&s);
        if (r == 0)
                *ret = s;
        return r;
}

int symtab_open(int proc_pid_fd, const Object *o, const Dynsym *d, Symtab *ret) {
        _cleanup_fd_ int fd = open_file(proc_pid_fd, o, d->mem);
        int r = fd < 0 ? fd : symtab_take(fd, d, ret);

        if (r == 0)
                (void)take_fd(&fd);
        return r;
}

void symtab_done(Symtab *s) {
        s->fd = fd_close(s->fd);
}

typedef struct Names {
        const Symtab *s;
        uint64_t at;
        size_t n; /* bytes of the table from @at on */
        unsigned n_windows;
        char bytes[WINDOW + 1];
} Names;

static const char *names_get(Names *w, uint64_t at) {
        if (at >= w->s->strings_bytes)
                return NULL;
        if (w->n == 0 || at < w->at || at - w->at + DYNSYM_NAME_MAX > w->n) {
                size_t want = (size_t)min_of((uint64_t)WINDOW, w->s->strings_bytes - at);
                bool have_all = w->n > 0 && at >= w->at && at - w->at + want <= w->n;
                ssize_t n;

                if (have_all)
                        return w->bytes + (at - w->at);
                if (w->n_windows++ >= WINDOWS_MAX)
                        return NULL;
                n = pread(w->s->fd, w->bytes, want, (off_t)(w->s->strings_at + at));
                if (n <= 0)
                        return NULL;
                w->at = at;
                w->n = (size_t)n;
                w->bytes[n] = '\0';
        }
        return w->bytes + (at - w->at);
}

int symtab_each(const Symtab *s, SymbolFn fn, void *userdata) {
        Names names = {.s = s};
        Elf64_Sym window[128];
        int r = 0;

        if (s->n_symbols > DYNSYM_MAX || s->strings_bytes > STRINGS_MAX)
                return -E2BIG;
        for (uint64_t i = 0, n; r == 0 && i < s->n_symbols; i += n) {
                ssize_t got;

                n = min_of(s->n_symbols - i, (uint64_t)ELEMENTSOF(window));
                got = pread(s->fd, window, n * sizeof(window[0]), (off_t)(s->symbols_at + i * sizeof(window[0])));
                if (got != (ssize_t)(n * sizeof(window[0])))
                        return got < 0 ? -errno : -ENOEXEC;
                for (uint64_t k = 0; r == 0 && k < n; k++) {
                        Symbol symbol;
                        const char *name = symbol_of(s->d, &window[k], (uint32_t)(i + k), &symbol)
                                                   ? names_get(&names, window[k].st_name)
                                                   : NULL;

                        if (name)
                                r = fn(userdata, &symbol, name);
                }
        }
        return r == 0 && names.n_windows > WINDOWS_MAX ? -E2BIG : r;
}
