/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "cli/doc.h"
#include "cli/fetch.h"
#include "cli/status-view.h"
#include "util/clock.h"

typedef struct StatusArgs {
        const char *socket, *target;
        bool json, watch, exit_code;
        uint64_t interval_usec, timeout_usec;
} StatusArgs;

static volatile sig_atomic_t interrupted;

static void on_signal(int sig) {
        interrupted = sig;
}

static void say_unreachable(const char *path, int error) {
        static const struct {
                int error;
                const char *text;
        } hints[] = {
                {ENOENT, "there is no such socket. Is plateaud running? Does its configuration set another socket? "
                         "Then name it with --socket or in $PLATEAU_SOCKET. Without a daemon: plateau watch PID"},
                {ECONNREFUSED, "nobody listens there: plateaud has ended without removing its socket. Start it again"},
                {EACCES,
                 "not for this user: the socket belongs to the user that runs plateaud; try as root or as that user"},
                {ETIMEDOUT, "no answer in time: plateaud is stopped or overloaded; see its log"},
                {ENODATA, "the connection was closed without a document; is this plateaud's socket?"},
                {EFBIG, "the answer does not end after 1 MiB; this is not plateaud"},
                {ENAMETOOLONG, "a socket's path has at most 107 bytes"},
        };
        const char *text = strerror(error);
        _cleanup_buf_ Buf safe = BUF_NULL;

        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (hints[i].error == error)
                        text = hints[i].text;
        term_safe(&safe, term_has_utf8(), path);
        fprintf(stderr, "plateau status: %s: %s\n", buf_str(&safe), text);
}

static int exit_of(int r) {
        switch (r) {
        case -ETIMEDOUT:
                return CLI_TIMEOUT;
        case -ENODATA:
        case -EFBIG:
                return CLI_BAD_ANSWER;
        default:
                return CLI_NO_DAEMON;
        }
}

/* As it came; only what a terminal might act upon is written as the JSON escape of itself (C1 controls and DEL, which
 * RFC 8259 allows unescaped in strings, and which can be nowhere else in text that has been parsed). */
static void print_document(const Buf *b, bool tty) {
        for (size_t i = 0; i < b->len; i++) {
                unsigned char c = (unsigned char)b->data[i], next = i + 1 < b->len ? (unsigned char)b->data[i + 1] : 0;

                if (tty && c == 0x7f) {
                        fputs("\\u007f", stdout);
                } else if (tty && c == 0xc2 && next >= 0x80 && next <= 0x9f) {
                        printf("\\u%04x", next);
                        i++;
                } else {
                        putchar(c);
                }
        }
        if (b->len && b->data[b->len - 1] != '\n')
                putchar('\n');
}

static int bad_document(const char *what) {
        _cleanup_buf_ Buf safe = BUF_NULL;

        term_safe(&safe, term_has_utf8(), what);
        fprintf(stderr, "plateau status: the answer is no status document: %s\n", buf_str(&safe));
        return CLI_BAD_ANSWER;
}

static int no_target(const char *name) {
        _cleanup_buf_ Buf safe = BUF_NULL;

        term_safe(&safe, term_has_utf8(), name);
        fprintf(stderr, "plateau status: the daemon has no target '%s'\n", buf_str(&safe));
        return CLI_NO_TARGET;
}

static int show(const StatusArgs *a, const Buf *answer, const json_t *doc, Screen *s) {
        const char *wrong = status_is_document(doc);
        unsigned n;

        if (wrong)
                return bad_document(wrong);
        screen_reset(s);
        n = status_view(s, doc, a->target);
        if (a->target && n == 0)
                return no_target(a->target);
        if (a->json)
                print_document(answer, s->term->tty);
        else if (a->watch && s->term->tty)
                printf("\033[H\033[2J%s", buf_str(&s->buf));
        else
                fputs(buf_str(&s->buf), stdout);
        if (a->watch && !a->json && !s->term->tty)
                putchar('\n');
        fflush(stdout);
        return a->exit_code && status_alerts(doc, a->target) ? CLI_ERROR : CLI_OK;
}

static int once(const StatusArgs *a, Buf *answer, Screen *s) {
        json_error_t error;
        json_t *doc;
        int r = fetch_status(a->socket, a->timeout_usec, answer);

        if (r < 0) {
                say_unreachable(a->socket, -r);
                return exit_of(r);
        }
        /* a counter beyond INT64_MAX would be an error otherwise; 53 bits are more than a screen shows */
        doc = json_loadb(buf_str(answer), answer->len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
        if (!doc)
                return bad_document(error.text);
        r = show(a, answer, doc, s);
        json_decref(doc);
        return r;
}

static int repeat(const StatusArgs *a, Term *t, Buf *answer, Screen *s) {
        struct sigaction sa = {.sa_handler = on_signal};
        struct timespec pause = {(time_t)(a->interval_usec / USEC_PER_SEC),
                                 (long)(a->interval_usec % USEC_PER_SEC) * 1000};
        int r = CLI_OK;

        sigaction(SIGINT, &sa, NULL);
        sigaction(SIGTERM, &sa, NULL);
        while (!interrupted) {
                term_resize(t, stdout);
                r = once(a, answer, s);
                if (r == CLI_USAGE || r == CLI_NO_TARGET)
                        break;
                nanosleep(&pause, NULL);
        }
        return r;
}

static int status_main(const Command *self, int argc, char **argv) {
        StatusArgs a = {
                .socket = fetch_default_path(), .interval_usec = 2 * USEC_PER_SEC, .timeout_usec = 5 * USEC_PER_SEC,
        };
        _cleanup_buf_ Buf answer = BUF_NULL;
        Term term;
        _cleanup_screen_ Screen s = SCREEN_INIT(&term);
        ArgWords words;
        int r = args_parse(self, argc, argv, &a, 0, 0, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        term_init(&term, stdout);
        return a.watch ? repeat(&a, &term, &answer, &s) : once(&a, &answer, &s);
}

static const ArgOption options[] = {
        {"socket", 's', ARG_TEXT, "PATH", offsetof(StatusArgs, socket), 0, 0,
         "The daemon's socket. Default: $PLATEAU_SOCKET, else /run/plateau/plateau.sock."},
        {"target", 't', ARG_TEXT, "NAME", offsetof(StatusArgs, target), 0, 0, "Show this target only."},
        {"json", 'j', ARG_FLAG, NULL, offsetof(StatusArgs, json), 0, 0, "Print the daemon's document as it is."},
        {"watch", 'w', ARG_FLAG, NULL, offsetof(StatusArgs, watch), 0, 0,
         "Again and again until interrupted; goes on while the daemon is away."},
        {"interval", 'i', ARG_DURATION, "TIME", offsetof(StatusArgs, interval_usec), 100 * USEC_PER_MSEC, USEC_PER_HOUR,
         "Between two looks with --watch. Default: 2s."},
        {"timeout", 0, ARG_DURATION, "TIME", offsetof(StatusArgs, timeout_usec), USEC_PER_MSEC, USEC_PER_HOUR,
         "How long to wait for the daemon's answer. Default: 5s."},
        {"exit-code", 'e', ARG_FLAG, NULL, offsetof(StatusArgs, exit_code), 0, 0,
         "Exit with 1 while an alert is firing, for scripts."},
        ARG_END,
};

const Command command_status = {
        .name = "status",
        .args = "",
        .summary = "what the daemon sees, says and did",
        .description =
                "Asks the running plateaud and prints one screen: for each target how full it is, when it will hit its "
                "limit, which rung of the ladder waits for what, and what the last actions gave; then whether metrics "
                "and alerts reach their receivers.\n"
                "\"limit in 51 min (38 min to 1 h 20 min, 90 %)\" reads: at the present growth the limit is hit in 51 "
                "minutes; with 90 % confidence not before 38 and not after 80.",
        .exits =
                "0\tshown\n"
                "1\twith --exit-code: an alert is firing\n"
                "2\twrong command line\n"
                "3\tno daemon on the socket\n"
                "5\tno answer in time\n"
                "6\tno target of that name\n"
                "65\tthe answer is no status document\n",
        .examples =
                "plateau status --watch\tkeep looking\n"
                "plateau status --json | jq .targets[].trend\tfor scripts\n"
                "plateau status -e >/dev/null || page-me\tact on an alert\n",
        .options = options,
        .run = status_main,
};
