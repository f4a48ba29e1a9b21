/* SPDX-License-Identifier: Apache-2.0
 *
 * Stands in for Google's tcmalloc, of which no distribution has a package: a library whose malloc is glibc's, and which
 * has the one function of tcmalloc that purges (malloc_extension.h, a weak C symbol) do malloc_trim(). The real one is
 * tried by `test-allocators.py --rust tcmalloc`, which takes a quarter of an hour to build.
 */
#include <malloc.h>
#include <stddef.h>

void *__libc_malloc(size_t n);
void *malloc(size_t n);
void MallocExtension_Internal_ReleaseMemoryToSystem(size_t n);

void *malloc(size_t n) {
        return __libc_malloc(n);
}

void MallocExtension_Internal_ReleaseMemoryToSystem(size_t n) {
        if (n > 0)
                malloc_trim(0);
}
