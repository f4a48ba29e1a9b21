/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that is wrong with one configuration, collected while it is read and told at the end in file order: one
 * line each, "file:line:col: message". Values in messages are quoted here, because they are hostile: control bytes and
 * invisible characters are escaped, long text is cut.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

#define PROBLEMS_TOLD_MAX 200 /* more are counted: a wrong file of 1 MiB must not answer with 20 MiB */
#define QUOTE_MAX 64          /* bytes of a value shown before it is cut */

/* A place in the file, counted from 1 as editors do. Line 0: no place (the file as a whole, or the environment). */
typedef struct Mark {
        unsigned line, col;
} Mark;

typedef struct Problem {
        Mark mark;
        bool is_warning;
        size_t offset, len; /* into Problems.text */
} Problem;

typedef struct Problems {
        const char *file; /* Owner: caller */
        Problem *items;
        size_t n, cap;
        size_t n_errors, n_untold;
        Buf text;
        bool failed; /* out of memory: the list is not whole */
} Problems;

#define PROBLEMS_NULL ((Problems){.text = BUF_NULL})

/* problems_done() - empty again; the Problems itself is the caller's. */
void problems_done(Problems *p);
/* problem_error() - makes the load fail. */
void problem_error(Problems *p, Mark m, const char *fmt, ...) _printf_(3, 4);
/* problem_warning() - told, but the configuration is taken. */
void problem_warning(Problems *p, Mark m, const char *fmt, ...) _printf_(3, 4);
/* problems_write() - all of them, by position, one a line, appended to @out. */
void problems_write(const Problems *p, Buf *out);

/* quote_text() - "text" with quotes, escaped and cut after QUOTE_MAX bytes. @s need not be UTF-8. */
void quote_text(Buf *b, const char *s, size_t len);

/* utf8_length() - of the character at @s. Shape: at least @n >= 1 bytes. Return: 1..4; 0: not UTF-8 (RFC 3629). */
unsigned utf8_length(const char *s, size_t n, unsigned *ret_point);
/* utf8_is_invisible() - control, direction and zero-width characters: they make a text read as what it is not. */
bool utf8_is_invisible(unsigned point);
