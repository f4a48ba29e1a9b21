/* SPDX-License-Identifier: Apache-2.0
 *
 * jvm.h on an event loop: the answer comes by callback, in its time or as a reply that says that it did not. Whatever
 * happens to the child afterwards, its zombie is taken away.
 */
#pragma once

#include <systemd/sd-event.h>

#include "action/jvm.h"

typedef struct JvmEvent JvmEvent;
typedef void (*JvmReplyFn)(void *userdata, const JvmReply *r);

/* jvm_event_new() - begin. @fn is called once, from the loop; it may free. Return: 0 or negative errno. */
int jvm_event_new(sd_event *event, const JvmRequest *q, JvmReplyFn fn, void *userdata, JvmEvent **ret) _must_check_;
/* jvm_event_free() - do not wait for it any more: see jvm_done(). NULL is accepted. Return: NULL. */
JvmEvent *jvm_event_free(JvmEvent *j);
