/* SPDX-License-Identifier: Apache-2.0
 *
 * The privileged half: reads one fixed-size request, does it, answers, again; until the other end is closed. Knows no
 * configuration, no JSON, no network. Keeps CAP_SYS_PTRACE, if it was given it, and nothing else.
 */
#pragma once

/* server_harden() - drop every capability but SYS_PTRACE, no new privileges, and a seccomp filter without sockets other
 * than AF_UNIX. Return: 0 or negative errno. */
int server_harden(void);

/* server_run() - serve descriptor @fd until it is closed. Return: 0; negative errno when it broke. */
int server_run(int fd);
