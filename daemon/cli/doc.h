/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a status document that may be anything: a key is looked up by its path ("limit.used_bytes"), its type is
 * checked, and what is missing, null, of another type, negative or not finite is absent. Nothing here fails, nothing
 * allocates.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "trend/trend.h"

/* doc_get() - the value at a path of keys joined by dots. Return: NULL when absent or null. Owner: @root. */
const json_t *doc_get(const json_t *root, const char *path);
/* doc_text() - a string, hostile. Return: NULL when absent. Owner: @root. */
const char *doc_text(const json_t *root, const char *path);
/* doc_u64() - a whole number that is not negative. Return: false when absent, @ret untouched. */
bool doc_u64(const json_t *root, const char *path, uint64_t *ret);
/* doc_double() - a finite number. Return: as above. */
bool doc_double(const json_t *root, const char *path, double *ret);
/* doc_usec() - seconds, as the documents have them, in microseconds. Return: as above. */
bool doc_usec(const json_t *root, const char *path, uint64_t *ret_usec);
/* doc_time() - an RFC 3339 time in UTC, in microseconds since the epoch. Return: as above. */
bool doc_time(const json_t *root, const char *path, uint64_t *ret_usec);
/* doc_is_true() - a boolean that is there and true. */
bool doc_is_true(const json_t *root, const char *path);

/* doc_trend() - the fit of a target as trend_fit() gave it; TREND_WAIT when there is none. */
void doc_trend(const json_t *target, TrendFit *ret);
