/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/term.h"
#include "settings/load.h"

typedef struct CheckArgs {
        bool dump, schema, keys, quiet;
} CheckArgs;

static unsigned count_lines(const Buf *b) {
        unsigned n = 0;

        for (const char *p = buf_str(b); *p; p++)
                n += *p == '\n';
        return n;
}

static int check_file(const CheckArgs *a, const char *path) {
        _cleanup_buf_ Buf problems = BUF_NULL, text = BUF_NULL, safe = BUF_NULL;
        SettingsOrigins *origins = NULL;
        Settings settings;
        int r = settings_load_file(path, &settings, &origins, &problems);

        term_print_problems(&problems);
        if (r < 0) {
                if (!*buf_str(&problems))
                        fprintf(stderr, "plateau check: %s\n", strerror(-r));
                return CLI_BAD_CONFIG;
        }
        if (a->dump) {
                settings_dump(&text, &settings, origins);
                fputs(buf_str(&text), stdout);
        } else if (!a->quiet) {
                term_safe(&safe, term_has_utf8(), path);
                printf("%s: fine, %u target%s", buf_str(&safe), settings.n_targets, settings.n_targets == 1 ? "" : "s");
                if (count_lines(&problems))
                        printf(", %u warning%s", count_lines(&problems), count_lines(&problems) == 1 ? "" : "s");
                putchar('\n');
        }
        settings_origins_free(origins);
        settings_done(&settings);
        return CLI_OK;
}

static int check_main(const Command *self, int argc, char **argv) {
        CheckArgs a = {0};
        _cleanup_buf_ Buf text = BUF_NULL;
        ArgWords words;
        int r = args_parse(self, argc, argv, &a, 0, 1, &words);

        if (r != 0)
                return r < 0 ? CLI_USAGE : CLI_OK;
        if (a.schema)
                settings_schema_json(&text);
        if (a.keys)
                settings_help(&text);
        fputs(buf_str(&text), stdout);
        if (words.n == 1)
                return check_file(&a, words.word[0]);
        if (!a.schema && !a.keys) {
                args_error(self, "expected a FILE, --schema or --keys");
                return CLI_USAGE;
        }
        return CLI_OK;
}

static const ArgOption options[] = {
        {"dump", 'd', ARG_FLAG, NULL, offsetof(CheckArgs, dump), 0, 0,
         "Print the effective values, each with where it comes from, as YAML that loads again."},
        {"schema", 0, ARG_FLAG, NULL, offsetof(CheckArgs, schema), 0, 0,
         "Print the JSON Schema of the configuration; needs no FILE."},
        {"keys", 'k', ARG_FLAG, NULL, offsetof(CheckArgs, keys), 0, 0,
         "Print every key with its type, range, default and meaning; needs no FILE."},
        {"quiet", 'q', ARG_FLAG, NULL, offsetof(CheckArgs, quiet), 0, 0, "Say nothing when the file is fine."},
        ARG_END,
};

const Command command_check = {
        .name = "check",
        .args = "FILE",
        .summary = "is this configuration right, and what does it mean",
        .description =
                "Reads a configuration exactly as plateaud does and prints every problem as file:line:column, the "
                "value, and what is allowed. \"-\" is standard input. Starts nothing and changes nothing.",
        .exits =
                "0\tfine, perhaps with warnings\n"
                "2\twrong command line\n"
                "78\twrong, or not readable; the problems are on standard error\n",
        .examples =
                "plateau check /etc/plateau/plateau.yaml\tbefore a reload\n"
                "plateau check --dump plateau.yaml\tsee defaults too\n",
        .options = options,
        .run = check_main,
};
