/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said over a HotSpot JVM's attach socket, protocol version 1: a request of five strings that end in NUL (the
 * version, "jcmd", the command, two empty arguments), and an answer that is a decimal result, a newline, and text until
 * the end of the stream. JDK 24 brought version 2 and still takes this one. What that text tells: jvm-inside.h. Pure.
 */
#pragma once

#include <stddef.h>

#include "util/cleanup.h"

#define JVM_WIRE_ANSWER_MAX 4096  /* the true one has some 60 bytes; a JVM's exception text has a few hundred */
#define JVM_WIRE_TEXT_MAX   65536 /* of the others: native memory with all its categories has some 6000 */

typedef enum JvmCommand {
        JVM_TRIM,          /* System.trim_native_heap */
        JVM_NATIVE_MEMORY, /* VM.native_memory summary, in bytes */
        JVM_HEAP_INFO,     /* GC.heap_info: takes Heap_lock (diagnosticCommand.cpp), starts no collection */
        JVM_METASPACE,     /* VM.metaspace basic, in bytes: the form that needs no safepoint (metaspaceDCmd.cpp) */
        _JVM_COMMAND_MAX,
} JvmCommand;

typedef enum JvmAnswer {
        JVM_ANSWER_TRIMMED,
        JVM_ANSWER_TEXT,       /* to a command other than JVM_TRIM */
        JVM_ANSWER_NO_COMMAND, /* older than the command: JDK 18 brought it, later updates of 17 and 11 have it too */
        JVM_ANSWER_NO_TRIM,    /* it has the command, but its libc has no malloc_trim: musl */
        JVM_ANSWER_NOTHING,    /* closed without a word: it does not accept our user, or it is ending */
        JVM_ANSWER_FAILED,     /* it says that it failed */
        JVM_ANSWER_NOT_A_JVMS, /* no such answer comes from a JVM */
        _JVM_ANSWER_MAX,
} JvmAnswer;

/* jvm_wire_request() - Return: its bytes, NULs among them; *ret_n of them. Owner: static. */
const char *jvm_wire_request(JvmCommand c, size_t *ret_n);

/* jvm_wire_limit() - an answer with so many bytes is no JVM's, and is read no further. */
size_t jvm_wire_limit(JvmCommand c);

/**
 * jvm_wire_parse() - the whole answer
 * @text:     @n bytes, hostile, up to the end of the stream
 * @ret_body: where its second line begins; untouched unless JVM_ANSWER_TEXT
 */
JvmAnswer jvm_wire_parse(JvmCommand c, const char *text, size_t n, size_t *ret_body);

/* jvm_wire_text() - one phrase for why there was no trim, or no text. Owner: static. */
const char *jvm_wire_text(JvmCommand c, JvmAnswer a);
