/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading hostile JSON in place: one value after another, nothing kept, nothing allocated, nested 64 deep at the most.
 * Unlike a parser that builds a tree it knows the place of every value, so that what is wrong with one can be said with
 * line and column, and an answer of Prometheus with millions of samples needs no more memory than its text.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JSON_SCAN_DEPTH_MAX 64u

typedef struct JsonScan {
        const char *p, *end;
        const char *error; /* what was expected at p; NULL = all is well. Owner: static */
        unsigned depth;
} JsonScan;

/* A scalar's text as it stands there: a string without its quotes, still with its escapes. */
typedef struct JsonText {
        const char *p, *end;
        bool is_string;
} JsonText;

/* json_scan_peek() - the first byte of the next value or punctuation, 0 at the end. */
char json_scan_peek(JsonScan *s);
/* json_scan_enter() - the '{' or '[' @open. Return: false when something else is there, which is an error. */
bool json_scan_enter(JsonScan *s, char open);
/**
 * json_scan_member() - the next member of an object entered, or the next value of an array
 * @close: '}' or ']', which ends it
 * @first: set to true before the first call, kept by the calls
 * @ret_key: of an object; NULL for an array
 * Return: true: the value is next. false: it ended, or an error.
 */
bool json_scan_member(JsonScan *s, char close, bool *first, JsonText *ret_key);
/* json_scan_scalar() - a string, number, true, false or null. Return: false on an error. */
bool json_scan_scalar(JsonScan *s, JsonText *ret);
/* json_scan_skip() - any value. Return: as above. */
bool json_scan_skip(JsonScan *s);
/* json_scan_is() - is the text these bytes? Escapes are not resolved: our keys have none. */
bool json_scan_is(JsonText t, const char *word);
