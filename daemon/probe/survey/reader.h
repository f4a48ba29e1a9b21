/* SPDX-License-Identifier: Apache-2.0
 *
 * The unprivileged end of PROBE_OP_SURVEY: takes the sealed memory file that came with the reply and believes nothing
 * of it. Every name must be terminated, every kind known, every figure below what an address space can hold; the parts
 * must add up to what is told as their sum. Anything else is refused whole.
 */
#pragma once

#include "probe/survey/survey.h"

/* survey_check() - Return: NULL: good; else why not, as the end of a sentence. Pure: the fuzz target's entry. */
const char *survey_check(const Survey *s);

/* survey_read() - from descriptor @fd. @ret: Owner: the caller, free(). Return: 0; -EBADMSG: refused, @ret_why (static)
 * says why; other negative errno. */
int survey_read(int fd, Survey **ret, const char **ret_why) _must_check_;
