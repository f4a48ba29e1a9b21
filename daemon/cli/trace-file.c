/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/trace-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/term.h"

static int read_all(const char *path, Buf *ret) {
        _cleanup_fd_ int own = -1;
        char block[65536];
        ssize_t n;
        int fd = 0;

        if (strcmp(path, "-") != 0) {
                fd = own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (fd < 0)
                        return -errno;
        }
        ret->max = TRACE_TEXT_MAX + 2;
        for (;;) {
                n = read(fd, block, sizeof(block));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                buf_add(ret, block, (size_t)n);
                if (ret->failed)
                        return ret->len > TRACE_TEXT_MAX / 2 ? -EFBIG : -ENOMEM;
        }
}

CliExit trace_file_load(const Command *self, const char *path, const char *series, Trace *ret) {
        _cleanup_buf_ Buf text = BUF_NULL, problems = BUF_NULL, safe = BUF_NULL;
        int r = read_all(path, &text);

        if (r < 0) {
                term_safe(&safe, term_has_utf8(), path);
                fprintf(stderr, "plateau %s: %s: %s\n", self->name, buf_str(&safe),
                        r == -EFBIG ? "longer than 1 GiB" : strerror(-r));
                return CLI_ERROR;
        }
        r = trace_parse(path, buf_str(&text), text.len, series, ret, &problems);
        term_print_problems(&problems);
        if (r == -ENOMEM)
                fprintf(stderr, "plateau %s: %s\n", self->name, strerror(ENOMEM));
        return r == 0 ? CLI_OK : r == -ENOMEM ? CLI_ERROR : CLI_BAD_ANSWER;
}
