/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include <math.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at @s (RFC 3629, table of section 4), 0 when it is not one. */
static size_t utf8_sequence(const unsigned char *s, size_t n) {
        unsigned char a = s[0], lo = 0x80, hi = 0xbf;
        size_t len;

        if (a < 0x80)
                return 1;
        if (a < 0xc2 || a > 0xf4)
                return 0;
        len = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
        if (n < len)
                return 0;
        if (a == 0xe0)
                lo = 0xa0; /* overlong */
        else if (a == 0xed)
                hi = 0x9f; /* surrogates */
        else if (a == 0xf0)
                lo = 0x90;
        else if (a == 0xf4)
                hi = 0x8f; /* beyond U+10FFFF */
        if (s[1] < lo || s[1] > hi)
                return 0;
        for (size_t i = 2; i < len; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return len;
}

/* @c: a code point below U+0100 */
static void escape_control(Buf *b, unsigned char c) {
        static const char hex[] = "0123456789abcdef";
        const char *named = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
        char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

        if (named)
                buf_adds(b, named);
        else
                buf_add(b, u, sizeof(u));
}

static void escape(Buf *b, const char *str, size_t n, bool quotes) {
        const unsigned char *s = (const unsigned char *)str;

        for (size_t i = 0; i < n;) {
                size_t len = utf8_sequence(s + i, n - i);

                if (len == 0) {
                        buf_adds(b, "\xef\xbf\xbd");
                        i++;
                        continue;
                }
                if ((s[i] == '"' && quotes) || s[i] == '\\') {
                        buf_addc(b, '\\');
                        buf_addc(b, (char)s[i]);
                } else if (s[i] < 0x20 || s[i] == 0x7f)
                        escape_control(b, s[i]);
                else if (s[i] == 0xc2 && s[i + 1] < 0xa0)
                        escape_control(b, s[i + 1]); /* U+0080..U+009F */
                else
                        buf_add(b, s + i, len);
                i += len;
        }
}

void json_escape(Buf *b, const char *s, size_t n) {
        escape(b, s, n, true);
}

void json_escape_text(Buf *b, const char *s, size_t n) {
        escape(b, s, n, false);
}

static void before_value(Json *j) {
        if (j->after_key)
                j->after_key = false;
        else if (j->depth > 0) {
                if (j->need_comma[j->depth - 1])
                        buf_addc(j->buf, ',');
                j->need_comma[j->depth - 1] = true;
        }
}

static void open_level(Json *j, char c) {
        before_value(j);
        if (j->depth == JSON_DEPTH_MAX) {
                j->failed = true;
                return;
        }
        j->need_comma[j->depth++] = false;
        buf_addc(j->buf, c);
}

static void close_level(Json *j, char c) {
        if (j->depth == 0) {
                j->failed = true;
                return;
        }
        j->depth--;
        buf_addc(j->buf, c);
}

void json_object_begin(Json *j) {
        open_level(j, '{');
}

void json_object_end(Json *j) {
        close_level(j, '}');
}

void json_array_begin(Json *j) {
        open_level(j, '[');
}

void json_array_end(Json *j) {
        close_level(j, ']');
}

void json_key(Json *j, const char *key) {
        json_str(j, key);
        buf_addc(j->buf, ':');
        j->after_key = true;
}

void json_str(Json *j, const char *s) {
        before_value(j);
        if (!s) {
                buf_adds(j->buf, "null");
                return;
        }
        buf_addc(j->buf, '"');
        json_escape(j->buf, s, strlen(s));
        buf_addc(j->buf, '"');
}

void json_u64(Json *j, uint64_t v) {
        before_value(j);
        buf_addu(j->buf, v);
}

void json_i64(Json *j, int64_t v) {
        before_value(j);
        if (v < 0)
                buf_addc(j->buf, '-');
        buf_addu(j->buf, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_double(Json *j, double v) {
        before_value(j);
        if (isfinite(v))
                buf_addf(j->buf, "%.9g", v);
        else
                buf_adds(j->buf, "null");
}

void json_bool(Json *j, bool v) {
        before_value(j);
        buf_adds(j->buf, v ? "true" : "false");
}

void json_nil(Json *j) {
        before_value(j);
        buf_adds(j->buf, "null");
}

void json_kv_string(Json *j, const char *key, const char *s) {
        json_key(j, key);
        json_str(j, s);
}

void json_kv_u64(Json *j, const char *key, uint64_t v) {
        json_key(j, key);
        json_u64(j, v);
}

void json_kv_i64(Json *j, const char *key, int64_t v) {
        json_key(j, key);
        json_i64(j, v);
}

void json_kv_double(Json *j, const char *key, double v) {
        json_key(j, key);
        json_double(j, v);
}

void json_kv_bool(Json *j, const char *key, bool v) {
        json_key(j, key);
        json_bool(j, v);
}

void json_kv_null(Json *j, const char *key) {
        json_key(j, key);
        json_nil(j);
}

void json_kv_u64_or_null(Json *j, const char *key, bool known, uint64_t v) {
        json_key(j, key);
        if (known)
                json_u64(j, v);
        else
                json_nil(j);
}
