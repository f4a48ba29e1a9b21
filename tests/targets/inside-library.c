/* SPDX-License-Identifier: Apache-2.0
 *
 * A library that blocks where the environment says (INSIDE=constructor, destructor, ifunc, malloc): in the dynamic
 * loader's hands, or, preloaded, as a malloc of its own that holds its lock meanwhile.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_if(const char *where) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        extern char **environ;
        char byte;

        for (char **e = environ; e && *e; e++)
                if (strncmp(*e, "INSIDE=", 7) == 0 && strcmp(*e + 7, where) == 0 &&
                    (write(STDOUT_FILENO, "ready\n", 6) != 6 || poll(&p, 1, -1) != 1 ||
                     read(STDIN_FILENO, &byte, 1) < 0))
                        _exit(1);
}

__attribute__((__constructor__)) static void begin(void) {
        wait_if("constructor");
}

__attribute__((__destructor__)) static void end(void) {
        wait_if("destructor");
}

static int answer(void) {
        return 42;
}

typedef int AnswerFn(void);

/* Runs when the symbol is bound: at dlopen(RTLD_NOW), or at the first call. */
__attribute__((__used__)) static AnswerFn *resolve(void) {
        wait_if("ifunc");
        return answer;
}

int indirect(void) __attribute__((__ifunc__("resolve")));
int call_indirectly(void);

int call_indirectly(void) {
        return indirect();
}
