/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings layer by itself, for the scripts of this folder and to write config/plateau.schema.json anew:
 *   settings-tool schema | help | check FILE | dump FILE
 * Exit: 0; 1: the file is wrong; 2: not called rightly.
 */
#include <stdio.h>
#include <string.h>

#include "settings/load.h"

static Settings settings; /* 80 KB: not for the stack */

static int print(const Buf *b) {
        fwrite(buf_str(b), 1, b->len, stdout);
        return b->failed || fflush(stdout) != 0;
}

static int load(const char *path, bool dump) {
        _cleanup_buf_ Buf problems = BUF_NULL, text = BUF_NULL;
        SettingsOrigins *origins = NULL;
        int r = settings_load_file(path, &settings, &origins, &problems);

        print(&problems);
        if (r < 0)
                return 1;
        if (dump)
                settings_dump(&text, &settings, origins);
        settings_origins_free(origins);
        settings_done(&settings);
        return print(&text);
}

int main(int argc, char **argv) {
        _cleanup_buf_ Buf b = BUF_NULL;

        if (argc == 2 && strcmp(argv[1], "schema") == 0)
                settings_schema_json(&b);
        else if (argc == 2 && strcmp(argv[1], "help") == 0)
                settings_help(&b);
        else if (argc == 3 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "dump") == 0))
                return load(argv[2], strcmp(argv[1], "dump") == 0);
        else {
                fprintf(stderr, "usage: settings-tool schema | help | check FILE | dump FILE\n");
                return 2;
        }
        return print(&b);
}
