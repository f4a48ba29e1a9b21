/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/inject/glibc.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define MALLOC_TEXT_MAX (1u << 20) /* malloc.o takes some 25 KiB */
#define START_TEXT_MAX  4096u      /* what calls main() takes some 300 bytes */

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
        "malloc_stats", /* writes to stderr, whatever that is, with each arena's lock held */
};

static const char *const hook_names[] = {"__malloc_hook", "__realloc_hook", "__memalign_hook", "__free_hook",
                                         "__after_morecore_hook"};

/* Some fifty names are looked for among some three thousand: nearly all differ in the first letter, or soon behind the
 * underscores. */
static inline bool is_same(const char *a, const char *b) {
        return a[0] == b[0] && a[1] == b[1] && strcmp(a, b) == 0;
}

static bool name_in(const char *name, const char *const *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (is_same(name, list[i]))
                        return true;
        return false;
}

int symbols_each(const SymbolSource *s, SymbolFn fn, void *userdata) {
        return s->file ? symtab_each(s->file, fn, userdata) : dynsym_each(s->d, fn, userdata);
}

/* ---- first pass: what is known by name */

#define FUNCTIONS_MAX 4096u /* libc.so.6 has 2,900; of a static program with more the table is read again */

typedef struct Function {
        uint64_t start, end;
        bool is_neighbour; /* may be one of malloc.o's: see add_malloc_range() */
} Function;

typedef struct Seen {
        Image *im;
        Function *functions; /* FUNCTIONS_MAX; NULL: not wanted */
        size_t n_functions;  /* there are; more than FUNCTIONS_MAX: the last ones are missing */
        bool only_pthread; /* libpthread: it also has what libc.so.6 has better */
        uint64_t mallopt, get_version, sigaction, libc_malloc, malloc;
        uint64_t restorer; /* a static program names it */
        uint64_t hooks[ELEMENTSOF(hook_names)];
        uint64_t lo, hi;       /* span of malloc_names */
        uint64_t below, above; /* the neighbours */
} Seen;

static void see_address(Seen *seen, const Symbol *s, const char *name) {
        LibcSymbols *sym = &seen->im->sym;
        const struct {
                const char *name;
                uint64_t *at;
                bool pthread;
        } want[] = {
                {"malloc_trim", &sym->malloc_trim},
                {"mmap", &sym->mmap},
                {"munmap", &sym->munmap},
                {"clock_gettime", &sym->clock_gettime},
                {"swab", &sym->swab},
                {"lsearch", &sym->lsearch},
                {"__errno_location", &sym->errno_location},
                {"__libc_single_threaded", &sym->single_threaded},
                {"pthread_create", &sym->pthread_create, true},
                {"pthread_attr_init", &sym->pthread_attr_init, true},
                {"pthread_attr_setdetachstate", &sym->pthread_attr_setdetachstate, true},
                {"pthread_attr_setstack", &sym->pthread_attr_setstack, true},
                {"mallopt", &seen->mallopt},
                {"gnu_get_libc_version", &seen->get_version},
                {"sigaction", &seen->sigaction, true},
                {"malloc", &seen->malloc},
                {"__libc_malloc", &seen->libc_malloc},
        };

        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                if (*want[i].at == 0 && (want[i].pthread || !seen->only_pthread) && is_same(name, want[i].name))
                        *want[i].at = s->address;
        for (size_t i = 0; i < ELEMENTSOF(hook_names); i++)
                if (is_same(name, hook_names[i]))
                        seen->hooks[i] = s->address;
}

static bool is_function(const Symbol *s) {
        return s->type == STT_FUNC || s->type == STT_GNU_IFUNC;
}

static Function function_of(const Symbol *s, bool is_malloc) {
        return (Function){s->address, s->address + s->size, s->bind != STB_LOCAL && !s->hidden && !is_malloc};
}

static int see_names(void *userdata, const Symbol *s, const char *name) {
        Seen *seen = userdata;
        bool is_malloc = is_function(s) && name_in(name, malloc_names, ELEMENTSOF(malloc_names));

        if (is_same(name, "__restore_rt"))
                seen->restorer = s->address;
        if (seen->functions && is_function(s) && seen->n_functions++ < FUNCTIONS_MAX)
                seen->functions[seen->n_functions - 1] = function_of(s, is_malloc);
        /* a static function of the program's own may bear any name; an IFUNC's address is not the function's */
        if (s->bind == STB_LOCAL || s->type == STT_GNU_IFUNC)
                return 0;
        see_address(seen, s, name);
        if (s->type != STT_FUNC)
                return 0;
        if (!seen->only_pthread && is_same(name, "__libc_start_main")) {
                seen->im->start_main = s->address;
                seen->im->start_end = s->address + min_of(s->size, (uint64_t)START_TEXT_MAX);
        }
        if (!seen->only_pthread && is_malloc) {
                seen->lo = min_of(seen->lo, s->address);
                seen->hi = max_of(seen->hi, s->address + s->size);
        }
        if (name_in(name, guarded_names, ELEMENTSOF(guarded_names)))
                return image_add_range(seen->im, s->address, s->address + s->size,
                                       strcmp(name, "fork") == 0 ? RANGE_FORK : RANGE_GUARDED)
                               ? 0
                               : -E2BIG;
        return 0;
}

/* ---- and the functions once more: malloc.o with its static functions is what lies between the end of the last
 * exported function below it and the start of the first one above. The names alone would not do: _int_malloc,
 * sysmalloc, arena_get2 ... lie below `malloc` (glibc 2.36: 16 KiB). A static program's table has these as well, local
 * or hidden (arena.c's __malloc_fork_lock_parent): they are no neighbours. */
static void take_neighbour(Seen *seen, const Function *f) {
        Image *im = seen->im;

        if (f->end <= im->start_main)
                im->start_below = max_of(im->start_below, f->end);
        if (!f->is_neighbour)
                return;
        if (f->end <= seen->lo)
                seen->below = max_of(seen->below, f->end);
        else if (f->start >= seen->hi)
                seen->above = min_of(seen->above, f->start);
}

static int see_neighbours(void *userdata, const Symbol *s, const char *name) {
        Function f = function_of(s, name_in(name, malloc_names, ELEMENTSOF(malloc_names)));

        if (is_function(s))
                take_neighbour(userdata, &f);
        return 0;
}

static int add_malloc_range(const SymbolSource *src, Seen *seen) {
        int r = 0;

        if (seen->hi == 0)
                return -ENODATA;
        if (seen->n_functions > FUNCTIONS_MAX)
                r = symbols_each(src, see_neighbours, seen);
        else
                for (size_t i = 0; i < seen->n_functions; i++)
                        take_neighbour(seen, &seen->functions[i]);
        if (r < 0)
                return r;
        if (seen->im->start_main - seen->im->start_below > START_TEXT_MAX)
                seen->im->start_below = seen->im->start_main; /* other functions may lie there */
        if (seen->below == 0 || seen->above == UINT64_MAX || seen->above - seen->below > MALLOC_TEXT_MAX)
                return -ENODATA;
        return image_add_range(seen->im, seen->below, seen->above, RANGE_MALLOC) ? 0 : -E2BIG;
}

/* ---- what its code tells */

/* glibc's __restore_rt is a local symbol, but gdb and libgcc's unwinder know it by these very bytes, so they do not
 * change (sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c says so). */
static const unsigned char restorer_code[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

#define WINDOW 4096u

static uint64_t find_restorer_in(const Dynsym *d, uint64_t from) {
        unsigned char text[WINDOW + sizeof(restorer_code) - 1];
        ssize_t n;
        const unsigned char *hit;

        if (from < d->text_start || from >= d->text_end)
                return 0;
        n = memory_read_some(d->mem, from, text, (size_t)min_of((uint64_t)sizeof(text), d->text_end - from));
        hit = n > 0 ? memmem(text, (size_t)n, restorer_code, sizeof(restorer_code)) : NULL;
        return hit ? from + (uint64_t)(hit - text) : 0;
}

/* It stands beside sigaction(), which makes it known to the kernel. Each page that is looked at becomes one of the
 * target's, so the search goes outwards from there and not through all of the text. */
static uint64_t find_restorer(const Dynsym *d, uint64_t near) {
        uint64_t begin = (near ? near : d->text_start) & ~(uint64_t)(WINDOW - 1);

        for (uint64_t step = 0; step * WINDOW < d->text_end - d->text_start; step++) {
                uint64_t hit = find_restorer_in(d, begin + step * WINDOW);

                if (!hit && step > 0)
                        hit = find_restorer_in(d, begin - step * WINDOW);
                if (hit)
                        return hit;
        }
        return 0;
}

static bool is_restorer(const Dynsym *d, uint64_t at) {
        unsigned char code[sizeof(restorer_code)];

        return memory_read(d->mem, at, code, sizeof(code)) == 0 && memcmp(code, restorer_code, sizeof(code)) == 0;
}

/* The code at a function, less the endbr64 of builds for CET. */
static const unsigned char *read_code(const Dynsym *d, uint64_t at, unsigned char *code, size_t n, uint64_t *ret_at) {
        static const unsigned char endbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
        size_t skip;

        if (at == 0 || memory_read(d->mem, at, code, n) < 0)
                return NULL;
        skip = memcmp(code, endbr, sizeof(endbr)) == 0 ? sizeof(endbr) : 0;
        *ret_at = at + skip;
        return code + skip;
}

static uint64_t rip_relative(const unsigned char *disp, uint64_t next) {
        int32_t v;

        memcpy(&v, disp, sizeof(v));
        return next + (uint64_t)(int64_t)v;
}

/* gnu_get_libc_version() is `lea VERSION(%rip),%rax; ret`. Any other shape: the version stays unknown. */
static void read_version(const Dynsym *d, uint64_t function, char *name, size_t size) {
        static const unsigned char lea[] = {0x48, 0x8d, 0x05};
        unsigned char code[12];
        char text[16];
        unsigned major, minor;
        uint64_t at;
        const unsigned char *p = read_code(d, function, code, sizeof(code), &at);

        if (!p || memcmp(p, lea, sizeof(lea)) != 0 ||
            memory_read_string(d->mem, rip_relative(p + 3, at + 7), text, sizeof(text)) < 0 ||
            sscanf(text, "%3u.%3u", &major, &minor) != 2)
                return;
        snprintf(name, size, "glibc %u.%u", major, minor);
}

/* errno's place: __errno_location is `mov GOT(%rip),%rax; add %fs:0,%rax; ret`, where the GOT word is the offset from
 * the thread pointer; in a static program the linker knows that word and makes it `mov $OFFSET,%rax`. Any other shape:
 * errno cannot be kept. */
static void find_errno(const Dynsym *d, Image *im) {
        static const unsigned char mov[] = {0x48, 0x8b, 0x05}, imm[] = {0x48, 0xc7, 0xc0},
                                   add[] = {0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3};
        unsigned char code[21];
        int64_t offset;
        uint64_t at;
        const unsigned char *p = read_code(d, im->sym.errno_location, code, sizeof(code), &at);

        if (!p || memcmp(p + 7, add, sizeof(add)) != 0)
                return;
        if (memcmp(p, imm, sizeof(imm)) == 0) {
                int32_t v;

                memcpy(&v, p + 3, sizeof(v));
                offset = v;
        } else if (memcmp(p, mov, sizeof(mov)) != 0 ||
                   memory_read(d->mem, rip_relative(p + 3, at + 7), &offset, sizeof(offset)) < 0)
                return;
        if (offset >= 0 || offset < -(1 << 20))
                return; /* x86_64 is TLS variant II: static TLS lies below the thread pointer */
        im->errno_tp_offset = offset;
        im->has_errno = true;
}

static bool has_hooks(const Dynsym *d, const Seen *seen) {
        for (size_t i = 0; i < ELEMENTSOF(seen->hooks); i++) {
                uint64_t value;

                if (seen->hooks[i] && (memory_read(d->mem, seen->hooks[i], &value, sizeof(value)) < 0 || value != 0))
                        return true;
        }
        return false;
}

int glibc_read(const SymbolSource *src, Image *im, Allocator *ret) {
        static Function functions[FUNCTIONS_MAX];
        Seen seen = {.im = im, .functions = functions, .lo = UINT64_MAX, .above = UINT64_MAX};
        int r = symbols_each(src, see_names, &seen);

        if (r < 0)
                return r;
        /* in a static program another malloc takes glibc's place, and part of it may be linked all the same */
        if (!im->sym.malloc_trim || seen.malloc != seen.libc_malloc)
                return -ENODATA;
        r = add_malloc_range(src, &seen);
        if (r < 0)
                return r;
        im->sym.sigreturn = seen.restorer && is_restorer(src->d, seen.restorer) ? seen.restorer
                                                                                : find_restorer(src->d, seen.sigaction);
        if (!im->sym.sigreturn)
                return -ENODATA;
        *ret = (Allocator){
                .kind = ALLOCATOR_GLIBC, .name = "glibc", .purge = im->sym.malloc_trim, .tune = seen.mallopt};
        read_version(src->d, seen.get_version, ret->name, sizeof(ret->name));
        im->libc_start = src->d->start;
        im->libc_end = src->d->end;
        im->has_hooks = has_hooks(src->d, &seen);
        find_errno(src->d, im);
        return 0;
}

int glibc_read_libpthread(const SymbolSource *src, Image *im) {
        Seen seen = {.im = im, .only_pthread = true};
        int r = symbols_each(src, see_names, &seen);

        if (r == 0)
                im->sym.sigreturn_pthread = find_restorer(src->d, seen.sigaction);
        return r;
}
