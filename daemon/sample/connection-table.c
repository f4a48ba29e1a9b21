/* SPDX-License-Identifier: Apache-2.0 */
#include "sample/connection-table.h"

#include <errno.h>
#include <string.h>

#include "util/scan.h"

#define WORD_DIGITS 8u

/* ---- one row ---- */

static bool scan_hex(const char **p, const char *end, size_t digits_max, uint64_t *ret) {
        uint64_t v = 0;
        size_t n = 0;

        for (; *p < end && n <= digits_max; (*p)++, n++) {
                unsigned char c = (unsigned char)**p;
                unsigned digit;

                if (c >= '0' && c <= '9')
                        digit = c - '0';
                else if (c >= 'A' && c <= 'F')
                        digit = c - 'A' + 10u;
                else
                        break;
                v = v << 4 | digit;
        }
        if (n == 0 || n > digits_max)
                return false;
        *ret = v;
        return true;
}

/* Eight digits (IPv4) or 32: words in the kernel's own byte order, the same for both tables. */
static bool scan_address(const char **p, const char *end, ConnectionAddress *ret) {
        const char *start = *p;
        size_t n_words;

        while (*p < end && ((**p >= '0' && **p <= '9') || (**p >= 'A' && **p <= 'F')))
                (*p)++;
        n_words = (size_t)(*p - start) / WORD_DIGITS;
        if ((n_words != 1 && n_words != 4) || (size_t)(*p - start) % WORD_DIGITS != 0)
                return false;
        *ret = (ConnectionAddress){.words = {[2] = CONNECTION_MAPPED_V4}};
        for (size_t i = 0; i < n_words; i++) {
                const char *word = start + i * WORD_DIGITS;
                uint64_t v;

                if (!scan_hex(&word, word + WORD_DIGITS, WORD_DIGITS, &v))
                        return false;
                ret->words[n_words == 1 ? 3 : i] = (uint32_t)v;
        }
        return true;
}

/* "0100007F:1F90" */
static bool scan_endpoint(const char **p, const char *end, ConnectionAddress *ret_address, uint16_t *ret_port) {
        const char *start;
        uint64_t port;

        *p = scan_blanks(*p, end);
        if (!scan_address(p, end, ret_address) || *p == end || **p != ':')
                return false;
        (*p)++;
        start = *p;
        if (!scan_hex(p, end, 4, &port) || *p - start != 4)
                return false;
        *ret_port = (uint16_t)port;
        return true;
}

/* A word of any other column. */
static bool skip_word(const char **p, const char *end) {
        const char *start;

        *p = start = scan_blanks(*p, end);
        while (*p < end && **p != ' ')
                (*p)++;
        return *p > start;
}

int connection_row_parse(const char *line, size_t len, ConnectionRow *ret) {
        const char *p = scan_blanks(line, line + len), *end = line + len;
        ConnectionRow row = {0};
        ConnectionAddress remote;
        uint64_t v;

        if (!scan_u64(&p, end, &v) || p == end || *p++ != ':') /* "  12:" */
                return -EBADMSG;
        if (!scan_endpoint(&p, end, &row.local, &row.local_port) || !scan_endpoint(&p, end, &remote, &row.remote_port))
                return -EBADMSG;
        p = scan_blanks(p, end);
        if (!scan_hex(&p, end, 2, &v))
                return -EBADMSG;
        row.state = (uint8_t)v;
        for (unsigned i = 0; i < 5; i++) /* queues, timer, retransmits, uid, timeout */
                if (!skip_word(&p, end))
                        return -EBADMSG;
        p = scan_blanks(p, end);
        if (!scan_u64(&p, end, &row.inode) || (p < end && *p != ' '))
                return -EBADMSG;
        *ret = row;
        return 0;
}

/* ---- a table, piece by piece ---- */

static void take_line(ConnectionScan *s, const char *line, size_t len, ConnectionRowFn fn, void *userdata) {
        ConnectionRow row;

        if (!s->heading_seen) {
                s->heading_seen = true;
                return;
        }
        if (connection_row_parse(line, len, &row) < 0) {
                s->refused++;
                return;
        }
        s->rows++;
        fn(userdata, &row);
}

void connection_scan_feed(ConnectionScan *s, const char *buf, size_t len, ConnectionRowFn fn, void *userdata) {
        const char *p = buf, *end = buf + len;

        while (p < end) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((newline ? newline : end) - p);

                if (newline && s->len == 0 && !s->overlong && n <= sizeof(s->line)) {
                        take_line(s, p, n, fn, userdata); /* whole, as most are: no copy */
                        p = newline + 1;
                        continue;
                }
                if (s->overlong || n > sizeof(s->line) - s->len) {
                        s->overlong = true;
                        s->len = 0;
                } else {
                        memcpy(s->line + s->len, p, n);
                        s->len += n;
                }
                if (!newline)
                        return;
                if (s->overlong) {
                        s->refused += s->heading_seen;
                        s->heading_seen = true;
                } else
                        take_line(s, s->line, s->len, fn, userdata);
                s->len = 0;
                s->overlong = false;
                p = newline + 1;
        }
}
