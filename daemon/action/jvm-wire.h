/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said over a HotSpot JVM's attach socket, protocol version 1: a request of five strings that end in NUL (the
 * version, "jcmd", the command, two empty arguments), and an answer that is a decimal result, a newline, and text until
 * the end of the stream. JDK 24 brought version 2 and still takes this one. Pure.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

#define JVM_WIRE_ANSWER_MAX 4096 /* the true one has some 60 bytes; a JVM's exception text has a few hundred */

typedef enum JvmAnswer {
        JVM_ANSWER_TRIMMED,
        JVM_ANSWER_NO_COMMAND, /* older than the command: JDK 18 brought it, later updates of 17 and 11 have it too */
        JVM_ANSWER_NO_TRIM,    /* it has the command, but its libc has no malloc_trim: musl */
        JVM_ANSWER_NOTHING,    /* closed without a word: it does not accept our user, or it is ending */
        JVM_ANSWER_FAILED,     /* it says that it failed */
        JVM_ANSWER_NOT_A_JVMS, /* no such answer comes from a JVM */
        _JVM_ANSWER_MAX,
} JvmAnswer;

/* jvm_wire_request() - the request for System.trim_native_heap. Return: its bytes, NULs among them; *ret_n of them. */
const char *jvm_wire_request(size_t *ret_n);

/**
 * jvm_wire_parse() - the whole answer
 * @text: @n bytes, hostile, up to the end of the stream
 */
JvmAnswer jvm_wire_parse(const char *text, size_t n);

/* jvm_wire_text() - one phrase for why there was no trim. Owner: static. */
const char *jvm_wire_text(JvmAnswer a);
