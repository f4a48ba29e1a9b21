/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/scan.h"

/* Three arguments, all of them always there: the JVM reads until it has counted five strings. */
static const char request[] = "1\0jcmd\0System.trim_native_heap\0\0";

const char *jvm_wire_request(size_t *ret_n) {
        *ret_n = sizeof(request); /* the literal's own NUL ends the last argument */
        return request;
}

static bool begins(const char *p, const char *end, const char *with) {
        size_t n = strlen(with);

        return (size_t)(end - p) >= n && memcmp(p, with, n) == 0;
}

/* Its first line: "0" or a negative number (JNI_ERR is -1; 101 is a bad version). */
static bool take_result(const char **p, const char *end, bool *ret_good) {
        bool negative = *p < end && **p == '-';
        uint64_t code;

        *p += negative;
        if (!scan_u64(p, end, &code) || code > INT32_MAX || *p == end || **p != '\n')
                return false;
        ++*p;
        *ret_good = code == 0;
        return true;
}

JvmAnswer jvm_wire_parse(const char *text, size_t n) {
        const char *p = text, *end = text + n;
        bool good;

        if (n == 0)
                return JVM_ANSWER_NOTHING;
        if (n >= JVM_WIRE_ANSWER_MAX || !take_result(&p, end, &good))
                return JVM_ANSWER_NOT_A_JVMS;
        if (good)
                return begins(p, end, "Trim native heap") ? JVM_ANSWER_TRIMMED
                       : begins(p, end, "Not available")  ? JVM_ANSWER_NO_TRIM
                                                          : JVM_ANSWER_NOT_A_JVMS;
        return memmem(p, (size_t)(end - p), "Unknown diagnostic command", 26) ? JVM_ANSWER_NO_COMMAND
                                                                              : JVM_ANSWER_FAILED;
}

const char *jvm_wire_text(JvmAnswer a) {
        static const char *const texts[_JVM_ANSWER_MAX] = {
                [JVM_ANSWER_TRIMMED] = "",
                [JVM_ANSWER_NO_COMMAND] = "this JVM is too old for System.trim_native_heap",
                [JVM_ANSWER_NO_TRIM] = "the JVM says that its libc has no malloc_trim",
                [JVM_ANSWER_NOTHING] = "the JVM hung up without an answer",
                [JVM_ANSWER_FAILED] = "the JVM says that System.trim_native_heap failed",
                [JVM_ANSWER_NOT_A_JVMS] = "what came from the attach socket is no JVM's answer",
        };

        return a < _JVM_ANSWER_MAX ? texts[a] : "";
}
