/* SPDX-License-Identifier: Apache-2.0 */
#include "action/jvm-wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "util/scan.h"

#define REQUEST(command) "1\0jcmd\0" command "\0\0", sizeof("1\0jcmd\0" command "\0\0")

/* Three arguments, all of them always there: the JVM reads until it has counted five strings. The literal's own NUL
 * ends the last one. */
static const struct {
        const char *request;
        size_t n, limit;
} commands[_JVM_COMMAND_MAX] = {
        [JVM_TRIM] = {REQUEST("System.trim_native_heap"), JVM_WIRE_ANSWER_MAX},
        [JVM_NATIVE_MEMORY] = {REQUEST("VM.native_memory summary scale=1"), JVM_WIRE_TEXT_MAX},
        [JVM_HEAP_INFO] = {REQUEST("GC.heap_info"), JVM_WIRE_TEXT_MAX},
        [JVM_METASPACE] = {REQUEST("VM.metaspace basic scale=1"), JVM_WIRE_TEXT_MAX},
};

const char *jvm_wire_request(JvmCommand c, size_t *ret_n) {
        *ret_n = commands[c].n;
        return commands[c].request;
}

size_t jvm_wire_limit(JvmCommand c) {
        return commands[c].limit;
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

JvmAnswer jvm_wire_parse(JvmCommand c, const char *text, size_t n, size_t *ret_body) {
        const char *p = text, *end = text + n;
        bool good;

        if (n == 0)
                return JVM_ANSWER_NOTHING;
        if (n >= commands[c].limit || !take_result(&p, end, &good))
                return JVM_ANSWER_NOT_A_JVMS;
        if (good && c != JVM_TRIM) {
                *ret_body = (size_t)(p - text);
                return JVM_ANSWER_TEXT;
        }
        if (good)
                return begins(p, end, "Trim native heap") ? JVM_ANSWER_TRIMMED
                       : begins(p, end, "Not available")  ? JVM_ANSWER_NO_TRIM
                                                          : JVM_ANSWER_NOT_A_JVMS;
        return memmem(p, (size_t)(end - p), "Unknown diagnostic command", 26) ? JVM_ANSWER_NO_COMMAND
                                                                              : JVM_ANSWER_FAILED;
}

const char *jvm_wire_text(JvmCommand c, JvmAnswer a) {
        static const char *const texts[_JVM_ANSWER_MAX] = {
                [JVM_ANSWER_TRIMMED] = "",
                [JVM_ANSWER_TEXT] = "",
                [JVM_ANSWER_NO_COMMAND] = "this JVM is too old for System.trim_native_heap",
                [JVM_ANSWER_NO_TRIM] = "the JVM says that its libc has no malloc_trim",
                [JVM_ANSWER_NOTHING] = "the JVM hung up without an answer",
                [JVM_ANSWER_FAILED] = "the JVM says that System.trim_native_heap failed",
                [JVM_ANSWER_NOT_A_JVMS] = "what came from the attach socket is no JVM's answer",
        };

        if (c != JVM_TRIM && a == JVM_ANSWER_NO_COMMAND)
                return "this JVM is too old for that question";
        if (c != JVM_TRIM && a == JVM_ANSWER_FAILED)
                return "the JVM says that it failed to answer";
        return a < _JVM_ANSWER_MAX ? texts[a] : "";
}
