/* SPDX-License-Identifier: Apache-2.0
 *
 * Pieces of the API's paths: what may stand there as it is, and what must be encoded. Names come from the cluster, from
 * the environment and from settings; none of them may lead to another path than that of the object they name. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* kube_is_name() - whether @s is an object's name (DNS-1123 subdomain, 253 bytes): no '/', '?' or '%' gets into a path.
 */
bool kube_is_name(const char *s);

/* kube_path_append() - percent-encodes all that is not unreserved (RFC 3986), '=' and ',' of a selector too.
 * Return: whether it fits; @path is a prefix of the result if not. */
bool kube_path_append(char *path, size_t size, const char *text);
