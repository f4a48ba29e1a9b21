/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "util/cleanup.h"

static const Glyphs glyphs_utf8 = {
        .dot = "·", .arrow = "→", .on = "●", .half = "◐", .off = "○",
        .bar_full = "█", .bar_empty = "░", .bar_mark = "▏",
        .fill = {"█", "▓", "▒", "▚"}, .fill_free = "░", .fill_rest = "·",
        .axis_y = "│", .axis_tick = "┤", .axis_corner = "└", .axis_x = "─", .axis_now = "┴",
        .limit = "╌", .ellipsis = "…",
};

static const Glyphs glyphs_ascii = {
        .dot = "-", .arrow = "->", .on = "*", .half = "~", .off = "o",
        .bar_full = "#", .bar_empty = ".", .bar_mark = "|",
        .fill = {"#", "=", "+", "o"}, .fill_free = ".", .fill_rest = "-",
        .axis_y = "|", .axis_tick = "+", .axis_corner = "+", .axis_x = "-", .axis_now = "+",
        .limit = "-", .ellipsis = "...",
};

static const char *env_or_empty(const char *name) {
        const char *s = getenv(name);

        return s ? s : "";
}

/* The locale's name as locale(7) resolves it: LC_ALL, LC_CTYPE, LANG, the first that is not empty. */
static bool environment_wants_utf8(void) {
        static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const char *s = env_or_empty(names[i]);

                if (*s)
                        return strcasestr(s, "utf-8") || strcasestr(s, "utf8");
        }
        return false;
}

bool term_has_utf8(void) {
        static int known = -1;

        if (known < 0) {
                /* en_US.UTF-8 is asked for in many a container that has no locale but C.UTF-8 */
                if (!setlocale(LC_CTYPE, "") && environment_wants_utf8())
                        setlocale(LC_CTYPE, "C.UTF-8");
                known = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        }
        return known;
}

void term_resize(Term *t, FILE *out) {
        struct winsize w = {0};

        if (!t->tty || ioctl(fileno(out), TIOCGWINSZ, &w) < 0)
                w = (struct winsize){0};
        t->width = w.ws_col ? w.ws_col : t->tty ? 80 : TERM_WIDTH_DEFAULT;
        t->height = w.ws_row ? w.ws_row : 24;
        t->width = max_of(t->width, TERM_WIDTH_MIN);
}

void term_init(Term *t, FILE *out) {
        const char *type = env_or_empty("TERM");
        bool tty = isatty(fileno(out)) && *type && strcmp(type, "dumb") != 0;

        *t = (Term){
                .tty = tty,
                .color = tty && !*env_or_empty("NO_COLOR"), /* no-color.org: present and not empty */
                .utf8 = term_has_utf8(),
        };
        t->braille = t->utf8 && strcmp(type, "linux") != 0; /* the console's fonts have 512 glyphs at most */
        t->glyph = t->utf8 ? &glyphs_utf8 : &glyphs_ascii;
        term_resize(t, out);
}

const char *term_style(const Term *t, Style s) {
        /* the sixteen colours that every palette defines, and none that is unreadable on black or white */
        static const char *const codes[_STYLE_MAX] = {
                [STYLE_PLAIN] = "", [STYLE_DIM] = "\033[2m", [STYLE_BOLD] = "\033[1m", [STYLE_GOOD] = "\033[32m",
                [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m", [STYLE_ACCENT] = "\033[36m",
        };
        return t->color ? codes[s] : "";
}

const char *term_plain(const Term *t, Style s) {
        return t->color && s != STYLE_PLAIN ? "\033[0m" : "";
}

static unsigned add_escape(Buf *b, bool is_byte, unsigned v) {
        char text[16];

        snprintf(text, sizeof(text), is_byte ? "\\x%02x" : "\\u{%x}", v);
        buf_adds(b, text);
        return (unsigned)strlen(text);
}

static unsigned safe_byte(Buf *b, unsigned char c) {
        static const char named[][3] = {['\n'] = "\\n", ['\t'] = "\\t", ['\r'] = "\\r", [0x1b] = "\\e"};

        if (c >= 0x20 && c < 0x7f) {
                buf_addc(b, (char)c);
                return 1;
        }
        if (c < ELEMENTSOF(named) && named[c][0]) {
                buf_adds(b, named[c]);
                return 2;
        }
        return add_escape(b, true, c);
}

unsigned term_safe(Buf *b, bool utf8, const char *s) {
        unsigned columns = 0;
        mbstate_t state = {0};

        while (*s) {
                wchar_t wc = 0;
                size_t n = 1;
                int width;

                if (utf8 && (unsigned char)*s >= 0x80)
                        n = mbrtowc(&wc, s, strlen(s), &state);
                if (n == (size_t)-1 || n == (size_t)-2 || n < 2) {
                        state = (mbstate_t){0};
                        columns += safe_byte(b, (unsigned char)*s++);
                        continue;
                }
                width = iswprint((wint_t)wc) ? wcwidth(wc) : 0;
                if (width > 0)
                        buf_add(b, s, n);
                columns += width > 0 ? (unsigned)width : add_escape(b, false, (unsigned)wc);
                s += n;
        }
        return columns;
}

void term_print_problems(const Buf *problems) {
        const char *p = buf_str(problems);
        Term t;

        term_init(&t, stderr);
        while (*p) {
                _cleanup_buf_ Buf line = BUF_NULL, safe = BUF_NULL;
                size_t n = strcspn(p, "\n");
                Style style;

                buf_add(&line, p, n);
                term_safe(&safe, t.utf8, buf_str(&line));
                style = strstr(buf_str(&safe), " warning: ") ? STYLE_WARN : STYLE_BAD;
                fprintf(stderr, "%s%s%s\n", term_style(&t, style), buf_str(&safe), term_plain(&t, style));
                p += n + (p[n] == '\n');
        }
}
