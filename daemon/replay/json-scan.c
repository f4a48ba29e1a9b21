/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/json-scan.h"

#include <string.h>

static bool fail(JsonScan *s, const char *expected) {
        if (!s->error)
                s->error = expected;
        return false;
}

char json_scan_peek(JsonScan *s) {
        while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
                s->p++;
        return s->p < s->end ? *s->p : 0;
}

bool json_scan_enter(JsonScan *s, char open) {
        if (s->error)
                return false;
        if (json_scan_peek(s) != open)
                return fail(s, open == '{' ? "expected an object" : "expected an array");
        if (s->depth == JSON_SCAN_DEPTH_MAX)
                return fail(s, "expected JSON nested at most 64 deep");
        s->depth++;
        s->p++;
        return true;
}

static bool scan_string(JsonScan *s, JsonText *ret) {
        const char *p = s->p + 1;

        while (p < s->end && *p != '"' && (unsigned char)*p >= 0x20)
                p += *p == '\\' && s->end - p > 1 ? 2 : 1;
        if (p >= s->end || *p != '"') {
                s->p = p < s->end ? p : s->end;
                return fail(s, "expected the end of a string");
        }
        *ret = (JsonText){.p = s->p + 1, .end = p, .is_string = true};
        s->p = p + 1;
        return true;
}

bool json_scan_scalar(JsonScan *s, JsonText *ret) {
        const char *p;

        if (s->error)
                return false;
        if (json_scan_peek(s) == '"')
                return scan_string(s, ret);
        for (p = s->p; p < s->end && *p && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzEINT", *p);)
                p++;
        if (p == s->p)
                return fail(s, "expected a number or a string");
        *ret = (JsonText){.p = s->p, .end = p};
        s->p = p;
        return true;
}

bool json_scan_member(JsonScan *s, char close, bool *first, JsonText *ret_key) {
        char c = s->error ? 0 : json_scan_peek(s);

        if (s->error)
                return false;
        if (c == close) {
                s->p++;
                s->depth--;
                return false;
        }
        if (!*first) {
                if (c != ',')
                        return fail(s, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
                s->p++;
                if (json_scan_peek(s) == close)
                        return fail(s, "expected another value after ','");
        }
        *first = false;
        if (!ret_key)
                return true;
        if (json_scan_peek(s) != '"')
                return fail(s, "expected a key in quotes");
        if (!scan_string(s, ret_key))
                return false;
        if (json_scan_peek(s) != ':')
                return fail(s, "expected ':' after a key");
        s->p++;
        return true;
}

bool json_scan_skip(JsonScan *s) {
        JsonText unused;
        char c = s->error ? 0 : json_scan_peek(s);
        bool first = true;

        if (c != '{' && c != '[')
                return json_scan_scalar(s, &unused);
        if (!json_scan_enter(s, c)) /* bounded by JSON_SCAN_DEPTH_MAX, and so is the recursion */
                return false;
        while (json_scan_member(s, c == '{' ? '}' : ']', &first, c == '{' ? &unused : NULL))
                if (!json_scan_skip(s))
                        return false;
        return !s->error;
}

bool json_scan_is(JsonText t, const char *word) {
        return (size_t)(t.end - t.p) == strlen(word) && memcmp(t.p, word, strlen(word)) == 0;
}
