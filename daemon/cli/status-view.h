/* SPDX-License-Identifier: Apache-2.0
 *
 * The status document as one screen that a tired person understands: each target's line to the limit first, then what
 * the ladder says and why, then what was done, then whether anybody is told. Draws what is there and leaves out what is
 * not.
 */
#pragma once

#include <jansson.h>

#include "cli/screen.h"

/**
 * status_view() - draw the document
 * @only: name of the one target to show; NULL = all
 * Return: how many targets were drawn.
 */
unsigned status_view(Screen *s, const json_t *doc, const char *only);

/* status_is_document() - is this what plateaud writes? Return: NULL, or what is wrong with it. Owner: static. */
const char *status_is_document(const json_t *doc);

/* status_alerts() - targets whose alert is firing, of all or of @only. */
unsigned status_alerts(const json_t *doc, const char *only);
