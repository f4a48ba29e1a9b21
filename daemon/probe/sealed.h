/* SPDX-License-Identifier: Apache-2.0
 *
 * A table too large for a reply, handed over in a sealed memory file (memfd_create(2), Linux 3.17): who reads it can be
 * sure that nobody changes it meanwhile. What is in it is believed no more than a reply is.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

/**
 * sealed_read() - all of descriptor @fd
 * @min, @max: bytes that it may have
 * @ret:       Owner: the caller, free()
 * Return: 0; -EBADMSG: refused, @ret_why says why (static); other negative errno.
 */
int sealed_read(int fd, size_t min, size_t max, void **ret, size_t *ret_size, const char **ret_why) _must_check_;
