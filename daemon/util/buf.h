/* SPDX-License-Identifier: Apache-2.0
 *
 * A growable byte buffer that is reused: buf_reset() keeps the allocation, so an encoder that runs every tick stops
 * allocating after its first run. Always NUL-terminated. A failed growth is remembered (`failed`) and later appends do
 * nothing, so that callers check once, at the end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"

typedef struct Buf {
        char *data;     /* Owner: the Buf. NULL until the first append */
        size_t len;     /* bytes without the NUL */
        size_t cap;     /* allocated */
        size_t max;     /* hard bound on cap; 0 = BUF_MAX_DEFAULT */
        bool failed;    /* out of memory, over max, or a format that could not be printed */
} Buf;

#define BUF_NULL ((Buf){0})
#define BUF_MAX_DEFAULT ((size_t)1 << 20)

/* buf_done() - release the memory; the Buf is empty and usable again. */
void buf_done(Buf *b);
/* buf_reset() - empty, keeping the memory. */
void buf_reset(Buf *b);
/* buf_add() - append @n bytes, all or none. Hazard: @p must not point into the Buf, which may move. */
void buf_add(Buf *b, const void *p, size_t n);
/* buf_adds() - append a C string; NULL adds nothing. */
void buf_adds(Buf *b, const char *s);
/* buf_addc() - append one byte. */
void buf_addc(Buf *b, char c);
/* buf_addf() - append formatted text. */
void buf_addf(Buf *b, const char *fmt, ...) _printf_(2, 3);
void buf_vaddf(Buf *b, const char *fmt, va_list ap) _printf_(2, 0);
/* buf_addu() - append an unsigned decimal without stdio: the hot path of the metric encoder. */
void buf_addu(Buf *b, uint64_t v);
/* buf_str() - the text. Return: never NULL ("" when empty). Owner: the Buf, until the next append. */
const char *buf_str(const Buf *b);

#define _cleanup_buf_ _cleanup_(buf_done)
