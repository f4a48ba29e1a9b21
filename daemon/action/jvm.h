/* SPDX-License-Identifier: Apache-2.0
 *
 * A HotSpot JVM trims its own heap, or tells what is in it: a command over its attach socket. Nothing of it is held
 * and no ptrace is needed; the JVM's own attach listener makes the call. A child process does all of it, because every
 * step touches files that the target chose and any of them may block; what it found comes by a descriptor, for the loop
 * or for poll.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "action/jvm-wire.h"
#include "probe/proto.h"
#include "util/cleanup.h"

#define JVM_CALL_NAME "System.trim_native_heap" /* outcome's method, JSON's `call` */
#define JVM_WHY_MAX   128

typedef struct JvmRequest {
        const int *places; /* one descriptor for each ProbePlace, from the probe; NULL = to be opened by ourselves */
        pid_t pid;
        uint64_t start_ticks; /* identity: field 22 of /proc/PID/stat */
        uint64_t attach_usec; /* to be accepted by the JVM */
        uint64_t finish_usec; /* for the command itself */
        JvmCommand command;
        int text_fd; /* unless JVM_TRIM: where what it tells is written to. See jvm_ask() */
} JvmRequest;

typedef enum JvmResult {
        JVM_NOT_ONE,   /* no JVM that is known here, or it has ended */
        JVM_NO_ACCESS, /* not told, because its maps may not be read: with places it could be */
        JVM_CANNOT,  /* a JVM, but not this way; @why says why. No call was begun */
        JVM_BEGUN,   /* not the end yet: the request is being sent */
        JVM_DONE,
        JVM_IN_FLIGHT, /* an earlier call has not been answered yet */
        JVM_TIMEOUT,   /* begun, no answer in its time; left to finish by itself */
        _JVM_RESULT_MAX,
} JvmResult;

typedef struct JvmReply {
        uint32_t result; /* JvmResult */
        uint32_t woken;  /* 1: its listener was asleep, and was woken by a file and SIGQUIT */
        uint64_t rss_before_bytes, rss_after_bytes; /* 0: not measured */
        uint64_t duration_usec;                     /* request to answer */
        uint64_t total_usec;                        /* with all that came before */
        char why[JVM_WHY_MAX];                      /* one phrase; may quote names that the target chose */
} JvmReply;

typedef struct JvmCall {
        pid_t pid; /* of the child. Not waited for by jvm_done() */
        int fd;    /* polls readable when jvm_receive() has something to do */
        bool begun;
        JvmCommand command;
        uint64_t begin_usec;
} JvmCall;

#define JVM_CALL_NULL ((JvmCall){.fd = -1})

/* jvm_start() - begin. Return: 0 or negative errno: then there is nothing to release. */
int jvm_start(const JvmRequest *q, JvmCall *ret) _must_check_;

/* jvm_receive() - never blocks. Return: true: *ret is the end; false: not yet. */
bool jvm_receive(JvmCall *c, JvmReply *ret);

/* jvm_limit_usec() - when to give up on the child itself; it keeps both times of the request before that. */
uint64_t jvm_limit_usec(const JvmRequest *q);
/* jvm_give_up() - the reply for a child that did not keep its time. */
void jvm_give_up(const JvmCall *c, JvmReply *ret);

/* jvm_done() - let go: a child that has not sent its request takes back what it did and ends; one that has waits for
 * the JVM's answer, so that no second call starts meanwhile. Who has a loop gives its pid to spawn_forget(). */
void jvm_done(JvmCall *c);

/* jvm_call() - all of it, blocking. For the command line. */
void jvm_call(const JvmRequest *q, JvmReply *ret);

/**
 * jvm_ask() - the same for a command that tells something
 * @q:    its text_fd is filled in here
 * @text: JVM_WIRE_TEXT_MAX bytes
 * Return: bytes in @text, hostile and without a NUL at their end; 0: none, and @ret says why not.
 */
size_t jvm_ask(const JvmRequest *q, char *text, JvmReply *ret);

/* jvm_to_probe() - the same as an answer of the probe to PROBE_OP_TRIM. Return: false: it is none, the probe has to be
 * asked (JVM_NOT_ONE, JVM_NO_ACCESS, JVM_CANNOT); then @ret is untouched. */
bool jvm_to_probe(const JvmReply *r, ProbeReply *ret);
