/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/dynsym.h"

#include <elf.h>
#include <string.h>

#define PHDRS_MAX      64 /* the linkers make 10 to 15 */
#define DYNAMIC_MAX    256
#define CHAIN_MAX      65536 /* symbols in one hash bucket: two or three in good tables */
#define SPAN_MAX       (4ull << 30)
#define ADDRESS_MAX    (1ull << 47)
#define STRINGS_WINDOW (64u * 1024) /* libc's are 33 KiB */

#if defined(__x86_64__)
#define MACHINE         EM_X86_64
#define RELOC_GLOB_DAT  R_X86_64_GLOB_DAT
#define RELOC_JUMP_SLOT R_X86_64_JUMP_SLOT
#elif defined(__aarch64__)
#define MACHINE         EM_AARCH64
#define RELOC_GLOB_DAT  R_AARCH64_GLOB_DAT
#define RELOC_JUMP_SLOT R_AARCH64_JUMP_SLOT
#else
#define MACHINE         EM_NONE
#define RELOC_GLOB_DAT  UINT32_MAX
#define RELOC_JUMP_SLOT UINT32_MAX
#endif

/* ---- loaded objects */

/* The loader maps a file's segments in ascending order; between them may be anonymous memory (.bss of one that was put
 * apart, text that was copied to huge pages), but no other file. */
static Object object_from(const Maps *maps, size_t i, size_t *ret_next) {
        Object o = {.first = &maps->map[i], .path = maps_path(maps, &maps->map[i])};

        for (; i < maps->n && maps->map[i].path == o.first->path; i++)
                o.end = maps->map[i].end;
        *ret_next = i;
        return o;
}

bool object_next(const Maps *maps, size_t *i, Object *ret) {
        while (*i < maps->n) {
                const Map *m = &maps->map[*i];
                size_t first = *i, next;
                bool executable = false;

                if (m->offset != 0 || maps_path(maps, m)[0] != '/') {
                        ++*i;
                        continue;
                }
                *ret = object_from(maps, first, &next);
                for (size_t k = first; k < next; k++)
                        executable |= (maps->map[k].prot & MAP_X) != 0;
                *i = next;
                if (executable)
                        return true;
        }
        return false;
}

bool object_at(const Maps *maps, uint64_t addr, Object *ret) {
        const Map *m = maps_find(maps, addr);
        size_t next;

        if (!m || maps_path(maps, m)[0] != '/')
                return false;
        for (const Map *at = m; at >= maps->map && m - at < 64; at--)
                if (at->offset == 0 && strcmp(maps_path(maps, at), maps_path(maps, m)) == 0) {
                        *ret = object_from(maps, (size_t)(at - maps->map), &next);
                        return true;
                }
        return false;
}

const char *object_base_name(const Object *o) {
        const char *slash = strrchr(o->path, '/');
        return slash ? slash + 1 : o->path;
}

/* ---- opening */

static bool in_span(const Dynsym *d, uint64_t addr, uint64_t n) {
        return addr >= d->start && addr <= d->end && n <= d->end - addr;
}

/* A pointer of the dynamic section: glibc's loader makes addresses of them, musl's and the kernel's vDSO leave them as
 * they are in the file. */
static uint64_t pointer(const Dynsym *d, uint64_t value) {
        return in_span(d, value, 1) ? value : in_span(d, d->base + value, 1) ? d->base + value : 0;
}

static int read_segments(Dynsym *d, uint64_t addr, const Elf64_Phdr *ph, size_t n, uint64_t *ret_dynamic_bytes) {
        bool have_base = false;

        for (size_t i = 0; i < n; i++)
                if (ph[i].p_type == PT_LOAD && ph[i].p_offset == 0 && !have_base) {
                        d->base = addr - ph[i].p_vaddr;
                        have_base = true;
                }
        if (!have_base)
                return -ENOEXEC;
        d->start = UINT64_MAX;
        for (size_t i = 0; i < n; i++) {
                uint64_t at = d->base + ph[i].p_vaddr;

                if (ph[i].p_type == PT_INTERP)
                        d->has_interpreter = true;
                if (ph[i].p_type != PT_LOAD || ph[i].p_memsz == 0)
                        continue;
                if (at >= ADDRESS_MAX || ph[i].p_memsz > SPAN_MAX)
                        return -ENOEXEC;
                d->start = min_of(d->start, at);
                d->end = max_of(d->end, at + ph[i].p_memsz);
                if (!(ph[i].p_flags & PF_X))
                        continue;
                d->text_start = d->text_end ? min_of(d->text_start, at) : at;
                d->text_end = max_of(d->text_end, at + ph[i].p_memsz);
        }
        if (d->start >= d->end || d->end - d->start > SPAN_MAX)
                return -ENOEXEC;
        for (size_t i = 0; i < n; i++)
                if (ph[i].p_type == PT_DYNAMIC && in_span(d, d->base + ph[i].p_vaddr, ph[i].p_memsz)) {
                        d->dynamic = d->base + ph[i].p_vaddr;
                        *ret_dynamic_bytes = ph[i].p_memsz;
                }
        return 0;
}

static int read_dynamic(Dynsym *d, uint64_t n_bytes) {
        Elf64_Dyn dyn[DYNAMIC_MAX];
        size_t n = (size_t)min_of(n_bytes / sizeof(dyn[0]), (uint64_t)DYNAMIC_MAX);
        uint64_t soname = UINT64_MAX;
        const struct {
                int64_t tag;
                uint64_t *value;
                bool is_pointer;
        } wanted[] = {
                {DT_SYMTAB, &d->symtab, true}, {DT_STRTAB, &d->strtab, true}, {DT_GNU_HASH, &d->gnu_hash, true},
                {DT_HASH, &d->hash, true},     {DT_RELA, &d->rela, true},     {DT_JMPREL, &d->jmprel, true},
                {DT_STRSZ, &d->strings_bytes}, {DT_RELASZ, &d->rela_bytes},   {DT_PLTRELSZ, &d->jmprel_bytes},
                {DT_SONAME, &soname},
        };
        int r = n ? memory_read(d->mem, d->dynamic, dyn, n * sizeof(dyn[0])) : -ENODATA;

        if (r < 0)
                return r;
        for (size_t i = 0; i < n && dyn[i].d_tag != DT_NULL; i++) {
                d->needs |= dyn[i].d_tag == DT_NEEDED;
                for (size_t k = 0; k < ELEMENTSOF(wanted); k++)
                        if (dyn[i].d_tag == wanted[k].tag)
                                *wanted[k].value =
                                        wanted[k].is_pointer ? pointer(d, dyn[i].d_un.d_ptr) : dyn[i].d_un.d_val;
        }
        if (!d->symtab || !d->strtab || !in_span(d, d->strtab, d->strings_bytes) || (!d->gnu_hash && !d->hash))
                return -ENODATA;
        if (!d->rela || !in_span(d, d->rela, d->rela_bytes))
                d->rela = d->rela_bytes = 0;
        if (!d->jmprel || !in_span(d, d->jmprel, d->jmprel_bytes))
                d->jmprel = d->jmprel_bytes = 0;
        if (soname < d->strings_bytes &&
            memory_read_string(d->mem, d->strtab + soname, d->soname, sizeof(d->soname)) < 0)
                d->soname[0] = '\0';
        return 0;
}

int dynsym_open(Memory *mem, uint64_t addr, Dynsym *ret) {
        Elf64_Phdr ph[PHDRS_MAX];
        uint64_t dynamic_bytes = 0;
        Elf64_Ehdr eh;
        int r;

        *ret = (Dynsym){.mem = mem};
        r = memory_read(mem, addr, &eh, sizeof(eh));
        if (r < 0)
                return r;
        if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
            eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != MACHINE ||
            (eh.e_type != ET_DYN && eh.e_type != ET_EXEC) || eh.e_phentsize != sizeof(ph[0]) || eh.e_phnum == 0 ||
            eh.e_phnum > PHDRS_MAX || eh.e_phoff > SPAN_MAX)
                return -ENOEXEC;
        r = memory_read(mem, addr + eh.e_phoff, ph, eh.e_phnum * sizeof(ph[0]));
        if (r == 0)
                r = read_segments(ret, addr, ph, eh.e_phnum, &dynamic_bytes);
        if (r < 0)
                return r;
        return ret->dynamic ? read_dynamic(ret, dynamic_bytes) : -ENODATA;
}

/* ---- finding */

bool symbol_of(const Dynsym *d, const void *e, uint32_t index, Symbol *ret) {
        const Elf64_Sym *s = e;
        unsigned type = ELF64_ST_TYPE(s->st_info), visibility = ELF64_ST_VISIBILITY(s->st_other);

        if (s->st_shndx == SHN_UNDEF || s->st_value == 0 ||
            (type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC) || !in_span(d, d->base + s->st_value, 1))
                return false;
        *ret = (Symbol){
                .address = d->base + s->st_value,
                .size = s->st_size,
                .index = index,
                .type = (unsigned char)type,
                .bind = (unsigned char)ELF64_ST_BIND(s->st_info),
                .hidden = visibility == STV_HIDDEN || visibility == STV_INTERNAL,
        };
        return true;
}

/* Is entry @index a definition of @name? Return: 1, 0; negative errno. */
static int matches(const Dynsym *d, uint32_t index, const char *name, size_t len, Symbol *ret) {
        uint64_t at = d->symtab + (uint64_t)index * sizeof(Elf64_Sym);
        char has[DYNSYM_NAME_MAX];
        Elf64_Sym s;
        int r = in_span(d, at, sizeof(s)) ? memory_read(d->mem, at, &s, sizeof(s)) : -EFAULT;

        if (r < 0)
                return r;
        if (!symbol_of(d, &s, index, ret) || s.st_name >= d->strings_bytes || len >= d->strings_bytes - s.st_name)
                return 0;
        r = memory_read(d->mem, d->strtab + s.st_name, has, len + 1);
        return r < 0 ? r : memcmp(has, name, len + 1) == 0;
}

typedef struct GnuHash {
        uint32_t n_buckets, first, bloom_words, bloom_shift; /* first: number of the first symbol that is hashed */
} GnuHash;

static int read_gnu_hash(const Dynsym *d, GnuHash *ret, uint64_t *ret_buckets, uint64_t *ret_chain) {
        int r = in_span(d, d->gnu_hash, sizeof(*ret)) ? memory_read(d->mem, d->gnu_hash, ret, sizeof(*ret)) : -EFAULT;

        if (r < 0)
                return r;
        *ret_buckets = d->gnu_hash + sizeof(*ret) + (uint64_t)ret->bloom_words * 8;
        *ret_chain = *ret_buckets + (uint64_t)ret->n_buckets * 4;
        if (ret->n_buckets == 0 || ret->bloom_words == 0 || !in_span(d, *ret_chain, 0))
                return -ENOEXEC;
        return 0;
}

static int find_gnu(const Dynsym *d, const char *name, Symbol *ret, size_t max) {
        size_t len = strlen(name), n = 0;
        uint64_t buckets, chain, bloom;
        uint32_t h = 5381, at, link[16];
        GnuHash g;
        int r = read_gnu_hash(d, &g, &buckets, &chain);

        for (size_t i = 0; i < len; i++)
                h = h * 33 + (unsigned char)name[i];
        if (r == 0)
                r = memory_read(d->mem, d->gnu_hash + sizeof(g) + (uint64_t)(h / 64 % g.bloom_words) * 8, &bloom, 8);
        if (r < 0)
                return r;
        if (!(bloom >> (h % 64) & 1) || !(bloom >> (h >> (g.bloom_shift % 32) & 63) & 1))
                return 0;
        r = memory_read(d->mem, buckets + (uint64_t)(h % g.n_buckets) * 4, &at, sizeof(at));
        if (r < 0)
                return r;
        for (uint32_t step = 0; at >= g.first && step < CHAIN_MAX && n < max; step++, at++) {
                uint64_t where = chain + (uint64_t)(at - g.first) * 4;

                if (step % ELEMENTSOF(link) == 0) {
                        ssize_t got =
                                in_span(d, where, 4) ? memory_read_some(d->mem, where, link, sizeof(link)) : -EFAULT;

                        if (got < (ssize_t)sizeof(link))
                                memset((char *)link + max_of(got, (ssize_t)0), 0xff,
                                       sizeof(link) - (size_t)max_of(got, (ssize_t)0)); /* ends the chain */
                }
                if ((link[step % ELEMENTSOF(link)] | 1) == (h | 1)) {
                        r = matches(d, at, name, len, &ret[n]);
                        if (r < 0)
                                return r;
                        n += (size_t)r;
                }
                if (link[step % ELEMENTSOF(link)] & 1)
                        break;
        }
        return (int)n;
}

static int find_sysv(const Dynsym *d, const char *name, Symbol *ret, size_t max) {
        size_t len = strlen(name), n = 0;
        uint32_t h = 0, head[2], at;
        uint64_t buckets = d->hash + sizeof(head), where;
        int r = in_span(d, d->hash, sizeof(head)) ? memory_read(d->mem, d->hash, head, sizeof(head)) : -EFAULT;

        for (size_t i = 0; i < len; i++) {
                h = (h << 4) + (unsigned char)name[i];
                h = (h ^ (h >> 24 & 0xf0)) & 0x0fffffff; /* System V gABI, "Hash Table" */
        }
        if (r < 0)
                return r;
        if (head[0] == 0)
                return -ENOEXEC;
        where = buckets + (uint64_t)(h % head[0]) * 4;
        for (uint32_t step = 0; step < CHAIN_MAX && n < max; step++) {
                r = in_span(d, where, 4) ? memory_read(d->mem, where, &at, sizeof(at)) : -EFAULT;
                if (r < 0)
                        return r;
                if (at == STN_UNDEF || at >= head[1])
                        break;
                r = matches(d, at, name, len, &ret[n]);
                if (r < 0)
                        return r;
                n += (size_t)r;
                where = buckets + ((uint64_t)head[0] + at) * 4;
        }
        return (int)n;
}

int dynsym_find(const Dynsym *d, const char *name, Symbol *ret, size_t max) {
        if (max == 0 || strlen(name) >= DYNSYM_NAME_MAX)
                return 0;
        return d->gnu_hash ? find_gnu(d, name, ret, max) : find_sysv(d, name, ret, max);
}

uint64_t dynsym_address(const Dynsym *d, const char *name) {
        Symbol s;

        return dynsym_find(d, name, &s, 1) == 1 && s.type != STT_GNU_IFUNC ? s.address : 0;
}

/* ---- all of them */

/* DT_HASH tells how many; DT_GNU_HASH does not: the last chain's end is the last symbol. */
static int count(const Dynsym *d, uint32_t *ret) {
        uint32_t head[2], window[1024], last = 0;
        uint64_t buckets, chain;
        GnuHash g;
        int r;

        if (d->hash) {
                r = in_span(d, d->hash, sizeof(head)) ? memory_read(d->mem, d->hash, head, sizeof(head)) : -EFAULT;
                *ret = r < 0 ? 0 : head[1];
                return r;
        }
        r = read_gnu_hash(d, &g, &buckets, &chain);
        for (uint32_t i = 0, n; r == 0 && i < g.n_buckets; i += n) {
                n = (uint32_t)min_of((size_t)(g.n_buckets - i), ELEMENTSOF(window));
                r = memory_read(d->mem, buckets + (uint64_t)i * 4, window, n * sizeof(window[0]));
                for (uint32_t k = 0; r == 0 && k < n; k++)
                        last = max_of(last, window[k]);
        }
        if (r < 0)
                return r;
        if (last < g.first) {
                *ret = g.first; /* nothing is defined */
                return 0;
        }
        for (uint32_t step = 0; step < CHAIN_MAX; step++, last++) {
                uint64_t where = chain + (uint64_t)(last - g.first) * 4;

                r = in_span(d, where, 4) ? memory_read(d->mem, where, window, 4) : -EFAULT;
                if (r < 0)
                        return r;
                if (window[0] & 1)
                        break;
        }
        *ret = last + 1;
        return 0;
}

typedef struct Names {
        const Dynsym *d;
        size_t have; /* bytes of all of them, 0: too many, each is read by itself */
        char window[STRINGS_WINDOW + 1];
        char one[DYNSYM_NAME_MAX];
} Names;

static int names_init(Names *s, const Dynsym *d) {
        s->d = d;
        s->have = d->strings_bytes <= STRINGS_WINDOW ? (size_t)d->strings_bytes : 0;
        s->window[s->have] = '\0';
        return s->have ? memory_read(d->mem, d->strtab, s->window, s->have) : 0;
}

static const char *names_get(Names *s, uint32_t at) {
        if (s->have)
                return at < s->have ? s->window + at : NULL;
        return memory_read_string(s->d->mem, s->d->strtab + at, s->one, sizeof(s->one)) < 0 ? NULL : s->one;
}

int dynsym_each(const Dynsym *d, SymbolFn fn, void *userdata) {
        Elf64_Sym window[128];
        uint32_t total;
        Names names;
        int r = count(d, &total);

        if (r == 0 && total > DYNSYM_MAX)
                r = -E2BIG;
        if (r == 0)
                r = names_init(&names, d);
        for (uint32_t i = 0, n; r == 0 && i < total; i += n) {
                uint64_t at = d->symtab + (uint64_t)i * sizeof(window[0]);

                n = (uint32_t)min_of((size_t)(total - i), ELEMENTSOF(window));
                if (!in_span(d, at, n * sizeof(window[0])))
                        return -EFAULT;
                r = memory_read(d->mem, at, window, n * sizeof(window[0]));
                for (uint32_t k = 0; r == 0 && k < n; k++) {
                        Symbol s;
                        const char *name = symbol_of(d, &window[k], i + k, &s) && window[k].st_name < d->strings_bytes
                                                   ? names_get(&names, window[k].st_name)
                                                   : NULL;

                        if (name)
                                r = fn(userdata, &s, name);
                }
        }
        return r;
}

/* ---- references */

static uint64_t slot_in(const Dynsym *d, uint64_t table, uint64_t n_bytes, uint32_t index) {
        Elf64_Rela window[128];
        uint64_t value;

        for (uint64_t i = 0, n, total = n_bytes / sizeof(window[0]); i < total; i += n) {
                n = min_of(total - i, (uint64_t)ELEMENTSOF(window));
                if (memory_read(d->mem, table + i * sizeof(window[0]), window, n * sizeof(window[0])) < 0)
                        return 0;
                for (size_t k = 0; k < n; k++) {
                        uint32_t type = (uint32_t)ELF64_R_TYPE(window[k].r_info);
                        uint64_t at = d->base + window[k].r_offset;

                        if (ELF64_R_SYM(window[k].r_info) == index &&
                            (type == RELOC_GLOB_DAT || type == RELOC_JUMP_SLOT) && in_span(d, at, 8) &&
                            memory_read(d->mem, at, &value, sizeof(value)) == 0)
                                return value;
                }
        }
        return 0;
}

uint64_t dynsym_slot(const Dynsym *d, uint32_t index) {
        uint64_t value = slot_in(d, d->rela, d->rela_bytes, index);

        return value ? value : slot_in(d, d->jmprel, d->jmprel_bytes, index);
}
