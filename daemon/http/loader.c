/* SPDX-License-Identifier: Apache-2.0 */
#include "http/loader.h"

#include <dlfcn.h>
#include <string.h>

/* What dlerror() says is "NAME: cannot open ...: No such file"; the part behind the name is what a reader lacks. */
static const char *open_error(const char *name) {
        const char *e = dlerror();
        size_t n = strlen(name);

        if (!e)
                return "unknown error";
        return strncmp(e, name, n) == 0 && e[n] == ':' ? e + n + 1 + (e[n + 1] == ' ') : e;
}

static void *open_first(const char *what, const char *const *names, char *why, size_t why_size) {
        for (size_t i = 0; names[i]; i++) {
                void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);

                if (handle)
                        return handle;
                if (i == 0) /* the preferred one tells most */
                        snprintf(why, why_size, "%s is not installed: %s: %s", what, names[i], open_error(names[i]));
        }
        return NULL;
}

int loader_open(const char *what, const char *const *names, const LoaderSymbol *symbols, size_t n_symbols, void *table,
                char *why, size_t why_size) {
        void *handle = open_first(what, names, why, why_size);

        if (!handle)
                return -ENOENT;
        for (size_t i = 0; i < n_symbols; i++)
                if (!dlsym(handle, symbols[i].name)) {
                        snprintf(why, why_size, "%s is too old: it has no %s", what, symbols[i].name);
                        dlclose(handle);
                        return -ENOSYS;
                }
        for (size_t i = 0; i < n_symbols; i++) {
                void *f = dlsym(handle, symbols[i].name);

                /* ISO C has no conversion from object to function pointer; POSIX dlsym() needs one, so copy the bits */
                memcpy((char *)table + symbols[i].offset, &f, sizeof(f));
        }
        return 0;
}
