/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/screen.h"
#include "probe/proto.h"

#define HELP_WIDTH 80u /* a manual page's; narrower terminals get what they can show */
#define COLUMN 26u
#define REASON_COLUMN 18u

static void help_begin(Term *t, Screen *s) {
        term_init(t, stdout);
        t->width = min_of(t->width, HELP_WIDTH);
        *s = SCREEN_INIT(t);
}

static void help_end(Screen *s) {
        fputs(buf_str(&s->buf), stdout);
}

static void heading(Screen *s, const char *text) {
        screen_end(s);
        screen_put(s, STYLE_BOLD, text);
        screen_end(s);
}

/* One line of @lines at a time, into @b. Return: what follows it, NULL at the end. */
static const char *next_line(const char *lines, Buf *b) {
        size_t n = strcspn(lines, "\n");

        buf_reset(b);
        if (!*lines)
                return NULL;
        buf_add(b, lines, n);
        return lines + n + (lines[n] == '\n');
}

static void paragraphs(Screen *s, const char *text) {
        _cleanup_buf_ Buf line = BUF_NULL;
        bool first = true;

        while ((text = next_line(text, &line))) {
                if (!first)
                        screen_end(s);
                screen_words(s, 2, STYLE_PLAIN, buf_str(&line));
                screen_end(s);
                first = false;
        }
}

/* A term and what it means, side by side, or below one another where the term is long. */
static void entry(Screen *s, const char *term, const char *meaning, unsigned column) {
        screen_put(s, STYLE_PLAIN, "  ");
        screen_put(s, STYLE_ACCENT, term);
        if (s->column + 2 > column)
                screen_end(s);
        screen_pad(s, column);
        screen_words(s, column, STYLE_PLAIN, meaning);
        screen_end(s);
}

static void options_section(Screen *s, const Command *c) {
        heading(s, "OPTIONS");
        for (const ArgOption *o = c->options; o->name; o++) {
                _cleanup_buf_ Buf term = BUF_NULL;

                if (o->letter)
                        buf_addf(&term, "-%c, ", o->letter);
                else
                        buf_adds(&term, "    ");
                buf_addf(&term, "--%s", o->name);
                if (o->value)
                        buf_addf(&term, " %s", o->value);
                entry(s, buf_str(&term), o->help, COLUMN);
        }
        entry(s, "-h, --help", "This text.", COLUMN);
}

static void tabbed_section(Screen *s, const char *title, const char *lines, unsigned column) {
        _cleanup_buf_ Buf line = BUF_NULL;

        if (!lines)
                return;
        heading(s, title);
        while ((lines = next_line(lines, &line))) {
                char *tab = strchr(line.data, '\t');

                *tab = 0;
                entry(s, line.data, tab + 1, column);
        }
}

static void examples_section(Screen *s, const char *lines) {
        _cleanup_buf_ Buf line = BUF_NULL;

        if (!lines)
                return;
        heading(s, "EXAMPLES");
        while ((lines = next_line(lines, &line))) {
                char *tab = strchr(line.data, '\t');

                *tab = 0;
                screen_words(s, 2, STYLE_ACCENT, line.data);
                screen_end(s);
                screen_words(s, 6, STYLE_PLAIN, tab + 1);
                screen_end(s);
        }
}

static void reasons_section(Screen *s) {
        heading(s, "REASONS");
        for (int i = PROBE_OK + 1; i < _PROBE_RESULT_MAX; i++)
                entry(s, probe_result_name((ProbeResult)i), probe_result_text((ProbeResult)i), REASON_COLUMN);
}

void help_command(const Command *c) {
        Term t;
        _cleanup_screen_ Screen s;

        help_begin(&t, &s);
        screen_putf(&s, STYLE_BOLD, "plateau %s", c->name);
        screen_put(&s, STYLE_PLAIN, " - ");
        screen_words(&s, 2, STYLE_PLAIN, c->summary);
        screen_end(&s);
        heading(&s, "SYNOPSIS");
        screen_putf(&s, STYLE_PLAIN, "  plateau %s", c->name);
        if (c->options->name)
                screen_words(&s, 4, STYLE_PLAIN, "[OPTION...]");
        screen_words(&s, 4, STYLE_PLAIN, c->args);
        screen_end(&s);
        heading(&s, "DESCRIPTION");
        paragraphs(&s, c->description);
        options_section(&s, c);
        tabbed_section(&s, "EXIT STATUS", c->exits, 6);
        if (c->reasons)
                reasons_section(&s);
        examples_section(&s, c->examples);
        help_end(&s);
}

void help_overview(void) {
        Term t;
        _cleanup_screen_ Screen s;

        help_begin(&t, &s);
        screen_put(&s, STYLE_BOLD, "plateau");
        screen_words(&s, 2, STYLE_PLAIN, "- when will a process hit its memory limit, and what can be done about it");
        screen_end(&s);
        heading(&s, "COMMANDS");
        for (const Command *const *c = cli_commands(); *c; c++)
                entry(&s, (*c)->name, (*c)->summary, 12);
        heading(&s, "OPTIONS");
        entry(&s, "-h, --help", "This text; after a command, that command's.", 17);
        entry(&s, "-V, --version", "The version.", 17);
        screen_end(&s);
        screen_words(&s, 0, STYLE_PLAIN,
                     "plateau help COMMAND tells more of each. Status asks the daemon; the others need none.");
        screen_end(&s);
        help_end(&s);
}

static int help_main(const Command *self, int argc, char **argv) {
        ArgWords words;
        const Command *c;
        int r = args_parse(self, argc, argv, NULL, 0, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (words.n == 0) {
                help_overview();
                return CLI_OK;
        }
        c = cli_find(words.word[0]);
        if (!c)
                return cli_unknown(words.word[0]);
        help_command(c);
        return CLI_OK;
}

static const ArgOption options[] = {ARG_END};

const Command command_help = {
        .name = "help",
        .args = "[COMMAND]",
        .summary = "this list, or the manual of one command",
        .description = "Without a command: what there is. With one: its options, exit status and examples.",
        .exits = "0\tprinted\n2\tno such command\n",
        .options = options,
        .run = help_main,
};
