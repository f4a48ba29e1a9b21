/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON of another's making: every getter gives the value when it is there, of the right type and in bounds, and
 * "absent" otherwise. A path is keys with blanks between, "metadata labels pod-template-hash": no key of the Kubernetes
 * API has a blank in it, but many have dots. No json_t, a NULL one, and any type on the way are fine.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Elements of a list that are looked at: no pod has more containers, conditions or owners. */
#define KUBE_FIELD_LIST_MAX 256u

/* kube_field() - the value at @path. Return: borrowed; NULL = absent. */
json_t *kube_field(const json_t *o, const char *path);
/* kube_field_text() - a string. Return: false and "" when absent or longer than @size - 1: a cut name is another name.
 */
bool kube_field_text(const json_t *o, const char *path, char *buf, size_t size);
/* kube_field_str() - the same in place. Return: borrowed; "" when absent. */
const char *kube_field_str(const json_t *o, const char *path);
/* kube_field_u64() - an integer that is not negative. Return: false when absent; @ret untouched then. */
bool kube_field_u64(const json_t *o, const char *path, uint64_t *ret);
/* kube_field_true() - whether it is there and true. */
bool kube_field_true(const json_t *o, const char *path);
/* kube_field_time() - Units: CLOCK_REALTIME microseconds; 0 = absent. */
uint64_t kube_field_time(const json_t *o, const char *path);
/* kube_field_bytes() - a quantity. Units: bytes; 0 = absent. */
uint64_t kube_field_bytes(const json_t *o, const char *path);
/* kube_field_item() - of the list at @path the first object whose member @key is the string @value. NULL = none. */
json_t *kube_field_item(const json_t *o, const char *path, const char *key, const char *value);
/* kube_field_condition() - of status.conditions the one of @type. NULL = none. */
json_t *kube_field_condition(const json_t *o, const char *type);
